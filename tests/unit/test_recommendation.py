"""Recommendations follow the tables: nearest cells, limits, noise, and swapped models."""

import math
import random

import pandas as pd
import pytest

from formerbench.analysis.knowledge import ONE_SEED, knowledge
from formerbench.analysis.recommendation import Query, answer, words
from formerbench.results import ACCURACY_COLUMNS, SCALING_COLUMNS

MODELS = ("dlinear", "patchtst", "itransformer", "tft")


def curve(factor, rate=0.1, by_variates=()):
    return {
        "coefficients": [0.0, factor, 0.0, 0.0],
        "lengths": [100.0, 1000.0],
        "residuals": [0.0, 0.0],
        "rate": rate,
        "least_octaves": 0.5,
        "by_variates": list(by_variates),
    }


def known(settings, costs=None, rate=None):
    return {"models": sorted(MODELS), "settings": settings, "costs": {"cpu": costs or {}}, "rate": rate}


def setting(lookback, horizon, n_variates=7, noise=0.0, **errors):
    scores = {model: {"error": error, "noise": noise} for model, error in errors.items()}
    return {"lookback": lookback, "horizon": horizon, "n_variates": n_variates, "scores": scores}


def random_knowledge(seed):
    """Made-up tables of a few settings in which different models win."""
    chance = random.Random(seed)
    settings = []
    for _ in range(chance.randint(3, 9)):
        there = chance.sample(MODELS, chance.randint(1, len(MODELS)))
        sizes = (
            chance.choice([96, 336, 720]),
            chance.choice([24, 96, 720]),
            chance.choice([1, 7, 321, None]),
        )
        settings.append(
            setting(*sizes, chance.choice([0, 0.02]), **{m: chance.uniform(0.5, 1.2) for m in there})
        )
    grown = [[0.0, -1.0], [math.log(7), 0.0], [math.log(321), 2.5]]
    costs = {
        model: {
            "latency_ms": curve(chance.uniform(1, 200), by_variates=chance.choice([[], grown])),
            "memory_mb": curve(chance.uniform(10, 2000), rate=chance.choice([None, 0.2])),
        }
        for model in chance.sample(MODELS, 3)
    }
    return known(settings, costs, chance.choice([None, 0.15]))


def random_query(seed):
    chance = random.Random(f"query {seed}")
    return Query(
        lookback=round(2 ** chance.uniform(3, 13)),
        horizon=round(2 ** chance.uniform(0, 10)),
        n_variates=round(2 ** chance.uniform(0, 9)),
        interpretable=chance.random() < 0.2,
        memory_mb=chance.choice([None, None, 10 ** chance.uniform(1, 4)]),
        latency_ms=chance.choice([None, None, 10 ** chance.uniform(0, 3)]),
        device=chance.choice(["cpu", "cpu", "cuda"]),
    )


def test_the_nearest_cells_decide():
    tables = known([setting(96, 96, dlinear=0.7, patchtst=0.8), setting(720, 96, dlinear=0.9, patchtst=0.6)])
    near = answer(tables, Query(lookback=128, horizon=96, n_variates=7))
    assert (near["best"], near["second"], near["tied"]) == ("dlinear", "patchtst", False)
    assert near["candidates"][0]["cells"] == [0]
    assert near["candidates"][0]["distance"] == pytest.approx(math.log2(128 / 96))
    assert answer(tables, Query(lookback=512, horizon=96, n_variates=7))["best"] == "patchtst"


def test_cells_at_the_same_distance_are_averaged_by_their_logs():
    tables = known([setting(96, 96, tft=0.5), setting(96, 96, tft=0.8)])
    (one, *_) = answer(tables, Query(lookback=96, horizon=96, n_variates=7))["candidates"]
    assert (one["cells"], one["error"]) == ([0, 1], pytest.approx(math.sqrt(0.4)))


def test_variates_count_by_half_and_not_at_all_where_unknown():
    tables = known([setting(96, 96, n_variates=7, tft=0.5), setting(96, 96, n_variates=None, dlinear=0.5)])
    by_name = {
        one["model"]: one["distance"]
        for one in answer(tables, Query(lookback=96, horizon=96, n_variates=28))["candidates"]
    }
    assert (by_name["tft"], by_name["dlinear"]) == (pytest.approx(1.0), 0.0)


def test_models_level_within_noise_are_ordered_by_time():
    costs = {"dlinear": {"latency_ms": curve(10)}, "patchtst": {"latency_ms": curve(100)}}
    cells = [setting(96, 96, noise=0.02, dlinear=0.71, patchtst=0.70, tft=0.8)]
    found = answer(known(cells, costs), Query(lookback=96, horizon=96, n_variates=7))
    assert (found["best"], found["second"], found["tied"]) == ("dlinear", "patchtst", True)
    exact = answer(
        known([setting(96, 96, dlinear=0.71, patchtst=0.70)], costs),
        Query(lookback=96, horizon=96, n_variates=7),
    )
    assert (exact["best"], exact["tied"]) == ("patchtst", False)


