"""Hyper-parameters of every model, importable without torch so that a plan can be checked anywhere.

Defaults are those of the official code, but for TFT, whose paper has no data set of ours, and FEDformer's
``variant``; ``config/models.yaml`` holds the settings per data set.
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
        n_static_reals: numbers s that each variate has once and for all.
        season: steps of the seasonal period, needed by ``seasonal_naive`` alone.
    """

    lookback: int
    horizon: int
    n_variates: int
    n_marks: int = 4
    n_past_covariates: int = 0
    n_known: int = 0
    n_entities: int = 0
    n_static_reals: int = 0
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
class TransformerConfig(NoOptions):
    """What all six transformers share.

    Attributes:
        d_model: width of a token.
        n_heads: attention heads; divides ``d_model``.
        layers: layers of the encoder.
        dropout: share of elements set to zero in training, where the paper's code has dropout.
        checkpoint: compute each layer again in the backward pass instead of keeping its activations; same
            function, less memory, more time.
        compile: let ``torch.compile`` generate code for the model; same function. Not with ``checkpoint``.
    """

    d_model: int = 512
    n_heads: int = 8
    layers: int = 2
    dropout: float = 0.1
    checkpoint: bool = False
    compile: bool = False

    def problem(self, shape: Shape) -> str | None:
        if self.d_model % self.n_heads:
            return f"n_heads {self.n_heads} does not divide d_model {self.d_model}"
        if self.checkpoint and self.compile:
            return "checkpoint and compile exclude each other; the compiler decides itself what to recompute"
        return None


@dataclass(frozen=True, kw_only=True)
class PatchTSTConfig(TransformerConfig):
    """PatchTST (supervised).

    Attributes:
        patch_len: time steps in a patch.
        stride: time steps from one patch to the next.
        d_ff: width of the feed-forward layer.
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
        return super().problem(shape)


@dataclass(frozen=True, kw_only=True)
class ITransformerConfig(TransformerConfig):
    """iTransformer.

    Attributes:
        d_ff: width of the feed-forward layer.
        normalise: scale every window by its own mean and standard deviation.
        attention: ``fused`` never forms the weights; ``materialised`` does. Same function.
    """

    d_ff: int = 512
    normalise: bool = True
    attention: Literal["fused", "materialised"] = "fused"


@dataclass(frozen=True, kw_only=True)
class DecoderConfig(TransformerConfig):
    """What the models with an encoder and a decoder share.

    Attributes:
        decoder_layers: layers of the decoder.
        d_ff: width of the feed-forward layer.
        label_len: last steps of the lookback that the decoder starts from.
    """

    decoder_layers: int = 1
    d_ff: int = 2048
    dropout: float = 0.05
    label_len: int = 48

    def problem(self, shape: Shape) -> str | None:
        if shape.lookback < self.label_len:
            return f"the lookback {shape.lookback} is shorter than label_len {self.label_len}"
        return super().problem(shape)


@dataclass(frozen=True, kw_only=True)
class InformerConfig(DecoderConfig):
    """Informer.

    Attributes:
        factor: ``factor * ceil(ln L)`` keys are sampled and as many queries selected.
        attention: ``prob_sparse``, or full attention: ``fused`` never forms the weights, ``materialised``
            does.
        distil: halve the length between encoder layers.
        variant: ``informer2020``, the authors' code, or ``thuml``, the one that the published results at
            L=96 come from; they differ in the cross attention, the padding of the distilling convolution,
            the biases of the embedding and where heads and time steps are mixed up.
    """

    factor: int = 5
    attention: Literal["prob_sparse", "fused", "materialised"] = "prob_sparse"
    distil: bool = True
    variant: Literal["informer2020", "thuml"] = "informer2020"


@dataclass(frozen=True, kw_only=True)
class AutoformerConfig(DecoderConfig):
    """Autoformer.

    Attributes:
        n_heads: divides ``d_model``; the delays come from the mean over heads and features, so that their
            number changes nothing.
        factor: ``int(factor * ln L)`` delays are aggregated.
        kernel: width of the moving average, time steps.
    """

    factor: int = 3
    kernel: int = 25


@dataclass(frozen=True, kw_only=True)
class FEDformerConfig(DecoderConfig):
    """FEDformer with Fourier blocks (FEDformer-f).

    Attributes:
        modes: at most so many frequencies are kept.
        mode_select: ``random`` frequencies or the ``lowest``.
        variant: ``paper``, or ``official`` for two slips of the authors' code that the published results come
            with: a Fourier block moves the kept frequencies to the lowest slots, and the layers mix up time
            and features of what they give.
        kernels: widths of the moving averages that are mixed, time steps.
    """

    modes: int = 64
    mode_select: Literal["random", "lowest"] = "random"
    variant: Literal["paper", "official"] = "paper"
    kernels: tuple[int, ...] = (24,)

    def problem(self, shape: Shape) -> str | None:
        if shape.lookback < 2:
            return "a lookback of one step has no frequency to keep"
        return super().problem(shape)


@dataclass(frozen=True, kw_only=True)
class TFTConfig(TransformerConfig):
    """Temporal Fusion Transformer.

    Attributes:
        layers: layers of the LSTM encoder and decoder.
        quantiles: levels that are forecast; 0.5 is among them.
        loss: ``quantile``, the paper's, or ``mse`` on the median output.
        normalise: scale every window by its own mean and standard deviation; not in the paper.
        attention: ``fused`` never forms the weights; ``materialised`` does. Same function.
    """

    d_model: int = 128
    n_heads: int = 4
    layers: int = 1
    dropout: float = 0.1
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)
    loss: Literal["quantile", "mse"] = "quantile"
    normalise: bool = False
    attention: Literal["fused", "materialised"] = "fused"

    def problem(self, shape: Shape) -> str | None:
        if 0.5 not in self.quantiles:
            return "the quantiles lack 0.5, the point forecast"
        if len(set(self.quantiles)) < len(self.quantiles) or min(self.quantiles) <= 0:
            return f"quantiles are different numbers between 0 and 1, not {list(self.quantiles)}"
        if self.d_model == 1:
            return "d_model 1 is too narrow"
        return super().problem(shape)
