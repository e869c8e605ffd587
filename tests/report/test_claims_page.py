"""The claims page counts, quotes and links what the audit found, and names and reasons stay text."""

import re

import pytest
from conftest import HOSTILE, write_csv, write_tables
from scaling_tables import rows_of, write_scaling
from test_render import Page

from formerbench.analysis.claims import CONTRADICTION, load
from formerbench.analysis.places import published
from formerbench.report.render import render

ONLY = {"datasets": {}, "models": (), "horizons": (), "lookbacks": []}
# The made-up study at the review's lengths.
LENGTHS = {96: 100, 192: 200, 336: 500, 720: 1000, 1440: 2000, 5000: 5000}


def rows_at_the_reviews_lengths(**columns):
    rows = [row for row in rows_of(**columns) if row["experiment"] in ("lookback", "mechanism")]
    return [row | {"lookback": LENGTHS[row["lookback"]]} for row in rows if row["lookback"] in LENGTHS]


def words_of(page):
    return " ".join(page.text.split())


def claims_of(page):
    (found,) = [table["rows"] for table in page.tables if "filterable" in table["attributes"]["class"]]
    return found[1:]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("claims")
    tables = write_tables(folder / "tables", scaling=rows_at_the_reviews_lengths(), **ONLY)
    return Page(render(tables, folder / "report").parent / "claims.html")


def test_every_claim_has_a_row_and_the_counts_add_up(page):
    tested = [claim for claim in load() if claim.kind != CONTRADICTION]
    rows = claims_of(page)
    assert [row[0]["text"] for row in rows] == [claim.section for claim in tested]
    for row, claim in zip(rows, tested, strict=True):
        assert f"“{claim.says}”" in row[1]["text"]
        assert claim.test in row[1]["text"]
        assert row[2]["text"] == claim.kind
    verdicts = [row[4]["text"] for row in rows]
    counts = re.search(r"● holds (\d+) ✕ fails (\d+) ○ not measured (\d+)", words_of(page))
    assert [int(number) for number in counts.groups()] == [
        verdicts.count(word) for word in ("● holds", "✕ fails", "○ not measured")
    ]
    assert {"● holds", "✕ fails", "○ not measured"} == set(verdicts)


def test_verdicts_come_before_contradictions_and_these_before_the_claims(page):
    sections = [one for one in page.ids if one in ("answer", "contradictions", "claims", "papers")]
    assert sections == ["answer", "contradictions", "claims", "papers"]
    words = words_of(page)
    assert "ProbSparse attention: total O(L log L)" in words
    assert "Absolute times and sizes of another machine are not compared." in words
    assert "ratio of two of its numbers or as growth" in words


def test_a_row_says_what_was_measured_and_links_to_it(page):
    rows = {row[1]["text"]: row for row in claims_of(page)}
    (order,) = (row for words, row in rows.items() if words.startswith("“TFT: O(L² × d)”"))
    assert re.match(r"\s*[01]\.\d+ \([01]\.\d+ to [01]\.\d+\)", order[3]["text"])
    assert "study first, Example CPU 3000, 2 threads" in order[5]["text"]
    assert "scaling.html#lookback" in page.links
    assert "scaling.html#mechanisms" in page.links


def test_the_claimed_ratio_stands_beside_the_measured_one(page):
    (row,) = (row for row in claims_of(page) if row[1]["text"].startswith("“500: Informer 380ms, TFT"))
    assert "Claimed: 11.1" in row[3]["text"]


def test_what_is_not_measured_says_what_would_measure_it(page):
    unknown = [row for row in claims_of(page) if row[4]["text"] == "○ not measured"]
    assert unknown
    for row in unknown:
        assert "Would be measured by: " in row[3]["text"]


def test_a_run_out_of_memory_decides_feasibility(page):
    (row,) = (row for row in claims_of(page) if row[1]["text"].startswith("“TFT 5000: OOM”"))
    assert (row[3]["text"].strip(), row[4]["text"]) == ("no", "● holds")


def test_published_scores_are_all_there(page):
    found = [table["rows"] for table in page.tables if table["rows"][0][0]["text"] == "Published"]
    assert len(found[0]) == 1 + len(published())


def test_evidence_is_named_where_it_decides(tmp_path):
    evidence = write_scaling(tmp_path / "long", rows_at_the_reviews_lengths(study="other"), write_csv)
    tables = write_tables(tmp_path / "tables", scaling=[], **ONLY)
    page = Page(render(tables, tmp_path / "report", [evidence]).parent / "claims.html")
    assert "evidence long, study other" in words_of(page)


def test_a_study_without_measurements_decides_nothing_but_arithmetic(tmp_path):
    tables = write_tables(tmp_path / "tables", scaling=[], **ONLY)
    page = Page(render(tables, tmp_path / "report").parent / "claims.html")
    decided = [row for row in claims_of(page) if row[4]["text"] != "○ not measured"]
    assert decided
    assert {row[5]["text"] for row in decided} == {"published scores"}


def test_scores_of_evidence_without_measurements_count(tmp_path):
    evidence = write_tables(
        tmp_path / "papers", datasets={"ETTh1": ["OT"]}, models=("patchtst",), study="papers"
    )
    rows = (evidence / "accuracy.csv").read_text().replace("first,", "papers,").replace("budget", "patience")
    (evidence / "accuracy.csv").write_text(rows)
    (evidence / "scaling.csv").unlink()
    tables = write_tables(tmp_path / "tables", scaling=[], **ONLY)
    page = Page(render(tables, tmp_path / "report", [evidence]).parent / "claims.html")
    (found,) = [table["rows"] for table in page.tables if table["rows"][0][0]["text"] == "Published"]
    decided = [row for row in found[1:] if row[3]["text"] != "○ not measured"]
    assert decided
    assert all(row[0]["text"].startswith("PatchTST") for row in decided)
    assert all("evidence papers, study papers" in row[4]["text"] for row in decided)


def test_hostile_names_and_reasons_stay_text(tmp_path):
    rows = rows_at_the_reviews_lengths(study=HOSTILE, cpu=HOSTILE)
    lost = [row | {"status": "oom", "reason": HOSTILE} for row in rows if row["subject"] == "fedformer"]
    kept = [row for row in rows if row["subject"] != "fedformer"]
    tables = write_tables(tmp_path / "tables", scaling=lost + kept, **ONLY)
    page = Page(render(tables, tmp_path / "report").parent / "claims.html")
    assert page.tags.count("script") == 1
    assert HOSTILE not in page.html
    assert "&lt;script&gt;alert(1)" in page.html
