"""Mean ranks, the tests on them, published scores beside ours, and the front of accuracy and cost."""

import pandas as pd
import pytest

from formerbench.analysis.leaderboard import entries
from formerbench.analysis.ranks import ranks
from formerbench.analysis.reached import comparisons
from formerbench.analysis.tradeoffs import tradeoffs
from tests.unit.test_leaderboard import rows

NUMBERS = ["mse", "mae", "mase", "smape"]


def study(errors, seeds=2):
    """Entries of models with these errors, one a data set; None where a model has no score."""
    cells = [
        row
        for model, values in errors.items()
        for i, value in enumerate(values)
        for row in rows(model, [value] * seeds, dataset=f"set{i}", status="oom")
    ]
    return entries(pd.DataFrame(cells).astype(dict.fromkeys(NUMBERS, float)))


def in_order(n_settings, n_models):
    """Models that come in the same order in every setting."""
    return study({f"m{i}": [0.1 * (i + 1)] * n_settings for i in range(n_models)}, seeds=1)


def test_mean_ranks_share_ties_and_take_the_best_lookback():
    found = ranks(study({"a": [0.1, 0.3], "b": [0.2, 0.3], "c": [0.3, 0.1]}))
    assert found.table.loc[("set1", 24)].to_dict() == {"c": 1, "a": 2.5, "b": 2.5}
    assert found.mean.to_dict() == {"a": 1.75, "c": 2.0, "b": 2.25}
    cells = [*rows("a", [0.9], lookback=96), *rows("a", [0.1], lookback=336), *rows("b", [0.2])]
    best = ranks(entries(pd.DataFrame(cells).astype(dict.fromkeys(NUMBERS, float))))
    assert list(best.mean.index) == ["a", "b"]


def test_a_model_without_a_score_somewhere_is_named_and_not_ranked():
    found = ranks(study({"a": [0.1, 0.2], "b": [0.2, 0.3], "c": [0.05, None]}))
    assert found.left_out == ("c",)
    assert found.mean.to_dict() == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    # Demšar 2006: q of 2.343, 2.569, 2.728 for 3, 4 and 5 models, times sqrt(k (k + 1) / 6 n).
    ("n_settings", "n_models", "distance"),
    [(14, 4, 1.25), (30, 5, 2.728 * (30 / 180) ** 0.5), (6, 3, 2.343 * (12 / 36) ** 0.5)],
)
def test_the_critical_difference_is_that_of_the_paper(n_settings, n_models, distance):
    assert ranks(in_order(n_settings, n_models)).distance == pytest.approx(distance, abs=0.005)


def test_friedman_is_that_of_a_worked_example():
    # Every setting has the same order of 3 models: the statistic is n (k - 1) = 12, p = exp(-6) of 2 degrees.
    found = ranks(in_order(6, 3))
    assert found.p == pytest.approx(0.00247875, rel=1e-4)
    assert found.differ
    assert found.alike() == [("m0", "m1"), ("m1", "m2")]


def test_models_that_take_turns_are_not_told_apart():
    turns = study({"a": [0.1, 0.2, 0.3] * 2, "b": [0.2, 0.3, 0.1] * 2, "c": [0.3, 0.1, 0.2] * 2})
    found = ranks(turns)
    assert found.p == 1
    assert found.alike() == [("a", "b", "c")]
    assert ranks(study({name: [0.1] * 5 for name in "abc"})).p == 1


@pytest.mark.parametrize(
    ("n_settings", "n_models", "why"),
    [
        (4, 3, "too few settings: 4, and a test needs 5"),
        (5, 2, "too few models with a score in all of them: 2, and a test needs 3"),
    ],
)
def test_too_few_give_ranks_but_no_test(n_settings, n_models, why):
    found = ranks(in_order(n_settings, n_models))
    assert (found.p, found.distance, found.why) == (None, None, why)
    assert len(found.mean) == n_models


def test_nothing_at_all_has_no_ranks():
    found = ranks(study({"a": [None]}))
    assert (len(found.mean), found.left_out) == (0, ("a",))


