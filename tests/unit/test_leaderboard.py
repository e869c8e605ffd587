"""Means, noise, ties, skill and verdicts."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formerbench.analysis.leaderboard import (
    Score,
    best_of_each_model,
    entries,
    marks,
    tied,
    verdicts,
)
from formerbench.results import ACCURACY_COLUMNS


def rows(model, mses, *, status="ok", lookback=96, dataset="toy", horizon=24, parameters=10, reason=""):
    """One row a seed of one model; ``mses`` are its errors, None where the cell has no score."""
    return [
        dict.fromkeys(ACCURACY_COLUMNS)
        | {
            "dataset": dataset,
            "model": model,
            "lookback": lookback,
            "horizon": horizon,
            "seed": seed,
            "device": "cpu",
            "precision": "fp32",
            "status": status if mse is None else "ok",
            "reason": reason if mse is None else "",
            "mse": mse,
            "mae": mse,
            "mase": mse,
            "smape": mse,
            "n_test_windows": 100,
            "n_parameters": parameters,
        }
        for seed, mse in enumerate(mses)
    ]


def board(*groups):
    frame = pd.DataFrame([row for group in groups for row in group])
    return entries(frame.astype(dict.fromkeys(["mse", "mae", "mase", "smape"], float)))


def test_mean_and_sample_sd_over_seeds():
    score = board(rows("tft", [0.1, 0.2, 0.3]))["mse"].iloc[0]
    assert (score.mean, score.sd, score.n) == (pytest.approx(0.2), pytest.approx(0.1), 3)


def test_one_seed_has_no_noise_estimate_but_an_untrained_model_has_none_to_estimate():
    frame = board(
        rows("tft", [0.2]), rows("seasonal_naive", [0.4], parameters=0), rows("mine", [0.5], parameters=0)
    )
    assert dict(zip(frame["model"], [score.sd for score in frame["mse"]], strict=True)) == {
        "tft": None,
        "seasonal_naive": 0,
        "mine": 0,
    }


def test_failed_seeds_are_left_out_of_the_mean_and_counted():
    frame = board(rows("tft", [0.1, None, 0.3], status="failed", reason="NaN loss"))
    row = frame.iloc[0]
    assert row["mse"].mean == pytest.approx(0.2)
    assert (row["n_ok"], row["n_cells"], row["status"]) == (2, 3, "")


def test_an_entry_without_a_score_comes_last_with_its_status_and_reason():
    frame = board(rows("informer", [None, None], status="oom", reason="9 GB wanted"), rows("tft", [0.9, 0.8]))
    assert list(frame["model"]) == ["tft", "informer"]
    last = frame.iloc[-1]
    assert (last["status"], last["reason"], last["mse"]) == ("oom", "9 GB wanted", None)


def test_skill_is_against_seasonal_naive_of_the_same_lookback():
    frame = board(
        rows("tft", [0.25], lookback=96),
        rows("seasonal_naive", [0.5], lookback=96),
        rows("tft", [0.2], lookback=336),
        rows("seasonal_naive", [0.4], lookback=336),
    )
    assert frame.loc[frame["model"] == "tft", "skill"].tolist() == pytest.approx([50, 50])


def test_skill_takes_another_lookback_where_seasonal_naive_was_skipped():
    frame = board(
        rows("tft", [0.25], lookback=12),
        rows("seasonal_naive", [None], status="skipped", lookback=12),
        rows("seasonal_naive", [0.5], lookback=96),
    )
    assert frame.loc[frame["model"] == "tft", "skill"].tolist() == pytest.approx([50])


def test_skill_is_missing_without_seasonal_naive():
    assert board(rows("tft", [0.2]))["skill"].isna().all()


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (Score(0.300, 0.001, 3), Score(0.400, 0.001, 3), False),
        (Score(0.300, 0.100, 3), Score(0.400, 0.100, 3), True),
        (Score(0.300, None, 1), Score(0.400, 0.001, 3), None),
        (Score(0.300, 0.0, 1), Score(0.300, 0.0, 1), True),
        (Score(0.300, 0.0, 1), Score(0.301, 0.0, 1), False),
        # One side without noise: a one-sample t test, 2 degrees of freedom, 4.303 * 0.01 / sqrt(3) = 0.0248.
        (Score(0.300, 0.0, 1), Score(0.3247, 0.01, 3), True),
        (Score(0.300, 0.0, 1), Score(0.3250, 0.01, 3), False),
    ],
)
def test_tie(a, b, expected):
    assert tied(a, b) is expected


def test_tie_is_welchs_test_on_the_seeds():
    from scipy.stats import ttest_ind

    a, b = [0.31, 0.33, 0.30, 0.32], [0.34, 0.36, 0.33]
    for shift in (-0.02, -0.01, 0.0, 0.01):
        moved = [value + shift for value in b]
        scores = [Score(pd.Series(v).mean(), pd.Series(v).std(), len(v)) for v in (a, moved)]
        assert tied(*scores) is bool(ttest_ind(a, moved, equal_var=False).pvalue >= 0.05)


scores = st.builds(Score, st.floats(0.01, 10), st.floats(1e-6, 1), st.integers(2, 9))


@given(scores, scores)
def test_tie_does_not_depend_on_the_order(a, b):
    assert tied(a, b) is tied(b, a)
    assert tied(a, a) is True


def test_marks_name_the_best_the_second_and_the_ties():
    frame = board(
        rows("tft", [0.300, 0.310, 0.320]),
        rows("patchtst", [0.305, 0.320, 0.330]),
        rows("informer", [0.900, 0.901, 0.902]),
        rows("autoformer", [None], status="oom"),
    )
    found = dict(zip(frame["model"], marks(frame, "mse"), strict=True))
    assert found == {"tft": "best", "patchtst": "second tie", "informer": "", "autoformer": ""}


def test_verdict_compares_with_another_model_not_another_lookback():
    frame = board(
        rows("tft", [0.300, 0.301, 0.302], lookback=96),
        rows("tft", [0.310, 0.311, 0.312], lookback=336),
        rows("dlinear", [0.400, 0.401, 0.402]),
        rows("seasonal_naive", [0.602]),
    )
    (verdict,) = verdicts(frame)
    assert (verdict.best["model"], verdict.best["lookback"]) == ("tft", 96)
    assert verdict.second["model"] == "dlinear"
    assert verdict.tied is False
    assert verdict.lead == pytest.approx(100 * (1 - 0.301 / 0.401))
    assert verdict.skill == pytest.approx(50)
    assert verdict.baseline["model"] == "dlinear"
    assert verdict.baseline_tied is False


def test_verdict_says_when_a_baseline_ties():
    (verdict,) = verdicts(board(rows("tft", [0.29, 0.30, 0.31]), rows("dlinear", [0.295, 0.305, 0.315])))
    assert verdict.baseline_tied is True


def test_no_verdict_without_a_score():
    assert verdicts(board(rows("tft", [None], status="failed"))) == []


def test_best_of_each_model_takes_the_best_lookback():
    frame = board(rows("tft", [0.3], lookback=96), rows("tft", [0.2], lookback=336), rows("dlinear", [0.4]))
    best = best_of_each_model(frame, "toy", 24)
    assert list(zip(best["model"], best["lookback"], strict=True)) == [("tft", 336), ("dlinear", 96)]
