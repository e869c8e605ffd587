"""Scores against plain loops over single numbers."""

from dataclasses import replace

import numpy as np
import pytest

from formerbench.data.windows import Scaler
from formerbench.metrics import Scores

LEVELS = (0.1, 0.5, 0.9)


@pytest.fixture
def windows(series):
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(11, 5, 3)).astype(np.float32)
    truth[0, 0] = 0
    forecast = rng.normal(size=truth.shape).astype(np.float32)
    quantiles = np.sort(rng.normal(size=(*truth.shape, 3)), axis=-1).astype(np.float32)
    return forecast, truth, quantiles


def by_hand(series, forecast, truth, quantiles):
    mean, sd = Scaler.fit(series).mean, Scaler.fit(series).sd
    train = series.values[: series.splits["train"][1]].astype(float)
    naive = [
        np.mean([abs(c[t] - c[t - series.season]) for t in range(series.season, len(c))]) for c in train.T
    ]
    sums = dict.fromkeys(("mse", "mae", "mae_raw", "smape", "quantile_loss"), 0.0)
    raw_by_variate = np.zeros(truth.shape[2])
    for w, t, v in np.ndindex(truth.shape):
        f, y = float(forecast[w, t, v]), float(truth[w, t, v])
        raw_f, raw_y = f * sd[v] + mean[v], y * sd[v] + mean[v]
        sums["mse"] += (f - y) ** 2
        sums["mae"] += abs(f - y)
        sums["mae_raw"] += abs(raw_f - raw_y)
        sums["smape"] += 200 * abs(raw_f - raw_y) / (abs(raw_f) + abs(raw_y))
        raw_by_variate[v] += abs(raw_f - raw_y)
        pinball = [
            q * (y - z) if y >= z else (1 - q) * (z - y)
            for q, z in zip(LEVELS, quantiles[w, t, v].tolist(), strict=True)
        ]
        sums["quantile_loss"] += np.mean(pinball)
    count = truth.size
    expected = {name: value / count for name, value in sums.items()}
    expected["rmse"] = expected["mse"] ** 0.5
    expected["mase"] = np.mean(raw_by_variate / (count / truth.shape[2]) / naive)
    return expected


def test_scores_equal_the_formulas(series, windows):
    scores = Scores(series, Scaler.fit(series), LEVELS)
    scores.update(*windows)
    result = scores.result()
    for name, value in by_hand(series, *windows).items():
        assert result[name] == pytest.approx(value, rel=1e-12), name
    assert result["n_test_windows"] == 11
    error = (windows[0].astype(float) - windows[1]) ** 2
    np.testing.assert_allclose(result["per_variate"]["mse"], error.mean(axis=(0, 1)))
    np.testing.assert_allclose(result["per_step"]["mse"], error.mean(axis=(0, 2)))


@pytest.mark.parametrize("batch_size", [1, 4, 7])
def test_scores_are_the_same_bits_for_every_batching(series, windows, batch_size):
    whole, parts = (Scores(series, Scaler.fit(series), LEVELS) for _ in range(2))
    whole.update(*windows)
    for start in range(0, 11, batch_size):
        parts.update(*(array[start : start + batch_size] for array in windows))
    assert parts.result() == whole.result()


def test_large_batches_are_worked_off_in_parts(series, windows, monkeypatch):
    whole = Scores(series, Scaler.fit(series))
    whole.update(*windows[:2])
    monkeypatch.setattr("formerbench.metrics._MAX_ELEMENTS", 20)
    parts = Scores(series, Scaler.fit(series))
    parts.update(*windows[:2])
    assert parts.result() == whole.result()


def test_a_constant_variate_is_left_out_of_mase_and_counted(series, windows):
    values = series.values.copy()
    values[:, 0] = 5
    constant = replace(series, values=values)
    scores = Scores(constant, Scaler.fit(constant))
    scores.update(*windows[:2])
    result = scores.result()
    assert result["n_constant_variates"] == 1
    assert result["per_variate"]["mase"][0] is None
    assert result["mase"] == pytest.approx(np.mean(result["per_variate"]["mase"][1:]))
