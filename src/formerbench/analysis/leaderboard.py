"""Who is best, by how much, and whether the seeds can tell: entries, ranks, ties and skill."""

import math
from dataclasses import dataclass

import pandas as pd

BASELINES = ("repeat", "seasonal_naive", "dlinear")
TRANSFORMERS = ("tft", "informer", "autoformer", "fedformer", "patchtst", "itransformer")
REFERENCE = "seasonal_naive"
METRICS = ("mse", "mae", "mase", "smape")
ENTRY = ["dataset", "horizon", "model", "lookback", "device", "precision"]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Score:
    """Mean of a metric over the ``n`` seeds that ended ok.

    ``sd`` is the sample standard deviation over the seeds: 0 where nothing is trained, None where a single
    seed gives no estimate of the noise.
    """

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class Verdict:
    """The answer for one data set and horizon.

    Attributes:
        best: the entry (row of :func:`entries`) with the lowest mean MSE.
        second: the best entry of another model, or None where there is no other.
        tied: whether the seeds cannot tell the two apart; None where the noise is not known.
        lead: how far the MSE of ``best`` is below that of ``second``, in % of the latter.
        baseline: the best entry among the baselines, or None.
        baseline_tied: whether the seeds cannot tell ``best`` and ``baseline`` apart; None also where they are
            the same.
        skill: how far the MSE of ``best`` is below that of seasonal naive, in %; None where that was not run.
    """

    dataset: str
    horizon: int
    best: pd.Series
    second: pd.Series | None
    tied: bool | None
    lead: float | None
    baseline: pd.Series | None
    baseline_tied: bool | None
    skill: float | None


def entries(accuracy: pd.DataFrame) -> pd.DataFrame:
    """One row for each data set, horizon, model, lookback, device and precision; the seeds are put together.

    Columns: ``ENTRY``; n_ok and n_cells; status and reason ("" where at least one seed ended ok); for each of
    ``METRICS`` a :class:`Score` or None; skill in % (missing without seasonal naive); n_test_windows. Sorted
    by data set, horizon and MSE, entries without a score last.
    """
    rows = [_entry(dict(zip(ENTRY, key, strict=True)), cells) for key, cells in accuracy.groupby(ENTRY)]
    columns = [*ENTRY, "n_ok", "n_cells", "status", "reason", *METRICS, "n_test_windows"]
    frame = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(METRICS, "object"))
    naive = frame[(frame["model"] == REFERENCE) & frame["mse"].notna()]
    frame["skill"] = pd.Series([_skill(row, naive) for _, row in frame.iterrows()], dtype=float)
    frame["order"] = [float("inf") if score is None else score.mean for score in frame["mse"]]
    keys = ["dataset", "horizon", "order", "model", "lookback", "device", "precision"]
    return frame.sort_values(keys, ignore_index=True).drop(columns="order")


def _entry(key: dict, cells: pd.DataFrame) -> dict:
    good = cells[(cells["status"] == "ok") & cells["mse"].notna()]
    bad = cells.drop(good.index)
    untrained = key["model"] in ("repeat", REFERENCE) or bool((good["n_parameters"] == 0).all() and len(good))
    row = key | {"n_ok": len(good), "n_cells": len(cells), "status": "", "reason": ""}
    if good.empty:
        row["status"] = " ".join(sorted(set(bad["status"])))
        row["reason"] = "; ".join(dict.fromkeys(reason for reason in bad["reason"] if reason))
    windows = good["n_test_windows"].dropna()
    row["n_test_windows"] = int(windows.iloc[0]) if len(windows) else None
    return row | {name: _score(good[name].dropna(), untrained) for name in METRICS}


def _score(values: pd.Series, untrained: bool) -> Score | None:
    if values.empty:
        return None
    if untrained:
        return Score(float(values.iloc[0]), 0.0, len(values))
    return Score(float(values.mean()), float(values.std()) if len(values) > 1 else None, len(values))


