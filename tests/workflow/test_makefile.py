"""The Makefile, with tools of this environment in the place of its own, or ones that say their arguments."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..project import REPOSITORY


@pytest.fixture
def make(project):
    """Runs make in a copy of the finished study; `snakemake` only says its arguments unless ``real``."""
    binaries = project.root / ".venv/bin"
    # `make test` runs these tests, and a make inside a make announces itself and takes over its variables.
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    binaries.mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "README.md"):
        shutil.copy(REPOSITORY / name, project.root / name)
    (project.root / ".venv/installed").touch()

    def tool(name, command):
        (binaries / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (binaries / name).chmod(0o755)

    def run(*arguments, real=False, **environment):
        tool("formerbench", f"{sys.executable} -m formerbench.cli")
        tool("snakemake", f"{sys.executable} -m snakemake" if real else "echo snakemake")
        return subprocess.run(
            ["make", *arguments],
            cwd=project.root,
            env=outside | {"PYTHONPATH": str(project.root / "src")} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    run.root = project.root
    return run


def test_report_prints_the_path_last_when_nothing_is_to_be_done(make):
    done = make("report", "CONFIG=study.yaml", real=True)
    assert done.returncode == 0, done.stdout
    assert "Nothing to be done" in done.stdout
    assert done.stdout.splitlines()[-1] == f"Report: {make.root}/results/tiny/report/index.html"
    assert "collect_scaling" in (make.root / "results/tiny/report/snakemake.html").read_text()


def test_report_falls_back_to_generated_data_and_says_so(make, tmp_path):
    registry = make.root / "config/datasets.yaml"
    # A port that nothing listens on, so that the test asks nobody even where there is a network.
    registry.write_text(registry.read_text().replace("https://", "https://127.0.0.1:1/"))
    nowhere = {"FORMERBENCH_CACHE": str(tmp_path / "none"), "FORMERBENCH_MIRROR": str(tmp_path / "none")}
    done = make("report", **nowhere)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ETTh1: cannot be reached")
    assert lines[0].endswith("running config/quick-synthetic.yaml instead")
    assert lines[1] == "snakemake --configfile config/quick-synthetic.yaml --quiet rules host reason"


def test_a_broken_registry_is_no_reason_for_other_data(make):
    (make.root / "config/datasets.yaml").write_text("nonsense: 1\n")
    done = make("report")
    assert done.returncode != 0
    assert "synthetic" not in done.stdout
    assert "error: datasets.yaml" in done.stdout


def test_retry_forces_the_cells_of_a_status(make):
    done = make("retry", "STATUS=ok", "CONFIG=study.yaml")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith(
        "snakemake --configfile study.yaml --forcerun results/tiny/accuracy/mine/repeat"
    )
    assert done.stdout.count("metrics.json") == 3
    assert "no cell of study.yaml has status oom" in make("retry", "STATUS=oom", "CONFIG=study.yaml").stdout
    done = make("retry", "STATUS=okay", "CONFIG=study.yaml")
    assert done.returncode != 0
    assert "did you mean 'ok'?" in done.stdout


def test_test_all_writes_the_page_on_reliability_only_when_every_test_passed(make):
    python = make.root / ".venv/bin/python"
    python.write_text(
        '#!/bin/sh\necho "$@" >> calls; echo "$FORMERBENCH_RELIABILITY" >> counts; exit "$PYTEST"\n'
    )
    python.chmod(0o755)
    beside, alone = (
        "-m pytest --numprocesses 2 --dist loadfile --ignore tests/measure",
        "-m pytest tests/measure",
    )
    assert make("test-all", PYTEST="1").returncode != 0
    assert calls(make) == [beside]
    assert make("test-all", PYTEST="0").returncode == 0
    assert calls(make) == [beside, beside, alone, "-m tests.faults.table"]
    first, *second = (make.root / "counts").read_text().splitlines()
    assert second[0] == second[1] == second[2] != first
    assert not Path(second[0]).exists()
    assert make("test", PYTEST="0").returncode == 0
    assert calls(make)[4:] == [f"{beside} -m not slow", f"{alone} -m not slow"]


def calls(make):
    return (make.root / "calls").read_text().splitlines()
