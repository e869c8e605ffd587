"""Figures with the finding that their title states in numbers."""

import pandas as pd
from markupsafe import Markup

from formerbench.analysis.leaderboard import BASELINES, ENTRY, best_of_each_model
from formerbench.report import figures
from formerbench.report.context import Content, slug
from formerbench.report.labels import Words
from formerbench.report.text import listed, signed_percent, three_digits


def curves(content: Content, dataset: str) -> list[dict]:
    """Lookback figures of a data set, one for each device and precision; none with a single lookback."""
    cells = content.accuracy
    cells = cells[(cells["dataset"] == dataset) & (cells["status"] == "ok") & cells["mse"].notna()]
    cells, left_out = _without_outlier(cells)
    conditions = list(cells.groupby(["device", "precision"]))
    drawn = []
    for (device, precision), group in conditions:
        if group["lookback"].nunique() < 2:
            continue
        where = f"{dataset} on {device} {precision}" if len(conditions) > 1 else dataset
        words = Words(
            name=f"curve-{slug(dataset)}-{device}-{precision}",
            title=f"{where}: {_lookback_finding(content, group)}",
            description="MSE by lookback, one line for each model, one panel for each horizon. "
            "The leaderboards have the same numbers.",
        )
        svg = figures.lookback_curves(group, content.styles, words)
        drawn.append({"title": words.title, "svg": Markup(svg), "left_out": left_out})
    return drawn


