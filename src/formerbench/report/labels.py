"""Names at the ends of lines instead of a legend, and the words that go with a figure."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from formerbench.report.svg import INK, text_width

LABEL_POINTS = 9


@dataclass(frozen=True)
class Words:
    """What a figure says to those who read it and to those who hear it.

    ``name`` is unique within a page; ``title`` is the finding in numbers; ``description`` says what is drawn.
    """

    name: str
    title: str
    description: str


@dataclass(frozen=True)
class End:
    """Where a model's line ends, and what is written there; ``early`` where others go further."""

    label: str
    colour: str
    x: float
    y: float
    early: bool


def leave_room(figure: Figure, columns: int, room: float) -> None:
    """Margins such that ``room`` points are free for labels at the right of each panel."""
    width, height = (72 * inches for inches in figure.get_size_inches())
    axis = 58  # tick labels such as "10,000" and the name of the axis
    panel = (width - columns * (room + axis)) / columns
    figure.subplots_adjust(
        left=axis / width,
        right=1 - room / width,
        bottom=42 / height,
        top=1 - 26 / height,
        wspace=(room + axis) / panel,
        hspace=0.3,
    )


def label_room(ends: list[End]) -> float:
    """Points that the longest of these labels needs."""
    return 16 + max((text_width(end.label, LABEL_POINTS) for end in ends), default=0)


def label_ends(panel, ends: list[End]) -> None:
    """Write each line's name at the right of the panel, moved up or down until no two names overlap."""
    points = 72 / panel.figure.dpi
    places = [panel.transData.transform((end.x, end.y)) * points for end in ends]
    low, high, right = (edge * points for edge in (panel.bbox.y0, panel.bbox.y1, panel.bbox.x1))
    heights = _spread([y for _, y in places], gap=LABEL_POINTS * 1.35, low=low, high=high)
    for end, (x, y), height in zip(ends, places, heights, strict=True):
        panel.annotate(
            end.label,
            xy=(end.x, end.y),
            xytext=(right - x + 12, height - y),
            textcoords="offset points",
            va="center",
            fontsize=LABEL_POINTS,
            color=INK,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": end.colour,
                "linewidth": 0.8,
                # A solid line to the label would look like results at lookbacks that have none.
                "linestyle": (0, (1, 4)) if end.early else "-",
                "shrinkA": 1,
                "shrinkB": 4,
                "relpos": (0, 0.5),
            },
        )


def _spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Places at least ``gap`` apart, in the order of ``wanted`` (ascending), near it and within the panel."""
    places = []
    for want in wanted:
        places.append(max(want, places[-1] + gap if places else low))
    ceiling = max(high, low + gap * (len(wanted) - 1))
    for i in reversed(range(len(places))):
        places[i] = min(places[i], ceiling)
        ceiling = places[i] - gap
    return places
