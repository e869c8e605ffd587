"""The accuracy page: ranks with their test, published scores beside ours; accuracy against cost."""

import pandas as pd
import pytest
from conftest import HOSTILE, write_tables
from test_render import Page, leaderboards

from formerbench.report.render import render

MODELS = ("repeat", "seasonal_naive", "dlinear", "patchtst", "itransformer")


def words_of(page):
    return " ".join(page.text.split())


def table(page, head):
    """Rows of the first table whose head starts so, without the head."""
    return next(t["rows"][1:] for t in page.tables if t["rows"][0][0]["text"] == head)


def ranked(page):
    return next(t["rows"][1:] for t in page.tables if "Mean rank" in str(t["rows"][0]))


def changed(tables, change):
    rows = pd.read_csv(tables / "accuracy.csv", keep_default_na=False)
    change(rows)
    rows.to_csv(tables / "accuracy.csv", index=False)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """The accuracy page of six pairs of data set and horizon, and the tables behind it."""
    folder = tmp_path_factory.mktemp("many")
    tables = write_tables(
        folder / "tables", models=MODELS, datasets={name: ["OT"] for name in ("ETTh1", "b", "c")}
    )
    return Page(render(tables, folder / "report").parent / "accuracy.html"), tables


def test_ranks_are_those_of_the_table(many):
    page, tables = many
    cells = pd.read_csv(tables / "accuracy.csv")
    means = cells.groupby(["dataset", "horizon", "model", "lookback"])["mse"].mean()
    wanted = means.groupby(["dataset", "horizon", "model"]).min().unstack().rank(axis=1).mean().sort_values()
    rows = ranked(page)
    assert [float(row[1]["data-v"]) for row in rows] == pytest.approx(list(wanted))
    assert rows[0][0]["text"] == "PatchTST"
    assert [row[5]["text"] for row in rows] == ["the lowest", "no", "no", "yes", "yes"]


def test_the_drawing_has_every_model_and_the_distance(many):
    page, _ = many
    drawing = page.html.split('aria-labelledby="ranks-t')[1].split("</svg>")[0]
    for word in (
        "PatchTST",
        "iTransformer",
        "DLinear",
        "Seasonal naive",
        "Repeat",
        "critical difference 2.49",
    ):
        assert word in drawing
    words = words_of(page)
    assert (
        "Over 6 pairs of data set and horizon, PatchTST has the lowest mean rank, 1.00 among 5 models"
        in words
    )
    assert "The test cannot tell it from iTransformer (2.00) and DLinear (3.00)." in words
    assert "Horizons of one data set are not independent" in words


def test_too_few_settings_have_ranks_and_no_drawing(report):
    page = Page(report / "accuracy.html")
    assert "too few settings: 4, and a test needs 5" in words_of(page)
    assert {row[5]["text"] for row in ranked(page)} == {"not tested"}
    assert "critical difference" not in page.text
    assert "Without a score in every pair, so not ranked" not in words_of(page)


def test_a_model_without_a_score_in_a_pair_is_named(tmp_path):
    tables = write_tables(tmp_path / "tables", models=MODELS, datasets={"ETTh1": ["OT"]})

    def lose(rows):
        lost = (rows["model"] == "dlinear") & (rows["horizon"] == 24)
        rows.loc[lost, ["status", "reason", "mse"]] = ["oom", "9 GB wanted", ""]

    changed(tables, lose)
    page = Page(render(tables, tmp_path / "report").parent / "accuracy.html")
    assert "Without a score in every pair, so not ranked: DLinear." in words_of(page)


def test_published_scores_stand_beside_ours(tmp_path):
    tables = write_tables(tmp_path / "tables", models=MODELS, datasets={"ETTh1": ["OT"]})

    def end(rows):
        rows.loc[rows["model"] == "patchtst", "stopped_by"] = "patience"
        rows.loc[(rows["model"] == "itransformer"), "stopped_by"] = "epochs"
        rows.loc[(rows["model"] == "itransformer"), "mse"] = "0.5"

    changed(tables, end)
    page = Page(render(tables, tmp_path / "report").parent / "accuracy.html")
    rows = {(row[0]["text"], row[3]["text"]): row for row in table(page, "Published as")}
    cells = pd.read_csv(tables / "accuracy.csv")
    own = cells[(cells["model"] == "patchtst") & (cells["lookback"] == 336) & (cells["horizon"] == 96)]["mse"]
    good = rows[("PatchTST/42", "336")]
    assert float(good[4]["data-v"]) == pytest.approx(own.mean())
    assert [good[column]["text"] for column in (5, 6)] == ["0.375", "0.385"]
    assert float(good[7]["data-v"]) == pytest.approx(own.mean() / 0.375)
    assert "● reached" in good[8]["text"]
    assert "3 seeds, cpu, ended by patience" in good[8]["text"]
    assert good[11]["text"] == "Nie et al. 2023"
    assert "✕ not reached" in rows[("iTransformer", "96")][8]["text"]
    assert "○ not decided" in rows[("DLinear", "336")][8]["text"]
    assert "For 2 more the budget ended training early." in words_of(page)


