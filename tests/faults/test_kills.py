"""Kills that nothing can catch: the next start goes on, and ends where an undisturbed run does."""

import csv
import random
import shutil
import time

import psutil
import pytest

from formerbench.results import ACCURACY_COLUMNS, MEASURED

from ..project import STUDY, Project

pytestmark = pytest.mark.slow
# Enough epochs of both models that most moments of the study are between two states of a training.
LONG = STUDY | {
    "models": ["dlinear", "patchtst"],
    "budget": {"steps": 100_000},
    "settings": {
        "dlinear": {"training": {"epochs": 300, "patience": 300}},
        "patchtst": {
            "model": {"patch_len": 8, "stride": 4, "d_model": 16, "n_heads": 2, "d_ff": 16, "layers": 1},
            "training": {"batch_size": 32, "epochs": 40, "patience": 40},
        },
    },
}
KILLS = 15
TABLE = "results/tiny/tables/accuracy.csv"
FAULTS = {"kill -9 of Snakemake": "snakemake", "kill -9 of a training": "train"}
SAME = "the next start ends with the same tables"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The tables of the study, and the seconds it takes."""
    project = Project(tmp_path_factory.mktemp("undisturbed"))
    project.write(LONG)
    began = time.monotonic()
    project.snakemake(TABLE)
    return tables(project), time.monotonic() - began


def tables(project):
    """Every table that is not of measurements, as bytes; of the accuracy what repeats."""
    folder = project.root / "results/tiny/tables"
    with (folder / "accuracy.csv").open() as file:
        rows = list(csv.DictReader(file))
    accuracy = [{name: row[name] for name in ACCURACY_COLUMNS if name not in MEASURED} for row in rows]
    names = ("variates.csv", "steps.csv", "forecasts.csv", "truth.csv", "inside.json", "study.json")
    return accuracy, {name: (folder / name).read_bytes() for name in names}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_killed_study_ends_as_an_undisturbed_one(fault, undisturbed, tmp_path, reliability):
    wanted, seconds = undisturbed
    project, random_moment = Project(tmp_path), random.Random(fault)
    project.write(LONG)
    kills, afresh = 0, 0
    while kills < KILLS:
        running = project.start(TABLE)
        if killed_at(running, random_moment.uniform(0, seconds), FAULTS[fault]):
            kills += 1
        elif running.wait() == 0:
            afresh += 1
            assert tables(project) == wanted
            shutil.rmtree(project.root / "results")
    project.snakemake(TABLE)
    assert tables(project) == wanted
    # What was left behind by the last kill is no longer there.
    assert not list((project.root / "results/tiny/accuracy").rglob("state"))
    reliability(fault, kills, SAME)


def killed_at(running, moment, what):
    """Kill Snakemake or its training ``moment`` seconds after the start; False where it ended before."""
    snakemake, deadline = psutil.Process(running.pid), time.monotonic() + moment
    while running.poll() is None:
        jobs = [job for job in snakemake.children(recursive=True) if is_training(job)]
        if time.monotonic() >= deadline and (jobs or what == "snakemake"):
            break
        time.sleep(0.01)
    else:
        return False
    if what == "train":
        jobs[0].kill()
        running.wait(timeout=120)  # the other cell goes on, and the study ends with an error
        return True
    below = snakemake.children(recursive=True)
    running.kill()
    running.wait()
    _, alive = psutil.wait_procs(below, timeout=30)
    assert not alive, f"went on without Snakemake: {alive}"
    return True


def is_training(process):
    try:
        return any("train.py" in argument for argument in process.cmdline())
    except psutil.Error:
        return False
