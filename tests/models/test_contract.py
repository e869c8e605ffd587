"""What every trained model must do, whatever its architecture; `repeat` in its place must fail."""

import csv
import re

import pytest
import torch
from safetensors.torch import load, save
from torch.nn.attention import SDPBackend, sdpa_kernel

from formerbench.errors import StatedError
from formerbench.models import MODELS, NAIVE, build
from formerbench.models.batch import Batch

from ..project import REPOSITORY

TINY = {
    "dlinear": {},
    "patchtst": {
        "patch_len": 8,
        "stride": 4,
        "d_model": 16,
        "n_heads": 2,
        "d_ff": 16,
        "layers": 2,
        "dropout": 0.1,
    },
    "itransformer": {"d_model": 16, "n_heads": 2, "d_ff": 16, "dropout": 0.1},
    "informer": {"d_model": 32, "n_heads": 2, "d_ff": 32, "label_len": 12, "factor": 2},
    "autoformer": {"d_model": 16, "n_heads": 2, "d_ff": 16, "label_len": 12, "kernel": 5},
    "fedformer": {"d_model": 16, "n_heads": 2, "d_ff": 64, "label_len": 12, "modes": 8},
    "tft": {"d_model": 32, "n_heads": 2},
}
TRANSFORMERS = [name for name in TINY if name != "dlinear"]
ATTENTION = [name for name in TRANSFORMERS if hasattr(MODELS[name].config, "attention")]
# Parameters that the official code has and never uses, or whose gradient is zero whatever happens.
WITHOUT_GRADIENT = {
    "fedformer": (
        r"attention\.values\.",  # keys serve as values, and the Fourier block has neither
        r"encoder.*\.keys\.|decoder\.\d\.attention\.keys\.",
        r"_norm\.bias",  # the mean over time is taken out
        r"\.mixture\.",  # softmax over the one moving average of the official setting
    ),
    "autoformer": (
        r"\.queries\.bias",  # shifts all correlations alike: neither their order nor their softmax changes
        r"_norm\.bias",
    ),
    # The batch norm of the distilling layer takes out what is the same at all steps.
    "informer": (r"encoder\.0\.norm_feed_forward\.bias", r"distil\.0\.convolution\.bias"),
}
# Rows of param_counts.csv that are no sizes of ours.
OTHER_MODELS = {
    "TFT(TSLib)": "joint over variates and window-normalised; ours is the paper's, one variate at a time",
    "PatchTST(TSLib": "another network: no residual attention, no bias of the patches, sinusoidal positions",
}
TRAINED = [name for name in MODELS if name not in NAIVE]
L, H, V = 24, 8, 3


def tiny(name, **changes):
    torch.manual_seed(0)
    return build(name, lookback=L, horizon=H, n_variates=V, season=12, **TINY.get(name, {}) | changes)


def batch(b=8, seed=0):
    random = torch.Generator().manual_seed(seed)
    past = torch.randn(b, L, V, generator=random)
    return Batch(past, torch.randn(b, L, 4, generator=random), torch.randn(b, H, 4, generator=random))


def official(model, dataset, horizon):
    """(name, sizes and options) of a row of param_counts.csv, from config/models.yaml."""
    from formerbench.config import Study
    from formerbench.data.registry import find
    from formerbench.grid import cells

    name = re.match("[A-Za-z]+", model).group().lower()
    lookback = {"PatchTST/42": 336, "PatchTST/64": 512, "DLinear(L=336)": 336}.get(model, 96)
    config = {
        "study": "s",
        "datasets": [dataset],
        "models": [name],
        "lookbacks": [lookback],
        "horizons": [horizon],
    }
    (cell,) = cells(Study.from_config(config))
    # Since 2023 the official script gives Autoformer's ETTm1 the minute as a fifth time mark.
    n_marks = 5 if (model, dataset) == ("Autoformer", "ETTm1") else 4
    variant = {"variant": "informer2020"} if name == "informer" else {}
    sizes = {"lookback": lookback, "horizon": horizon, "n_variates": find(dataset).variates}
    return name, sizes | {"n_marks": n_marks} | cell.options | variant


