"""Autoformer and its auto-correlation against slow readings of paper and official code, in float64."""

import math

import pytest
import torch

from formerbench.models import build
from formerbench.models.batch import Batch
from formerbench.models.layers.auto_correlation import AutoCorrelation

from . import slow
from .watching import Made

D = 6


def chosen_delays(correlation, count):
    return sorted(range(len(correlation)), key=lambda delay: -float(correlation[delay].detach()))[:count]


def correlations(weights, series, source):
    """Mean correlation of one sample at every delay, by the sum over time steps and features (eq. 5)."""
    t = len(series)
    queries, keys_values = (
        slow.linear(weights, p, x) for p, x in (("queries.", series), ("keys_values.", source))
    )
    filled = torch.zeros(t, 2 * D, dtype=series.dtype)
    filled = torch.cat([keys_values[:t], filled[len(keys_values) :]])
    keys, values = filled[:, :D], filled[:, D:]
    means = [sum(queries[i] @ keys[i - delay] for i in range(t)) / D for delay in range(t)]
    return torch.stack(means), values


def attention_of_one(weights, series, source, factor, delays=None):
    """One sample's auto-correlation with its own delays or given ones (eq. 6)."""
    means, values = correlations(weights, series, source)
    t = len(series)
    delays = delays or chosen_delays(means, min(t, max(1, int(factor * math.log(t)))))
    shares = torch.softmax(torch.stack([means[delay] for delay in delays]), 0)
    mixed = [sum(w * values[(i + d) % t] for w, d in zip(shares, delays, strict=True)) for i in range(t)]
    return slow.linear(weights, "out.", torch.stack(mixed))


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return AutoCorrelation(D, factor=2).double()


@pytest.mark.parametrize(("t", "s"), [(12, 12), (13, 13), (9, 14), (14, 9), (1, 1), (2, 3)])
class TestAutoCorrelation:
    def inputs(self, t, s):
        return [torch.randn(3, n, D, dtype=torch.float64, requires_grad=True) for n in (t, s)]

    def check(self, layer, t, s, slow_samples):
        series, source = self.inputs(t, s)
        weights = dict(layer.named_parameters())
        expected = slow_samples(weights, series, source)
        inputs = weights | {"series": series, "source": source}
        slow.assert_same_function(layer(series, source), expected, inputs)

    def test_in_evaluation_each_sample_has_its_own_delays(self, layer, t, s):
        def slow_samples(weights, series, source):
            pairs = zip(series, source, strict=True)
            return torch.stack([attention_of_one(weights, a, b, factor=2) for a, b in pairs])

        self.check(layer.eval(), t, s, slow_samples)

    def test_in_training_delays_are_common_to_the_batch(self, layer, t, s):
        def slow_samples(weights, series, source):
            pairs = list(zip(series, source, strict=True))
            means = sum(correlations(weights, a, b)[0] for a, b in pairs) / len(pairs)
            delays = chosen_delays(means, min(t, max(1, int(2 * math.log(t)))))
            return torch.stack([attention_of_one(weights, a, b, 2, delays) for a, b in pairs])

        self.check(layer.train(), t, s, slow_samples)


def make(**options):
    torch.manual_seed(0)
    sizes = {"d_model": D, "n_heads": 2, "d_ff": 7, "label_len": 5, "kernel": 4, "dropout": 0.0, "factor": 2}
    return slow.shaken(build("autoformer", lookback=11, horizon=6, n_variates=2, **sizes | options))


def inputs(b=2):
    shapes = ((b, 11, 2), (b, 11, 4), (b, 6, 4))
    return Batch(*(torch.randn(shape, dtype=torch.float64) for shape in shapes))


def slow_parts(model, batch, number):
    weights = dict(model.named_parameters())

    def attend(prefix, series, source):
        own = {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}
        return attention_of_one(own, series, source, model.config.factor)

    def decompose(series):
        trend = slow.moving_average(series, model.config.kernel)
        return series - trend, trend

    sample = (batch.past[number], batch.past_marks[number], batch.future_marks[number])
    return slow.progressive_forecast(weights, model.config, *sample, attend, decompose)


def test_forecast_and_gradients_equal_the_slow_reading():
    model, batch = make(decoder_layers=2).eval(), inputs()
    expected = torch.stack([sum(slow_parts(model, batch, number)) for number in range(2)])
    slow.assert_same_function(model(batch), expected, dict(model.named_parameters()))


def test_training_and_evaluation_are_the_two_documented_functions():
    model, batch = make(), inputs()
    assert not torch.allclose(model.train()(batch), model.eval()(batch))
    alone = Batch(*(field if field is None else field[:1] for field in batch))
    torch.testing.assert_close(model.train()(alone), model.eval()(alone))


def test_explain_adds_up_and_finds_a_planted_period():
    model = build(
        "autoformer", lookback=48, horizon=12, n_variates=1, d_model=8, n_heads=2, d_ff=8, label_len=24
    )
    model.eval()
    time = torch.arange(48.0).view(1, 48, 1)
    batch = Batch(torch.sin(2 * torch.pi * time / 12), torch.zeros(1, 48, 4), torch.zeros(1, 12, 4))
    for layer in model.encoder:  # queries that look for equal keys
        layer.attention.keys_values.weight.data[:8] = layer.attention.queries.weight.data
    shown = model.explain(batch)
    torch.testing.assert_close(shown["seasonal"] + shown["trend"], model(batch))
    torch.testing.assert_close(shown["weights"].sum(dim=-1), torch.ones(2, 1))
    assert shown["delays"].shape == (2, 1, int(3 * math.log(48)))
    assert set(shown["delays"][0, 0, :4].tolist()) == {0, 12, 24, 36}
    assert shown["decoder_delays"].shape == (2, 1, int(3 * math.log(36)))


def test_no_tensor_is_quadratic_in_the_lookback():
    model = build("autoformer", lookback=2000, horizon=8, n_variates=1, d_model=4, n_heads=1, d_ff=8)
    batch = Batch(torch.randn(1, 2000, 1), torch.randn(1, 2000, 4), torch.randn(1, 8, 4))
    with Made() as made:
        model.loss(batch, torch.zeros(1, 8, 1)).backward()
    assert 2000 * 8 <= made.largest() < 2000 * 40
