"""The form in the browser answers as Python does, whatever the tables say."""

import json
import sys
from pathlib import Path

import pytest
from test_browser import browser, opened  # noqa: F401

from formerbench.analysis.knowledge import COSTS
from formerbench.analysis.recommendation import Query, answer, cost
from formerbench.report.form import span
from formerbench.report.text import three_digits

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from test_recommendation import random_knowledge, random_query

pytestmark = pytest.mark.browser
QUERIES = 500


@pytest.fixture(scope="module")
def page(browser, report):  # noqa: F811
    with opened(browser, (report / "decision.html").as_uri()) as page:
        yield page


def test_the_browser_answers_as_python_does(page):
    queries = [random_query(i) for i in range(QUERIES)]
    own = json.loads(page.locator("#knowledge").text_content())["knowledge"]
    answers = set()
    for tables in (own, random_knowledge(1), random_knowledge(2), random_knowledge(3)):
        plain = [vars(query) for query in queries]
        theirs = page.evaluate(
            "([known, queries]) => queries.map((q) => recommend(known, q))", [tables, plain]
        )
        for query, found in zip(queries, theirs, strict=True):
            expected = answer(tables, query)
            assert [found[key] for key in ("best", "second", "tied")] == [
                expected[key] for key in ("best", "second", "tied")
            ]
            answers.add(found["best"])
            for one, wanted in zip(found["candidates"], expected["candidates"], strict=True):
                assert one["model"] == wanted["model"]
                assert one["cells"] == wanted["cells"]
                assert [r["reason"] for r in one["against"]] == [r["reason"] for r in wanted["against"]]
                numbers, expected_numbers = (
                    [side[name] for name in ("error", "low", "high", "distance")]
                    + [(side[name] or {}).get(end) for name in COSTS for end in ("value", "low", "high")]
                    for side in (one, wanted)
                )
                for came, number in zip(numbers, expected_numbers, strict=True):
                    assert came == (number if number is None else pytest.approx(number, rel=1e-9))
    assert len(answers) >= 4


def test_the_form_shows_what_is_asked(page):
    known = json.loads(page.locator("#knowledge").text_content())["knowledge"]
    before = page.locator("#candidates tbody").inner_text()
    page.locator("[name=lookback]").fill("96")
    page.locator("[name=lookback]").fill(page.locator("[name=lookback]").get_attribute("value"))
    assert page.locator("#candidates tbody").inner_text() == before  # the script words it as the page did
    page.locator("[name=memory_mb]").fill("0.001")
    out = page.locator("#candidates tr.out")
    assert out.count() == len(known["costs"]["cpu"])
    assert "MB are there" in out.first.inner_text()
    page.locator("[name=memory_mb]").fill("")
    page.locator("[name=interpretable]").check()
    assert "cannot be read" in page.locator("tr[data-model=patchtst]").inner_text()
    assert page.problems == []


def test_numbers_look_alike_in_both(page):
    values = [0, 0.00012345, 0.0456, 0.5, 1, 12.345, 99.96, 1234.6, 98765.4]
    assert page.evaluate("(values) => values.map(said)", values) == [three_digits(v) for v in values]


def test_costs_at_a_typed_length_are_those_of_python(browser, report):  # noqa: F811
    with opened(browser, (report / "scaling.html").as_uri()) as page:
        known = json.loads(page.locator("#curves").text_content())
        shown = page.locator("#at-length tbody")
        before = shown.inner_text()
        for lookback in (1, 96, 777, 1_000_000):
            page.locator("#length [name=lookback]").fill(str(lookback))
            asked = Query(lookback=lookback, horizon=1, n_variates=1)
            for model, curves in known["curves"]["cpu"].items():
                wanted = [span(cost(curves.get(name), asked)) for name in known["columns"]]
                assert shown.locator(f"tr[data-model={model}] td").all_inner_texts() == wanted
            beyond = page.locator("#beyond").inner_text()
            assert ("was measured" in beyond) == (lookback > known["last"]["cpu"])
        page.locator("#length button").click()
        page.wait_for_function(
            "before => document.querySelector('#at-length tbody').innerText === before", arg=before
        )
        assert page.problems == []
