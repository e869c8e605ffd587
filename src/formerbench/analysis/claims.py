"""The review's claims held against the tables: which hold, which fail, and which nothing has measured yet.

A claim is an expression (:mod:`formerbench.analysis.expressions`) over functions of the tables
(:mod:`formerbench.analysis.readings`). It is tried in one place after another, the study's own first, and the
first place that decides it counts: measurements of two machines never meet in one expression.
"""

from ast import Expression
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

import pandas as pd

from formerbench.analysis.expressions import Choice, Quantity, Truth, calls, evaluate, parse
from formerbench.analysis.places import Place, Scores, Sources
from formerbench.analysis.readings import FUNCTIONS, OF_SCALING, OF_SCORES, Readings
from formerbench.config import check, read_yaml
from formerbench.errors import StatedError
from formerbench.paths import shipped

CLAIMS, SCHEMA = "config/claims.yaml", "workflow/schemas/claims.schema.yaml"
HOLDS, FAILS, OPEN = VERDICTS = ("holds", "fails", "not measured")
CONTRADICTION, PAPERS = "contradiction", "papers"
REACHED = 1.03  # how far a score may lie above the published one


@dataclass(frozen=True)
class Claim:
    """Something that the review or a paper says.

    Attributes:
        section: of the review; ``papers`` for a published score.
        says: the words, with their number.
        test: expression that is so where the claim holds.
        reading: what of the claim is tested, where that is less than it says; ``as`` in the file.
        needs: what would measure it; ``""`` where the test is arithmetic.
        because: of a contradiction, what contradicts what; of a published score, the source.
    """

    id: str
    section: str
    kind: str
    says: str
    test: str
    reading: str = ""
    needs: str = ""
    because: str = ""

    @cached_property
    def tree(self) -> Expression:
        return parse(self.test, FUNCTIONS, f"claim {self.id}")


@dataclass(frozen=True)
class Finding:
    """The verdict on a claim.

    Attributes:
        why: of one that is not measured.
        terms: what was compared, in the words of the test, and what it came to.
        reads: (table, index of a row) of all rows that were asked for.
        place, scores: where the rows are from; None where none of that kind were asked for.
    """

    claim: Claim
    verdict: str
    why: str
    terms: tuple[tuple[str, Quantity | Choice | Truth], ...]
    reads: tuple[tuple, ...]
    place: Place | None
    scores: Scores | None


def load(path: Path | None = None) -> list[Claim]:
    """The review's claims, every test parsed.

    Raises:
        StatedError: the file breaks its schema, an id comes twice, or a test is no expression.
    """
    path = shipped(CLAIMS) if path is None else Path(path)
    content = read_yaml(path)
    check(content, read_yaml(shipped(SCHEMA)), path.name)
    claims = [Claim(reading=entry.pop("as", ""), **entry) for entry in content["claims"]]
    known = set()
    for claim in claims:
        if claim.id in known:
            raise StatedError(f"{path.name}: the id '{claim.id}' comes twice")
        known.add(claim.id)
        if calls(claim.tree) & set(FUNCTIONS) and not claim.needs:
            raise StatedError(f"{path.name}: claim {claim.id}: 'needs' must say what would measure it")
    return claims


def of_papers(published: pd.DataFrame) -> list[Claim]:
    """One claim for each published MSE: that training anew reaches it, within 3 %."""
    return [
        Claim(
            id=f"paper-{row.dataset}-{row.label}-{row.lookback}-{row.horizon}",
            section=PAPERS,
            kind="accuracy",
            says=f"{row.label} on {row.dataset}, L={row.lookback}, H={row.horizon}: MSE {row.mse:.3f}",
            test=f'mse("{row.model}", "{row.dataset}", {row.horizon}{_at(row)}) <= {REACHED} * {row.mse:.3f}',
            needs=f"three seeds of {row.model} at this length, trained to the end with the official settings",
            because=row.source + _anew(row),
        )
        for row in published.itertuples()
    ]


def _at(row) -> str:
    """The lookback, but for the repeated last value, which is the same at each."""
    return "" if row.model == "repeat" else f", {row.lookback}"


def _anew(row) -> str:
    """What others got who scored every test window."""
    return "" if pd.isna(row.rerun_mse) else f"; trained anew by others {row.rerun_mse:.3f}"


def judge(claim: Claim, sources: Sources) -> Finding:
    """The verdict of the first place that decides the claim; else of the one that measured most of it."""
    findings = []
    for place, scores in _origins(claim, sources):
        finding = _judged(claim, place, scores, sources.published)
        if finding.verdict != OPEN:
            return finding
        findings.append(finding)
    return max(findings, key=lambda finding: len(finding.terms))


def judge_all(claims: Sequence[Claim], sources: Sources) -> list[Finding]:
    """A finding for each claim."""
    return [judge(claim, sources) for claim in claims]


def _origins(claim: Claim, sources: Sources) -> Iterator[tuple[Place | None, Scores | None]]:
    used = calls(claim.tree)
    places = sources.places if used & OF_SCALING else ()
    scores = sources.scores if used & OF_SCORES else ()
    return product(places or (None,), scores or (None,))


def _judged(claim: Claim, place: Place | None, scores: Scores | None, published: pd.DataFrame) -> Finding:
    readings = Readings(place, scores, published)
    result = evaluate(claim.tree, readings.functions(), f"claim {claim.id}")
    verdict = {True: HOLDS, False: FAILS, None: OPEN}[result.truth.known]
    return Finding(claim, verdict, result.truth.why, result.terms, tuple(readings.reads), place, scores)
