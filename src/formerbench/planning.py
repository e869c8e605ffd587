"""What a study will run and cost, said before anything starts."""

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from formerbench import devices
from formerbench.config import Study, load_config
from formerbench.data.registry import Entry, find_all, splits
from formerbench.errors import StatedError, nearest
from formerbench.grid import Cell, cells, planned_shape
from formerbench.measurements import Measurement, measurements
from formerbench.models import NAIVE
from formerbench.paths import evidence_folder
from formerbench.provenance import cpu_model
from formerbench.results import AXES, STATUSES, read_json

_SAME = ("dataset", "model", "device", "precision")
_MEASURED_BY = (*_SAME, "lookback", "batch_size", "step_time_ms", "cpu")


@dataclass(frozen=True)
class Plan:
    """Cells of a study and what they may cost.

    Attributes:
        hours: training steps at most times their measured duration; tests and start-up come on top.
        unmeasured: models and data sets without a measured step time, whose cells are not in ``hours``; those
            that lack the same models together.
        measurements: of ``scaling``, how many there are and at most how long they may take.
        disk_mb: raw and prepared data, and the weights of every cell.
    """

    study: str
    cells: list[Cell]
    finished: int
    skipped: Counter
    hours: float
    measurements: dict
    unmeasured: list[str]
    disk_mb: float

    def as_dict(self) -> dict:
        """Plain values for JSON."""
        numbers = {"finished": self.finished, "skipped": dict(self.skipped), "hours": self.hours}
        rest = {"unmeasured": self.unmeasured, "measurements": self.measurements, "disk_mb": self.disk_mb}
        return {"study": self.study, **numbers, **rest, "cells": [cell.as_dict() for cell in self.cells]}

    def as_text(self) -> str:
        """A few lines for a person."""
        lines = [
            f"study     {self.study}",
            f"cells     {len(self.cells)}, {self.finished} of them finished, {self.skipped.total()} skipped",
            *(f"            {count} x {reason}" for reason, count in self.skipped.most_common()),
            f"training  {self.hours:.2g} h at most on one machine, from step times measured before",
            f"disk      {self.disk_mb:.0f} MB",
        ]
        if self.measurements["count"]:
            counts = "{count} measurements, {finished} finished; {hours:.2g} h if all use up their time"
            lines.insert(-1, f"scaling   {counts.format(**self.measurements)}")
        if self.unmeasured:
            lines.insert(-1, f"            without {'; '.join(self.unmeasured)}: no step was measured so far")
        return "\n".join(lines)


def plan(study: Study, results: Path) -> Plan:
    """Plan ``study``; step times come from its own finished cells and its ``evidence`` tables."""
    todo = cells(study)
    entries = find_all(study.datasets)
    finished = [cell for cell in todo if _metrics(cell, results).is_file()]
    skipped = Counter(reason for cell in todo if (reason := cell.skip or devices.problem(cell.device)))
    measured = _measured_steps(study, finished, results)
    seconds, unmeasured = 0.0, {}
    for cell in todo:
        if cell.skip or devices.problem(cell.device) or _metrics(cell, results).is_file():
            continue
        step_ms, entry = _step_time_ms(cell, measured), entries[cell.dataset]
        if step_ms is not None and entry.rows is not None:
            seconds += step_ms / 1e3 * _steps(cell, entry)
        elif cell.model not in NAIVE:
            unmeasured.setdefault(cell.dataset, {})[cell.model] = None
    return Plan(
        study=study.study,
        cells=todo,
        finished=len(finished),
        skipped=skipped,
        hours=seconds / 3600,
        unmeasured=_together(unmeasured),
        measurements=_measurements(study, results),
        disk_mb=_disk_mb(todo, entries),
    )


def report_of(study: Study, results: Path) -> Path:
    """Absolute path of the study's report.

    Raises:
        StatedError: it was not made yet.
    """
    page = results / study.study / "report" / "index.html"
    if not page.is_file():
        raise StatedError(f"study {study.study} has no report yet: there is no {page}")
    return page.resolve()


def of_status(study: Study, status: str, results: Path) -> list[str]:
    """Paths of ``metrics.json`` and ``profile.json`` of the finished cells and measurements of ``status``."""
    if status not in STATUSES:
        raise StatedError(
            f"unknown status '{status}'{nearest(status, STATUSES)}; there are: {', '.join(STATUSES)}"
        )
    metrics = [path for cell in cells(study) if (path := _metrics(cell, results)).is_file()]
    profiles = [path for one in measurements(study) if (path := _profile(one, results)).is_file()]
    return [
        *(str(path) for path in metrics if read_json(path)["status"] == status),
        *(str(path) for path in profiles if status in {row["status"] for row in read_json(path)["rows"]}),
    ]


