"""The review's decision tree: read, checked, walked, and each leaf held against what was measured there."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from formerbench.analysis.leaderboard import TRANSFORMERS, percent_above, tied
from formerbench.analysis.settings import Setting, most_frequent
from formerbench.config import check, read_yaml
from formerbench.errors import StatedError
from formerbench.paths import shipped

if TYPE_CHECKING:
    from formerbench.analysis.recommendation import Query

TREE, SCHEMA = "config/decision_tree.yaml", "workflow/schemas/decision_tree.schema.yaml"
HOLDS, FAILS, NO_DATA = VERDICTS = ("holds", "fails", "no data")
BEST, TIED, BEHIND, OPEN = "best", "tied", "behind", "open"
# Why a setting decides nothing.
ADVISED_MISSING, RIVALS_MISSING, CUT, ONE_SEED = "advised missing", "rivals missing", "cut", "one seed"
# What a setting says of itself; the other questions are about the reader or need the series.
_OF_SETTINGS = ("lookback", "n_variates")


@dataclass(frozen=True)
class Leaf:
    """An advice: ``model``, ``because`` of the review's words; ``note``: what the verdict does not say."""

    id: str
    model: str
    because: str
    note: str = ""


@dataclass(frozen=True)
class Branch:
    """An answer to a node's question and what follows from it.

    Attributes:
        lowest, below: bounds of a number, the first inclusive; infinite where there is none.
        truth: of a question of yes or no, else None.
    """

    answer: str
    lowest: float
    below: float
    truth: bool | None
    then: Node | Leaf

    def takes(self, value: float | bool) -> bool:
        """Whether the answer is this one."""
        return self.lowest <= value < self.below if self.truth is None else bool(value) == self.truth


@dataclass(frozen=True)
class Node:
    """A question about the attribute ``about`` of a query, with its branches in the review's order."""

    ask: str
    about: str
    branches: tuple[Branch, ...]
    note: str = ""


Route = tuple[tuple[Node, Branch], ...]


def load(path: Path | None = None) -> Node:
    """The review's tree, or that of a file of the same form.

    Raises:
        StatedError: the file breaks its schema, the branches of a node leave a value out or share one, or a
            name of a leaf comes twice.
    """
    path = shipped(TREE) if path is None else Path(path)
    content = read_yaml(path)
    check(content, read_yaml(shipped(SCHEMA)), path.name)
    tree = _node(content["tree"], path.name)
    names = Counter(leaf.id for leaf, _ in routes(tree))
    for name, times in names.items():
        if times > 1:
            raise StatedError(f"{path.name}: a leaf's name must be its own, but '{name}' comes {times} times")
    return tree


def _node(content: dict, where: str) -> Node:
    branches = tuple(_branch(branch, where) for branch in content["branches"])
    node = Node(content["ask"], content["about"], branches, content.get("note", ""))
    truths = sorted(str(branch.truth) for branch in branches)
    if node.about == "interpretable":
        whole = truths == ["False", "True"]
    else:
        bounds = sorted((branch.lowest, branch.below) for branch in branches)
        edges = [-math.inf, *(below for _, below in bounds)]
        whole = set(truths) == {"None"} and [*(low for low, _ in bounds), math.inf] == edges
    if not whole:
        raise StatedError(
            f"{where}: the branches of '{node.ask}' must take every value of {node.about} once; "
            "change their `from` and `below`, or `is`"
        )
    return node


def _branch(content: dict, where: str) -> Branch:
    if "leaf" in content:
        then = Leaf(content["leaf"], content["model"], content["because"], content.get("note", ""))
    else:
        then = _node(content, where)
    lowest, below = content.get("from", -math.inf), content.get("below", math.inf)
    return Branch(content["answer"], lowest, below, content.get("is"), then)


def routes(tree: Node, before: Route = ()) -> Iterator[tuple[Leaf, Route]]:
    """Every leaf, in order, with the questions and answers that lead to it."""
    for branch in tree.branches:
        route = (*before, (tree, branch))
        if isinstance(branch.then, Leaf):
            yield branch.then, route
        else:
            yield from routes(branch.then, route)


