"""Two at once: one study has one Snakemake, one cell one process, and they end together."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from formerbench.locks import only_writer

from ..project import STUDY, Project
from .watching import TABLE, processes, wait_until

CELL = "results/tiny/accuracy/mine/dlinear/L24_H12/cpu_fp32/seed1"
# Both go on until they are killed.
TRAINS = STUDY | {
    "models": ["dlinear"],
    "budget": {"steps": 10_000_000},
    "settings": {"dlinear": {"training": {"epochs": 1_000_000, "patience": 1_000_000}}},
}
MEASURES = {
    "study": "tiny",
    "models": ["dlinear"],
    "threads": 1,
    "scaling": {
        "shape": {"horizon": 4, "n_variates": 2, "batch_size": 2},
        "seconds": 3600,
        "processes": 1,
        "memory_budget_mb": 500,
        "time_budget_s": 3600,
        "lookback": {"lookbacks": [32]},
    },
}
ENDLESS = {  # study, target, a word of the process that must not live on
    "training": (TRAINS, TABLE, "train.py"),
    "measuring": (MEASURES, "results/tiny/tables/scaling.csv", "formerbench.measure.server"),
}


@contextmanager
def endless(root, kind):
    """A project in which a study works without end, its Snakemake, and the process that works."""
    study, target, word = ENDLESS[kind]
    project = Project(root)
    project.write(study)
    snakemake = project.start(target)
    try:
        # The study's lock and that of the cell or measurement.
        wait_until(lambda: (len(locks(root)) == 2 and processes(root, word)) or snakemake.poll() is not None)
        yield project, snakemake, processes(root, word)[0]
    finally:
        snakemake.kill()
        snakemake.wait()
        for process in processes(root):
            process.kill()


def locks(root) -> list[Path]:
    return list((root / "results").rglob(".lock"))


def epoch(project) -> int:
    state = project.root / CELL / "state/state.json"
    return ((json.loads(state.read_text())["progress"] or {}) if state.exists() else {}).get("epoch", 0)


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """A study of which an endless training has finished its first epochs."""
    with endless(tmp_path_factory.mktemp("training"), "training") as (project, snakemake, job):
        wait_until(lambda: epoch(project) > 1)
        yield project, snakemake, job
        assert snakemake.poll() is None
        assert job.is_running()


@pytest.mark.slow
def test_a_second_snakemake_of_a_study_says_so_and_harms_nothing(training, reliability):
    project, snakemake, job = training
    reached = epoch(project)
    output = project.snakemake(TABLE, ok=False)
    (line,) = [line for line in output.splitlines() if line.startswith("error:")]
    holder = f"process {snakemake.pid} on "
    assert line.startswith(f"error: results/tiny is in use by {holder}"), output
    assert "Traceback" not in output
    wait_until(lambda: epoch(project) > reached)
    assert job.is_running()
    reliability(
        "two Snakemakes of one study", 1, "the second says so in one line and exits 1; the first goes on"
    )


@pytest.mark.slow
def test_two_studies_run_beside_each_other(training, reliability):
    project, snakemake, _ = training
    project.write(STUDY | {"study": "other", "models": ["repeat"]})
    project.snakemake("results/other/tables/accuracy.csv")
    assert ",ok," in (project.root / "results/other/tables/accuracy.csv").read_text()
    assert snakemake.poll() is None
    reliability("two studies at once in one directory", 1, "both finish")


@pytest.mark.slow
def test_a_second_process_of_a_cell_says_so_and_harms_nothing(training, reliability):
    project, _, job = training
    project.write(TRAINS)
    done = subprocess.run(
        [sys.executable, "-m", "formerbench.cli", "train", "study.yaml"],
        cwd=project.root,
        env=os.environ | {"PYTHONPATH": str(project.root / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {CELL} is in use by process {job.pid} on ")
    reached = epoch(project)
    wait_until(lambda: epoch(project) > reached)
    reliability(
        "two processes of one cell", 1, "the second says so in one line and exits 1; the first goes on"
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENDLESS)
def test_what_has_no_end_ends_with_its_snakemake(tmp_path, kind, reliability):
    with endless(tmp_path, kind) as (project, snakemake, _):
        snakemake.kill()
        snakemake.wait()
        wait_until(lambda: not processes(project.root), 60)
        assert len(locks(project.root)) == 2, "a killed holder leaves its lock file"
        for lock in locks(project.root):
            with only_writer(lock.parent):
                pass
    said = "they end on their own; the lock files left behind hinder nobody"
    reliability("SIGKILL of Snakemake above endless jobs", 1, said)


@pytest.mark.slow
def test_measuring_servers_end_with_the_job_that_started_them(tmp_path, reliability):
    with endless(tmp_path, "measuring") as (project, _, server):
        server.parent().kill()
        wait_until(lambda: not processes(project.root), 60)
    reliability("SIGKILL of a measuring job", 1, "its servers and their measurements end")


HOLDER = """
import sys, time
from pathlib import Path
from formerbench.locks import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_lock_of_a_killed_process_is_free(tmp_path, reliability):
    times = 10
    for _ in range(times):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        holder.communicate()
        assert (tmp_path / ".lock").read_text().startswith(f"process {holder.pid} on ")
    with only_writer(tmp_path):
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")
    assert not (tmp_path / ".lock").exists()
    reliability("SIGKILL of a process that holds a lock", times, "the next one takes it")
