"""Log-log figures of time and memory: measured points, the fitted line, and where a subject ran out."""

import re
from math import ceil, log10

import matplotlib as mpl
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from formerbench.analysis.fits import PowerLaw
from formerbench.report.groups import Group
from formerbench.report.labels import End, Words, label_ends, label_room, leave_room
from formerbench.report.matrix import MEMORY_WORDS, exponent
from formerbench.report.palette import Style
from formerbench.report.svg import MUTED, PAPER, RC, inline
from formerbench.report.text import three_digits

_WIDEST_ROOM = 150  # points for the names beside a panel, above which panels are one below the other
_MOST_TICKS = 9  # more, evenly spread, would write over each other


def growth(groups: list[Group]) -> list[dict]:
    """Figures of time and of memory, a panel a phase; none where no subject has two points.

    Args:
        groups: of one home.
    """
    found = []
    for quantity in ("time_ms", groups[0].memory):
        drawn = [group for group in groups if group.good(quantity)["point"].nunique() > 1]
        if drawn:
            found.append(_figure(drawn, quantity))
    return found


def _figure(groups: list[Group], quantity: str) -> dict:
    what = "time" if quantity == "time_ms" else "memory"
    drawn = "Median time" if what == "time" else MEMORY_WORDS[quantity].capitalize()
    words = Words(
        name=f"{what}-{groups[0].key}",
        title=_finding(groups, quantity, what),
        description=f"{drawn} on log axes, one line for each column of the table above.",
    )
    with mpl.rc_context(RC):
        room = label_room([end for group in groups for end in _ends(group, quantity)])
        columns = 1 if room > _WIDEST_ROOM else min(2, len(groups))
        rows = ceil(len(groups) / columns)
        figure = Figure(figsize=(5.6 * columns if columns > 1 else 7.6, (4.4 if columns > 1 else 3.8) * rows))
        panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
        for panel, group in zip(panels, groups, strict=False):
            _panel(panel, group, quantity)
        for panel in panels[len(groups) :]:
            panel.set_visible(False)
        leave_room(figure, columns, room)
        for panel, group in zip(panels, groups, strict=False):
            _lost(panel, group, quantity)
            label_ends(panel, _ends(group, quantity))
        svg = inline(figure, words.name, words.title, words.description)
    return {"title": words.title, "svg": Markup(svg)}


def _finding(groups: list[Group], quantity: str, what: str) -> str:
    """Who grows fastest and slowest, in exponents."""
    found = []
    for group in groups:
        laws = [(style, group.fits.get((style.name, quantity))) for style in group.styles]
        known = sorted(
            ((law.exponent, style.label) for style, law in laws if isinstance(law, PowerLaw)), reverse=True
        )
        if known:
            ends = known if len(known) == 1 else [known[0], known[-1]]
            named = " to ".join(f"{label} L^{exponent(power)}" for power, label in ends)
            found.append(f"{group.phase_words.lower()} {named}")
    unit = "n_variates" in groups[0].axes
    if found:
        words = "; ".join(found)
        return f"Growth of {what}, steepest to flattest: {words.replace('L^', 'D^') if unit else words}"
    subjects = {name for group in groups for name in group.good(quantity)["subject"]}
    return f"{what.capitalize()} of {len(subjects)} measured; too few points for an exponent"


def _panel(panel, group: Group, quantity: str) -> None:
    axis, rows = group.axes[0], group.good(quantity)
    for style in reversed(group.styles):
        own = rows[rows["subject"] == style.name]
        if own.empty:
            continue
        x, y = own[axis].to_numpy(float), own[quantity].to_numpy(float)
        if quantity == "time_ms":
            low, high = (own[name].to_numpy(float) for name in ("time_low_ms", "time_high_ms"))
            panel.fill_between(x, low, high, color=style.colour, alpha=0.18, linewidth=0)
        panel.plot(x, y, linestyle="", **_marker(style), markeredgecolor=PAPER, markeredgewidth=0.6)
        panel.plot(x, y, color=style.colour, linewidth=1.0, alpha=0.45)
        law = group.fits.get((style.name, quantity))
        if isinstance(law, PowerLaw):
            ends = np.array([law.first, law.last], dtype=float)
            panel.plot(ends, law.at(ends), color=style.colour, linewidth=1.6, linestyle=(0, (4, 2)))
    panel.set_title(group.phase_words)
    panel.set_xscale("log")
    panel.set_yscale("log")
    _ticks(panel, sorted(group.rows[axis].dropna().astype(float).unique()), rows[quantity])
    panel.set_xlabel("variates" if axis == "n_variates" else "lookback, steps")
    panel.set_ylabel("time, ms" if quantity == "time_ms" else f"{MEMORY_WORDS[quantity]}, MB")


def _marker(style: Style) -> dict:
    return {"color": style.colour, "marker": style.marker, "markersize": 6.5}


def _ticks(panel, lengths: list[float], values: pd.Series) -> None:
    shown, apart = [], (lengths[-1] / lengths[0]) ** (1 / _MOST_TICKS)
    for length in reversed(lengths):
        if not shown or length * apart <= shown[-1]:
            shown.append(length)
    panel.xaxis.set_major_locator(FixedLocator(shown))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    panel.xaxis.set_minor_locator(NullLocator())
    decades = log10(values.max() / values.min()) if len(values) else 0
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0,) if decades > 2.5 else (1.0, 2.0, 5.0)))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_minor_formatter(NullFormatter())


def _ends(group: Group, quantity: str) -> list[End]:
    """The name of each line with its exponent, where the line ends."""
    axis, rows = group.axes[0], group.good(quantity)
    longest, letter = rows[axis].max(), "D" if axis == "n_variates" else "L"
    ends = []
    for style in group.styles:
        own = rows[rows["subject"] == style.name]
        if own.empty:
            continue
        last = own.sort_values(axis).iloc[-1]
        law = group.fits.get((style.name, quantity))
        label = style.short
        label += f"  {letter}^{exponent(law.exponent)}" if isinstance(law, PowerLaw) else ""
        early = bool(last[axis] < longest)
        label += f", to {int(last[axis]):,}" if early else ""
        ends.append(End(label, style.colour, float(last[axis]), float(last[quantity]), early))
    return sorted(ends, key=lambda end: (end.y, end.label))


def _lost(panel, group: Group, quantity: str) -> None:
    """Open markers where a subject ran out: on the line of the budget, or at the top where none is known."""
    axis = group.axes[0]
    lost = group.rows[group.rows["status"].isin(["oom", "timeout"])]
    budget = None if quantity == "time_ms" else memory_budget(lost)
    low, high = panel.get_ylim()
    if budget:
        high = max(high, budget * 1.3)
        panel.axhline(budget, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        note = f"budget {three_digits(budget)} MB"
        panel.annotate(
            note, (0, budget), (2, 3), ("axes fraction", "data"), "offset points", fontsize=8, color=MUTED
        )
    top = budget or high * (low / high) ** 0.03
    panel.set_ylim(low, high)
    for style in group.styles:
        own = lost[lost["subject"] == style.name]
        first = own[axis].min()
        if pd.notna(first):
            open_marker = _marker(style) | {"markerfacecolor": "none", "markeredgecolor": style.colour}
            panel.plot([float(first)], [top], linestyle="", **open_marker, markeredgewidth=1.4, zorder=5)


def memory_budget(lost: pd.DataFrame) -> float | None:
    """The largest budget that the reasons of the rows name."""
    found = [re.search(r"more than ([\d.]+(?:e\+?\d+)?) MB", reason) for reason in lost["reason"]]
    return max((float(match[1]) for match in found if match), default=None)