def test_evidence_has_a_table_of_its_own(tmp_path):
    other = write_tables(tmp_path / "papers", models=("patchtst",), datasets={"ETTh1": ["OT"]}, seeds=(1, 2))
    text = (other / "accuracy.csv").read_text().replace("first,", "long,").replace("budget", "patience")
    (other / "accuracy.csv").write_text(text)
    tables = write_tables(tmp_path / "tables", models=("repeat",), datasets={"own": ["OT"]})
    page = Page(render(tables, tmp_path / "report", [other]).parent / "accuracy.html")
    assert "Ours from evidence papers, study long" in words_of(page)
    assert {row[0]["text"] for row in table(page, "Published as")} == {"PatchTST/42", "PatchTST"}
    assert all("2 seeds, cpu" in row[8]["text"] for row in table(page, "Published as"))


def test_all_leaderboards_are_here_and_the_first_page_links_to_them(report):
    page, index = Page(report / "accuracy.html"), Page(report / "index.html")
    assert len(leaderboards(page)) == 4
    assert leaderboards(index) == []
    boards = [one for one in page.ids if one.startswith("board-")]
    assert {f"accuracy.html#{board}" for board in boards} <= set(index.links)
    assert {"dataset-ETTh1.html", "dataset-own_power.html"} <= set(page.links)


def test_a_single_leaderboard_stays_on_the_first_page(tmp_path):
    tables = write_tables(tmp_path / "tables", datasets={"ETTh1": ["OT"]}, horizons=(24,))
    index = Page(render(tables, tmp_path / "report"))
    assert len(leaderboards(index)) == 1
    assert len(leaderboards(Page(tmp_path / "report" / "accuracy.html"))) == 1


def test_the_first_page_draws_accuracy_against_time_and_memory(many, report):
    _, tables = many
    html = (tables.parent / "report" / "index.html").read_text(encoding="utf-8")
    drawing = html.split('aria-labelledby="tradeoff-0-t')[1].split("</svg>")[0]
    for word in (
        "PatchTST",
        "iTransformer",
        "DLinear",
        "training step, ms a window",
        "peak memory of training, MB",
    ):
        assert word in drawing
    assert "PatchTST is the most accurate, MSE 0.5" in drawing
    assert "DLinear takes" in drawing
    assert "Example CPU 3000, 2 threads" in html.split("tradeoff-0-t")[0].rsplit("<figcaption>", 1)[1]


def test_models_worse_than_seasonal_naive_are_no_bargain(tmp_path):
    tables = write_tables(
        tmp_path / "tables", models=("seasonal_naive", "informer"), datasets={"ETTh1": ["OT"]}
    )
    assert "No model beats seasonal naive: Informer" in words_of(Page(render(tables, tmp_path / "report")))


def test_without_seasonal_naive_the_first_page_says_what_is_missing(tmp_path):
    tables = write_tables(tmp_path / "tables", models=("patchtst",), datasets={"ETTh1": ["OT"]})
    assert "the scores of seasonal naive to compare with" in Page(render(tables, tmp_path / "report")).text


def test_names_cannot_bring_in_markup(tmp_path):
    datasets = {f"{HOSTILE}{i}": ["OT"] for i in range(3)}
    tables = write_tables(tmp_path / "tables", models=(*MODELS, HOSTILE), datasets=datasets)
    render(tables, tmp_path / "report")
    for name in ("accuracy", "index"):
        page = Page(tmp_path / "report" / f"{name}.html")
        assert HOSTILE not in page.html
        assert page.tags.count("script") == 1
        assert len(page.ids) == len(set(page.ids))
