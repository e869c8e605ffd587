"""Every rule on bad input: exit status 1, one line that says what is wrong, no traceback, no output left."""

import re

import pytest
import yaml

from ..project import REPOSITORY, STUDY

RESULT = "exit status 1, one line in the log, no partial output"
DATA, TABLES = "results/tiny/data/mine", "results/tiny/tables"
CELL = "accuracy/mine/dlinear/L24_H12/cpu_fp32/seed1"
INSIDE = "results/tiny/inside/mine/dlinear/L24_H12/cpu_fp32/seed1.json"
MACHINE = "results/tiny/machine/cpu_fp32.json"
PROFILE = "results/tiny/scaling/lookback/dlinear/L32_H4_D2_B2/cpu_fp32/base/profile.json"
SCALING = {
    "shape": {"horizon": 4, "n_variates": 2, "batch_size": 2},
    "lookback": {"lookbacks": [32]},
    "seconds": 0.05,
    "processes": 1,
}


def cut(file: str):
    """Cut a file off in the middle, as a disk that was full or a copy that broke off leaves it."""

    def damage(project):
        path = project.root / file
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return damage


def measured(**files: str):
    """The study with a measurement, and files of it as they are given."""

    def damage(project):
        project.write(STUDY | {"models": ["dlinear"], "scaling": SCALING})
        for file, text in ({MACHINE: "{}", PROFILE: "{}"} | files).items():
            (project.root / file).parent.mkdir(parents=True, exist_ok=True)
            (project.root / file).write_text(text)

    return damage


def bad_cell(project):
    project.edit("mine.csv", "2021-01-01T05:00:00,", "2021-01-01T05:00:00,five ")


def wrong_checksum(project):
    """A registered data set whose mirror and source hold nothing of the kind."""
    registry = project.root / "config/datasets.yaml"
    content = yaml.safe_load(registry.read_text())
    entry = content["datasets"]["ETTh1"] | {
        "sources": ["https://127.0.0.1:1/x.csv"],
        "mirror_path": "mine.csv",
    }
    entry |= {"sha256": "0" * 64, "sha256_variants": {}}  # in no cache of this machine
    registry.write_text(yaml.safe_dump({"datasets": {"tiny": entry}}, allow_unicode=True))
    project.edit("src/formerbench/data/transport.py", "FIRST_WAIT_S = 1.0", "FIRST_WAIT_S = 0.01")
    project.write(STUDY | {"datasets": ["tiny"], "models": ["repeat"], "mirror": str(project.root)})


def no_peaks(project):
    measured()(project)
    (project.root / MACHINE).unlink()
    project.edit("src/formerbench/measure/server.py", "import os", "import os\n\nos._exit(3)\n")


# Fault: the rule, what it is asked for, what is broken, and the line that says so.
FAULTS = {
    "rule download: no source has the file": (
        "download",
        "results/tiny/data/tiny/raw.csv",
        wrong_checksum,
        "tiny: no source delivered the file",
    ),
    "rule prepare: a cell that is no number": (
        "prepare",
        f"{DATA}/series.safetensors",
        bad_cell,
        "mine.csv: the column 'load' has 1 cells that are no numbers: 'five 0.",
    ),
    "rule describe: a cell that is no number": (
        "describe",
        f"{DATA}/dataset.json",
        bad_cell,
        "mine.csv: the column 'load' has 1 cells that are no numbers: 'five 0.",
    ),
    "rule train: damaged data": (
        "train",
        f"results/tiny/{CELL}/metrics.json",
        cut(f"{DATA}/series.safetensors"),
        f"{DATA}/series.safetensors is damaged",
    ),
    "rule explain: a damaged row": (
        "explain",
        INSIDE,
        cut(f"results/tiny/{CELL}/metrics.json"),
        f"{CELL}/metrics.json is damaged",
    ),
    "rule explain: damaged weights": (
        "explain",
        INSIDE,
        cut(f"results/tiny/{CELL}/model.safetensors"),
        f"{CELL}/model.safetensors is damaged",
    ),
    "rule machine: no measuring process": (
        "machine",
        MACHINE,
        no_peaks,
        "the machine's peaks could not be measured",
    ),
    "rule profile: a damaged machine file": (
        "profile",
        PROFILE,
        measured(**{MACHINE: '{"flop'}),
        f"{MACHINE} is damaged",
    ),
    "rule collect: a damaged row": (
        "collect",
        f"{TABLES}/accuracy.csv",
        cut(f"results/tiny/{CELL}/metrics.json"),
        f"{CELL}/metrics.json is damaged",
    ),
    "rule collect: damaged facts": (
        "collect",
        f"{TABLES}/accuracy.csv",
        cut(f"{DATA}/dataset.json"),
        f"{DATA}/dataset.json is damaged",
    ),
    "rule collect_scaling: a damaged measurement": (
        "collect_scaling",
        f"{TABLES}/scaling.csv",
        measured(**{PROFILE: '{"rows": ['}),
        f"{PROFILE} is damaged",
    ),
    "rule collect_scaling: a measurement of another version": (
        "collect_scaling",
        f"{TABLES}/scaling.csv",
        measured(**{PROFILE: '{"rows": [{}], "times_ms": {}}'}),
        f"{PROFILE} lacks study",
    ),
    "rule report: a damaged table": (
        "report",
        "results/tiny/report/index.html",
        cut(f"{TABLES}/study.json"),
        f"{TABLES}/study.json must be JSON",
    ),
    "rule report: a table without its columns": (
        "report",
        "results/tiny/report/index.html",
        lambda project: (project.root / TABLES / "accuracy.csv").write_text("a,b\n1,2\n"),
        f"{TABLES}/accuracy.csv must have the column 'study'",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_rule_that_fails_says_why_in_one_line_and_leaves_nothing(project, fault, reliability):
    rule, target, damage, said = FAULTS[fault]
    damage(project)
    output = project.snakemake(target, "--allowed-rules", rule, "--forcerun", rule, ok=False)
    (log,) = re.findall(r"log: (\S+)", output)[:1]
    lines = (project.root / log).read_text().splitlines()
    errors = [line for line in lines if "error" in line.lower()]
    assert len(errors) == 1, lines
    assert re.match(rf"\d\d:\d\d:\d\d error: .*{re.escape(said)}", errors[0])
    assert "Traceback" not in output
    assert not (project.root / target).exists()
    left = [path for path in (project.root / "results").rglob(".*") if path.name != ".lock"]
    assert not left
    reliability(fault, 1, RESULT)


def test_no_rule_is_left_out():
    rules = [path.read_text() for path in (REPOSITORY / "workflow/rules").glob("*.smk")]
    named = {name for text in rules for name in re.findall(r"^rule (\w+):", text, flags=re.MULTILINE)}
    assert named - {"data"} == {rule for rule, *_ in FAULTS.values()}  # `data` has no job
