"""The other side: how a neuralforecast model is built and fed, without Lightning around it."""

import logging
import warnings

from torch import Tensor, nn
from torch.nn import functional

from .settings import Pair


def load() -> None:
    """Import what the side needs."""
    import neuralforecast.models  # noqa: F401


def build(pair: Pair) -> nn.Module:
    from neuralforecast import models
    from neuralforecast.losses.pytorch import MSE

    series = {"n_series": pair.peer.n_variates} if pair.model == "itransformer" else {}
    marks = [f"mark{number}" for number in range(pair.peer.n_marks)]
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it says its seed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(models, pair.peer.name)(
            h=pair.horizon,
            input_size=pair.lookback,
            futr_exog_list=marks or None,
            loss=MSE(),
            **series,
            **pair.theirs,
        )


def feed(pair: Pair, past: Tensor, marks: Tensor) -> dict:
    """``past`` (b, L, v) and ``marks`` (b, L + H, f) as ``training_step`` of the peer hands them on."""
    return {
        "insample_y": past,
        "futr_exog": marks if pair.peer.n_marks else None,
        "hist_exog": None,
        "stat_exog": None,
    }


def loss(model: nn.Module, batch: dict, target: Tensor) -> Tensor:
    """Mean squared error against ``target`` (b, H, v)."""
    return functional.mse_loss(model(batch), target)
