"""Names and words from outside that mean harm or are merely odd: nothing runs, nothing breaks the page."""

import csv
import json

import pytest
from conftest import HOSTILE, write_csv, write_tables
from scaling_tables import rows_of
from test_browser import browser, opened, pages, pytestmark  # noqa: F401

from formerbench.report.render import render
from formerbench.results import ACCURACY_COLUMNS

QUOTES = "\"'><img src=x onerror=alert(2)>$x_{ & `{{ 7 * 7 }}` </style></title><script>alert(3)</script>"
TURN = "\u202e"  # turns all that follows it
TURNED = TURN + "חום אוויר درجة الحرارة"
LONG = "temperature" * 27 + "end"
WORDS = (HOSTILE, QUOTES, TURNED, LONG)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report in which every text from outside is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    tables, models = folder / "tables", ("repeat", "dlinear", "patchtst", *WORDS)
    rows = [one | ({"reason": QUOTES + LONG} if one["status"] != "ok" else {}) for one in rows_of(models[1:])]
    rows += [rows[0] | {"subject": LONG, "status": "failed", "reason": TURNED, "reached": HOSTILE}]
    write_tables(
        tables,
        models,
        {"own": list(WORDS)},
        (8, 24),
        seeds=(1, 2),
        scaling=rows,
        title=QUOTES,
        notice=" ".join(WORDS),
    )
    _worsen(tables)
    return render(tables, folder / "report").parent


def _worsen(tables) -> None:
    """Reasons of cells, licences and defects of data."""
    with (tables / "accuracy.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    scores = ("mse", "mae", "rmse", "mae_raw", "smape", "mase")
    for cell, words in zip(
        [c for c in cells if c["model"] == "patchtst" and c["lookback"] == "96"], WORDS, strict=True
    ):
        cell |= {"status": "failed", "reason": words} | dict.fromkeys(scores, "")
    for cell in cells:
        cell |= {"host": QUOTES, "cpu": "CPU " + QUOTES}
    write_csv(tables / "accuracy.csv", ACCURACY_COLUMNS, cells)
    (facts,) = json.loads((tables / "datasets.json").read_text(encoding="utf-8"))
    facts |= {
        "licence": QUOTES,
        "attribution": LONG,
        "source_file": TURNED,
        "defects": list(WORDS),
        "generated": None,
    }
    (tables / "datasets.json").write_text(json.dumps([facts]), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 375])
def test_nothing_runs_and_no_page_scrolls_sideways(browser, pages, width):  # noqa: F811
    shown = ""
    for uri in pages:
        with opened(browser, uri, width) as page:
            assert page.problems == [], uri
            assert all(url.startswith(("file://", "data:")) for url in page.requested)
            assert page.locator("img, iframe, [onerror]").count() == 0
            assert page.locator("head title").count() == page.locator("h1").count() == 1
            assert page.evaluate("document.documentElement.scrollWidth") <= width, uri
            shown += page.locator("main").text_content()
    for words in WORDS:
        assert words.lstrip(TURN) in shown


def test_no_text_is_taken_for_a_template(report):
    assert all(
        "{{ 7 * 7 }}" in (report / name).read_text(encoding="utf-8")
        for name in ("index.html", "scaling.html")
    )


@pytest.mark.slow
def test_every_table_that_sorts_still_does(browser, pages):  # noqa: F811
    sorted_tables = 0
    for uri in pages:
        with opened(browser, uri, 375) as page:
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            for table in page.locator("table.sortable").all():
                heads = table.locator("thead th")
                before = table.locator("tbody tr").count()
                for head in (heads.first, heads.last):
                    head.get_by_role("button").press("Enter")
                    assert head.get_attribute("aria-sort") == "ascending"
                assert table.locator("tbody tr").count() == before
                heads.first.get_by_role("button").press("Enter")
                names = table.locator("tbody tr > :first-child").all_text_contents()
                wanted = page.evaluate(
                    "names => [...names].sort((a, b) =>"
                    " a.trim().localeCompare(b.trim(), 'en', { numeric: true }))",
                    names,
                )
                assert names == wanted
                sorted_tables += 1
    assert sorted_tables >= 6


def test_no_character_turns_what_follows_it(report):
    for path in report.iterdir():
        assert TURN not in path.read_text(encoding="utf-8"), path.name


def test_on_a_phone_a_long_name_leaves_room_for_the_numbers(browser, pages):  # noqa: F811
    """The first column stays in sight while a table scrolls, so it must not fill the box."""
    for uri in pages:
        with opened(browser, uri, 375) as page:
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            names = page.locator("tbody th:first-child, th:first-child .model")
            widths = names.evaluate_all("heads => heads.map((head) => head.getBoundingClientRect().width)")
            assert max(widths, default=0) < 280, uri
