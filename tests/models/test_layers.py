"""Shared layers against loops in float64."""

import pytest
import torch

from formerbench.models.layers.attention import attend
from formerbench.models.layers.decomposition import SeriesDecomposition
from formerbench.models.layers.dropout import Dropout
from formerbench.models.layers.normalisation import window_statistics


@pytest.mark.parametrize(("length", "kernel"), [(20, 5), (20, 4), (1, 25), (3, 25), (7, 1)])
def test_decomposition_is_a_moving_average_with_repeated_ends(length, kernel):
    series = torch.randn(2, 3, length, dtype=torch.float64)
    seasonal, trend = SeriesDecomposition(kernel)(series)
    front = kernel - 1 - (kernel - 1) // 2
    for t in range(length):
        positions = [min(max(t - front + i, 0), length - 1) for i in range(kernel)]
        expected = sum(series[..., p] for p in positions) / kernel
        torch.testing.assert_close(trend[..., t], expected)
    torch.testing.assert_close(seasonal + trend, series)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("value_width", [4, 2])
def test_attention_equals_the_formula(fused, value_width):
    queries, keys, values = (
        torch.randn(2, n, d, dtype=torch.float64) for n, d in ((3, 4), (5, 4), (5, value_width))
    )
    out = attend(queries, keys, values, scale=0.3, fused=fused)
    for b in range(2):
        for i in range(3):
            scores = [0.3 * float(queries[b, i] @ keys[b, j]) for j in range(5)]
            weights = torch.softmax(torch.tensor(scores, dtype=torch.float64), 0)
            torch.testing.assert_close(out[b, i], sum(weights[j] * values[b, j] for j in range(5)))


def test_dropout_drops_its_share_and_keeps_the_mean():
    torch.manual_seed(0)
    layer, ones = Dropout(0.3), torch.ones(1001, 1001)
    dropped = layer(ones)
    kept = dropped[dropped > 0]
    assert (dropped == 0).float().mean() == pytest.approx(0.3, abs=0.002)
    assert torch.all(kept == kept[0])
    assert dropped.mean() == pytest.approx(1, abs=0.002)
    # Neighbours come from one random number but are independent.
    flat = (dropped == 0).flatten().double()
    for distance in (1, 2, 3, 4):
        together = (flat[:-distance] * flat[distance:]).mean()
        assert together == pytest.approx(0.09, abs=0.002)
    assert torch.equal(layer.eval()(ones), ones)


def test_dropout_gradient_is_its_mask():
    torch.manual_seed(0)
    values = torch.randn(50, 3, requires_grad=True)
    out = Dropout(0.5)(values)
    out.sum().backward()
    torch.testing.assert_close(values.grad * values, out)


def test_window_statistics():
    past = torch.randn(2, 9, 3, dtype=torch.float64, requires_grad=True)
    mean, sd = window_statistics(past, eps=0.1)
    by_hand = ((past - past.mean(dim=1, keepdim=True)) ** 2).sum(dim=1, keepdim=True) / 9
    torch.testing.assert_close(sd, (by_hand + 0.1).sqrt())
    assert not mean.requires_grad
    assert sd.requires_grad
