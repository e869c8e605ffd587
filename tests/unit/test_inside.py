"""What a trained model shows: patterns by hand, views of every model, calibration, and the cell's file."""

import json

import numpy as np
import pytest
import torch

from formerbench import devices
from formerbench.cell import run
from formerbench.data.windows import Scaler, Windows
from formerbench.grid import shown_inside
from formerbench.inside import patterns
from formerbench.inside.calibration import calibration
from formerbench.inside.explain import explain
from formerbench.inside.views import Window, views
from formerbench.models.patchtst import PatchTST

from ..conftest import make_cell, make_series
from ..models.tiny import H, L, batch, tiny

LAG = np.arange(6)[:, None] - np.arange(6)[None]


def rows(weights):
    return weights / weights.sum(axis=1, keepdims=True)


def test_causal_weights_are_named_and_uniform_ones_are_not():
    lower = patterns.causal(rows(np.tril(np.ones((6, 6))) + 1e-9), LAG)
    assert lower["found"]
    assert lower["value"] == pytest.approx(1)
    even = patterns.causal(np.full((6, 6), 1 / 6), LAG)
    assert not even["found"]
    assert even["value"] == even["chance"] == pytest.approx(21 / 36)


def test_a_masked_future_is_no_pattern():
    """Where the model may look nowhere else, weight on the past says nothing."""
    assert not patterns.causal(rows(np.tril(np.ones((6, 6)))), LAG)["found"]


def test_local_bias_is_the_mean_distance():
    near = patterns.local(rows(0.01 ** np.abs(LAG).astype(float)), LAG)
    assert near["found"]
    assert near["value"] < 0.05
    assert near["chance"] == pytest.approx(np.abs(LAG).mean())
    assert not patterns.local(rows(1.0 + np.abs(LAG)), LAG)["found"]


def test_a_period_is_weight_at_whole_seasons():
    lag = np.arange(48)[:, None] - np.arange(48)[None]
    seasonal = (np.abs(lag) % 12 == 0) & (lag != 0)
    found = patterns.periodic(rows(seasonal + 0.01), lag, 12)
    assert found["found"]
    assert found["value"] > 0.8
    assert found["chance"] == pytest.approx(seasonal.mean())
    assert not patterns.periodic(np.full((48, 48), 1 / 48), lag, 12)["found"]
    assert patterns.periodic(np.full((6, 6), 1 / 6), LAG, 12) is None  # nothing is a season apart


def window_of(model, inputs, season=12):
    forecast = model(inputs)[0, :, -1].detach().numpy()
    return Window(
        columns=("a", "b", "c"),
        target=2,
        season=season,
        lookback=L,
        horizon=H,
        truth=np.zeros(H),
        forecast=forecast,
        marks=("hour", "weekday", "day", "month"),
        patch=(8, 4),
        past_variables=getattr(model, "past_variables", ()),
        future_variables=getattr(model, "future_variables", ()),
    )


def shown(name):
    model, inputs = tiny(name).eval(), batch(b=1)
    with torch.no_grad():
        tensors = {key: value.float().numpy() for key, value in model.explain(inputs).items()}
    return model, tensors, views(tensors, window_of(model, inputs))


KINDS = {
    "dlinear": ["parts"],
    "patchtst": ["patches"],
    "itransformer": ["variates"],
    "informer": ["queries-0", "queries-1"],
    "autoformer": ["parts", "delays-0", "delays-1"],
    "fedformer": ["parts", "modes"],
    "tft+statics": ["past-variables", "future-variables", "lags"],
}


@pytest.mark.parametrize("name", KINDS)
def test_every_model_shows_what_its_paper_shows(name):
    _, _, (drawn, _) = shown(name)
    assert [view["key"] for view in drawn] == KINDS[name]
    json.dumps(drawn, allow_nan=False)


def test_parts_add_up_to_the_forecast():
    _, _, ((parts, *_), _) = shown("autoformer")
    series = {name: np.array(values) for name, values in parts["series"].items()}
    np.testing.assert_allclose(series["trend"] + series["seasonal"], series["forecast"], rtol=0, atol=2e-3)


def test_maps_are_the_attention_of_the_last_layer():
    _, tensors, ((patches,), _) = shown("patchtst")
    np.testing.assert_allclose(
        patches["values"], tensors["patch_attention"][-1, 0].mean(axis=(0, 1)), rtol=1e-3
    )
    _, tensors, ((variates,), (self_share,)) = shown("itransformer")
    attention = tensors["variate_attention"][-1, 0].mean(axis=0)
    np.testing.assert_allclose(variates["values"], attention, rtol=1e-3)
    assert variates["columns"] == ["a", "b", "c", "hour", "weekday", "day", "month"]
    assert self_share["value"] == pytest.approx(np.diag(attention).mean())


def test_importance_names_the_inputs_and_sums_to_1():
    _, _, ((past, future, _), _) = shown("tft+statics")
    assert past["labels"] == ["value", "hour", "weekday", "day", "month"]
    assert future["labels"] == ["hour", "weekday", "day", "month"]
    assert sum(past["values"]) == pytest.approx(1, abs=1e-3)


