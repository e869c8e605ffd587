"""Two folders against each other: ratios, noise, and what must not be compared."""

import json
import math
import random

import pandas as pd
import pytest

from formerbench.analysis.compare import compare
from formerbench.analysis.leaderboard import entries, tied
from formerbench.analysis.sides import read_side
from formerbench.cli import main
from formerbench.errors import StatedError
from formerbench.results import ACCURACY_COLUMNS, REPEAT_COLUMNS, SCALING_AXES, SCALING_COLUMNS

PROVENANCE = {"git_commit": "a" * 40, "git_dirty": "false", "data_sha256": "s1", "host": "h", "cpu": "CPU"}
PROVENANCE |= {"torch_version": "2.13.0", "python_version": "3.11.9", "package_version": "0.1.0"}
CELL = {
    "study": "one",
    "dataset": "ETTh1",
    "lookback": 96,
    "horizon": 24,
    "device": "cpu",
    "precision": "fp32",
}
CELL |= {
    "status": "ok",
    "n_parameters": 10,
    "batch_size": 32,
    "peak_memory_mb": 100.0,
    "threads": 2,
    "busy": "false",
}
CELL |= {"inference_time_ms": 1.0} | PROVENANCE
MEASURED = {"study": "one", "experiment": "lookback", "variant": "base", "horizon": 96, "n_variates": 7}
MEASURED |= {"batch_size": 8, "device": "cpu", "precision": "fp32", "phase": "inference", "status": "ok"}
MEASURED |= {"d_model": 64, "n_heads": 4, "threads": 2, "busy": "false"} | PROVENANCE


def cells(mse=0.4, step=5.0, seeds=3, spread=0.01, models=("tft", "patchtst"), **columns):
    """Rows of a seed each, whose mean and median are ``mse`` and ``step``."""
    off = [0.0] if seeds == 1 else [-1.0, 0.0, 1.0]
    return [
        CELL
        | {"model": model, "seed": i, "mse": mse + spread * d, "step_time_ms": step * (1 + spread * d)}
        | columns
        for model in models
        for i, d in enumerate(off)
    ]


def measurements(time=10.0, memory=50.0, processes=3, lookbacks=(96, 192, 336), **columns):
    """Rows with five repeats a process."""
    rows = []
    for lookback in lookbacks:
        noise = random.Random(lookback)
        row = MEASURED | {"subject": "tft", "lookback": lookback, "time_ms": time, "peak_tensor_mb": memory}
        repeats = [[time * noise.uniform(0.99, 1.01) for _ in range(5)] for _ in range(processes)]
        rows.append(row | {"_repeats": repeats} | columns)
    return rows


def folder(path, accuracy=None, scaling=None):
    """A folder with the tables that are given."""
    path.mkdir(parents=True)
    if accuracy is not None:
        pd.DataFrame(accuracy, columns=list(ACCURACY_COLUMNS)).to_csv(path / "accuracy.csv", index=False)
    if scaling is not None:
        pd.DataFrame(scaling, columns=list(SCALING_COLUMNS)).to_csv(path / "scaling.csv", index=False)
        repeats = [
            {axis: row[axis] for axis in SCALING_AXES} | {"process": i, "repeat": j, "time_ms": value}
            for row in scaling
            for i, process in enumerate(row["_repeats"], 1)
            for j, value in enumerate(process, 1)
        ]
        pd.DataFrame(repeats, columns=list(REPEAT_COLUMNS)).to_csv(path / "scaling_repeats.csv", index=False)
        (path / "machine.json").write_text("[]")
    return path


@pytest.fixture
def held(tmp_path):
    """Compare two sets of rows, each (accuracy, scaling)."""
    return lambda a, b: compare(*(read_side(folder(tmp_path / n, *x)) for n, x in (("a", a), ("b", b))))


def of(found, quantity):
    return [change for change in found.changes if change.quantity == quantity]


def summary(found, quantity):
    (one,) = [one for one in found.summaries if one.quantity == quantity]
    return one


