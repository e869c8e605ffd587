"""Informer against a slow reading of the paper and the official codes, in float64."""

import math

import pytest
import torch

from formerbench.models import build, informer
from formerbench.models.batch import Batch
from formerbench.models.layers import prob_sparse
from formerbench.models.layers.prob_sparse import (
    prob_sparse_attention,
    sampled_keys,
    select_queries,
    share,
    sparsity,
)

from . import slow
from .watching import Made

L, H, V, F, D, HEADS, LABEL = 13, 4, 3, 2, 8, 2, 5
WIDTH = D // HEADS
VARIANTS = ("informer2020", "thuml")
SMALL = {
    "d_model": D,
    "n_heads": HEADS,
    "d_ff": 7,
    "layers": 2,
    "decoder_layers": 2,
    "label_len": LABEL,
    "factor": 1,
    "dropout": 0.0,
}


def small(**changes):
    torch.manual_seed(0)
    return slow.shaken(build("informer", lookback=L, horizon=H, n_variates=V, n_marks=F, **SMALL | changes))


def batch(b=3, lookback=L):
    random = torch.Generator().manual_seed(1)
    shapes = ((lookback, V), (lookback, F), (H, F))
    return Batch(*(torch.randn(b, *shape, generator=random, dtype=torch.float64) for shape in shapes))


def heads(t, s, b=2, h=2, d=3, seed=0):
    """Queries, keys and values that may be differentiated."""
    random = torch.Generator().manual_seed(seed)
    return [
        torch.randn(b, n, h, d, generator=random, dtype=torch.float64).requires_grad_() for n in (t, s, s)
    ]


# The slow reading.


def count(factor, length):
    return min(length, factor * math.ceil(math.log(length))) if length > 1 else 1


def measurement(queries, keys, sampled):
    """Sparsity of each of one head's ``queries``, a list of vectors."""
    rows = zip(queries, sampled, strict=True)
    scores = [[float((query @ keys[j]).detach()) for j in row] for query, row in rows]
    return [max(row) - sum(row) / len(keys) for row in scores]


def one_head(queries, keys, values, *, chosen, scale, causal):
    """Output of one head, lists of vectors; the queries ``chosen`` attend and the others are lazy."""
    rows = []
    for i, query in enumerate(queries):
        seen = i + 1 if causal else len(keys)
        if i in chosen:
            weights = torch.softmax(torch.stack([scale * (query @ key) for key in keys[:seen]]), 0)
            rows.append(sum(weight * value for weight, value in zip(weights, values, strict=False)))
        else:
            rows.append(sum(values[:seen]) if causal else sum(values) / len(values))
    return rows


def most(measured, n):
    return sorted(range(len(measured)), key=lambda i: -measured[i])[:n]


def attention_by_loops(queries, keys, values, sampled, *, factor, scale, causal):
    """(b, t, h, d) by loops over samples, heads and queries."""
    out = []
    for b in range(queries.shape[0]):
        by_head = []
        for h in range(queries.shape[2]):
            q, k, v = (list(x[b, :, h]) for x in (queries, keys, values))
            chosen = most(measurement(q, k, sampled.tolist()), count(factor, len(q)))
            by_head.append(torch.stack(one_head(q, k, v, chosen=chosen, scale=scale, causal=causal)))
        out.append(torch.stack(by_head, dim=1))
    return torch.stack(out)


def multi_head(w, p, tokens, source, *, kind, causal=False, mix=False):
    queries = slow.linear(w, p + "queries.", tokens)
    keys_values = slow.linear(w, p + "keys_values.", source)
    sampled = sampled_keys(
        len(tokens), len(source), count(1, len(source)), redraw=False, device=tokens[0].device
    ).tolist()
    rows = []
    for head in range(HEADS):
        part = slice(head * WIDTH, (head + 1) * WIDTH)
        q = [x[part] for x in queries]
        k, v = [x[:D][part] for x in keys_values], [x[D:][part] for x in keys_values]
        chosen = range(len(q))
        if kind == "prob_sparse":
            chosen = most(measurement(q, k, sampled), count(1, len(q)))
        rows.append(one_head(q, k, v, chosen=chosen, scale=WIDTH**-0.5, causal=causal))
    if mix:  # all steps of the first head, then those of the second, cut into tokens
        joined = torch.cat([row for head in rows for row in head]).split(D)
    else:
        joined = [torch.cat(parts) for parts in zip(*rows, strict=True)]
    return slow.linear(w, p + "out.", joined)


