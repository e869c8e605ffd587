"""The leaderboards: one table for each data set and horizon, and the table of their winners."""

import pandas as pd

from formerbench.analysis.leaderboard import METRICS, Score, Verdict, marks
from formerbench.report.context import Content, slug
from formerbench.report.text import advice, count, listed, percent, score_text, signed_percent

_LONGEST_REASON = 120


def board_id(dataset: str, horizon: int) -> str:
    """Anchor of a leaderboard."""
    return f"board-{slug(dataset)}-{horizon}"


def winner(content: Content, verdict: Verdict) -> dict:
    """A row of the table of winners."""
    second, baseline = verdict.second, verdict.baseline
    return {
        "dataset": verdict.dataset,
        "horizon": verdict.horizon,
        "board": board_id(verdict.dataset, verdict.horizon),
        "best": content.styles[verdict.best["model"]],
        "lookback": verdict.best["lookback"],
        "mse": score_text(verdict.best["mse"]),
        "mse_value": verdict.best["mse"].mean,
        "second": None if second is None else content.styles[second["model"]],
        "lead": "" if verdict.lead is None else percent(verdict.lead),
        "lead_value": verdict.lead,
        "skill": "" if verdict.skill is None else signed_percent(verdict.skill),
        "skill_value": verdict.skill,
        "baseline": None if baseline is None else content.styles[baseline["model"]],
        "baseline_mse": "" if baseline is None else score_text(baseline["mse"]),
        "advice": advice(verdict),
    }


def board(content: Content, dataset: str, horizon: int) -> dict:
    """Leaderboard of one data set and horizon, best row first."""
    group = content.entries
    group = group[(group["dataset"] == dataset) & (group["horizon"] == horizon)]
    columns = {metric: _column(list(group[metric]), metric, marks(group, metric)) for metric in METRICS}
    rows = [
        _row(content, entry, [columns[metric][i] for metric in METRICS])
        for i, (_, entry) in enumerate(group.iterrows())
    ]
    best = group.iloc[0]
    return {
        "id": board_id(dataset, horizon),
        "dataset": dataset,
        "horizon": horizon,
        "winner": content.styles[best["model"]],
        "winner_mse": score_text(best["mse"]),
        "extent": _extent(content, dataset, best["n_test_windows"]),
        "seeds": int(group["n_cells"].max()),
        "conditions": len(group[["device", "precision"]].drop_duplicates()) > 1,
        "rows": rows,
    }


def _extent(content: Content, dataset: str, windows: float | None) -> str:
    """Over what the errors are averaged: "all 2,785 test windows and 7 variates"."""
    variates = len(content.facts(dataset).get("columns", []))
    words = [] if windows is None or pd.isna(windows) else [count(int(windows), "test window")]
    words += [count(variates, "variate")] if variates else []
    return f"all {listed(words)}" if words else "the whole test set"


def _column(scores: list[Score | None], metric: str, ranks: list[str]) -> list[dict | None]:
    """Cells of one metric; the bar shows the MSE as a share of the largest."""
    top = max((score.mean for score in scores if score is not None), default=0)
    cells = []
    for score, rank in zip(scores, ranks, strict=True):
        if score is None:
            cells.append(None)
            continue
        bar = round(100 * score.mean / top) if metric == "mse" and top > 0 else None
        cells.append(
            {"text": score_text(score, metric), "value": score.mean, "marks": rank.split(), "bar": bar}
        )
    return cells


def _row(content: Content, entry: pd.Series, scores: list[dict | None]) -> dict:
    skill = None if pd.isna(entry["skill"]) else float(entry["skill"])
    reason, n_ok, n_cells = entry["reason"], entry["n_ok"], entry["n_cells"]
    return {
        "style": content.styles[entry["model"]],
        "lookback": entry["lookback"],
        "condition": f"{entry['device']} {entry['precision']}",
        "seeds": f"{n_ok}" if n_ok == n_cells else f"{n_ok} of {n_cells}",
        "n_ok": n_ok,
        "status": entry["status"],
        "reason": reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 3] + "...",
        "scores": scores,
        "skill": "" if skill is None else signed_percent(skill),
        "skill_value": skill,
    }
