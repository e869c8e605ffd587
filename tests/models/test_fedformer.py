"""FEDformer and its frequency layers against an explicit Fourier sum and loops over modes, in float64."""

import cmath
import math

import pytest
import torch
from safetensors.torch import load, save

from formerbench.models import build
from formerbench.models.batch import Batch
from formerbench.models.layers.frequency import complex_tanh, select_modes

from . import slow

D, HEADS = 6, 2
WIDTH = D // HEADS


def coefficient(series, mode):
    """Fourier coefficient (d,) of a series (t, d)."""
    t = len(series)
    return sum(series[i] * cmath.exp(-2j * math.pi * mode * i / t) for i in range(t))


def series_of(coefficients, t):
    """The real series (t, d) of {mode: coefficient (d,)}; the imaginary part of mode 0 has no meaning."""
    rows = []
    for i in range(t):
        row = 0.0
        for mode, value in coefficients.items():
            share = 1 if mode == 0 or 2 * mode == t else 2
            row = row + share * (value * cmath.exp(2j * math.pi * mode * i / t)).real / t
        rows.append(row)
    return torch.stack(rows)


def mixed(weight, number, value):
    """Features (d,) of kept mode ``number`` through that mode's matrix of each head."""
    heads = []
    for head in range(HEADS):
        part = value[head * WIDTH : (head + 1) * WIDTH]
        matrix = torch.view_as_complex(weight[number, head])
        heads.append(sum(part[i] * matrix[i] for i in range(WIDTH)))
    return torch.cat(heads)


def block_of_one(weight, modes, queries, displace):
    found = {}
    for number, mode in enumerate(modes):
        found[number if displace else mode] = mixed(weight, number, coefficient(queries, mode))
    return series_of(found, len(queries))


def cross_of_one(weight, modes, source_modes, queries, keys):
    asking = {mode: coefficient(queries, mode) for mode in modes}
    answering = {mode: coefficient(keys, mode) for mode in source_modes}
    found = {}
    for number, mode in enumerate(modes):
        heads = []
        for head in range(HEADS):
            part = slice(head * WIDTH, (head + 1) * WIDTH)
            scores = {n: torch.tanh((asking[mode][part] * answering[n][part]).sum()) for n in source_modes}
            heads.append(sum(scores[n] * answering[n][part] for n in source_modes))
        found[mode] = mixed(weight, number, torch.cat(heads)) / D**2
    return series_of(found, len(queries))


def make(lookback=11, horizon=6, **options):
    torch.manual_seed(0)
    sizes = {"d_model": D, "n_heads": HEADS, "d_ff": 7, "label_len": 5, "dropout": 0.0, "modes": 3}
    model = slow.shaken(
        build("fedformer", lookback=lookback, horizon=horizon, n_variates=2, **sizes | options)
    )
    for name, parameter in model.named_parameters():  # at their official scale the blocks do next to nothing
        if name.endswith("block.weight") or name.endswith("cross_attention.weight"):
            torch.nn.init.normal_(parameter)
    return model


def inputs(b=2, lookback=11, horizon=6):
    shapes = ((b, lookback, 2), (b, lookback, 4), (b, horizon, 4))
    return Batch(*(torch.randn(shape, dtype=torch.float64) for shape in shapes))


