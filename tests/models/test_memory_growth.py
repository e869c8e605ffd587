"""Memory grows with the lookback, not with its square: what is kept for the backward pass, and the peak."""

import gc

import pytest
import torch

from formerbench.measure.tensors import inspect
from formerbench.models import build
from formerbench.models.batch import Batch
from formerbench.models.layers import attention

from .tiny import TINY, trained

SIX = ["informer", "autoformer", "fedformer", "itransformer", "tft", "patchtst"]
H, F = 8, 4
SHORT, LONG = 203, 611  # three times as long; no other axis has these lengths


def inputs(b, lookback, v, horizon=H):
    random = torch.Generator().manual_seed(0)
    shapes = ((b, lookback, v), (b, lookback, F), (b, horizon, F), (b, horizon, v))
    past, past_marks, future_marks, target = (torch.randn(s, generator=random) for s in shapes)
    return Batch(past, past_marks, future_marks), target


def saved_shapes(name, lookback=SHORT, v=3, **options):
    """Shapes of the tensors that one training pass keeps for the backward pass, in the order of the pass."""
    torch.manual_seed(0)
    options = TINY[name] | options
    model = build(name, lookback=lookback, horizon=H, n_variates=v, **options).train()
    batch, target = inputs(2, lookback, v)
    shapes = []

    def record(tensor):
        shapes.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        loss = model.loss(batch, target)
    loss.backward()
    return shapes


def faster_than_linear(short, long, times):
    """Pairs of shapes with two axes that grow, or with one that grows like a square or so."""
    found = []
    for small, large in zip(short, long, strict=True):
        axes = sum(a != b for a, b in zip(small, large, strict=True))
        grown = torch.Size(large).numel() / torch.Size(small).numel()
        if axes > 1 or grown > 1.1 * times:
            found.append((small, large))
    return found


def growing_with_lookback(name, **options):
    pair = [saved_shapes(name, lookback=lookback, **options) for lookback in (SHORT, LONG)]
    assert any(small != large for small, large in zip(*pair, strict=True))
    return faster_than_linear(*pair, times=LONG / SHORT)


@pytest.fixture
def by_blocks(monkeypatch):
    """However few weights there are, as if there were many."""
    monkeypatch.setattr(attention, "_FEW", 0)


@pytest.mark.usefixtures("by_blocks")
class TestSavedTensors:
    @pytest.mark.parametrize("dropout", [0.0, 0.1])
    @pytest.mark.parametrize("name", SIX)
    def test_none_has_two_axes_that_grow_with_the_lookback(self, name, dropout):
        assert growing_with_lookback(name, dropout=dropout) == []

    @pytest.mark.parametrize("dropout", [0.0, 0.1])
    @pytest.mark.parametrize(
        ("name", "attention"),
        [
            ("informer", "fused"),
            ("patchtst", "fused"),
            ("informer", "materialised"),
            ("patchtst", "materialised"),
        ],
    )
    def test_only_materialised_attention_has_such(self, name, attention, dropout):
        found = growing_with_lookback(name, attention=attention, dropout=dropout)
        assert bool(found) == (attention == "materialised")

    @pytest.mark.parametrize("attention", ["fused", "materialised"])
    @pytest.mark.parametrize("dropout", [0.0, 0.1])
    def test_attention_between_variates_is_linear_in_their_number(self, attention, dropout):
        options = {"attention": attention, "dropout": dropout}
        pair = [saved_shapes("itransformer", lookback=24, v=v, **options) for v in (101, 302)]
        assert bool(faster_than_linear(*pair, times=3)) == (attention == "materialised")


def peak_mb(name, phase, lookback, *, batch_size, n_variates=7, horizon=96, **options):
    """Most tensor memory of a forecast, or of two training steps: the second has the optimizer's state."""
    torch.manual_seed(0)
    sizes = {"d_model": 64, "n_heads": 4} | options
    model = build(name, lookback=lookback, horizon=horizon, n_variates=n_variates, **sizes)
    batch, target = inputs(batch_size, lookback, n_variates, horizon)

    def train():
        optimizer = torch.optim.Adam(trained(model), fused=True)
        for _ in range(2):
            optimizer.zero_grad()
            model.loss(batch, target).backward()
            optimizer.step()

    gc.collect()
    model.train(phase == "train_step")
    return inspect(
        train if phase == "train_step" else torch.no_grad()(lambda: model(batch)), "cpu"
    ).peak_tensor_mb


MOST = {"tft": 2.5, "patchtst": 2.5}  # other models: 2.2
# Windows that take 500 MB at a lookback of 5000 with the profile's widths; a fifth of them does in a fifth.
ENOUGH = {
    "train_step": {
        "informer": 4,
        "autoformer": 3,
        "fedformer": 3,
        "itransformer": 1000,
        "tft": 2,
        "patchtst": 8,
    },
    "inference": {
        "informer": 8,
        "autoformer": 8,
        "fedformer": 8,
        "itransformer": 1000,
        "tft": 10,
        "patchtst": 20,
    },
}


@pytest.mark.parametrize("name", SIX)
@pytest.mark.parametrize("phase", ENOUGH)
class TestPeak:
    def test_doubles_at_most(self, name, phase):
        batch_size = max(1, ENOUGH[phase][name] // 5)
        short, long = (peak_mb(name, phase, n, batch_size=batch_size) for n in (2500, 5000))
        assert 25 < short < long < MOST.get(name, 2.2) * short

    @pytest.mark.slow
    def test_doubles_at_most_above_500_mb(self, name, phase):
        short, long = (peak_mb(name, phase, n, batch_size=ENOUGH[phase][name]) for n in (5000, 10000))
        assert 500 < short < long < MOST.get(name, 2.2) * short


@pytest.mark.usefixtures("by_blocks")
@pytest.mark.parametrize("attention", ["fused", "materialised"])
def test_full_attention_of_time_steps_doubles_where_it_is_fused(attention):
    """Informer's, whose weights have dropout."""
    sizes = {"batch_size": 1, "d_model": 32, "n_heads": 2, "d_ff": 32, "attention": attention}
    short, long = (peak_mb("informer", "train_step", n, **sizes) for n in (1000, 2000))
    assert (long < 2.2 * short) == (attention == "fused")
    assert (long > 3 * short) == (attention == "materialised")
