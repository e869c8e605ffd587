"""Turns a matplotlib figure into an inline SVG that is the same on each run, themed by CSS and accessible."""

import io
import re
from html import escape

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

# Drawn with these stand-ins; the page's style sheet gives them their colour in light and dark.
INK, MUTED, RULE, PAPER = "#010203", "#040506", "#070809", "#0a0b0c"
_THEMED = {INK: "currentColor", MUTED: "var(--muted)", RULE: "var(--rule)", PAPER: "var(--paper)"}

RC = {
    "svg.fonttype": "none",
    "svg.hashsalt": "formerbench",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that the layout is the same on every machine
    "font.size": 10,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "ytick.left": False,
    "lines.solid_capstyle": "round",
    "path.simplify_threshold": 0.4,
}


def inline(figure: Figure, name: str, title: str, description: str) -> str:
    """SVG text of ``figure`` for a page.

    Args:
        name: unique within the page; every id starts with it.
        title: the finding in numbers, read out first.
        description: what is drawn.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    width, height = (round(72 * inches) for inches in figure.get_size_inches())
    drawn = buffer.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    # The style would reach beyond the figure; the page's style sheet has the same rule for figures.
    drawn = re.sub(r"<(metadata|style)\b.*?</\1>\s*", "", drawn, flags=re.DOTALL)
    body = _themed(_prefixed(_shortened(drawn[drawn.index(">") + 1 :]), name))
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}-t {name}-d" '
        f'style="--w:{width}px"><title id="{name}-t">{escape(title)}</title>'
        f'<desc id="{name}-d">{escape(description)}</desc>{body}'
    )


def _shortened(drawn: str) -> str:
    """A tenth of a point is finer than any screen: the rest only fills the page."""

    def rounded(attribute: re.Match) -> str:
        return re.sub(r"-?\d+\.\d{2,}", lambda number: f"{float(number[0]):.1f}", attribute[0])

    drawn = re.sub(r' (?:d|x|y|transform)="[^"]*"', rounded, drawn)
    drawn = re.sub(r"(?<=\d) ?\n(?=[MLCQz])", " ", drawn)
    return re.sub(r"\n\s*", "\n", re.sub(r"<!--.*?-->\s*", "", drawn, flags=re.DOTALL))


def _prefixed(drawn: str, name: str) -> str:
    """Keep only ids that something refers to, and make them unique in a page with many figures."""
    used = set(re.findall(r'(?:href="|url\()#([\w.-]+)', drawn))
    drawn = re.sub(r' id="([\w.-]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", drawn)
    drawn = re.sub(r'xlink:href="#', f'href="#{name}-', drawn)
    return drawn.replace("url(#", f"url(#{name}-")


def _themed(drawn: str) -> str:
    for stand_in, colour in _THEMED.items():
        drawn = drawn.replace(stand_in, colour)
    return re.sub(r"(font: [^;\"]*?)'DejaVu Sans'[^;\"]*", r"\1var(--font)", drawn)


def text_width(text: str, size: float = 9) -> float:
    """Width in points of a label in the figures' font."""
    return TextPath((0, 0), text, size=size, prop=FontProperties(family="DejaVu Sans")).get_extents().width
