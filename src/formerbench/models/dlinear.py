"""DLinear: Are Transformers Effective for Time Series Forecasting? https://arxiv.org/abs/2205.13504"""

import torch
from torch import Tensor, nn

from formerbench.models.batch import Batch, Forecaster
from formerbench.models.configs import DLinearConfig, Shape
from formerbench.models.layers.decomposition import SeriesDecomposition


class DLinear(Forecaster):
    """Two linear maps over time, one for the trend and one for the remainder, shared by all variates.

    Follows the official code where it leaves the paper: the weights start at torch's default, not at 1/L.
    """

    def __init__(self, shape: Shape, config: DLinearConfig):
        super().__init__()
        self.decomposition = SeriesDecomposition(config.kernel)
        self.seasonal = nn.Linear(shape.lookback, shape.horizon)
        self.trend = nn.Linear(shape.lookback, shape.horizon)

    def forward(self, batch: Batch) -> Tensor:
        return sum(self.parts(batch))

    def parts(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the seasonal part and the trend contribute to the forecast, each (b, H, v)."""
        seasonal, trend = (part.transpose(1, 2) for part in self.decomposition(batch.past))  # (b, v, L)
        return self.seasonal(seasonal).transpose(1, 2), self.trend(trend).transpose(1, 2)

    @torch.no_grad()
    def explain(self, batch: Batch) -> dict[str, Tensor]:
        """``seasonal`` and ``trend`` (b, H, v), which add up to the forecast."""
        return dict(zip(("seasonal", "trend"), self.parts(batch), strict=True))