def test_limits_strike_out_with_the_reason():
    costs = {"patchtst": {"latency_ms": curve(1000), "memory_mb": curve(5000)}}
    cells = [setting(96, 96, dlinear=0.9, patchtst=0.5, tft=0.6)]
    query = Query(lookback=1000, horizon=96, n_variates=7, memory_mb=100, latency_ms=10, interpretable=True)
    found = answer(known(cells, costs), query)
    assert (found["best"], found["second"]) == ("tft", "dlinear")
    against = {one["model"]: [words(reason) for reason in one["against"]] for one in found["candidates"]}
    assert against["patchtst"] == [
        "its forecast cannot be read from its parts",
        "needs about 5e+03 MB to train, 100 MB are there",
        "takes about 1e+03 ms a batch, 10 ms are allowed",
    ]
    assert against["itransformer"][0] == "no cell of it was scored"
    assert against["tft"] == []  # a cost that was not measured speaks neither for nor against it


def test_costs_follow_the_curve_and_the_variates():
    grown = [[math.log(7), 0.0], [math.log(70), math.log(10)]]
    costs = {"tft": {"latency_ms": curve(100, by_variates=grown)}}
    cells = [setting(96, 96, tft=0.5)]
    (one, *_) = answer(known(cells, costs), Query(lookback=500, horizon=96, n_variates=70))["candidates"]
    assert one["latency_ms"]["value"] == pytest.approx(100 * 0.5 * 10)
    assert one["latency_ms"]["high"] / one["latency_ms"]["value"] == pytest.approx(math.exp(0.1 * 1.0))


def test_nothing_scored_gives_no_model():
    found = answer(known([]), Query(lookback=96, horizon=96, n_variates=7))
    assert (found["best"], found["second"], found["tied"]) == (None, None, None)
    assert len(found["candidates"]) == len(MODELS)


def test_swapped_models_swap_the_answers():
    assert set().union(*(answers_before_and_after_a_swap(seed) for seed in range(5))) >= {*MODELS}


def answers_before_and_after_a_swap(seed):
    tables, swapped = random_knowledge(seed), random_knowledge(seed)
    other = {"patchtst": "dlinear", "dlinear": "patchtst"}
    for one in swapped["settings"]:
        one["scores"] = {other.get(model, model): score for model, score in one["scores"].items()}
    costs = swapped["costs"]["cpu"]
    swapped["costs"]["cpu"] = {other.get(model, model): cost for model, cost in costs.items()}
    answers = set()
    for i in range(100):
        query = random_query(i)
        if query.interpretable:
            continue
        before, after = answer(tables, query), answer(swapped, query)
        assert after["best"] == other.get(before["best"], before["best"])
        answers.add(before["best"])
    return answers


def accuracy(rows):
    empty = {name: "" if kind is str else None for name, kind in ACCURACY_COLUMNS.items()}
    usual = {
        "study": "s",
        "dataset": "d",
        "lookback": 96,
        "horizon": 24,
        "device": "cpu",
        "precision": "fp32",
    }
    return pd.DataFrame(
        [empty | usual | {"status": "ok", "n_test_windows": 9, "n_parameters": 5} | row for row in rows]
    )


NOTHING_MEASURED = pd.DataFrame(columns=[*SCALING_COLUMNS, "evidence", "machine", "repeats_ms"])


def test_scores_are_shares_of_seasonal_naive_with_the_noise_of_the_seeds():
    rows = [{"model": "seasonal_naive", "seed": 1, "mse": 0.5, "mae": 1.0, "n_parameters": 0}]
    rows += [
        {"model": "patchtst", "seed": seed, "mse": mse, "mae": 1.0} for seed, mse in ((1, 0.2), (2, 0.3))
    ]
    rows += [{"model": "tft", "seed": 1, "mse": 0.6, "mae": 1.0}]
    found = knowledge([("mine", accuracy(rows))], {"d": 3}, NOTHING_MEASURED)
    (one,) = found["settings"]
    assert (found["scores_of"], one["lookback"], one["horizon"], one["n_variates"]) == ("mine", 96, 24, 3)
    assert one["scores"]["patchtst"]["error"] == pytest.approx(0.5)
    assert one["scores"]["patchtst"]["noise"] == pytest.approx(2 * math.sqrt(0.005) / 0.25)
    assert one["scores"]["tft"] == {"error": pytest.approx(1.2), "noise": ONE_SEED, "mse": 0.6, "seeds": 1}
    assert found["models"] == ["patchtst", "seasonal_naive", "tft"]
    assert found["rate"] is None


def test_the_first_table_with_a_trained_model_beside_seasonal_naive_is_taken():
    bare = accuracy([{"model": "patchtst", "seed": 1, "mse": 0.2, "mae": 1.0}])
    naive = {"model": "seasonal_naive", "seed": 1, "mse": 0.5, "mae": 1.0, "n_parameters": 0}
    full = accuracy([naive, {"model": "tft", "seed": 1, "mse": 0.6, "mae": 1.0}])
    assert knowledge([("bare", bare), ("full", full)], {}, NOTHING_MEASURED)["scores_of"] == "full"
    nothing = knowledge([("bare", bare)], {}, NOTHING_MEASURED)
    assert (nothing["scores_of"], nothing["settings"]) == (None, [])
