# The two commands of the README and a few for developers.
# Another study: make report CONFIG=config/my.yaml
# A CUDA build of torch, before the first of them: see "GPU" in the README.
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
QUICK := config/quick.yaml
STATUS ?= failed
STUDY = $(or $(CONFIG),$(QUICK))
PEERS := .venv-peers
ROUNDS ?= 5
TESTS := $(BIN)/python -m pytest
# Two files at a time, but for the tests of the instrument: it measures time.
BESIDE := --numprocesses 2 --dist loadfile --ignore tests/measure

.PHONY: report scaling test test-all retry bench lint lock audit
.DEFAULT_GOAL := report

report: $(VENV)/installed
	@config="$(CONFIG)"; \
	if [ -z "$$config" ]; then \
	  config=$(QUICK); \
	  found=$$($(BIN)/formerbench data check ETTh1) || case "$$found" in \
	    *"cannot be reached"*) config=config/quick-synthetic.yaml; echo "$$found: running $$config instead";; \
	    *) exit 1;; \
	  esac; \
	fi; \
	$(BIN)/snakemake --configfile "$$config" --quiet rules host reason && \
	report=$$($(BIN)/formerbench plan "$$config" --report) && \
	$(BIN)/snakemake --configfile "$$config" --quiet all --report "$$(dirname "$${report#Report: }")/snakemake.html" && \
	echo "$$report"

# Time and memory by length; with nothing else running. Other sizes: make scaling CONFIG=config/scaling-review.yaml
scaling:
	@$(MAKE) --no-print-directory report CONFIG="$(or $(CONFIG),config/scaling.yaml)"

test: $(VENV)/installed
	$(TESTS) $(BESIDE) -m "not slow"
	$(TESTS) tests/measure -m "not slow"

# Every test, with docs/reliability.md from what those of faults counted
test-all: $(VENV)/installed
	@counts=$$(mktemp) && trap 'rm -f "$$counts"' EXIT && export FORMERBENCH_RELIABILITY="$$counts" && \
	$(TESTS) $(BESIDE) && $(TESTS) tests/measure && $(BIN)/python -m tests.faults.table

# Run the cells of a status again: make retry STATUS=oom CONFIG=config/my.yaml
retry: $(VENV)/installed
	@cells=$$($(BIN)/formerbench plan "$(STUDY)" --status "$(STATUS)") || exit 1; \
	if [ -z "$$cells" ]; then echo "no cell of $(STUDY) has status $(STATUS)"; exit; fi; \
	$(BIN)/snakemake --configfile "$(STUDY)" --forcerun $$cells

# Time and memory of our models and of neuralforecast's: make bench ROUNDS=1 ONLY='--models tft --lookbacks 96'
bench: $(PEERS)/installed
	$(PEERS)/bin/python -m tests.peers.compare --rounds $(ROUNDS) $(ONLY)

$(PEERS)/installed: tests/peers/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet $(TORCH)
	$(PEERS)/bin/python -m pip install --quiet --requirement tests/peers/requirements.txt
	$(PEERS)/bin/python -m pip install --quiet --no-deps --editable .
	touch $@

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint --configfile $(QUICK)

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else f"Python 3.11 to 3.13 is needed, {sys.executable} is {v[0]}.{v[1]}; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# Are weaknesses known of a package that requirements.lock pins? Needs the network.
audit: .venv-audit/bin/pip-audit
	.venv-audit/bin/pip-audit --requirement requirements.lock --require-hashes --disable-pip --strict

.venv-audit/bin/pip-audit:
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet pip-audit==2.10.1

# Renew the pins. Torch stays out, its builds differ by machine; what it needs of Python is pinned here.
lock:
	printf 'filelock\nfsspec\nnetworkx\nsetuptools\nsympy\ntyping-extensions\n' > $(VENV)/torch-needs.in
	printf "torch; python_version < '3'\n" > $(VENV)/without-torch.txt
	uv pip compile --universal --generate-hashes --python-version 3.11 --extra dev --no-header --no-annotate \
	  --overrides $(VENV)/without-torch.txt pyproject.toml $(VENV)/torch-needs.in --output-file requirements.lock
