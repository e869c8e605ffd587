"""iTransformer against a slow reading of the paper and the official code, in float64."""

import math

import pytest
import torch

from formerbench.models import build
from formerbench.models.batch import Batch

L, H, V, F, D, HEADS = 12, 5, 3, 4, 6, 2


@pytest.fixture
def model():
    torch.manual_seed(0)
    options = {"d_model": D, "n_heads": HEADS, "d_ff": 7, "layers": 2, "dropout": 0.0}
    model = build("itransformer", lookback=L, horizon=H, n_variates=V, **options).double()
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.uniform_(module.bias, -1, 1)
    return model.eval()


@pytest.fixture
def inputs():
    random = torch.Generator().manual_seed(1)
    return Batch(*(torch.randn(2, L, c, generator=random, dtype=torch.float64) for c in (V, F, F)))


def layer_norm(w, prefix, token):
    centred = token - token.mean()
    return centred / (centred.pow(2).mean() + 1e-5).sqrt() * w[prefix + "weight"] + w[prefix + "bias"]


def forecast_of_one(model, past, marks):
    """(H, V) forecast of one window, with loops over tokens and heads."""
    w = dict(model.named_parameters())
    mean = past.mean(dim=0)
    sd = ((past - mean).pow(2).mean(dim=0) + 1e-5).sqrt()
    columns = [*((past - mean) / sd).T, *marks.T]
    tokens = [w["embedding.weight"] @ column + w["embedding.bias"] for column in columns]
    width = D // HEADS
    for layer in range(2):
        p = f"layers.{layer}."
        projected = [w[p + "project.weight"] @ t + w[p + "project.bias"] for t in tokens]
        attended = []
        for i in range(len(tokens)):
            heads = []
            for head in range(HEADS):
                part = slice(head * width, (head + 1) * width)
                query = projected[i][:D][part]
                scores = torch.stack([query @ x[D : 2 * D][part] / math.sqrt(width) for x in projected])
                weights = torch.softmax(scores, 0)
                heads.append(sum(a * x[2 * D :][part] for a, x in zip(weights, projected, strict=True)))
            attended.append(w[p + "out.weight"] @ torch.cat(heads) + w[p + "out.bias"])
        tokens = [layer_norm(w, p + "norm_attention.", t + a) for t, a in zip(tokens, attended, strict=True)]
        hidden = [w[p + "feed_forward.0.weight"] @ t + w[p + "feed_forward.0.bias"] for t in tokens]
        hidden = [h * 0.5 * (1 + torch.erf(h / math.sqrt(2))) for h in hidden]
        fed = [w[p + "feed_forward.3.weight"] @ h + w[p + "feed_forward.3.bias"] for h in hidden]
        tokens = [layer_norm(w, p + "norm_feed_forward.", t + f) for t, f in zip(tokens, fed, strict=True)]
    final = [layer_norm(w, "norm.", token) for token in tokens[:V]]
    return torch.stack([w["head.weight"] @ t + w["head.bias"] for t in final], dim=1) * sd + mean


@torch.no_grad()
def test_forecast_equals_the_slow_reading(model, inputs):
    forecast = model(inputs)
    for b in range(2):
        torch.testing.assert_close(forecast[b], forecast_of_one(model, inputs.past[b], inputs.past_marks[b]))


def test_variates_are_a_set(model, inputs):
    order = torch.tensor([2, 0, 1])
    permuted = inputs._replace(past=inputs.past[..., order])
    torch.testing.assert_close(model(permuted), model(inputs)[..., order])


def test_time_marks_are_used(model, inputs):
    other = inputs._replace(past_marks=inputs.past_marks + 1)
    assert not torch.allclose(model(inputs), model(other))


def test_gradient_flows_through_the_window_sd_but_not_its_mean(model, inputs):
    """Shifting a window moves the forecast by the shift, of which autograd must see none."""
    shift = torch.zeros(V, dtype=torch.float64, requires_grad=True)
    forecast = model(inputs._replace(past=inputs.past + shift))
    (gradient,) = torch.autograd.grad(forecast.sum(), shift)
    detached_mean_only = model(inputs._replace(past=inputs.past + 1e-6)) - forecast
    assert torch.allclose(
        detached_mean_only.sum(), torch.tensor(1e-6 * forecast.numel(), dtype=torch.float64), rtol=1e-3
    )
    assert not torch.allclose(gradient.sum(), torch.tensor(float(forecast.numel()), dtype=torch.float64))


def test_explain_gives_weights_that_sum_to_one(model, inputs):
    maps = model.explain(inputs)["variate_attention"]
    assert maps.shape == (2, 2, HEADS, V + F, V + F)
    torch.testing.assert_close(maps.sum(dim=-1), torch.ones_like(maps[..., 0]))
