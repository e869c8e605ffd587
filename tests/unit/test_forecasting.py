"""Forecasts of a CSV file by a trained cell: the numbers of the evaluation, and what is refused."""

import csv
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from formerbench.cell import model_of
from formerbench.cli import main
from formerbench.data.calendar import Step
from formerbench.data.series import Series
from formerbench.data.windows import Scaler, Windows
from formerbench.evaluation import forecasts
from formerbench.grid import Cell

from ..conftest import make_series

LOOKBACK, HORIZON, WINDOW = 24, 8, 37
MODELS = ("seasonal_naive", "dlinear", "tft", "told")
STUDY = """
study: small
datasets:
  - {name: toy, path: toy.csv, rows: 600, variates: 3, season: 12}
  - {name: told, path: told.csv, rows: 600, variates: 3, season: 12, known: [plan], past_covariates: [seen]}
models: [seasonal_naive, dlinear, tft]
settings: {tft: {model: {d_model: 8, n_heads: 2}}}
lookbacks: [24]
horizons: [8]
threads: 1
budget: {steps: 30}
"""


def told_series() -> Series:
    """The toy with an input that is known in advance and one that is not."""
    inputs = np.random.default_rng(1).normal(5, 3, (2, 600, 1)).astype(np.float32)
    facts = {"known_columns": ["plan"], "past_covariate_columns": ["seen"], "step": "1h"}
    return replace(make_series(), name="told", known=inputs[0], past_covariates=inputs[1], facts=facts)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with a study and four of its cells."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.yaml").write_text(STUDY)
    make_series().save(folder / "results/small/data/toy")
    told_series().save(folder / "results/small/data/told")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for model in MODELS:
            dataset, name = ("told", "tft") if model == "told" else ("toy", model)
            assert main(["train", "study.yaml", "--model", name, "--dataset", dataset]) == 0
    return folder


