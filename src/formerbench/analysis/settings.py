"""Settings of the accuracy tables: models on the same data set, horizon and lookback of one study."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from formerbench.analysis.leaderboard import BASELINES, Score, entries, tied
from formerbench.analysis.places import Scores

_KEYS = ["dataset", "horizon", "lookback"]


@dataclass(frozen=True)
class Setting:
    """A data set, horizon and lookback of a study where two models or more, not only baselines, have scores.

    Attributes:
        evidence: folder that the cells are from; ``""`` for the study's own.
        n_variates: of the data set, or None where it is not known.
        scores: model -> mean MSE over the seeds, the lowest first; of several devices that with the most
            seeds, then the first in the alphabet, as to take the lower error would be to choose by the test.
        unscored: model -> status of those that were run and have no score.
        cut: whether a budget ended the training of a model, so that its score is not its best.
        n_cells: rows of the accuracy table.
    """

    evidence: str
    study: str
    dataset: str
    horizon: int
    lookback: int
    n_variates: int | None
    scores: dict[str, Score]
    unscored: dict[str, str]
    cut: bool
    n_cells: int

    @property
    def winner(self) -> str:
        """The model with the lowest mean MSE."""
        return next(iter(self.scores))

    @property
    def level(self) -> list[str]:
        """Models that the seeds cannot tell from the winner."""
        return [
            model for model, score in self.scores.items() if self.best is not score and tied(self.best, score)
        ]

    @property
    def best(self) -> Score:
        return self.scores[self.winner]


def most_frequent(winners: Iterable[str]) -> str:
    """The model that won most often, of equals the first in the alphabet."""
    counts = Counter(winners)
    return min(counts, key=lambda model: (-counts[model], model))


def settings(scores: Iterable[Scores], variates: Mapping[str, int | None]) -> list[Setting]:
    """All settings, in the order of ``scores``, then by data set, horizon and lookback.

    Args:
        scores: of :func:`formerbench.analysis.places.scores`, the study's own first.
        variates: number of variates of each data set, where it is known.
    """
    found = []
    for source in scores:
        cells = source.rows.groupby(_KEYS)
        for key, group in entries(source.rows).groupby(_KEYS):
            there = set(group.loc[group["mse"].notna(), "model"])
            if len(there) > 1 and there - set(BASELINES):
                named = dict(zip(_KEYS, key, strict=True))
                found.append(_setting(source, named, group, cells.get_group(key), variates))
    return found


def _setting(
    source: Scores, key: dict, group: pd.DataFrame, cells: pd.DataFrame, variates: Mapping
) -> Setting:
    first = group.sort_values(["n_ok", "device"], ascending=[False, True]).drop_duplicates("model")
    scored = first[first["mse"].notna()].sort_values("mse", key=lambda scores: [one.mean for one in scores])
    lost = first[first["mse"].isna()]
    return Setting(
        evidence=source.evidence,
        study=source.study,
        dataset=key["dataset"],
        horizon=int(key["horizon"]),
        lookback=int(key["lookback"]),
        n_variates=variates.get(key["dataset"]),
        scores=dict(zip(scored["model"], scored["mse"], strict=True)),
        unscored=dict(zip(lost["model"], lost["status"], strict=True)),
        cut=bool((cells["stopped_by"] == "budget").any()),
        n_cells=len(cells),
    )
