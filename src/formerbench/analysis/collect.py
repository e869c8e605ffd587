"""Gather the cells of a study into its tables.

``accuracy`` (CSV and Parquet) has a row a cell; ``variates.csv`` a row a (cell, variate); ``steps.csv`` a row
a (cell, step ahead), at most 48 of a cell; ``forecasts.csv`` and ``truth.csv`` the test windows that a report
shows; ``datasets.json`` the data sets; ``inside.json`` what trained models show of their inside;
``study.json`` the config.
"""

import io
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from formerbench.data.series import Series
from formerbench.errors import StatedError
from formerbench.paths import write_bytes, write_text
from formerbench.results import (
    ACCURACY_COLUMNS,
    AXES,
    FORECAST_COLUMNS,
    STATUSES,
    STEP_COLUMNS,
    STEP_SCORES,
    TRUTH_COLUMNS,
    VARIATE_COLUMNS,
    VARIATE_SCORES,
    read_json,
    write_json,
)

_MOST_STEPS = 48  # a curve needs no more, and a study has thousands of cells
_TYPES = {str: pl.String, int: pl.Int64, float: pl.Float64, bool: pl.Boolean}


def collect(
    metrics: Iterable[Path], data: Iterable[Path], inside: Iterable[Path], study: dict, tables: Path
) -> None:
    """Write the tables of a study into the folder ``tables``.

    Args:
        metrics: ``metrics.json`` of every cell; the rows keep this order.
        data: folder of every prepared data set.
        inside: files of :func:`formerbench.inside.explain.explain`.
        study: the config as plain values.

    Raises:
        StatedError: a file that is not a result of this version.
    """
    cells = [checked(read_json(path), path, ACCURACY_COLUMNS) for path in metrics]
    accuracy = frame([[cell[name] for name in ACCURACY_COLUMNS] for cell in cells], ACCURACY_COLUMNS)
    write_text(tables / "accuracy.csv", accuracy.write_csv())
    write_bytes(tables / "accuracy.parquet", parquet(accuracy))
    series = {one.name: one for one in map(Series.read, data)}
    first_seed = [cell for cell in cells if cell["status"] == "ok" and cell["seed"] == study["seeds"][0]]
    write_text(tables / "variates.csv", _variates(cells, series).write_csv())
    write_text(tables / "steps.csv", _steps(cells).write_csv())
    write_text(tables / "forecasts.csv", _forecasts(first_seed).write_csv())
    write_text(tables / "truth.csv", _truth(first_seed, series).write_csv())
    described = [read_json(Path(folder) / "dataset.json") for folder in data]
    write_text(tables / "datasets.json", json.dumps(described, indent=1, ensure_ascii=False) + "\n")
    write_text(tables / "inside.json", json.dumps(list(map(read_json, inside)), ensure_ascii=False) + "\n")
    write_json(tables / "study.json", study | {"planned_cells": len(cells)})


def checked(cell: dict, path: Path, columns: dict[str, type]) -> dict:
    """``cell``, which was read from ``path``, if it has all ``columns`` and ended in a known way.

    Raises:
        StatedError: it has not.
    """
    missing = [name for name in columns if name not in cell]
    if missing:
        raise StatedError(f"{path} lacks {', '.join(missing)}: it is of another version; delete it and rerun")
    if cell["status"] not in STATUSES:
        raise StatedError(f"{path} has status '{cell['status']}', which is none of {', '.join(STATUSES)}")
    return cell


def _variates(cells: list[dict], series: dict[str, Series]) -> pl.DataFrame:
    rows = []
    for cell in cells:
        if cell["status"] != "ok":
            continue
        scores = [cell["per_variate"][name] for name in VARIATE_SCORES]
        for variate, *values in zip(series[cell["dataset"]].columns, *scores, strict=True):
            rows.append([*(cell[name] for name in AXES), variate, *values])
    return frame(rows, VARIATE_COLUMNS)


def _steps(cells: list[dict]) -> pl.DataFrame:
    """Errors by step ahead; of a long horizon steps spread evenly, the first and the last among them."""
    rows = []
    for cell in cells:
        if cell["status"] != "ok":
            continue
        count = min(cell["horizon"], _MOST_STEPS)
        for step in np.linspace(1, cell["horizon"], count).round().astype(int).tolist():
            scores = (cell["per_step"][name][step - 1] for name in STEP_SCORES)
            rows.append([*(cell[name] for name in AXES), step, *scores])
    return frame(rows, STEP_COLUMNS)


def _forecasts(cells: list[dict]) -> pl.DataFrame:
    rows = [
        [*(cell[name] for name in AXES), int(window), step, value]
        for cell in cells
        for window, values in cell["forecasts"].items()
        for step, value in enumerate(values, start=1)
    ]
    return frame(rows, FORECAST_COLUMNS)


def _truth(cells: list[dict], series: dict[str, Series]) -> pl.DataFrame:
    """Target values around the shown windows: step 1 is the first forecast, 0 and below what came before."""
    longest = {}
    for cell in cells:
        for window in cell["forecasts"]:
            key = (cell["dataset"], cell["horizon"], int(window))
            longest[key] = max(longest.get(key, 0), cell["lookback"])
    rows = []
    for (dataset, horizon, window), lookback in longest.items():
        one = series[dataset]
        start = one.splits["test"][0] + window
        values = one.values[:, one.columns.index(one.target)]
        for row in range(start - min(lookback, 2 * horizon), start + horizon):
            time = str(one.timestamps[row])
            rows.append([dataset, horizon, window, one.target, row - start + 1, time, float(values[row])])
    return frame(rows, TRUTH_COLUMNS)


def frame(rows: list, columns: dict[str, type]) -> pl.DataFrame:
    """A typed frame of ``rows``, each the values of ``columns`` in their order."""
    return pl.DataFrame(rows, schema={name: _TYPES[kind] for name, kind in columns.items()}, orient="row")


def parquet(table: pl.DataFrame) -> bytes:
    """A Parquet file of ``table``."""
    content = io.BytesIO()
    table.write_parquet(content)
    return content.getvalue()