def _skill(row: pd.Series, naive: pd.DataFrame) -> float | None:
    """Skill against the seasonal naive of the same lookback, else of any (it looks back one season only)."""
    if row["mse"] is None:
        return None
    there = naive[(naive["dataset"] == row["dataset"]) & (naive["horizon"] == row["horizon"])]
    there = there.sort_values("lookback", key=lambda lookback: lookback != row["lookback"], kind="stable")
    if there.empty or there["mse"].iloc[0].mean <= 0:
        return None
    return 100 * (1 - row["mse"].mean / there["mse"].iloc[0].mean)


def tied(a: Score, b: Score) -> bool | None:
    """Whether the seeds cannot tell two means apart, by Welch's test at the 95 % level.

    None where one of the two has a single seed, because then the noise is not known.
    """
    from scipy.stats import ttest_ind_from_stats

    if a.sd is None or b.sd is None:
        return None
    if a.sd == b.sd == 0:
        return bool(a.mean == b.mean)
    # A forecast that is not trained has no noise at any number of seeds; the test asks for two at least.
    samples = [value for score in (a, b) for value in (score.mean, score.sd, max(2, score.n))]
    return bool(ttest_ind_from_stats(*samples, equal_var=False).pvalue >= 1 - CONFIDENCE)


def percent_above(error: float, best: float) -> float:
    """How much higher ``error`` is than ``best``, in percent; infinite above the 0 of a perfect forecast."""
    if error == best:
        return 0.0
    return 100 * (error / best - 1) if best else math.inf


def marks(group: pd.DataFrame, metric: str) -> list[str]:
    """For each entry of one data set and horizon: "best", "second", "tie", "second tie" or "".

    The marks go by the mean; "tie" says that the seeds cannot tell the entry from the best one.
    """
    scores = list(group[metric])
    ranked = sorted({score.mean for score in scores if score is not None})
    if not ranked:
        return [""] * len(scores)
    best = next(score for score in scores if score is not None and score.mean == ranked[0])
    marked = []
    for score in scores:
        place = ranked.index(score.mean) if score is not None else len(ranked)
        words = ["best"] if place == 0 else ["second"] if place == 1 else []
        if score is not None and place > 0 and tied(best, score):
            words.append("tie")
        marked.append(" ".join(words) if score is not None else "")
    return marked


def verdicts(frame: pd.DataFrame) -> list[Verdict]:
    """One :class:`Verdict` for each data set and horizon of ``entries`` that has a score."""
    scored = frame[frame["mse"].notna()]
    return [_verdict(group) for _, group in scored.groupby(["dataset", "horizon"])]


def _lead(best: float, second: float) -> float:
    """How much lower ``best`` is, in percent."""
    return 100 * (1 - best / second) if second else 0.0


def _verdict(group: pd.DataFrame) -> Verdict:
    best = group.iloc[0]
    second = _first(group[group["model"] != best["model"]])
    baseline = _first(group[group["model"].isin(BASELINES)])
    compare = baseline is not None and best["model"] not in BASELINES
    return Verdict(
        dataset=best["dataset"],
        horizon=int(best["horizon"]),
        best=best,
        second=second,
        tied=None if second is None else tied(best["mse"], second["mse"]),
        lead=None if second is None else _lead(best["mse"].mean, second["mse"].mean),
        baseline=baseline,
        baseline_tied=tied(best["mse"], baseline["mse"]) if compare else None,
        skill=None if pd.isna(best["skill"]) else float(best["skill"]),
    )


def _first(group: pd.DataFrame) -> pd.Series | None:
    return None if group.empty else group.iloc[0]


def best_of_each_model(frame: pd.DataFrame, dataset: str, horizon: int) -> pd.DataFrame:
    """The entry with the lowest MSE of each model, best first: what figures and variate tables show."""
    group = frame[(frame["dataset"] == dataset) & (frame["horizon"] == horizon) & frame["mse"].notna()]
    return group.drop_duplicates("model")
