"""Disks that are full or read-only, and a clock that jumps: said in one line, and nothing is lost."""

import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

from ..project import STUDY, Project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("mount"), reason="needs the right to mount a disk"
    ),
]
MB = 2**20
PATCHTST = {"patch_len": 8, "stride": 4, "d_model": 64, "n_heads": 2, "d_ff": 256, "layers": 2}


@pytest.fixture
def project(tmp_path):
    """A project whose results lie on a disk of 24 MB."""
    project = Project(tmp_path)
    project.write(STUDY | {"models": ["repeat", "patchtst"], "settings": {"patchtst": {"model": PATCHTST}}})
    with mounted(project.root / "results", "size=24m"):
        yield project


@contextmanager
def mounted(folder, options):
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder, options):
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def fill(folder, but_mb):
    """Leave so much of the disk."""
    free = shutil.disk_usage(folder).free
    (folder / "filler").write_bytes(bytes(max(0, free - int(but_mb * MB))))


def errors_of(log):
    return [line for line in log.read_text().splitlines() if "error" in line]


def whole(folder):
    """Every file that is there and how it reads."""
    return {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "logs" not in path.parts
    }


def test_a_disk_that_is_full_while_a_model_trains(project, reliability):
    results, study = project.root / "results", project.root / "results/tiny"
    project.snakemake("--until", "prepare", "describe")
    before = whole(study)
    fill(results, but_mb=0.1)
    project.snakemake(ok=False)
    log = study / "logs/train/mine/patchtst/L24_H12/cpu_fp32/seed1.log"
    assert "Traceback" not in log.read_text()
    (said,) = errors_of(log)
    assert "no space left on device" in said
    assert not (study / "accuracy/mine/patchtst/L24_H12/cpu_fp32/seed1/metrics.json").exists()
    assert before.items() <= whole(study).items()
    (results / "filler").unlink()
    project.snakemake()
    assert (study / "report/index.html").is_file()
    assert "patchtst" in (study / "tables/accuracy.csv").read_text()
    reliability(
        "a disk that is full while a model trains", 1, "one line; what was there stays; the next start ends"
    )


def test_a_disk_that_is_full_while_the_report_is_written(project, reliability):
    results, study = project.root / "results", project.root / "results/tiny"
    project.snakemake()
    shutil.rmtree(study / "report")
    before = whole(study)
    fill(results, but_mb=0.1)
    # The log lies on the full disk, too, and has perhaps no room for the line.
    output = project.snakemake(ok=False)
    (said,) = (line for line in output.splitlines() if "error: cannot write" in line)
    assert "no space left on device" in said
    assert "Traceback" not in output
    assert whole(study) == before
    (results / "filler").unlink()
    project.snakemake()
    assert (study / "report/index.html").is_file()
    reliability("a disk that is full while the report is written", 1, "one line; the next start ends")


def test_a_disk_that_cannot_be_written(project, reliability):
    project.snakemake("--until", "prepare")
    remount(project.root / "results", "ro")
    said = project.snakemake(ok=False)
    (line,) = (line for line in said.splitlines() if "error" in line.lower())
    assert line.startswith("error: cannot write results/tiny/.lock: read-only file system")
    assert "Traceback" not in said
    remount(project.root / "results", "rw")
    project.snakemake()
    reliability("a results folder that cannot be written", 1, "one line, before any job")
