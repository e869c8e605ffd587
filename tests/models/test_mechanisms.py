"""Each mechanism against the slow reading of the layer that it is taken from, in float64."""

import pytest
import torch

from formerbench.errors import StatedError
from formerbench.measure.flops import count
from formerbench.models import MECHANISMS, build_mechanism
from formerbench.models.layers.prob_sparse import sampled_keys, share

from . import slow
from .test_autoformer import attention_of_one
from .test_fedformer import block_of_one, cross_of_one
from .test_informer import attention_by_loops

L, V, D, HEADS = 30, 2, 6, 2  # width and heads are those of the slow readings
OF_SERIES = ("patch_attention", "variate_attention")


def make(name, lookback=L, d_model=D):
    torch.manual_seed(0)
    sizes = {"horizon": 96, "n_variates": V, "d_model": d_model, "n_heads": HEADS}
    return build_mechanism(name, lookback=lookback, **sizes)


def inputs(mechanism, b=2):
    return mechanism.inputs(b, torch.Generator().manual_seed(1))


# The slow readings: of the weights by name, one sample and the mechanism.


def full_attention(w, tokens, _):
    queries, keys_values = (slow.linear(w, f"attention.{p}.", tokens) for p in ("queries", "keys_values"))
    mixed = slow.attention(queries, keys_values[:, :D], keys_values[:, D:], HEADS)
    return slow.linear(w, "attention.out.", mixed)