def _without_outlier(cells: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Leave out Repeat where it is so bad that it would press all other lines together, and say so."""
    repeat = cells["model"] == "repeat"
    if (
        repeat.all()
        or not repeat.any()
        or cells.loc[repeat, "mse"].min() < 1.5 * cells.loc[~repeat, "mse"].max()
    ):
        return cells, ""
    return cells[
        ~repeat
    ], f"Repeat lies far above (MSE from {cells.loc[repeat, 'mse'].min():.2f}) and is left out."


def _lookback_finding(content: Content, cells: pd.DataFrame) -> str:
    """Which models gain and lose by looking back further, in percent of their MSE, mean over horizons."""
    first, last = int(cells["lookback"].min()), int(cells["lookback"].max())
    ends = cells[cells["lookback"].isin([first, last]) & ~cells["model"].isin(["repeat", "seasonal_naive"])]
    change = ends.groupby(["model", "horizon", "lookback"])["mse"].mean().unstack("lookback")
    change = change.reindex(columns=[first, last]).dropna()
    if change.empty:
        return f"no trained model has scores at both {first} and {last} steps of lookback"
    ratio = (change[last] / change[first]).groupby("model").mean().sort_values()
    named = [
        f"{content.styles[name].label} {signed_percent(100 * (value - 1))}" for name, value in ratio.items()
    ]
    shown = ", ".join(named) if len(named) <= 4 else f"{named[0]} to {named[-1]}"
    fewer, total = int((ratio < 1).sum()), len(ratio)
    return (
        f"looking back {last} steps instead of {first} lowers the MSE of {fewer} of {total} models ({shown})"
    )


def by_step(content: Content, dataset: str, horizon: int) -> list[dict]:
    """How the error grows with the step ahead, each model at its best lookback; none with a single step."""
    best = best_of_each_model(content.entries, dataset, horizon)[ENTRY]
    cells = best.merge(content.tables.steps, on=ENTRY)
    cells, left_out = _without_outlier(cells[cells["mse"].notna()])
    if cells["step"].nunique() < 2:
        return []
    words = Words(
        name=f"steps-{slug(dataset)}-{horizon}",
        title=f"{dataset}, {horizon} steps ahead: {_step_finding(content, cells)}",
        description="MSE by step ahead, mean over test windows, variates and seeds, one line for each model.",
    )
    svg = figures.step_curves(cells, content.styles, words)
    return [{"title": words.title, "svg": Markup(svg), "left_out": left_out, "horizon": horizon}]


def _step_finding(content: Content, cells: pd.DataFrame) -> str:
    """Who is best at the first step and at the last, and how much is lost between the two."""
    first, last = int(cells["step"].min()), int(cells["step"].max())
    mean = cells.groupby(["step", "model"])["mse"].mean()
    ends = [f"{content.styles[mean[step].idxmin()].label} {mean[step].min():.3f}" for step in (first, last)]
    return f"lowest MSE at step {first} {ends[0]}, at step {last} {ends[1]}"


def duel(content: Content, dataset: str) -> list[dict]:
    """Best other model against best baseline at the shortest horizon: what a transformer buys, to the eye."""
    for horizon in sorted(
        content.tables.truth.loc[content.tables.truth["dataset"] == dataset, "horizon"].unique()
    ):
        shown = _shown(content, dataset, int(horizon))
        names = list(shown["model"].unique())
        pair = [name for name in names if name not in BASELINES][:1] + [
            name for name in names if name in BASELINES
        ][:1]
        if pair:
            return [_drawn(content, dataset, int(horizon), shown[shown["model"].isin(pair)], together=True)]
    return []


def all_forecasts(content: Content, dataset: str, horizon: int) -> list[dict]:
    """Every model against truth, a row of panels each, most accurate model first."""
    shown = _shown(content, dataset, horizon)
    return [_drawn(content, dataset, horizon, shown, together=False)] if len(shown) else []


def _shown(content: Content, dataset: str, horizon: int) -> pd.DataFrame:
    """Forecasts of each model at its best lookback and lowest stored seed, best model first."""
    best = best_of_each_model(content.entries, dataset, horizon)[ENTRY].reset_index(drop=True)
    rows = best.assign(rank=best.index).merge(content.tables.forecasts, on=ENTRY)
    rows = rows[rows["seed"] == rows.groupby("model")["seed"].transform("min")]
    return rows.sort_values(["rank", "window", "step"], ignore_index=True)


def _truth(content: Content, dataset: str, horizon: int) -> pd.DataFrame:
    """Truth of the target with at most one horizon of context, so that the forecast has half of the panel."""
    rows = content.tables.truth
    rows = rows[(rows["dataset"] == dataset) & (rows["horizon"] == horizon) & (rows["step"] > -horizon)]
    target = content.facts(dataset).get("target")
    rows = rows[rows["variate"] == target] if target in set(rows["variate"]) else rows
    return rows.drop_duplicates(["window", "step"]).sort_values(["window", "step"])


def _drawn(content: Content, dataset: str, horizon: int, shown: pd.DataFrame, together: bool) -> dict:
    truth = _truth(content, dataset, horizon)
    errors = shown.merge(truth, on=["window", "step"])
    errors = (errors["forecast"] - errors["value"]).abs().groupby(errors["model"], sort=False).mean()
    named = [f"{content.styles[name].label} {three_digits(error)}" for name, error in errors.items()]
    if len(named) > 3:
        named = [*named[:2], named[-1]]
        order = "in the order of the leaderboard, first, second and last"
        finding = f"mean absolute error on these windows, {order}: {listed(named)}"
    else:
        finding = f"mean absolute error on these windows: {listed(named)}"
    target = truth["variate"].iloc[0]
    words = Words(
        name=f"forecast-{slug(dataset)}-{horizon}",
        title=f"{dataset}, {horizon} steps ahead: {finding}",
        description=f"Forecast and truth of {target} in original units, one column of panels a test window.",
    )
    frames = {"": shown}
    if not together:
        rows = dict(list(shown.groupby("model", sort=False)))
        frames = {
            f"{content.styles[name].label}, MAE {three_digits(errors[name])}": rows[name] for name in rows
        }
    models = [content.styles[name] for name in shown["model"].unique()]
    svg = figures.forecasts(truth, frames, content.styles, words)
    return {"title": words.title, "svg": Markup(svg), "target": target, "models": models, "horizon": horizon}
