"""A clock that was ahead and is set right: what it stamped is not made again, nor what comes after."""

import os
import shutil
import time

import pytest

from ..project import jobs
from .watching import TABLE, tables

DAY_S = 86_400
CELLS = "results/tiny/accuracy/mine"


def stamps(project, cell: str) -> set[int]:
    return {path.stat().st_mtime_ns for path in (project.root / CELLS / cell).rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_clock_that_jumps_back(project, reliability):
    """Files and Snakemake's notes of a study that was half done bear tomorrow's date; within a cell, too."""
    before = tables(project.root / "results/tiny")
    for made in (CELLS + "/drift", "results/tiny/inside", "results/tiny/tables", "results/tiny/report"):
        shutil.rmtree(project.root / made)
    tomorrow = time.time() + DAY_S
    for path in (project.root / "results").rglob("*"):
        os.utime(path, (tomorrow, tomorrow))
    early = stamps(project, "dlinear") | stamps(project, "repeat")
    # The module of a model is imported in the midst of its cell: its clock goes back by a day there.
    code = project.root / "my_models.py"
    code.write_text(
        code.read_text() + f"\nimport time\n_now = time.time\ntime.time = lambda: _now() - {DAY_S}\n"
    )
    output = project.snakemake(TABLE)
    assert jobs(output)["train"] == 1, output
    assert stamps(project, "dlinear") | stamps(project, "repeat") == early
    after = tables(project.root / "results/tiny")
    for rows in (*before.values(), *after.values()):
        for row in rows:
            row.pop("source_digest", None)  # the model's code has another line
    assert after == after | before or before == before | after
    assert "Nothing to be done" in project.snakemake(TABLE)
    reliability("a clock that jumps back by a day", 1, "the study finishes; nothing that was done runs again")
