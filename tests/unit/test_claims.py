"""The claims audit: its language is closed, noise decides nothing, and every verdict hangs on its rows."""

import ast
import math
from collections import Counter
from dataclasses import replace
from itertools import chain, product

import numpy as np
import pandas as pd
import pytest

from formerbench.analysis.claims import (
    CONTRADICTION,
    FAILS,
    HOLDS,
    OPEN,
    REACHED,
    Claim,
    judge,
    judge_all,
    load,
    of_papers,
)
from formerbench.analysis.expressions import Choice, NotMeasured, Quantity, Truth, calls, evaluate, parse
from formerbench.analysis.measured import measured
from formerbench.analysis.places import Scores, Sources, places, published, scores
from formerbench.analysis.readings import FUNCTIONS, Readings
from formerbench.analysis.tables import read_evidence, read_scores
from formerbench.errors import StatedError

from ..project import REPOSITORY
from .test_scaling_analysis import table

REFERENCE = REPOSITORY / "results/reference"
SECTIONS = {
    *("2.2.2", "2.7", "3.2.2", "3.7", "4.2.2", "4.7", "9.1", "9.1 winners", "10.1", "10.2", "11.1", "12.1"),
    *("12.2", "B", "C", "D"),
}
NOTHING = Sources((), (), published())


# The list of claims


def test_the_list_covers_the_review_and_no_section_outweighs_the_others():
    claims = load()
    by_section = Counter(claim.section for claim in claims)
    assert len(claims) >= 80
    assert all(by_section[section] >= 3 for section in SECTIONS)
    assert max(by_section.values()) <= 0.3 * len(claims)
    assert {claim.kind for claim in claims} == {
        *("time", "memory", "growth", "accuracy", "feasibility", "winner", "switch", CONTRADICTION)
    }


def test_every_claim_is_a_short_quote_with_something_to_check():
    for claim in load():
        assert len(claim.says.split()) <= 20, claim.id
        assert claim.because if claim.kind == CONTRADICTION else claim.needs, claim.id
        assert calls(claim.tree) <= {*FUNCTIONS, "log", "min", "max", "near"}


def test_without_tables_only_arithmetic_and_published_scores_decide():
    for finding in judge_all(load(), NOTHING):
        used = calls(finding.claim.tree) & set(FUNCTIONS)
        if used <= {"published", "published_best"}:
            assert finding.verdict in (HOLDS, FAILS), finding.claim.id
        else:
            assert (finding.verdict, bool(finding.why)) == (OPEN, True), finding.claim.id


def test_the_review_contradicts_itself_by_its_own_numbers():
    found = [finding for finding in judge_all(load(), NOTHING) if finding.claim.kind == CONTRADICTION]
    assert len(found) >= 20
    assert {finding.verdict for finding in found} == {FAILS}
    assert not any(finding.reads for finding in found)
    assert not any(calls(finding.claim.tree) & set(FUNCTIONS) for finding in found)


@pytest.mark.parametrize(
    "claim", [one for one in load() if one.kind == CONTRADICTION], ids=lambda one: one.id
)
def test_another_number_would_settle_a_contradiction(claim):
    assert any(evaluate(tree, {}, "here").truth.known for tree in otherwise(claim.tree))


def otherwise(tree):
    """The expression with one of its constants replaced."""
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    for node in constants:
        kept = node.value
        others = [one.value for one in constants if isinstance(one.value, str)]
        for value in others if isinstance(kept, str) else [kept * 1.3**k for k in range(-40, 41)]:
            node.value = value
            yield tree
        node.value = kept


# The language


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "(1).real < 2",
        "time('tft', 100).value > 1",
        "[x for x in (1, 2)] == 1",
        "(lambda: 1)() < 2",
        "open('x') == 1",
        "tft < 1",
        "time < 1",
        "f'{1}' == 'a'",
        "True",
        "None == 1",
        "b'a' == 'a'",
        "1j < 2",
        "(x := 1) < 2",
        "time(*(1, 2)) < 1",
        "time(subject='tft') < 1",
        "1 < 2; 3",
        "time('tft', 100)[0] < 1",
        "1 if 2 else 3",
        "",
        "1 <",
        "1 < " + "1 + " * 300 + "1",
        "not" * 1000,
        "~1 < 2",
        "1 // 2 < 1",
        "1 is 2",
    ],
)
def test_the_language_lets_nothing_else_through(text):
    with pytest.raises(StatedError, match="claim x"):
        parse(text, FUNCTIONS, "claim x")


