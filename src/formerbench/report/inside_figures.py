"""Figures of a model's inside: bars, lines and maps of :mod:`formerbench.inside.views`."""

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from formerbench.report.labels import LABEL_POINTS, End, Words, label_ends, label_room, leave_room
from formerbench.report.palette import Style
from formerbench.report.svg import INK, PAPER, RC, inline, text_width
from formerbench.report.text import three_digits

_LINES = ("-", "--", ":", "-.")
_LONGEST = 24  # characters of a label beside a bar or a row
_MOST_TICKS = 16


def inside_figure(view: dict, patterns: list[dict], style: Style, name: str) -> dict:
    """Figure {title, svg, note} of one view; its title is what was found in it, in numbers.

    Args:
        patterns: those of this view.
        name: unique on the page.
    """
    title = f"{view['title']}: {finding(view, patterns)}"
    words = Words(name, title, _DESCRIPTIONS[view["kind"]])
    with mpl.rc_context(RC):
        figure = _DRAWN[view["kind"]](view, style)
        svg = inline(figure, words.name, words.title, words.description)
    return {"title": title, "svg": Markup(svg), "note": _note(view)}


def finding(view: dict, patterns: list[dict]) -> str:
    """The patterns of a view, or what is largest in it."""
    if patterns:
        return "; ".join(pattern_words(pattern) for pattern in patterns)
    if view["kind"] == "bars":
        value, label = max(zip(view["values"], view["labels"], strict=True))
        return f"most on {_cut(label)}, {three_digits(value)}"
    if view["kind"] == "lines":
        spans = {name: max(values) - min(values) for name, values in view["series"].items()}
        return ", ".join(f"{name} spans {three_digits(span)}" for name, span in spans.items())
    return f"largest {three_digits(_largest(view))}"


def pattern_words(pattern: dict) -> str:
    """ "local bias (mean distance, steps, 41.2; by chance 63.0)", or that there is none."""
    name = pattern["name"] if pattern["found"] else f"no {pattern['name']}"
    numbers = f"{three_digits(pattern['value'])}; by chance {three_digits(pattern['chance'])}"
    return f"{name} ({pattern['what']} {numbers})"


def _note(view: dict) -> str:
    if view["kind"] == "map":
        return f"Full colour is {three_digits(_largest(view))}, no colour 0."
    return "Ticks at the bottom mark what is selected." if view.get("marks") else ""


def _largest(view: dict) -> float:
    return max(max(row) for row in view["values"])


def _cut(label: str) -> str:
    return label if len(label) <= _LONGEST else label[: _LONGEST - 3] + "..."


def _bars(view: dict, style: Style) -> Figure:
    labels, values = [_cut(label) for label in view["labels"]], view["values"]
    height = 20 * len(values) + 46
    figure = Figure(figsize=(7.6, height / 72))
    room = 18 + max(text_width(label, LABEL_POINTS) for label in labels)
    panel = figure.add_axes((room / 547, 38 / height, 1 - (room + 52) / 547, 1 - 44 / height))
    places = range(len(values))
    panel.barh(places, values, color=style.colour, height=0.62)
    panel.set_yticks(list(places), labels, fontsize=LABEL_POINTS, color=INK)
    panel.invert_yaxis()
    panel.grid(False)
    panel.set_xlim(0, max(values) or 1)
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.set_xlabel(view["y_label"])
    for place, value in zip(places, values, strict=True):
        panel.annotate(
            three_digits(value), (value, place), (5, 0), textcoords="offset points", va="center", fontsize=8.5
        )
    return figure


def _lines(view: dict, style: Style) -> Figure:
    figure = Figure(figsize=(7.6, 3.4))
    panel = figure.subplots()
    x, ends = view["x"], []
    models = [name for name in view["series"] if name != "truth"]
    for name, values in view["series"].items():
        colour = INK if name == "truth" else style.colour
        line = "-" if name == "truth" else _LINES[models.index(name) % len(_LINES)]
        panel.plot(x, values, color=colour, linestyle=line, linewidth=1.0 if name == "truth" else 1.6)
        ends.append(End(name, colour, x[-1], values[-1], False))
    panel.margins(x=0.01)
    low = panel.get_ylim()[0]  # this also fixes the limits, by which the labels are placed
    if view["marks"]:
        panel.plot(view["marks"], [low] * len(view["marks"]), "|", color=INK, markersize=9, clip_on=False)
    panel.set_ylim(bottom=low)
    panel.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    panel.yaxis.set_major_locator(MaxNLocator(5))
    panel.set_xlabel(view["x_label"])
    panel.set_ylabel(view["y_label"])
    ends.sort(key=lambda end: (end.y, end.label))
    leave_room(figure, 1, label_room(ends))
    label_ends(panel, ends)
    return figure


def _map(view: dict, style: Style) -> Figure:
    rows, columns = view["rows"], view["columns"]
    shown = [_cut(label) for label in rows]
    left = 40 + max(text_width(label, LABEL_POINTS) for label in shown)
    below = 34 + max(text_width(_cut(label), LABEL_POINTS) for label in columns)
    side = min(18.0, 420 / len(columns))
    width, height = left + side * len(columns) + 12, below + max(side, 12) * len(rows) + 8
    figure = Figure(figsize=(width / 72, height / 72))
    panel = figure.add_axes((left / width, below / height, 1 - (left + 12) / width, 1 - (below + 8) / height))
    colours = LinearSegmentedColormap.from_list("one", [(*to_rgba(style.colour)[:3], 0.0), style.colour])
    # A square with a border of the page's colour: cells can be counted, in light and dark.
    panel.pcolormesh(
        view["values"], cmap=colours, vmin=0, vmax=_largest(view) or 1, edgecolor=PAPER, linewidth=0.3
    )
    panel.invert_yaxis()
    panel.grid(False)
    by = -(-len(rows) // _MOST_TICKS)
    panel.set_yticks(
        [i + 0.5 for i in range(0, len(rows), by)], shown[::by], fontsize=LABEL_POINTS, color=INK
    )
    by = -(-len(columns) // _MOST_TICKS)
    panel.set_xticks(
        [i + 0.5 for i in range(0, len(columns), by)],
        [_cut(label) for label in columns[::by]],
        fontsize=LABEL_POINTS,
        rotation=90,
        color=INK,
    )
    panel.set_xlabel(view["column_label"])
    panel.set_ylabel(view["row_label"])
    return figure


_DRAWN = {"bars": _bars, "lines": _lines, "map": _map}
_DESCRIPTIONS = {
    "bars": "One bar for each input or delay, largest value farthest right.",
    "lines": "One line for each quantity, named at its end.",
    "map": "One row for what asks, one column for what is looked at; the more colour, the larger the weight.",
}