@pytest.fixture
def here(trained, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return trained


def cell_folder(study: Path, model: str) -> Path:
    dataset, name = ("told", "tft") if model == "told" else ("toy", model)
    return study / f"results/small/accuracy/{dataset}/{name}/L24_H8/cpu_fp32/seed1"


def write_csv(series: Series, first: int, end: int, path="my.csv", known_until: int | None = None) -> list:
    """Write rows of a series in another order of columns; returns them for changes."""
    inputs = series.facts.get("known_columns", []) + series.facts.get("past_covariate_columns", [])
    rows = [["extra", *reversed(series.columns), "date", *inputs]]
    for i in range(first, known_until or end):
        numbers = [f"{number:.9g}" if i < end else "" for number in reversed(series.values[i])]
        told = [] if series.known is None else [f"{series.known[i, 0]:.9g}"]
        seen = [] if not told else [f"{series.past_covariates[i, 0]:.9g}" if i < end else ""]
        rows.append(["1", *numbers, str(series.timestamps[i]), *told, *seen])
    return save_csv(rows, path)


def save_csv(rows: list, path="my.csv") -> list:
    with Path(path).open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return rows


def read_csv(path="forecast.csv") -> tuple[list, dict]:
    with Path(path).open(newline="") as file:
        header, *rows = csv.reader(file)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    dates = columns.pop("date")
    return list(dates), {name: np.array(column, dtype=float) for name, column in columns.items()}


def evaluated(study: Path, model: str, series: Series) -> tuple[np.ndarray, np.ndarray | None]:
    """The forecast (H, v) of test window WINDOW as the evaluation makes it, in original units, and levels."""
    folder, scaler = cell_folder(study, model), Scaler.fit(series)
    windows = Windows(series, LOOKBACK, HORIZON, "test", scaler)
    cell = Cell.from_dict(json.loads((folder / "metrics.json").read_text())["cell"])
    built = model_of(cell, series, windows.n_marks).eval()
    built.load_state_dict(load_file(folder / "model.safetensors"))
    with torch.no_grad():
        point, levels = forecasts(built, windows.batch(torch.tensor([WINDOW]))[0])
    levels = None if levels is None else scaler.unscale(levels[0].movedim(-1, 0).numpy())
    return scaler.unscale(point[0].numpy()), levels


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("further_past", [0, 50])
def test_a_forecast_is_that_of_the_evaluation(here, model, further_past):
    series = told_series() if model == "told" else make_series()
    last = series.splits["test"][0] + WINDOW  # the first row of the forecast
    write_csv(
        series,
        last - LOOKBACK - further_past,
        last,
        known_until=last + HORIZON if model == "told" else None,
    )
    assert main(["predict", str(cell_folder(here, model)), "my.csv"]) == 0
    dates, columns = read_csv()
    point, levels = evaluated(here, model, series)
    assert dates == [str(t).replace("T", " ") for t in series.timestamps[last : last + HORIZON]]
    assert list(columns)[:3] == ["v0", "v1", "v2"]
    for v, name in enumerate(series.columns):
        np.testing.assert_allclose(columns[name], point[:, v], rtol=1e-6)
    assert np.ptp(columns["v2"]) > 0.1
    if model in ("tft", "told"):
        named = [f"{name} q{level}" for name in series.columns for level in (0.1, 0.5, 0.9)]
        assert list(columns)[3:] == named
        for v, name in enumerate(series.columns):
            low, middle, high = (columns[f"{name} q{level}"] for level in (0.1, 0.5, 0.9))
            np.testing.assert_array_equal(middle, columns[name])
            np.testing.assert_allclose([low, middle, high], levels[..., v], rtol=1e-6)
            assert (low < middle).all()
            assert (middle < high).all()
    else:
        assert len(columns) == 3


def test_known_inputs_matter(here):
    series = told_series()
    rows = write_csv(series, 500, 530, known_until=538)
    main(["predict", str(cell_folder(here, "told")), "my.csv"])
    before = read_csv()[1]["v0"]
    rows[-1][5] = "100"
    save_csv(rows)
    main(["predict", str(cell_folder(here, "told")), "my.csv"])
    assert abs(read_csv()[1]["v0"][-1] - before[-1]) > 1e-3


def test_it_says_what_it_wrote(here, capsys):
    write_csv(make_series(), 0, 30)
    arguments = ["predict", str(cell_folder(here, "dlinear")), "my.csv", "--output", "out/next.csv"]
    assert main(arguments) == 0
    assert capsys.readouterr().out == "out/next.csv: 8 steps, 2020-01-02 06:00:00 to 2020-01-02 13:00:00\n"
    main([*arguments, "--json"])
    assert json.loads(capsys.readouterr().out) == {
        "output": "out/next.csv",
        "steps": 8,
        "first": "2020-01-02 06:00:00",
        "last": "2020-01-02 13:00:00",
    }
    assert len(read_csv("out/next.csv")[0]) == 8


def test_data_elsewhere_and_the_studys_form_of_file(here, tmp_path):
    study = STUDY.replace("path: toy.csv,", "path: toy.csv, delimiter: ';', date_column: when,")
    Path("own.yaml").write_text(study)
    make_series().save(tmp_path / "prepared")
    write_csv(make_series(), 0, 30)
    text = Path("my.csv").read_text()
    Path("own.csv").write_text(text.replace(",", ";").replace("date", "when"))
    cell = str(cell_folder(here, "dlinear"))
    assert main(["predict", cell, "my.csv"]) == 0
    wanted = read_csv()
    assert main(["predict", cell, "own.csv", "--config", "own.yaml", "--data", "prepared"]) == 0
    text = Path("forecast.csv").read_text()
    assert text.startswith("when,v0,")
    save_csv(list(csv.reader(text.replace("when", "date", 1).splitlines())))
    dates, columns = read_csv("my.csv")
    assert dates == wanted[0]
    np.testing.assert_array_equal(columns["v1"], wanted[1]["v1"])


def refusal(capsys, *arguments) -> str:
    capsys.readouterr()
    assert main(["predict", *map(str, arguments)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert not Path("forecast.csv").exists()
    return error


def test_a_cell_must_be_there_and_ok(here, capsys, tmp_path):
    write_csv(make_series(), 0, 30)
    assert "there is no cell in nowhere" in refusal(capsys, "nowhere", "my.csv")
    row = json.loads((cell_folder(here, "dlinear") / "metrics.json").read_text())
    row |= {"status": "oom", "reason": "it took too much"}
    (tmp_path / "metrics.json").write_text(json.dumps(row))
    assert "it ended as oom (it took too much)" in refusal(capsys, tmp_path, "my.csv")


@pytest.mark.parametrize("lost", ["status", "cell", "training", "epochs"])
def test_a_cell_of_another_version_is_refused(here, capsys, tmp_path, lost):
    row = json.loads((cell_folder(here, "dlinear") / "metrics.json").read_text())
    if lost == "epochs":  # renamed since
        row["cell"]["training"]["rounds"] = row["cell"]["training"].pop("epochs")
    else:
        (row["cell"] if lost == "training" else row).pop(lost)
    (tmp_path / "metrics.json").write_text(json.dumps(row))
    assert "is of another version" in refusal(capsys, tmp_path, "my.csv")


def test_the_data_must_be_there_and_the_cells(here, capsys):
    write_csv(make_series(), 0, 30)
    refused = partial(refusal, capsys, cell_folder(here, "dlinear"), "my.csv", "--data")
    assert "no prepared data set in elsewhere" in refused("elsewhere")
    replace(make_series(), sha256="1" * 64).save(Path("other"))
    assert f"their sha256 is {'1' * 64}, wanted {'0' * 64}" in refused("other")


def test_weights_must_be_there_and_fit(here, capsys, tmp_path):
    write_csv(make_series(), 0, 30)
    (tmp_path / "metrics.json").write_text((cell_folder(here, "dlinear") / "metrics.json").read_text())
    refused = partial(refusal, capsys, tmp_path, "my.csv", "--data", here / "results/small/data/toy")
    assert "model.safetensors, though the cell ended ok; train it again" in refused()
    weights = (cell_folder(here, "seasonal_naive") / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights)
    error = refused()
    assert "do not fit the model" in error
    assert "Train the cell again" in error


def test_the_file_must_suffice(here, capsys):
    refused = partial(refusal, capsys, cell_folder(here, "dlinear"), "my.csv")
    rows = write_csv(make_series(), 0, 23)
    assert "looks back 24 rows, but the file has 23" in refused()
    save_csv([[row[0], row[2], row[4]] for row in rows])
    assert "there is no column 'v0', 'v2'" in refused()
    rows = write_csv(make_series(), 0, 30)
    rows[1][1] = ""  # before the lookback, so nobody needs it
    rows[10][1] = rows[12][3] = ""
    save_csv(rows)
    error = refused()
    assert "2 cells are missing: 'v2' in line 11 (2020-01-01T09:00:00); 'v0' in line 13" in error
    save_csv([rows[0], *rows[:0:-1]])
    assert "time runs backwards" in refused()
    series = make_series()
    write_csv(replace(series, timestamps=series.timestamps[0] + np.arange(600) * np.timedelta64(900)), 0, 30)
    assert "trained on rows 1 x 1h apart, but these are 0.25 x 1h apart" in refused()


def test_known_inputs_must_go_on(here, capsys):
    refused = partial(refusal, capsys, cell_folder(here, "told"), "my.csv")
    write_csv(told_series(), 0, 30, known_until=37)
    assert "8 rows with 'plan' and empty variates are wanted" in refused()
    rows = write_csv(told_series(), 0, 30, known_until=40)
    rows[38][5] = rows[40][5] = ""  # the last one lies behind the horizon
    save_csv(rows)
    assert "1 cell is missing: 'plan' in line 39" in refused()


def test_values_before_the_lookback_may_be_missing(here):
    rows = write_csv(make_series(), 0, 30)
    rows[6][1] = ""
    save_csv(rows)
    assert main(["predict", str(cell_folder(here, "dlinear")), "my.csv"]) == 0


@pytest.mark.parametrize(
    ("step", "last", "wanted"),
    [
        (Step(15, "min"), "2020-02-28T23:45:00", ["2020-02-29T00:00:00", "2020-02-29T00:15:00"]),
        (Step(1, "w"), "2020-12-28", ["2021-01-04T00:00:00", "2021-01-11T00:00:00"]),
        (Step(1, "mo"), "2020-11-15T06:00:00", ["2020-12-15T06:00:00", "2021-01-15T06:00:00"]),
        (Step(1, "mo"), "2020-01-30", ["2020-02-29T00:00:00", "2020-03-30T00:00:00"]),
        (Step(1, "mo"), "2021-02-28", ["2021-03-31T00:00:00", "2021-04-30T00:00:00"]),
        (Step(3, "mo"), "2020-10-01", ["2021-01-01T00:00:00", "2021-04-01T00:00:00"]),
    ],
)
def test_time_goes_on(step, last, wanted):
    assert [str(stamp) for stamp in step.after(np.datetime64(last, "s"), 2)] == wanted
