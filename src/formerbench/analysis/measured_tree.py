"""A decision tree learned from the accuracy tables: the best model by lookback, horizon and variates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from formerbench.analysis.settings import Setting, most_frequent

FEATURES = ("lookback", "horizon", "n_variates")
FEWEST, DEPTH, _LEAST_LEAF = 12, 3, 2


@dataclass(frozen=True)
class Guess:
    """A leaf: the model that won most often, in ``wins`` of ``n`` settings."""

    model: str
    wins: int
    n: int


@dataclass(frozen=True)
class Split:
    """A question: whether ``feature`` is below ``threshold`` (exclusive)."""

    feature: str
    threshold: int
    below: Split | Guess
    above: Split | Guess


@dataclass(frozen=True)
class MeasuredTree:
    """What was learned, and what it is worth.

    Attributes:
        root: a guess where no split tells the winners apart.
        depth: number of questions on the longest path.
        n_settings: it was learned from.
        accuracy: share of settings whose winner a tree guesses that was learned from all the others.
        usual: the same of the most frequent winner of the others, ``most_frequent`` among all.
    """

    root: Split | Guess
    depth: int
    n_settings: int
    accuracy: float
    usual: float
    most_frequent: str


@dataclass(frozen=True)
class NoTree:
    """Too few settings for a tree, or a ``winner`` that all of them share."""

    n_settings: int
    winner: str | None = None


def measured_tree(settings: Sequence[Setting]) -> MeasuredTree | NoTree:
    """Learn the winner of each setting from the logs of its lookback, horizon and number of variates.

    Settings that a budget cut short, or whose number of variates is not known, are left out; of the same
    setting in two studies the first counts. The same settings give the same tree.
    """
    kept: dict[tuple, Setting] = {}
    for one in settings:
        if not one.cut and one.n_variates is not None:
            kept.setdefault((one.dataset, one.horizon, one.lookback), one)
    features = [[math.log2(getattr(one, name)) for name in FEATURES] for one in kept.values()]
    winners = [one.winner for one in kept.values()]
    if len(winners) < FEWEST:
        return NoTree(len(winners))
    if len(set(winners)) == 1:
        return NoTree(len(winners), winners[0])
    root = _as_tree(_fitted(features, winners), features, winners)
    guessed = [
        _fitted(*_without(i, features, winners)).predict([features[i]])[0] == winners[i]
        for i in range(len(winners))
    ]
    usual = [most_frequent(_without(i, features, winners)[1]) == winner for i, winner in enumerate(winners)]
    n = len(winners)
    return MeasuredTree(root, _depth(root), n, sum(guessed) / n, sum(usual) / n, most_frequent(winners))


def _fitted(features: list, winners: list):
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=_LEAST_LEAF, random_state=0)
    return tree.fit(features, winners)


def _without(i: int, features: list, winners: list) -> tuple[list, list]:
    return features[:i] + features[i + 1 :], winners[:i] + winners[i + 1 :]


def _as_tree(fitted, features: list, winners: list, at: int = 0) -> Split | Guess:
    """The part below a node of the fitted tree; a split whose two sides guess the same is none."""
    tree = fitted.tree_
    if tree.children_left[at] == tree.children_right[at]:  # both -1: a leaf
        model = str(fitted.classes_[tree.value[at].argmax()])
        return Guess(model, winners.count(model), len(winners))
    column, threshold = int(tree.feature[at]), float(tree.threshold[at])
    sides = []
    for child, is_below in ((tree.children_left[at], True), (tree.children_right[at], False)):
        there = [i for i, row in enumerate(features) if (row[column] <= threshold) == is_below]
        sides.append(_as_tree(fitted, [features[i] for i in there], [winners[i] for i in there], int(child)))
    below, above = sides
    if isinstance(below, Guess) and isinstance(above, Guess) and below.model == above.model:
        return Guess(below.model, below.wins + above.wins, below.n + above.n)
    # The learned bound lies between two logs; the first whole number above it parts the same settings.
    return Split(FEATURES[column], math.floor(2**threshold) + 1, below, above)


def _depth(part: Split | Guess) -> int:
    return 0 if isinstance(part, Guess) else 1 + max(_depth(part.below), _depth(part.above))
