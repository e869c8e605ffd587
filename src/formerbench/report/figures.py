"""The figures of the report as inline SVG: errors by lookback and by step ahead, forecasts against truth."""

from math import ceil

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator, ScalarFormatter

from formerbench.report.labels import LABEL_POINTS, End, Words, label_ends, label_room, leave_room
from formerbench.report.palette import Style
from formerbench.report.svg import INK, PAPER, RC, inline

_WINDOWS = ("First test window", "Middle test window", "Last test window")


def lookback_curves(cells: pd.DataFrame, styles: dict[str, Style], words: Words) -> str:
    """MSE by lookback, one line a model and one panel a horizon.

    Args:
        cells: ok rows of one data set, device and precision: model, lookback, horizon, mse; a row a seed.
        styles: how each model is drawn.

    The line is the mean over the seeds, the band goes from the lowest seed to the highest.
    """
    horizons = sorted(cells["horizon"].unique())
    columns = min(2, len(horizons))
    rows = ceil(len(horizons) / columns)
    with mpl.rc_context(RC):
        figure = Figure(figsize=(5.6 * columns if columns > 1 else 7.6, 3.5 * rows + 0.3))
        panels = figure.subplots(rows, columns, sharex=True, squeeze=False)
        room = label_room(
            [end for horizon in horizons for end in _line_ends(cells[cells["horizon"] == horizon], styles)]
        )
        for panel, horizon in zip(panels.flat, horizons, strict=False):
            _lookback_panel(panel, cells[cells["horizon"] == horizon], styles)
            panel.set_title(f"{horizon} steps ahead")
        for panel in list(panels.flat)[len(horizons) :]:
            panel.set_visible(False)
        leave_room(figure, columns, room)
        for panel, horizon in zip(panels.flat, horizons, strict=False):
            label_ends(panel, _line_ends(cells[cells["horizon"] == horizon], styles))
        return inline(figure, words.name, words.title, words.description)


def _lookback_panel(panel, cells: pd.DataFrame, styles: dict[str, Style]) -> None:
    data = cells.astype({"lookback": float, "mse": float})
    _mse_lines(panel, data, "lookback", styles)
    lookbacks = sorted(data["lookback"].unique())
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(FixedLocator(lookbacks))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xticks(lookbacks, [f"{lookback:.0f}" for lookback in lookbacks])
    panel.set_xlabel("lookback, steps")
    _mse_axis(panel, data["mse"])


def _mse_lines(panel, data: pd.DataFrame, x: str, styles: dict[str, Style]) -> None:
    """Baselines below, then the models; marks are as many as can be told apart."""
    for name in sorted(data["model"].unique(), key=lambda name: (not styles[name].baseline, name)):
        style, rows = styles[name], data[data["model"] == name]
        sns.lineplot(
            data=rows,
            x=x,
            y="mse",
            ax=panel,
            color=style.colour,
            marker=style.marker,
            markersize=7,
            markevery=max(1, rows[x].nunique() // 6),
            markeredgecolor=PAPER,
            markeredgewidth=0.8,
            linestyle=style.line,
            linewidth=1.3 if style.baseline else 1.9,
            errorbar=("pi", 100),
            err_kws={"linewidth": 0, "alpha": 0.18},
        )


def step_curves(steps: pd.DataFrame, styles: dict[str, Style], words: Words) -> str:
    """MSE by step ahead, one line a model.

    Args:
        steps: of one data set and horizon: model, step, mse; a row a seed.
        styles: how each model is drawn.
    """
    data = steps.astype({"step": float, "mse": float})
    last = data[data["step"] == data["step"].max()].groupby("model")["mse"].mean().sort_values()
    ends = [
        End(styles[name].short, styles[name].colour, data["step"].max(), mse, False)
        for name, mse in last.items()
    ]
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.6, 3.8))
        panel = figure.subplots()
        _mse_lines(panel, data, "step", styles)
        panel.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        panel.set_xlabel("steps ahead")
        _mse_axis(panel, data["mse"])
        leave_room(figure, 1, label_room(ends))
        label_ends(panel, ends)
        return inline(figure, words.name, words.title, words.description)


