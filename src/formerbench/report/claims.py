"""What the claims page shows: verdicts, contradictions, and every claim beside what was measured."""

import ast
import math

import pandas as pd

from formerbench.analysis import claims as audit
from formerbench.analysis.claims import CONTRADICTION, OPEN, VERDICTS, Finding
from formerbench.analysis.expressions import Choice, Quantity, Truth
from formerbench.analysis.leaderboard import TRANSFORMERS
from formerbench.analysis.places import Place, Sources, places, published, scores
from formerbench.report.context import Content
from formerbench.report.palette import styles
from formerbench.report.text import count, listed, percent, three_digits

SHAPES = dict(zip(VERDICTS, ("●", "✕", "○"), strict=True))
_LABELS = {name: style.label for name, style in styles(TRANSFORMERS).items()}
# The section of the scaling page that shows an experiment.
_ANCHORS = {"mechanism": "mechanisms", "horizon": "latency"}


def claims(content: Content) -> dict:
    """Variables of ``claims.html.j2``."""
    sources = sources_of(content)
    of_review = audit.judge_all(audit.load(), sources)
    of_papers = audit.judge_all(audit.of_papers(sources.published), sources)
    against_itself = [finding for finding in of_review if finding.claim.kind == CONTRADICTION]
    tested = [finding for finding in of_review if finding.claim.kind != CONTRADICTION]
    return {
        "counts": _counts(tested),
        "answers": _answers(tested, against_itself, of_papers),
        "contradictions": [_row(finding) for finding in against_itself],
        "rows": [_row(finding) for finding in tested],
        "paper_counts": _counts(of_papers),
        "papers": [_row(finding) for finding in sorted(of_papers, key=_decided_first)],
        "noise": _noise(sources.places),
        "factor": "1.25",
        "reached": percent(100 * (audit.REACHED - 1)),
    }


def sources_of(content: Content) -> Sources:
    """What the claims are held against: the study's own rows, then the evidence, then published scores."""
    own = ("", content.accuracy)
    return Sources(places(content.measured), scores([own, *content.scores]), published())


def _decided_first(finding: Finding) -> tuple[bool, bool]:
    return finding.verdict == OPEN, not finding.terms


def _counts(findings: list[Finding]) -> list[tuple[str, str, int]]:
    """(shape, verdict, number)."""
    there = pd.Series([finding.verdict for finding in findings], dtype=str).value_counts()
    return [(SHAPES[verdict], verdict, int(there.get(verdict, 0))) for verdict in VERDICTS]


def _answers(tested: list[Finding], against_itself: list[Finding], of_papers: list[Finding]) -> list[str]:
    holds, fails, unknown = (number for _, _, number in _counts(tested))
    decided = holds + fails
    first = f"The review makes {count(len(tested), 'claim')} that can be checked. "
    if decided:
        share = percent(100 * holds / decided)
        first += (
            f"{decided} are decided: {holds} hold ({share}) and {fails} fail; {unknown} are not measured."
        )
    else:
        first += "None is decided yet: nothing that they speak of was measured."
    second = f"In {count(len(against_itself), 'place')} it contradicts itself."
    reached, missed, open_ones = (number for _, _, number in _counts(of_papers))
    third = f"Of {count(len(of_papers), 'published score')}, {reached} are reached within "
    third += f"{percent(100 * (audit.REACHED - 1))}, {missed} are not, and {open_ones} are not measured."
    return [first, second, third]


def _row(finding: Finding) -> dict:
    claim = finding.claim
    return {
        "section": claim.section,
        "kind": claim.kind,
        "says": claim.says,
        "reading": claim.reading,
        "because": claim.because,
        "test": claim.test,
        "terms": [(what, _value(value)) for what, value in finding.terms],
        "wanted": _wanted(claim),
        "verdict": finding.verdict,
        "shape": SHAPES[finding.verdict],
        "why": finding.why,
        "needs": claim.needs,
        "origins": _origins(finding),
    }


def _wanted(claim: audit.Claim) -> str:
    """What a measured value should be near to, as the review's numbers have it."""
    called = [node for node in ast.walk(claim.tree) if isinstance(node, ast.Call) and node.func.id == "near"]
    return ", ".join(ast.unparse(node.args[1]) for node in called)


def _value(value: Quantity | Choice | Truth) -> str:
    """A value with its interval, or names with those that noise cannot tell from the best."""
    if isinstance(value, Truth):
        return {True: "yes", False: "no", None: "not known"}[value.known]
    if isinstance(value, Choice):
        others = sorted(_LABELS[name] for name in value.among - {value.best})
        tied = f", level with {listed(others)} within noise" if others else ""
        return _LABELS[value.best] + tied
    if value.note:
        return f"{_digits(value.value)} ({value.note})"
    if value.low == value.high:
        return _digits(value.value)
    if math.isinf(value.high):
        return f"at least {_digits(value.low)}"
    return f"{_digits(value.value)} ({_digits(value.low)} to {_digits(value.high)})"


def _digits(value: float) -> str:
    return three_digits(value) if math.isfinite(value) else "no bound"


def _origins(finding: Finding) -> list[tuple[str, str]]:
    """(words, link or "") of where the rows are from."""
    tables = [table for table, _ in finding.reads]
    found = []
    if "scaling" in tables:
        place = finding.place
        found.append((_from(place.evidence, place.study, place.machine), _scaling_link(finding)))
    if "scores" in tables:
        own = finding.scores.evidence == ""
        found.append(
            (_from(finding.scores.evidence, finding.scores.study), "accuracy.html#accuracy" if own else "")
        )
    if "published" in tables:
        found.append(("published scores", ""))
    return found


def _from(evidence: str, study: str, machine: str = "") -> str:
    words = [f"evidence {evidence}"] if evidence else []
    return ", ".join([*words, f"study {study}", *([machine] if machine else [])])


def _scaling_link(finding: Finding) -> str:
    index = next(index for table, index in finding.reads if table == "scaling")
    experiment = finding.place.rows.at[index, "experiment"]
    return f"scaling.html#{_ANCHORS.get(experiment, experiment)}"


def _noise(found: tuple[Place, ...]) -> list[str]:
    """How far apart two times of the same work are in two processes, for each place."""
    return [
        f"{_from(place.evidence, place.study, place.machine)}: "
        f"{percent(100 * math.expm1(place.spread))}{'' if place.pairs else ' (assumed)'}"
        for place in found
    ]
