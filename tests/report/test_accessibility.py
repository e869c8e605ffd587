"""axe-core on every page, at desktop and phone width, light and dark: no serious and no critical fault."""

from importlib.resources import files

import pytest
from test_browser import browser, opened, pages, pytestmark  # noqa: F401

WIDTHS, SCHEMES = (1280, 375), ("light", "dark")
RUN = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations
    .filter((fault) => ["serious", "critical"].includes(fault.impact))
    .flatMap((fault) => fault.nodes.map((node) => `${fault.id}: ${node.html.slice(0, 120)}`));
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    pytest.importorskip("axe_playwright_python")
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def faults(page, axe: str) -> list[str]:
    # Folded parts are read too.
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.evaluate(axe)
    return page.evaluate(RUN)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_serious_fault(browser, pages, axe, width, scheme):  # noqa: F811
    found = {}
    for uri in pages:
        with opened(browser, uri, width, color_scheme=scheme) as page:
            found[uri.rsplit("/", 1)[-1]] = faults(page, axe)
            assert all(url.startswith(("file://", "data:")) for url in page.requested)
    assert len(found) >= 6
    assert {name: some for name, some in found.items() if some} == {}


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (
            "document.querySelector('main').insertAdjacentHTML('beforeend', '<button></button>')",
            "button-name",
        ),
        (
            "document.querySelector('h1').style.color = '#ccc'",
            "color-contrast",
        ),
    ],
)
def test_a_fault_would_be_found(browser, pages, axe, broken, fault):  # noqa: F811
    with opened(browser, pages[0]) as page:
        page.evaluate(broken)
        assert any(one.startswith(fault) for one in faults(page, axe))
