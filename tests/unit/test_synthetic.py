"""The synthetic series must be what its parameters say: shares of variance, effects, correlation, bits."""

import hashlib

import numpy as np
import pytest

from formerbench.data.registry import find
from formerbench.data.synthetic import generate
from formerbench.errors import StatedError

BASE = find("synthetic").generate


def made(**changes):
    return generate(BASE | changes)


def explained(values: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Share of each column's variance that a regression on ``inputs`` explains."""
    inputs = np.column_stack([np.ones(len(inputs)), inputs])
    fit = inputs @ np.linalg.lstsq(inputs, values.astype(np.float64), rcond=None)[0]
    return fit.var(axis=0) / values.astype(np.float64).var(axis=0)


def dummies(length: int, period: int) -> np.ndarray:
    return np.eye(period)[np.arange(length) % period][:, 1:]


@pytest.mark.parametrize("strength", [0.0, 0.25, 0.6, 0.9, 1.0])
def test_strength_is_the_seasonal_share_of_variance(strength):
    series = made(length=8064, seasons=[24, 168], seasonality_strength=strength, trend=0)
    share = explained(series.values, dummies(8064, 168))
    # 167 dummies explain about 167 parts in 8064 of the noise by chance, a little more as it has a memory
    chance = 167 / 8064 * (1 - strength)
    np.testing.assert_allclose(share, strength + chance, atol=0.012)
    np.testing.assert_allclose(series.seasonal.var(axis=0), strength * series.values.var(axis=0), rtol=1e-3)


def test_full_strength_repeats_with_the_longest_period():
    series = made(seasonality_strength=1, seasons=[12, 48])
    np.testing.assert_allclose(series.values[48:], series.values[:-48], atol=2e-4)
    assert np.abs(series.values[12:] - series.values[:-12]).max() > 0.1


def test_strength_holds_with_a_trend_too():
    series = made(trend=2, seasonality_strength=0.5)
    share = series.seasonal.var(axis=0) / series.values.var(axis=0)
    np.testing.assert_allclose(share, 0.5, atol=0.01)


def test_trend_is_its_share_of_the_rest_and_straight():
    series = made(seasonality_strength=0, trend=3, drivers=0, noise=1)
    share = explained(series.values, np.arange(len(series.values))[:, None])
    np.testing.assert_allclose(share, 0.75, atol=1e-3)


def test_known_drivers_have_the_stated_effects_at_the_same_step():
    series = made(drivers=3, drivers_effect=2, noise=1, trend=0)
    inputs = np.column_stack([np.ones(len(series.known)), series.known])
    slopes = np.linalg.lstsq(inputs, series.values.astype(np.float64), rcond=None)[0][1:]
    np.testing.assert_allclose(slopes.T, series.effects, atol=1e-3)
    share = explained(series.values, series.known)
    np.testing.assert_allclose(share, (1 - BASE["seasonality_strength"]) * 2 / 3, atol=2e-3)
    late = explained(series.values[1:], series.known[:-1])
    assert late.max() < 0.01


def test_noise_has_the_stated_correlation_and_memory():
    series = made(
        length=40_000, seasonality_strength=0, trend=0, drivers=0, correlation=0.4, autoregression=0.7
    )
    between = np.corrcoef(series.values.T)[np.triu_indices(7, k=1)]
    np.testing.assert_allclose(between, 0.4, atol=0.05)
    memory = [np.corrcoef(column[1:], column[:-1])[0, 1] for column in series.values.T]
    np.testing.assert_allclose(memory, 0.7, atol=0.02)


def test_same_parameters_same_bits_and_another_seed_other_ones():
    first, second, other = made(), made(), made(seed=2)
    assert first.values.tobytes() == second.values.tobytes()
    assert first.known.tobytes() == second.known.tobytes()
    assert not np.array_equal(first.values, other.values)


def test_bits_are_those_of_the_first_release():
    series = made(length=1000, variates=3)
    content = np.round(series.values.astype(np.float64) * 1e4).astype(np.int64)
    assert hashlib.sha256(content.tobytes()).hexdigest()[:16] == "1abd9d77413ac409"


def test_shapes_types_and_calendar():
    series = made(length=500, variates=4, drivers=1, start="2021-03-01", step="15min")
    assert series.values.shape == (500, 4)
    assert series.known.shape == (500, 1)
    assert series.values.dtype == series.known.dtype == np.float32
    assert series.columns == ("y0", "y1", "y2", "y3")
    assert str(series.timestamps[-1]) == "2021-03-06T04:45:00"
    assert made(drivers=0).known is None


def test_periods_that_share_a_wave_or_reach_the_fastest_one():
    series = made(seasons=[24, 12, 2], seasonality_strength=0.8, trend=0)
    assert np.isfinite(series.values).all()
    np.testing.assert_allclose(explained(series.values, dummies(10_000, 24)), 0.8, atol=0.01)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lenght": 5}, "did you mean 'length'"),
        ({"length": 100}, "too short"),
        ({"trend": 0, "noise": 0, "drivers": 0}, "needs a trend"),
        ({"start": "tomorrow"}, "'tomorrow' is no date"),
    ],
)
def test_impossible_parameters_are_stated(changes, words):
    with pytest.raises(StatedError, match=words):
        made(**changes)


def test_absent_key_is_stated():
    with pytest.raises(StatedError, match="seed"):
        generate({key: value for key, value in BASE.items() if key != "seed"})
