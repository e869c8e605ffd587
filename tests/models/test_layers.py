"""Shared layers against loops in float64."""

import math

import pytest
import torch

from formerbench.measure.flops import count
from formerbench.models.layers import attention, blockwise_attention
from formerbench.models.layers.attention import attend, attention_weights, causal_mask
from formerbench.models.layers.decomposition import SeriesDecomposition
from formerbench.models.layers.dropout import Dropout, kept_scale
from formerbench.models.layers.embedding import TimeStepEmbedding
from formerbench.models.layers.fourier import chosen_modes, inverse_real_fft, real_fft, series_of_modes
from formerbench.models.layers.normalisation import window_statistics

from . import slow


@pytest.mark.parametrize(("length", "kernel"), [(20, 5), (20, 4), (1, 25), (3, 25), (7, 1)])
class TestDecomposition:
    def test_is_a_moving_average_with_repeated_ends(self, length, kernel):
        series = torch.randn(2, length, 3, dtype=torch.float64)
        seasonal, trend = SeriesDecomposition(kernel)(series)
        for b in range(2):
            torch.testing.assert_close(trend[b], slow.moving_average(series[b], kernel))
        torch.testing.assert_close(seasonal + trend, series)

    def test_gradient(self, length, kernel):
        series = torch.randn(2, length, 3, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(SeriesDecomposition(kernel), series)


@pytest.mark.parametrize("length", [1, 2, 7, 8])
class TestFourier:
    def test_a_series_comes_back(self, length):
        series = torch.randn(2, length, 3, dtype=torch.float64)
        torch.testing.assert_close(inverse_real_fft(real_fft(series), length), series)

    def test_gradients(self, length):
        series = torch.randn(2, length, 3, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(real_fft, series)
        spectrum = torch.randn(2, length // 2 + 1, 3, dtype=torch.complex128, requires_grad=True)
        assert torch.autograd.gradcheck(lambda s: inverse_real_fft(s, length), spectrum)

    def test_chosen_modes_are_those_of_the_explicit_sum(self, length):
        series = torch.randn(2, length, 3, dtype=torch.float64)
        modes = torch.arange(length // 2 + 1)
        coefficients = chosen_modes(series, modes)
        steps = torch.arange(length, dtype=torch.float64)
        for mode in modes:
            wave = torch.exp(-2j * torch.pi * mode.double() * steps / length)
            torch.testing.assert_close(coefficients[:, mode], torch.einsum("btd,t->bd", series + 0j, wave))
        torch.testing.assert_close(series_of_modes(coefficients, modes, length), series)


def test_embedding_is_a_circular_convolution_plus_marks_and_positions():
    torch.manual_seed(0)
    layer = TimeStepEmbedding(2, 3, 5, dropout=0.0, positions=True).double()
    values, marks = (torch.randn(2, 4, n, dtype=torch.float64) for n in (2, 3))
    tokens = layer(values, marks)
    for b in range(2):
        expected = slow.embed(dict(layer.named_parameters()), "", values[b], marks[b])
        for t in range(4):
            for i in range(5):
                angle = t / 10000 ** (i // 2 * 2 / 5)
                wave = math.cos(angle) if i % 2 else math.sin(angle)
                assert (tokens[b] - expected)[t, i].item() == pytest.approx(wave, abs=1e-12)


def test_embedding_starts_as_the_official_codes_do():
    """Kaiming's normal distribution over the 3 v inputs of the convolution."""
    torch.manual_seed(0)
    weight = TimeStepEmbedding(50, 4, 512, dropout=0.0).values.weight.detach()
    sd = math.sqrt(2 / (3 * 50))
    assert weight.std() == pytest.approx(sd, rel=0.02)
    assert weight.abs().max() > 3 * sd  # no uniform distribution


def test_embedding_without_marks():
    layer = TimeStepEmbedding(2, 0, 5, dropout=0.0)
    assert layer(torch.randn(2, 1, 2), torch.randn(2, 1, 0)).shape == (2, 1, 5)


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


class TestBlockwiseAttention:
    @pytest.fixture(params=[1, 20, 80, 2**19])  # one query a block, several, several samples, all at once
    def block(self, request, monkeypatch):
        monkeypatch.setattr(blockwise_attention, "_BLOCK", request.param)

    @staticmethod
    def heads(dtype=torch.float64):
        random = torch.Generator().manual_seed(0)
        shapes = ((2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 2))
        return [torch.randn(shape, generator=random, dtype=dtype, requires_grad=True) for shape in shapes]

    @staticmethod
    def attend(*heads, dropout=0.4, mask=None):
        torch.manual_seed(0)
        how = {"scale": 0.7, "dropout": dropout, "mask": mask}
        return blockwise_attention.blockwise_attention(*heads, **how)

    @pytest.mark.usefixtures("block")
    @pytest.mark.parametrize("dropout", [0.0, 0.4])
    @pytest.mark.parametrize("causal", [False, True])
    def test_is_dropout_of_the_weights(self, dropout, causal):
        queries, keys, values = self.heads()
        mask = causal_mask(5, 7, torch.device("cpu")) if causal else None
        weights = attention_weights(0.7 * queries, keys, mask)
        one_hot = torch.eye(7, dtype=torch.float64).expand(2, 3, 7, 7)
        kept = self.attend(queries, keys, one_hot, dropout=dropout, mask=mask) != 0
        possible = torch.ones(5, 7, dtype=torch.bool) if mask is None else mask
        share = 1 - kept[possible.expand_as(kept)].double().mean()
        assert share == pytest.approx(dropout, abs=0.1)
        out = self.attend(queries, keys, values, dropout=dropout, mask=mask)
        expected = (weights * kept * kept_scale(dropout)) @ values
        slow.assert_same_function(out, expected, {"queries": queries, "keys": keys, "values": values})

    @pytest.mark.usefixtures("block")
    def test_half_precision_is_close(self):
        half = self.heads(torch.bfloat16)
        full = [x.detach().float().requires_grad_() for x in half]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = self.attend(*half)
            out.sum().backward()
        expected = self.attend(*full)
        expected.sum().backward()
        assert out.dtype == torch.bfloat16
        torch.testing.assert_close(out.float(), expected, rtol=0.02, atol=0.05)
        for mine, other in zip(half, full, strict=True):
            torch.testing.assert_close(mine.grad.float(), other.grad, rtol=0.02, atol=0.05)

    def test_every_product_is_counted(self):
        out = count(lambda: self.attend(*self.heads()).sum().backward())
        weights = 2 * 3 * 5 * 7
        assert out == 2 * weights * (4 * 4 + 3 * 2)  # scores twice, gradients of q and k; v forward, then two

    @pytest.mark.parametrize(("few", "by_blocks"), [(210, False), (209, True)])
    def test_serves_where_there_are_many_weights(self, few, by_blocks, monkeypatch):
        calls = []
        monkeypatch.setattr(attention, "_FEW", few)
        monkeypatch.setattr(attention, "blockwise_attention", lambda *heads, **how: calls.append(how))
        attend(*self.heads(), scale=1.0, fused=True, dropout=0.1)
        assert bool(calls) == by_blocks
        attend(*self.heads(), scale=1.0, fused=True)
        attend(*self.heads(), scale=1.0, fused=False, dropout=0.1)
        assert len(calls) == by_blocks

    @pytest.mark.filterwarnings("ignore")  # the compiler's own
    def test_compiled_models_can_do_without(self, monkeypatch):
        monkeypatch.setattr(attention, "_FEW", 0)
        compiled = torch.compile(attend, backend="aot_eager", fullgraph=True)
        assert compiled(*self.heads(), scale=1.0, fused=True, dropout=0.1).shape == (2, 3, 5, 2)


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
