"""Cells for a GPU that is not there, that comes, and that is gone when the job starts."""

import csv

import pytest

from ..project import STUDY, jobs

CUDA = STUDY | {"devices": ["cpu", "cuda"], "models": ["repeat", "dlinear"]}
RESULT = "its cells end as `skipped` with the reason, and run once it is there"
# Fault: what the look for a GPU sees in the environment, and the reason that the rows give.
FAULTS = {
    "GPU hidden by CUDA_VISIBLE_DEVICES": (
        {"CUDA_VISIBLE_DEVICES": "-1"},
        "CUDA_VISIBLE_DEVICES hides every CUDA device",
    ),
    "GPU that is not there": (
        {"SEEN": "this machine has no CUDA device"},
        "this machine has no CUDA device",
    ),
    "GPU without a torch for it": (
        {"SEEN": "the installed torch has no CUDA; see GPU in the README"},
        "the installed torch has no CUDA; see GPU in the README",
    ),
}
THERE = {"SEEN": ""}


@pytest.fixture
def study(project):
    """The study on CPU and GPU, on a machine whose GPU is what the variable SEEN says of it."""
    project.edit(
        "src/formerbench/devices.py",
        'if device == "cpu":',
        'if device == "cuda" and "SEEN" in os.environ:\n'
        '        return os.environ["SEEN"] or None\n'
        '    if device == "cpu":',
    )
    project.write(CUDA)
    return project


def rows(project) -> dict[tuple[str, str], tuple[str, str]]:
    """(model, device) to (status, reason)."""
    with (project.root / "results/tiny/tables/accuracy.csv").open() as file:
        return {(row["model"], row["device"]): (row["status"], row["reason"]) for row in csv.DictReader(file)}


@pytest.mark.slow
def test_cells_without_their_gpu_are_skipped_and_run_once_it_is_there(study, reliability):
    for fault, (environment, reason) in FAULTS.items():
        study.snakemake(**environment)
        for model in ("repeat", "dlinear"):
            assert rows(study)[model, "cuda"] == ("skipped", reason)
            assert rows(study)[model, "cpu"] == ("ok", "")
        assert jobs(study.snakemake("-n", **environment)) == {}
        assert jobs(study.snakemake("-n", **THERE))["train"] == 2, (
            "the cells of the GPU, not those of the CPU"
        )
        reliability(fault, 2, RESULT)


@pytest.mark.slow
def test_a_gpu_that_is_gone_when_the_job_starts_is_a_failed_row(study, reliability):
    """What the look for it promised, torch does not find; with `retry` the cells run again."""
    study.snakemake(**THERE, CUDA_VISIBLE_DEVICES="-1")
    for model in ("repeat", "dlinear"):
        status, reason = rows(study)[model, "cuda"]
        assert status == "failed"
        assert reason
        assert "\n" not in reason
        assert rows(study)[model, "cpu"] == ("ok", "")
    reliability("GPU that is gone when the job starts", 2, "its cells end as `failed` with torch's reason")