def test_ratios_are_of_means_medians_and_are_b_over_a(held):
    found = held((cells(0.4, 5.0), measurements(10, 50)), (cells(0.5, 4.0), measurements(20, 25)))
    assert [change.ratio for change in of(found, "mse")] == pytest.approx([1.25] * 2)
    assert [change.ratio for change in of(found, "step_time_ms")] == pytest.approx([0.8] * 2)
    assert [change.ratio for change in of(found, "time_ms")] == pytest.approx([2.0] * 3)
    assert [change.ratio for change in of(found, "peak_tensor_mb")] == pytest.approx([0.5] * 3)
    assert all(change.clear for change in found.changes if change.ratio != 1)
    one = summary(found, "time_ms")
    assert (one.cells, one.lower, one.higher, one.level, one.unknown) == (3, 0, 3, 0, 0)
    assert one.ratio == pytest.approx(2)
    assert one.low <= 2.0000001
    assert one.high >= 1.9999999


def test_swapping_the_sides_turns_every_ratio_round(tmp_path):
    a = read_side(folder(tmp_path / "a", cells(0.4), measurements(10)))
    b = read_side(folder(tmp_path / "b", cells(0.42, 7.0), measurements(11)))
    there, back = compare(a, b), compare(b, a)
    assert {s.quantity: s.ratio for s in there.summaries} == pytest.approx(
        {s.quantity: 1 / s.ratio for s in back.summaries}
    )
    assert [(s.lower, s.higher) for s in there.summaries] == [(s.higher, s.lower) for s in back.summaries]


@pytest.mark.parametrize("seed", range(20))
def test_a_clear_error_is_one_that_welchs_test_tells_apart(held, seed):
    noise = random.Random(seed)
    a = cells(0.4, spread=noise.uniform(0.001, 0.05))
    b = cells(0.4 + noise.uniform(-0.08, 0.08), spread=noise.uniform(0.001, 0.05))
    found = held((a,), (b,))
    scores = [list(entries(frame(rows))["mse"]) for rows in (a, b)]
    assert of(found, "mse")[0].clear is (not tied(scores[0][0], scores[1][0]))


def frame(rows):
    return pd.DataFrame(rows, columns=list(ACCURACY_COLUMNS)).astype({"mse": float})


def test_the_noise_of_one_seed_is_not_known(held):
    found = held((cells(seeds=1),), (cells(0.8, 9.0, seeds=3),))
    assert {change.clear for change in of(found, "mse") + of(found, "step_time_ms")} == {None}
    assert summary(found, "mse").unknown == 2


def test_what_is_not_trained_has_no_noise_but_rounding(held):
    rows = [one | {"n_parameters": 0} for one in cells(0.4, models=("repeat",), spread=0)]
    other = [one | {"mse": 0.4000000001} for one in rows]
    assert [change.clear for change in of(held((rows,), (other,)), "mse")] == [False]


def test_other_data_is_refused_and_comes_first(held, tmp_path, capsys):
    found = held((cells(),), (cells(0.1, data_sha256="s2"),))
    assert of(found, "mse") == []
    assert of(found, "step_time_ms")
    assert found.other_data == {"ETTh1": 2}
    main(["compare", str(tmp_path / "a"), str(tmp_path / "b")])
    out = capsys.readouterr().out
    assert out.index("DIFFERENT DATA: ETTh1 (2 cells)") < out.index("Ratios are B over A")


def test_fewer_processes_widen_the_interval(held, tmp_path):
    few = held((None, measurements(10, processes=1)), (None, measurements(10.8, processes=1)))
    assert [change.clear for change in of(few, "time_ms")] == [False] * 3
    sides = [folder(tmp_path / str(time), None, measurements(time, processes=3)) for time in (10, 10.8)]
    many = compare(*map(read_side, sides))
    assert [change.clear for change in of(many, "time_ms")] == [True] * 3


def test_costs_of_other_sizes_are_left_out_and_said(held):
    found = held((cells(), measurements()), (cells(batch_size=8), measurements(d_model=128)))
    assert {change.quantity for change in found.changes} == {"mse"}
    assert (5, "with other sizes or batches: their costs are left out") in found.not_compared


def test_costs_of_several_machines_are_not_mixed(held):
    mixed = [row | {"cpu": f"CPU {row['seed']}"} for row in cells()]
    assert {change.quantity for change in held((mixed,), (cells(),)).changes} == {"mse"}


def test_machines_are_named_and_kept_apart(held):
    rows = cells() + cells(models=("dlinear",), device="cuda", gpu="GPU")
    found = held((rows,), ([row | {"cpu": "Other"} for row in rows],))
    places = {one.place for one in found.summaries}
    assert places == {"", "cpu: CPU, 2 threads against Other, 2 threads", "cuda: GPU, 2 threads"}


