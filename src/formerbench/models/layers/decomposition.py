"""Series decomposition: a moving average and what it leaves."""

from torch import Tensor, nn
from torch.nn import functional


class SeriesDecomposition(nn.Module):
    """Split a series into trend and seasonal part (Autoformer eq. 1, https://arxiv.org/abs/2106.13008).

    The trend is the moving average over ``kernel`` steps of the series, both ends of which are extended
    with their own value so that the length stays.
    """

    def __init__(self, kernel: int):
        super().__init__()
        self.kernel = kernel
        # An even kernel has no middle; the longer side lies in front, as in FEDformer's code.
        self.padding = (kernel - 1 - (kernel - 1) // 2, (kernel - 1) // 2)

    def forward(self, series: Tensor) -> tuple[Tensor, Tensor]:
        """``series`` (b, c, t) of any channels c to (seasonal, trend), each (b, c, t)."""
        padded = functional.pad(series, self.padding, mode="replicate")
        trend = functional.avg_pool1d(padded, self.kernel, stride=1)
        return series - trend, trend