def embed(w, p, values, marks, biases):
    tokens = []
    for t, token in enumerate(slow.embed(w, p, values, marks)):
        wave = [(math.sin if i % 2 == 0 else math.cos)(t / 10000 ** ((i - i % 2) / D)) for i in range(D)]
        tokens.append(token + torch.tensor(wave, dtype=torch.float64))
        if biases:
            tokens[t] = tokens[t] + w[p + "values.bias"] + w[p + "marks.bias"]
    return torch.stack(tokens)


def distil(w, p, tokens, padding):
    n, convolved = len(tokens), []
    for centre in range(1 - padding, n + padding - 1):
        kernel = w[p + "convolution.weight"]
        out = sum(kernel[:, :, k] @ tokens[(centre + k - 1) % n] for k in range(3))
        convolved.append(out + w[p + "convolution.bias"])
    normed = slow.batch_norm(w, p + "norm.", convolved)
    normed = torch.where(normed > 0, normed, torch.exp(normed) - 1)
    return torch.stack([normed[max(0, i - 1) : i + 2].amax(0) for i in range(0, len(normed), 2)])


def forecast_of_one(model, past, past_marks, future_marks, kind):
    """(H, V) forecast of one window.

    In the authors' code the decoder's self attention alone mixes up heads and steps, of whatever kind it is,
    and the cross attention is full. In thuml's, every ProbSparse attention mixes them up.
    """
    w = dict(model.named_parameters()) | dict(model.named_buffers())
    authors = model.config.variant == "informer2020"
    mix = not authors and kind == "prob_sparse"

    def layer(p, tokens, source, **how):
        """Attention of the part that ``p`` names, and the norm behind it."""
        attended = multi_head(w, p, tokens, source, **how)
        before, part = p.removesuffix(".").rsplit(".", 1)
        return slow.layer_norm(w, f"{before}.norm_{part}.", tokens + attended)

    def fed(p, tokens):
        out = slow.feed_forward(w, p + "feed_forward.", tokens)
        return slow.layer_norm(w, p + "norm_feed_forward.", tokens + out)

    tokens = embed(w, "encoder_embedding.", past, past_marks, biases=authors)
    for depth in range(2):
        p = f"encoder.{depth}."
        tokens = fed(p, layer(p + "attention.", tokens, tokens, kind=kind, mix=mix))
        if depth == 0:
            tokens = distil(w, "distil.0.", tokens, padding=1 if authors else 2)
    source = slow.layer_norm(w, "encoder_norm.", tokens)

    start = torch.cat([past[-LABEL:], torch.zeros(H, V, dtype=torch.float64)])
    marks = torch.cat([past_marks[-LABEL:], future_marks])
    tokens = embed(w, "decoder_embedding.", start, marks, biases=authors)
    for depth in range(2):
        p = f"decoder.{depth}."
        tokens = layer(p + "attention.", tokens, tokens, kind=kind, causal=True, mix=mix or authors)
        cross = "full" if authors else kind
        tokens = fed(p, layer(p + "cross_attention.", tokens, source, kind=cross, mix=mix))
    return slow.linear(w, "head.", slow.layer_norm(w, "decoder_norm.", tokens[-H:]))


SELF = [(7, 1), (12, 2), (1, 5), (2, 1), (3, 5)]  # length and factor


