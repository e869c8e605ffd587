"""Two folders of results held against each other: errors, times and memory of B as ratios to those of A."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from formerbench.analysis.leaderboard import CONFIDENCE, Score
from formerbench.analysis.measured import UNKNOWN_SPREAD, bounds, ratio_interval
from formerbench.analysis.sides import Cell, Side, cells, differences, measurements
from formerbench.errors import StatedError
from formerbench.results import ACCURACY_COLUMNS, SCALING_COLUMNS

_DRAWS = 1000
_FEWEST = 3  # processes that say how processes differ, cells that say how cells do
# A ratio nearer to 1 is a matter of rounding: another order of the same sums.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Change:
    """One quantity of one cell in both folders.

    Attributes:
        quantity: column of the accuracy or of the scaling table.
        place: device and machines of a cost; ``""`` of an error.
        cell: the axes that both have in common.
        ratio: of B over A; ``low`` and ``high`` of its 95 % interval are None where the noise is not known.
    """

    quantity: str
    place: str
    cell: dict
    a: float
    b: float
    low: float | None
    high: float | None

    @property
    def ratio(self) -> float:
        return self.b / self.a

    @property
    def clear(self) -> bool | None:
        """Whether noise does not explain the difference; None where it is not known."""
        if abs(math.log(self.ratio)) < _ROUNDING:
            return False
        return None if self.low is None else not self.low <= 1 <= self.high


@dataclass(frozen=True)
class Summary:
    """A quantity over all cells that both folders have, of one phase and place.

    Attributes:
        ratio: geometric mean; ``low`` and ``high`` of its 95 % interval over other cells like these, None
            where there are fewer than three.
        lower, higher, level, unknown: cells in which B is clearly lower, clearly higher, within noise of A,
            or of unknown noise.
    """

    quantity: str
    phase: str
    place: str
    cells: int
    ratio: float
    low: float | None
    high: float | None
    lower: int
    higher: int
    level: int
    unknown: int


@dataclass(frozen=True)
class Comparison:
    """All that two folders say about each other.

    Attributes:
        changes: clear ones first, each part by how large the difference is.
        differences: (what, values in A, values in B) of the circumstances that are not the same.
        other_data: data sets whose files differ, with the number of cells that are therefore not compared.
        endings: (axes, status in A, status in B, reason) where these differ.
        not_compared: (number, why) of what is left out.
    """

    a: Side
    b: Side
    changes: list[Change]
    summaries: list[Summary]
    differences: list[tuple[str, list[str], list[str]]]
    other_data: dict[str, int]
    endings: list[tuple[dict, str, str, str]]
    not_compared: list[tuple[int, str]]


def compare(a: Side, b: Side) -> Comparison:
    """Hold B against A, cell by cell.

    Errors are compared by Welch's interval of the difference of two means over seeds, times by resampling
    processes and repeats, memory by how well it is known; see :class:`Change`.

    Raises:
        StatedError: no cell and no measurement is in both.
    """
    of_a, of_b = ({**cells(side.scores), **measurements(side.measured)} for side in (a, b))
    shared = [key for key in of_a if key in of_b]
    if not shared:
        raise StatedError(
            f"wanted cells or measurements that both folders have, but {a.name} ({_holds(a, of_a)}) and "
            f"{b.name} ({_holds(b, of_b)}) share none; compare studies with the same data sets, models, "
            "lookbacks, horizons, devices and precisions"
        )
    pairs = [(dict(key), of_a[key], of_b[key]) for key in shared]
    changes = [change for pair in pairs for change in _changes(*pair)]
    ended = [(axes, x.status, y.status, y.reason or x.reason) for axes, x, y in pairs if x.status != y.status]
    return Comparison(
        a=a,
        b=b,
        changes=sorted(changes, key=lambda change: (not change.clear, -abs(math.log(change.ratio)))),
        summaries=_summaries(changes),
        differences=differences(a, b, set(shared)),
        other_data=_other_data(pairs),
        endings=ended,
        not_compared=_not_compared(a, b, len(of_a) - len(shared), len(of_b) - len(shared), pairs),
    )


def _holds(side: Side, found: dict) -> str:
    models = sorted({*side.scores["model"], *side.measured["subject"]})
    twice = f", {side.twice} rows left out that are there more than once" if side.twice else ""
    return f"{len(found)} of {', '.join(models) or 'no model'}{twice}"


def _changes(axes: dict, a: Cell, b: Cell) -> Iterator[Change]:
    if a.mse and b.mse and a.data == b.data and min(a.mse.mean, b.mse.mean) > 0:
        yield Change("mse", "", axes, a.mse.mean, b.mse.mean, *_of_seeds(a.mse, b.mse))
    if not _costs_compare(a, b):
        return
    ((chip_a,), (chip_b,)) = a.machines, b.machines
    place = f"{axes['device']}: {chip_a}" + ("" if chip_a == chip_b else f" against {chip_b}")
    for name in a.times.keys() & b.times.keys():
        (of_a, raw_a), (of_b, raw_b) = a.times[name], b.times[name]
        yield Change(name, place, axes, of_a, of_b, *_of_repeats(raw_a, raw_b))
    for name in a.memory.keys() & b.memory.keys():
        pair = a.memory[name], b.memory[name]
        low, high = bounds(pd.DataFrame({name: pair}), name)
        yield Change(name, place, axes, *pair, float(low[1] / high[0]), float(high[1] / low[0]))


def _costs_compare(a: Cell, b: Cell) -> bool:
    return a.sizes == b.sizes and len(a.machines) == len(b.machines) == 1


def _of_seeds(a: Score, b: Score) -> tuple[float | None, float | None]:
    """Welch's interval of the difference of two means, as a share of that of A and put upon it."""
    from scipy.stats import t

    if a.sd is None or b.sd is None:
        return None, None
    # A forecast that is not trained has no noise at any number of seeds.
    parts = [(score.sd**2 / n, n - 1) for score in (a, b) for n in [max(2, score.n)]]
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return b.mean / a.mean, b.mean / a.mean
    freedom = variance**2 / sum(part**2 / less for part, less in parts)
    half = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(variance)
    return (b.mean - half) / a.mean, (b.mean + half) / a.mean