def _mse_axis(panel, mse: pd.Series) -> None:
    """One bad model must not flatten all others: a wide range is drawn on a log axis, which the axis says."""
    wide = mse.min() > 0 and mse.max() / mse.min() > 2.5
    if wide:
        panel.set_yscale("log")
    panel.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    panel.yaxis.set_major_formatter(ScalarFormatter())
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.set_ylabel("MSE (log axis)" if wide else "MSE")


def _line_ends(cells: pd.DataFrame, styles: dict[str, Style]) -> list[End]:
    longest = cells["lookback"].max()
    ends = []
    for name, rows in cells.groupby("model"):
        last = rows["lookback"].max()
        mse = float(rows.loc[rows["lookback"] == last, "mse"].mean())
        label = styles[name].short if last == longest else f"{styles[name].short}, to {last}"
        ends.append(End(label, styles[name].colour, float(last), mse, last < longest))
    return sorted(ends, key=lambda end: (end.y, end.label))


def forecasts(
    truth: pd.DataFrame, lines: dict[str, pd.DataFrame], styles: dict[str, Style], words: Words
) -> str:
    """Forecast against truth: one column a test window, one row of panels for each item of ``lines``.

    Args:
        truth: window, step, timestamp, value of one data set and horizon; steps up to 0 are context.
        lines: label of a row of panels -> model, window, step, forecast, which are drawn together.
    """
    windows = sorted(truth["window"].unique())
    single = len(lines) == 1
    with mpl.rc_context(RC):
        height = 3.1 if single else 1.4 * len(lines) + 0.8
        figure = Figure(figsize=(11.2, height))
        grid = figure.subplots(len(lines), len(windows), sharex=True, sharey="col", squeeze=False)
        points = 72 * height
        figure.subplots_adjust(
            left=0.05,
            right=0.985,
            top=1 - (26 if single else 34) / points,
            bottom=40 / points,
            wspace=0.13,
            hspace=0.42,
        )
        for row, (label, frame) in zip(grid, lines.items(), strict=True):
            for panel, window in zip(row, windows, strict=True):
                there, guess = truth[truth["window"] == window], frame[frame["window"] == window]
                _forecast_panel(panel, there, guess, styles)
            row[0].annotate(label, (0, 1), (0, 3), "axes fraction", "offset points", fontsize=LABEL_POINTS)
        _name_windows(grid, truth, windows, single)
        return inline(figure, words.name, words.title, words.description)


def _forecast_panel(panel, truth: pd.DataFrame, forecast: pd.DataFrame, styles: dict[str, Style]) -> None:
    steps, values = truth["step"].astype(float), truth["value"].astype(float)
    panel.plot(steps, values, color=INK, linewidth=0.9)
    for name, rows in forecast.groupby("model", sort=False):
        style = styles[name]
        panel.plot(
            rows["step"].astype(float),
            rows["forecast"].astype(float),
            color=style.colour,
            linewidth=1.4 if style.baseline else 1.8,
            linestyle=style.line,
            marker=style.marker,
            markersize=5,
            markevery=max(1, len(rows) // 5),
            markeredgecolor=PAPER,
            markeredgewidth=0.6,
        )
    panel.axvline(0.5, color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
    panel.yaxis.set_major_locator(MaxNLocator(4))
    panel.margins(x=0.01)


def _name_windows(grid, truth: pd.DataFrame, windows: list[int], single: bool) -> None:
    """Which window, from when; the first panel also says what the dashed line is."""
    names = _WINDOWS if len(windows) == 3 else [f"Test window {window}" for window in windows]
    for panel, window, name in zip(grid[0], windows, names, strict=True):
        rows = truth[(truth["window"] == window) & (truth["step"] >= 1)]
        start = rows["timestamp"].iloc[0].replace("T", " ")[:16] if len(rows) else "?"
        panel.set_title(f"{name}, from {start}", pad=6 if single else 20, loc="left", fontweight="normal")
    for panel in grid[-1]:
        panel.set_xlabel("steps from the start of the forecast")