def walk(tree: Node, query: Query) -> tuple[Leaf, tuple[tuple[str, str], ...]]:
    """The leaf that a query comes to, and the (question, answer) on the way.

    An answer that is not known is taken as the node's last one, and says so.
    """
    path, at = [], tree
    while isinstance(at, Node):
        value = getattr(query, at.about)
        if value is None:
            branch = at.branches[-1]
            path.append((at.ask, f"not known, taken as {branch.answer}"))
        else:
            branch = next(branch for branch in at.branches if branch.takes(value))
            path.append((at.ask, branch.answer))
        at = branch.then
    return at, tuple(path)


@dataclass(frozen=True)
class Outcome:
    """What a setting says of the advised model.

    Attributes:
        word: ``best`` and ``tied`` for the advice, ``behind`` against it, ``open`` where it decides nothing.
        why: of an open one; ``missing``: the models that were not run.
        margin: how far the advised model's MSE is above the best other one's, in %; None without both.
    """

    setting: Setting
    word: str
    why: str = ""
    missing: tuple[str, ...] = ()
    margin: float | None = None


@dataclass(frozen=True)
class LeafEvidence:
    """The verdict on a leaf.

    Attributes:
        outcomes: one a setting of its region.
        winner: the best model in most settings, and in how many of ``counted``; None without settings. Those
            that a budget cut short count where there are no others.
        margin: mean over the counted settings, as in :class:`Outcome`.
    """

    leaf: Leaf
    route: Route
    outcomes: tuple[Outcome, ...]
    verdict: str
    winner: str | None
    wins: int
    counted: int
    margin: float | None

    @property
    def n_cells(self) -> int:
        return sum(outcome.setting.n_cells for outcome in self.outcomes)


def evidence(tree: Node, settings: Sequence[Setting]) -> list[LeafEvidence]:
    """The evidence of every leaf, in the order of the tree.

    Tables do not say how seasonal a series is or what a reader wants to interpret: such questions let every
    setting pass, and so does a number of variates that is not known.
    """
    return [_leaf(leaf, route, settings) for leaf, route in routes(tree)]


def _leaf(leaf: Leaf, route: Route, settings: Sequence[Setting]) -> LeafEvidence:
    outcomes = tuple(outcome(setting, leaf.model) for setting in settings if _within(setting, route))
    counted = [one for one in outcomes if not one.setting.cut] or list(outcomes)
    wins = Counter(one.setting.winner for one in counted)
    winner = most_frequent(wins.elements()) if wins else None
    margins = [one.margin for one in counted if one.margin is not None]
    margin = sum(margins) / len(margins) if margins else None
    return LeafEvidence(leaf, route, outcomes, _verdict(outcomes), winner, wins[winner], len(counted), margin)


def _within(setting: Setting, route: Route) -> bool:
    asked = [(getattr(setting, node.about), branch) for node, branch in route if node.about in _OF_SETTINGS]
    return all(value is None or branch.takes(value) for value, branch in asked)


def outcome(setting: Setting, advised: str) -> Outcome:
    """Whether the advised model is the best of all that ran, baselines among them, or level with it.

    That another model is clearly better is enough against the advice; for it, all transformers must have
    been run. Neither one seed nor a training that a budget cut short decides anything.
    """
    if advised not in setting.scores:
        return Outcome(setting, OPEN, ADVISED_MISSING, (advised,))
    others = [score for model, score in setting.scores.items() if model != advised]
    there = {*setting.scores, *setting.unscored}
    missing = tuple(model for model in TRANSFORMERS if model not in there)
    if not others:
        return Outcome(setting, OPEN, RIVALS_MISSING, missing)
    own, other = setting.scores[advised], others[0]
    margin = percent_above(own.mean, other.mean)
    level = tied(own, other)
    if setting.cut or level is None:
        return Outcome(setting, OPEN, CUT if setting.cut else ONE_SEED, margin=margin)
    if margin > 0 and not level:
        return Outcome(setting, BEHIND, margin=margin)
    if missing:
        return Outcome(setting, OPEN, RIVALS_MISSING, missing, margin)
    return Outcome(setting, TIED if level else BEST, margin=margin)


def _verdict(outcomes: Sequence[Outcome]) -> str:
    decided = [one.word for one in outcomes if one.word != OPEN]
    if not decided:
        return NO_DATA
    return HOLDS if 2 * decided.count(BEHIND) < len(decided) else FAILS
