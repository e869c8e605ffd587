"""PatchTST against a slow reading of the paper and the official code, in float64."""

import math

import pytest
import torch

from formerbench.models import build
from formerbench.models.batch import Batch

from . import slow

L, H, V, P, S, D, HEADS = 30, 5, 2, 8, 4, 6, 2


def make(**options):
    torch.manual_seed(0)
    sizes = {"patch_len": P, "stride": S, "d_model": D, "n_heads": HEADS, "d_ff": 7, "layers": 3}
    options = sizes | {"dropout": 0.0} | options
    return slow.shaken(build("patchtst", lookback=L, horizon=H, n_variates=V, **options)).eval()


@pytest.fixture
def model():
    return make()


def forecast_of_one(w, series):
    """One variate's forecast, with loops over patches, heads and pairs of tokens."""
    mean, sd = series.mean().detach(), (series.var(correction=0) + 1e-5).sqrt().detach()
    padded = [*((series - mean) / sd), *[(series[-1] - mean) / sd] * S]
    n = (len(padded) - P) // S + 1
    patches = [torch.stack(padded[i * S : i * S + P]) for i in range(n)]
    tokens = slow.linear(w, "embedding.", patches) + w["position"]
    scores = [[[0.0] * n for _ in range(n)] for _ in range(HEADS)]  # the sum over the layers so far
    for layer in range(3):
        p = f"layers.{layer}."
        width = D // HEADS
        projected = slow.linear(w, p + "project.", tokens)
        mixed = [[] for _ in range(n)]
        for head in range(HEADS):
            part = slice(head * width, (head + 1) * width)
            q, k, v = ([x[j * D : (j + 1) * D][part] for x in projected] for j in range(3))
            for i in range(n):
                for j in range(n):
                    scores[head][i][j] = scores[head][i][j] + q[i] @ k[j] / math.sqrt(width)
                weights = torch.softmax(torch.stack(scores[head][i]), 0)
                mixed[i].append(sum(weights[j] * v[j] for j in range(n)))
        attended = slow.linear(w, p + "out.", [torch.cat(heads) for heads in mixed])
        tokens = slow.batch_norm(w, p + "norm_attention.", tokens + attended)
        fed = slow.feed_forward(w, p + "feed_forward.", tokens)
        tokens = slow.batch_norm(w, p + "norm_feed_forward.", tokens + fed)
    return (w["head.weight"] @ tokens.flatten() + w["head.bias"]) * sd + mean


@pytest.mark.parametrize("attention", ["fused", "materialised"])
def test_forecast_and_gradients_equal_the_slow_reading(attention):
    model = make(attention=attention)
    weights = dict(model.named_parameters())
    past = torch.randn(2, L, V, dtype=torch.float64, requires_grad=True)
    slow_weights = weights | dict(model.named_buffers())
    by_variate = [[forecast_of_one(slow_weights, past[b, :, v]) for v in range(V)] for b in range(2)]
    expected = torch.stack([torch.stack(of_one, dim=1) for of_one in by_variate])
    slow.assert_same_function(model(Batch(past, None, None)), expected, weights | {"past": past})


def test_batch_norm_in_training_is_over_windows_variates_and_patches():
    model, seen = make().train(), []
    norm = model.layers[0].norm_attention
    norm.momentum = 1.0  # the running statistics are those of the last batch
    model.layers[0].out.register_forward_hook(lambda module, given, out: seen.append(out))
    model.dropout.register_forward_hook(lambda module, given, out: seen.append(out))
    model(Batch(torch.randn(4, L, V, dtype=torch.float64), None, None))
    tokens = sum(seen).flatten(0, 1)  # (b v n, d)
    torch.testing.assert_close(norm.running_mean, tokens.mean(0))
    torch.testing.assert_close(norm.running_var, tokens.var(0))


def test_positions_start_uniform_and_small():
    torch.manual_seed(0)
    position = build("patchtst", lookback=512, horizon=1, n_variates=1).position.detach()
    assert -0.02 <= position.min() < -0.0199 < 0.0199 < position.max() <= 0.02
    assert position.std() == pytest.approx(0.02 / math.sqrt(3), rel=0.02)


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