@pytest.mark.parametrize(
    "text",
    [
        *("1 + 2", "'a' < 'b'", "1 / (1 - 1) < 2", "9.0 ** 9 ** 9 < 1", "-1 ** 0.5 < (-1) ** 0.5"),
        *("log('a') < 1", "(1, 2) < 3", "1 in ('a', 'b')", "'a' in 'ab'", "log(1, 2) < 1", "near(1, 2)"),
        "'a' + 'b' == 'ab'",
    ],
)
def test_values_of_the_wrong_kind_are_a_stated_error(text):
    with pytest.raises(StatedError, match="claim x"):
        evaluate(parse(text, FUNCTIONS, "claim x"), {}, "claim x")


def test_a_mistyped_function_or_model_is_named_with_the_nearest():
    with pytest.raises(StatedError, match="did you mean 'growth'"):
        parse("grwth('tft') < 1", FUNCTIONS, "claim x")
    with pytest.raises(StatedError, match=r"claim x.*did you mean 'informer'"):
        judge(claim("time('infomer', 100) < 1"), NOTHING)
    with pytest.raises(StatedError, match="unknown phase"):
        judge(claim("time('informer', 100, 'training') < 1"), NOTHING)


def claim(test, **fields):
    return Claim(
        **{"id": "x", "section": "1", "kind": "time", "says": "1", "needs": "a run"} | fields, test=test
    )


def known(text, **values):
    """What an expression of ``f('name')`` comes to, whose values are given; None is not measured."""

    def f(name):
        if values[name] is None:
            raise NotMeasured(f"no {name}")
        return values[name]

    return evaluate(parse(text, {"f"}, "claim x"), {"f": f}, "claim x").truth


FEW, SOME, MANY = Quantity(1, 0.9, 1.2), Quantity(1.3, 1.1, 1.5), Quantity(2, 1.9, 2.1)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("f('few') < f('many')", True),
        ("f('many') < f('few')", False),
        ("f('few') < f('some')", None),
        ("f('few') < f('some') and f('many') < f('few')", False),
        ("f('few') < f('some') or f('few') < f('many')", True),
        ("f('few') < f('some') or f('many') < f('few')", None),
        ("not f('few') < f('some')", None),
        ("not f('few') >= f('many')", True),
        ("f('none') < 1 and f('many') < f('few')", False),
        ("f('none') < 1 or f('few') < f('many')", True),
        ("f('none') < 1 and f('few') < f('many')", None),
        ("1 < f('some') < 1.4", None),
        ("1 < f('some') < 1.6", True),
        ("f('many') / f('few') > 1.5", True),
        ("f('many') - f('few') < 0.8", None),
        ("near(f('many'), 2, 1.25)", True),
        ("near(f('many'), 4, 1.25)", False),
        ("near(f('some'), 1, 1.25)", None),
        ("min(f('few'), f('many')) < f('many')", True),
        ("max(f('few'), f('many')) > 1.8", True),
        ("log(f('many')) > 0.6", True),
        ("-f('few') < 0", True),
        ("f('few') ** 2 < 1.5", True),
        ("f('one') == 'a'", True),
        ("f('one') != 'a'", False),
        ("f('two') == 'a'", None),
        ("f('two') == 'c'", False),
        ("f('two') in ('a', 'b')", True),
        ("f('two') in ('a', 'c')", None),
        ("f('two') not in ('c', 'd')", True),
    ],
)
def test_what_noise_leaves_open_stays_open(text, wanted):
    choices = {"one": Choice("a", frozenset("a")), "two": Choice("a", frozenset("ab"))}
    assert known(text, few=FEW, some=SOME, many=MANY, none=None, **choices).known is wanted


def test_what_is_open_says_why():
    assert known("f('few') < f('some')", few=FEW, some=SOME).why == "within noise"
    assert known("f('none') < 1", none=None).why == "no none"
    lonely = Quantity(1, 0, math.inf, "one seed")
    assert known("2 * f('a') < 3", a=lonely).why == "one seed"


# The tables


