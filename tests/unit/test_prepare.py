"""Preparing: registered files as they are, users' own files, and the ways in which a file can be wrong."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from formerbench.data import Series, load
from formerbench.data.calendar import most_frequent_step, step_of
from formerbench.data.download import sha256_of
from formerbench.data.prepare import prepare
from formerbench.data.registry import find
from formerbench.errors import StatedError


def mirrored(name: str) -> Path:
    """The registered file in the mirror, or the test is skipped."""
    mirror = os.environ.get("FORMERBENCH_MIRROR")
    if not mirror:
        pytest.skip("FORMERBENCH_MIRROR is not set")
    path = Path(mirror) / find(name).mirror_path
    if not path.is_file():
        pytest.skip(f"FORMERBENCH_MIRROR holds no {find(name).mirror_path}")
    return path


def rows(n: int = 40, hours: int = 1, form=lambda stamp: str(stamp).replace("T", " ")) -> list[list[str]]:
    """Hourly rows [time stamp, a, OT] with a = i and OT = -i."""
    stamps = np.datetime64("2020-01-01T00:00:00") + np.arange(n) * np.timedelta64(hours, "h")
    return [[form(stamp), str(i), str(-i)] for i, stamp in enumerate(stamps)]


def own(folder: Path, table: list[list[str]], header: str = "date,a,OT", **keys) -> dict:
    """Write a CSV file and give the mapping that a user would write for it."""
    delimiter = keys.get("delimiter", ",")
    text = "\n".join([header, *(delimiter.join(row) for row in table)]) + "\n"
    (folder / "mine.csv").write_bytes(text.encode(keys.get("encoding", "utf-8")))
    return {"name": "mine", "path": str(folder / "mine.csv")} | keys


def refused(dataset: dict) -> str:
    with pytest.raises(StatedError) as failed:
        load(dataset)
    assert "\n" not in str(failed.value)
    return str(failed.value)


# -- registered files --------------------------------------------------------------------------------------


def test_etth1_is_the_file_that_everyone_uses():
    series = prepare(find("ETTh1"), mirrored("ETTh1"))
    assert series.values.shape == (17420, 7)
    assert series.values.dtype == np.float32
    assert series.columns == ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
    assert [end - first for first, end in series.splits.values()] == [8640, 2880, 2880]
    assert (series.season, series.target) == (24, "OT")
    assert (str(series.timestamps[0]), str(series.timestamps[-1])) == (
        "2016-07-01T00:00:00",
        "2018-06-26T19:00:00",
    )
    np.testing.assert_allclose(series.values[0, [0, -1]], [5.827, 30.531], rtol=1e-6)
    facts = series.facts
    assert series.sha256 == "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"
    assert (facts["variant"], facts["bytes"], facts["step"], facts["rows"]) == (
        "registered",
        2589657,
        "1h",
        17420,
    )
    assert facts["defects"] == []


def test_a_crlf_copy_holds_the_same_numbers(tmp_path):
    source = mirrored("ETTh1")
    copy = tmp_path / "ETTh1.csv"
    copy.write_bytes(source.read_bytes().replace(b"\n", b"\r\n"))
    series = prepare(find("ETTh1"), copy)
    assert series.facts["variant"] == "crlf"
    assert (series.values == prepare(find("ETTh1"), source).values).all()


def test_weather_reports_its_defects_and_keeps_them():
    series = prepare(find("Weather"), mirrored("Weather"))
    checks = series.facts["checks"]
    assert [(found["column"][:8], found["count"]) for found in checks["sentinels"]] == [
        ("wv (m/s)", 1),
        ("max. PAR", 30),
        ("OT", 50),
    ]
    assert all(
        found["splits"] == {"train": found["count"], "val": 0, "test": 0} for found in checks["sentinels"]
    )
    assert (series.values == -9999).sum() == 81
    assert checks["duplicated_timestamps"] == 1
    assert checks["gaps"] == [{"start": "2020-05-29T09:30:00", "end": "2020-05-29T11:10:00", "steps": 10.0}]
    assert sum("\ufffd" in column for column in series.columns) == 3
    assert [end - first for first, end in series.splits.values()] == [36887, 5270, 10539]
    sentences = " ".join(series.facts["defects"])
    assert "'OT' holds 50 cells of -9999" in sentences
    assert "U+FFFD" in sentences
    json.dumps(series.facts, allow_nan=False)


def test_a_changed_registered_file_is_refused(tmp_path):
    path = tmp_path / "ETTh1.csv"
    path.write_text("date,OT\n2016-07-01,1\n")
    with pytest.raises(StatedError, match="is not the registered file"):
        prepare(find("ETTh1"), path)


def test_wrong_numbers_of_rows_and_variates_are_refused(tmp_path):
    entry = find(own(tmp_path, rows(40), rows=41))
    with pytest.raises(StatedError, match="41 rows are registered for mine, but it has 40"):
        prepare(entry)
    with pytest.raises(StatedError, match="3 variates are registered for mine, but it has 2"):
        prepare(dataclasses.replace(entry, rows=40, variates=3))


def test_a_download_needs_its_file(tmp_path):
    with pytest.raises(StatedError, match="fetch it first"):
        prepare(find("ETTh1"))
    with pytest.raises(StatedError, match="there is no file"):
        prepare(find("ETTh1"), tmp_path / "absent.csv")


# -- users' own files --------------------------------------------------------------------------------------


def test_an_own_file_with_the_defaults(tmp_path):
    dataset = own(tmp_path, rows(100))
    series = load(dataset)
    assert series.columns == ("a", "OT")
    assert series.values[:3].tolist() == [[0, 0], [1, -1], [2, -2]]
    assert series.splits == {"train": (0, 70), "val": (70, 80), "test": (80, 100)}
    assert (series.season, series.target, series.facts["step"]) == (24, "OT", "1h")
    assert series.sha256 == sha256_of(tmp_path / "mine.csv")
    assert (series.facts["source_file"], series.facts["variant"]) == ("mine.csv", "own file")
    assert str(tmp_path) not in json.dumps(series.facts)
    assert series.entities.tolist() == [0, 1]
    assert series.known is None


def test_semicolons_latin_1_day_first_decimal_comma_and_the_target_in_the_middle(tmp_path):
    table = rows(60, form=lambda stamp: f"{stamp.item():%d.%m.%Y %H:%M}")
    table = [[stamp, f"{i},5", f"{-i},25", "7"] for i, (stamp, *_) in enumerate(table)]
    series = load(
        own(
            tmp_path,
            table,
            "Zeit;Zufluß;Größe;Rest",
            delimiter=";",
            encoding="latin-1",
            decimal=",",
            date_column="Zeit",
            date_format="%d.%m.%Y %H:%M",
            target="Größe",
        )
    )
    assert series.columns == ("Zufluß", "Größe", "Rest")
    assert series.target == "Größe"
    assert series.values[3].tolist() == [3.5, -3.25, 7]
    assert str(series.timestamps[-1]) == "2020-01-03T11:00:00"
    assert series.facts["checks"]["constant_columns"] == ["Rest"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_other_encodings(tmp_path, encoding):
    series = load(own(tmp_path, rows(), "date,°C,OT", encoding=encoding))
    assert series.columns == ("°C", "OT")


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    dataset = own(tmp_path, rows(), encoding="utf-8-sig")
    del dataset["encoding"]
    assert load(dataset).columns == ("a", "OT")


@pytest.mark.parametrize(
    ("form", "keys"),
    [
        (lambda stamp: f"{stamp.item():%Y/%-m/%-d %-H:%M}", {}),
        (lambda stamp: f"{stamp.item():%Y-%m-%dT%H:%M:%S}", {}),
        (lambda stamp: f"{stamp.item():%Y-%m-%d %H:%M:%S}".removesuffix(" 00:00:00"), {}),
        (lambda stamp: f"{stamp.item():%Y-%m-%d %H:%M:%S.000}", {}),
        (lambda stamp: f"{stamp.item():%Y-%m-%dT%H:%M:%SZ}", {}),
        (lambda stamp: f"{stamp.item():%Y-%m-%dT%H:%M:%S}+00:00", {}),
        (lambda stamp: f"{stamp.item():%m/%d/%Y %I:%M %p}", {"date_format": "%m/%d/%Y %I:%M %p"}),
        (lambda stamp: f"{stamp.item():%d.%m.%y %H:%M}", {"date_format": "%d.%m.%y %H:%M"}),
    ],
)
def test_forms_of_time_stamps(tmp_path, form, keys):
    series = load(own(tmp_path, rows(60, form=form), **keys))
    wanted = np.datetime64("2020-01-01T00:00:00") + np.arange(60) * np.timedelta64(1, "h")
    assert (series.timestamps == wanted).all()


def test_dates_without_a_time_and_with_an_own_format(tmp_path):
    days = [[f"2020-02-{day:02d}", "1", str(day)] for day in range(1, 30)]
    series = load(own(tmp_path, days))
    assert (series.facts["step"], series.season) == ("1d", 7)
    swapped = [[f"{day:02d}.02.2020", "1", str(day)] for day in range(1, 30)]
    assert (load(own(tmp_path, swapped, date_format="%d.%m.%Y")).timestamps == series.timestamps).all()


def test_months_have_no_gaps(tmp_path):
    table = [
        [f"{year}-{month:02d}-01", "1", str(month)] for year in range(2000, 2005) for month in range(1, 13)
    ]
    series = load(own(tmp_path, table))
    assert (series.facts["step"], series.season) == ("1mo", 12)
    assert series.facts["checks"]["gap_count"] == 0
    del table[20]
    assert load(own(tmp_path, table)).facts["checks"]["gaps"][0]["steps"] == 2


def test_columns_known_inputs_and_past_covariates(tmp_path):
    table = [[stamp, a, b, "1", "2", "text"] for stamp, a, b in rows()]
    keys = {"columns": ["OT", "a"], "known": ["price"], "past_covariates": ["wind"], "target": "a"}
    series = load(own(tmp_path, table, "date,a,OT,price,wind,comment", **keys))
    assert series.columns == ("OT", "a")
    assert series.values[2].tolist() == [-2, 2]
    assert series.known.tolist() == [[1]] * 40
    assert series.past_covariates.tolist() == [[2]] * 40
    assert series.facts["known_columns"] == ["price"]
    assert series.facts["past_covariate_columns"] == ["wind"]


def test_duplicates_gaps_and_sentinels_are_reported_not_changed(tmp_path):
    table = rows(60)
    table[5][0] = table[4][0]
    del table[30:33]
    table[50][1] = "-9999"
    series = load(own(tmp_path, table))
    checks = series.facts["checks"]
    assert checks["duplicated_timestamps"] == 1
    assert [(gap["start"], gap["steps"]) for gap in checks["gaps"]] == [
        ("2020-01-01T04:00:00", 2),
        ("2020-01-02T05:00:00", 4),
    ]
    assert checks["sentinels"][0]["splits"] == {"train": 0, "val": 0, "test": 1}
    assert series.values[50, 0] == -9999
    assert len(series.values) == 57
    assert len(series.facts["defects"]) == 3


def test_a_long_list_of_gaps_is_cut_but_counted(tmp_path):
    table = [row for i, row in enumerate(rows(400)) if i % 10]
    checks = load(own(tmp_path, table)).facts["checks"]
    assert (len(checks["gaps"]), checks["gap_count"]) == (20, 39)


# -- missing cells -----------------------------------------------------------------------------------------


def holed(folder: Path, **keys) -> dict:
    table = rows()
    for i, word in ((3, ""), (4, "NaN"), (20, "NA")):
        table[i][1] = word
    return own(folder, table, **keys)


def test_missing_cells_are_an_error_that_names_them_and_the_remedy(tmp_path):
    message = refused(holed(tmp_path))
    assert message.startswith(
        "mine.csv: 3 cells are missing: 'a' in line 5 (2020-01-01T03:00:00); 'a' in line 6"
    )
    assert "set `fill` to forward or interpolate" in message
    assert (tmp_path / "mine.csv").read_text().splitlines()[4].endswith(",,-3")


@pytest.mark.parametrize(("fill", "wanted"), [("forward", [2, 2, 2, 5]), ("interpolate", [2, 3, 4, 5])])
def test_fill_does_what_it_says_and_says_so(tmp_path, fill, wanted):
    series = load(holed(tmp_path, fill=fill))
    assert series.values[2:6, 0].tolist() == wanted
    assert series.facts["fill"] == {"method": fill, "cells": 3}
    assert series.facts["checks"]["missing_cells"] == 3
    assert "3 missing cells were filled" in series.facts["defects"][0]


def test_fill_invents_nothing_where_there_is_no_neighbour(tmp_path):
    table = rows()
    table[0][2] = table[39][2] = ""
    assert "'OT' in line 2" in refused(own(tmp_path, table, fill="forward"))
    assert "2 cells are missing" in refused(own(tmp_path, table, fill="interpolate"))
    empty = [[stamp, "", b] for stamp, _, b in rows()]
    assert "40 cells are missing" in refused(own(tmp_path, empty, fill="interpolate"))


# -- files that cannot be used -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "column", "word", "said"),
    [
        (7, 1, "seven", r"the column 'a' has 1 cells that are no numbers: 'seven' in line 9"),
        (7, 1, "1.5 kW", "'1.5 kW' in line 9"),
        (7, 1, "inf", "'inf' in line 9"),
        (7, 2, "1e39", "line 9: 'OT' is too large"),
        (7, 0, "yesterday", "line 9: 'date': the time stamp 'yesterday' cannot be read"),
        (7, 0, "", "line 9: 'date': the time stamp"),
        (7, 0, "2020-01-01 07:00:00.5", "line 9: '2020-01-01 07:00:00.5' has a part of a second"),
        (
            7,
            0,
            "2020-01-01 01:00:00",
            "time runs backwards in 1 row, first in line 9: 2020-01-01T01:00:00 follows",
        ),
    ],
)
def test_a_bad_cell_is_named_by_column_and_line(tmp_path, row, column, word, said):
    table = rows()
    table[row][column] = word
    assert said in refused(own(tmp_path, table))


@pytest.mark.parametrize(
    ("header", "keys", "said"),
    [
        ("time,a,OT", {}, "there is no column 'date'"),
        ("Date,a,OT", {}, "(did you mean 'Date'?)"),
        ("date;a;OT", {}, "Set `date_column` or `delimiter`"),
        ("date,a,a", {}, "the column 'a' is there more than once"),
        ("date,a,OT", {"target": "0T"}, "no column '0T' (did you mean 'OT'?)"),
        ("date,a,OT", {"columns": ["a"], "target": "OT"}, "the target 'OT' is not among the variates"),
        ("date,a,OT", {"columns": ["a", "b"]}, "there is no column 'b'"),
        ("date,a,OT", {"columns": ["a"], "known": ["a"]}, "the column 'a' has two roles"),
        ("date,a,OT", {"known": ["a", "OT"]}, "no column is left to forecast"),
        ("date,a,OT", {"date_format": "%d.%m.%Y"}, "cannot be read as %d.%m.%Y (40 such rows)"),
        ("date,a,OT", {"sha256": "0" * 64}, "is not the registered file"),
    ],
)
def test_a_wrong_header_or_key_is_stated(tmp_path, header, keys, said):
    assert said in refused(own(tmp_path, rows(), header, **keys))


def test_day_first_dates_are_not_guessed(tmp_path):
    table = rows(form=lambda stamp: f"{stamp.item():%d.%m.%Y %H:%M}")
    assert "set `date_format`" in refused(own(tmp_path, table))


def test_another_encoding_is_stated(tmp_path):
    dataset = own(tmp_path, rows(), "date,Zufluß,OT", encoding="latin-1")
    assert "its text is not utf-8" in refused(dataset | {"encoding": "utf-8"})
    assert "no encoding 'klingon'" in refused(dataset | {"encoding": "klingon"})


def test_rows_of_unequal_length_empty_and_absent_files_are_stated(tmp_path):
    table = rows()
    assert "not a table of 3 columns" in refused(own(tmp_path, [*table, ["2020-02-01", "1", "2", "3"]]))
    assert "'OT' in line 42" in refused(own(tmp_path, [*table, ["2020-02-01 00:00", "1"]]))
    assert "there are no rows" in refused(own(tmp_path, []))
    (tmp_path / "mine.csv").write_bytes(b"")
    assert "its 0 columns" in refused({"name": "mine", "path": str(tmp_path / "mine.csv")})
    assert "there is no file" in refused({"name": "mine", "path": str(tmp_path / "absent.csv")})


def test_too_few_rows_for_the_splits_are_stated(tmp_path):
    assert "its 4 rows are too few" in refused(own(tmp_path, rows(4)))
    assert "its 40 rows are too few" in refused(
        own(tmp_path, rows(), split={"train": 30, "val": 10, "test": 10})
    )


def test_a_step_without_a_season_asks_for_one(tmp_path):
    assert "a step of 7h has no usual season" in refused(own(tmp_path, rows(hours=7)))
    assert load(own(tmp_path, rows(hours=7), season=5)).season == 5


# -- generated, saved, steps -------------------------------------------------------------------------------


def test_a_generated_series_is_complete_and_repeatable():
    series, again = load("synthetic"), load("synthetic")
    assert series.values.shape == (10_000, 7)
    assert series.known.shape == (10_000, 2)
    assert series.sha256 == again.sha256
    assert series.facts["generated"]["seed"] == 1
    other = load({"name": "synthetic", "generate": {"seed": 2}})
    assert other.sha256 != series.sha256


def test_a_series_is_the_same_after_saving_and_reading(tmp_path):
    table = [[*row, "1"] for row in rows()]
    series = load(own(tmp_path, table, "date,a,OT,price", known=["price"]))
    series.save(tmp_path / "prepared")
    again = Series.read(tmp_path / "prepared")
    for field in dataclasses.fields(Series):
        first, second = getattr(series, field.name), getattr(again, field.name)
        assert np.array_equal(first, second) if isinstance(first, np.ndarray) else first == second, field.name


@pytest.mark.parametrize(
    ("text", "season"),
    [("10min", 144), ("15min", 96), ("1h", 24), ("1d", 7), ("1w", 52), ("1mo", 12), ("3mo", 4), ("7h", None)],
)
def test_seasons_of_steps(text, season):
    assert str(step_of(text)) == text
    assert step_of(text).season() == season


def test_most_frequent_step_ignores_gaps_and_repeats():
    stamps = np.array(
        ["2020-01-01T00:00", "2020-01-01T00:00", "2020-01-01T00:10", "2020-01-01T00:20", "2020-01-05"]
    )
    assert str(most_frequent_step(stamps.astype("datetime64[s]"))) == "10min"
    assert most_frequent_step(stamps[:2].astype("datetime64[s]")) is None
