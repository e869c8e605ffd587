"""What must not change the function: checkpointing, compiling, half precision, kernels, a look inside."""

import pytest
import torch
from torch.utils._pytree import tree_leaves

from formerbench.models.layers import attention as attention_layer

from .tiny import ATTENTION, TRAINED, TRANSFORMERS, H, V, batch, tiny, trained
from .watching import Made


def losses(models, b=8):
    """Loss and gradients of each model on the same batch with the same random numbers."""
    target = torch.randn(b, H, V, generator=torch.Generator().manual_seed(9))
    for model in models:
        torch.manual_seed(3)
        loss = model.loss(batch(b), target)
        yield loss, torch.autograd.grad(loss, trained(model), allow_unused=True)


@pytest.mark.parametrize("name", TRANSFORMERS)
class TestSwitches:
    def test_checkpointing_changes_no_number(self, name):
        plain, recomputing = tiny(name), tiny(name, checkpoint=True)
        (loss, gradients), (again, again_gradients) = losses([plain, recomputing])
        assert torch.equal(loss, again)
        for a, b in zip(gradients, again_gradients, strict=True):
            torch.testing.assert_close(a, b)
        for a, b in zip(plain.buffers(), recomputing.buffers(), strict=True):
            assert torch.equal(a, b)  # batch statistics are taken over once

    def test_checkpointing_draws_the_same_dropout_of_blocks_of_weights(self, name, monkeypatch):
        monkeypatch.setattr(attention_layer, "_FEW", 0)
        fused = {"attention": "fused"} if name in ATTENTION else {}
        (loss, _), (again, _) = losses([tiny(name, **fused), tiny(name, checkpoint=True, **fused)])
        assert torch.equal(loss, again)

    def test_checkpointing_keeps_less(self, name):
        kept = []
        for model in (tiny(name), tiny(name, checkpoint=True)):
            saved = []  # the tensors themselves, so that no storage is freed and counted twice
            with torch.autograd.graph.saved_tensors_hooks(lambda t, s=saved: s.append(t) or t, lambda t: t):
                model.loss(batch(), torch.zeros(8, H, V))
            storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in saved}
            kept.append(sum(storages.values()))
        assert kept[1] < 0.8 * kept[0]

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision_is_close(self, name, dtype):
        model = tiny(name, dropout=0.0).eval()
        full = model(batch())
        with torch.autocast("cpu", dtype=dtype):
            half = model(batch())
            loss = model.loss(batch(), torch.zeros(8, H, V))
        loss.backward()
        assert (half.float() - full).pow(2).mean() < 0.01 * full.var()
        assert loss.isfinite()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("name", [name.partition("+")[0] for name in TRANSFORMERS])
class TestCompiled:
    @pytest.mark.slow
    def test_compiled_is_the_same_function(self, name):
        plain, compiled = (tiny(name, dropout=0.0, compile=on).eval() for on in (False, True))
        self.check(plain, compiled, rtol=1e-3, atol=1e-5)

    def test_compiled_draws_the_same_dropout(self, name):
        plain, compiled = tiny(name, dropout=0.3), tiny(name, dropout=0.3)
        compiled.compile(backend="aot_eager")  # no code is generated, which takes long
        self.check(plain, compiled, rtol=1e-5, atol=1e-7)

    def check(self, plain, compiled, **tolerance):
        torch._dynamo.reset()
        counters = torch._dynamo.utils.counters
        counters.clear()
        # No tensor of so small a batch is large enough for a dropout that compiled models do not have.
        (loss, gradients), (again, again_gradients) = losses([plain, compiled], b=4)
        torch.testing.assert_close(loss, again)
        for a, b in zip(gradients, again_gradients, strict=True):
            if a is not None:
                torch.testing.assert_close(a, b, **tolerance)
        assert counters["stats"]["unique_graphs"] > 0
        # Torch compiles around an LSTM, not through it.
        assert all("LSTM" in reason for reason in counters["graph_break"])


@pytest.mark.parametrize("name", ATTENTION)
def test_fused_and_materialised_attention_are_the_same_function(name):
    fused, materialised = (tiny(name, dropout=0.0, attention=how) for how in ("fused", "materialised"))
    (loss, gradients), (other, other_gradients) = losses([fused, materialised])
    torch.testing.assert_close(loss, other)
    for a, b in zip(gradients, other_gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("name", "attention", "dropout", "calls"),
    [
        ("patchtst", "fused", 0.1, 2),
        ("itransformer", "fused", 0.0, 2),  # no fused kernel of the CPU has dropout of the weights
        ("informer", "fused", 0.0, 4),
        ("informer", "prob_sparse", 0.0, 4),
        ("tft+statics", "fused", 0.1, 1),
    ],
)
def test_every_attention_takes_the_flash_kernel(name, attention, dropout, calls, training):
    model = tiny(name, dropout=dropout, attention=attention).train(training)
    with Made() as made:
        model.loss(batch(), torch.zeros(8, H, V)).backward()
    for kernel in ("flash_attention_for_cpu.", "flash_attention_for_cpu_backward."):
        assert sum(kernel in operation for operation in made.operations) == calls


@pytest.mark.parametrize("name", ATTENTION)
def test_fused_attention_makes_none_of_the_maps_that_explain_shows(name):
    made = {}
    for attention in ("fused", "materialised"):
        model = tiny(name, dropout=0.0, attention=attention)
        shown = model.explain(batch())
        maps = {tuple(value.shape[-2:]) for key, value in shown.items() if "attention" in key}
        with Made() as watched:
            model.loss(batch(), torch.zeros(8, H, V)).backward()
        # A mask has no axis but these two.
        made[attention] = {shape[-2:] for shape, _ in watched.tensors if len(shape) > 2} & maps
    assert made == {"fused": set(), "materialised": maps}


@pytest.mark.parametrize("name", TRAINED)
def test_explain_costs_the_forecast_nothing_and_changes_nothing(name):
    model = tiny(name).eval()
    with Made() as before:
        forecast = model(batch())
    shown = model.explain(batch())
    assert shown
    assert all(isinstance(value, torch.Tensor) for value in shown.values())
    assert not any(value.requires_grad for value in shown.values())
    with Made() as after:
        again = model(batch())
    assert torch.equal(again, forecast)
    assert (after.operations, after.tensors) == (before.operations, before.tensors)
    assert not kept(model)


def kept(model):
    """Attributes of the modules that hold tensors besides parameters and buffers."""
    attributes = [(key, value) for module in model.modules() for key, value in vars(module).items()]
    return [
        key
        for key, value in attributes
        if key not in ("_parameters", "_buffers")
        for leaf in tree_leaves(value)
        if isinstance(leaf, torch.Tensor) and not isinstance(leaf, torch.nn.Parameter)
    ]
