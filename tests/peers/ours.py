"""Our side: how a model is built and fed."""

from torch import Tensor, nn

from formerbench.models import build as build_model
from formerbench.models.batch import Batch

from .settings import Pair


def load() -> None:
    """Import what the side needs."""


def build(pair: Pair) -> nn.Module:
    return build_model(
        pair.model,
        lookback=pair.lookback,
        horizon=pair.horizon,
        n_variates=pair.peer.n_variates,
        n_marks=pair.peer.n_marks,
        **pair.ours,
    )


def feed(pair: Pair, past: Tensor, marks: Tensor) -> Batch:
    """``past`` (b, L, v) and ``marks`` (b, L + H, f) as the model takes them."""
    return Batch(past, marks[:, : pair.lookback].contiguous(), marks[:, pair.lookback :].contiguous())


def loss(model: nn.Module, batch: Batch, target: Tensor) -> Tensor:
    """Mean squared error against ``target`` (b, H, v)."""
    return model.loss(batch, target)
