"""The scaling page says what the measurements say, whatever they are, and keeps machines apart."""

import json
import re

import pandas as pd
import pytest
from conftest import HOSTILE, write_csv, write_tables
from scaling_tables import LENGTHS, rows_of, write_scaling
from test_render import Page

from formerbench.analysis.tables import read_evidence
from formerbench.errors import StatedError
from formerbench.report.render import render
from formerbench.report.text import three_digits

ONLY = {"datasets": {}, "models": (), "horizons": (), "lookbacks": []}


def page_of(tmp_path, rows, evidence=(), **study):
    """The scaling page of a study without accuracy that measured ``rows``."""
    tables = write_tables(tmp_path / "tables", scaling=rows, **{**ONLY, **study})
    return Page(render(tables, tmp_path / "report", evidence).parent / "scaling.html")


def words_of(page):
    return " ".join(page.text.split())


def matrices(page):
    return [
        t["rows"] for t in page.tables if t["rows"] and t["rows"][0][0]["text"] in ("L, steps", "D, variates")
    ]


def column(matrix, label):
    place = [cell["text"] for cell in matrix[0]].index(label)
    return {row[0]["text"]: row[place] for row in matrix[1:]}


def test_every_measurement_is_in_its_matrix(tables, report):
    first = matrices(Page(report / "scaling.html"))[0]
    rows = pd.read_csv(tables / "scaling.csv")
    rows = rows[(rows["experiment"] == "lookback") & (rows["phase"] == "train_step")]
    shown = column(first, "PatchTST")
    for row in rows[rows["subject"] == "patchtst"].itertuples():
        cell = shown[f"{row.lookback:,}"]["text"]
        assert three_digits(row.time_ms) in cell
        assert three_digits(row.peak_tensor_mb) in cell


def test_the_fastest_and_leanest_of_a_row_are_marked(tables, report):
    rows = pd.read_csv(tables / "scaling.csv")
    rows = rows[
        (rows["experiment"] == "lookback") & (rows["phase"] == "train_step") & (rows["status"] == "ok")
    ]
    first = matrices(Page(report / "scaling.html"))[0]
    for name, word in (("time_ms", "fastest"), ("peak_tensor_mb", "leanest")):
        for length in (336, 1440):
            here = rows[rows["lookback"] == length]
            best = here.loc[here[name].idxmin(), "subject"]
            label = {"dlinear": "DLinear", "itransformer": "iTransformer"}[best]
            (row,) = (row for row in first if row[0]["text"] == f"{length:,}")
            marked = [
                first[0][i]["text"]
                for i, cell in enumerate(row)
                if f" {word}" in cell["text"].split("tie")[0]
            ]
            assert marked == [label]


def test_cells_that_did_not_end_say_how_and_why(report):
    page = Page(report / "scaling.html")
    first = matrices(page)[0]
    cell = column(first, "TFT")["5,000"]
    assert "oom" in cell["text"]
    assert "needed more than 4000 MB" in cell["text"]
    assert "failed" in column(first, "Informer")["96"]["text"]
    (lost,) = [t["rows"] for t in page.tables if t["rows"] and t["rows"][0][0]["text"] == "Subject"]
    assert {row[1]["text"] for row in lost[1:]} == {"oom", "failed", "timeout"}
    assert "first to run out of memory, at 5,000 steps" in words_of(page)


def test_exponents_stand_over_the_theory(report):
    first = matrices(Page(report / "scaling.html"))[0]
    names = [row[0]["text"] for row in first[len(LENGTHS) + 1 :]]
    assert names == [
        "Exponent of time",
        "Exponent of tensor memory",
        "Exponent of process memory",
        "Theory, time",
        "Theory, memory",
    ]
    cell = column(first, "Autoformer")
    assert re.match(r"0\.\d\d0\.\d\d to \d\.\d\d", cell["Exponent of time"]["text"])
    assert "O(L log L)" in cell["Theory, time"]["text"]
    assert "below" in cell["Theory, time"]["text"]


def test_crossovers_are_sentences(report):
    words = words_of(Page(report / "scaling.html"))
    assert re.search(r"From about [45],\d00 steps on \(between 2,880 and 5,000\), FEDformer is faster", words)
    assert "is leaner throughout than" in words


@pytest.mark.slow
def test_machines_are_never_in_one_table(tables, report, tmp_path):
    page = Page(report / "scaling.html")
    words = words_of(page)
    assert "CPU fp32, Another CPU, 4 threads" in words
    assert "evidence evidence · study other · commit 0123456789" in words
    columns = [[cell["text"] for cell in matrix[0]] for matrix in matrices(page)]
    assert columns[0] != columns[2] == ["L, steps", "PatchTST", "iTransformer"]
    # The study's own table is the same whatever stands beside it.
    alone = Page(render(tables, tmp_path).parent / "scaling.html")
    assert matrices(alone)[0] == matrices(page)[0]


