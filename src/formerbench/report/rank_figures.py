"""The critical-difference drawing: mean ranks on an axis, and bars over models that are not told apart."""

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from formerbench.analysis.ranks import Ranks
from formerbench.report.labels import LABEL_POINTS, Words
from formerbench.report.palette import Style
from formerbench.report.svg import INK, MUTED, PAPER, RC, inline, text_width

_WIDTH, _STEP = 620, 18  # points: of the drawing, from name to name


def critical_difference(ranks: Ranks, styles: dict[str, Style], title: str) -> dict:
    """Figure {title, svg} of ranks that were tested.

    The better half is named at the left, the others at the right; coordinates are points, down from the axis.
    """
    words = Words(
        name="ranks",
        title=title,
        description="Mean rank of each model, best at the left; a thick bar joins models that the test "
        f"cannot tell apart, and the bracket is the critical difference of {ranks.distance:.2f}.",
    )
    mean, bars = ranks.mean, ranks.alike()
    half = (len(mean) + 1) // 2
    room = 30 + max(
        text_width(f"{styles[name].short}  {mean[name]:.2f}", LABEL_POINTS) for name in mean.index
    )
    names_from = 16 + 9 * len(bars)
    height = 52 + names_from + _STEP * half
    with mpl.rc_context(RC):
        figure = Figure(figsize=(_WIDTH / 72, height / 72))
        panel = figure.add_axes((0, 0, 1, 1))
        panel.set(xlim=(0, _WIDTH), ylim=(height - 46, -46))
        panel.axis("off")

        def place(rank: float) -> float:
            return room + (rank - 1) / (len(mean) - 1) * (_WIDTH - 2 * room)

        _axis(panel, place, len(mean))
        _bracket(panel, place(1), place(1 + ranks.distance), f"critical difference {ranks.distance:.2f}")
        for i, (name, rank) in enumerate(mean.items()):
            left = i < half
            row = i if left else len(mean) - 1 - i
            _name(panel, styles[name], rank, place(rank), names_from + _STEP * row, room, left)
        for i, bar in enumerate(bars):
            ends = [place(mean[bar[0]]) - 4, place(mean[bar[-1]]) + 4]
            panel.plot(ends, [11 + 9 * i] * 2, color=INK, linewidth=3.5, solid_capstyle="butt", zorder=3)
        return {
            "title": words.title,
            "svg": Markup(inline(figure, words.name, words.title, words.description)),
        }


def _axis(panel, place, last: int) -> None:
    panel.plot([place(1), place(last)], [0, 0], color=MUTED, linewidth=1)
    for rank in range(1, last + 1):
        panel.plot([place(rank)] * 2, [0, -4], color=MUTED, linewidth=1)
        panel.text(place(rank), -7, f"{rank}", ha="center", va="bottom", fontsize=LABEL_POINTS, color=MUTED)


def _bracket(panel, left: float, right: float, words: str) -> None:
    panel.plot([left, left, right, right], [-24, -28, -28, -24], color=INK, linewidth=1)
    panel.text(left, -31, words, ha="left", va="bottom", fontsize=LABEL_POINTS, color=INK)


def _name(panel, style: Style, rank: float, x: float, y: float, room: float, left: bool) -> None:
    """A line from the axis down and to the side, and the model's name with its mean rank at the end."""
    end = room - 12 if left else _WIDTH - room + 12
    panel.plot([x, x, end], [0, y, y], color=style.colour, linewidth=1.2)
    panel.plot([x], [0], style.marker, color=style.colour, markersize=8, markeredgecolor=PAPER, zorder=4)
    label = f"{style.short}  {rank:.2f}" if left else f"{rank:.2f}  {style.short}"
    beside = end - 4 if left else end + 4
    panel.text(
        beside, y, label, ha="right" if left else "left", va="center", fontsize=LABEL_POINTS, color=INK
    )
