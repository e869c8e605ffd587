"""The decision page draws the review's tree with its verdicts, the learned tree, and the reader's own way."""

import re

import conftest
import pytest
from conftest import HOSTILE, SKILL, write_tables
from test_browser import browser, opened, pytestmark  # noqa: F401
from test_render import Page

from formerbench.analysis.decision_tree import load, routes
from formerbench.analysis.tables import read, read_scores
from formerbench.paths import write_text
from formerbench.report.context import Content, shared
from formerbench.report.decision import decision
from formerbench.report.render import _environment

LOOKBACKS = (96, 192, 336, 720, 1440)
EVERYONE = SKILL | {"tft": 0.5, "autoformer": 0.36, "fedformer": 0.45}


def rendered(folder, monkeypatch, skill, lookbacks=LOOKBACKS, stopped="patience", evidence=(), **study):
    """Decision page of a made-up study whose models all were trained to the end."""
    monkeypatch.setattr(conftest, "SKILL", skill)
    monkeypatch.setattr(conftest, "LOOKBACKS", lookbacks)
    tables = write_tables(folder / "tables", models=tuple(skill), **study)
    path = tables / "accuracy.csv"
    path.write_text(path.read_text().replace(",budget,", f",{stopped},"))
    return written(tables, folder / "report" / "decision.html", evidence)


def written(tables, path, evidence=()):
    """The page alone: the figures of the others take seconds."""
    found = tuple((folder.name, read_scores(folder)) for folder in evidence)
    content = Content(read(tables), (), found)
    variables = shared(content) | decision(content)
    write_text(path, _environment().get_template("decision.html.j2").render(variables, here=path.name))
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield rendered(tmp_path_factory.mktemp("decision"), patch, EVERYONE)


@pytest.fixture(scope="module")
def page(path):
    return Page(path)


def words_of(page):
    return " ".join(page.text.split())


def table_of(page, head):
    (found,) = [table["rows"] for table in page.tables if head in [cell["text"] for cell in table["rows"][0]]]
    return found[1:]


def verdicts_of(page):
    return [row[2]["text"].split(" ", 1)[1] for row in table_of(page, "Most often best")]


def test_the_page_is_written_and_in_the_header_of_all_pages(report):
    for file in report.iterdir():
        assert '<a href="decision.html"' in file.read_text(encoding="utf-8")
    assert "<title>Decision ·" in (report / "decision.html").read_text(encoding="utf-8")


def test_every_leaf_is_drawn_with_the_reviews_words_and_a_verdict(page):
    words = words_of(page)
    for leaf, route in routes(load()):
        assert f"Review: “{leaf.because}”" in words
        assert f'data-leaf="{leaf.id}"' in page.html
        for node, branch in route:
            assert node.ask in words
            assert branch.answer in words
    assert len(re.findall(r'data-leaf="[^"]*middle-general', page.html)) == 4  # root, length, season, leaf


def test_verdicts_follow_the_tables(page):
    assert verdicts_of(page) == ["fails", "fails", "holds", "fails", "fails", "no data", "fails"]
    assert re.search(r"● holds 1 ✕ fails 5 ○ no data 1", words_of(page))
    assert "Autoformer is best or level with the best in 8 of 8 settings" in words_of(page)


def test_other_scores_give_other_verdicts(tmp_path, monkeypatch):
    swapped = EVERYONE | {"patchtst": EVERYONE["autoformer"], "autoformer": EVERYONE["patchtst"]}
    page = Page(rendered(tmp_path, monkeypatch, swapped))
    assert verdicts_of(page) == ["fails", "holds", "fails", "fails", "fails", "no data", "holds"]


def test_the_margin_is_that_of_the_tables(page):
    (row,) = [row for row in table_of(page, "Most often best") if row[0]["text"] == "TFT"]
    assert float(row[6]["data-v"]) == pytest.approx(100 * (0.5 / 0.36 - 1), abs=2)
    assert (row[3]["text"], row[4]["text"]) == ("8", "240")
    settings = [row for row in table_of(page, "Level with it") if row[0]["text"] == "TFT"]
    assert len(settings) == 8
    assert {row[5]["text"].split()[0] for row in settings} == {"Autoformer"}
    assert {row[9]["text"] for row in settings} == {"behind"}


def test_nothing_is_decided_by_a_budget_by_one_seed_or_without_a_rival(tmp_path, monkeypatch):
    few = {name: value for name, value in EVERYONE.items() if name != "tft"}
    for name, changes, why in (
        ("cut", {"stopped": "budget"}, "a budget ended the training in 8 settings"),
        ("seed", {"seeds": (1,)}, "one seed, so that the noise is not known, in 8 settings"),
        ("few", {"skill": few}, "TFT was not run in 8 settings"),
    ):
        page = Page(rendered(tmp_path / name, monkeypatch, **({"skill": EVERYONE} | changes)))
        assert "holds" not in verdicts_of(page)
        assert why in words_of(page)


