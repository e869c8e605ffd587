"""A user's own file that is wrong: refused in one line that names the place, or taken and reported."""

import json

import numpy as np
import pytest

from formerbench.data import load
from formerbench.errors import StatedError

from ..project import STUDY

REFUSED, REPORTED, TAKEN = (
    "refused in one line that names the place",
    "kept as it is, and `dataset.json` says so",
    "taken; nothing is wrong with it",
)


def table(n: int = 60, variates: int = 2) -> list[list[str]]:
    """A header and ``n`` hourly rows of date and numbers; the last column is OT."""
    stamps = np.datetime64("2020-01-01T00:00:00") + np.arange(n) * np.timedelta64(1, "h")
    header = ["date", *(f"v{i}" for i in range(variates - 1)), "OT"]
    return [header, *([str(stamp), *(f"{i + j}" for j in range(variates))] for i, stamp in enumerate(stamps))]


def text(lines: list[list[str]]) -> bytes:
    return "\n".join(",".join(line) for line in lines).encode() + b"\n"


def with_cells(*cells: tuple[int, int, str]) -> bytes:
    """The table with a word in place of a cell; line 0 is the header."""
    lines = table()
    for line, column, word in cells:
        lines[line][column] = word
    return text(lines)


def swapped(i: int, j: int) -> bytes:
    lines = table()
    lines[i], lines[j] = lines[j], lines[i]
    return text(lines)


def stepped() -> bytes:
    """Hours, from the middle on quarters of an hour, with a hole of a day between them."""
    late = np.datetime64("2020-01-03T06:00:00") + np.arange(20) * np.timedelta64(15, "m")
    return text([*table(31), *([str(stamp), "1", "2"] for stamp in late)])


