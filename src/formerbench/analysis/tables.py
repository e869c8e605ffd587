"""Reads the tables folder of a study: the only input of the analysis and of the report."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from formerbench.errors import StatedError
from formerbench.results import (
    ACCURACY_COLUMNS,
    FORECAST_COLUMNS,
    REPEAT_COLUMNS,
    SCALING_COLUMNS,
    STATUSES,
    STEP_COLUMNS,
    TRUTH_COLUMNS,
    VARIATE_COLUMNS,
)


@dataclass(frozen=True)
class Evidence:
    """Measurements of time and memory from another folder of tables; see :class:`Tables`.

    Attributes:
        name: of the folder.
    """

    name: str
    scaling: pd.DataFrame
    scaling_repeats: pd.DataFrame
    machine: list[dict]


@dataclass(frozen=True)
class Tables:
    """Everything that a study has written under ``tables/``.

    Attributes:
        study: ``study.json``: what was planned.
        datasets: ``datasets.json``: one dictionary a data set, in the study's order.
        inside: ``inside.json``: what trained models show, one dictionary a data set and model.
        accuracy: one row a cell, columns ``formerbench.results.ACCURACY_COLUMNS``.
        variates: errors of each variate of each cell that ended ok.
        steps: errors of each step ahead, or of steps spread evenly, of each cell that ended ok.
        forecasts: forecasts of the target in original units, for the first, middle and last test window.
        truth: what these windows really did; steps up to 0 are context, 1..H the horizon.
        scaling: one row a (measurement, phase), columns ``formerbench.results.SCALING_COLUMNS``.
        scaling_repeats: one row a timed repeat of them.
        machine: ``machine.json``: what each machine and number of threads can do at most.
    """

    study: dict
    datasets: list[dict]
    inside: list[dict]
    accuracy: pd.DataFrame
    variates: pd.DataFrame
    steps: pd.DataFrame
    forecasts: pd.DataFrame
    truth: pd.DataFrame
    scaling: pd.DataFrame
    scaling_repeats: pd.DataFrame
    machine: list[dict]


def read(folder: Path) -> Tables:
    """Read the tables of a study.

    Raises:
        StatedError: a file or column is missing, a value has the wrong type, or a status is unknown.
    """
    folder = Path(folder)
    return Tables(
        study=_read_json(folder / "study.json"),
        datasets=_read_json(folder / "datasets.json"),
        inside=_read_json(folder / "inside.json"),
        accuracy=_with_status(folder / "accuracy.csv", ACCURACY_COLUMNS),
        variates=_read_csv(folder / "variates.csv", VARIATE_COLUMNS),
        steps=_read_csv(folder / "steps.csv", STEP_COLUMNS),
        forecasts=_read_csv(folder / "forecasts.csv", FORECAST_COLUMNS),
        truth=_read_csv(folder / "truth.csv", TRUTH_COLUMNS),
        **_measurements(folder),
    )


def read_evidence(folder: Path) -> Evidence | None:
    """Read the measurements of a folder that need not be a whole study; None where it has none.

    Raises:
        StatedError: as :func:`read`.
    """
    folder = Path(folder)
    if not (folder / "scaling.csv").is_file():
        return None
    return Evidence(name=folder.name, **_measurements(folder))


def read_scores(folder: Path) -> pd.DataFrame | None:
    """The accuracy table of a folder that need not be a whole study; None where it has none.

    Raises:
        StatedError: as :func:`read`.
    """
    path = Path(folder) / "accuracy.csv"
    return _with_status(path, ACCURACY_COLUMNS) if path.is_file() else None


def _measurements(folder: Path) -> dict:
    return {
        "scaling": _with_status(folder / "scaling.csv", SCALING_COLUMNS),
        "scaling_repeats": _read_csv(folder / "scaling_repeats.csv", REPEAT_COLUMNS),
        "machine": _read_json(folder / "machine.json"),
    }


def _with_status(path: Path, columns: dict[str, type]) -> pd.DataFrame:
    frame = _read_csv(path, columns)
    unknown = sorted(set(frame["status"]) - set(STATUSES))
    if unknown:
        raise StatedError(
            f"{path}: the status must be one of {', '.join(STATUSES)}, "
            f"but there is {unknown[0]!r}; make the table again with this version"
        )
    return frame


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise StatedError(f"wanted the table {path}, but there is none; run the study's summary first")
    return path


def _read_json(path: Path):
    try:
        return json.loads(_existing(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise StatedError(f"{path} must be JSON, but {error}; make the tables again") from None


def _read_csv(path: Path, columns: dict[str, type]) -> pd.DataFrame:
    """Typed frame: text such as "NA" stays text, an empty number is missing."""
    numbers = [name for name, kind in columns.items() if kind in (int, float)]
    try:
        frame = pd.read_csv(
            _existing(path),
            dtype={name: "float64" if name in numbers else "str" for name in columns},
            keep_default_na=False,
            na_values={name: [""] for name in numbers},
        )
    except ValueError as error:  # also an empty or torn file
        raise StatedError(f"{path} cannot be read as a table: {error}; make the tables again") from None
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise StatedError(
            f"{path} must have the column {missing[0]!r} and has not; make the tables again with this version"
        )
    for name, kind in columns.items():
        if kind is int:
            frame[name] = frame[name].astype("Int64")
        elif kind is bool:
            frame[name] = frame[name].map({"true": True, "false": False}).astype("boolean")
    return frame[list(columns)]
