"""Scores of a model on every window of a split; the last partial batch counts like any other."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor

from formerbench.data.series import Series
from formerbench.data.windows import Scaler, Windows
from formerbench.errors import StatedError
from formerbench.metrics import Scores
from formerbench.models.batch import Batch


def in_order(count: int, batch_size: int) -> Iterator[Tensor]:
    """Window numbers 0..count-1 in batches, the last one as short as it comes."""
    yield from torch.arange(count).split(batch_size)


def shown_windows(count: int) -> tuple[int, ...]:
    """Numbers of the windows whose forecasts a report shows: first, middle and last."""
    return tuple(sorted({0, count // 2, count - 1}))


def check_shape(forecast: Tensor, target: Tensor) -> Tensor:
    """``forecast`` itself if it is shaped like ``target`` (b, H, v).

    Raises:
        StatedError: another shape, which would broadcast to a wrong score.
    """
    if forecast.shape != target.shape:
        raise StatedError(
            f"the model's forecast has the shape {tuple(forecast.shape)}, but (b, H, v) = "
            f"{tuple(target.shape)} is wanted"
        )
    return forecast


def forecasts(model: torch.nn.Module, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """The point forecast (b, H, v) and, of a quantile model, all its levels (b, H, v, q).

    Where the median is among the levels it is the point forecast, so that one pass gives both.
    """
    levels = tuple(getattr(model, "quantile_levels", ()))
    if not levels:
        return model(batch), None
    quantiles = model.quantiles(batch)
    return quantiles[..., levels.index(0.5)] if 0.5 in levels else model(batch), quantiles


@torch.no_grad()
def evaluate(
    model: torch.nn.Module,
    series: Series,
    lookback: int,
    horizon: int,
    batch_size: int,
    split: str = "test",
) -> dict:
    """Score ``model`` on all windows of ``split``; what the keys mean is said in :mod:`formerbench.metrics`.

    The model is used as it is on the device of its parameters, in evaluation mode. The scores do not depend
    on ``batch_size`` but for the rounding of the model's own matrix products. Besides the scores there is
    ``forecasts``: window number, as text for JSON, -> list of H values of the target variate in original
    units, for the :func:`shown_windows`.

    Raises:
        StatedError: the split is too short for one window, or the forecast has another shape.
    """
    device = next((t.device for t in chain(model.parameters(), model.buffers())), torch.device("cpu"))
    scaler = Scaler.fit(series)
    windows = Windows(series, lookback, horizon, split, scaler, device)
    scores = Scores(series, scaler, getattr(model, "quantile_levels", ()))
    shown = dict.fromkeys(shown_windows(len(windows)))
    target_column = series.columns.index(series.target)
    with _evaluation_mode(model):
        for index in in_order(len(windows), batch_size):
            batch, target = windows.batch(index.to(device))
            point, quantiles = forecasts(model, batch)
            forecast = check_shape(point, target).float().cpu().numpy()
            quantiles = None if quantiles is None else quantiles.float().cpu().numpy()
            scores.update(forecast, target.cpu().numpy(), quantiles)
            for number, scaled in zip(index.tolist(), forecast, strict=True):
                if number in shown:
                    shown[number] = scaler.unscale(scaled)[:, target_column].tolist()
    return scores.result() | {"forecasts": {str(number): values for number, values in shown.items()}}


@contextmanager
def _evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
