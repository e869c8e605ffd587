"""Hyper-parameters of every model, importable without torch so that a plan can be checked anywhere.

Defaults are those of the official code; ``config/models.yaml`` holds the settings per data set.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the data asks of a model.

    Attributes:
        lookback: input length L, time steps.
        horizon: output length H, time steps.
        n_variates: variates v.
        n_marks: time marks f per step.
        n_past_covariates: inputs p known for the past only.
        n_known: inputs k known for past and future.
        n_entities: distinct static ids; 0 where the data has none.
        season: steps of the seasonal period, needed by ``seasonal_naive`` alone.
    """

    lookback: int
    horizon: int
    n_variates: int
    n_marks: int = 4
    n_past_covariates: int = 0
    n_known: int = 0
    n_entities: int = 0
    season: int | None = None


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """A model without hyper-parameters."""

    def problem(self, shape: Shape) -> str | None:
        """Why this model cannot be built for ``shape``, or None."""
        return None


@dataclass(frozen=True, kw_only=True)
class SeasonalNaiveConfig(NoOptions):
    """The seasonal naive forecast has no hyper-parameters; its period is the data's season."""

    def problem(self, shape: Shape) -> str | None:
        if shape.season is None:
            return "seasonal_naive needs the data's season, and none was given"
        if shape.lookback < shape.season:
            return f"the lookback {shape.lookback} is shorter than the season {shape.season}"
        return None


@dataclass(frozen=True, kw_only=True)
class DLinearConfig(NoOptions):
    """DLinear.

    Attributes:
        kernel: width of the moving average that splits trend from remainder, time steps.
    """

    kernel: int = 25


@dataclass(frozen=True, kw_only=True)
class PatchTSTConfig:
    """PatchTST (supervised).

    Attributes:
        patch_len: time steps in a patch.
        stride: time steps from one patch to the next.
        d_model: width of a token.
        n_heads: attention heads; divides ``d_model``.
        d_ff: width of the feed-forward layer.
        layers: encoder layers.
        dropout: after embedding, attention and feed-forward.
        attention: ``fused`` never forms the weights; ``materialised`` does. Same function.
    """

    patch_len: int = 16
    stride: int = 8
    d_model: int = 128
    n_heads: int = 16
    d_ff: int = 256
    layers: int = 3
    dropout: float = 0.2
    attention: Literal["fused", "materialised"] = "fused"

    def problem(self, shape: Shape) -> str | None:
        if shape.lookback < self.patch_len:
            return f"the lookback {shape.lookback} is shorter than a patch of {self.patch_len} steps"
        return _heads_problem(self)


@dataclass(frozen=True, kw_only=True)
class ITransformerConfig:
    """iTransformer.

    Attributes:
        d_model: width of a variate token.
        n_heads: attention heads; divides ``d_model``.
        d_ff: width of the feed-forward layer.
        layers: encoder layers.
        dropout: after embedding, attention and feed-forward, and on attention weights.
        normalise: scale every window by its own mean and standard deviation.
        attention: ``fused`` never forms the weights; ``materialised`` does. Same function.
    """

    d_model: int = 512
    n_heads: int = 8
    d_ff: int = 512
    layers: int = 2
    dropout: float = 0.1
    normalise: bool = True
    attention: Literal["fused", "materialised"] = "fused"

    def problem(self, shape: Shape) -> str | None:
        return _heads_problem(self)


def _heads_problem(config) -> str | None:
    if config.d_model % config.n_heads:
        return f"n_heads {config.n_heads} does not divide d_model {config.d_model}"
    return None
