"""What the decision page shows: the review's tree with a verdict on each leaf, and the tree of the tables."""

from collections import Counter
from math import isfinite

from formerbench.analysis import decision_tree
from formerbench.analysis.decision_tree import (
    ADVISED_MISSING,
    BEHIND,
    CUT,
    NO_DATA,
    ONE_SEED,
    OPEN,
    VERDICTS,
    LeafEvidence,
    Node,
    Outcome,
)
from formerbench.analysis.measured_tree import (
    DEPTH,
    FEWEST,
    Guess,
    MeasuredTree,
    NoTree,
    Split,
    measured_tree,
)
from formerbench.analysis.places import scores
from formerbench.analysis.recommendation import Query
from formerbench.analysis.settings import settings
from formerbench.report.claims import SHAPES
from formerbench.report.context import Content, inlined
from formerbench.report.form import form, variates
from formerbench.report.text import count, listed, percent, score_text, signed_percent

_SHAPES = dict(zip(VERDICTS, SHAPES.values(), strict=True))
_LETTERS = {"lookback": "L", "horizon": "H", "n_variates": "D"}
_ASKED = {"lookback": "Lookback?", "horizon": "Horizon?", "n_variates": "Variates?"}


def decision(content: Content) -> dict:
    """Variables of ``decision.html.j2``."""
    tree = decision_tree.load()
    found = settings(scores([("", content.accuracy), *content.scores]), variates(content))
    leaves = decision_tree.evidence(tree, found)
    asked = form(content)
    return {
        "form": asked,
        "counts": _counts(leaves),
        "answers": _answers(leaves, len(found)),
        "tree": _drawn(tree, _boxes(content, leaves), _taken(tree, asked["query"])),
        "notes": _notes(tree),
        "learned": _learned(content, measured_tree(found)),
        "rows": [_row(content, leaf) for leaf in leaves],
        "cells": [_cell(content, leaf, outcome) for leaf in leaves for outcome in leaf.outcomes],
        "tree_script": inlined("tree.js"),
    }


def _answers(leaves: list[LeafEvidence], n_settings: int) -> list[str]:
    words = f"{count(n_settings, 'setting')} of data set, horizon and lookback compare models, in "
    words += "the tables of this study and its evidence."
    if any(leaf.verdict == NO_DATA for leaf in leaves):
        words += " Advice without data wants all six transformers, three seeds each and trained to the end, "
        words += "at a lookback of its region: the config's models, seeds and lookbacks."
    return [words]


def _counts(leaves: list[LeafEvidence]) -> list[tuple[str, str, int]]:
    """(shape, verdict, number of leaves)."""
    there = Counter(leaf.verdict for leaf in leaves)
    return [(_SHAPES[verdict], verdict, there[verdict]) for verdict in VERDICTS]


# The drawing: a node is {ask, about, items}; an item is an answer with bounds and leaves, and a node or leaf.


def _taken(tree: Node, query: Query) -> str:
    """The leaf of the question that the form shows first."""
    return decision_tree.walk(tree, query)[0].id


def _boxes(content: Content, leaves: list[LeafEvidence]) -> dict[str, dict]:
    return {
        found.leaf.id: {
            "style": content.styles[found.leaf.model],
            "says": f"Review: “{found.leaf.because}”",
            "verdict": found.verdict,
            "shape": _SHAPES[found.verdict],
            "measured": _measured(content, found),
        }
        for found in leaves
    }


def _drawn(node: Node, boxes: dict[str, dict], taken: str) -> dict:
    items = []
    for branch in node.branches:
        is_node = isinstance(branch.then, Node)
        leaves = [leaf.id for leaf, _ in decision_tree.routes(branch.then)] if is_node else [branch.then.id]
        item = {
            "answer": branch.answer,
            "lowest": branch.lowest if isfinite(branch.lowest) else None,
            "below": branch.below if isfinite(branch.below) else None,
            "truth": branch.truth,
            "leaves": leaves,
            "taken": taken in leaves,
        }
        items.append(
            item | (_drawn(branch.then, boxes, taken) if is_node else {"leaf": boxes[branch.then.id]})
        )
    return {"ask": node.ask, "about": node.about, "items": items}


def _notes(tree: Node) -> list[tuple[str, str]]:
    """(question or model, note) wherever the tree has one."""
    notes = {}
    for leaf, route in decision_tree.routes(tree):
        notes |= {node.ask: node.note for node, _ in route if node.note}
        if leaf.note:
            notes[f"“{leaf.because}”"] = leaf.note
    return list(notes.items())