def test_two_machines_in_one_folder_stay_apart(tmp_path):
    slow = [
        row | {"time_ms": 10 * row["time_ms"]}
        for row in rows_of(("dlinear",), only="lookback")
        if row["status"] == "ok"
    ]
    rows = rows_of(("patchtst",), only="lookback") + [row | {"cpu": "Slow CPU"} for row in slow]
    page = page_of(tmp_path, rows)
    heads = [[cell["text"] for cell in matrix[0]] for matrix in matrices(page)]
    assert ["L, steps", "PatchTST"] in heads
    assert ["L, steps", "DLinear"] in heads
    assert not any("PatchTST" in head and "DLinear" in head for head in heads)


def test_all_experiments_have_a_section(report):
    page = Page(report / "scaling.html")
    wanted = {"answer", "lookback", "longest", "mechanisms", "switches", "latency", "variates", "unfinished"}
    assert wanted <= set(page.ids)
    words = words_of(page)
    assert "within 4000 MB and 5 s a step; 16384 steps need more memory" in words
    assert "Auto-correlation" in words
    assert "The most forecasts in a second come from DLinear" in words
    (switched,) = [t["rows"] for t in page.tables if "Switch" in [c["text"] for c in t["rows"][0]]]
    ratio = {row[1]["text"]: row[5]["text"] for row in switched[1:] if row[0]["text"] == "TFT"}
    assert ratio["checkpoint"].startswith("1.")
    assert not ratio["checkpoint"].startswith("≈")
    assert ratio["attention=materialised"].startswith("≈")


def test_figures_write_the_exponent_and_show_the_budget(report):
    html = (report / "scaling.html").read_text(encoding="utf-8")
    figures = re.findall(r"<svg viewBox.*?</svg>", html, flags=re.DOTALL)
    assert len(figures) >= 6
    time, memory = figures[:2]
    assert re.search(r"<title[^>]*>[^<]*PatchTST L\^1\.\d", time)
    assert re.search(r">DLinear  L\^0\.\d\d<", time)
    assert "budget 4,000 MB" in memory
    assert "TFT  L^0.9" in memory
    assert ", to 2,880" in memory


def test_hostile_names_and_reasons_stay_text(tmp_path):
    rows = rows_of(("patchtst", HOSTILE), study=HOSTILE, cpu=HOSTILE, host=HOSTILE)
    lost = [row | {"status": "oom", "reason": HOSTILE, "reached": HOSTILE} for row in rows[:3]]
    other = [row | {"subject": '\', "x" $a$ \\frac{1', "experiment": "mechanism"} for row in rows[:6]]
    page = page_of(tmp_path, lost + rows[3:] + other)
    assert page.tags.count("script") == 3  # the form of any length brings its data and a script
    assert HOSTILE not in page.html
    assert "&lt;script&gt;alert(1)" in page.html
    assert len(page.ids) == len(set(page.ids))


def test_one_row_is_a_page(tmp_path):
    page = page_of(tmp_path, rows_of(("patchtst",))[:1])
    words = words_of(page)
    assert "at 96 steps of lookback, only PatchTST ran in training" in words
    assert "no fit: needs 4 lengths, there are 1" in words
    assert "<svg viewBox" not in page.html


def test_only_failures_are_a_page(tmp_path):
    rows = [row for row in rows_of() if row["status"] != "ok"]
    bare = ("time_ms", "time_ms_iqr", "peak_memory_mb", "peak_tensor_mb", "_repeats")
    lost = [{**row, "status": "skipped"} for row in rows_of(("tft",))]
    lost = [{name: value for name, value in row.items() if name not in bare} for row in lost]
    words = words_of(page_of(tmp_path, rows + lost))
    assert "No measurement at any length of lookback has ended with a time" in words
    assert "a made-up error of the model" in words


def test_no_measurements_say_what_to_run(tmp_path):
    page = page_of(tmp_path, [], datasets={"ETTh1": ["OT"]}, models=("patchtst",), horizons=(24,))
    assert "make scaling" in page.text
    assert not matrices(page)
    index = Page(tmp_path / "report" / "index.html")
    assert "scaling" not in index.ids


def test_without_own_rows_the_evidence_answers(tmp_path):
    evidence = write_scaling(tmp_path / "reference", rows_of(study="long", only="lookback"), write_csv)
    page = page_of(tmp_path, [], [evidence])
    words = words_of(page)
    assert "what follows is evidence from elsewhere" in words
    assert "evidence reference · study long" in words
    assert "is the fastest in training" in words
    assert "../tables/scaling.csv" not in page.links


