from dataclasses import replace

import numpy as np
import pytest
import torch

from formerbench.data.windows import Scaler, Windows
from formerbench.errors import StatedError


def test_scaler_knows_the_training_rows_only(series):
    scaler = Scaler.fit(series)
    train = series.values[: series.splits["train"][1]].astype(np.float64)
    np.testing.assert_allclose(scaler.mean, train.mean(axis=0))
    np.testing.assert_allclose(scaler.sd, train.std(axis=0))
    changed = series.values.copy()
    changed[series.splits["train"][1] :] = 1e6
    other = Scaler.fit(type(series)(**{**vars(series), "values": changed}))
    np.testing.assert_array_equal(scaler.mean, other.mean)


@pytest.mark.parametrize("lookback", [1, 24, 100])
def test_number_of_test_windows_does_not_depend_on_the_lookback(series, lookback):
    windows = Windows(series, lookback, 10, "test", Scaler.fit(series))
    first, end = series.splits["test"]
    assert len(windows) == end - first - 10 + 1


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_window_holds_the_rows_it_should(series, split):
    lookback, horizon = 24, 10
    scaler = Scaler.fit(series)
    windows = Windows(series, lookback, horizon, split, scaler)
    scaled = scaler.scale(series.values)
    first, end = series.splits[split]
    begin = first + lookback if split == "train" else first  # row of the first forecast step
    numbers = torch.tensor([0, 3, len(windows) - 1])
    batch, target = windows.batch(numbers)
    for i, number in enumerate(numbers.tolist()):
        row = begin + number
        np.testing.assert_array_equal(batch.past[i].numpy(), scaled[row - lookback : row])
        np.testing.assert_array_equal(target[i].numpy(), scaled[row : row + horizon])
        np.testing.assert_array_equal(batch.future_marks[i].numpy(), series.marks()[row : row + horizon])
    assert begin + len(windows) - 1 + horizon == end


def test_covariates_are_scaled_by_their_training_rows(series):
    rng = np.random.default_rng(2)
    covariates = {"known": rng.normal(50, 9, (600, 2)), "past_covariates": rng.normal(-4, 3, (600, 1))}
    with_covariates = replace(series, **{name: c.astype(np.float32) for name, c in covariates.items()})
    windows = Windows(with_covariates, 24, 10, "test", Scaler.fit(series))
    batch, _ = windows.batch(torch.tensor([5]))
    row, train = series.splits["test"][0] + 5, slice(0, series.splits["train"][1])
    scaled = {name: (c - c[train].mean(axis=0)) / c[train].std(axis=0) for name, c in covariates.items()}
    np.testing.assert_allclose(batch.known[0], scaled["known"][row - 24 : row + 10], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        batch.past_covariates[0], scaled["past_covariates"][row - 24 : row], rtol=1e-4, atol=1e-5
    )


def test_windows_are_views_of_one_copy(series):
    windows = Windows(series, 96, 24, "train", Scaler.fit(series))
    held = windows._values.untyped_storage().nbytes()
    assert held == series.values[: series.splits["train"][1]].nbytes


def test_a_split_that_is_too_short_is_named(series):
    with pytest.raises(StatedError, match=r"toy: the val split has 120 rows.*horizon 121"):
        Windows(series, 10, 121, "val", Scaler.fit(series))
