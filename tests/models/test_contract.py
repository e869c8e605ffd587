"""What every trained model must do, whatever its architecture; `repeat` in its place must fail."""

import csv
import re
import sys

import pytest
import torch
from safetensors.torch import load, save

from formerbench.errors import StatedError
from formerbench.models import MODELS, NAIVE, build
from formerbench.models.batch import Batch, Forecaster

from ..project import REPOSITORY
from .tiny import TINY, TRAINED, H, L, V, batch, only, tiny, trained

# Parameters that the official code has and never uses, or whose gradient is zero whatever happens.
WITHOUT_GRADIENT = {
    "patchtst": (r"\.scale$",),  # is a parameter, but not trained
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


def test_every_trained_model_is_here():
    assert {name.partition("+")[0] for name in TRAINED} == set(MODELS) - set(NAIVE)


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
        model, inputs = tiny(name, **({"dropout": 0.0} if name != "dlinear" else {})), batch()
        target = torch.randn(8, H, V, generator=torch.Generator().manual_seed(9))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
        for _ in range(300):
            optimizer.zero_grad()
            loss = model.loss(inputs, target)
            if loss < 0.1 * target.var():
                return
            loss.backward()
            optimizer.step()
        pytest.fail(f"the loss is still {loss}")

    def test_gradients_reach_every_parameter(self, name):
        model = tiny(name).double()  # so that a zero is told from what rounding leaves
        inputs = Batch(*(x.double() if x is not None and x.is_floating_point() else x for x in batch()))
        model.loss(inputs, torch.randn(8, H, V, dtype=torch.float64)).backward()
        excused = re.compile("|".join(WITHOUT_GRADIENT.get(name, ["nothing"])))
        for key, parameter in model.named_parameters():
            reached = parameter.grad is not None and parameter.grad.abs().max() > 1e-15
            assert reached != bool(excused.search(key)), key

    def test_a_sample_does_not_see_the_others_of_its_batch(self, name):
        model = tiny(name).eval()
        inputs = batch()
        alone = only(inputs, 2)
        torch.testing.assert_close(model(inputs)[2:3], model(alone), rtol=1e-4, atol=1e-5)
        inputs.past[0, 0, 0] = float("nan")
        together = model(inputs)
        torch.testing.assert_close(together[2:3], model(alone), rtol=1e-4, atol=1e-5)
        assert together[0].isnan().any()

    def test_evaluation_is_deterministic_and_survives_saving(self, name):
        model, inputs = tiny(name), batch()
        optimizer = torch.optim.SGD(trained(model), lr=0.01)
        model.loss(inputs, torch.zeros(8, H, V)).backward()  # batch statistics leave their defaults, too
        optimizer.step()
        model.eval()
        assert torch.equal(model(inputs), model(inputs))
        other = tiny(name, seed=1).eval()
        assert not torch.allclose(other(inputs), model(inputs))
        other.load_state_dict(load(save(model.state_dict())))
        assert torch.equal(other(inputs), model(inputs))

    def test_the_seed_decides_the_weights(self, name):
        assert all(
            torch.equal(a, b) for a, b in zip(tiny(name).parameters(), tiny(name).parameters(), strict=True)
        )

    def test_the_forecast_uses_the_whole_lookback(self, name):
        model, inputs = tiny(name).eval(), batch()
        past = inputs.past.clone().requires_grad_()
        model(inputs._replace(past=past)).pow(2).sum().backward()
        assert (past.grad.abs().sum(dim=(0, 2)) > 0).all()


class Repeats(Forecaster):
    """`repeat` with a parameter that takes part and changes nothing, so that it can be trained."""

    def __init__(self):
        super().__init__()
        self.naive = build("repeat", lookback=L, horizon=H, n_variates=V)
        self.parameter = torch.nn.Parameter(torch.ones(()))

    def forward(self, batch):
        return self.naive(batch) + 0 * self.parameter


@pytest.mark.parametrize(
    "check",
    [
        TestTrained.test_overfits_eight_windows,
        TestTrained.test_gradients_reach_every_parameter,
        TestTrained.test_evaluation_is_deterministic_and_survives_saving,
        TestTrained.test_the_forecast_uses_the_whole_lookback,
    ],
)
def test_repeat_in_the_place_of_a_model_fails(check, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "tiny", lambda name, **changes: Repeats())
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(TestTrained(), "patchtst")


@pytest.mark.parametrize("name", TRAINED)
class TestShortWindows:
    def check(self, name, lookback, horizon, **options):
        """One training step and a forecast, from windows without time marks."""
        sizes = {"lookback": lookback, "horizon": horizon, "n_marks": 0}
        short = {"label_len": 1} if "label_len" in TINY[name] else {}
        model, inputs = tiny(name, **sizes | short | options), batch(b=2, **sizes)
        loss = model.loss(inputs, torch.zeros(2, horizon, V))
        loss.backward()
        assert loss.isfinite()
        assert all(p.grad.isfinite().all() for p in trained(model) if p.grad is not None)
        forecast = model.eval()(inputs)
        assert forecast.shape == (2, horizon, V)
        assert forecast.isfinite().all()

    @pytest.mark.parametrize("horizon", [1, 5])
    def test_one_step(self, name, horizon):
        lookback = 2 if name == "fedformer" else 1  # one step has no frequency
        self.check(name, lookback, horizon, **({"patch_len": 1, "stride": 1} if name == "patchtst" else {}))

    def test_as_long_as_a_patch_or_the_label(self, name):
        self.check(name, 8, 1, **({"label_len": 8} if "label_len" in TINY[name] else {}))


def test_errors_name_what_was_wanted():
    with pytest.raises(StatedError, match="checkpoint and compile exclude each other"):
        build("tft", lookback=96, horizon=8, n_variates=1, checkpoint=True, compile=True)
    with pytest.raises(StatedError, match="lookback 47 is shorter than label_len 48"):
        build("autoformer", lookback=47, horizon=8, n_variates=1)
    with pytest.raises(StatedError, match="lookback 15 is shorter than a patch of 16 steps"):
        build("patchtst", lookback=15, horizon=8, n_variates=1)
    with pytest.raises(StatedError, match="a lookback of one step has no frequency to keep"):
        build("fedformer", lookback=1, horizon=8, n_variates=1, label_len=1)
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
