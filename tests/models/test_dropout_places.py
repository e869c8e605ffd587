"""Where dropout falls, against lists written from the papers and the official codes."""

import pytest
import torch

from formerbench.models import build
from formerbench.models.batch import Batch
from formerbench.models.layers import attention, dropout

P = 0.25
B, L, H, V, F = 2, 24, 8, 3, 4
D, D_FF, HEADS, LABEL = 32, 20, 2, 12
T = LABEL + H  # steps of the decoder


def fallen(monkeypatch, name, **options):
    """(share, shape) of what every dropout of one training pass gets, in the order of the pass."""
    places, drop = [], dropout.dropout

    def recorded(values, p):
        if p:
            places.append((pytest.approx(p), tuple(values.shape)))
        return drop(values, p)

    monkeypatch.setattr(dropout, "dropout", recorded)
    monkeypatch.setattr(attention, "drop", recorded)
    sizes = {"d_model": D, "n_heads": HEADS, "dropout": P}
    model = build(name, lookback=L, horizon=H, n_variates=V, n_marks=F, **sizes | options).train()
    model(Batch(torch.randn(B, L, V), torch.randn(B, L, F), torch.randn(B, H, F), static_ids=torch.arange(V)))
    return places


def at(*shapes, p=P):
    return [(p, shape) for shape in shapes]


def feed_forward(b, t):
    """Behind the activation and behind the second linear map."""
    return at((b, t, D_FF), (b, t, D))


def test_patchtst(monkeypatch):
    """Official code: none on the weights; two in a row on the attention's output; none before the head."""
    n, b = 6, B * V
    options = {"patch_len": 8, "stride": 4, "d_ff": D_FF, "layers": 2}
    layer = at((b, n, D), p=1 - (1 - P) ** 2) + feed_forward(b, n)
    assert fallen(monkeypatch, "patchtst", **options) == at((b, n, D)) + 2 * layer


@pytest.mark.parametrize("attention", ["fused", "materialised"])
def test_itransformer(monkeypatch, attention):
    n = V + F
    layer = at((B, HEADS, n, n), (B, n, D)) + feed_forward(B, n)
    places = fallen(monkeypatch, "itransformer", d_ff=D_FF, layers=2, attention=attention)
    assert places == at((B, n, D)) + 2 * layer


@pytest.mark.parametrize("attention", ["prob_sparse", "fused", "materialised"])
@pytest.mark.parametrize("variant", ["informer2020", "thuml"])
def test_informer(monkeypatch, variant, attention):
    """Both codes: on the weights of full attention, not on those of ProbSparse; none in the distilling."""
    full = attention != "prob_sparse"
    options = {"d_ff": D_FF, "layers": 2, "label_len": LABEL, "variant": variant, "attention": attention}
    places = fallen(monkeypatch, "informer", **options)

    def attended(t, s, weights):
        return (at((B, HEADS, t, s)) if weights else []) + at((B, t, D))

    t = {"informer2020": 12, "thuml": 13}[variant]  # steps after the distilling
    cross_is_full = full or variant == "informer2020"
    asking = H if cross_is_full else T  # of the last layer only the forecast's steps are wanted
    encoder = attended(L, L, full) + feed_forward(B, L) + attended(t, t, full) + feed_forward(B, t)
    decoder = attended(T, T, full) + attended(asking, t, cross_is_full) + feed_forward(B, H)
    assert places == at((B, L, D)) + encoder + at((B, T, D)) + decoder


@pytest.mark.parametrize("name", ["autoformer", "fedformer"])
def test_progressive_decomposition(monkeypatch, name):
    """Official codes: on what each attention gives, never inside of it."""
    places = fallen(monkeypatch, name, d_ff=D_FF, layers=2, label_len=LABEL)
    encoder = at((B, L, D)) + 2 * (at((B, L, D)) + feed_forward(B, L))
    decoder = at((B, T, D)) + at((B, T, D), (B, T, D)) + feed_forward(B, T)
    assert places == encoder + decoder


def test_tft(monkeypatch):
    """Official code: before every gate but the last, on each head's output and on the attention's result."""
    places = fallen(monkeypatch, "tft", n_entities=V)
    statics = at((V, D), *[(V, D)] * 4)  # the one variable, then the contexts
    past = at((L, B, V, D), (L, B, V, D), *[(L, B, 1, D)] * F)  # choice, own value, marks
    future = at((H, B, V, D), *[(H, B, 1, D)] * F)
    recurrence = at((L, B * V, D), (H, B * V, D))
    enrichment = at((L + H, B, V, D))
    attended = at((B * V, HEADS, H, D // HEADS), (H, B * V, D), (H, B, V, D))  # the last before the gate
    assert places == statics + past + future + recurrence + enrichment + attended + at((H, B, V, D))
