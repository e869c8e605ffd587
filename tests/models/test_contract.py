"""What every trained model must do, whatever its architecture; `repeat` in its place must fail."""

import csv

import pytest
import torch
from safetensors.torch import load, save

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
    """(lookback, variates, options) of a row of param_counts.csv, from config/models.yaml."""
    from formerbench.config import Study
    from formerbench.data.registry import find
    from formerbench.grid import cells

    lookback = {"PatchTST/42": 336, "PatchTST/64": 512, "DLinear(L=336)": 336, "iTransformer": 96}[model]
    name = model.split("/")[0].split("(")[0].lower()
    config = {
        "study": "s",
        "datasets": [dataset],
        "models": [name],
        "lookbacks": [lookback],
        "horizons": [horizon],
    }
    (cell,) = cells(Study.from_config(config))
    return name, lookback, find(dataset).variates, cell.options


def counts():
    with (REPOSITORY / "tests/data/param_counts.csv").open() as file:
        rows = list(csv.DictReader(file))
    ours = ("PatchTST/", "iTransformer", "DLinear")
    return [row for row in rows if row["model"].startswith(ours)]


@pytest.mark.parametrize("row", counts(), ids=lambda r: f"{r['model']}-{r['dataset']}-{r['horizon']}")
def test_parameter_counts_are_those_of_the_official_code(row):
    name, lookback, variates, options = official(row["model"], row["dataset"], int(row["horizon"]))
    with torch.device("meta"):
        model = build(name, lookback=lookback, horizon=int(row["horizon"]), n_variates=variates, **options)
    assert sum(p.numel() for p in model.parameters()) == int(row["params_real_scalars"])


@pytest.mark.parametrize("name", MODELS)
def test_forecast_has_the_shape_of_the_contract(name):
    assert tiny(name)(batch(b=5)).shape == (5, H, V)


@pytest.mark.parametrize("name", TRAINED)
class TestTrained:
    def test_overfits_eight_windows(self, name):
        model, inputs = tiny(name, **({"dropout": 0.0} if "dropout" in TINY[name] else {})), batch()
        target = torch.randn(8, H, V, generator=torch.Generator().manual_seed(9))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(400):
            optimizer.zero_grad()
            loss = model.loss(inputs, target)
            loss.backward()
            optimizer.step()
        assert loss < 0.1 * target.var()

    def test_gradients_reach_every_trained_parameter(self, name):
        model = tiny(name)
        model.loss(batch(), torch.randn(8, H, V)).backward()
        for key, parameter in model.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, key
                assert parameter.grad.abs().sum() > 0, key

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


@pytest.mark.parametrize("name", ["patchtst", "itransformer"])
def test_fused_and_materialised_attention_are_the_same_function(name):
    fused, materialised = tiny(name, dropout=0.0), tiny(name, dropout=0.0, attention="materialised")
    inputs, target = batch(), torch.randn(8, H, V)
    losses = [model.loss(inputs, target) for model in (fused, materialised)]
    torch.testing.assert_close(*losses)
    for loss in losses:
        loss.backward()
    for a, b in zip(fused.parameters(), materialised.parameters(), strict=True):
        if a.requires_grad:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6)


def test_errors_name_what_was_wanted():
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
