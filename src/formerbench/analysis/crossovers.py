"""Which subject is cheaper at which length, and where that turns; what noise explains does not count."""

from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import pandas as pd

from formerbench.analysis.measured import bounds


@dataclass(frozen=True)
class Turn:
    """From ``length`` on, ``cheaper`` costs less than the other; it lies between ``after`` and ``before``."""

    cheaper: str
    dearer: str
    length: float
    after: int
    before: int


@dataclass(frozen=True)
class Duel:
    """Two subjects over the lengths that both were measured at.

    Attributes:
        turns: where the cheaper one changes, shortest first.
        cheaper: who is cheaper throughout; None where it changes or the noise hides it everywhere.
        clear, shared: lengths at which the difference is larger than the noise, and all shared ones.
    """

    a: str
    b: str
    turns: tuple[Turn, ...]
    cheaper: str | None
    clear: int
    shared: tuple[int, ...]


def duels(rows: pd.DataFrame, quantity: str, by: str = "subject", x: str = "lookback") -> list[Duel]:
    """Every pair of subjects that shares a length.

    Args:
        rows: ok rows of one device, precision, machine, phase and setting, one a (subject, length).
    """
    curves = {name: _curve(group, quantity, x) for name, group in rows.groupby(by)}
    pairs = combinations(sorted(curves), 2)
    found = [_duel(a, b, curves[a], curves[b]) for a, b in pairs]
    return [duel for duel in found if duel.shared]


def _curve(rows: pd.DataFrame, quantity: str, x: str) -> pd.DataFrame:
    low, high = bounds(rows, quantity)
    columns = {"value": rows[quantity].to_numpy(float), "low": low, "high": high}
    return pd.DataFrame(columns, index=rows[x].to_numpy(int)).sort_index()


def _duel(a: str, b: str, of_a: pd.DataFrame, of_b: pd.DataFrame) -> Duel:
    lengths = of_a.index.intersection(of_b.index)
    of_a, of_b = of_a.loc[lengths], of_b.loc[lengths]
    sign = np.where(of_a["high"] < of_b["low"], -1, np.where(of_b["high"] < of_a["low"], 1, 0))
    gap = np.log(of_a["value"] / of_b["value"]).to_numpy()  # below 0: a is cheaper
    clear = np.flatnonzero(sign)
    turns = tuple(_turn(a, b, lengths, gap, i, j) for i, j in pairwise(clear) if sign[i] != sign[j])
    cheaper = None
    if len(clear) and not turns:
        cheaper = a if sign[clear[0]] < 0 else b
    return Duel(a, b, turns, cheaper, len(clear), tuple(int(length) for length in lengths))


def _turn(a: str, b: str, lengths, gap: np.ndarray, i: int, j: int) -> Turn:
    """Where the log of the ratio crosses 0 between the clear lengths i and j, linearly in log L.

    Ties between the two may cross several times: the middle of these places stands for all.
    """
    u = np.log(np.asarray(lengths[i : j + 1], dtype=float))
    g = gap[i : j + 1]
    places = []
    for k in range(len(g) - 1):
        if g[k] == 0 or g[k] * g[k + 1] < 0:
            places.append(u[k] + (u[k + 1] - u[k]) * g[k] / (g[k] - g[k + 1]) if g[k] else u[k])
    length = float(np.exp(np.median(places)))
    pair = (a, b) if gap[j] < 0 else (b, a)
    return Turn(*pair, length, int(lengths[i]), int(lengths[j]))


def winners(rows: pd.DataFrame, quantity: str, x: str = "lookback") -> dict[int, tuple[str, tuple[str, ...]]]:
    """For each length the cheapest subject, and those that the noise cannot tell from it.

    Args:
        rows: as for :func:`duels`.
    """
    low, high = bounds(rows, quantity)
    frame = rows.assign(low=low, high=high)
    found = {}
    for length, group in frame.groupby(x):
        group = group.sort_values([quantity, "subject"])
        best, others = group.iloc[0], group.iloc[1:]
        tied = others.loc[others["low"] <= best["high"], "subject"]
        found[int(length)] = (best["subject"], tuple(tied))
    return found
