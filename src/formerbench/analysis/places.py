"""What claims are held against: measurements and scores by where they are from, and published scores."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from formerbench.analysis.measured import CONFIDENCE, UNKNOWN_SPREAD
from formerbench.errors import StatedError
from formerbench.paths import shipped

PUBLISHED = "config/published_results.csv"
# What tells the rows of an experiment apart, beside subject, phase and precision.
AXES = {
    "lookback": ("lookback",),
    "mechanism": ("lookback",),
    "longest": (),
    "horizon": ("horizon", "batch_size"),
    "variates": ("n_variates",),
    "switches": ("variant", "lookback"),
}
_PUBLISHED_TYPES = {
    "dataset": str,
    "model": str,
    "label": str,
    "source": str,
    "lookback": int,
    "horizon": int,
}
_PUBLISHED_SCORES = ("mse", "mae", "rerun_mse", "rerun_mae")
_SAME = ["subject", "lookback", "horizon", "n_variates", "batch_size", "precision", "phase"]
_FEWEST_PAIRS = 3


@dataclass(frozen=True)
class Place:
    """Measurements that may be compared: of one study, machine and device.

    Attributes:
        evidence: name of the folder that they are from; ``""`` for the study's own.
        rows: of :func:`formerbench.analysis.measured.measured`; the interval of each time is wider by half
            the ``spread``, so that the ratio of two times is by all of it.
        spread: by how much the logs of two times differ that are of the same work in two processes; assumed
            where ``pairs``, the number of works measured twice, is 0.
    """

    evidence: str
    study: str
    device: str
    machine: str
    rows: pd.DataFrame
    spread: float
    pairs: int

    @cached_property
    def index(self) -> dict[tuple, tuple]:
        """(experiment, subject, phase, precision, axes) -> (index, values) of the first such row."""
        found = {}
        for index, row in self.rows[self.rows["experiment"].isin(AXES)].to_dict("index").items():
            if row["experiment"] == "switches" or row["variant"] == "base":
                axes = tuple(_size(row[axis]) for axis in AXES[row["experiment"]])
                key = (row["experiment"], row["subject"], row["phase"], row["precision"], axes)
                found.setdefault(key, (index, row))
        return found


@dataclass(frozen=True)
class Scores:
    """Cells of one study, columns ``formerbench.results.ACCURACY_COLUMNS``."""

    evidence: str
    study: str
    rows: pd.DataFrame


@dataclass(frozen=True)
class Sources:
    """All that claims are held against."""

    places: tuple[Place, ...]
    scores: tuple[Scores, ...]
    published: pd.DataFrame


def _size(value):
    """A size as the expressions write it."""
    return value if isinstance(value, str) else None if pd.isna(value) else int(value)


def places(measured: pd.DataFrame) -> tuple[Place, ...]:
    """Places of measurements, as ``report.context.Content.measured`` gives them, the study's own first."""
    keys = ["evidence", "study", "device", "machine"]
    found = []
    for key, rows in measured.groupby(keys, sort=False):
        spread, pairs = _spread(rows)
        rows = _of_one_size(rows)
        widened = {"time_low_ms": rows["time_low_ms"] * np.exp(-spread / 2)}
        widened["time_high_ms"] = rows["time_high_ms"] * np.exp(spread / 2)
        found.append(Place(*key, rows.assign(**widened), spread, pairs))
    return tuple(sorted(found, key=lambda place: place.evidence != ""))


def _of_one_size(rows: pd.DataFrame) -> pd.DataFrame:
    """Of the lengths, only those measured at the most frequent horizon, variates and batch."""
    sizes = ["horizon", "n_variates", "batch_size"]
    of_length = rows[rows["experiment"] == "lookback"]
    if of_length.empty:
        return rows
    most = of_length.groupby(sizes, dropna=False).size().idxmax()
    other = (of_length[sizes] != list(most)).any(axis=1)
    return rows.drop(of_length.index[other.fillna(False).astype(bool)])


def _spread(rows: pd.DataFrame) -> tuple[float, int]:
    """95 % quantile of the log of the ratio of two times of the same work, and the number of such pairs."""
    rows = rows[(rows["status"] == "ok") & (rows["variant"] == "base") & (rows["time_ms"] > 0)]
    rows = rows[rows["experiment"].isin(["lookback", "switches", "variates", "horizon"])]
    times = rows.groupby(_SAME, dropna=False)["time_ms"].agg(["min", "max", "size"])
    pairs = times[times["size"] > 1]
    if len(pairs) < _FEWEST_PAIRS:
        return UNKNOWN_SPREAD, 0
    return float(np.quantile(np.log(pairs["max"] / pairs["min"]), CONFIDENCE)), len(pairs)


def scores(named: Iterable[tuple[str, pd.DataFrame]]) -> tuple[Scores, ...]:
    """Cells by folder and study, in the order given; ``named`` are (evidence, accuracy table)."""
    return tuple(
        Scores(evidence, study, rows[rows["precision"] == "fp32"])
        for evidence, accuracy in named
        for study, rows in accuracy.groupby("study", sort=False)
    )


def published(path: Path | None = None) -> pd.DataFrame:
    """Scores that papers published, one row a (dataset, label, lookback, horizon).

    Raises:
        StatedError: a column is missing or a number is none.
    """
    path = shipped(PUBLISHED) if path is None else Path(path)
    types = _PUBLISHED_TYPES | dict.fromkeys(_PUBLISHED_SCORES, float)
    try:
        return pd.read_csv(path, dtype=types)[list(types)]
    except (OSError, KeyError, ValueError) as error:
        raise StatedError(f"{path} is no table of published scores: {error}") from None
