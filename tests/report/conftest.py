"""A study's tables without training: two data sets, a user's own model, three seeds, and failures."""

import csv
import json
import math
import random
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from scaling_tables import rows_of, write_scaling

from formerbench import results
from formerbench.report.render import render
from formerbench.results import ACCURACY_COLUMNS, AXES

HOSTILE = "<script>alert(1)</script>"
SKILL = {
    "repeat": 1.30,
    "seasonal_naive": 0.70,
    "dlinear": 0.400,
    "patchtst": 0.372,
    "itransformer": 0.386,
    "informer": 0.95,
    "mine": 0.41,
}
DATASETS = {
    "ETTh1": ["HUFL", "OT"],
    "own_power": ["OT \ufffd°C", "<b>load</b>", HOSTILE],
}
LOOKBACKS, HORIZONS, SEEDS = (96, 336), (24, 96), (1, 2, 3)
WINDOWS = (0, 1000, 2000)


@pytest.fixture(scope="session")
def tables(tmp_path_factory) -> Path:
    """The folder ``tables`` of a small study; read only."""
    return write_tables(tmp_path_factory.mktemp("first") / "tables", scaling=rows_of())


@pytest.fixture(scope="session")
def report(tables) -> Path:
    """The folder of its rendered pages, beside its tables; read only."""
    elsewhere = rows_of(("patchtst", "itransformer"), "other", cpu="Another CPU", threads=4)
    evidence = write_scaling(tables.parent / "evidence", elsewhere, write_csv)
    return render(tables, tables.parent / "report", [evidence, tables.parent / "nothing"]).parent


def write_tables(
    folder: Path, models=tuple(SKILL), datasets=None, horizons=HORIZONS, seeds=SEEDS, scaling=(), **study
) -> Path:
    """Write all tables of a made-up study into ``folder``.

    ``scaling`` are its measurements; ``study`` overrides keys of ``study.json``.
    """
    datasets = DATASETS if datasets is None else datasets
    folder.mkdir(parents=True, exist_ok=True)
    axes = list(product(datasets, models, LOOKBACKS, horizons, seeds))
    cells = [_cell(*point, len(datasets[point[0]])) for point in axes]
    good = [cell for cell in cells if cell["status"] == "ok"]
    write_csv(folder / "accuracy.csv", ACCURACY_COLUMNS, cells)
    variates = [row for cell in good for row in _variates(cell, datasets[cell["dataset"]])]
    write_csv(folder / "variates.csv", results.VARIATE_COLUMNS, variates)
    steps = [row for cell in good for row in _steps(cell)]
    write_csv(folder / "steps.csv", results.STEP_COLUMNS, steps)
    forecasts = [row for cell in good if cell["seed"] == seeds[0] for row in _forecasts(cell)]
    write_csv(folder / "forecasts.csv", results.FORECAST_COLUMNS, forecasts)
    truth = [
        row for name, horizon in product(datasets, horizons) for row in _truth(name, horizon, datasets[name])
    ]
    write_csv(folder / "truth.csv", results.TRUTH_COLUMNS, truth)
    described = [_dataset(name, columns) for name, columns in datasets.items()]
    (folder / "datasets.json").write_text(json.dumps(described), encoding="utf-8")
    inside = [_inside(name, model, horizons[0]) for name, model in product(datasets, models)]
    (folder / "inside.json").write_text(json.dumps([one for one in inside if one]), encoding="utf-8")
    write_scaling(folder, list(scaling), write_csv)
    planned = {
        "study": "first",
        "title": "A first look",
        "notice": "A quick study: for a first look, not for conclusions.",
        "datasets": list(datasets),
        "models": list(models),
        "lookbacks": list(LOOKBACKS),
        "horizons": list(horizons),
        "seeds": list(seeds),
        "devices": ["cpu"],
        "precisions": ["fp32"],
        "threads": 2,
        "parallel": False,
        "budget": {"steps": 500, "seconds": None, "validation_windows": None},
        "planned_cells": len(cells),
    }
    (folder / "study.json").write_text(json.dumps(planned | study), encoding="utf-8")
    return folder


def write_csv(path: Path, columns, rows: list[dict]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns), restval="")
        writer.writeheader()
        writer.writerows(rows)