def _learned(content: Content, found: MeasuredTree | NoTree) -> dict:
    """The measured tree as the review's is drawn, or why there is none."""
    if isinstance(found, NoTree):
        settings_there = count(found.n_settings, "setting")
        words = f"There is none: not enough cells: {settings_there}, wanted {FEWEST}."
        if found.winner is not None:
            label = content.styles[found.winner].label
            words = f"There is none: one winner only, {label} in all {settings_there}."
        return {"tree": None, "words": [words]}
    label = content.styles[found.most_frequent].label
    words = [
        f"Learned from {count(found.n_settings, 'setting')}; {count(found.depth, 'question')} deep, at most "
        f"{DEPTH}. Each setting guessed by a tree learned from all the others: "
        f"{percent(100 * found.accuracy)} right. Always guessing the most frequent winner of the others, "
        f"mostly {label}: {percent(100 * found.usual)}.",
    ]
    if found.accuracy <= found.usual:
        words.append("So the tree is no better than always taking one model; do not choose by it.")
    if isinstance(found.root, Guess):
        words.append(f"No question about the sizes tells the winners apart: {label} it is.")
    return {"tree": _part(content, found.root) if isinstance(found.root, Split) else None, "words": words}


def _part(content: Content, part: Split | Guess) -> dict:
    if isinstance(part, Guess):
        lines = f"Best in {part.wins} of {count(part.n, 'setting')}"
        return {"leaf": {"style": content.styles[part.model], "says": lines, "verdict": None}}
    letter, bound = _LETTERS[part.feature], f"{part.threshold:,}"
    sides = ((f"{letter} < {bound}", part.below), (f"{letter} ≥ {bound}", part.above))
    items = [
        {"answer": answer, "taken": False, "leaves": []} | _part(content, side) for answer, side in sides
    ]
    return {"ask": _ASKED[part.feature], "about": None, "items": items}


# The words and the tables


def _measured(content: Content, found: LeafEvidence) -> str:
    if not found.outcomes:
        return "no cell has a score in this region."
    if found.verdict == NO_DATA:
        return f"{_why(content, found.outcomes)}."
    decided = [one for one in found.outcomes if one.word != OPEN]
    behind = sum(one.word == BEHIND for one in decided)
    label = content.styles[found.leaf.model].label
    words = f"{label} is best or level with the best in {len(decided) - behind} of "
    words += count(len(decided), "setting")
    words += f"; its MSE is {_against(found.margin)} on average"
    if found.winner != found.leaf.model:
        words += f". {content.styles[found.winner].label} wins {found.wins} of {found.counted}"
    return f"{words}."


def _against(margin: float) -> str:
    side = "above" if margin > 0 else "below"
    return f"{percent(abs(margin))} {side} the best other model's"


def _why(content: Content, outcomes: tuple[Outcome, ...]) -> str:
    """Why settings decide nothing, each reason with the number of its settings."""
    reasons = Counter(_reason(content, one) for one in outcomes if one.word == OPEN)
    return "; ".join(f"{reason} in {count(n, 'setting')}" for reason, n in reasons.items())


def _reason(content: Content, one: Outcome) -> str:
    if one.why == CUT:
        return "a budget ended the training"
    if one.why == ONE_SEED:
        return "one seed, so that the noise is not known,"
    ended = one.setting.unscored.get(one.missing[0]) if one.why == ADVISED_MISSING else None
    names = (
        listed([content.styles[model].label for model in one.missing]) if one.missing else "any other model"
    )
    if ended:
        return f"{names} has no score ({ended})"
    return f"{names} {'were' if len(one.missing) > 1 else 'was'} not run"


def _row(content: Content, found: LeafEvidence) -> dict:
    """A leaf of the table of leaves."""
    return {
        "path": ", ".join(_step(node, branch) for node, branch in found.route),
        "style": content.styles[found.leaf.model],
        "settings": len(found.outcomes),
        "cells": found.n_cells,
        "winner": None if found.winner is None else content.styles[found.winner],
        "wins": f"{found.wins} of {found.counted}",
        "margin": found.margin,
        "margin_text": "" if found.margin is None else signed_percent(found.margin),
        "verdict": found.verdict,
        "shape": _SHAPES[found.verdict],
        "why": _why(content, found.outcomes),
    }


def _step(node: Node, branch: decision_tree.Branch) -> str:
    return branch.answer if node.about == "lookback" else f"{node.ask} {branch.answer}"


def _cell(content: Content, found: LeafEvidence, one: Outcome) -> dict:
    """A setting of a leaf of the table of cells."""
    setting = one.setting
    own = setting.scores.get(found.leaf.model)
    return {
        "setting": setting,
        "style": content.styles[found.leaf.model],
        "winner": content.styles[setting.winner],
        "winner_mse": score_text(setting.best),
        "level": [content.styles[model] for model in setting.level],
        "own": None if own is None else own.mean,
        "own_text": "" if own is None else score_text(own),
        "margin": one.margin,
        "margin_text": "" if one.margin is None else signed_percent(one.margin),
        "says": f"decides nothing: {_reason(content, one).rstrip(',')}" if one.word == OPEN else one.word,
        "origin": f"evidence {setting.evidence}, study {setting.study}"
        if setting.evidence
        else setting.study,
    }
