"""Mean ranks of the models over settings, and whether a test tells them apart (Demšar 2006, section 3.2)."""

from dataclasses import dataclass
from math import inf, sqrt

import pandas as pd

from formerbench.analysis.leaderboard import CONFIDENCE, best_of_each_model

FEWEST_SETTINGS, FEWEST_MODELS = 5, 3


@dataclass(frozen=True)
class Ranks:
    """Ranks by MSE over the settings, which are pairs of data set and horizon.

    Attributes:
        table: one row a setting, one column a model, lowest mean rank first; 1 is the lowest MSE, equal
            errors share their ranks.
        left_out: models that lack a score in some setting.
        p: of Friedman's test that all models are alike; None where there is no test.
        distance: Nemenyi's critical difference: mean ranks less apart than this are not told apart.
        why: why there is no test; ``""`` where there is one.
    """

    table: pd.DataFrame
    left_out: tuple[str, ...]
    p: float | None
    distance: float | None
    why: str

    @property
    def mean(self) -> pd.Series:
        """Mean rank of each model, lowest first."""
        return self.table.mean()

    @property
    def differ(self) -> bool:
        """Whether Friedman's test says that the models are not all alike."""
        return self.p is not None and self.p < 1 - CONFIDENCE

    def alike(self) -> list[tuple[str, ...]]:
        """The longest runs of models, in the order of their mean rank, that the tests cannot tell apart."""
        names, means = list(self.table.columns), list(self.mean)
        if not self.differ:
            return [tuple(names)]
        found, reached = [], 0
        for first, mean in enumerate(means):
            end = sum(other - mean < self.distance for other in means)
            if end > max(reached, first + 1):
                found.append(tuple(names[first:end]))
                reached = end
        return found


def ranks(entries: pd.DataFrame) -> Ranks:
    """Rank each model at its best lookback, as the leaderboards take it, in every setting.

    Args:
        entries: of :func:`formerbench.analysis.leaderboard.entries`.
    """
    scored = entries[entries["mse"].notna()]
    settings = list(scored.groupby(["dataset", "horizon"]).groups)
    errors = {}
    for dataset, horizon in settings:
        best = best_of_each_model(entries, dataset, horizon)
        errors[(dataset, int(horizon))] = {row.model: row.mse.mean for row in best.itertuples()}
    table = pd.DataFrame.from_dict(errors, orient="index", dtype=float)
    complete = table.dropna(axis="columns").rank(axis="columns")
    order = sorted(complete, key=lambda model: (complete[model].mean(), model))
    left_out = tuple(sorted(set(entries["model"]) - set(order)))
    return _tested(complete[order], left_out)


def _tested(table: pd.DataFrame, left_out: tuple[str, ...]) -> Ranks:
    n, k = table.shape
    if n < FEWEST_SETTINGS or k < FEWEST_MODELS:
        few, needed = f"settings: {n}", FEWEST_SETTINGS
        if n >= FEWEST_SETTINGS:
            few, needed = f"models with a score in all of them: {k}", FEWEST_MODELS
        return Ranks(table, left_out, None, None, f"too few {few}, and a test needs {needed}")
    from scipy.stats import friedmanchisquare, studentized_range

    # Where all mean ranks are equal, the statistic is 0, or 0/0 where every setting is a tie of all.
    alike = table.mean().nunique() == 1
    p = 1.0 if alike else float(friedmanchisquare(*(table[name] for name in table)).pvalue)
    q = float(studentized_range.ppf(CONFIDENCE, k, inf)) / sqrt(2)
    return Ranks(table, left_out, p, q * sqrt(k * (k + 1) / (6 * n)), "")