def prob_sparse(w, tokens, _):
    queries, keys_values = (slow.linear(w, f"attention.{p}.", tokens) for p in ("queries", "keys_values"))
    heads = [x.view(1, L, HEADS, -1) for x in (queries, keys_values[:, :D], keys_values[:, D:])]
    sampled = sampled_keys(L, L, share(5, L), redraw=False, device=tokens.device)
    mixed = attention_by_loops(*heads, sampled, factor=5, scale=(D // HEADS) ** -0.5, causal=False)
    return slow.linear(w, "attention.out.", mixed.view(L, D))


def auto_correlation(w, series, _):
    own = {name.removeprefix("attention."): weight for name, weight in w.items()}
    return attention_of_one(own, series, series, factor=3)


def fourier_block(w, series, mechanism):
    queries = slow.linear(w, "layer.queries.", series)
    filtered = block_of_one(w["core.weight"], mechanism.core.modes.tolist(), queries, displace=False)
    return slow.linear(w, "layer.out.", filtered)


def fourier_cross_attention(w, series, mechanism):
    modes, source_modes = mechanism.core.modes.tolist(), mechanism.core.source_modes.tolist()
    queries, keys = (slow.linear(w, f"layer.{p}.", series) for p in ("queries", "keys"))
    return slow.linear(w, "layer.out.", cross_of_one(w["core.weight"], modes, source_modes, queries, keys))


def of_tokens(w, tokens):
    projected = slow.linear(w, "attention.project.", tokens)
    return slow.linear(w, "attention.out.", slow.attention(*projected.split(D, dim=1), HEADS))


def patch_attention(w, past, _):
    by_variate = []
    for series in past.T:
        padded = torch.cat([series, series[-1:].expand(8)])
        patches = [padded[i : i + 16] for i in range(0, len(padded) - 15, 8)]
        by_variate.append(of_tokens(w, slow.linear(w, "embedding.", patches) + w["position"]))
    return torch.cat(by_variate)  # (v n, d)


def variate_attention(w, past, _):
    return of_tokens(w, slow.linear(w, "embedding.", past.T))


def series_decomposition(_, series, __):
    return series - slow.moving_average(series, 25)


SLOW = {
    "full_attention": full_attention,
    "full_attention_materialised": full_attention,
    "prob_sparse": prob_sparse,
    "auto_correlation": auto_correlation,
    "fourier_block": fourier_block,
    "fourier_cross_attention": fourier_cross_attention,
    "patch_attention": patch_attention,
    "variate_attention": variate_attention,
    "series_decomposition": series_decomposition,
}
# Parameters of the layer that take no part, or whose gradient is zero whatever happens.
WITHOUT_GRADIENT = {
    "auto_correlation": {"attention.queries.bias"},  # shifts all correlations alike
    "fourier_block": {f"layer.{p}.{part}" for p in ("keys", "values") for part in ("weight", "bias")},
    "fourier_cross_attention": {"layer.values.weight", "layer.values.bias"},
    "patch_attention": {"attention.scale"},
}


@pytest.mark.parametrize("name", MECHANISMS)
class TestMechanism:
    def test_equals_the_slow_reading(self, name):
        mechanism = make(name).double().eval()
        if name.startswith("fourier"):  # at their official scale the modes do next to nothing
            torch.nn.init.normal_(mechanism.core.weight)
        given = inputs(mechanism).double().requires_grad_()
        weights = dict(mechanism.named_parameters())
        expected = torch.stack([SLOW[name](weights, sample, mechanism) for sample in given])
        found = mechanism(given)
        slow.assert_same_function(found.view_as(expected), expected, weights | {"inputs": given})

    def test_inputs_follow_the_generator(self, name):
        given = inputs(make(name), b=3)
        assert given.shape == (3, L, V if name in OF_SERIES else D)
        assert given.dtype == torch.float32
        assert torch.equal(given, inputs(make(name), b=3))

    def test_shape_of_what_comes_out(self, name):
        mechanism = make(name)
        shapes = {"patch_attention": (3 * V, 3, D), "variate_attention": (3, V, D)}
        assert mechanism(inputs(mechanism, b=3)).shape == shapes.get(name, (3, L, D))

    def test_gradients_reach_every_parameter(self, name):
        mechanism = make(name).double()
        given = inputs(mechanism).double().requires_grad_()
        out = mechanism(given)
        (out * torch.randn_like(out)).sum().backward()
        assert given.grad.abs().sum() > 0
        missed = {
            key
            for key, parameter in mechanism.named_parameters()
            if parameter.grad is None or parameter.grad.abs().max() < 1e-15
        }
        assert missed == WITHOUT_GRADIENT.get(name, set())

    def test_work_grows_as_the_mechanism_says(self, name):
        """Floating-point operations beside those of the linear maps, at twice the lookback."""
        d, core = 16, []
        for lookback in (512, 1024):  # as many queries of ProbSparse attention at both
            mechanism = make(name, lookback=lookback, d_model=d)
            given = inputs(mechanism)
            total = count(lambda m=mechanism, x=given: m(x))
            core.append(total - 2 * 2 * linear_maps(name, lookback, d))
        if name in CONSTANT:
            assert core == [CONSTANT[name](d)] * 2
        else:
            assert core[1] / core[0] == GROWTH[name]


def linear_maps(name, lookback, d):
    """Multiplications a sample of the projections and the embedding."""
    n = lookback // 8
    return {
        "patch_attention": V * n * (16 * d + 4 * d * d),
        "variate_attention": V * (lookback * d + 4 * d * d),
        "fourier_block": 2 * lookback * d * d,
        "fourier_cross_attention": 3 * lookback * d * d,
        "series_decomposition": 0,
    }.get(name, 4 * lookback * d * d)


GROWTH = {
    "full_attention": 4,
    "full_attention_materialised": 4,
    "prob_sparse": 2,
    "auto_correlation": pytest.approx(2 * 10 / 9),  # L log L
    "fourier_block": pytest.approx(2, abs=0.02),  # what is done to 64 modes is the same
    "fourier_cross_attention": pytest.approx(2, abs=0.16),  # and so are 64 * 64 scores
    "patch_attention": 4,
}
CONSTANT = {
    "variate_attention": lambda d: 2 * 2 * 2 * V * V * d,  # two samples, two products
    "series_decomposition": lambda d: 0,  # sums only
}


def test_fused_and_materialised_are_the_same_function():
    fused, materialised = make("full_attention").double(), make("full_attention_materialised").double()
    weights = dict(fused.named_parameters())
    given = inputs(fused).double().requires_grad_()
    other = torch.func.functional_call(materialised, weights, given)
    slow.assert_same_function(fused(given), other, weights | {"inputs": given})


def test_fourier_blocks_keep_64_random_modes():
    mechanism = make("fourier_cross_attention", lookback=400)
    for modes in (mechanism.core.modes, mechanism.core.source_modes):
        assert len(set(modes.tolist())) == 64
        assert modes.max() > 64
    assert not torch.equal(mechanism.core.modes, mechanism.core.source_modes)


def test_errors_name_what_was_wanted():
    sizes = {"horizon": 96, "n_variates": 1, "d_model": 16}
    with pytest.raises(StatedError, match=r"'prob_sparce' \(did you mean 'prob_sparse'\?\)"):
        build_mechanism("prob_sparce", lookback=96, n_heads=2, **sizes)
    with pytest.raises(StatedError, match="n_heads 3 does not divide d_model 16"):
        build_mechanism("full_attention", lookback=96, n_heads=3, **sizes)
    with pytest.raises(StatedError, match="lookback 15 is shorter than a patch of 16 steps"):
        build_mechanism("patch_attention", lookback=15, n_heads=2, **sizes)
