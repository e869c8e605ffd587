"""The pages of the models: their places, what they cost, and what they show of their inside."""

import json
import re

import pandas as pd
import pytest
from conftest import write_tables
from test_render import Page

from formerbench.report.render import render


@pytest.fixture(scope="module")
def page(report):
    return Page(report / "model-informer.html")


def rows_of(page, caption_head):
    table = next(t for t in page.tables if t["rows"][0][0]["text"] == caption_head)
    return table["rows"][1:]


def test_a_model_has_a_page_and_the_first_page_leads_there(report):
    links = Page(report / "index.html").links
    assert {"model-informer.html", "model-patchtst.html", "model-mine.html"} <= set(links)
    assert not (report / "model-repeat.html").exists()


def test_places_are_those_of_the_leaderboards(tables, report):
    rows = pd.read_csv(tables / "accuracy.csv")
    rows = rows[(rows["status"] == "ok")].groupby(["dataset", "horizon", "model", "lookback"])["mse"].mean()
    best = rows.groupby(["dataset", "horizon", "model"]).min()
    for name in ("informer", "patchtst", "dlinear"):
        shown = rows_of(Page(report / f"model-{name}.html"), "Data set")
        assert len(shown) == 4
        for dataset, horizon, place, _, mse, _, behind, *_ in shown:
            group = best[dataset["text"], int(horizon["text"])].sort_values()
            assert int(place["data-v"]) == list(group.index).index(name) + 1
            assert float(mse["data-v"]) == pytest.approx(group[name], rel=1e-12)
            assert float(behind["data-v"]) == pytest.approx(100 * (group[name] / group.iloc[0] - 1), abs=1e-9)


def test_mechanism_and_theory_are_there_for_the_papers_models_alone(report, page):
    assert "Only the queries whose attention is farthest from uniform" in page.text
    assert "O(L log L)" in page.text
    assert "A model of this study's own." in Page(report / "model-mine.html").text


def test_the_inside_is_drawn_and_named(page):
    titles = re.findall(r"<svg viewBox.*?<title[^>]*>(.*?)</title>", page.html, flags=re.DOTALL)
    assert len(titles) == 2 * 3
    assert titles[0] == "Weights: most on value, 0.750"
    named = (
        "self (weight on itself 0.750; by chance 0.500); no causal (weight on nothing later 0.500; by chance"
    )
    assert named in titles[2]


def test_calibration_says_wanted_and_got(page):
    rows = [[cell["text"] for cell in row] for row in rows_of(page, "Quantile or interval")]
    assert rows[0] == ["truth below the 0.1 quantile", "10.0", "12.3"]
    assert rows[-1] == ["truth within the interval", "80.0", "67.7"]
    assert "cross in 1.25 % of forecasts" in page.text


def test_a_cell_without_weights_says_why(report):
    text = Page(report / "model-mine.html").text
    assert "Nothing to show: it ended as failed <script>" in text
    assert "<script>alert" not in Page(report / "model-mine.html").html


def test_another_inside_is_another_page(tmp_path):
    tables = write_tables(tmp_path / "tables", ("informer",), {"only": ["a", "b"]}, (24,), (1,))
    before = render(tables, tmp_path / "before").with_name("model-informer.html").read_bytes()
    inside = json.loads((tables / "inside.json").read_text())
    inside[0]["views"][2]["values"][0] = [0.2, 0.8]
    (tables / "inside.json").write_text(json.dumps(inside))
    assert render(tables, tmp_path / "after").with_name("model-informer.html").read_bytes() != before
