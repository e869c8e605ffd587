"""What each model is built around, alone: the subjects of the scaling study.

Each maps one tensor to one tensor and holds what its layer in the model holds up to the output projection:
the linear maps of queries, keys and values, the mechanism, the linear map of the result. Attention of
patches and of variates also has the embedding, since its tokens are not time steps. Outside are
feed-forward, norms, skip connections, dropout, positions of time steps and window normalisation. A mechanism
between two series gets the same one twice. Settings but for the width are the defaults of the models.

===========================  =========================================================================
full attention               Attention Is All You Need, eq. 1, https://arxiv.org/abs/1706.03762
ProbSparse attention         Informer, eqs. 3 and 4, https://arxiv.org/abs/2012.07436
auto-correlation             Autoformer, eqs. 5, 6 and 8, https://arxiv.org/abs/2106.13008
series decomposition         Autoformer, eq. 1
Fourier block                FEDformer, eqs. 3 and 4, https://arxiv.org/abs/2201.12740
Fourier cross attention      FEDformer, eqs. 6 and 7
attention of patches         PatchTST, section 3.1, https://arxiv.org/abs/2211.14730
attention of variates        iTransformer, section 3.2, https://arxiv.org/abs/2310.06625
===========================  =========================================================================
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from formerbench.errors import StatedError
from formerbench.models import informer, itransformer, patchtst
from formerbench.models.configs import (
    AutoformerConfig,
    FEDformerConfig,
    InformerConfig,
    PatchTSTConfig,
    Shape,
    TransformerConfig,
)
from formerbench.models.layers import auto_correlation, decomposition, frequency

_DECODER = {"label_len": 1}  # there is none, so that a lookback cannot be too short for it


class Mechanism(nn.Module):
    """Base of the mechanisms over time steps, whose input are tokens (b, L, d).

    Args:
        shape: only lookback and variates are looked at.
        d_model: width of a token.
        n_heads: divides ``d_model``.

    Raises:
        StatedError: the model that the mechanism is taken from cannot be built like that.
    """

    default = TransformerConfig()

    def __init__(self, shape: Shape, *, d_model: int, n_heads: int):
        super().__init__()
        self.config = replace(self.default, d_model=d_model, n_heads=n_heads)
        if problem := self.config.problem(shape):
            raise StatedError(f"{type(self).__name__}: {problem}")
        self.input_shape = shape.lookback, d_model

    def inputs(self, batch_size: int, generator: torch.Generator) -> Tensor:
        """A random input, float32, on the CPU."""
        return torch.randn(batch_size, *self.input_shape, generator=generator)


class FullAttention(Mechanism):
    """Self attention of time steps by the fused kernel."""

    default = InformerConfig(attention="fused", dropout=0.0, **_DECODER)

    def __init__(self, shape: Shape, *, d_model: int, n_heads: int):
        super().__init__(shape, d_model=d_model, n_heads=n_heads)
        self.attention = informer.Attention(self.config, self.config.attention)

    def forward(self, tokens: Tensor) -> Tensor:
        """``tokens`` (b, L, d) to the same shape."""
        return self.attention(tokens, tokens)


class FullAttentionMaterialised(FullAttention):
    """The same function with its weights (b, h, L, L) formed."""

    default = InformerConfig(attention="materialised", dropout=0.0, **_DECODER)


class ProbSparse(FullAttention):
    """Informer's encoder self attention."""

    default = InformerConfig(dropout=0.0, **_DECODER)


class AutoCorrelation(Mechanism):
    """Autoformer's encoder self attention."""

    default = AutoformerConfig(**_DECODER)

    def __init__(self, shape: Shape, *, d_model: int, n_heads: int):
        super().__init__(shape, d_model=d_model, n_heads=n_heads)
        self.attention = auto_correlation.AutoCorrelation(d_model, self.config.factor)

    def forward(self, series: Tensor) -> Tensor:
        """``series`` (b, L, d) to the same shape."""
        return self.attention(series, series)


class FourierBlock(Mechanism):
    """FEDformer's encoder block; of its layer's projections keys and values take no part."""

    default = FEDformerConfig(**_DECODER)

    def __init__(self, shape: Shape, *, d_model: int, n_heads: int):
        super().__init__(shape, d_model=d_model, n_heads=n_heads)
        self.core = self._core(shape.lookback)
        self.layer = frequency.FrequencyLayer(d_model, self.core)

    def _core(self, length: int) -> nn.Module:
        return frequency.FourierBlock(self.config.d_model, self.config.n_heads, self._modes(length))

    def _modes(self, length: int) -> Tensor:
        return frequency.select_modes(length, self.config.modes, self.config.mode_select)

    def forward(self, series: Tensor) -> Tensor:
        """``series`` (b, L, d) to the same shape."""
        return self.layer(series, series)


class FourierCrossAttention(FourierBlock):
    """FEDformer's cross attention; the projection of the values takes no part."""

    def _core(self, length: int) -> nn.Module:
        asking, answering = self._modes(length), self._modes(length)
        return frequency.FourierCrossAttention(self.config.d_model, self.config.n_heads, asking, answering)


class PatchAttention(Mechanism):
    """PatchTST's first layer up to its attention, behind patches, their linear map and positions."""

    default = PatchTSTConfig()

    def __init__(self, shape: Shape, *, d_model: int, n_heads: int):
        super().__init__(shape, d_model=d_model, n_heads=n_heads)
        self.input_shape = shape.lookback, shape.n_variates
        cutting = self.config.patch_len, self.config.stride
        self.embedding = nn.Linear(self.config.patch_len, d_model)
        n_patches = patchtst.count_patches(shape.lookback, *cutting)
        self.position = nn.Parameter(torch.empty(n_patches, d_model).uniform_(-0.02, 0.02))
        self.attention = patchtst.PatchAttention(d_model, n_heads, fused=True)

    def forward(self, past: Tensor) -> Tensor:
        """``past`` (b, L, v) to tokens (b v, n, d)."""
        patches = patchtst.patches_of(past, self.config.patch_len, self.config.stride)
        attended, *_ = self.attention(self.embedding(patches) + self.position)
        return attended


class VariateAttention(Mechanism):
    """iTransformer's first layer up to its attention, behind the linear map of whole series."""

    def __init__(self, shape: Shape, *, d_model: int, n_heads: int):
        super().__init__(shape, d_model=d_model, n_heads=n_heads)
        self.input_shape = shape.lookback, shape.n_variates
        self.embedding = nn.Linear(shape.lookback, d_model)
        self.attention = itransformer.VariateAttention(d_model, n_heads, fused=True, dropout=0.0)

    def forward(self, past: Tensor) -> Tensor:
        """``past`` (b, L, v) to tokens (b, v, d)."""
        return self.attention(self.embedding(past.transpose(1, 2)))


class SeriesDecomposition(Mechanism):
    """Autoformer's decomposition of d series; it has no parameters, so that only inputs get gradients."""

    default = AutoformerConfig(**_DECODER)

    def __init__(self, shape: Shape, *, d_model: int, n_heads: int):
        super().__init__(shape, d_model=d_model, n_heads=n_heads)
        self.decomposition = decomposition.SeriesDecomposition(self.config.kernel)

    def forward(self, series: Tensor) -> Tensor:
        """``series`` (b, L, d) to its seasonal part of the same shape; the trend is computed on the way."""
        seasonal, _ = self.decomposition(series)
        return seasonal
