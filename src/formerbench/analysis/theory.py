"""What the papers say about time and memory in the lookback L, as data."""

from dataclasses import dataclass
from math import log


@dataclass(frozen=True)
class Order:
    """``O(L ** power * log(L) ** logs)``; ``words`` is how it is written."""

    words: str
    power: float
    logs: float = 0

    def exponent(self, first: float, last: float) -> float:
        """The exponent of the power law between two lengths, as a log-log plot would show it."""
        if not self.logs or last <= first:
            return self.power
        return self.power + self.logs * (log(log(last)) - log(log(first))) / (log(last) - log(first))


CONSTANT, LINEAR = Order("O(1)", 0), Order("O(L)", 1)
LOG_LINEAR, QUADRATIC = Order("O(L log L)", 1, 1), Order("O(L²)", 2)
PATCHES = Order("O((L/S)²)", 2)


@dataclass(frozen=True)
class Complexity:
    """Orders of a model or mechanism.

    Attributes:
        stated: whether the source writes the orders down; if not, they follow from what it describes.
        source: paper and place.
        note: what our implementation does otherwise, or ``""``.
    """

    time: Order
    memory: Order
    stated: bool
    source: str
    note: str = ""


_FUSED = "fused attention never forms the weights that the memory is counted for: O(L) is expected of it"
_HORIZON = "only the H forecast steps ask, since no others are read out: O(L) is expected of it"
_VASWANI = "Vaswani et al. 2017, Table 1"
_INFORMER = "Zhou et al. 2021, abstract and section 3"
_AUTOFORMER = "Wu et al. 2021, section 3.2"
_FEDFORMER = "Zhou et al. 2022, Table 1"
_PATCHTST = "Nie et al. 2023, section 1; L/S patches of stride S"
_ITRANSFORMER = "Liu et al. 2024, section 3; tokens are variates, L enters by the embedding alone"

MODELS = {
    "dlinear": Complexity(
        LINEAR, LINEAR, False, "Zeng et al. 2023, section 4: one linear layer over the lookback"
    ),
    "tft": Complexity(
        QUADRATIC, QUADRATIC, False, "Lim et al. 2021, section 4.4: attention over all positions", _HORIZON
    ),
    "informer": Complexity(LOG_LINEAR, LOG_LINEAR, True, _INFORMER),
    "autoformer": Complexity(LOG_LINEAR, LOG_LINEAR, True, _AUTOFORMER),
    "fedformer": Complexity(LINEAR, LINEAR, True, _FEDFORMER),
    "patchtst": Complexity(PATCHES, PATCHES, True, _PATCHTST, _FUSED),
    "itransformer": Complexity(LINEAR, LINEAR, False, _ITRANSFORMER),
}

MECHANISMS = {
    "full_attention": Complexity(QUADRATIC, LINEAR, True, f"{_VASWANI}; memory: Dao et al. 2022, theorem 1"),
    "full_attention_materialised": Complexity(
        QUADRATIC, QUADRATIC, False, f"{_VASWANI} for the time; memory: the weights are L by L"
    ),
    "prob_sparse": Complexity(LOG_LINEAR, LOG_LINEAR, True, _INFORMER),
    "auto_correlation": Complexity(LOG_LINEAR, LOG_LINEAR, True, _AUTOFORMER),
    "fourier_block": Complexity(
        LINEAR, LINEAR, True, f"{_FEDFORMER}; the transform itself is O(L log L), which the paper leaves out"
    ),
    "fourier_cross_attention": Complexity(
        LINEAR, LINEAR, True, f"{_FEDFORMER}; the transform itself is O(L log L), which the paper leaves out"
    ),
    "patch_attention": Complexity(PATCHES, PATCHES, True, _PATCHTST, _FUSED),
    "variate_attention": Complexity(LINEAR, LINEAR, False, _ITRANSFORMER),
    "series_decomposition": Complexity(
        LINEAR, LINEAR, False, "Wu et al. 2021, section 3.1: a moving average of fixed width"
    ),
}


def complexity(subject: str) -> Complexity | None:
    """What is known of a model or mechanism; None of a user's own."""
    return MODELS.get(subject) or MECHANISMS.get(subject)
