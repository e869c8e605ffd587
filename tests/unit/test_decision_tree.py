"""The review's tree goes where the review says and is judged by what was measured; a tree is learned."""

from collections import Counter
from itertools import product

import pandas as pd
import pytest
import yaml

from formerbench.analysis.decision_tree import (
    ADVISED_MISSING,
    BEHIND,
    BEST,
    CUT,
    FAILS,
    HOLDS,
    NO_DATA,
    ONE_SEED,
    OPEN,
    RIVALS_MISSING,
    TIED,
    TREE,
    evidence,
    load,
    outcome,
    routes,
    walk,
)
from formerbench.analysis.leaderboard import TRANSFORMERS, Score
from formerbench.analysis.measured_tree import Guess, NoTree, Split, measured_tree
from formerbench.analysis.places import scores
from formerbench.analysis.recommendation import Query
from formerbench.analysis.settings import Setting, settings
from formerbench.errors import StatedError

from ..project import REPOSITORY


def query(**changes):
    return Query(**({"lookback": 96, "horizon": 96, "n_variates": 7} | changes))


@pytest.mark.parametrize(
    ("asked", "leaf", "model"),
    [
        ({"lookback": 199, "interpretable": True}, "short-interpretable", "tft"),
        ({"lookback": 199}, "short-accurate", "patchtst"),
        ({"lookback": 200, "seasonality": 0.6}, "middle-seasonal", "autoformer"),
        ({"lookback": 200, "seasonality": 0.59}, "middle-periodic", "fedformer"),
        ({"lookback": 999, "seasonality": 0.3}, "middle-periodic", "fedformer"),
        ({"lookback": 999, "seasonality": 0.29}, "middle-general", "informer"),
        ({"lookback": 1000, "n_variates": 11}, "long-many", "itransformer"),
        ({"lookback": 1000, "n_variates": 10}, "long-few", "patchtst"),
    ],
)
def test_the_walk_ends_where_the_review_says(asked, leaf, model):
    found, path = walk(load(), query(**asked))
    assert (found.id, found.model) == (leaf, model)
    assert path[0][0] == "Sequence length?"
    (route,) = (route for one, route in routes(load()) if one.id == leaf)
    assert path == tuple((node.ask, branch.answer) for node, branch in route)


def test_an_answer_that_is_not_known_takes_the_last_branch_and_says_so():
    found, path = walk(load(), query(lookback=336))
    assert found.id == "middle-general"
    assert path[1:] == (
        ("Strong seasonality?", "not known, taken as no"),
        ("Periodic patterns?", "not known, taken as no"),
    )


def changed(tmp_path, change):
    content = yaml.safe_load((REPOSITORY / TREE).read_text())
    change(content["tree"]["branches"])
    path = tmp_path / "tree.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: b[0].update(below=100), "must take every value of lookback once"),
        (lambda b: b[0]["branches"][1].update({"is": True}), "must take every value of interpretable once"),
        (lambda b: b[0]["branches"][0].update(leaf="long-few"), "'long-few' comes 2 times"),
        (lambda b: b[0]["branches"][0].update(model="lstm"), "lstm"),
        (lambda b: b[0].update(leaf="both", model="tft", because="?"), "is not valid"),
    ],
)
def test_a_tree_with_a_gap_or_a_wrong_name_is_refused(tmp_path, change, words):
    with pytest.raises(StatedError, match=r"tree\.yaml") as caught:
        load(changed(tmp_path, change))
    assert words in str(caught.value)


# Settings and verdicts


def score(mean, sd: float | None = 0.001, n=3):
    return Score(mean, sd, n)


def setting(models=None, lookback=96, horizon=96, n_variates=7, dataset="a", cut=False, unscored=None):
    found = dict.fromkeys(TRANSFORMERS, score(0.5)) if models is None else models
    found = dict(sorted(found.items(), key=lambda item: item[1].mean))
    return Setting("", "s", dataset, horizon, lookback, n_variates, found, unscored or {}, cut, 18)


def everyone(**own):
    return dict.fromkeys(TRANSFORMERS, score(0.5)) | own