def _of_repeats(a: list[np.ndarray], b: list[np.ndarray]) -> tuple[float | None, float | None]:
    """Interval of the ratio of two medians; wider where no three processes say how processes differ."""
    ends = ratio_interval(b, a)
    if ends is None:
        return None, None
    spread = 0.0 if min(len(a), len(b)) >= _FEWEST else UNKNOWN_SPREAD
    return ends[0] * math.exp(-spread), ends[1] * math.exp(spread)


def _summaries(changes: list[Change]) -> list[Summary]:
    groups = {}
    for change in changes:
        groups.setdefault((change.quantity, change.cell.get("phase", ""), change.place), []).append(change)
    return [_summary(*key, group) for key, group in sorted(groups.items(), key=lambda item: _order(item[0]))]


def _order(key: tuple[str, str, str]) -> tuple:
    quantity, phase, place = key
    return place, [*ACCURACY_COLUMNS, *SCALING_COLUMNS].index(quantity), phase


def _summary(quantity: str, phase: str, place: str, group: list[Change]) -> Summary:
    logs = np.log([change.ratio for change in group])
    low = high = None
    if len(logs) >= _FEWEST:
        drawn = np.random.default_rng(0).integers(len(logs), size=(_DRAWS, len(logs)))
        ends = np.quantile(logs[drawn].mean(axis=1), ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
        low, high = np.exp(ends).tolist()
    clear = [change.clear for change in group]
    lower = sum(bool(change.clear) and change.ratio < 1 for change in group)
    counts = (lower, clear.count(True) - lower, clear.count(False), clear.count(None))
    return Summary(quantity, phase, place, len(group), float(np.exp(logs.mean())), low, high, *counts)


def _other_data(pairs: list[tuple[dict, Cell, Cell]]) -> dict[str, int]:
    found = {}
    for axes, a, b in pairs:
        if a.mse and b.mse and a.data != b.data:
            found[axes["dataset"]] = found.get(axes["dataset"], 0) + 1
    return found


def _not_compared(a: Side, b: Side, only_a: int, only_b: int, pairs: list) -> list[tuple[int, str]]:
    both = [(x, y) for _, x, y in pairs if x.status == y.status == "ok"]
    several = sum(len(x.machines) > 1 or len(y.machines) > 1 for x, y in both)
    found = [
        (only_a, "cells or measurements only in A"),
        (only_b, "cells or measurements only in B"),
        (a.twice, "rows that A has more than once"),
        (b.twice, "rows that B has more than once"),
        (sum(x.sizes != y.sizes for x, y in both), "with other sizes or batches: their costs are left out"),
        (several, "of several machines in one folder: their costs are left out"),
    ]
    return [(number, why) for number, why in found if number]