def test_rows_that_are_there_twice_are_left_out(held):
    found = held((cells() + cells(0.9, models=("tft",)),), (cells(),))
    assert {change.cell["model"] for change in found.changes} == {"patchtst"}
    assert (6, "rows that A has more than once") in found.not_compared


def test_cells_that_ended_otherwise_are_listed(held):
    lost = [row | {"status": "oom", "reason": "too large", "mse": None} for row in cells(models=("tft",))]
    found = held((cells(),), (lost + cells(models=("patchtst",)),))
    ((axes, a, b, reason),) = found.endings
    assert (axes["model"], a, b, reason) == ("tft", "ok", "oom", "too large")
    assert {change.cell["model"] for change in found.changes} == {"patchtst"}


def test_what_differs_is_named_and_nothing_else(held):
    found = held((cells(),), (cells(git_commit="b" * 40, torch_version="2.14.0", threads=4),))
    assert [what for what, _, _ in found.differences] == ["machine", "commit", "torch", "threads"]
    assert {what: (a, b) for what, a, b in found.differences}["threads"] == (["2"], ["4"])


def test_the_largest_clear_difference_is_first(held):
    steps = {"tft": 5.5, "patchtst": 50.0, "dlinear": 0.05}
    b = [row for model, step in steps.items() for row in cells(0.4, step, models=(model,))]
    found = held((cells(models=tuple(steps)),), (b,))
    assert [change.cell["model"] for change in found.changes][:3] == ["dlinear", "patchtst", "tft"]
    clear = [bool(change.clear) for change in found.changes]
    assert clear == sorted(clear, reverse=True)


def test_nothing_shared_is_a_stated_failure(tmp_path, capsys):
    a, b = (folder(tmp_path / n, cells(models=(m,))) for n, m in (("a", "tft"), ("b", "dlinear")))
    assert main(["compare", str(a), str(b)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "share none" in captured.err
    assert "1 of tft" in captured.err
    assert len(captured.err.splitlines()) == 1


def test_a_folder_without_tables_is_a_stated_failure(tmp_path):
    with pytest.raises(StatedError, match=r"wanted accuracy\.csv or scaling\.csv in"):
        read_side(tmp_path)


def test_study_folders_and_their_tables_are_the_same(tmp_path, capsys):
    folder(tmp_path / "study/tables", cells())
    a, b = str(tmp_path / "study"), str(tmp_path / "study/tables")
    assert main(["compare", a, b]) == 0
    out = capsys.readouterr().out
    assert "No single cell differs by more than the noise." in out
    assert "Machine, versions, commit and threads are the same." in out


def test_text_fits_a_hundred_columns(tmp_path, capsys):
    long = {"reason": "why " * 80, "cpu": "Long name of a CPU " * 9}
    models = tuple(f"model-{i}" for i in range(30))
    a = folder(tmp_path / "a", cells(models=models), measurements())
    worse = [row | {"status": "failed"} for row in cells(models=models[:25])]
    b = folder(
        tmp_path / "b",
        [row | long for row in worse + cells(0.9, 1234.5, models=models[25:])],
        measurements(2e5),
    )
    assert main(["compare", str(a), str(b)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert any("20 of 25 (--json has all)" in line for line in lines)


def test_json_has_every_cell_and_no_nan(tmp_path, capsys):
    a = folder(tmp_path / "a", cells(), measurements())
    b = folder(tmp_path / "b", cells(0.5), measurements(20, horizon=""))
    assert main(["compare", str(a), str(b), "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(word))
    assert {"mse", "step_time_ms"} <= {change["quantity"] for change in found["changes"]}
    first = found["changes"][0]
    assert first["clear"] is True
    assert first["ratio"] == pytest.approx(1.25)
    assert first["cell"]["lookback"] == 96
    assert {"number": 3, "why": "cells or measurements only in A"} in found["not_compared"]


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    assert "example:\n  formerbench compare" in capsys.readouterr().out


def test_geometric_mean_has_an_interval_over_cells(held):
    rows = measurements(lookbacks=range(100, 140))
    other = [row | {"time_ms": row["time_ms"] * (1 + i % 2)} for i, row in enumerate(rows)]
    one = summary(held((None, rows), (None, other)), "time_ms")
    assert one.ratio == pytest.approx(math.sqrt(2))
    half = 1.96 * math.log(2) / 2 / math.sqrt(40)
    assert math.log(one.high / one.low) / 2 == pytest.approx(half, rel=0.15)
