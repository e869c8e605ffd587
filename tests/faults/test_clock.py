"""A clock that was ahead and is set right: what it stamped is not made again, nor what comes after."""

import os
import shutil
import time

import pytest

from ..project import jobs
from .watching import TABLE, tables

DAY_S = 86_400
CELLS = "results/tiny/accuracy/mine"


def contents(project) -> list[bytes]:
    """Of the cells that were done while the clock was ahead."""
    files = [path for cell in ("dlinear", "repeat") for path in (project.root / CELLS / cell).rglob("*")]
    return [path.read_bytes() for path in sorted(files) if path.is_file()]


@pytest.mark.slow
def test_a_clock_that_jumps_back(project, reliability):
    """The files of a study that is half done bear tomorrow's date; in the cell that is next it jumps, too."""
    before = tables(project.root / "results/tiny")
    for made in (CELLS + "/drift", "results/tiny/inside", "results/tiny/tables", "results/tiny/report"):
        shutil.rmtree(project.root / made)
    tomorrow = time.time() + DAY_S
    for path in (project.root / "results").rglob("*"):
        os.utime(path, (tomorrow, tomorrow))
    early = contents(project)
    # The module of a model is imported in the midst of its cell: its clock goes back by a day there.
    code = project.root / "my_models.py"
    code.write_text(
        code.read_text() + f"\nimport time\n_now = time.time\ntime.time = lambda: _now() - {DAY_S}\n"
    )
    output = project.snakemake(TABLE)
    assert jobs(output)["train"] == 1, output
    assert contents(project) == early
    after = tables(project.root / "results/tiny")
    for rows in (*before.values(), *after.values()):
        for row in rows:
            row.pop("source_digest", None)  # the model's code has another line
    assert before == before | after
    assert "Nothing to be done" in project.snakemake(TABLE)
    said = "the study finishes; nothing that was done runs again"
    reliability("a clock that was a day ahead and is set right between two starts", 1, said)
