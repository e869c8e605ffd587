"""The protocol's fingerprint: parameter-free scores on real data, to four decimals."""

import csv
from contextlib import nullcontext

import pytest
import torch

from formerbench.data import load
from formerbench.errors import StatedError
from formerbench.evaluation import evaluate
from formerbench.models import build
from formerbench.models.batch import Forecaster

from ..conftest import make_series
from ..project import REPOSITORY


def reference():
    with (REPOSITORY / "tests/data/naive_reference.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def real():
    """Prepared real data sets by name; a data set that cannot be had here skips its tests with the reason."""
    loaded = {}

    def get(name):
        if name not in loaded:
            from formerbench.data.download import reachable
            from formerbench.data.registry import find

            if reachable(find(name), timeout=2) is None:
                pytest.skip(f"{name} cannot be reached from here; set FORMERBENCH_MIRROR")
            loaded[name] = load(name)
        return loaded[name]

    return get


@pytest.mark.parametrize(
    "row", reference(), ids=lambda r: f"{r['dataset']}-{r['baseline'][:6]}-{r['horizon']}"
)
def test_naive_scores_are_those_of_the_literature(real, row):
    series = real(row["dataset"])
    name = "repeat" if row["baseline"].startswith("Repeat") else "seasonal_naive"
    lookback, horizon = int(row["lookback_needed"]), int(row["horizon"])
    model = build(
        name, lookback=lookback, horizon=horizon, n_variates=series.values.shape[1], season=series.season
    )
    scores = evaluate(model, series, lookback, horizon, batch_size=512)
    assert f"{scores['mse']:.4f}" == row["mse"]
    assert f"{scores['mae']:.4f}" == row["mae"]
    assert scores["n_test_windows"] == int(row["n_windows"])


@pytest.mark.parametrize("name", ["repeat", "seasonal_naive"])
def test_naive_scores_are_the_same_bits_at_every_batch_size(series, name):
    model = build(name, lookback=24, horizon=10, n_variates=3, season=series.season)
    results = [evaluate(model, series, 24, 10, batch_size) for batch_size in (1, 7, 512)]
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("name", ["dlinear", "patchtst", "itransformer"])
def test_scores_of_models_do_not_depend_on_the_batch_size(series, name):
    torch.manual_seed(0)
    model = build(name, lookback=24, horizon=10, n_variates=3)
    results = [evaluate(model, series, 24, 10, batch_size) for batch_size in (1, 7, 512)]
    for other in results[1:]:
        for score in ("mse", "mae", "mae_raw", "smape", "mase"):
            assert other[score] == pytest.approx(results[0][score], rel=1e-5)


class Oracle(Forecaster):
    """Knows the future of the toy series; its quantiles are shifted by known amounts."""

    quantile_levels = (0.1, 0.9)

    def __init__(self, windows):
        super().__init__()
        self.windows, self.seen = windows, 0

    def forward(self, batch):
        self.seen += len(batch.past)
        return self.windows.batch(torch.arange(self.seen - len(batch.past), self.seen))[1]

    def quantiles(self, batch):
        start = self.seen
        truth = self.windows.batch(torch.arange(start, start + len(batch.past)))[1]
        return torch.stack([truth - 1, truth + 1], dim=-1)


def test_a_perfect_forecast_scores_zero_and_quantiles_are_scored(series):
    from formerbench.data.windows import Scaler, Windows

    oracle = Oracle(Windows(series, 24, 10, "test", Scaler.fit(series)))
    scores = evaluate(oracle, series, 24, 10, batch_size=7)
    assert scores["mse"] == scores["mae_raw"] == scores["smape"] == 0
    assert scores["quantile_loss"] == pytest.approx(0.1, rel=1e-5)  # 0.1 * 1 at both levels


def test_shown_forecasts_are_the_target_in_original_units(series):
    model = build("repeat", lookback=24, horizon=10, n_variates=3)
    shown = evaluate(model, series, 24, 10, batch_size=7)["forecasts"]
    first = series.splits["test"][0]
    count = series.splits["test"][1] - first - 10 + 1
    assert list(shown) == ["0", str(count // 2), str(count - 1)]
    for number, values in shown.items():
        assert values == pytest.approx([float(series.values[first + int(number) - 1, 2])] * 10, rel=1e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("horizon", [10, 9])  # of the model; another than asked for is an error
def test_the_model_is_left_in_the_mode_it_was_in(series, training, horizon):
    model = build("dlinear", lookback=24, horizon=horizon, n_variates=3).train(training)
    modes = []
    model.register_forward_hook(lambda module, *_: modes.append(module.training))
    with nullcontext() if horizon == 10 else pytest.raises(StatedError, match=r"shape \(64, 9, 3\)"):
        evaluate(model, series, 24, 10, batch_size=64)
    assert not any(modes)
    assert model.training == training
    assert all(module.training == training for module in model.modules())


def test_a_test_split_that_is_too_short_is_named():
    with pytest.raises(StatedError, match="test split"):
        evaluate(build("repeat", lookback=4, horizon=40, n_variates=3), make_series(rows=100), 4, 40, 8)