def read_cells(path: Path) -> list[Cell]:
    """The cells of a study's config, or of a plan written as JSON."""
    if path.suffix != ".json":
        return cells(load_config(path))
    try:
        return [Cell.from_dict(cell) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    except (OSError, ValueError, KeyError) as error:
        raise StatedError(f"{path} is no plan as `formerbench plan --json` writes it: {error}") from error


def select(todo: list[Cell], axes: dict) -> Cell:
    """The one cell that ``axes`` (axis to value or None) leaves.

    Raises:
        StatedError: none is left, or several are; says which axis decides.
    """
    left = todo
    for axis, value in axes.items():
        if value is None:
            continue
        there = dict.fromkeys(getattr(cell, axis) for cell in left)
        left = [cell for cell in left if getattr(cell, axis) == value]
        if not left:
            raise StatedError(f"no cell has {axis} {value}; there are: {', '.join(map(str, there))}")
    for axis in AXES:
        values = dict.fromkeys(getattr(cell, axis) for cell in left)
        if len(values) > 1:
            raise StatedError(f"several cells are left; say which --{axis}: {', '.join(map(str, values))}")
    return left[0]


def _together(models_of: dict[str, dict]) -> list[str]:
    """``models on data sets``, once for all data sets with the same models."""
    datasets: dict[tuple, list[str]] = {}
    for dataset, models in models_of.items():
        datasets.setdefault(tuple(models), []).append(dataset)
    return [f"{', '.join(models)} on {', '.join(names)}" for models, names in datasets.items()]


def _metrics(cell: Cell, results: Path) -> Path:
    return results / cell.study / cell.folder / "metrics.json"


def _profile(measurement: Measurement, results: Path) -> Path:
    return results / measurement.study / measurement.folder / "profile.json"


def _measurements(study: Study, results: Path) -> dict:
    todo = measurements(study)
    left = [one for one in todo if not _profile(one, results).is_file()]
    seconds = sum(len(one.phases) * one.time_budget_s for one in left if not one.skip)
    return {"count": len(todo), "finished": len(todo) - len(left), "hours": seconds / 3600}


def _measured_steps(study: Study, finished: list[Cell], results: Path) -> list[dict]:
    """Rows with a step time: the study's own, then those of its evidence folders."""
    import polars as pl

    rows = [read_json(_metrics(cell, results)) for cell in finished]
    for folder in study.evidence:
        table = evidence_folder(folder) / "accuracy.csv"
        if table.is_file():
            rows += pl.read_csv(table, infer_schema_length=None).select(_MEASURED_BY).to_dicts()
    return [row for row in rows if row["step_time_ms"] is not None]


def _step_time_ms(cell: Cell, measured: list[dict]) -> float | None:
    """Step time of the measured cell of the same dataset, model and device that is nearest in size.

    The size is lookback times batch size, and the time is scaled by it. Rows of this machine's processor come
    first.
    """
    same = [row for row in measured if all(row[axis] == getattr(cell, axis) for axis in _SAME)]
    same = [row for row in same if row["cpu"] == cpu_model()] or same
    ratios = [
        cell.lookback * cell.training.batch_size / (row["lookback"] * row["batch_size"]) for row in same
    ]
    scaled = [(abs(math.log(r)), r * row["step_time_ms"]) for r, row in zip(ratios, same, strict=True)]
    return min(scaled)[1] if scaled else None


def _steps(cell: Cell, entry: Entry) -> int:
    """Training steps at most."""
    first, end = splits(entry, entry.rows)["train"]
    windows = end - first - cell.lookback - cell.horizon + 1
    steps = math.ceil(windows / cell.training.batch_size) * cell.training.epochs
    return min(steps, cell.training.max_steps or steps)


def _disk_mb(todo: list[Cell], entries: dict[str, Entry]) -> float:
    """Raw files, prepared values and the weights of all cells; a file of the user's own is not copied."""
    data = sum((e.bytes or 0) + 4 * (e.rows or 0) * (e.variates or 0) for e in entries.values())
    sizes: dict[tuple, int] = {}
    weights = 0
    for cell in todo:
        key = (cell.build_name, cell.dataset, cell.lookback, cell.horizon, str(cell.options))
        if key not in sizes:
            sizes[key] = 0 if cell.skip else 4 * _parameters(cell, entries[cell.dataset])
        weights += sizes[key]
    return (data + weights) / 2**20


def _parameters(cell: Cell, entry: Entry) -> int:
    """Parameters of the cell's model, built without memory."""
    import torch

    from formerbench.models import build

    shape = planned_shape(entry, cell.lookback, cell.horizon)
    with torch.device("meta"):
        model = build(cell.build_name, **vars(shape), **cell.options)
    return sum(parameter.numel() for parameter in model.parameters())
