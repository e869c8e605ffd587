"""Cells for a GPU that is not there, that comes, and that is gone when the job starts."""

import csv
import os
import subprocess
import sys

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


def with_gpus(folder, *names: str) -> dict[str, str]:
    """An environment whose `nvidia-smi` names these GPUs, with locks of its own."""
    tool = folder / "nvidia-smi"
    tool.write_text("#!/bin/sh\n" + "".join(f"echo {name}\n" for name in names))
    tool.chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    return inherited | {"PATH": f"{folder}:{os.environ['PATH']}", "TMPDIR": str(folder)}


class Job:
    """A job that has looked for its GPU and lives until :meth:`end`."""

    CODE = (
        "import os; from formerbench.gpus import take_gpu; take_gpu('cuda');"
        "print(os.environ.get('CUDA_VISIBLE_DEVICES'), flush=True); input()"
    )

    def __init__(self, environment: dict[str, str]):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, "-c", self.CODE], env=environment, **pipes)
        self.sees = self.process.stdout.readline().strip()

    def end(self, kill: bool = False) -> None:
        if kill:
            self.process.kill()
        self.process.communicate("\n")


def test_jobs_side_by_side_have_gpus_of_their_own(tmp_path, reliability):
    environment = with_gpus(tmp_path, "GPU-a", "GPU-b")
    jobs = [Job(environment) for _ in range(3)]
    assert [job.sees for job in jobs] == ["GPU-a", "GPU-b", "None"]
    jobs[0].end(kill=True)
    jobs.append(Job(environment))
    assert jobs[-1].sees == "GPU-a", "that of the job that was killed is free again"
    for job in jobs[1:]:
        job.end()
    given = environment | {"CUDA_VISIBLE_DEVICES": "7,3"}
    jobs = [Job(given), Job(given), Job(given | {"CUDA_VISIBLE_DEVICES": "5"})]
    assert [job.sees for job in jobs] == ["7", "3", "5"], "only of those that the cluster gave"
    for job in jobs:
        job.end()
    reliability("jobs side by side on several GPUs", 7, "each has one of its own while there are enough")


@pytest.mark.slow
def test_a_job_of_snakemake_takes_a_gpu(study, tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    environment = with_gpus(tmp_path, "GPU-a", "GPU-b")
    study.write(CUDA | {"devices": ["cuda"], "models": ["dlinear"]})
    study.snakemake(**THERE, PATH=environment["PATH"], TMPDIR=environment["TMPDIR"])
    (log,) = (study.root / "results/tiny/logs/train/mine/dlinear/L24_H12/cuda_fp32").glob("*.log")
    assert "of 2 GPUs this job has GPU-a" in log.read_text()
