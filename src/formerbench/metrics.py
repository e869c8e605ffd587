"""Scores of forecasts, streamed batch by batch and independent of how windows are batched.

With error e = forecast - truth over windows, steps and variates:

* ``mse`` mean e^2, ``mae`` mean |e|, ``rmse`` sqrt(mse): on the scaled axis (training z-score).
* ``mae_raw`` mean |e| in original units.
* ``smape`` mean 200 |e| / (|forecast| + |truth|), in percent from 0 to 200; 0 where both are 0.
* ``mase`` mean over variates of (mean |e| of the variate) / (mean |y_t - y_{t-m}| over its training rows)
  with m the season, original units (Hyndman & Koehler 2006). A variate whose denominator is 0 is left out.
* ``quantile_loss`` mean over levels q of max(q d, (q - 1) d) with d = truth - forecast, scaled axis.

Every window is summed by itself in float64 and the sums are added in the order of the windows, so that the
result does not depend on the batch size.
"""

import numpy as np

from formerbench.data.series import Series
from formerbench.data.windows import Scaler

_MAX_ELEMENTS = 2**22  # float64 copies are made for so many elements at a time


def naive_error(series: Series) -> np.ndarray:
    """MASE's denominator: mean |y_t - y_{t-season}| over the training rows, (v,), original units.

    It is 0 everywhere if the training rows are no longer than a season.
    """
    first, end = series.splits["train"]
    rows = series.values[first:end].astype(np.float64)
    if len(rows) <= series.season:
        return np.zeros(rows.shape[1])
    return np.abs(rows[series.season :] - rows[: -series.season]).mean(axis=0)


class Scores:
    """Accumulates the scores of windows that arrive in order, in batches of any size."""

    def __init__(self, series: Series, scaler: Scaler, quantile_levels: tuple[float, ...] = ()):
        self.series, self.scaler = series, scaler
        self.levels = np.asarray(quantile_levels, dtype=np.float64)
        self._by_variate: dict[str, list[np.ndarray]] = {}  # name -> sums over time, (b, v) each
        self._by_step: dict[str, list[np.ndarray]] = {}  # name -> sums over variates, (b, H) each
        self.horizon = 0

    def update(self, forecast: np.ndarray, truth: np.ndarray, quantiles: np.ndarray | None = None) -> None:
        """Add windows: ``forecast`` and ``truth`` (b, H, v), ``quantiles`` (b, H, v, q), scaled axis."""
        self.horizon = truth.shape[1]
        at_once = max(1, _MAX_ELEMENTS // truth[0].size)
        for start in range(0, len(truth), at_once):
            part = slice(start, start + at_once)
            self._update(
                forecast[part].astype(np.float64),
                truth[part].astype(np.float64),
                None if quantiles is None else quantiles[part].astype(np.float64),
            )

    def _update(self, forecast: np.ndarray, truth: np.ndarray, quantiles: np.ndarray | None) -> None:
        error = forecast - truth
        raw_forecast, raw_truth = self.scaler.unscale(forecast), self.scaler.unscale(truth)
        raw_error = np.abs(raw_forecast - raw_truth)
        size = np.abs(raw_forecast) + np.abs(raw_truth)
        relative = np.divide(raw_error, size, out=np.zeros_like(size), where=size > 0)
        for name, value in {
            "mse": error**2,
            "mae": np.abs(error),
            "mae_raw": raw_error,
            "smape": 200 * relative,
        }.items():
            self._add(name, value)
        if quantiles is not None:
            shortfall = truth[..., None] - quantiles
            pinball = np.maximum(self.levels * shortfall, (self.levels - 1) * shortfall)
            self._add("quantile_loss", pinball.mean(axis=-1))

    def _add(self, name: str, value: np.ndarray) -> None:
        self._by_variate.setdefault(name, []).append(value.sum(axis=1))
        self._by_step.setdefault(name, []).append(value.sum(axis=2))

    def result(self) -> dict:
        """The scores as floats, ``n_test_windows``, ``per_variate`` and ``per_step``.

        ``per_variate`` maps a score to its v values (None where a MASE is undefined), ``per_step`` to its H
        values; ``n_constant_variates`` counts the variates left out of ``mase``.
        """
        sums = {name: np.concatenate(parts) for name, parts in self._by_variate.items()}
        n_windows, n_variates = sums["mse"].shape
        per_variate = {name: part.sum(axis=0) / (n_windows * self.horizon) for name, part in sums.items()}
        per_step = {
            name: np.concatenate(parts).sum(axis=0) / (n_windows * n_variates)
            for name, parts in self._by_step.items()
        }
        scores = {name: float(values.mean()) for name, values in per_variate.items()}
        naive = naive_error(self.series)
        defined = naive > 0
        mase = np.divide(per_variate["mae_raw"], naive, out=np.zeros_like(naive), where=defined)
        return {
            **scores,
            "rmse": float(np.sqrt(scores["mse"])),
            "mase": float(mase[defined].mean()) if defined.any() else None,
            "n_test_windows": n_windows,
            "n_constant_variates": int((~defined).sum()),
            "per_variate": {name: values.tolist() for name, values in per_variate.items()}
            | {"mase": [float(value) if there else None for value, there in zip(mase, defined, strict=True)]},
            "per_step": {name: values.tolist() for name, values in per_step.items()},
        }
