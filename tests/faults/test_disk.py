"""A disk that is full or read-only is said in one line, and costs nothing but the time until it is mended."""

import os
import shutil
import subprocess

import pytest

from ..project import STUDY, Project
from .watching import PATCHTST, TABLE, read_all, tables

ROOM_KB = 6000
CELLS = "results/tiny/accuracy/mine"
FIRST = f"{CELLS}/repeat/L24_H12/cpu_fp32/seed1/metrics.json"
STATE = f"{CELLS}/patchtst/L24_H12/cpu_fp32/seed1/state/state.json"
TWO_MODELS = STUDY | {
    "models": ["repeat", "patchtst"],
    "budget": {"steps": 1000},
    "settings": {"patchtst": {"model": PATCHTST, "training": {"epochs": 5, "patience": 5}}},
}
# What is finished before the disk fills up, what is left of it then in KB, and the file that does not fit. A
# state of this training takes 64 KB, as much as all else; the one before goes when the next is whole.
MOMENTS = {
    "before the start": (FIRST, 0, "results/tiny/.lock"),
    "while a model is trained": (FIRST, 155, "results/tiny/accuracy/mine/patchtst/"),
    "while the report is made": (TABLE, 40, "results/tiny/report/"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The study on a disk that has room and takes it."""
    project = Project(tmp_path_factory.mktemp("whole"))
    project.write(TWO_MODELS)
    project.snakemake(TABLE)
    return project


@pytest.fixture
def small_disk(whole, tmp_path):
    """A project whose results are on a disk of their own."""
    (tmp_path / "results").mkdir()
    disk = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_KB}k", "tmpfs", str(tmp_path / "results")]
    if os.geteuid() != 0 or subprocess.run(disk, capture_output=True).returncode != 0:
        pytest.skip("a disk of its own for the test needs the right to mount one")
    try:
        project = Project(tmp_path)
        project.write(TWO_MODELS)
        yield project
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path / "results")], check=True)


def fill(project, left_kb: int):
    """Leave so much room on the disk of the results."""
    filler = project.root / "results/filler"
    free = shutil.disk_usage(project.root / "results").free
    filler.write_bytes(bytes(free - left_kb * 1024))
    return filler


def contents(project) -> dict:
    results = project.root / "results/tiny"
    return {
        path: path.read_bytes() for path in results.rglob("*") if path.is_file() and "logs" not in path.parts
    }


def the_error(output: str) -> str:
    """The one line that says what is wrong."""
    assert "Traceback" not in output, output
    lines = {line.partition("error: ")[2] for line in output.splitlines() if "error: cannot write" in line}
    assert len(lines) == 1, output
    return lines.pop()


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_full_disk(whole, small_disk, moment, reliability):
    done, left_kb, file = MOMENTS[moment]
    small_disk.snakemake(done)
    before = contents(small_disk)
    filler = fill(small_disk, left_kb)
    # Without the tables of measurements, which would not fit either and be a second error.
    target = [TABLE] if moment == "while a model is trained" else []
    error = the_error(small_disk.snakemake(*target, ok=False))
    assert error.startswith(f"cannot write {file}"), error
    assert "no space left on device; what was there is kept" in error
    after = contents(small_disk)
    assert {path: after[path] for path in before} == before
    read_all(small_disk.root / "results")
    assert (small_disk.root / STATE).exists() == (moment == "while a model is trained")
    filler.unlink()
    output = small_disk.snakemake()
    assert ("resumed after epoch" in output) == (moment == "while a model is trained")
    found = tables(small_disk.root / "results/tiny")
    assert found == found | tables(whole.root / "results/tiny")
    reliability(
        "a disk that fills up before, while training, while reporting",
        1,
        "one line names file and reason, exit 1; earlier results stay; with room again the study finishes",
    )


@pytest.mark.slow
def test_a_read_only_disk(whole, small_disk, reliability):
    small_disk.snakemake(FIRST)
    before = contents(small_disk)
    remount = ["mount", "-o", "remount,{}", str(small_disk.root / "results")]
    subprocess.run([word.format("ro") for word in remount], check=True)
    error = the_error(small_disk.snakemake(ok=False))
    assert error.startswith("cannot write results/tiny/.lock: read-only file system"), error
    subprocess.run([word.format("rw") for word in remount], check=True)
    assert contents(small_disk) == before
    small_disk.snakemake(TABLE)
    assert tables(small_disk.root / "results/tiny") == tables(whole.root / "results/tiny")
    said = "one line, exit 1; once it is writable the study finishes"
    reliability("a results folder that is read-only", 1, said)