def published(**changed):
    row = {"dataset": "toy", "model": "tft", "label": "TFT", "lookback": 96, "horizon": 24, "mse": 0.4}
    row |= {"mae": 0.4, "rerun_mse": float("nan"), "rerun_mae": float("nan"), "source": "A paper"}
    return pd.DataFrame([row | changed])


def compared(cells, other):
    frame = pd.DataFrame(cells).astype(dict.fromkeys(NUMBERS, float))
    return comparisons(entries(frame), frame, other)


@pytest.mark.parametrize(
    ("mses", "reached"),
    [
        ([0.411, 0.413], True),  # 3 % of 0.4 is 0.012
        ([0.413, 0.414], False),
        ([0.40, 0.43], True),  # s.d. 0.021
        ([0.2, 0.2], True),
        ([0.4125], False),
    ],
)
def test_a_score_is_reached_within_three_percent_or_two_sd(mses, reached):
    (found,) = compared([row | {"stopped_by": "patience"} for row in rows("tft", mses)], published())
    assert found.reached is reached
    assert found.ratio == pytest.approx(sum(mses) / len(mses) / 0.4)


def test_a_budget_decides_nothing_and_another_lookback_is_another_score():
    cells = [row | {"stopped_by": "budget"} for row in rows("tft", [0.4, 0.4])]
    (found,) = compared(cells, published())
    assert found.reached is None
    assert compared(cells, published(lookback=336)) == []
    assert compared(cells, published(horizon=96)) == []


def test_repeat_is_the_same_at_each_lookback():
    cells = [*rows("repeat", [0.4], lookback=96), *rows("repeat", [0.4], lookback=336)]
    (found,) = compared([row | {"stopped_by": ""} for row in cells], published(model="repeat", lookback=720))
    assert found.reached is True


def priced(model, mses, step, memory, **options):
    costs = {
        "step_time_ms": step,
        "batch_size": 10,
        "peak_memory_mb": memory,
        "cpu": "A",
        "gpu": "",
        "threads": 2,
    }
    return [row | costs for row in rows(model, mses, **options)]


def traded(*groups):
    floats = dict.fromkeys([*NUMBERS, "step_time_ms", "batch_size", "peak_memory_mb"], float)
    frame = pd.DataFrame([row for group in groups for row in group]).astype(floats)
    return tradeoffs(entries(frame), frame)


NAIVE = priced("seasonal_naive", [0.5, 0.5], None, 1, parameters=0)


def test_the_front_holds_what_nothing_beats_in_both():
    (found,) = traded(
        NAIVE,
        priced("tft", [0.2, 0.2], 80, 30),
        priced("dlinear", [0.3, 0.3], 10, 20),
        priced("informer", [0.4, 0.4], 40, 10),
        priced("autoformer", [0.6, 0.6], 1, 1),  # seasonal naive is better and costs nothing
    )
    assert list(found.points["model"]) == ["tft", "dlinear", "informer", "autoformer"]
    assert list(found.points["ratio"]) == pytest.approx([0.4, 0.6, 0.8, 1.2])
    assert list(found.points["time_ms"]) == pytest.approx([8, 1, 4, 0.1])
    assert list(found.front("time_ms")["model"]) == ["dlinear", "tft"]
    assert list(found.front("memory_mb")["model"]) == ["informer", "dlinear", "tft"]


def test_means_are_geometric_over_settings_and_models_missing_in_one_are_named():
    (found,) = traded(
        NAIVE,
        priced("seasonal_naive", [0.5, 0.5], None, 1, parameters=0, dataset="other"),
        priced("tft", [0.2, 0.2], 10, 40),
        priced("tft", [0.05, 0.05], 90, 10, dataset="other"),
        priced("informer", [0.4, 0.4], 40, 10),
    )
    (row,) = found.points.to_dict("records")
    assert (row["ratio"], row["time_ms"], row["memory_mb"]) == pytest.approx((0.2, 3, 20))
    assert found.left_out == ("informer",)


def test_without_costs_or_seasonal_naive_there_is_no_tradeoff():
    assert traded(priced("tft", [0.2, 0.2], 10, 40)) == []
    assert traded(NAIVE, priced("tft", [0.2, 0.2], None, None)) == []
