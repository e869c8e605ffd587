"""What a folder of results holds, by the axes of its cells and measurements, so that two can be compared."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from formerbench.analysis.leaderboard import ENTRY, Score, entries
from formerbench.analysis.measured import machines, measured
from formerbench.analysis.tables import read_evidence, read_scores
from formerbench.errors import StatedError
from formerbench.results import ACCURACY_COLUMNS, SCALING_AXES, SCALING_COLUMNS

# What may differ between two folders and changes their numbers, in the order in which a reader asks.
_CIRCUMSTANCES = {
    "machine": "machine",
    "host": "host",
    "commit": "git_commit",
    "uncommitted changes": "git_dirty",
    "formerbench": "package_version",
    "torch": "torch_version",
    "Python": "python_version",
    "threads": "threads",
    "something else ran": "busy",
    "training ended by": "stopped_by",
}
_SIZES = ["d_model", "n_heads", "d_ff", "layers"]
_TIMES, _MEMORY = ("step_time_ms", "inference_time_ms"), "peak_memory_mb"


@dataclass(frozen=True)
class Side:
    """What one folder has; a table that it lacks is empty.

    Attributes:
        scores: columns ``ACCURACY_COLUMNS`` and ``machine``, one row a (cell, seed).
        measured: rows of :func:`formerbench.analysis.measured.measured`, one a (measurement, phase).
        twice: number of rows that are left out, since the folder has several of the same axes.
    """

    name: str
    scores: pd.DataFrame
    measured: pd.DataFrame
    twice: int


@dataclass(frozen=True)
class Cell:
    """A cell or measurement of one folder.

    ``machines`` and ``data`` are of all its rows; costs are compared where ``sizes`` agree. ``times`` are
    (median, raw repeats of each process), a seed counting as a process.
    """

    status: str
    reason: str
    machines: frozenset[str]
    sizes: tuple
    data: frozenset[str] = frozenset()
    mse: Score | None = None
    times: dict[str, tuple[float, list[np.ndarray]]] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)


def read_side(folder: Path) -> Side:
    """The tables of a study's folder, of its folder ``tables``, or of a folder of evidence.

    Raises:
        StatedError: there is neither an accuracy nor a scaling table, or one is broken.
    """
    folder = Path(folder)
    tables = folder / "tables" if (folder / "tables").is_dir() else folder
    scores, measurements = read_scores(tables), read_evidence(tables)
    if scores is None and measurements is None:
        raise StatedError(
            f"wanted accuracy.csv or scaling.csv in {tables}, but there is neither; name a study's folder "
            "such as results/quick after its summary has run, or a folder of tables such as results/reference"
        )
    scores = pd.DataFrame(columns=list(ACCURACY_COLUMNS)) if scores is None else scores
    rows = pd.DataFrame(columns=[*SCALING_COLUMNS, "machine", "repeats_ms"])
    if measurements is not None and len(measurements.scaling):
        rows = measured(measurements.scaling, measurements.scaling_repeats)
    # Which of two rows a repeat or seed belongs to cannot be told.
    twice = scores.duplicated([*ENTRY, "seed"], keep=False), rows.duplicated(list(SCALING_AXES), keep=False)
    scores, rows = scores[~twice[0]], rows[~twice[1]]
    return Side(str(folder), scores.assign(machine=machines(scores)), rows, int(sum(map(sum, twice))))


def keys(rows: pd.DataFrame, axes: Iterable[str]) -> list[tuple]:
    """The axes of each row as ((name, value), ...), a missing value as None."""
    axes = list(axes)
    plain = rows[axes].astype(object).where(rows[axes].notna(), None)
    return [tuple(zip(axes, values, strict=True)) for values in plain.itertuples(index=False, name=None)]


def cells(scores: pd.DataFrame) -> dict[tuple, Cell]:
    """A cell for each of :func:`keys` of ``ENTRY``, its seeds put together."""
    heads = entries(scores)
    heads = dict(zip(keys(heads, ENTRY), heads.to_dict("records"), strict=True))
    found = {}
    for values, rows in scores.groupby(ENTRY):
        key = tuple(zip(ENTRY, values, strict=True))
        ok = rows[rows["status"] == "ok"]
        costs = {name: ok[name].dropna().to_numpy(float) for name in (*_TIMES, _MEMORY)}
        costs = {name: of_seeds[of_seeds > 0] for name, of_seeds in costs.items()}
        costs = {name: values for name, values in costs.items() if len(values)}
        found[key] = Cell(
            status=heads[key]["status"] or "ok",
            reason=heads[key]["reason"],
            machines=frozenset(ok["machine"]),
            sizes=tuple(sorted(set(ok["batch_size"].dropna()))),
            data=frozenset(ok["data_sha256"]),
            mse=heads[key]["mse"],
            times={
                name: (float(np.median(costs[name])), list(costs[name][:, None]))
                for name in _TIMES
                if name in costs
            },
            memory={_MEMORY: float(np.median(costs[_MEMORY]))} if _MEMORY in costs else {},
        )
    return found


def measurements(rows: pd.DataFrame) -> dict[tuple, Cell]:
    """A cell for each of :func:`keys` of ``SCALING_AXES``."""
    found = {}
    named = zip(keys(rows, SCALING_AXES), keys(rows, _SIZES), rows.to_dict("records"), strict=True)
    for key, sizes, row in named:
        ok = row["status"] == "ok"
        found[key] = Cell(
            status=row["status"],
            reason=row["reason"],
            machines=frozenset({row["machine"]}),
            sizes=sizes,
            times={"time_ms": (row["time_ms"], row["repeats_ms"])} if ok and row["time_ms"] > 0 else {},
            memory={"peak_tensor_mb": row["peak_tensor_mb"]} if ok and row["peak_tensor_mb"] > 0 else {},
        )
    return found


def differences(a: Side, b: Side, shared: set[tuple]) -> list[tuple[str, list[str], list[str]]]:
    """(what, values in A, values in B) of the circumstances that differ, in rows of the ``shared`` keys."""
    found = [
        (what, *(_distinct(side, column, shared) for side in (a, b)))
        for what, column in _CIRCUMSTANCES.items()
    ]
    found.append(("precision", *(_distinct(side, "precision", None) for side in (a, b))))
    return [difference for difference in found if difference[1] != difference[2]]


def _distinct(side: Side, column: str, shared: set[tuple] | None) -> list[str]:
    """Values of a column in the rows that ended ok; of those ``shared`` only, unless that is None."""
    values = set()
    for rows, axes in ((side.scores, ENTRY), (side.measured, SCALING_AXES)):
        rows = rows[rows["status"] == "ok"]
        if shared is not None:
            rows = rows[np.array([key in shared for key in keys(rows, axes)], dtype=bool)]
        if column in rows:  # how training ended is not in the scaling table
            values |= {str(value) for value in rows[column].dropna()}
    return sorted(values - {""})