class TestProbSparse:
    @pytest.mark.parametrize(
        ("t", "s", "factor", "causal"),
        [(n, n, factor, causal) for n, factor in SELF for causal in (False, True)]
        + [(9, 5, 1, False), (4, 11, 1, False), (6, 1, 1, False), (1, 6, 2, False)],
    )
    def test_output_and_gradient_equal_the_loops(self, t, s, factor, causal):
        inputs = heads(t, s)
        sampled = sampled_keys(t, s, count(factor, s), redraw=False, device=inputs[0].device)
        positions, _ = select_queries(*inputs[:2], factor, redraw=False)
        assert positions.shape == (2, 2, count(factor, t))
        ours = prob_sparse_attention(*inputs, positions, scale=0.4, causal=causal)
        theirs = attention_by_loops(*inputs, sampled, factor=factor, scale=0.4, causal=causal)
        slow.assert_same_function(ours, theirs, dict(zip("qkv", inputs, strict=True)))

    @pytest.mark.parametrize("block", [1, 100, 500, 2**19])
    def test_measurement_equals_the_formula_however_it_is_cut(self, block, monkeypatch):
        monkeypatch.setattr(prob_sparse, "_BLOCK", block)
        queries, keys, _ = heads(9, 7, b=3)
        sampled = torch.randint(7, (9, 4))
        measured = sparsity(queries, keys, sampled)
        assert measured.shape == (3, 2, 9)
        for b in range(3):
            for h in range(2):
                by_hand = measurement(list(queries[b, :, h]), list(keys[b, :, h]), sampled.tolist())
                torch.testing.assert_close(measured[b, h], torch.tensor(by_hand, dtype=torch.float64))

    @pytest.mark.parametrize("causal", [False, True])
    def test_with_every_query_selected_it_is_full_attention(self, causal):
        queries, keys, values = heads(11, 11)
        positions, _ = select_queries(queries, keys, 11, redraw=True)
        ours = prob_sparse_attention(queries, keys, values, positions, scale=0.7, causal=causal)
        scores = 0.7 * torch.einsum("bthd,bshd->bhts", queries, keys)
        if causal:
            scores = scores.masked_fill(torch.ones(11, 11).triu(1) > 0, -math.inf)
        full = torch.einsum("bhts,bshd->bthd", scores.softmax(-1), values)
        torch.testing.assert_close(ours, full)

    def test_under_a_causal_mask_no_gradient_comes_from_later_keys_and_values(self):
        queries, keys, values = heads(10, 10)
        positions, _ = select_queries(queries, keys, 1, redraw=False)
        out = prob_sparse_attention(queries, keys, values, positions, scale=1.0, causal=True)
        for t in range(10):
            later = torch.autograd.grad(out[:, t].sum(), (keys, values), retain_graph=True)
            for gradient in later:
                assert torch.all(gradient[:, t + 1 :] == 0)
        assert torch.all(later[1] != 0)  # the last step sees all

    def test_selection_is_by_sample_and_head_and_a_nan_stays_in_its_sample(self):
        queries, keys, values = (x.detach() for x in heads(12, 12, b=4, h=3))
        positions, _ = select_queries(queries, keys, 1, redraw=False)
        assert len({tuple(sorted(row)) for row in positions.flatten(0, 1).tolist()}) > 4
        out = prob_sparse_attention(queries, keys, values, positions, scale=1.0, causal=False)
        for x in (queries, keys, values):
            x[1, 3] = math.nan
        positions_beside_nan, _ = select_queries(queries, keys, 1, redraw=False)
        beside_nan = prob_sparse_attention(
            queries, keys, values, positions_beside_nan, scale=1.0, causal=False
        )
        others = [0, 2, 3]
        assert torch.equal(beside_nan[others], out[others])
        assert beside_nan[1].isnan().all()

    def test_sampled_keys_are_never_laid_out_at_once(self):
        b, t, h, d = 16, 256, 2, 16
        inputs = [x.float().detach().requires_grad_() for x in heads(t, t, b=b, h=h, d=d)]
        with Made() as made:
            positions, _ = select_queries(*inputs[:2], 5, redraw=True)
            prob_sparse_attention(*inputs, positions, scale=1.0, causal=False).sum().backward()
        assert b * t * h * d <= made.largest() <= 2**19 < b * t * share(5, t) * h * d / 7

    def test_share_is_clamped(self):
        assert [share(5, n) for n in (1, 2, 5, 16, 96, 1440)] == [1, 2, 5, 15, 25, 40]

    def test_the_fixed_draw_is_even_and_differs_from_row_to_row(self):
        keys = sampled_keys(1440, 1440, 40, redraw=False, device=torch.device("cpu"))
        assert keys.shape == (1440, 40)
        counts = torch.bincount(keys.flatten(), minlength=1440).double()
        assert counts.shape == (1440,)
        assert counts.std() == pytest.approx(math.sqrt(40), rel=0.1)
        assert torch.corrcoef(keys.double().T).fill_diagonal_(0).abs().max() < 0.15
        neighbours = torch.stack([keys[1:].flatten(), keys[:-1].flatten()]).double()
        assert torch.corrcoef(neighbours)[0, 1].abs() < 0.02


