"""Forecasts without parameters: the bar that a model has to clear."""

import torch
from torch import Tensor

from formerbench.models.batch import Batch, Forecaster
from formerbench.models.configs import NoOptions, Shape


class Repeat(Forecaster):
    """Repeat the last value of each variate."""

    def __init__(self, shape: Shape, config: NoOptions):
        super().__init__()
        self.horizon = shape.horizon

    def forward(self, batch: Batch) -> Tensor:
        return batch.past[:, -1:].expand(-1, self.horizon, -1)


class SeasonalNaive(Forecaster):
    """Repeat the last season: step ``h`` of the horizon is the newest past value of the same phase."""

    def __init__(self, shape: Shape, config: NoOptions):
        super().__init__()
        # Position in the past of each step of the horizon, counted from the end.
        phase = torch.arange(shape.horizon) % shape.season
        self.register_buffer("positions", phase - shape.season, persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        return batch.past[:, self.positions]
