"""The figure of accuracy against time and memory: a point a model, and the front that nothing beats."""

from itertools import pairwise
from math import isnan

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    ScalarFormatter,
)

from formerbench.analysis.tradeoffs import COSTS, Tradeoff, tradeoffs
from formerbench.report.context import Content
from formerbench.report.labels import LABEL_POINTS, Words
from formerbench.report.palette import Style
from formerbench.report.svg import INK, MUTED, PAPER, RC, inline, text_width
from formerbench.report.text import listed, percent

_AXES = {"time_ms": "training step, ms a window", "memory_mb": "peak memory of training, MB"}
_NAMED = {"time_ms": "time", "memory_mb": "memory"}
_CHEAPER = {"time_ms": "takes", "memory_mb": "needs"}
# Where a name may stand beside its point, in points: (right, up, side that touches the point).
_BESIDE = [(right, up, side) for up in (0, 11, -11, 22, -22) for right, side in ((9, "left"), (-9, "right"))]
_BESIDE += [(0, 14, "center"), (0, -14, "center")]


def tradeoff_figures(content: Content) -> list[dict]:
    """Figures {title, svg, note}, one for each machine, device and precision of the study."""
    found = tradeoffs(content.entries, content.accuracy)
    return [_figure(tradeoff, content.styles, i) for i, tradeoff in enumerate(found)]


def _figure(tradeoff: Tradeoff, styles: dict[str, Style], number: int) -> dict:
    costs = [cost for cost in COSTS if tradeoff.points[cost].notna().any()]
    words = Words(
        name=f"tradeoff-{number}",
        title=_finding(tradeoff, costs, styles),
        description="MSE over that of seasonal naive against cost, one point for each model; the line "
        "joins the models that no other beats in both. The table of costs has the same numbers.",
    )
    with mpl.rc_context(RC):
        figure = Figure(figsize=(5.6 * len(costs), 4.1))
        panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
        figure.subplots_adjust(left=0.11 / len(costs), right=0.985, bottom=0.14, top=0.97, wspace=0.06)
        for panel, cost in zip(panels, costs, strict=True):
            _panel(panel, tradeoff, cost, styles)
        panels[0].set_ylabel("MSE over seasonal naive's" + (" (log axis)" if _wide(tradeoff) else ""))
        for panel, cost in zip(panels, costs, strict=True):
            _names(panel, tradeoff, cost, styles)
        svg = inline(figure, words.name, words.title, words.description)
    return {"title": words.title, "svg": Markup(svg), "note": _note(tradeoff, styles)}


def _finding(tradeoff: Tradeoff, costs: list[str], styles: dict[str, Style]) -> str:
    """Who is most accurate, and how much cheaper the cheapest on each front is."""
    best = tradeoff.points.iloc[0]
    words = [
        f"{styles[best['model']].label} is the most accurate, MSE {best['ratio']:.2f} of seasonal naive's"
    ]
    for cost in costs:
        front = tradeoff.front(cost)
        if front.empty:
            return f"No model beats seasonal naive: {words[0]}"
        first, last = front.iloc[0], front.iloc[-1]
        if len(front) == 1:
            words.append(f"no model {_CHEAPER[cost]} less")
        else:
            share = f"{percent(100 * first[cost] / last[cost])} of the {_NAMED[cost]} at {first['ratio']:.2f}"
            words.append(f"{styles[first['model']].label} takes {share}")
    return "; ".join(words)


def _note(tradeoff: Tradeoff, styles: dict[str, Style]) -> str:
    (dataset, horizon), *others = tradeoff.settings
    over = f"on {dataset}, {horizon} steps ahead"
    if others:
        over = f"geometric mean over {len(tradeoff.settings)} pairs of data set and horizon"
    note = f"Each model at its most accurate lookback, {over}, on {tradeoff.device} {tradeoff.precision}"
    note += f", {tradeoff.machine}. " if tradeoff.machine else ". "
    note += "A time is the median step over its batch size; memory is at the batch size of training. "
    if tradeoff.points["noise"].notna().any():
        note += "Bars are one s.d. over seeds: models whose bars overlap may be level in accuracy. "
    else:
        note += "One seed: no noise estimate, so small differences may be luck. "
    if tradeoff.left_out:
        named = listed([styles[name].label for name in tradeoff.left_out])
        note += f"Not in every pair, so left out: {named}. "
    return note + "The line joins the models that none beats in both; seasonal naive, at 1, is not trained."


def _wide(tradeoff: Tradeoff) -> bool:
    """One bad model must not press all others together."""
    ratios = [*tradeoff.points["ratio"], 1.0]
    return max(ratios) / min(ratios) > 2.5


def _panel(panel, tradeoff: Tradeoff, cost: str, styles: dict[str, Style]) -> None:
    front = tradeoff.front(cost)
    panel.axhline(1, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    panel.plot(front[cost], front["ratio"], color=MUTED, linewidth=1.1, drawstyle="steps-post", zorder=1.5)
    for row in tradeoff.points.dropna(subset=cost).itertuples():
        style, noise = styles[row.model], 0 if isnan(row.noise) else row.noise * row.ratio
        panel.errorbar(
            getattr(row, cost),
            row.ratio,
            yerr=noise or None,
            color=style.colour,
            marker=style.marker,
            markersize=9,
            markeredgecolor=PAPER,
            markeredgewidth=0.8,
        )
    panel.set_xscale("log")
    if _wide(tradeoff):
        panel.set_yscale("log")
    panel.margins(x=0.2, y=0.08)
    panel.set_xlabel(_AXES[cost])
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    panel.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    panel.yaxis.set_major_formatter(ScalarFormatter())
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())


def _names(panel, tradeoff: Tradeoff, cost: str, styles: dict[str, Style]) -> None:
    """Write each name where it covers least of the points, of the front and of the names before it."""
    scale = 72 / panel.figure.dpi

    def spots(rows) -> list:
        return [
            panel.transData.transform(spot) * scale for spot in zip(rows[cost], rows["ratio"], strict=True)
        ]

    points, corners = tradeoff.points.dropna(subset=cost), spots(tradeoff.front(cost))
    taken = [(x - 6, x + 6, y - 6, y + 6) for x, y in spots(points)]
    for (x, y), (right, down) in pairwise(corners):
        taken += [(x, right, y - 1, y + 1), (right - 1, right + 1, down, y)]
    edges = [edge * scale for edge in (panel.bbox.x0, panel.bbox.x1)]
    for row, (x, y) in zip(points.to_dict("records"), spots(points), strict=True):
        label, spot = styles[row["model"]].short, (row[cost], row["ratio"])
        boxes = [_box(x, y, text_width(label, LABEL_POINTS), *where) for where in _BESIDE]
        worst = [sum(_overlap(box, other) for other in taken) + 50 * _outside(box, edges) for box in boxes]
        best = worst.index(min(worst))
        taken.append(boxes[best])
        (right, up, side), look = _BESIDE[best], {"va": "center", "fontsize": LABEL_POINTS, "color": INK}
        panel.annotate(label, spot, (right, up), textcoords="offset points", ha=side, **look)


def _box(x: float, y: float, width: float, right: float, up: float, side: str) -> tuple:
    """(left, right, bottom, top) of a name."""
    left = x + right - {"left": 0, "center": width / 2, "right": width}[side]
    return (left, left + width, y + up - 5.5, y + up + 5.5)


def _overlap(a: tuple, b: tuple) -> float:
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[2], b[2]))


def _outside(box: tuple, edges: list[float]) -> float:
    return max(0.0, edges[0] - box[0]) + max(0.0, box[1] - edges[1])
