"""The pages say what the tables say, are the same on each run, and let nothing in from names or reasons."""

import csv
import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from conftest import DATASETS, HOSTILE, SKILL, write_tables

from formerbench.analysis.leaderboard import Score, entries, verdicts
from formerbench.analysis.tables import read
from formerbench.errors import StatedError
from formerbench.report.palette import styles
from formerbench.report.render import render
from formerbench.report.text import answers, listed, score_text, signed_percent, three_digits


class Page(HTMLParser):
    """Tables as rows of (tag, attributes, text), ids, links and tags of a page."""

    VOID = frozenset({"meta", "link", "br", "path", "use"})

    def __init__(self, path):
        super().__init__()
        self.tables, self.ids, self.links, self.references, self.tags = [], [], [], [], []
        self.text, self._cell = "", None
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        for name in ("href", "xlink:href", "src"):
            if name in attributes:
                (self.links if tag == "a" else self.references).append(attributes[name])
        if tag == "table":
            self.tables.append({"attributes": attributes, "rows": []})
        elif tag == "tr":
            self.tables[-1]["rows"].append([])
        elif tag in ("td", "th"):
            self._cell = {"tag": tag, **attributes, "text": ""}
            self.tables[-1]["rows"][-1].append(self._cell)

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = None

    def handle_data(self, data):
        self.text += data
        if self._cell is not None:
            self._cell["text"] += data


def leaderboards(page):
    tables = [table["rows"] for table in page.tables]
    return [rows for rows in tables if [cell["text"] for cell in rows[0][:3]] == ["Model", "Lookback", "MSE"]]


def test_writes_the_pages_and_returns_the_first(tables, tmp_path):
    index = render(tables, tmp_path / "report")
    assert index == tmp_path / "report" / "index.html"
    assert {path.name for path in index.parent.iterdir()} == {
        "index.html",
        "accuracy.html",
        "scaling.html",
        "decision.html",
        "claims.html",
        "provenance.html",
        "dataset-ETTh1.html",
        "dataset-own_power.html",
        *(f"model-{name}.html" for name in ("dlinear", "patchtst", "itransformer", "informer", "mine")),
    }


def test_leaderboard_shows_the_means_of_the_table(tables, report):
    rows = pd.read_csv(tables / "accuracy.csv")
    rows = rows[(rows["dataset"] == "ETTh1") & (rows["horizon"] == 24) & (rows["status"] == "ok")]
    means = sorted(rows.groupby(["model", "lookback"])["mse"].mean())
    shown = [float(row[2]["data-v"]) for row in leaderboards(Page(report / "accuracy.html"))[0][1:]]
    assert shown == pytest.approx(means, rel=1e-12)


def test_leaderboard_marks_the_best_row_of_every_column(report):
    for board in leaderboards(Page(report / "accuracy.html")):
        scored = [row for row in board[1:] if len(row) == 8]
        for column in (2, 3, 5, 6):
            values = [float(row[column]["data-v"]) for row in scored]
            best = [i for i, row in enumerate(scored) if "best" in row[column]["class"].split()]
            assert best == [values.index(min(values))]


def test_every_cell_without_a_score_is_a_row_with_its_reason(report):
    index, page = Page(report / "index.html"), Page(report / "accuracy.html")
    for words in ("wanted 9.1 GB more", "loss became NaN", "mine needs a lookback of at least 100"):
        assert words in index.text
    lost = [row for board in leaderboards(page) for row in board if len(row) == 3]
    assert {row[2]["text"].split()[0] for row in lost} == {"oom", "skipped"}
    assert "2 of 3" in page.text


def test_cost_is_the_median_over_seeds(tables, report):
    rows = pd.read_csv(tables / "accuracy.csv")
    wanted = rows[(rows["model"] == "patchtst") & (rows["lookback"] == 336) & (rows["horizon"] == 96)]
    wanted = wanted[wanted["dataset"] == "ETTh1"]
    (cost,) = [
        t["rows"] for t in Page(report / "index.html").tables if "Peak memory, MB" in str(t["rows"][0])
    ]
    (row,) = [r for r in cost if [c["text"] for c in r[:4]] == ["PatchTST", "ETTh1", "96", "336"]]
    for column, name in ((5, "train_time_s"), (9, "peak_memory_mb")):
        assert float(row[column]["data-v"]) == pytest.approx(wanted[name].median())
        assert row[column]["text"] == three_digits(wanted[name].median())