@pytest.fixture(scope="module")
def made_up():
    """Two models on two machines; on the second everything is turned round."""
    laws = {"tft": lambda x: 2 + 1e-3 * x**2, "informer": lambda x: 5 + 0.1 * x}
    turned = {"tft": laws["informer"], "informer": laws["tft"]}
    lengths = np.array([100, 200, 500, 1000, 2000, 5000])
    first = table(laws, lengths, phase="train_step", study="a", cpu="First")
    second = table(turned, lengths, phase="train_step", study="b", cpu="Second")
    frame = pd.concat([second.assign(evidence="elsewhere"), first.assign(evidence="")], ignore_index=True)
    return Sources(places(frame), (), published())


def verdict(test, sources):
    return judge(claim(test), sources).verdict


def test_functions_read_the_tables(made_up):
    assert verdict("near(memory('tft', 1000), 1002, 1.001)", made_up) == HOLDS
    assert verdict("time('tft', 1000) > 5 * time('informer', 1000)", made_up) == HOLDS
    assert verdict("growth('tft', 'memory', 100, 200) > 4", made_up) == FAILS
    assert verdict("exponent('tft', 'time') > 1.8", made_up) == HOLDS
    assert verdict("exponent('informer', 'time') > 1.8", made_up) == FAILS
    assert verdict("runs('tft', 5000)", made_up) == HOLDS
    assert verdict("time('tft', 720) < 1", made_up) == OPEN
    assert verdict("time('tft', 1000, 'inference') < 1", made_up) == OPEN


def test_the_first_machine_decides_and_the_two_never_meet(made_up):
    found = judge(claim("time('tft', 5000) > time('informer', 5000)"), made_up)
    assert (found.verdict, found.place.study, found.place.machine) == (HOLDS, "a", "First, 2 threads")
    assert {found.place.rows.at[index, "cpu"] for _, index in found.reads} == {"First"}
    assert [place.evidence for place in made_up.places] == ["", "elsewhere"]


def test_evidence_decides_what_the_study_does_not():
    laws = {"tft": lambda x: 2 + 1e-3 * x**2}
    own = table(laws, np.array([100, 200]), phase="train_step", study="a").assign(evidence="")
    more = table(laws, np.array([100, 200, 500]), phase="train_step", study="b").assign(evidence="elsewhere")
    sources = Sources(places(pd.concat([own, more], ignore_index=True)), (), published())
    assert judge(claim("growth('tft', 'memory', 100, 200) < 4"), sources).place.study == "a"
    assert judge(claim("growth('tft', 'memory', 100, 500) < 40"), sources).place.study == "b"


def test_who_runs_out_of_memory_is_not_the_fastest_and_a_missing_one_leaves_it_open():
    laws = {
        name: lambda x, k=k: k * x for k, name in enumerate(("tft", "informer", "autoformer", "fedformer"), 2)
    }
    laws |= {"patchtst": lambda x: x, "itransformer": lambda x: 1.001 * x}
    rows = table(laws, np.array([1000]), phase="train_step", spread=0.02).assign(evidence="")
    (place,) = places(rows)
    sources = Sources((place,), (), published())
    assert verdict("fastest(1000) in ('patchtst', 'itransformer')", sources) == HOLDS
    assert verdict("fastest(1000) == 'patchtst'", sources) == OPEN
    assert verdict("leanest(1000) == 'patchtst'", sources) == HOLDS
    lost = place.rows.assign(status=np.where(place.rows["subject"] == "patchtst", "oom", "ok"))
    sources = replace(sources, places=(replace(place, rows=lost),))
    assert verdict("leanest(1000) == 'itransformer'", sources) == HOLDS
    assert verdict("runs('patchtst', 1000)", sources) == FAILS
    few = replace(place, rows=place.rows[place.rows["subject"] != "tft"])
    assert verdict("fastest(1000) == 'informer'", replace(sources, places=(few,))) == OPEN


def test_processes_that_differ_widen_the_interval_of_a_time():
    lengths = np.array([100, 200, 500, 1000])
    once = table({"tft": lambda x: x}, lengths, spread=0.001, phase="train_step")
    again = table(
        {"tft": lambda x: 1.2 * x}, lengths, spread=0.001, phase="train_step", experiment="switches"
    )
    (place,) = places(pd.concat([once, again], ignore_index=True).assign(evidence=""))
    assert (place.pairs, place.spread) == (4, pytest.approx(math.log(1.2), abs=0.01))
    found = Readings(place, None, published()).time("tft", 1000)
    assert found.low < 1000 / 1.09
    assert found.high > 1000 * 1.09


