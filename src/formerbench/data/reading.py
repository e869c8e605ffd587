"""Read a CSV file into numbers and time stamps; every cell that does not fit is named, none is guessed."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from formerbench.data.registry import Entry
from formerbench.errors import StatedError, nearest

MISSING_WORDS = ("", "na", "n/a", "nan", "null", "none")
NAMED_CELLS = 3  # how many bad cells a message names

# Year first, with - for / and a blank for T; %#z takes Z and offsets with or without a colon.
DATE_FORMS = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M%#z",
)


@dataclass(frozen=True)
class Table:
    """A CSV file as arrays; row i stands in line i + 2 of the file."""

    timestamps: np.ndarray  # (t,) datetime64[s]
    columns: tuple[str, ...]  # variates, then known inputs, then past covariates
    cells: np.ndarray  # (t, c) float64, NaN where missing


def read_table(entry: Entry, source: Path) -> Table:
    """Read the columns of ``entry`` from the CSV file ``source``.

    Raises:
        StatedError: no such file, another encoding, no such column, a cell that is no number, or a time stamp
            that cannot be read.
    """
    text = _decoded(entry, source)
    header = _header(entry, source, text)
    names = _chosen(entry, source, header)
    try:
        frame = pl.read_csv(
            io.BytesIO(text.encode()),
            separator=entry.delimiter,
            infer_schema=False,
            columns=[entry.date_column, *names],
        )
    except pl.exceptions.PolarsError as error:
        raise StatedError(
            f"{source.name}: not a table of {len(header)} columns with the delimiter {entry.delimiter!r} "
            f"({str(error).splitlines()[0]}); repair the file or set `delimiter`"
        ) from error
    if frame.height == 0:
        raise StatedError(f"{source.name}: a header and rows were expected, but there are no rows")
    timestamps = _timestamps(entry, source, frame[entry.date_column])
    cells = np.column_stack([_numbers(entry, source, frame[name]) for name in names])
    return Table(timestamps, tuple(names), cells)


def _decoded(entry: Entry, source: Path) -> str:
    try:
        return source.read_bytes().decode(entry.encoding).removeprefix("\ufeff").rstrip("\r\n")
    except OSError as error:
        raise StatedError(f"{entry.name}: cannot read the file {source}: {error.strerror}") from error
    except LookupError as error:
        raise StatedError(
            f"{entry.name}: there is no encoding {entry.encoding!r}; use one of Python's names"
        ) from error
    except UnicodeError as error:
        raise StatedError(
            f"{source.name}: its text is not {entry.encoding} ({error}); set `encoding`, such as latin-1"
        ) from error


def _header(entry: Entry, source: Path, text: str) -> list[str]:
    header = next(csv.reader(io.StringIO(text[:1_000_000]), delimiter=entry.delimiter), [])
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise StatedError(
            f"{source.name}: the column {twice[0]!r} is there more than once; give each its own name"
        )
    if entry.date_column not in header:
        raise StatedError(
            f"{source.name}: there is no column {entry.date_column!r}{nearest(entry.date_column, header)}; "
            f"its {len(header)} columns begin with {header[:4]}. Set `date_column` or `delimiter` "
            f"(now {entry.delimiter!r})"
        )
    return header


def _chosen(entry: Entry, source: Path, header: list[str]) -> list[str]:
    """The names of the variates, then of the known inputs and past covariates."""
    inputs = [*entry.known, *entry.past_covariates]
    others = [name for name in header if name != entry.date_column and name not in inputs]
    variates = list(entry.columns) if entry.columns else others
    wanted = [*variates, *inputs, *([entry.target] if entry.target else [])]
    if absent := [name for name in dict.fromkeys(wanted) if name not in header]:
        named = ", ".join(f"{name!r}" for name in absent)
        raise StatedError(f"{source.name}: there is no column {named}{nearest(absent[0], header)}")
    chosen = [*variates, *inputs]
    twice = [name for name in [entry.date_column, *chosen] if [entry.date_column, *chosen].count(name) > 1]
    if twice:
        raise StatedError(f"{entry.name}: the column {twice[0]!r} has two roles; give it one")
    if not variates:
        raise StatedError(f"{source.name}: no column is left to forecast; name some in `columns`")
    if entry.target and entry.target not in variates:
        raise StatedError(f"{entry.name}: the target {entry.target!r} is not among the variates {variates}")
    return chosen


def _numbers(entry: Entry, source: Path, column: pl.Series) -> np.ndarray:
    """(t,) float64 with NaN for missing cells."""
    text = column.str.strip_chars()
    missing = text.is_null() | text.str.to_lowercase().is_in(MISSING_WORDS)
    plain = text.str.replace(",", ".", literal=True) if entry.decimal == "," else text
    numbers = plain.cast(pl.Float64, strict=False).set(missing, None)
    bad = (~missing & ~numbers.is_finite().fill_null(False)).arg_true()
    if len(bad):
        named = ", ".join(f"{text[i]!r} in line {i + 2}" for i in bad[:NAMED_CELLS].to_list())
        raise StatedError(
            f"{source.name}: the column {column.name!r} has {len(bad)} cells that are no numbers: {named}; "
            f"repair them, leave the column out with `columns`, or set `decimal` (now {entry.decimal!r})"
        )
    too_large = (numbers.abs() > float(np.finfo(np.float32).max)).fill_null(False).arg_true()
    if len(too_large):
        where = f"{source.name}: line {too_large[0] + 2}: {column.name!r}"
        raise StatedError(f"{where} is too large for single precision; rescale the column")
    return numbers.fill_null(float("nan")).to_numpy()


def _timestamps(entry: Entry, source: Path, column: pl.Series) -> np.ndarray:
    """(t,) datetime64[s]; an offset from UTC is applied."""
    text = column.str.strip_chars().fill_null("")
    forms = (entry.date_format,) if entry.date_format else DATE_FORMS
    if not entry.date_format:
        text = text.str.replace("T", " ", literal=True).str.replace_all("/", "-", literal=True)
    stamps = _parsed(text, forms[0])
    # Some programs leave out the time at midnight; year-first forms exclude each other.
    for form in forms[1:]:
        if stamps.null_count():
            stamps = stamps.fill_null(_parsed(text, form))
    bad = stamps.is_null().arg_true()
    if len(bad):
        wanted = entry.date_format or "a year-first form such as 2016-07-01 02:00:00"
        raise StatedError(
            f"{source.name}: line {bad[0] + 2}: {column.name!r}: the time stamp {column[bad[0]]!r} cannot "
            f"be read as {wanted} ({len(bad)} such rows); set `date_format`, such as %d.%m.%Y %H:%M"
        )
    microseconds = stamps.to_physical()
    fine = (microseconds % 1_000_000 != 0).arg_true()
    if len(fine):
        where = f"{source.name}: line {fine[0] + 2}"
        raise StatedError(f"{where}: {column[fine[0]]!r} has a part of a second; whole seconds are wanted")
    return (microseconds // 1_000_000).to_numpy().astype("datetime64[s]")


def _parsed(text: pl.Series, form: str) -> pl.Series:
    """Time stamps in microseconds, null where ``form`` does not fit."""
    if "%z" in form or "%#z" in form:
        return text.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC").dt.replace_time_zone(
            None
        )
    return text.str.to_datetime(form, strict=False, time_unit="us")