def test_variate_table_has_every_column_of_the_data(tables, report):
    page = Page(report / "dataset-own_power.html")
    (table,) = [
        t["rows"] for t in page.tables if "24 steps" in str(t) or t["rows"][0][0]["text"] == "Variate"
    ][:1]
    assert [row[0]["text"] for row in table[1:]] == DATASETS["own_power"]
    rows = pd.read_csv(tables / "variates.csv")
    own = rows[
        (rows["dataset"] == "own_power")
        & (rows["horizon"] == 24)
        & (rows["variate"] == DATASETS["own_power"][0])
    ]
    best = own[(own["model"] == "patchtst") & (own["lookback"] == 336)]["mse"].mean()
    assert float(table[1][1]["data-v"]) == pytest.approx(best)


def test_the_same_tables_give_the_same_bytes(tables, report, tmp_path):
    render(tables, tmp_path, [tables.parent / "evidence"])
    for path in report.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()


def test_names_and_reasons_cannot_bring_in_markup(tmp_path):
    datasets = {HOSTILE: [HOSTILE, "<b>load</b>"]}
    tables = write_tables(
        tmp_path / "tables", models=(*SKILL, HOSTILE), datasets=datasets, title=HOSTILE, notice=HOSTILE
    )
    accuracy = (tables / "accuracy.csv").read_text().replace("loss became NaN", HOSTILE)
    (tables / "accuracy.csv").write_text(accuracy)
    render(tables, tmp_path / "report")
    pages = sorted((tmp_path / "report").iterdir())
    assert len(pages) == 13  # six, that of the data set and those of six models
    for path in pages:
        page = Page(path)
        # The form of the decision page brings its data and its own two scripts.
        assert page.tags.count("script") == (4 if path.name == "decision.html" else 1)
        assert "b" not in page.tags or path.name == "accuracy.html"
        assert HOSTILE not in page.html
        assert "&lt;script&gt;alert(1)" in page.html


def test_nothing_is_asked_of_the_network_and_every_link_leads_somewhere(report):
    for path in report.iterdir():
        page = Page(path)
        papers = re.compile(r'<a href="https://arxiv\.org/abs/[\d.]+">')  # followed only if clicked
        rest = papers.sub("", page.html)
        assert not re.search(r"""(?:src|href)=["'](?:https?:)?//|@import|url\(["']?http""", rest)
        assert all(reference.startswith(("#", "data:")) for reference in page.references)
        for link in page.links:
            if papers.fullmatch(f'<a href="{link}">') or link == "snakemake.html":  # of `make report`
                continue
            file, _, anchor = link.partition("#")
            target = (path.parent / file) if file else path
            assert target.resolve().is_file(), link
            assert not anchor or anchor in Page(target).ids, link


def test_ids_are_unique_and_references_within_a_page_exist(report):
    for path in report.iterdir():
        page = Page(path)
        assert len(page.ids) == len(set(page.ids))
        used = re.findall(r'(?:url\(#|href="#)([^)"]+)', page.html)
        assert set(used) <= set(page.ids)
        labels = " ".join(re.findall(r'aria-labelledby="([^"]+)"', page.html)).split()
        assert set(labels) <= set(page.ids)


def test_figures_have_text_and_a_description_and_take_their_colours_from_the_page(report):
    page = "".join((report / name).read_text(encoding="utf-8") for name in ("index.html", "accuracy.html"))
    figures = re.findall(r"<svg viewBox.*?</svg>", page, flags=re.DOTALL)
    assert len(figures) == 5
    for figure in figures:
        assert 'role="img"' in figure
        assert re.search(r"<title[^>]*>[^<]*\d", figure)
        assert "<desc" in figure
        assert "<text" in figure
        assert "currentColor" in figure
        assert "#010203" not in figure


def test_tables_have_captions_and_scoped_heads(report):
    for path in report.iterdir():
        page = Page(path)
        assert page.tags.count("table") == page.tags.count("caption")
        for table in page.tables:
            heads = [cell for row in table["rows"] for cell in row if cell["tag"] == "th"]
            assert all(head.get("scope") in ("col", "row") for head in heads)


