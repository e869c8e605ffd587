"""The pages in a real browser: no error, no request, no sideways scrolling, readable without script."""

from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs Chromium at {CHROMIUM}"),
]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def pages(report) -> list[str]:
    return [path.as_uri() for path in sorted(report.iterdir())]


@contextmanager
def opened(browser, uri, width=1280, **options):
    context = browser.new_context(viewport={"width": width, "height": 800}, **options)
    page = context.new_page()
    page.problems, page.requested = [], []
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("dialog", lambda dialog: page.problems.append(dialog.message))
    page.on("request", lambda request: page.requested.append(request.url))
    page.goto(uri)
    yield page
    context.close()


def first(pages, name="index"):
    return next(uri for uri in pages if f"/{name}" in uri)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_no_error_no_request_no_sideways_scrolling(browser, pages, width, scheme):
    for uri in pages:
        with opened(browser, uri, width, color_scheme=scheme) as page:
            assert page.problems == []
            assert all(url.startswith(("file://", "data:")) for url in page.requested)
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_click_sorts_and_a_second_one_turns_it_round(browser, pages):
    with opened(browser, first(pages, "accuracy")) as page:
        board = page.locator("#board-ETTh1-24 table")
        head = board.locator("thead th").first
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == "ascending"
        names = board.locator("tbody th").all_inner_texts()
        assert names == sorted(names, key=str.lower)
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == "descending"
        turned = board.locator("tbody th").all_inner_texts()
        assert turned == sorted(names, key=str.lower, reverse=True)


def test_rows_without_a_score_stay_last(browser, pages):
    with opened(browser, first(pages, "accuracy")) as page:
        board = page.locator("#board-ETTh1-96 table")
        button = board.get_by_role("button", name="MSE")
        for _ in range(2):
            button.click()
            assert "oom" in board.locator("tbody tr").last.inner_text()


def test_readable_without_script(browser, pages):
    with opened(browser, first(pages, "accuracy"), java_script_enabled=False) as page:
        assert page.locator("table").count() >= 6
        assert page.locator("table button").count() == 0
        assert page.locator("#board-ETTh1-24 tbody tr").first.is_visible()
        assert page.locator("figure svg").first.is_visible()


def test_the_first_tab_stop_skips_to_the_content(browser, pages):
    with opened(browser, first(pages)) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"


CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [x, y, z] = [r, g, b].map((c) => linear(c / 255));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const paper = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const node of document.querySelectorAll("main *, header *, footer *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || ["STYLE", "SCRIPT", "title", "desc"].includes(node.tagName)) continue;
    const style = getComputedStyle(node);
    const ink = node instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(rgb(ink)), light(paper(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push(node.tagName + " " + node.textContent.slice(0, 30));
  }
  return low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(browser, pages, scheme):
    for uri in pages:
        with opened(browser, uri, color_scheme=scheme) as page:
            assert page.evaluate(CONTRAST) == []


def test_claims_are_filtered_and_all_are_there_without_script(browser, pages):
    with opened(browser, first(pages, "claims")) as page:
        rows = page.locator("table.filterable tbody tr")
        total = rows.count()
        box = page.locator(".filters")
        box.get_by_label("Section").select_option("11.1")
        shown = [row for row in rows.all() if row.is_visible()]
        assert {row.locator("th").inner_text() for row in shown} == {"11.1"}
        assert 0 < len(shown) < total
        assert f"{len(shown)} of {total} shown" in box.inner_text()
        box.get_by_label("Section").select_option("all")
        assert f"{total} of {total} shown" in box.inner_text()
    with opened(browser, first(pages, "claims"), java_script_enabled=False) as page:
        assert page.locator("table.filterable tbody tr").count() == total
        assert page.locator(".filters").count() == 0