def _cell(dataset: str, model: str, lookback: int, horizon: int, seed: int, n_variates: int) -> dict:
    noise = random.Random(f"{dataset} {model} {lookback} {horizon} {seed}")
    untrained = model in ("repeat", "seasonal_naive")
    cell = {
        "study": "first",
        "dataset": dataset,
        "model": model,
        "lookback": lookback,
        "horizon": horizon,
        "seed": seed,
        "device": "cpu",
        "precision": "fp32",
        "status": "ok",
        "reason": "",
        "threads": 2,
        "season": 24,
        "attempts": 1,
        "busy": "false",
        "package_version": "0.1.0",
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "git_dirty": "false",
        "source_digest": f"{model:_<16}"[:16],
        "data_sha256": _sha(dataset),
        "host": "bench",
        "cpu": "Example CPU 3000",
        "gpu": "",
        "torch_version": "2.13.0",
        "python_version": "3.11.9",
        "started_at": f"2026-01-0{seed}T10:00:00+00:00",
    }
    for status, reason in [_ending(dataset, model, lookback, horizon, seed)]:
        if status != "ok":
            return cell | {"status": status, "reason": reason}
    mse = SKILL.get(model, 0.5) * (1 + horizon / 1000) * (1.2 if dataset == "own_power" else 1)
    if not untrained:
        gain = 1.08 if model == "informer" else 0.95
        mse = mse * (gain if lookback > 96 else 1) + noise.gauss(0, 0.004)
    size = 0 if untrained else 1000 * len(model) * (lookback // 24) ** 2
    return cell | {
        "mse": mse,
        "mae": 0.7 * math.sqrt(mse),
        "rmse": math.sqrt(mse),
        "mae_raw": 2.1 * math.sqrt(mse),
        "smape": 60 * math.sqrt(mse),
        "mase": 1.1 * mse,
        "n_test_windows": 2881 - horizon,
        "n_parameters": size,
        "epochs": "" if untrained else 4,
        "best_epoch": "" if untrained else 2,
        "stopped_by": "" if untrained else "budget",
        "train_time_s": "" if untrained else 3 + size / 20000 + noise.random(),
        "step_time_ms": "" if untrained else 5 + size / 20000 + noise.random(),
        "inference_time_ms": 0.2 + size / 60000,
        "batch_size": 32,
        "peak_memory_mb": 4 + size / 9000,
    }


def _ending(dataset: str, model: str, lookback: int, horizon: int, seed: int) -> tuple[str, str]:
    if (dataset, model, lookback) == ("ETTh1", "informer", 336) and horizon == max(HORIZONS):
        return "oom", "wanted 9.1 GB more, 6.0 GB were free"
    if (dataset, model, lookback) == ("own_power", "mine", 96):
        return "skipped", f"mine needs a lookback of at least 100, came 96 {HOSTILE}"
    if (dataset, model, seed) == ("ETTh1", "itransformer", 3) and lookback == 96:
        return "failed", "loss became NaN in epoch 2, step 31; try a smaller learning rate"
    return "ok", ""


def _sha(dataset: str) -> str:
    return (dataset.encode().hex() * 16)[:64]


def _variates(cell: dict, columns: list[str]) -> list[dict]:
    keys = {name: cell[name] for name in AXES}
    scores = ("mse", "mae", "mae_raw", "smape", "mase")
    return [
        keys | {"variate": column} | {name: cell[name] * (0.9 + 0.2 * i) for name in scores}
        for i, column in enumerate(columns)
    ]


def _steps(cell: dict) -> list[dict]:
    keys, horizon = {name: cell[name] for name in AXES}, cell["horizon"]
    scores = ("mse", "mae", "mae_raw")
    return [
        keys | {"step": step} | {name: cell[name] * (0.5 + step / horizon) for name in scores}
        for step in range(1, horizon + 1, 5)
    ]


def _inside(dataset: str, model: str, horizon: int) -> dict | None:
    """One view of each kind, one pattern that is there and one that is not; nothing of untrained models."""
    if model in ("repeat", "seasonal_naive"):
        return None
    axes = {"dataset": dataset, "model": model, "lookback": 336, "horizon": horizon}
    axes |= {"seed": 1, "device": "cpu", "precision": "fp32"}
    none = {"views": [], "patterns": [], "calibration": None, "window": None, "from": None}
    if model == "mine":
        return axes | none | {"reason": f"it ended as failed {HOSTILE}"}
    steps = list(range(1, horizon + 1))
    lines = {"truth": [math.sin(t) for t in steps], HOSTILE: [math.cos(t) for t in steps]}
    matrix = [[0.6, 0.4], [0.1, 0.9]]
    names = DATASETS.get(dataset, ["a", "b"])[:2]
    views = [
        {"kind": "bars", "key": "bars", "title": "Weights", "y_label": "weight"}
        | {"labels": ["value", HOSTILE], "values": [0.75, 0.25]},
        {
            "kind": "lines",
            "key": "lines",
            "title": "Parts",
            "x": steps,
            "x_label": "steps",
            "y_label": "value",
        }
        | {"series": lines, "marks": [1, 3]},
        {"kind": "map", "key": "map", "title": "Attention", "rows": names, "columns": names}
        | {"row_label": "asks", "column_label": "looked at", "values": matrix},
    ]
    patterns = [
        {"view": "Attention", "name": "self", "what": "weight on itself", "value": 0.75, "chance": 0.5}
        | {"found": True},
        {
            "view": "Attention",
            "name": "causal",
            "what": "weight on nothing later",
            "value": 0.5,
            "chance": 0.5,
        }
        | {"found": False},
    ]
    calibration = None
    if model == "informer":
        calibration = {"windows": 256, "levels": [0.1, 0.5, 0.9], "below": [0.123, 0.5, 0.8]}
        calibration |= {"intervals": [{"wanted": 0.8, "got": 0.677}], "crossings": 0.0125}
    shown = {"views": views, "patterns": patterns, "calibration": calibration, "reason": ""}
    return axes | shown | {"window": 1000, "from": "2017-01-13 16:00"}


def _wave(dataset: str, t: int) -> float:
    drift = 3 * math.sin(t / 170) + (40 if dataset == "own_power" else 12)
    return drift + 4 * math.sin(2 * math.pi * t / 24) + 0.8 * math.sin(t * 12.9898) * math.cos(t * 0.37)


def _forecasts(cell: dict) -> list[dict]:
    keys = {name: cell[name] for name in AXES}
    error = random.Random(f"{cell['model']} {cell['dataset']}")
    rows = []
    for window, step in product(WINDOWS, range(1, cell["horizon"] + 1)):
        value = _wave(cell["dataset"], window + step)
        if cell["model"] == "repeat":
            value = _wave(cell["dataset"], window)
        elif cell["model"] == "seasonal_naive":
            value = _wave(cell["dataset"], window + (step - 1) % 24 + 1 - 24)
        else:
            value += 2.4 * cell["mse"] * math.sin(step / 9 + error.random())
        rows.append(keys | {"window": window, "step": step, "forecast": value})
    return rows


def _truth(dataset: str, horizon: int, columns: list[str]) -> list[dict]:
    first = datetime(2017, 1, 13)
    return [
        {
            "dataset": dataset,
            "horizon": horizon,
            "window": window,
            "variate": columns[-1],
            "step": step,
            "timestamp": (first + timedelta(hours=window + step)).isoformat(),
            "value": _wave(dataset, window + step),
        }
        for window, step in product(WINDOWS, range(1 - min(336, 2 * horizon), horizon + 1))
    ]


def _dataset(name: str, columns: list[str]) -> dict:
    generated = {"kind": "waves", "rows": 17420, "seed": 1} if name == "own_power" else None
    return {
        "name": name,
        "columns": columns,
        "splits": {"train": [0, 8640], "val": [8640, 11520], "test": [11520, 14400]},
        "season": 24,
        "target": columns[-1],
        "sha256": _sha(name),
        "source_file": None if generated else f"{name}.csv",
        "variant": "generated" if generated else "registered",
        "bytes": None if generated else 2589657,
        "generated": generated,
        "fill": {"method": "none", "cells": 0},
        "licence": None if generated else "CC BY-ND 4.0",
        "attribution": None,
        "step": "1h",
        "rows": 17420,
        "n_variates": len(columns),
        "horizons": list(HORIZONS),
        "checks": {
            "duplicated_timestamps": 0,
            "gaps": [{"start": "2017-01-01T00:00:00", "end": "2017-01-01T03:00:00", "steps": 3.0}],
            "sentinels": [],
            "missing_cells": 0,
        },
        "defects": ["1 gap in the time stamps; first: from 2017-01-01 00:00 to 2017-01-01 03:00, 3 steps."],
    }
