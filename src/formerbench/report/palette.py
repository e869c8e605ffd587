"""One colour, one marker and one name per model, the same in every figure, table and sentence."""

from dataclasses import dataclass

from formerbench.analysis.leaderboard import BASELINES

# Okabe and Ito's colours, which colour-blind readers can tell apart; baselines are grey and broken lines.
_KNOWN = {
    "tft": ("TFT", "#0072B2", "o", "-"),
    "informer": ("Informer", "#E69F00", "s", "-"),
    "autoformer": ("Autoformer", "#009E73", "D", "-"),
    "fedformer": ("FEDformer", "#CC79A7", "^", "-"),
    "patchtst": ("PatchTST", "#D55E00", "v", "-"),
    "itransformer": ("iTransformer", "#56B4E9", "P", "-"),
    "repeat": ("Repeat", "#8C8C8C", "X", ":"),
    "seasonal_naive": ("Seasonal naive", "#7A7A7A", "h", "--"),
    "dlinear": ("DLinear", "#6B7280", "p", "-."),
}
# A mechanism has the colour of the model that it is from.
_MECHANISMS = {
    "full_attention": ("Full attention, fused", "#0072B2", "o", "-"),
    "full_attention_materialised": ("Full attention, materialised", "#8E6BD8", "H", "-"),
    "prob_sparse": ("ProbSparse attention", "#E69F00", "s", "-"),
    "auto_correlation": ("Auto-correlation", "#009E73", "D", "-"),
    "fourier_block": ("Fourier block", "#CC79A7", "^", "-"),
    "fourier_cross_attention": ("Fourier cross attention", "#B5495B", ">", "-"),
    "patch_attention": ("Patch attention", "#D55E00", "v", "-"),
    "variate_attention": ("Variate attention", "#56B4E9", "P", "-"),
    "series_decomposition": ("Series decomposition", "#6B7280", "p", "-"),
}
# For a user's own models: legible on white and on near-black, none close to the nine above.
_FURTHER = ("#8E6BD8", "#A3A300", "#B5495B", "#2AA7A0", "#A0714F", "#6F9F3A", "#D14FC0", "#4F6BD1")
_FURTHER_MARKERS = ("*", "<", ">", "d", "H", "8")
_LONGEST = 30  # characters of a name in a figure


@dataclass(frozen=True)
class Style:
    """How a model is drawn and called; ``key`` is safe as part of an HTML id."""

    name: str
    key: str
    label: str
    colour: str
    marker: str
    line: str
    baseline: bool

    @property
    def short(self) -> str:
        """The label cut to what leaves room for a figure; tables have it in full."""
        return self.label if len(self.label) <= _LONGEST else self.label[: _LONGEST - 3] + "..."


def styles(names) -> dict[str, Style]:
    """Styles of all models of a study; unknown names get further colours in alphabetical order."""
    return _styles(names, _KNOWN, "")


def mechanism_styles(names) -> dict[str, Style]:
    """As :func:`styles`, of the attention mechanisms and the like."""
    return _styles(names, _MECHANISMS, "mechanism-")


def _styles(names, known: dict, prefix: str) -> dict[str, Style]:
    names = sorted(set(names))
    own = [name for name in names if name not in known]
    found = {}
    for name in names:
        if name in known:
            label, colour, marker, line = known[name]
            key = prefix + name
        else:
            i = own.index(name)
            label, key, line = name, f"{prefix}own{i}", "-"
            colour, marker = _further_colour(i), _FURTHER_MARKERS[i % len(_FURTHER_MARKERS)]
        found[name] = Style(name, key, label, colour, marker, line, name in BASELINES and not prefix)
    return found


def _further_colour(i: int) -> str:
    if i < len(_FURTHER):
        return _FURTHER[i]
    from colorsys import hls_to_rgb

    # The golden angle keeps hues apart however many models there are.
    rgb = hls_to_rgb(i * 0.61803398875 % 1, 0.52, 0.55)
    return "#" + "".join(f"{round(255 * part):02X}" for part in rgb)


def symbol(style: Style) -> str:
    """SVG path data of the model's marker in a box from -1 to 1: tables show what figures show."""
    from matplotlib.markers import MarkerStyle

    marker = MarkerStyle(style.marker)
    path = marker.get_path().transformed(marker.get_transform())
    extent = max(abs(path.get_extents().get_points().ravel()))
    letters = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}
    words = []
    for points, code in path.iter_segments(simplify=False, curves=True):
        numbers = "" if code == 79 else " ".join(f"{x:.2f}" for x in _upside_down(points) / extent * 0.9)
        words.append(letters[int(code)] + numbers)
    return "".join(words)


def _upside_down(points):
    """The y axis points up in matplotlib and down in SVG."""
    import numpy as np

    return np.asarray(points) * np.tile([1, -1], len(points) // 2)
