"""iTransformer against a slow reading of the paper and the official code, in float64."""

import math

import pytest
import torch

from formerbench.models import build
from formerbench.models.batch import Batch

from . import slow

L, H, V, F, D, HEADS = 12, 5, 3, 4, 6, 2


def make(**options):
    torch.manual_seed(0)
    options = {"d_model": D, "n_heads": HEADS, "d_ff": 7, "layers": 2, "dropout": 0.0} | options
    return slow.shaken(build("itransformer", lookback=L, horizon=H, n_variates=V, **options)).eval()


@pytest.fixture
def model():
    return make()


@pytest.fixture
def inputs():
    random = torch.Generator().manual_seed(1)
    return Batch(*(torch.randn(2, L, c, generator=random, dtype=torch.float64) for c in (V, F, F)))


def forecast_of_one(w, past, marks, normalise):
    """(H, V) forecast of one window, with loops over tokens and heads."""
    mean, sd = torch.zeros_like(past[0]), torch.ones_like(past[0])
    if normalise:
        mean = past.mean(dim=0).detach()
        sd = ((past - mean).pow(2).mean(dim=0) + 1e-5).sqrt()
    tokens = slow.linear(w, "embedding.", [*((past - mean) / sd).T, *marks.T])
    width = D // HEADS
    for layer in range(2):
        p = f"layers.{layer}."
        projected = slow.linear(w, p + "project.", tokens)
        mixed = []
        for x in projected:
            heads = []
            for head in range(HEADS):
                part = slice(head * width, (head + 1) * width)
                scores = [x[:D][part] @ y[D : 2 * D][part] / math.sqrt(width) for y in projected]
                weights = torch.softmax(torch.stack(scores), 0)
                heads.append(sum(a * y[2 * D :][part] for a, y in zip(weights, projected, strict=True)))
            mixed.append(torch.cat(heads))
        attended = slow.linear(w, p + "out.", mixed)
        tokens = slow.layer_norm(w, p + "norm_attention.", tokens + attended)
        fed = slow.feed_forward(w, p + "feed_forward.", tokens)
        tokens = slow.layer_norm(w, p + "norm_feed_forward.", tokens + fed)
    forecast = slow.linear(w, "head.", slow.layer_norm(w, "norm.", tokens[:V]))
    return forecast.T * sd + mean


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("attention", ["fused", "materialised"])
def test_forecast_and_gradients_equal_the_slow_reading(inputs, attention, normalise):
    model = make(attention=attention, normalise=normalise)
    weights, past = dict(model.named_parameters()), inputs.past.requires_grad_()
    windows = zip(past, inputs.past_marks, strict=True)
    expected = torch.stack([forecast_of_one(weights, *window, normalise) for window in windows])
    slow.assert_same_function(model(inputs), expected, weights | {"past": past})


def test_variates_are_a_set(model, inputs):
    order = torch.tensor([2, 0, 1])
    permuted = inputs._replace(past=inputs.past[..., order])
    torch.testing.assert_close(model(permuted), model(inputs)[..., order])


def test_time_marks_are_used(model, inputs):
    other = inputs._replace(past_marks=inputs.past_marks + 1)
    assert not torch.allclose(model(inputs), model(other))


def test_explain_gives_weights_that_sum_to_one(model, inputs):
    maps = model.explain(inputs)["variate_attention"]
    assert maps.shape == (2, 2, HEADS, V + F, V + F)
    torch.testing.assert_close(maps.sum(dim=-1), torch.ones_like(maps[..., 0]))
