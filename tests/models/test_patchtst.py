"""PatchTST against a slow reading of the paper and the official code, in float64."""

import math

import pytest
import torch

from formerbench.models import build
from formerbench.models.batch import Batch

L, H, V, P, S, D, HEADS = 30, 5, 2, 8, 4, 6, 2


@pytest.fixture
def model():
    torch.manual_seed(0)
    options = {
        "patch_len": P,
        "stride": S,
        "d_model": D,
        "n_heads": HEADS,
        "d_ff": 7,
        "layers": 3,
        "dropout": 0.0,
    }
    model = build("patchtst", lookback=L, horizon=H, n_variates=V, **options).double()
    for module in model.modules():  # batch norms that would be noticed if they were left out
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.running_mean, -1, 1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.uniform_(module.bias, -1, 1)
    return model.eval()


def forecast_of_one(model, series):
    """One variate's forecast, with loops over patches, heads and pairs of tokens."""
    w = dict(model.named_parameters()) | dict(model.named_buffers())
    mean, sd = series.mean(), (series.var(correction=0) + 1e-5).sqrt()
    padded = [*((series - mean) / sd), *[(series[-1] - mean) / sd] * S]
    n = (len(padded) - P) // S + 1
    tokens = [
        w["embedding.weight"] @ torch.stack(padded[i * S : i * S + P]) + w["embedding.bias"] for i in range(n)
    ]
    tokens = [token + w["position"][i] for i, token in enumerate(tokens)]
    previous = [[[0.0] * n for _ in range(n)] for _ in range(HEADS)]
    for layer in range(3):
        p = f"layers.{layer}."
        width = D // HEADS
        projected = [w[p + "project.weight"] @ t + w[p + "project.bias"] for t in tokens]
        mixed = [[] for _ in range(n)]
        for head in range(HEADS):
            part = slice(head * width, (head + 1) * width)
            q, k, v = ([x[j * D : (j + 1) * D][part] for x in projected] for j in range(3))
            for i in range(n):
                for j in range(n):
                    previous[head][i][j] = previous[head][i][j] + float(q[i] @ k[j]) / math.sqrt(width)
                weights = torch.softmax(torch.tensor(previous[head][i], dtype=torch.float64), 0)
                mixed[i].append(sum(weights[j] * v[j] for j in range(n)))
        attended = [w[p + "out.weight"] @ torch.cat(m) + w[p + "out.bias"] for m in mixed]
        tokens = [batch_norm(w, p + "norm_attention.", t + a) for t, a in zip(tokens, attended, strict=True)]
        hidden = [w[p + "feed_forward.0.weight"] @ t + w[p + "feed_forward.0.bias"] for t in tokens]
        hidden = [h * 0.5 * (1 + torch.erf(h / math.sqrt(2))) for h in hidden]
        fed = [w[p + "feed_forward.3.weight"] @ h + w[p + "feed_forward.3.bias"] for h in hidden]
        tokens = [batch_norm(w, p + "norm_feed_forward.", t + f) for t, f in zip(tokens, fed, strict=True)]
    return (w["head.weight"] @ torch.cat(tokens) + w["head.bias"]) * sd + mean


def batch_norm(w, prefix, token):
    scaled = (token - w[prefix + "running_mean"]) / (w[prefix + "running_var"] + 1e-5).sqrt()
    return scaled * w[prefix + "weight"] + w[prefix + "bias"]


@torch.no_grad()
def test_forecast_equals_the_slow_reading(model):
    past = torch.randn(2, L, V, dtype=torch.float64)
    forecast = model(Batch(past, None, None))
    for b in range(2):
        for v in range(V):
            torch.testing.assert_close(forecast[b, :, v], forecast_of_one(model, past[b, :, v]))


@pytest.mark.parametrize(("lookback", "n_patches"), [(336, 42), (512, 64), (16, 2)])
def test_number_of_patches(lookback, n_patches):
    model = build("patchtst", lookback=lookback, horizon=1, n_variates=1)
    assert model.position.shape[0] == n_patches


def test_a_variate_does_not_see_the_others(model):
    past = torch.randn(2, L, V, dtype=torch.float64)
    changed = past.clone()
    changed[..., 1] += torch.randn(2, L, dtype=torch.float64)
    before, after = model(Batch(past, None, None)), model(Batch(changed, None, None))
    torch.testing.assert_close(before[..., 0], after[..., 0])
    assert not torch.allclose(before[..., 1], after[..., 1])


def test_explain_gives_weights_that_sum_to_one_and_follow_the_scores(model):
    past = torch.randn(2, L, V, dtype=torch.float64)
    maps = model.explain(Batch(past, None, None))["patch_attention"]
    n = model.position.shape[0]
    assert maps.shape == (3, 2, V, HEADS, n, n)
    torch.testing.assert_close(maps.sum(dim=-1), torch.ones_like(maps[..., 0]))
    assert not torch.allclose(maps[0], maps[1])


def test_attention_output_is_dropped_twice():
    layer = build("patchtst", lookback=L, horizon=H, n_variates=V, dropout=0.3).layers[0]
    torch.manual_seed(0)
    dropped = layer.dropout(torch.ones(1000, 1000))
    assert (dropped == 0).double().mean() == pytest.approx(1 - 0.7 * 0.7, abs=0.002)
    assert dropped.max() == pytest.approx(1 / 0.7 / 0.7, rel=1e-3)