def test_delays_at_the_season_are_a_period():
    tensors = {"delays": np.array([[[12, 5]]]), "weights": np.array([[[0.9, 0.1]]])}
    model, inputs = tiny("dlinear"), batch(b=1)
    _, (pattern,) = views(tensors, window_of(model, inputs))
    assert pattern["found"]
    assert (pattern["value"], pattern["chance"]) == (pytest.approx(0.9), pytest.approx(1 / L))


def test_long_maps_are_thinned_and_their_rows_still_sum_to_1():
    attention = np.random.default_rng(0).dirichlet(np.ones(70), (1, 1, 3, 2, 70))
    model, inputs = tiny("dlinear"), batch(b=1)
    (view,), _ = views({"patch_attention": attention}, window_of(model, inputs))
    assert len(view["rows"]) == len(view["values"]) <= 32
    np.testing.assert_allclose(np.sum(view["values"], axis=1), 1, atol=1e-2)


class Fixed(torch.nn.Module):
    """Quantiles that are the same in every window."""

    quantile_levels = (0.1, 0.5, 0.9)

    def __init__(self, values):
        super().__init__()
        self.values = torch.tensor(values)

    def quantiles(self, inputs):
        b, _, v = inputs.past.shape
        return self.values.expand(b, H, v, 3)


def test_calibration_counts_truths_below_each_level():
    series = make_series()
    windows = Windows(series, L, H, "test", Scaler.fit(series))
    found = calibration(Fixed([-0.5, 0.0, 0.7]), windows, 7)
    numbers = np.linspace(0, len(windows) - 1, min(256, len(windows))).round().astype(int)
    _, truth = windows.batch(torch.tensor(numbers))
    below = [float((truth <= level).float().mean()) for level in (-0.5, 0.0, 0.7)]
    assert found["below"] == pytest.approx(below, rel=1e-6)
    (interval,) = found["intervals"]
    assert interval["wanted"] == 0.8
    assert interval["got"] == pytest.approx(
        float(((truth >= -0.5) & (truth <= 0.7)).float().mean()), rel=1e-6
    )
    assert found["crossings"] == 0
    assert calibration(Fixed([0.7, 0.0, 0.8]), windows, 7)["crossings"] == 0.5
    assert calibration(tiny("dlinear"), windows, 7) is None


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_series().save(folder)
    return folder


def test_a_cell_is_shown_with_its_trained_weights(data, tmp_path):
    run(make_cell(), data, tmp_path / "cell", "digest")
    found = explain(tmp_path / "cell", data, tmp_path / "shown.json")
    assert json.loads((tmp_path / "shown.json").read_text()) == found
    assert (found["model"], found["lookback"], found["reason"]) == ("patchtst", 24, "")
    assert found["from"] == str(make_series().timestamps[480 + found["window"]]).replace("T", " ")[:16]
    weights = np.array(found["views"][0]["values"])
    run(make_cell(seed=2), data, tmp_path / "other", "digest")
    other = explain(tmp_path / "other", data, tmp_path / "other.json")
    assert not np.allclose(weights, other["views"][0]["values"])


def test_a_cell_without_weights_says_why(data, tmp_path):
    run(make_cell(skip="it makes no sense"), data, tmp_path / "cell", "digest")
    found = explain(tmp_path / "cell", data, tmp_path / "shown.json")
    assert found["views"] == []
    assert "it ended as skipped (it makes no sense)" in found["reason"]


def test_a_model_that_cannot_be_shown_is_a_reason_and_no_end_of_the_study(data, tmp_path, monkeypatch):
    run(make_cell(), data, tmp_path / "cell", "digest")
    monkeypatch.setattr(PatchTST, "explain", lambda self, batch: {"seasonal": batch.past})
    found = explain(tmp_path / "cell", data, tmp_path / "shown.json")
    assert json.loads((tmp_path / "shown.json").read_text()) == found
    assert (found["views"], found["reason"]) == ([], "KeyError: 'trend'")


def test_one_cell_of_each_data_set_and_trained_model_is_shown():
    planned = [
        make_cell(model=model, build_name=model, lookback=lookback, horizon=horizon, seed=seed)
        for model in ("repeat", "patchtst")
        for lookback in (24, 48)
        for horizon in (16, 8)
        for seed in (1, 2)
    ]
    (only,) = shown_inside(planned)
    assert (only.model, only.lookback, only.horizon, only.seed) == ("patchtst", 48, 8, 1)
    assert shown_inside([make_cell(skip="why")]) == []


def test_a_cell_whose_device_is_there_is_shown_first(monkeypatch):
    monkeypatch.setattr(devices, "problem", lambda device: {"cuda": "no such device"}.get(device))
    planned = [make_cell(device=device) for device in ("cuda", "cpu")]
    assert [cell.device for cell in shown_inside(planned)] == ["cpu"]
    assert [cell.device for cell in shown_inside(planned[:1])] == ["cuda"], "another machine may have run it"