def cells(**columns):
    base = {"study": "s", "dataset": "ETTh1", "model": "tft", "lookback": 96, "horizon": 96, "status": "ok"}
    base |= {"precision": "fp32", "stopped_by": "patience", "n_parameters": 1000}
    return pd.DataFrame([{**base, "mse": mse} | columns for mse in (0.40, 0.41, 0.42)])


def test_scores_are_means_over_seeds_with_their_noise():
    def said(test, frame):
        found = judge(claim(test), Sources((), (Scores("", "s", frame),), published()))
        return found.verdict, found.why

    assert said("mse('tft', 'ETTh1', 96, 96) < 0.5", cells())[0] == HOLDS
    assert said("mse('tft', 'ETTh1', 96, 96) < 0.42", cells()) == (OPEN, "within noise")
    one = cells().iloc[:1]
    assert said("mse('tft', 'ETTh1', 96, 96) < 0.5", one) == (OPEN, "one seed: no estimate of the noise")
    assert said("mse('tft', 'ETTh1', 96, 96) < 0.5", cells(n_parameters=0).iloc[:1])[0] == HOLDS
    assert "trained to its end" in said("mse('tft', 'ETTh1', 96, 96) < 0.5", cells(stopped_by="budget"))[1]
    assert said("mse('tft', 'ETTh1', 96, 336) < 0.5", cells())[0] == OPEN


def test_every_published_score_is_a_claim_with_its_source():
    rows = published()
    found = of_papers(rows)
    assert len(found) == len(rows) >= 200
    assert len({one.id for one in found}) == len(found)
    assert all(one.because and f"{REACHED} * " in one.test for one in found)
    assert {finding.verdict for finding in judge_all(found, NOTHING)} == {OPEN}
    reached = cells(model="itransformer", mse=0.387)
    judged = judge_all(found, replace(NOTHING, scores=(Scores("", "s", reached),)))
    (one,) = (finding for finding in judged if finding.verdict != OPEN)
    assert (one.verdict, one.claim.says) == (HOLDS, "iTransformer on ETTh1, L=96, H=96: MSE 0.386")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("section:", "sektion:", 1), "sektion"),
        (lambda text: text.replace("kind: growth", "kind: hope", 1), "hope"),
        (lambda text: text.replace("id: 2.2.2-time-500", "id: 2.2.2-time-200", 1), "comes twice"),
        (lambda text: text.replace("test: near(", "test: neer(", 1), "neer"),
    ],
)
def test_a_broken_list_is_a_stated_error(tmp_path, change, message):
    path = tmp_path / "claims.yaml"
    path.write_text(change((REPOSITORY / "config/claims.yaml").read_text()))
    with pytest.raises(StatedError, match=message):
        load(path)


# The committed evidence


@pytest.fixture(scope="module")
def reference():
    """The committed tables, and the findings on all claims that read any of their rows."""
    evidence = read_evidence(REFERENCE)
    if evidence is None:
        pytest.skip("results/reference has no scaling.csv")
    rows = measured(evidence.scaling, evidence.scaling_repeats).assign(evidence="reference")
    return Sources(places(rows), scores([("reference", read_scores(REFERENCE))]), published())


@pytest.fixture(scope="module")
def findings(reference):
    """On the review's claims, without its contradictions."""
    return [one for one in judge_all(load(), reference) if one.claim.kind != CONTRADICTION]


def test_most_claims_are_decided_by_the_committed_tables(findings):
    decided = [one for one in findings if one.verdict != OPEN]
    measured_here = [one for one in decided if {table for table, _ in one.reads} & {"scaling", "scores"}]
    assert len(measured_here) >= 0.6 * len(findings)
    assert {HOLDS, FAILS} == {one.verdict for one in measured_here}


def test_the_readme_gives_the_counts_of_the_committed_tables(findings):
    n = Counter(one.verdict for one in findings)
    noise = sum(one.why.startswith("within noise") for one in findings)
    words = f"{n[HOLDS]} of the review's {len(findings)} claims hold, {n[FAILS]} fail and {n[OPEN]} are open,"
    assert f"{words} {noise} of" in " ".join((REPOSITORY / "README.md").read_text().split())