def counts():
    with (REPOSITORY / "tests/data/param_counts.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if not row["model"].startswith(tuple(OTHER_MODELS))]


@pytest.mark.parametrize("row", counts(), ids=lambda r: f"{r['model']}-{r['dataset']}-{r['horizon']}")
def test_parameter_counts_are_those_of_the_official_code(row):
    name, arguments = official(row["model"], row["dataset"], int(row["horizon"]))
    with torch.device("meta"):
        model = build(name, **arguments)
    assert sum(p.numel() for p in model.parameters()) == int(row["params_real_scalars"])


@pytest.mark.parametrize("name", MODELS)
def test_forecast_has_the_shape_of_the_contract(name):
    assert tiny(name)(batch(b=5)).shape == (5, H, V)


@pytest.mark.parametrize("name", TRAINED)
class TestTrained:
    def test_overfits_eight_windows(self, name):
        model, inputs = tiny(name, **({"dropout": 0.0} if "dropout" in TINY[name] else {})), batch()
        target = torch.randn(8, H, V, generator=torch.Generator().manual_seed(9))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
        for _ in range(300):
            optimizer.zero_grad()
            loss = model.loss(inputs, target)
            loss.backward()
            optimizer.step()
        assert loss < 0.1 * target.var()

    def test_gradients_reach_every_trained_parameter(self, name):
        model = tiny(name).double()  # so that a zero is told from what rounding leaves
        inputs = Batch(*(None if field is None else field.double() for field in batch()))
        model.loss(inputs, torch.randn(8, H, V, dtype=torch.float64)).backward()
        excused = re.compile("|".join(WITHOUT_GRADIENT.get(name, ["nothing"])))
        for key, parameter in model.named_parameters():
            if parameter.requires_grad:
                reached = parameter.grad is not None and parameter.grad.abs().max() > 1e-15
                assert reached != bool(excused.search(key)), key

    def test_a_sample_does_not_see_the_others_of_its_batch(self, name):
        model = tiny(name).eval()
        inputs = batch()
        alone = Batch(*(field[2:3] if field is not None else None for field in inputs))
        torch.testing.assert_close(model(inputs)[2:3], model(alone), rtol=1e-4, atol=1e-5)
        inputs.past[0, 0, 0] = float("nan")
        together = model(inputs)
        torch.testing.assert_close(together[2:3], model(alone), rtol=1e-4, atol=1e-5)
        assert together[0].isnan().any()

    def test_evaluation_is_deterministic_and_survives_saving(self, name):
        model, inputs = tiny(name).eval(), batch()
        assert torch.equal(model(inputs), model(inputs))
        other = tiny(name)
        torch.nn.init.normal_(next(p for p in other.parameters() if p.requires_grad))
        other.load_state_dict(load(save(model.state_dict())))
        assert torch.equal(other.eval()(inputs), model(inputs))

    def test_the_seed_decides_the_weights(self, name):
        assert all(
            torch.equal(a, b) for a, b in zip(tiny(name).parameters(), tiny(name).parameters(), strict=True)
        )

    def test_the_forecast_uses_the_whole_lookback(self, name):
        model, inputs = tiny(name).eval(), batch()
        past = inputs.past.clone().requires_grad_()
        model(inputs._replace(past=past)).pow(2).sum().backward()
        assert (past.grad.abs().sum(dim=(0, 2)) > 0).all()


@pytest.mark.parametrize("name", TRANSFORMERS)
class TestSwitches:
    def losses(self, models, seed=3):
        """Loss and gradients of each model on the same batch with the same random numbers."""
        target = torch.randn(8, H, V, generator=torch.Generator().manual_seed(9))
        for model in models:
            torch.manual_seed(seed)
            loss = model.loss(batch(), target)
            yield loss, torch.autograd.grad(loss, trained(model), allow_unused=True)

    def test_checkpointing_changes_no_number(self, name):
        plain, recomputing = tiny(name), tiny(name, checkpoint=True)
        (loss, gradients), (again, again_gradients) = self.losses([plain, recomputing])
        assert torch.equal(loss, again)
        for a, b in zip(gradients, again_gradients, strict=True):
            torch.testing.assert_close(a, b)
        for a, b in zip(plain.buffers(), recomputing.buffers(), strict=True):
            assert torch.equal(a, b)  # batch statistics are taken over once

    def test_checkpointing_keeps_less(self, name):
        kept = []
        for model in (tiny(name), tiny(name, checkpoint=True)):
            saved = []  # the tensors themselves, so that no storage is freed and counted twice
            with torch.autograd.graph.saved_tensors_hooks(lambda t, s=saved: s.append(t) or t, lambda t: t):
                model.loss(batch(), torch.zeros(8, H, V))
            storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in saved}
            kept.append(sum(storages.values()))
        assert kept[1] < 0.8 * kept[0]

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore")  # the compiler's own
    def test_compiled_is_the_same_function(self, name):
        torch._dynamo.reset()
        plain, compiled = (tiny(name, dropout=0.0, compile=on).eval() for on in (False, True))
        (loss, gradients), (again, again_gradients) = self.losses([plain, compiled])
        torch.testing.assert_close(loss, again)
        for a, b in zip(gradients, again_gradients, strict=True):
            if a is not None:
                torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
        counters = torch._dynamo.utils.counters
        assert counters["stats"]["unique_graphs"] > 0
        # Torch compiles around an LSTM, not through it.
        assert all("LSTM" in reason for reason in counters["graph_break"])

    def test_half_precision_is_close(self, name):
        model = tiny(name, dropout=0.0).eval()
        full = model(batch())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = model(batch())
            model.loss(batch(), torch.zeros(8, H, V)).backward()
        assert (half.float() - full).pow(2).mean() < 0.01 * full.var()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def trained(model):
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


