"""Windows of a series on the scaled axis: views of one tensor, gathered a batch at a time."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from formerbench.data.series import Series
from formerbench.errors import StatedError
from formerbench.models.batch import Batch


@dataclass(frozen=True)
class Scaler:
    """Z-score with the training rows' mean and population standard deviation, per variate.

    A constant variate is only centred. Attributes ``mean`` and ``sd`` are (v,) float64.
    """

    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def fit(cls, series: Series, values: np.ndarray | None = None) -> "Scaler":
        """Fit on the train split's rows of the variates, or of other ``values`` (t, v) of the same rows."""
        first, end = series.splits["train"]
        rows = (series.values if values is None else values)[first:end].astype(np.float64)
        sd = rows.std(axis=0)
        return cls(rows.mean(axis=0), np.where(sd > 0, sd, 1.0))

    def scale(self, values: np.ndarray) -> np.ndarray:
        """Original units to scaled axis; (..., v) to float32 (..., v)."""
        return ((values - self.mean) / self.sd).astype(np.float32)

    def unscale(self, values: np.ndarray) -> np.ndarray:
        """Scaled axis to original units; (..., v) to float64 (..., v)."""
        return values * self.sd + self.mean


class Windows:
    """The windows of one split: ``len()`` of them, any batch by :meth:`batch`.

    The number of val or test windows does not depend on the lookback, which may reach back into the split
    before: ``rows - horizon + 1``. A train window lies in the train split as a whole.

    Raises:
        StatedError: the split is too short for one window.
    """

    def __init__(
        self,
        series: Series,
        lookback: int,
        horizon: int,
        split: str,
        scaler: Scaler,
        device: str | torch.device = "cpu",
        mark_kind: str = "h",
    ):
        first, end = series.splits[split]
        self.first = first if split == "train" else first - lookback
        self.count = end - self.first - lookback - horizon + 1
        if self.first < 0 or self.count < 1:
            raise StatedError(
                f"{series.name}: the {split} split has {end - first} rows, too few for a window of "
                f"lookback {lookback} and horizon {horizon}; shorten one of the two"
            )
        self.lookback, self.horizon, self.mark_kind = lookback, horizon, mark_kind
        self.entities = torch.as_tensor(series.entities, device=device)
        rows = slice(self.first, end)
        self._values = _rolled(scaler.scale(series.values[rows]), lookback + horizon, device)
        self._marks = _rolled(series.marks(mark_kind)[rows], lookback + horizon, device)
        covariates = [_scaled(series, values, rows) for values in (series.known, series.past_covariates)]
        self._known, self._past_covariates = (_rolled(c, lookback + horizon, device) for c in covariates)

    def __len__(self) -> int:
        return self.count

    @cached_property
    def n_marks(self) -> int:
        """Time marks per step."""
        return self._marks.shape[1]

    def batch(self, index: Tensor) -> tuple[Batch, Tensor]:
        """The windows of numbers ``index`` (b,) as inputs and their target (b, H, v)."""
        window = _gather(self._values, index)
        marks = _gather(self._marks, index)
        covariates = _gather(self._past_covariates, index)
        past, future = window[:, : self.lookback], window[:, self.lookback :]
        batch = Batch(
            past=past,
            past_marks=marks[:, : self.lookback],
            future_marks=marks[:, self.lookback :],
            past_covariates=None if covariates is None else covariates[:, : self.lookback],
            known=_gather(self._known, index),
            static_ids=self.entities,
        )
        return batch, future


def _scaled(series: Series, values: np.ndarray | None, rows: slice) -> np.ndarray | None:
    """``rows`` of covariates, z-scored by their own training rows."""
    return None if values is None else Scaler.fit(series, values).scale(values[rows])


def _rolled(array: np.ndarray | None, width: int, device) -> Tensor | None:
    """All windows of ``array`` (t, c) as a view (n, c, width) of one copy on the device."""
    if array is None:
        return None
    return torch.tensor(array, dtype=torch.float32, device=device).unfold(0, width, 1)


def _gather(rolled: Tensor | None, index: Tensor) -> Tensor | None:
    """Copy the windows ``index`` (b,) of a view (n, c, width) to (b, width, c)."""
    return None if rolled is None else rolled[index].transpose(1, 2)