@pytest.mark.slow
def test_otherwise_every_decided_verdict_would_be_the_other(reference):
    findings = [one for one in judge_all([*load(), *of_papers(published())], reference) if one.reads]
    decided = [one for one in findings if one.verdict != OPEN]
    assert decided
    stuck = [one.claim.id for one in decided if not any(flips(one, reference))]
    assert stuck == []


def flips(finding, sources):
    """For one change of the rows that were read after the other, whether the verdict turns round."""
    wanted = {HOLDS: FAILS, FAILS: HOLDS}[finding.verdict]
    read = Read(finding, sources)
    # A law is turned round as a whole only.
    tilted = read.tilted() if "exponent" in calls(finding.claim.tree) else ()
    for changed in chain(read.ended(), tilted, read.scaled()):
        yield judge(finding.claim, changed).verdict == wanted


class Read:
    """The rows that a claim was decided by, and the same rows changed."""

    COLUMNS = ("time_ms", "peak_tensor_mb")

    def __init__(self, finding, sources):
        self.sources, self.place, self.cells = sources, finding.place, finding.scores
        ids = {name: [i for table, i in finding.reads if table == name] for name in ("scaling", "scores")}
        self.rows = pd.DataFrame() if self.place is None else self.place.rows.loc[ids["scaling"]]
        self.scores = pd.DataFrame() if self.cells is None else self.cells.rows.loc[ids["scores"]]
        self.published = sources.published.loc[[i for table, i in finding.reads if table == "published"]]

    def scaled(self):
        """Each row alone, then all of a subject, by one factor after the other."""
        groups = [[("rows", i)] for i in self.rows.index] + [[("published", i)] for i in self.published.index]
        for name, column in (("rows", "subject"), ("scores", "model"), ("published", "model")):
            frame = getattr(self, name)
            if len(frame):
                groups += [[(name, i) for i in group.index] for _, group in frame.groupby(column)]
        factors = [1.25 ** (sign * k) for k in range(1, 28) for sign in (1, -1)]
        for group, factor in product(groups, factors):
            yield self.by(dict.fromkeys(group, factor))

    def tilted(self):
        """A power law of the length in place of each subject's costs."""
        lengths = self.rows["lookback"].astype(float)
        for column, k in product(("time_ms", "peak_tensor_mb"), np.arange(0, 3, 0.15)):
            for _, group in self.rows.groupby("subject"):
                costs = lengths[group.index] ** k / group[column]
                yield self.by({("rows", i): factor for i, factor in costs.items()})

    def ended(self):
        """What ran ends without memory, and the other way round."""
        if len(self.rows):
            status = np.where(self.rows["status"] == "ok", "oom", "ok")
            yield self.sources_of(self.rows.assign(status=status), self.scores, self.published)

    def by(self, factors):
        frames = {}
        for name in ("rows", "scores", "published"):
            frame = getattr(self, name).copy()
            mine = pd.Series({i: factors.get((name, i), 1.0) for i in frame.index}, dtype=float)
            frames[name] = self.multiplied(frame, mine)
        return self.sources_of(*frames.values())

    def multiplied(self, frame, factors):
        """With exact times, since a table as noisy as ours can leave open what it should turn round."""
        columns = [name for name in (*self.COLUMNS, "mse") if name in frame]
        if columns:
            frame[columns] = frame[columns].mul(factors, axis=0)
        if "repeats_ms" in frame:
            frame["time_low_ms"] = frame["time_high_ms"] = frame["time_ms"]
            frame["repeats_ms"] = [[np.full(3, time)] for time in frame["time_ms"]]
            frame["reason"] = ""  # so that no search ended for lack of trying
            found = (frame["lookback"].astype(float) * factors).round().clip(1).astype("Int64")
            frame["lookback"] = frame["lookback"].where(frame["experiment"] != "longest", found)
        return frame

    def sources_of(self, rows, scores, published):
        return Sources(
            () if self.place is None else (replace(self.place, rows=rows, spread=0.0),),
            () if self.cells is None else (replace(self.cells, rows=scores),),
            published,
        )


def test_a_truth_of_the_tables_is_shown_as_one():
    laws = {"tft": lambda x: x}
    (place,) = places(table(laws, np.array([100]), phase="train_step").assign(evidence=""))
    found = judge(claim("not runs('tft', 100)"), Sources((place,), (), published()))
    assert (found.verdict, found.terms) == (FAILS, (("runs('tft', 100)", Truth(True)),))
