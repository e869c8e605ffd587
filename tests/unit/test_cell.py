"""One cell by itself, also killed for real."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from formerbench import cell as cell_module
from formerbench.cell import run
from formerbench.models import build
from formerbench.results import ACCURACY_COLUMNS, MEASURED, read_json
from formerbench.training import Trainer

from ..conftest import TRAINING, make_cell, make_series


@pytest.fixture
def data(tmp_path) -> Path:
    make_series().save(tmp_path / "data")
    return tmp_path / "data"


def test_a_cell_writes_its_row_history_and_weights(data, tmp_path):
    metrics = run(make_cell(), data, tmp_path / "out", "digest", threads=1)
    assert metrics == read_json(tmp_path / "out/metrics.json")
    assert set(ACCURACY_COLUMNS) <= set(metrics)
    assert metrics["status"] == "ok"
    for name, kind in ACCURACY_COLUMNS.items():
        assert metrics[name] is None or isinstance(metrics[name], kind), name
    empty = {name for name in ACCURACY_COLUMNS if metrics[name] is None}
    assert empty <= {"reason", "quantile_loss", "gpu", "git_commit", "git_dirty"}
    assert metrics["data_sha256"] == "0" * 64
    with (tmp_path / "out/history.csv").open() as file:
        assert len(list(csv.DictReader(file))) == metrics["epochs"] == 6
    assert 0 < metrics["step_time_ms"] < metrics["train_time_s"] * 1e3
    assert metrics["peak_memory_mb"] > 0


def test_the_stored_weights_give_the_scores(data, tmp_path):
    from formerbench.data.series import Series
    from formerbench.evaluation import evaluate

    cell = make_cell()
    metrics = run(cell, data, tmp_path / "out", "digest")
    model = build("patchtst", lookback=24, horizon=8, n_variates=3, **cell.options)
    model.load_state_dict(load_file(tmp_path / "out/model.safetensors"))
    again = evaluate(model, Series.read(data), 24, 8, 16)
    assert again["mse"] == pytest.approx(metrics["mse"], rel=1e-6)
    assert sum(p.numel() for p in model.parameters()) == metrics["n_parameters"]


def test_a_naive_cell_leaves_what_it_has_not_empty(data, tmp_path):
    metrics = run(
        make_cell(model="repeat", build_name="repeat", options={}), data, tmp_path / "out", "digest"
    )
    assert metrics["status"] == "ok"
    assert metrics["n_parameters"] == 0
    assert metrics["train_time_s"] is metrics["epochs"] is metrics["step_time_ms"] is None
    assert (tmp_path / "out/history.csv").read_text().count("\n") == 1
    assert load_file(tmp_path / "out/model.safetensors") == {}


@pytest.mark.parametrize(
    ("changes", "threads", "status", "reason"),
    [
        ({"skip": "no sense"}, 1, "skipped", "no sense"),
        ({"threads": 2}, 1, "failed", "got 1 threads of the 2"),
        ({"lookback": 4}, 1, "failed", "shorter than a patch"),
        ({"horizon": 500}, 1, "failed", "too few for a window"),
    ],
)
def test_cells_without_a_result_say_why(data, tmp_path, changes, threads, status, reason):
    metrics = run(make_cell(**changes), data, tmp_path / "out", "digest", threads=threads)
    assert metrics["status"] == status
    assert reason in metrics["reason"]
    assert metrics["mse"] is None
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "metrics.json",
        "history.csv",
        "model.safetensors",
    }


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (MemoryError("numpy"), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "oom"),
        (TypeError("a bug in a user's model"), "failed"),
    ],
)
def test_errors_become_rows(data, tmp_path, monkeypatch, error, status):
    def raise_it(*_):
        raise error

    monkeypatch.setattr(cell_module, "model_of", raise_it)
    metrics = run(make_cell(), data, tmp_path / "out", "digest")
    assert metrics["status"] == status
    assert str(error) in metrics["reason"]


def test_memory_that_the_system_refuses_is_an_oom_row(data, tmp_path):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + 2**29, limits[1]))
    try:
        wide = make_cell(options={"d_model": 2**15, "d_ff": 2**15, "n_heads": 8}, model="itransformer")
        metrics = run(replace(wide, build_name="itransformer"), data, tmp_path / "out", "digest")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert metrics["status"] == "oom"


OWN = """
import torch
from formerbench.models.batch import Forecaster


