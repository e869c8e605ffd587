"""Tokens of time steps: values and calendar marks, without or with positions."""

import math

import torch
from torch import Tensor, nn

from formerbench.models.layers.dropout import Dropout


def circular_neighbours(series: Tensor) -> Tensor:
    """Each step beside the one before and the one after, in a circle: (b, t, c) to (b, t, 3 c).

    A linear map of the result is the convolution of width 3 with circular padding that Informer introduced.
    """
    return torch.cat([series.roll(1, dims=1), series, series.roll(-1, dims=1)], dim=-1)


class TimeStepEmbedding(nn.Module):
    """One token per time step (Informer section 3.1 and appendix B, https://arxiv.org/abs/2012.07436).

    The sum of a circular convolution of width 3 over the values and a linear map of the time marks. Informer
    adds fixed sinusoidal positions, and its authors' code has biases in both maps; thuml's Informer,
    Autoformer and FEDformer have none.
    """

    def __init__(
        self,
        n_variates: int,
        n_marks: int,
        d_model: int,
        *,
        dropout: float,
        positions: bool = False,
        bias: bool = False,
    ):
        super().__init__()
        self.values = nn.Linear(3 * n_variates, d_model, bias=bias)
        nn.init.kaiming_normal_(self.values.weight, nonlinearity="leaky_relu")
        self.marks = nn.Linear(n_marks, d_model, bias=bias) if n_marks else None
        self.dropout = Dropout(dropout)
        self.positions = positions

    def forward(self, values: Tensor, marks: Tensor) -> Tensor:
        """``values`` (b, t, v) and ``marks`` (b, t, f) to tokens (b, t, d)."""
        inputs, weight, bias = circular_neighbours(values), self.values.weight, self.values.bias
        if self.marks is not None:  # one product for both
            inputs = torch.cat([inputs, marks], dim=-1)
            weight = torch.cat([weight, self.marks.weight], dim=-1)
            bias = None if bias is None else bias + self.marks.bias
        tokens = nn.functional.linear(inputs, weight, bias)
        if self.positions:
            tokens = tokens + sinusoids(values.shape[1], tokens.shape[-1], values)
        return self.dropout(tokens)


def sinusoids(length: int, width: int, like: Tensor) -> Tensor:
    """Fixed positions (length, width): sine in even features, cosine in odd ones, of ever longer waves.

    Attention Is All You Need, section 3.5 (https://arxiv.org/abs/1706.03762). ``like`` gives dtype and
    device.
    """
    dtype = torch.promote_types(like.dtype, torch.float32)
    step = torch.arange(length, dtype=dtype, device=like.device)[:, None]
    feature = torch.arange(0, width, 2, dtype=dtype, device=like.device)
    angle = step * torch.exp(feature * (-math.log(10000.0) / width))
    table = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]
    return table.to(like.dtype)
