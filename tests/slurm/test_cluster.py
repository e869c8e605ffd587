"""Studies through ``profiles/slurm`` on a cluster of two nodes, held against the same on this machine."""

import csv
import json
import re
import subprocess
import time

import pytest

from formerbench.results import ACCURACY_COLUMNS, MEASURED

from ..faults.test_budget import BUDGET_MB, GROWS, SCALING
from ..project import STUDY, Project, jobs
from .cluster import Cluster, problem

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.skipif(problem() is not None, reason=f"no SLURM: {problem()}"),
]
SMALL = STUDY | {"models": ["repeat", "dlinear"], "devices": ["cpu", "cuda"]}
LONG = STUDY | {
    "models": ["dlinear"],
    "budget": {"steps": 12_000},
    "settings": {"dlinear": {"training": {"epochs": 800, "patience": 800}}},
}
PROFILE = ("--workflow-profile", "profiles/slurm")
CELLS = "results/tiny/accuracy/mine"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


def project_of(study, folder, within=None):
    """A project with a study; its Snakemake runs ``within`` a cluster, if one is given."""
    folder.mkdir()
    project = Project(folder)
    project.write(study)
    if within is not None:
        project.within = within.within(folder)
    return project


def rows(project, table="results/tiny/tables/accuracy.csv"):
    with (project.root / table).open() as file:
        return list(csv.DictReader(file))


def same_but_for_what_is_measured(here, there):
    assert len(here) == len(there)
    for one, other in zip(here, there, strict=True):
        for name in ACCURACY_COLUMNS:
            assert name in MEASURED or one[name] == other[name], name


def ended_jobs(cluster):
    """rule -> what SLURM says of its jobs, as mappings."""
    found = {}
    for line in cluster.run("scontrol", "show", "job", "--oneliner").splitlines():
        said = dict(re.findall(r"(\S+?)=(\S+)", line))
        rule = re.match(r"(?:rule_)?([a-z]+)", said["Comment"])[1]
        found.setdefault(rule, []).append(said)
    return found


def test_a_study_ends_as_on_this_machine(cluster, tmp_path):
    project = project_of(SMALL, tmp_path / "there", within=cluster)
    output = project.snakemake(*PROFILE)
    assert jobs(output)["train"] == 4
    here = project_of(SMALL, tmp_path / "here")
    here.snakemake()
    there = rows(project)
    assert {(row["model"], row["device"], row["status"]) for row in there} == {
        *((model, "cpu", "ok") for model in SMALL["models"]),
        *((model, "cuda", "skipped") for model in SMALL["models"]),
    }
    same_but_for_what_is_measured(rows(here), there)

    ended = ended_jobs(cluster)
    assert {rule: len(of_rule) for rule, of_rule in ended.items()} == {
        "prepare": 1,
        "describe": 1,
        "train": 4,
        "explain": 1,
    }
    assert all(job["JobState"] == "COMPLETED" for of_rule in ended.values() for job in of_rule)
    assert {job["NumCPUs"] for job in ended["train"]} == {"4"}, "a timed cell has the whole node"
    on_gpu = [job for job in ended["train"] if "gpu" in job.get("TresPerJob", "")]
    assert [job["NodeList"] for job in on_gpu] == ["two", "two"]

    # By the workstation's profile too: what a job asks for is no reason to run it again.
    project.within = ()
    assert project.planned() == {}


def test_a_cancelled_job_is_tried_again_and_goes_on(cluster, tmp_path):
    here = project_of(LONG, tmp_path / "here")
    here.snakemake()
    project = project_of(LONG, tmp_path / "there", within=cluster)
    running = project.start(*PROFILE)
    state = project.root / CELLS / "dlinear/L24_H12/cpu_fp32/seed1/state/state.json"
    while not (state.exists() and (json.loads(state.read_text())["progress"] or {"epoch": 0})["epoch"] >= 5):
        assert running.poll() is None, "the study ended before a job of it could be cancelled"
        time.sleep(0.02)
    (job,) = cluster.run("squeue", "--noheader", "--states=RUNNING", "--format=%i").split()
    assert cluster.run("scancel", job) == ""
    try:
        assert running.wait(timeout=300) == 0
    except subprocess.TimeoutExpired:
        running.kill()
        raise
    (row,) = there = rows(project)
    assert (row["status"], row["attempts"]) == ("ok", "2")
    same_but_for_what_is_measured(rows(here), there)


def test_a_job_that_runs_out_of_memory_is_a_row(cluster, tmp_path):
    project = project_of(GROWS, tmp_path / "there", within=cluster)
    project.snakemake(*PROFILE, SCALING)
    found = {(row["lookback"], row["phase"]): row for row in rows(project, SCALING)}
    lost = found.pop(("8192", "train_step"))
    assert (lost["status"], lost["reason"]) == ("oom", f"needed more than {BUDGET_MB} MB")
    assert {row["status"] for row in found.values()} == {"ok"}
    measured = ended_jobs(cluster)["profile"]
    assert len(measured) == 2
    assert all(job["JobState"] == "COMPLETED" for job in measured), "no job was tried again for it"
