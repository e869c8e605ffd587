"""Very small, very broken and very large studies: every page is there, in time and of a size to be sent."""

import csv
import time

import pytest
from conftest import write_csv, write_tables
from scaling_tables import rows_of

from formerbench.report.render import render
from formerbench.results import ACCURACY_COLUMNS, SCALING_COLUMNS

MB = 2**20
MODELS = (
    *("repeat", "seasonal_naive", "dlinear", "patchtst", "itransformer"),
    *("informer", "autoformer", "fedformer", "tft", "mine"),
)
HORIZONS = (8, 12, 24, 48, 96)
SCORES = ("mse", "mae", "rmse", "mae_raw", "smape", "mase")


def large(folder, datasets: int, seeds: int):
    """A study of 100 cells a (data set, seed)."""
    named = {f"data{i}": ["load", "OT"] for i in range(datasets)}
    rows = rows_of(MODELS[2:])
    return write_tables(folder / "tables", MODELS, named, HORIZONS, tuple(range(1, 1 + seeds)), rows)


def cells(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rendered(tables, name="report"):
    """The pages by name, and the seconds of computing that they took."""
    start = time.process_time()
    folder = render(tables, tables.parent / name).parent
    return {path.name: path.read_bytes() for path in folder.iterdir()}, time.process_time() - start


def check(pages: dict[str, bytes], datasets) -> None:
    wanted = {"index.html", "accuracy.html", "scaling.html", "claims.html", "provenance.html"}
    assert wanted | {f"dataset-{name}.html" for name in datasets} <= set(pages)
    for name, page in pages.items():
        assert page.count(b"<h1>") == 1, name
        assert page.rstrip().endswith(b"</html>"), name


def test_one_cell(tmp_path):
    tables = write_tables(tmp_path / "tables", ("patchtst",), {"only": ["OT"]}, (24,), (1,), planned_cells=1)
    for name in ("accuracy.csv", "variates.csv", "steps.csv", "forecasts.csv"):
        rows = cells(tables / name)
        write_csv(tables / name, list(rows[0]), [row for row in rows if row["lookback"] == "96"])
    assert len(cells(tables / "accuracy.csv")) == 1
    pages, _ = rendered(tables)
    check(pages, ["only"])
    assert "1 of 1 planned cells" in pages["index.html"].decode().replace("planned cell ", "planned cells ")


@pytest.mark.parametrize("status", ["failed", "oom", "timeout", "skipped"])
def test_only_failures(tmp_path, status):
    tables = write_tables(tmp_path / "tables", MODELS, {"only": ["OT"]}, (24,), (1, 2), rows_of())
    empty = dict.fromkeys(
        (*SCORES, "n_test_windows", "n_parameters", "inference_time_ms", "peak_memory_mb"), ""
    )
    lost = [row | empty | {"status": status, "reason": "why"} for row in cells(tables / "accuracy.csv")]
    write_csv(tables / "accuracy.csv", ACCURACY_COLUMNS, lost)
    costs = dict.fromkeys(("time_ms", "time_ms_iqr", "repeats", "peak_memory_mb", "peak_tensor_mb"), "")
    lost = [row | costs | {"status": status, "reason": "why"} for row in cells(tables / "scaling.csv")]
    write_csv(tables / "scaling.csv", SCALING_COLUMNS, lost)
    for name in ("variates.csv", "steps.csv", "forecasts.csv", "scaling_repeats.csv"):
        write_csv(tables / name, list(cells(tables / name)[0]), [])
    pages, _ = rendered(tables)
    check(pages, ["only"])
    index = pages["index.html"].decode()
    assert "No cell has ended with a score yet" in index
    assert f"40 {status}" in index


@pytest.mark.slow
def test_no_page_of_a_thousand_cells_is_larger_than_three_mb(tmp_path):
    tables = large(tmp_path, datasets=2, seeds=5)
    assert len(cells(tables / "accuracy.csv")) == 1000
    pages, _ = rendered(tables)
    check(pages, ["data0", "data1"])
    assert {name: len(page) / MB for name, page in pages.items() if len(page) >= 3 * MB} == {}
    assert rendered(tables, "again")[0] == pages


@pytest.mark.slow
def test_five_thousand_cells_render(tmp_path, record_property):
    tables = large(tmp_path, datasets=5, seeds=10)
    assert len(cells(tables / "accuracy.csv")) == 5000
    pages, seconds = rendered(tables)
    check(pages, [f"data{i}" for i in range(5)])
    largest = max(pages, key=lambda name: len(pages[name]))
    size = len(pages[largest]) / MB
    print(f"5,000 cells: {seconds:.1f} s of computing, largest page {largest} with {size:.2f} MB")
    record_property("seconds", seconds)
    record_property("largest_page_mb", size)
    assert seconds < 240
    assert size < 8
