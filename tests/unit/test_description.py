"""A series is described by what it was made of, and the command recommends from it."""

import csv
import json

import numpy as np
import pytest

from formerbench.analysis.description import describe
from formerbench.cli import main
from formerbench.data.reading import Table

HOURS = np.datetime64("2020-01-01T00:00:00", "s") + np.arange(3000) * np.timedelta64(3600, "s")


def table(*columns, timestamps=HOURS):
    cells = np.column_stack(columns)
    return Table(timestamps[: len(cells)], tuple(f"c{i}" for i in range(cells.shape[1])), cells)


def wave(period, n=3000, phase=0.0):
    return np.sin(2 * np.pi * (np.arange(n) / period + phase))


def noise(size, seed=0):
    return size * np.random.default_rng(seed).standard_normal(3000)


def test_season_and_its_strength_are_found():
    found = describe(table(wave(24) + noise(0.2), wave(24, phase=0.3) + noise(0.2, 1)))
    assert (found.rows, found.n_variates, found.step, found.season) == (3000, 2, "1h", 24)
    # Var(S) = 0.5 and Var(R) = 0.04.
    assert found.seasonality == pytest.approx(0.5 / 0.54, abs=0.04)
    assert found.trend < 0.3


@pytest.mark.parametrize("period", [7, 60, 168])
def test_a_period_that_no_calendar_knows_is_found(period):
    assert describe(table(wave(period) + noise(0.3))).season == period


def test_two_periods_come_strongest_first():
    found = describe(table(2 * wave(168) + wave(24) + noise(0.2)))
    assert found.periods == (168, 24)


def test_overtones_are_no_periods():
    assert describe(table(np.maximum(wave(24), 0) ** 3 + noise(0.02))).periods == (24,)


def test_noise_and_a_trend_alone_have_no_period():
    assert describe(table(noise(1.0))).periods == ()
    bare = describe(table(np.arange(3000.0) + noise(1.0)))
    assert (bare.season, bare.seasonality, bare.trend) == (None, None, None)


def test_a_trend_beside_a_season_is_strong():
    found = describe(table(0.01 * np.arange(3000) + wave(24) + noise(0.3)))
    assert found.season == 24
    assert found.trend > 0.95


def test_missing_cells_are_counted_and_bridged():
    column = wave(24) + noise(0.1)
    column[100:105] = np.nan
    found = describe(table(column, np.full(3000, np.nan), np.ones(3000)))
    assert (found.missing, found.season, found.variates_read) == (3005, 24, 1)


def test_few_rows_are_described_too():
    found = describe(table(np.array([1.0, 2.0, 4.0])))
    assert (found.rows, found.periods, found.season) == (3, (), None)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my.csv"
    with path.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["when", "a", "b"])
        rows = zip(HOURS, wave(24) + noise(0.2), wave(24) + noise(0.2, 1), strict=True)
        writer.writerows([str(stamp), a, b] for stamp, a, b in rows)
    return path


def test_the_command_prints_data_path_and_evidence(file, capsys):
    arguments = ["recommend", str(file), "--horizon", "96", "--date-column", "when"]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["data"]["n_variates"], found["data"]["season"]) == (2, 24)
    assert (found["query"]["lookback"], found["query"]["horizon"]) == (204, 96)
    # 200 <= L < 1000 and a strong season.
    assert found["review"]["model"] == "autoformer"
    assert found["answer"]["best"] == found["answer"]["candidates"][0]["model"]
    assert found["cells"][0][0]["dataset"] == "ETTh1"
    assert (
        main(["recommend", str(file), "--horizon", "96", "--date-column", "when", "--memory-gb", "0.001"])
        == 0
    )
    text = capsys.readouterr().out
    assert "periods of 24 steps" in text
    assert "MB are there" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--horizon", "96"], "there is no column 'date'"),
        (["--horizon", "0", "--date-column", "when"], "--horizon must be at least 1, but it is 0"),
        (
            ["--horizon", "9", "--date-column", "when", "--tables", "nowhere"],
            "there is no accuracy.csv in nowhere",
        ),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_line(file, capsys, arguments, said):
    assert main(["recommend", str(file), *arguments]) == 1
    assert said in capsys.readouterr().err
