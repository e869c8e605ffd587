"""Published scores beside ours: which of them training anew reaches."""

from dataclasses import dataclass

import pandas as pd

from formerbench.analysis.claims import REACHED
from formerbench.analysis.leaderboard import ENTRY, Score

_SAME = ["dataset", "model", "horizon"]


@dataclass(frozen=True)
class Comparison:
    """A published score and an entry of the same model, data set, horizon and lookback.

    Attributes:
        published: a row of :func:`formerbench.analysis.places.published`.
        entry: of :func:`formerbench.analysis.leaderboard.entries`.
        stopped_by: what ended the training of its cells that ended ok; empty where nothing is trained.
    """

    published: pd.Series
    entry: pd.Series
    stopped_by: tuple[str, ...]

    @property
    def ratio(self) -> float:
        """Our MSE over the published one."""
        return self.entry["mse"].mean / self.published["mse"]

    @property
    def reached(self) -> bool | None:
        """Whether our MSE is at most 3 % or two s.d. above the published; None after a budget."""
        if "budget" in self.stopped_by:
            return None
        score: Score = self.entry["mse"]
        margin = max((REACHED - 1) * self.published["mse"], 2 * (score.sd or 0))
        return score.mean <= self.published["mse"] + margin


def comparisons(entries: pd.DataFrame, cells: pd.DataFrame, published: pd.DataFrame) -> list[Comparison]:
    """One :class:`Comparison` for each published score and entry in float32 that belong together.

    Args:
        entries: of ``cells``, an accuracy table.
        published: of :func:`formerbench.analysis.places.published`, whose order is kept.
    """
    known = entries[entries["mse"].notna() & (entries["precision"] == "fp32")]
    found = []
    for _, other in published.iterrows():
        own = known[(known[_SAME] == other[_SAME]).all(axis=1)].sort_values(["device", "lookback"])
        # The repeated last value is the same at each lookback.
        at_any = other["model"] == "repeat"
        own = own.drop_duplicates("device") if at_any else own[own["lookback"] == other["lookback"]]
        found += [Comparison(other, entry, _stopped_by(cells, entry)) for _, entry in own.iterrows()]
    return found


def _stopped_by(cells: pd.DataFrame, entry: pd.Series) -> tuple[str, ...]:
    own = cells[(cells[ENTRY] == entry[ENTRY]).all(axis=1) & (cells["status"] == "ok")]
    return tuple(sorted(set(own["stopped_by"]) - {""}))
