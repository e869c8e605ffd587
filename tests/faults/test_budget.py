"""Memory that does not suffice is a row, and its neighbours finish."""

import csv

import pytest

from ..project import STUDY, Project
from .watching import TABLE

SCALING = "results/tiny/tables/scaling.csv"
BUDGET_MB = 35
# A train step at 8192 takes 51 MB; inference there, and both at 32, less than half of it.
GROWS = {
    "study": "tiny",
    "models": ["patchtst"],
    "threads": 1,
    "scaling": {
        "shape": {"horizon": 4, "n_variates": 2, "batch_size": 2},
        "model": {"d_model": 16, "n_heads": 2},
        "seconds": 0.05,
        "processes": 1,
        "memory_budget_mb": BUDGET_MB,
        "time_budget_s": 60,
        "lookback": {"lookbacks": [32, 8192]},
    },
}
# More than there is, asked for by torch and by Python.
ASKS = ("torch.empty(2**45)", "bytearray(2**50)")


def rows(project, table):
    with (project.root / table).open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_measurement_over_its_memory_budget_is_a_row_beside_the_others(tmp_path, reliability):
    project = Project(tmp_path)
    project.write(GROWS)
    project.snakemake(SCALING)
    found = {(row["lookback"], row["phase"]): row for row in rows(project, SCALING)}
    lost = found.pop(("8192", "train_step"))
    assert (lost["status"], lost["reason"]) == ("oom", f"needed more than {BUDGET_MB} MB")
    assert (lost["reached"], lost["time_ms"]) == ("train_step", "")
    assert {axes: row["status"] for axes, row in found.items()} == {
        ("32", "train_step"): "ok",
        ("32", "inference"): "ok",
        ("8192", "inference"): "ok",
    }
    said = "its row says oom and how far it came; the rows beside it are measured"
    reliability("a measurement over its memory budget", 1, said)


@pytest.mark.slow
def test_a_training_that_runs_out_of_memory_is_a_row_beside_the_others(tmp_path, reliability):
    project = Project(tmp_path)
    code = (project.root / "my_models.py").read_text()
    for i, ask in enumerate(ASKS):
        (project.root / f"greedy{i}.py").write_text(
            code.replace("return batch.past[:, -1:] +", f"{ask}\n        return batch.past[:, -1:] +", 1)
        )
    greedy = [
        {"name": f"greedy{i}", "class": f"greedy{i}:Drift", "options": {"scale": 0.5}}
        for i in range(len(ASKS))
    ]
    project.write(STUDY | {"models": ["repeat", "dlinear", *greedy]})
    project.snakemake(TABLE)
    found = rows(project, TABLE)
    assert [row["status"] for row in found] == ["ok", "ok", *["oom"] * len(ASKS)]
    for row in found[2:]:
        assert row["reason"]
        assert row["mse"] == row["train_time_s"] == ""
    reliability(
        "a training that runs out of memory", len(ASKS), "its row says oom and why; the study finishes"
    )
