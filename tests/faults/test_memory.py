"""A cell that needs more memory than there is becomes a row, and its neighbours end as if nothing were."""

import csv

import pytest

from ..project import STUDY, Project

# Takes 300 MB for each forecast of more than one window; asked for, more than any machine has.
HUNGRY = """
import torch

from formerbench.models.batch import Forecaster


class Hungry(Forecaster):
    def __init__(self, shape, mb=300):
        super().__init__()
        self.horizon, self.mb = shape.horizon, mb
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, batch):
        if len(batch.past) > 1:
            torch.ones(self.mb * 2**20, dtype=torch.uint8)
        return self.scale * batch.past[:, -1:].expand(-1, self.horizon, -1)
"""
SCALING = {
    "shape": {"horizon": 4, "n_variates": 2, "batch_size": 2},
    "model": {},
    "seconds": 0.05,
    "processes": 1,
    "memory_budget_mb": 150,
    "time_budget_s": 60,
    "lookback": {"lookbacks": [32]},
}


@pytest.mark.slow
def test_a_cell_over_its_memory_is_a_row_and_its_neighbours_end(tmp_path, reliability):
    project = Project(tmp_path)
    (project.root / "hungry.py").write_text(HUNGRY)
    hungry = {"name": "hungry", "class": "hungry:Hungry"}
    endless = {"name": "endless", "class": "hungry:Hungry", "options": {"mb": 2**33}}
    project.write(STUDY | {"models": ["dlinear", hungry, endless], "scaling": SCALING})
    project.snakemake()
    tables = project.root / "results/tiny/tables"
    cells = {row["model"]: row for row in rows(tables / "accuracy.csv")}
    assert {name: row["status"] for name, row in cells.items()} == {
        "dlinear": "ok",
        "hungry": "ok",
        "endless": "oom",
    }
    measured = {(row["subject"], row["status"]) for row in rows(tables / "scaling.csv")}
    assert measured == {("dlinear", "ok"), ("hungry", "oom"), ("endless", "oom")}
    assert "hungry" in (project.root / "results/tiny/report/index.html").read_text()
    reliability("a cell or measurement over its memory", 5, "a row with status oom; its neighbours end")


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))
