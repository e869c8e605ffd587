"""Series decomposition: a moving average and what it leaves."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class SeriesDecomposition(nn.Module):
    """Split a series into seasonal part and trend (Autoformer eq. 1, https://arxiv.org/abs/2106.13008).

    The trend is the moving average over ``kernel`` steps of the series, both ends of which are extended
    with their own value so that the length stays.
    """

    def __init__(self, kernel: int):
        super().__init__()
        self.kernel = kernel

    def forward(self, series: Tensor) -> tuple[Tensor, Tensor]:
        """``series`` (b, t, c) of any channels c to (seasonal, trend), each (b, t, c)."""
        trend = moving_average(series, self.kernel)
        return series - trend, trend


class MixedDecomposition(nn.Module):
    """Decomposition by a mixture of moving averages (FEDformer eq. 9, https://arxiv.org/abs/2201.12740).

    The weights of the mixture depend on each value: softmax over one linear map of it per kernel. With one
    kernel they are 1, whatever the map is, and its two parameters stay as they began.
    """

    def __init__(self, kernels: tuple[int, ...]):
        super().__init__()
        self.kernels = kernels
        self.mixture = nn.Linear(1, len(kernels))

    def forward(self, series: Tensor) -> tuple[Tensor, Tensor]:
        """``series`` (b, t, c) to (seasonal, trend), each (b, t, c)."""
        averages = [moving_average(series, kernel) for kernel in self.kernels]
        if len(averages) == 1:
            (trend,) = averages
        else:
            weights = torch.softmax(self.mixture(series.unsqueeze(-1)), dim=-1)  # (b, t, c, kernel)
            trend = (torch.stack(averages, dim=-1) * weights).sum(dim=-1)
        return series - trend, trend


def moving_average(series: Tensor, kernel: int) -> Tensor:
    """Mean over ``kernel`` steps around each step, the ends repeated: (b, t, c) to (b, t, c)."""
    return _MovingAverage.apply(series, kernel)


class _MovingAverage(torch.autograd.Function):
    """A linear map, so that nothing need be kept for the backward pass; pooling would keep its input."""

    @staticmethod
    def forward(series: Tensor, kernel: int) -> Tensor:
        front, back = _sides(kernel)
        parts = [series[:, :1].expand(-1, front, -1), series, series[:, -1:].expand(-1, back, -1)]
        return _pool(torch.cat(parts, dim=1), kernel)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        _, ctx.kernel = inputs

    @staticmethod
    def backward(ctx, gradient: Tensor):
        front, back = _sides(ctx.kernel)
        around = functional.pad(gradient, (0, 0, ctx.kernel - 1, ctx.kernel - 1))
        spread = _pool(around, ctx.kernel)  # gradient of the extended series (b, front + t + back, c)
        inner = spread[:, front : spread.shape[1] - back].clone()
        inner[:, 0] += spread[:, :front].sum(dim=1)
        inner[:, -1] += spread[:, spread.shape[1] - back :].sum(dim=1)
        return inner, None


def _sides(kernel: int) -> tuple[int, int]:
    """Steps added in front and behind; of an even kernel the longer side lies in front, as in FEDformer."""
    return kernel - 1 - (kernel - 1) // 2, (kernel - 1) // 2


def _pool(series: Tensor, kernel: int) -> Tensor:
    pooled = functional.avg_pool1d(series.transpose(1, 2), kernel, stride=1)  # (b, c, t)
    return pooled.transpose(1, 2).contiguous()