@pytest.mark.parametrize("attention", ["prob_sparse", "fused", "materialised"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_forecast_and_gradients_equal_the_slow_reading(variant, attention):
    model, inputs = small(variant=variant, attention=attention).eval(), batch(b=2)
    past = inputs.past.requires_grad_()
    windows = zip(past, inputs.past_marks, inputs.future_marks, strict=True)
    expected = torch.stack([forecast_of_one(model, *window, attention) for window in windows])
    slow.assert_same_function(model(inputs), expected, dict(model.named_parameters()) | {"past": past})


@pytest.mark.parametrize(("variant", "lengths"), [("informer2020", (96, 48, 24)), ("thuml", (96, 49, 26))])
def test_distilling_halves_the_length(variant, lengths):
    options = SMALL | {"variant": variant, "layers": 3, "label_len": 48}
    model = build("informer", lookback=96, horizon=H, n_variates=V, n_marks=F, **options).eval()
    inputs = Batch(*(None if x is None else x.float() for x in batch(lookback=96)))
    shown = model.explain(inputs)
    assert tuple(shown[f"sparsity_{i}"].shape[-1] for i in range(3)) == lengths
    model = build(
        "informer", lookback=96, horizon=H, n_variates=V, n_marks=F, **options | {"distil": False}
    ).eval()
    assert model.explain(inputs)["sparsity_2"].shape[-1] == 96
    assert len(model.distil) == 0


@torch.no_grad()
def test_distilling_in_training_uses_the_statistics_of_the_longer_series():
    """The wide padding repeats two steps, which count twice in the batch norm, as in the official code."""
    model = small(variant="thuml").train()
    tokens = torch.randn(2, 6, D, dtype=torch.float64)
    layer = model.distil[0]
    reference = torch.nn.Conv1d(D, D, 3, padding=2, padding_mode="circular").double()
    reference.load_state_dict(layer.convolution.state_dict())
    convolved = reference(tokens.transpose(1, 2))
    flat = convolved.transpose(1, 2).flatten(0, 1)
    scaled = (convolved - flat.mean(0)[:, None]) / (flat.var(0, correction=0) + 1e-5).sqrt()[:, None]
    normed = scaled * layer.norm.weight[:, None] + layer.norm.bias[:, None]
    expected = torch.nn.functional.max_pool1d(torch.nn.functional.elu(normed), 3, 2, 1)
    torch.testing.assert_close(layer(tokens), expected.transpose(1, 2))


@pytest.mark.parametrize("kind", ["fused", "materialised", "prob_sparse"])
def test_decoder_self_attention_never_looks_ahead(kind):
    torch.manual_seed(0)
    config = small(attention=kind).config
    attention = informer.Attention(config, kind, causal=True).double().eval()
    tokens = torch.randn(2, 9, D, dtype=torch.float64, requires_grad=True)
    out = attention(tokens, tokens)
    for t in range(9):
        (gradient,) = torch.autograd.grad(out[:, t].sum(), tokens, retain_graph=True)
        assert torch.all(gradient[:, t + 1 :] == 0)
        assert torch.all(gradient[:, : t + 1].abs().sum(-1) > 0)


@torch.no_grad()
def test_evaluation_draws_nothing_and_does_not_depend_on_the_batch():
    model, inputs = small().eval(), batch(b=4)
    state = torch.get_rng_state()
    forecast = model(inputs)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    assert torch.equal(model(inputs), forecast)
    for b in range(4):
        alone = Batch(*(x[b : b + 1] for x in inputs[:3]))
        torch.testing.assert_close(model(alone)[0], forecast[b])


@torch.no_grad()
def test_training_draws_keys_anew_and_follows_the_seed():
    model, inputs = small().train(), batch()

    def forecast(seed):
        torch.manual_seed(seed)
        return model(inputs)

    assert torch.equal(forecast(1), forecast(1))
    assert len({round(float(forecast(seed).sum()), 9) for seed in range(8)}) > 4
    torch.manual_seed(1)
    model(inputs)
    assert not torch.equal(model(inputs), forecast(1))


def test_marks_of_past_and_future_are_used():
    model, inputs = small().eval(), batch()
    for field in ("past_marks", "future_marks"):
        other = inputs._replace(**{field: getattr(inputs, field) + 1})
        assert not torch.allclose(model(inputs), model(other))


@torch.no_grad()
def test_explain_shows_what_the_forecast_used(monkeypatch):
    model, inputs = small().eval(), batch()
    used = []

    def spy(*args, **kwargs):
        used.append(select_queries(*args, **kwargs))
        return used[-1]

    monkeypatch.setattr(informer, "select_queries", spy)
    model(inputs)
    of_forecast = used[:2]  # the encoder's layers come first
    shown = model.explain(inputs)
    assert set(shown) == {"selected_queries_0", "sparsity_0", "selected_queries_1", "sparsity_1"}
    for depth, (positions, measured) in enumerate(of_forecast):
        assert torch.equal(shown[f"selected_queries_{depth}"], positions)
        assert torch.equal(shown[f"sparsity_{depth}"], measured)
        assert positions.shape == (3, HEADS, count(1, measured.shape[-1]))
        for row, peaks in zip(positions.flatten(0, 1), measured.flatten(0, 1), strict=True):
            assert row.tolist() == most(peaks.tolist(), len(row))


@torch.no_grad()
def test_explain_of_full_attention_gives_weights_that_sum_to_one():
    model, inputs = small(attention="fused").eval(), batch()
    shown = model.explain(inputs)
    assert {name: tuple(x.shape[1:]) for name, x in shown.items()} == {
        "attention_0": (HEADS, L, L),
        "attention_1": (HEADS, 7, 7),
    }
    for weights in shown.values():
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones_like(weights[..., 0]))