def test_banners_say_what_weakens_the_numbers(tmp_path):
    tables = write_tables(tmp_path / "tables", planned_cells=999)
    text = (tables / "accuracy.csv").read_text()
    head, first, rest = text.split("\n", 2)
    first = first.replace("false", "true")  # busy and git_dirty
    (tables / "accuracy.csv").write_text("\n".join([head, first, rest]))
    words = Page(render(tables, tmp_path / "report")).text
    for banner in (
        "A quick study",
        "168 of 999 planned cells",
        "own_power: it shows that the pipeline works",
    ):
        assert banner in words
    assert "1 cell ran code with uncommitted changes" in words
    assert "1 cell ran while something else used the machine" in words


def test_what_is_not_known_is_not_called_good(tmp_path):
    """A machine without /proc/stat does not know whether it was busy; a package has no commit."""
    tables = write_tables(tmp_path / "tables")
    with (tables / "accuracy.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row |= {"busy": "", "git_commit": "", "git_dirty": ""}
    with (tables / "accuracy.csv").open("w") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    words = Page(render(tables, tmp_path / "report")).text
    scored = sum(row["status"] == "ok" for row in rows)
    assert f"for {scored} cells it is not known whether something else used the machine" in words
    assert "not known" in Page(tmp_path / "report" / "provenance.html").text


def test_a_good_study_has_no_banner(tmp_path):
    tables = write_tables(tmp_path / "tables", datasets={"ETTh1": ["OT"]}, notice="")
    assert "banners" not in Page(render(tables, tmp_path / "report")).html.split("<main")[1]


def test_a_study_in_which_nothing_has_a_score_is_still_a_report(tmp_path):
    tables = write_tables(tmp_path / "tables", models=("mine",), datasets={"own_power": ["OT"]})
    accuracy = pd.read_csv(tables / "accuracy.csv", dtype=str, keep_default_na=False)
    accuracy[accuracy["lookback"] == "96"].to_csv(tables / "accuracy.csv", index=False)
    for name in ("variates", "forecasts", "truth"):
        head = (tables / f"{name}.csv").read_text().split("\n", 1)[0]
        (tables / f"{name}.csv").write_text(head + "\n")
    words = Page(render(tables, tmp_path / "report")).text
    assert "No cell has ended with a score yet" in words
    assert "mine needs a lookback of at least 100" in words


def test_parallel_cells_are_shown_as_not_timed(tmp_path):
    tables = write_tables(tmp_path / "tables", datasets={"ETTh1": ["OT"]}, parallel=True)
    accuracy = pd.read_csv(tables / "accuracy.csv", dtype=str, keep_default_na=False)
    accuracy[["train_time_s", "step_time_ms", "inference_time_ms"]] = ""
    accuracy.to_csv(tables / "accuracy.csv", index=False)
    words = Page(render(tables, tmp_path / "report")).text
    assert "ran side by side" in words
    assert "not timed" in words


@pytest.mark.slow
def test_one_thousand_cells_stay_under_three_megabytes(tmp_path):
    datasets = {f"set{i}": ["OT"] for i in range(8)}
    tables = write_tables(tmp_path / "tables", datasets=datasets, horizons=(8, 16, 24))
    index = render(tables, tmp_path / "report")
    assert len(pd.read_csv(tables / "accuracy.csv")) >= 1000
    assert all(page.stat().st_size < 3_000_000 for page in index.parent.iterdir())


@pytest.mark.parametrize("name", ["accuracy.csv", "study.json", "truth.csv"])
def test_a_missing_table_is_a_stated_error(tmp_path, name):
    tables = write_tables(tmp_path / "tables", datasets={"ETTh1": ["OT"]})
    (tables / name).unlink()
    with pytest.raises(StatedError, match=name):
        render(tables, tmp_path / "report")


def test_a_table_of_another_version_is_a_stated_error(tmp_path):
    tables = write_tables(tmp_path / "tables", datasets={"ETTh1": ["OT"]})
    text = (tables / "accuracy.csv").read_text()
    (tables / "accuracy.csv").write_text(text.replace("peak_memory_mb", "memory"))
    with pytest.raises(StatedError, match="peak_memory_mb"):
        render(tables, tmp_path / "report")
    (tables / "accuracy.csv").write_text(text.replace(",oom,", ",lost,"))
    with pytest.raises(StatedError, match="'lost'"):
        render(tables, tmp_path / "report")
    (tables / "study.json").write_text("{")
    (tables / "accuracy.csv").write_text(text)
    with pytest.raises(StatedError, match=r"study\.json"):
        render(tables, tmp_path / "report")


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (Score(0.37234, 0.0021, 3), "0.372 ± 0.002"),
        (Score(0.37234, 0.0014, 3), "0.3723 ± 0.0014"),
        (Score(0.37234, 0.3, 3), "0.37 ± 0.30"),
        (Score(0.37234, 0.0000001, 3), "0.37234 ± <0.00001"),
        (Score(0.37234, None, 1), "0.372"),
        (Score(0.37234, 0.0, 3), "0.372 ± 0"),
        (Score(0.37234, 0.0, 1), "0.372"),
    ],
)
def test_digits_follow_the_noise(score, text):
    assert score_text(score) == text