def slow_forecast(model, batch, number):
    weights = dict(model.named_parameters())
    official = model.config.variant == "official"
    asking, answering = model.cross_attention.modes.tolist(), model.cross_attention.source_modes.tolist()

    def attend(prefix, series, source):
        queries = slow.linear(weights, prefix + "queries.", series)
        if "cross" in prefix:
            keys = slow.linear(weights, prefix + "keys.", source)
            out = cross_of_one(weights["cross_attention.weight"], asking, answering, queries, keys)
        else:
            side = "encoder" if prefix.startswith("encoder") else "decoder"
            kept = getattr(model, f"{side}_block").modes.tolist()
            out = block_of_one(weights[f"{side}_block.weight"], kept, queries, official)
        if official:  # (h, e, t) in memory is taken for (t, h e)
            out = torch.stack([out[i % len(out), i // len(out)] for i in range(out.numel())]).view(out.shape)
        return slow.linear(weights, prefix + "out.", out)

    def decompose(series):
        averages = [slow.moving_average(series, kernel) for kernel in model.config.kernels]
        prefix = "decomposition.mixture." if series.shape[1] == 2 else "encoder.0.decompositions.0.mixture."
        maps = weights[prefix + "weight"][:, 0], weights[prefix + "bias"]
        shares = torch.softmax(series.unsqueeze(-1) * maps[0] + maps[1], dim=-1)
        trend = sum(shares[..., i] * average for i, average in enumerate(averages))
        return series - trend, trend

    sample = (batch.past[number], batch.past_marks[number], batch.future_marks[number])
    return sum(slow.progressive_forecast(weights, model.config, *sample, attend, decompose))


@pytest.mark.parametrize(
    ("lookback", "options"),
    [
        (11, {}),
        (12, {"variant": "official", "kernels": [4]}),
        (5, {"modes": 64, "mode_select": "lowest", "kernels": [30], "decoder_layers": 2}),
        (2, {"label_len": 1}),
    ],
)
def test_forecast_and_gradients_equal_the_slow_reading(lookback, options):
    model, batch = make(lookback, **options), inputs(lookback=lookback)
    expected = torch.stack([slow_forecast(model, batch, number) for number in range(2)])
    slow.assert_same_function(model(batch), expected, dict(model.named_parameters()))


def test_several_kernels_are_mixed_by_value():
    model, batch = make(kernels=[3, 8]), inputs()
    maps = [p for name, p in model.named_parameters() if ".mixture." in name]
    for part in ("weight", "bias"):  # the slow reading takes one map for all decompositions of tokens
        same = torch.randn_like(model.get_parameter(f"encoder.0.decompositions.0.mixture.{part}"))
        for name, parameter in model.named_parameters():
            if name.endswith(f"mixture.{part}"):
                parameter.data.copy_(same)
    torch.testing.assert_close(model(batch)[1], slow_forecast(model, batch, 1))
    model.loss(batch, torch.zeros(2, 6, 2, dtype=torch.float64)).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in maps[:-2])


def test_complex_tanh():
    parts = torch.tensor([0.0, 1e-9, -1e-9, 0.3, -0.7, 1.5, -40.0, 400.0], dtype=torch.float64)
    values = torch.complex(*(part.flatten() for part in torch.meshgrid(parts, parts, indexing="ij")))
    expected = [cmath.tanh(value) for value in values.tolist()]
    torch.testing.assert_close(complex_tanh(values), torch.tensor(expected, dtype=torch.complex128))
    assert complex_tanh(values.to(torch.complex64)).isfinite().all()
    few = torch.randn(7, dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(complex_tanh, few)


class TestModes:
    def test_official_numbers(self):
        assert select_modes(96, 64, "random").tolist() == list(range(48))
        assert len(select_modes(144, 64, "random")) == 64

    def test_random_ones_are_distinct_sorted_and_follow_the_seed(self):
        drawn = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            drawn.append(select_modes(400, 20, "random").tolist())
        assert drawn[0] == drawn[1] != drawn[2]
        assert drawn[0] == sorted(set(drawn[0]))
        assert max(drawn[0]) < 200

    def test_lowest(self):
        assert select_modes(400, 4, "lowest").tolist() == [0, 1, 2, 3]

    def test_saved_modes_come_back_under_another_seed(self):
        model, batch = make(lookback=60), inputs(lookback=60)
        saved = save(model.state_dict())
        torch.manual_seed(99)
        other = build("fedformer", lookback=60, horizon=6, n_variates=2, **vars(model.config)).double()
        assert not torch.equal(other.encoder_block.modes, model.encoder_block.modes)
        other.load_state_dict(load(saved))
        assert torch.equal(other(batch), model(batch))
        shown = other.explain(batch)
        assert torch.equal(shown["encoder_modes"], model.encoder_block.modes)
        torch.testing.assert_close(shown["seasonal"] + shown["trend"], model(batch))


def test_layers_share_the_mode_weights():
    model = make(layers=3, decoder_layers=2)
    assert sum(name.endswith("_block.weight") for name, _ in model.named_parameters()) == 2
    assert sum(name == "cross_attention.weight" for name, _ in model.named_parameters()) == 1


def test_the_official_scale_is_kept():
    torch.manual_seed(0)
    model = build("fedformer", lookback=96, horizon=96, n_variates=7)
    for weight in (model.encoder_block.weight, model.cross_attention.weight):
        assert 0 <= weight.min() < weight.max() < 1 / 512**2
    series = torch.randn(2, 144, 512)
    source = torch.randn(2, 96, 512)
    assert model.cross_attention(series, source).std() < 1e-8