@pytest.mark.parametrize(
    ("where", "word", "why"),
    [
        (setting(everyone(patchtst=score(0.4))), BEST, ""),
        (setting(everyone(patchtst=score(0.4), dlinear=score(0.3999))), TIED, ""),
        (setting(everyone(patchtst=score(0.4), dlinear=score(0.39))), BEHIND, ""),
        (setting({"patchtst": score(0.4), "dlinear": score(0.39)}), BEHIND, ""),
        (setting({"patchtst": score(0.4), "dlinear": score(0.5)}), OPEN, RIVALS_MISSING),
        (setting({"tft": score(0.4), "dlinear": score(0.5)}), OPEN, ADVISED_MISSING),
        (setting(everyone(patchtst=score(0.4, None, 1))), OPEN, ONE_SEED),
        (setting(everyone(patchtst=score(0.4)), cut=True), OPEN, CUT),
    ],
)
def test_what_a_setting_says_of_an_advice(where, word, why):
    found = outcome(where, "patchtst")
    assert (found.word, found.why) == (word, why)


def test_a_rival_that_ran_out_of_memory_is_not_missing():
    there = {model: score(0.5) for model in TRANSFORMERS if model != "tft"} | {"patchtst": score(0.4)}
    assert outcome(setting(there), "patchtst").missing == ("tft",)
    assert outcome(setting(there, unscored={"tft": "oom"}), "patchtst").word == BEST


def test_the_margin_is_against_the_best_other_model():
    found = outcome(setting(everyone(patchtst=score(0.4), tft=score(0.45))), "patchtst")
    assert found.margin == pytest.approx(100 * (0.4 / 0.45 - 1))
    assert outcome(setting(everyone(tft=score(0.4))), "patchtst").margin == pytest.approx(25)


def verdicts(found):
    return {one.leaf.id: one.verdict for one in found}


def test_a_leaf_is_judged_by_the_settings_of_its_region():
    good = everyone(patchtst=score(0.4))
    found = evidence(load(), [setting(good), setting(good, dataset="b", lookback=1000)])
    assert verdicts(found) == {
        "short-interpretable": FAILS,
        "short-accurate": HOLDS,
        "middle-seasonal": NO_DATA,
        "middle-periodic": NO_DATA,
        "middle-general": NO_DATA,
        "long-many": NO_DATA,
        "long-few": HOLDS,
    }
    by_leaf = {one.leaf.id: one for one in found}
    assert (by_leaf["short-accurate"].winner, by_leaf["short-accurate"].n_cells) == ("patchtst", 18)
    assert by_leaf["long-many"].outcomes == ()


def test_many_variates_go_to_the_leaf_for_many_and_unknown_ones_to_both():
    good = everyone(itransformer=score(0.4))
    for variates, leaves in ((321, {"long-many"}), (7, {"long-few"}), (None, {"long-many", "long-few"})):
        found = evidence(load(), [setting(good, lookback=1440, n_variates=variates)])
        assert {one.leaf.id for one in found if one.outcomes} == leaves


def test_swapping_two_models_turns_the_verdict():
    better = setting(everyone(patchtst=score(0.4)))
    worse = setting(everyone(tft=score(0.4)))
    assert verdicts(evidence(load(), [better]))["short-accurate"] == HOLDS
    assert verdicts(evidence(load(), [worse]))["short-accurate"] == FAILS
    assert verdicts(evidence(load(), [worse]))["short-interpretable"] == HOLDS


def test_half_of_the_settings_are_not_most():
    pair = [setting(everyone(patchtst=score(0.4))), setting(everyone(tft=score(0.4)))]
    assert verdicts(evidence(load(), pair))["short-accurate"] == FAILS
    assert verdicts(evidence(load(), [*pair, pair[0]]))["short-accurate"] == HOLDS


def rows(models, stopped="patience", **columns):
    return pd.DataFrame(
        {
            "study": "s",
            "dataset": "a",
            "model": model,
            "lookback": 96,
            "horizon": 24,
            "seed": seed,
            "device": "cpu",
            "precision": "fp32",
            "status": "ok",
            "reason": "",
            "mse": mse + 0.001 * seed,
            "mae": mse,
            "mase": mse,
            "smape": mse,
            "n_test_windows": 9,
            "n_parameters": 5,
            "stopped_by": stopped,
        }
        | columns
        for (model, mse), seed in product(models.items(), (1, 2))
    )


