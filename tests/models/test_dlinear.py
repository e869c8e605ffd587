"""DLinear against a slow reading of the paper, in float64."""

import pytest
import torch

from formerbench.models import build
from formerbench.models.batch import Batch

from . import slow

L, H, V = 12, 5, 3


def make(**options):
    torch.manual_seed(0)
    return build("dlinear", lookback=L, horizon=H, n_variates=V, **options).double()


def forecast_of_one(weights, series, kernel):
    """Forecast (H, V) of one window, a linear map over time for each part."""
    trend = slow.moving_average(series, kernel)
    of_season = slow.linear(weights, "seasonal.", (series - trend).T)
    return (of_season + slow.linear(weights, "trend.", trend.T)).T


@pytest.mark.parametrize("kernel", [25, 4, 1])  # wider than the lookback, even, no average at all
def test_forecast_and_gradients_equal_the_slow_reading(kernel):
    model = make(kernel=kernel)
    weights = dict(model.named_parameters())
    past = torch.randn(2, L, V, dtype=torch.float64, requires_grad=True)
    expected = torch.stack([forecast_of_one(weights, window, kernel) for window in past])
    slow.assert_same_function(model(Batch(past, None, None)), expected, weights | {"past": past})


def test_the_parts_that_explain_shows_add_up_to_the_forecast():
    model, inputs = make(), Batch(torch.randn(2, L, V, dtype=torch.float64), None, None)
    shown = model.explain(inputs)
    torch.testing.assert_close(shown["seasonal"] + shown["trend"], model(inputs))
    trends = torch.stack([slow.moving_average(window, 25) for window in inputs.past])
    of_trend = [slow.linear(dict(model.named_parameters()), "trend.", trend.T).T for trend in trends]
    torch.testing.assert_close(shown["trend"], torch.stack(of_trend))