def test_numbers_read_well():
    assert [three_digits(x) for x in (0, 0.01234, 1.234, 123.4, 12345.6)] == [
        "0",
        "0.0123",
        "1.23",
        "123",
        "12,346",
    ]
    assert [signed_percent(x) for x in (47.3, -4.25, 0)] == ["+47\u00a0%", "−4.2\u00a0%", "0.0\u00a0%"]
    assert [listed(["a"]), listed(["a", "b", "c"])] == ["a", "a, b and c"]


def answer(tmp_path, change=None, **study):
    """The answer of a study of one data set and horizon after ``change`` of its accuracy rows."""
    tables = write_tables(tmp_path / "tables", datasets={"ETTh1": ["OT"]}, horizons=(24,), **study)
    if change is not None:
        accuracy = pd.read_csv(tables / "accuracy.csv", keep_default_na=False)
        change(accuracy)
        accuracy.to_csv(tables / "accuracy.csv", index=False)
    frame = entries(read(tables).accuracy)
    return " ".join(answers(verdicts(frame), styles(frame["model"])))


def test_answer_names_the_winner_and_the_gap_to_the_baselines(tmp_path):
    words = answer(tmp_path)
    assert "On ETTh1, 24 steps ahead, PatchTST with a lookback of 336 is the most accurate" in words
    assert "below seasonal naive" in words
    assert "The best baseline, DLinear" in words


def test_answer_says_that_no_transformer_is_worth_it_where_a_baseline_wins(tmp_path):
    def worse(rows):
        rows.loc[rows["model"].isin(["patchtst", "itransformer"]), "mse"] = "0.9"

    words = answer(tmp_path, worse)
    assert "DLinear with a lookback of 336" in words
    assert "A baseline wins, so no transformer is worth its cost here." in words


def test_answer_says_one_seed_gives_no_noise_estimate(tmp_path):
    assert "One seed: no noise estimate" in answer(tmp_path, seeds=(1,))


def test_answer_says_so_where_two_models_are_level(tmp_path):
    def level(rows):
        for model, mse in (("itransformer", 0.30000), ("patchtst", 0.30001)):
            rows.loc[rows["model"] == model, "mse"] = mse

    words = answer(tmp_path, level, seeds=(1,))
    assert "PatchTST (0.300) is level with it: less than 0.1 % apart." in words
    assert "0.0" not in words


def test_budget_says_what_validation_and_test_look_at(tmp_path):
    budget = {"steps": 300, "seconds": None, "validation_windows": 512}
    render(write_tables(tmp_path / "tables", budget=budget), tmp_path)
    text = " ".join(Page(tmp_path / "index.html").text.split())
    assert "at most 300 training steps. Validation looks at 512 windows, spread evenly." in text
    assert "The test is on every window." in text


def test_unknown_models_get_colours_of_their_own_whatever_their_order():
    many = [f"own{i}" for i in range(30)]
    found = styles([*SKILL, *many])
    assert found == styles(reversed([*SKILL, *many]))
    colours = [style.colour for style in found.values()]
    assert len(set(colours)) == len(colours)
    assert found["patchtst"].colour == "#D55E00"


def test_every_fact_of_the_data_is_on_its_page(tables, report):
    facts = json.loads((tables / "datasets.json").read_text())[0]
    text = Page(report / "dataset-ETTh1.html").text
    for wanted in (facts["sha256"], facts["licence"], facts["defects"][0], "17,420", "8,640"):
        assert wanted in text


def test_own_settings_are_not_called_official(tmp_path):
    own = {"patchtst": {"model": {"d_model": 16}, "training": {"batch_size": 32}}}
    tables = write_tables(tmp_path / "tables", datasets={"ETTh1": ["OT"]}, settings=own)
    assert "changed by this study for patchtst" in Page(render(tables, tmp_path / "report")).text
    words = Page(tmp_path / "report" / "provenance.html").text
    assert "model (d_model 16), training (batch_size 32)" in words