@pytest.mark.parametrize("name", ATTENTION)
def test_fused_and_materialised_attention_are_the_same_function(name):
    fused, materialised = (tiny(name, dropout=0.0, attention=how) for how in ("fused", "materialised"))
    inputs, target = batch(), torch.randn(8, H, V)
    losses = [model.loss(inputs, target) for model in (fused, materialised)]
    torch.testing.assert_close(*losses)
    for loss in losses:
        loss.backward()
    for a, b in zip(fused.parameters(), materialised.parameters(), strict=True):
        if a.requires_grad:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ATTENTION)
def test_the_flash_kernel_is_taken_where_it_is_asked_for(name):
    model = tiny(name, dropout=0.0, attention="fused")
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION]):  # an error where it cannot be taken
        model.loss(batch(), torch.zeros(8, H, V)).backward()


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_explain_costs_nothing_and_changes_nothing(name):
    model = tiny(name).eval()
    before = model(batch())
    shown = model.explain(batch())
    assert shown
    assert all(isinstance(value, torch.Tensor) for value in shown.values())
    assert torch.equal(model(batch()), before)


def test_errors_name_what_was_wanted():
    with pytest.raises(StatedError, match="checkpoint and compile exclude each other"):
        build("tft", lookback=96, horizon=8, n_variates=1, checkpoint=True, compile=True)
    with pytest.raises(StatedError, match="lookback 24 is shorter than label_len 48"):
        build("autoformer", lookback=24, horizon=8, n_variates=1)
    with pytest.raises(StatedError, match="lookback 4 is shorter than a patch of 16 steps"):
        build("patchtst", lookback=4, horizon=8, n_variates=1)
    with pytest.raises(StatedError, match="n_heads 3 does not divide d_model 128"):
        build("patchtst", lookback=96, horizon=8, n_variates=1, n_heads=3)
    with pytest.raises(StatedError, match=r"no option 'd_modle' \(did you mean 'd_model'\?\)"):
        build("itransformer", lookback=96, horizon=8, n_variates=1, d_modle=3)
    with pytest.raises(StatedError, match="needs the data's season"):
        build("seasonal_naive", lookback=96, horizon=8, n_variates=1)
    with pytest.raises(StatedError, match=r"'package\.module:Class', not 'nonsense:'"):
        build("nonsense:", lookback=96, horizon=8, n_variates=1)
    with pytest.raises(StatedError, match="No module named 'nowhere'"):
        build("nowhere:Model", lookback=96, horizon=8, n_variates=1)