def test_settings_are_read_from_the_tables_by_study():
    own, other = rows({"tft": 0.5, "dlinear": 0.4}), rows({"tft": 0.3, "informer": 0.4}, "budget", study="e")
    found = settings(scores([("", own), ("elsewhere", other)]), {"a": 7})
    assert [(one.evidence, one.study, one.winner, one.cut) for one in found] == [
        ("", "s", "dlinear", False),
        ("elsewhere", "e", "tft", True),
    ]
    assert (found[0].n_variates, found[0].n_cells, found[0].best.n) == (7, 4, 2)
    assert (found[0].lookback, found[0].horizon) == (96, 24)


def test_a_setting_needs_two_models_and_not_only_baselines():
    for models in ({"tft": 0.5}, {"repeat": 0.5, "dlinear": 0.4}):
        assert settings(scores([("", rows(models))]), {}) == []


def test_of_several_devices_that_with_the_most_seeds_counts_and_not_the_lower_error():
    there = rows({"tft": 0.5, "dlinear": 0.45})
    elsewhere = rows({"tft": 0.4}, device="cuda")
    (found,) = settings(scores([("", pd.concat([there, elsewhere[:1]]))]), {})
    assert (found.scores["tft"].n, found.winner) == (2, "dlinear")
    assert found.scores["tft"].mean == pytest.approx(0.5015)
    (found,) = settings(scores([("", pd.concat([elsewhere, there]))]), {})
    assert found.scores["tft"].mean == pytest.approx(0.5015)


# The measured tree


def grid(winner):
    """Settings over lookbacks, horizons and variates whose winner is a function of them."""
    return [
        setting(everyone(**{winner(L, H, D): score(0.4)}), L, H, D, dataset=f"d{D}")
        for L, H, D in product((96, 192, 336, 720), (24, 96), (7, 321))
    ]


def test_a_rule_of_the_lookback_is_found():
    found = measured_tree(grid(lambda L, H, D: "itransformer" if L < 336 else "patchtst"))
    assert isinstance(found.root, Split)
    assert (found.root.feature, found.depth, found.n_settings) == ("lookback", 1, 16)
    assert 192 < found.root.threshold <= 336
    assert found.root.below == Guess("itransformer", 8, 8)
    assert found.root.above == Guess("patchtst", 8, 8)
    assert found.accuracy == 1
    assert found.usual == 0  # of the others, the other winner is always the more frequent


def test_the_depth_is_at_most_three_and_the_same_settings_give_the_same_tree():
    def winner(lookback, horizon, variates):
        return TRANSFORMERS[(lookback // 48 + horizon // 24 + variates) % 5]

    found = measured_tree(grid(winner))
    assert 1 <= found.depth <= 3
    assert found == measured_tree(grid(winner))
    assert 0 <= found.accuracy <= 1


def test_the_usual_winner_is_left_out_one_by_one_too():
    found = measured_tree(grid(lambda L, H, D: "tft" if (L, D) == (96, 321) else "patchtst"))
    assert (found.most_frequent, found.usual) == ("patchtst", 14 / 16)


def test_too_few_settings_or_one_winner_give_no_tree():
    mixed = grid(lambda L, H, D: "tft" if L < 200 else "patchtst")
    assert measured_tree(mixed[:11]) == NoTree(11)
    assert measured_tree([]) == NoTree(0)
    assert measured_tree(grid(lambda L, H, D: "tft")) == NoTree(16, "tft")


def test_settings_that_were_cut_or_come_twice_do_not_count():
    mixed = grid(lambda L, H, D: "tft" if L < 200 else "patchtst")
    cut = [
        setting(one.scores, one.lookback, one.horizon, 7, f"cut{i}", cut=True) for i, one in enumerate(mixed)
    ]
    assert measured_tree([*mixed, *cut, *mixed]) == measured_tree(mixed)
    assert measured_tree(cut) == NoTree(0)


def test_leaves_have_names_of_their_own_and_quote_the_review():
    found = [leaf for leaf, _ in routes(load())]
    assert max(Counter(leaf.id for leaf in found).values()) == 1
    assert {leaf.model for leaf in found} == set(TRANSFORMERS)
    assert all("→" in leaf.because for leaf in found)