def test_the_learned_tree_is_drawn_with_what_it_is_worth(tmp_path, monkeypatch):
    cell = conftest._cell

    def by_length(dataset, model, lookback, *rest):
        row = cell(dataset, model, lookback, *rest)
        better = model == "tft" and lookback > 500 and row["status"] == "ok"
        return row | ({"mse": row["mse"] / 5} if better else {})

    monkeypatch.setattr(conftest, "_cell", by_length)
    words = words_of(Page(rendered(tmp_path, monkeypatch, EVERYONE)))
    assert "Learned from 20 settings; 1 question deep, at most 3." in words
    assert "a tree learned from all the others: 100 % right" in words
    assert "mostly Autoformer: 60 %" in words
    bound = int(re.search(r"Lookback\? L < (\d+)", words)[1])
    assert 336 < bound <= 720
    assert re.search(r"Autoformer ?Best in 12 of 12 settings L ≥ \d+ TFT ?Best in 8 of 8 settings", words)


def test_without_enough_settings_there_is_no_learned_tree(tmp_path, monkeypatch, page):
    assert "There is none: one winner only, Autoformer in all 20 settings." in words_of(page)
    small = Page(rendered(tmp_path, monkeypatch, EVERYONE, lookbacks=(96, 336)))
    assert "There is none: not enough cells: 8 settings, wanted 12." in words_of(small)


def test_evidence_counts_and_is_named(tmp_path, monkeypatch):
    source = rendered(tmp_path / "papers", monkeypatch, EVERYONE, study="papers").parent.parent / "tables"
    page = Page(rendered(tmp_path / "own", monkeypatch, {}, (), evidence=[source], datasets={}, horizons=()))
    assert verdicts_of(page)[2] == "holds"
    assert {row[11]["text"] for row in table_of(page, "Level with it")} == {"evidence tables, study first"}


def test_a_study_without_cells_has_the_page(tmp_path, monkeypatch):
    page = Page(rendered(tmp_path, monkeypatch, {}, (), datasets={}, horizons=()))
    assert set(verdicts_of(page)) == {"no data"}
    assert words_of(page).count("no cell has a score in this region") == 7


def test_hostile_names_stay_text(tmp_path, monkeypatch):
    skill = EVERYONE | {HOSTILE: 0.2}
    page = Page(rendered(tmp_path, monkeypatch, skill, datasets={HOSTILE: ["OT"]}))
    assert HOSTILE not in page.html
    assert f"{HOSTILE} wins 8 of 8" not in page.html
    assert "<script>alert(1)</script> wins 4 of 4" in words_of(page)


def test_the_same_tables_give_the_same_bytes(path, tmp_path):
    again = written(path.parent.parent / "tables", tmp_path / "decision.html")
    assert again.read_bytes() == path.read_bytes()


def test_the_way_of_the_question_is_marked_and_follows_the_form(browser, path):  # noqa: F811
    with opened(browser, path.as_uri()) as tab:
        leaf = tab.locator("#review-tree li[aria-current]").last
        assert leaf.get_attribute("data-leaf") == "long-few"  # of the form's first question
        question = tab.locator("#question")
        for asked, wanted in (
            ({"lookback": "336", "seasonality": "0.7"}, "middle-seasonal"),
            ({"seasonality": "0.4"}, "middle-periodic"),
            ({"seasonality": ""}, "middle-general"),
            ({"lookback": "1000", "n_variates": "11"}, "long-many"),
            ({"lookback": "199"}, "short-accurate"),
        ):
            for name, value in asked.items():
                question.locator(f"[name={name}]").fill(value)
            assert leaf.get_attribute("data-leaf") == wanted
        question.locator("[name=interpretable]").check()
        assert leaf.get_attribute("data-leaf") == "short-interpretable"
        assert tab.locator("#review-tree li[aria-current]").count() == 3
        assert tab.problems == []


@pytest.mark.parametrize("width", [1280, 375])
def test_the_tree_fits_the_page(browser, path, width):  # noqa: F811
    with opened(browser, path.as_uri(), width, java_script_enabled=False) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        boxes = [box.bounding_box() for box in tab.locator("#review-tree .box").all()]
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
        columns = {round(box["x"]) for box in boxes}
        assert len(boxes) == 1 + 3 + 1 + len(list(routes(load())))
        assert max(columns) > 600 if width == 1280 else max(columns) < 120
