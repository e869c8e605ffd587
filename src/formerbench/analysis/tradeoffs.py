"""What accuracy costs: error against time and memory of each model, and which models none beats in both."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from formerbench.analysis.leaderboard import ENTRY, best_of_each_model
from formerbench.analysis.measured import machines

COSTS = ("time_ms", "memory_mb")
POINT = ["model", "ratio", "noise", *COSTS]


@dataclass(frozen=True)
class Tradeoff:
    """Trained models at their best lookback, on one machine, device and precision.

    Attributes:
        settings: the pairs of data set and horizon over which the means are taken.
        points: a row a model, most accurate first: model, ratio (MSE over that of seasonal naive), noise (its
            relative s.d. over seeds, missing with one seed), time_ms (median training step over the batch
            size: ms a window) and memory_mb (peak of training); geometric means over the settings. A cost
            that was not measured everywhere is missing.
        left_out: models that lack a score in some setting.
    """

    machine: str
    device: str
    precision: str
    settings: tuple[tuple[str, int], ...]
    points: pd.DataFrame
    left_out: tuple[str, ...]

    def front(self, cost: str) -> pd.DataFrame:
        """Points than which none is as accurate and cheaper, cheapest first; seasonal naive costs nothing."""
        there = self.points[(self.points[cost] > 0) & (self.points["ratio"] < 1)]
        there = there.sort_values([cost, "ratio"])
        return there[there["ratio"] < there["ratio"].cummin().shift(fill_value=np.inf)]


def tradeoffs(entries: pd.DataFrame, accuracy: pd.DataFrame) -> list[Tradeoff]:
    """One for each machine, device and precision that has a cost; none without seasonal naive.

    Args:
        entries: of ``accuracy``.
    """
    rows = accuracy[(accuracy["status"] == "ok") & accuracy["mse"].notna() & (accuracy["n_parameters"] > 0)]
    rows = rows.assign(
        machine=machines(rows),
        time_ms=(rows["step_time_ms"] / rows["batch_size"]).astype(float),
        memory_mb=rows["peak_memory_mb"].astype(float),
    )
    rows = rows[rows[list(COSTS)].notna().any(axis=1)]
    found = []
    for key, own in rows.groupby(["machine", "device", "precision"]):
        costs = own.groupby(ENTRY)[list(COSTS)].median().reset_index()
        tradeoff = _tradeoff(key, entries.merge(costs, on=ENTRY))
        found += [tradeoff] if tradeoff is not None else []
    return found


def _tradeoff(key: tuple[str, str, str], entries: pd.DataFrame) -> Tradeoff | None:
    compared = entries[entries["skill"].notna()]
    settings = tuple(
        (name, int(horizon)) for name, horizon in compared.groupby(["dataset", "horizon"]).groups
    )
    if not settings:
        return None
    best = pd.concat([best_of_each_model(compared, *setting) for setting in settings])
    models = best.groupby("model").filter(lambda own: len(own) == len(settings)).groupby("model")
    points = pd.DataFrame([{"model": name} | _point(own) for name, own in models], columns=POINT)
    points = points[points["ratio"].notna()]
    if points.empty:
        return None
    left_out = tuple(sorted(set(entries["model"]) - set(points["model"])))
    return Tradeoff(*key, settings, points.sort_values(["ratio", "model"], ignore_index=True), left_out)


def _point(own: pd.DataFrame) -> dict:
    noise = [np.nan if score.sd is None or score.mean == 0 else score.sd / score.mean for score in own["mse"]]
    return {
        "ratio": _geometric_mean(1 - own["skill"] / 100),
        # The noise of settings adds up as that of independent logs.
        "noise": float(np.sqrt(np.sum(np.square(noise))) / len(own)),
        **{cost: _geometric_mean(own[cost]) for cost in COSTS},
    }


def _geometric_mean(values: pd.Series) -> float:
    """NaN where a value is missing or not positive, so that all models are over the same settings."""
    return float(np.exp(np.log(values.astype(float).where(values > 0).to_numpy()).mean()))