# Fault: result, and for each form of it the file, the keys of the data set, and what is said of it.
FAULTS = {
    "empty data file": (REFUSED, [(b"", {}, "its 0 columns"), (b"\n\n", {}, "no column 'date'")]),
    "data file with a header only": (REFUSED, [(text(table(0)), {}, "there are no rows")]),
    "data file that is no table": (
        REFUSED,
        [
            (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", {}, "its text is not utf-8"),
            (bytes(1000), {}, "no column 'date'"),
            (b"<!doctype html><title>Sign in</title>", {}, "no column 'date'"),
            (b'{"date": [1, 2]}', {}, "no column 'date'"),
            (text(table()).replace(b",", b";"), {}, "Set `date_column` or `delimiter`"),
            (text(table())[:-20] + b'\n"never closed', {}, "not a table of 3 columns"),
            (text([*table(), ["2020-02-01", "1", "2", "3"]]), {}, "not a table of 3 columns"),
        ],
    ),
    "data without its target": (
        REFUSED,
        [(text(table()), {"target": "oT"}, "no column 'oT' (did you mean 'OT")],
    ),
    "data with a column name twice": (
        REFUSED,
        [
            (with_cells((0, 1, "OT")), {}, "the column 'OT' is there more than once"),
            (with_cells((0, 1, "date")), {}, "the column 'date' is there more than once"),
        ],
    ),
    "data cell that is no number": (
        REFUSED,
        [
            (with_cells((9, 1, word)), {}, f"'v0' has 1 cells that are no numbers: '{word}' in line 10")
            for word in ("seven", "1.5 kW", "1_000", "0x1F", "$(touch x)", "--1", "1e", "TRUE", "2020-01-01")
        ],
    ),
    "data cell that is missing": (
        REFUSED,
        [(with_cells((9, 1, word)), {}, "'v0' in line 10") for word in ("", "NaN", "nan", "NA", "null", " ")],
    ),
    "data cell that is infinite or too large": (
        REFUSED,
        [
            (with_cells((9, 2, word)), {}, "line 10")
            for word in ("inf", "-inf", "Infinity", "1e39", "-1e300", "1e400")
        ],
    ),
    "data cell without a filler": (
        REFUSED,
        [
            (with_cells((1, 1, "")), {"fill": "forward"}, "'v0' in line 2"),
            (with_cells((60, 1, "")), {"fill": "interpolate"}, "'v0' in line 61"),
        ],
    ),
    "time stamp that cannot be read": (
        REFUSED,
        [
            (with_cells((9, 0, word)), {}, f"line 10: 'date': the time stamp {word!r} cannot be read")
            for word in ("yesterday", "2020-13-01", "01.02.2020 08:00", "1577836800")
        ],
    ),
    "time that runs backwards": (
        REFUSED,
        [(swapped(20, 21), {}, "first in line 22"), (swapped(1, 60), {}, "line 3")],
    ),
    "time that stands still": (
        REFUSED,
        [(text([[*line] for line in [table()[0], *[table()[1]] * 60]]), {}, "all time stamps are equal")],
    ),
    "data in another encoding": (
        REFUSED,
        [
            (text(table()).decode().replace("v0", "Zufluß").encode("latin-1"), {}, "its text is not utf-8"),
            (text(table()).decode().encode("utf-16"), {}, "its text is not utf-8"),
            (text(table()), {"encoding": "klingon"}, "there is no encoding 'klingon'"),
            (text(table()) + b"\xff\xfe", {}, "its text is not utf-8"),
        ],
    ),
    "data of too few rows": (
        REFUSED,
        [(text(table(n)), {"step": "1h"}, f"its {n} rows are too few for the split") for n in (1, 2, 3, 4)]
        + [(text(table(1)), {}, "all time stamps are equal")],
    ),
    "repeated time stamp": (
        REPORTED,
        [
            (
                with_cells((21, 0, table()[20][0])),
                {},
                "1 row repeats the time stamp before; first: 2020-01-01T19",
            )
        ],
    ),
    "mixed steps and gaps": (
        REPORTED,
        [
            (
                stepped(),
                {},
                "1 gap in the time stamps; first: from 2020-01-02T06:00:00 to 2020-01-03T06:00:00",
            ),
            (stepped(), {}, "19 rows follow the row before by less than one step"),
        ],
    ),
    "constant column": (
        REPORTED,
        [(with_cells(*((i, 1, "5") for i in range(1, 61))), {}, "Constant in all training rows: 'v0'")],
    ),
    "number that stands for a missing one": (
        REPORTED,
        [
            (
                with_cells((9, 1, "-9999")),
                {},
                "'v0' holds 1 cell of -9999, which stands for a missing measurement",
            ),
            (
                with_cells((9, 1, "1e20")),
                {"sentinels": [1e20]},
                "'v0' holds 1 cell of 1e+20, which stands for a missing measurement",
            ),
        ],
    ),
    "one variate": (TAKEN, [(text(table(variates=1)), {}, 1)]),
    "1,000 variates": (TAKEN, [(text(table(variates=1_000)), {}, 1_000)]),
    "hostile column names": (
        TAKEN,
        [
            (with_cells((0, 1, name)), {}, 2)
            for name in (
                "$(touch x)",
                "; rm -rf x",
                "../../up",
                "<script>alert(1)</script>",
                "'; DROP",
                "{{7*7}}",
            )
        ],
    ),
}


def said_of(folder, content: bytes, keys: dict) -> tuple[str, str | int]:
    """How ``content`` is dealt with, and the words about it or its number of variates."""
    path = folder / "mine.csv"
    path.write_bytes(content)
    try:
        series = load({"name": "mine", "path": str(path)} | keys)
    except StatedError as error:
        return REFUSED, str(error)
    assert np.isfinite(series.values).all()
    return (
        (REPORTED, " ".join(series.facts["defects"]))
        if series.facts["defects"]
        else (TAKEN, len(series.columns))
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_every_wrong_file_is_refused_or_reported(tmp_path, fault, reliability):
    result, forms = FAULTS[fault]
    for content, keys, wanted in forms:
        outcome, said = said_of(tmp_path, content, keys)
        assert outcome == result, said
        if result == TAKEN:
            assert said == wanted
        else:
            assert wanted in said
            assert "\n" not in said
        assert (tmp_path / "mine.csv").read_bytes() == content, "the user's file was changed"
    reliability(fault, len(forms), result)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("length", 10**13),
        ("length", 10),
        ("length", 300.0),
        ("variates", 10**10),
        ("drivers", 10**6),
        ("drivers", 10**3),
        ("step", "99999999999999d"),
        ("step", "1h\n"),
        ("step", "0h"),
        ("start", "yesterday"),
        ("start", "2020-13-01"),
        ("seasons", [10**12]),
        ("noise", float("nan")),
        ("correlation", 1),
        ("seed", -1),
    ],
)
def test_an_impossible_generated_series_is_refused(key, value, reliability):
    with pytest.raises(StatedError, match=f"{key}|length 400 is too short") as refused:
        load({"name": "made", "generate": {"length": 400, key: value}})
    assert "\n" not in str(refused.value)
    reliability("generated series that cannot be", 1, REFUSED)


@pytest.mark.slow
def test_odd_columns_run_to_the_end(project, reliability):
    """What the preparation lets pass must not break the cells and pages behind it."""
    rng = np.random.default_rng(1)
    odd = {
        "constant, so that every forecast is perfect": np.full((400, 1), 5),
        "repeating, so that one model is perfect": np.tile(rng.normal(size=(12, 2)), (34, 1))[:400],
        "huge and many": 1e30 * rng.normal(size=(400, 30)),
    }
    for what, values in odd.items():
        lines = [["date", *(f"v{i}" for i in range(values.shape[1]))]]
        lines += [[row[0], *map(str, cells)] for row, cells in zip(table(400)[1:], values, strict=True)]
        (project.root / "mine.csv").write_bytes(text(lines))
        project.write(STUDY | {"models": ["repeat", "seasonal_naive", "dlinear"]})
        project.snakemake()
        for model in ("repeat", "seasonal_naive", "dlinear"):
            cell = project.root / f"results/tiny/accuracy/mine/{model}/L24_H12/cpu_fp32/seed1"
            assert json.loads((cell / "metrics.json").read_text())["status"] == "ok", what
    reliability("odd columns in a whole study", len(odd), "every cell is scored and the report is made")