class Fixed(Forecaster):
    def __init__(self, shape, value, steps, frozen=False):
        super().__init__()
        self.value, self.steps = float(value), steps or shape.horizon
        if frozen:
            self.weight = torch.nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, batch):
        return torch.full((len(batch.past), self.steps, batch.past.shape[2]), self.value)
"""


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        ({"value": 0.0, "steps": None}, "ok", None),
        ({"value": 0.0, "steps": None, "frozen": True}, "ok", None),
        ({"value": "nan", "steps": None}, "failed", "the mean squared error on the test split is nan"),
        (
            {"value": 0.0, "steps": 1},
            "failed",
            "has the shape (2, 1, 3), but (b, H, v) = (2, 8, 3) is wanted",
        ),
    ],
)
def test_users_models_without_training(data, tmp_path, monkeypatch, options, status, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fixed_model.py").write_text(OWN)
    cell = make_cell(model="fixed", build_name="fixed_model:Fixed", options=options)
    metrics = run(cell, data, tmp_path / "out", "digest")
    assert metrics["status"] == status
    assert reason is None or reason in metrics["reason"]


def test_the_state_stays_until_the_row_is_written(data, tmp_path, monkeypatch):
    cell = make_cell()
    with monkeypatch.context() as broken:
        broken.setattr(cell_module, "write_json", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            run(cell, data, tmp_path / "out", "digest")
    metrics = run(cell, data, tmp_path / "out", "digest")
    assert metrics["attempts"] == 2
    assert not (tmp_path / "out/state").exists()


def test_writing_the_state_and_scoring_are_no_part_of_the_peak(data, tmp_path, monkeypatch):
    def peak(name):
        metrics = run(make_cell(), data, tmp_path / name, "digest")
        return metrics["peak_memory_mb"]

    def with_ballast(function):
        def heavy(*arguments):
            assert torch.ones(200, 2**18).sum() > 0  # 200 MB
            return function(*arguments)

        return heavy

    plain = peak("plain")
    monkeypatch.setattr(cell_module, "evaluate", with_ballast(cell_module.evaluate))
    monkeypatch.setattr(Trainer, "_save", with_ballast(Trainer._save))
    assert peak("left_out") < plain + 20
    monkeypatch.setattr(Trainer, "_validate", with_ballast(Trainer._validate))
    assert peak("counted") > plain + 180


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


RUN = """
import json, sys
from pathlib import Path
from formerbench.cell import run
from formerbench.grid import Cell
run(Cell.from_dict(json.loads(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3]), "digest")
"""


@pytest.mark.slow
def test_a_killed_cell_goes_on_and_ends_with_the_same_row(data, tmp_path):
    cell = make_cell(training=replace(TRAINING, epochs=40, patience=40))
    whole = run(cell, data, tmp_path / "whole", "digest")
    arguments = [sys.executable, "-c", RUN, json.dumps(cell.as_dict()), str(data), str(tmp_path / "killed")]
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    state = tmp_path / "killed/state/state.json"
    while not (state.exists() and (read_json(state)["progress"] or {"epoch": 0})["epoch"] >= 2):
        assert process.poll() is None, "the cell ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed/metrics.json").exists()
    resumed = run(cell, data, tmp_path / "killed", "digest")
    assert resumed["attempts"] == 2
    for name in resumed:
        assert name in MEASURED or resumed[name] == whole[name], name
    assert (tmp_path / "killed/model.safetensors").read_bytes() == (
        tmp_path / "whole/model.safetensors"
    ).read_bytes()