def test_a_study_of_scaling_alone_has_its_answer_on_the_first_page(tmp_path):
    page_of(tmp_path, rows_of(only="lookback"))
    index = Page(tmp_path / "report" / "index.html")
    words = words_of(index)
    assert "What does a longer lookback cost?" in words
    assert "is the fastest in training" in words
    assert "scaling.html" in index.links
    assert not {"accuracy", "coverage", "data"} & set(index.ids)
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "index.html",
        "accuracy.html",
        "scaling.html",
        "decision.html",
        "claims.html",
        "provenance.html",
    }
    for path in (tmp_path / "report").iterdir():
        page = Page(path)
        for link in page.links:
            file, _, anchor = link.partition("#")
            assert not anchor or anchor in Page(path.parent / file if file else path).ids


def test_a_study_of_both_has_both_on_the_first_page(report):
    index = Page(report / "index.html")
    assert {"accuracy", "scaling", "coverage"} <= set(index.ids)
    assert "at 5,000 steps of lookback" in index.text


def test_busy_rows_get_a_banner(tmp_path):
    rows = rows_of(("patchtst",), only="lookback")
    words = words_of(page_of(tmp_path, [rows[0] | {"busy": "true"}, rows[1] | {"busy": ""}, *rows[2:]]))
    assert "1 measurement of 14 ran while something else used the machine" in words
    assert "for 1 measurement it is not known whether something else ran" in words


def test_the_same_rows_give_the_same_bytes(tmp_path):
    first = page_of(tmp_path / "a", rows_of(("patchtst", "dlinear"), only="lookback"))
    again = page_of(tmp_path / "b", rows_of(("patchtst", "dlinear"), only="lookback"))
    assert first.html == again.html


def test_memory_of_cuda_rows_is_what_was_allocated(tmp_path):
    rows = [row | {"gpu": "Example GPU"} for row in rows_of(("patchtst",), only="lookback", device="cuda")]
    assert "CUDA fp32, Example GPU, 2 threads" in words_of(page_of(tmp_path, rows))


@pytest.mark.parametrize("name", ["scaling.csv", "scaling_repeats.csv", "machine.json"])
def test_a_missing_table_of_measurements_is_a_stated_error(tmp_path, name):
    tables = write_tables(tmp_path / "tables", **ONLY)
    (tables / name).unlink()
    with pytest.raises(StatedError, match=re.escape(name)):
        render(tables, tmp_path / "report")


def test_evidence_without_measurements_is_passed_over_and_a_torn_one_is_an_error(tmp_path):
    assert read_evidence(tmp_path) is None
    evidence = write_scaling(tmp_path / "reference", rows_of(("tft",)), write_csv)
    assert read_evidence(evidence).name == "reference"
    text = (evidence / "scaling.csv").read_text()
    (evidence / "scaling.csv").write_text(text.replace(",oom,", ",lost,"))
    with pytest.raises(StatedError, match="'lost'"):
        read_evidence(evidence)


def test_the_machine_and_the_budgets_are_in_the_protocol(tmp_path):
    limits = {"memory_mb": 4000, "step_s": 5}
    scaling = {"memory_budget_mb": 8000, "time_budget_s": 300, "longest": limits}
    tables = write_tables(tmp_path / "tables", scaling=rows_of(("patchtst",), only="lookback"), **ONLY)
    study = json.loads((tables / "study.json").read_text())
    (tables / "study.json").write_text(json.dumps(study | {"scaling": scaling}))
    words = words_of(Page(render(tables, tmp_path / "report").parent / "scaling.html"))
    assert "8,000 MB; 300 s in all; for the longest lookback 4000 MB and 5 s a step" in words
    assert "Example CPU 3000 fp32, 2 threads: 120 GFLOP/s, copies 21 GB/s" in words
    assert "d_model 64, heads 4" in words


def test_costs_at_a_length_that_was_not_measured_lie_between_its_neighbours(tables, report):
    (at,) = (t["rows"] for t in Page(report / "scaling.html").tables if "Training, MB" in str(t["rows"][0]))
    rows = pd.read_csv(tables / "scaling.csv")
    rows = rows[
        (rows["experiment"] == "lookback") & (rows["phase"] == "train_step") & (rows["status"] == "ok")
    ]
    longest, between = sorted(rows["lookback"].unique())[-2:], 0
    for row in at[1:]:
        label, step = row[0]["text"], float(row[1]["text"].split()[0].replace(",", ""))
        own = rows[rows["subject"] == label.lower()]
        times = own.loc[own["lookback"].isin(longest), "time_ms"]
        if len(times) == 2:
            assert min(times) < step < max(times)
            between += 1
    assert between >= 2


def test_too_few_lengths_make_no_form(tmp_path):
    rows = [row for row in rows_of() if row["lookback"] in LENGTHS[:2]]
    assert "At your length" not in words_of(page_of(tmp_path, rows))
