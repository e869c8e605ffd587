"""From a CSV file or the generator to a checked ``Series``; what is odd is reported, nothing is changed."""

import hashlib
from pathlib import Path

import numpy as np

from formerbench.data.calendar import Step, most_frequent_step, step_of
from formerbench.data.checks import cell_checks, counted, in_words, time_checks
from formerbench.data.download import sha256_of
from formerbench.data.registry import Entry, splits
from formerbench.data.series import Series
from formerbench.errors import StatedError

NAMED_CELLS = 3  # missing cells that a message names


def prepare(entry: Entry, source: Path | None = None) -> Series:
    """Read, check and describe a data set.

    Args:
        entry: the data set.
        source: its CSV file; needed for a downloaded one, by default ``entry.path`` for a user's own, unused
            for a generated one.

    Returns:
        A series whose ``facts`` hold source_file, variant, bytes, licence, attribution, step, rows,
        n_variates, horizons, generated, known_columns, past_covariate_columns, fill, checks and defects.

    Raises:
        StatedError: a file that is not the registered one, cells or time stamps that cannot be read, missing
            cells without `fill`, time that runs backwards, or too few rows for the splits.
    """
    if entry.kind == "generated":
        return _generated(entry)
    if source is None and entry.kind == "download":
        raise StatedError(f"{entry.name}: its file is needed; fetch it first")
    return _from_file(entry, Path(source or entry.path))


def _from_file(entry: Entry, source: Path) -> Series:
    from formerbench.data.reading import read_table

    origin = _origin(entry, source)
    table = read_table(entry, source)
    n_variates = len(table.columns) - len(entry.known) - len(entry.past_covariates)
    for what, wanted, came in (
        ("rows", entry.rows, len(table.cells)),
        ("variates", entry.variates, n_variates),
    ):
        if wanted is not None and came != wanted:
            raise StatedError(
                f"{source.name}: {wanted} {what} are registered for {entry.name}, but it has {came}"
            )
    refuse_unsorted(source, table.timestamps)
    step = step_of(entry.step) if entry.step else most_frequent_step(table.timestamps)
    if step is None:
        raise StatedError(
            f"{source.name}: all time stamps are equal, so there is no step; repair {entry.date_column!r}"
        )
    cells, fill = _filled(entry, source, table)
    blocks = np.split(cells, np.cumsum([n_variates, len(entry.known)]), axis=1)
    return _series(entry, step, table.timestamps, table.columns[:n_variates], blocks, origin | {"fill": fill})


def _generated(entry: Entry) -> Series:
    from formerbench.data.synthetic import generate

    made = generate(entry.generate)
    known = np.empty((len(made.values), 0)) if made.known is None else made.known
    content = b"".join([made.values.tobytes(), made.timestamps.tobytes(), known.astype(np.float32).tobytes()])
    origin = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "source_file": None,
        "variant": "generated",
        "bytes": None,
        "generated": entry.generate,
        "known_columns": list(made.known_columns),
        "fill": {"method": "none", "cells": 0},
    }
    blocks = [made.values, known, np.empty((len(known), 0))]
    return _series(entry, step_of(entry.step), made.timestamps, made.columns, blocks, origin)


def _origin(entry: Entry, source: Path) -> dict:
    """What the file is; a registered one must be the registered bytes."""
    if not source.is_file():
        raise StatedError(f"{entry.name}: there is no file {source}; correct `path` or fetch the data set")
    digest = sha256_of(source)
    if entry.accepted and digest not in entry.accepted:
        raise StatedError(
            f"{entry.name}: {source.name} is not the registered file: its sha256 is {digest}, wanted "
            f"{' or '.join(entry.accepted)}. Fetch it again, or give changed data its own name with `path`"
        )
    return {
        "sha256": digest,
        "source_file": Path(entry.mirror_path or source).name,
        "variant": entry.accepted.get(digest, "own file"),
        "bytes": source.stat().st_size,
        "generated": None,
        "known_columns": list(entry.known),
    }


def refuse_unsorted(source: Path, timestamps: np.ndarray) -> None:
    """Raise a StatedError that names the first row whose time stamp lies before the last one's."""
    backwards = np.flatnonzero(np.diff(timestamps).astype(np.int64) < 0)
    if len(backwards):
        i = int(backwards[0])
        raise StatedError(
            f"{source.name}: time runs backwards in {counted(len(backwards), 'row', 'rows')}, first in line "
            f"{i + 3}: {timestamps[i + 1]} follows {timestamps[i]}; sort the file by time"
        )


def _filled(entry: Entry, source: Path, table) -> tuple[np.ndarray, dict]:
    """The cells with the missing ones filled as the entry wants it, and what was done."""
    missing = np.isnan(table.cells)
    count = int(missing.sum())
    if not count:
        return table.cells, {"method": entry.fill, "cells": 0}
    if entry.fill == "none":
        raise StatedError(
            f"{source.name}: {named_missing(table, missing)}; repair them, or set `fill` to "
            "forward or interpolate"
        )
    cells = table.cells.copy()
    for v in np.flatnonzero(missing.any(axis=0)):
        cells[:, v] = (_carried if entry.fill == "forward" else _interpolated)(cells[:, v])
    if np.isnan(cells).any():
        raise StatedError(
            f"{source.name}: `fill: {entry.fill}` has no value to take: "
            f"{named_missing(table, np.isnan(cells))}; repair these, or leave the rows or columns out"
        )
    return cells, {"method": entry.fill, "cells": count}


def _carried(column: np.ndarray) -> np.ndarray:
    latest = np.maximum.accumulate(np.where(np.isnan(column), -1, np.arange(len(column))))
    return np.where(latest >= 0, column[latest], np.nan)


def _interpolated(column: np.ndarray) -> np.ndarray:
    rows, there = np.arange(len(column)), ~np.isnan(column)
    if not there.any():
        return column
    return np.interp(rows, rows[there], column[there], left=np.nan, right=np.nan)


def named_missing(table, missing: np.ndarray) -> str:
    """How many cells are missing, and the first of them by line and column."""
    where = np.argwhere(missing)
    named = "; ".join(
        f"{table.columns[v]!r} in line {i + 2} ({table.timestamps[i]})"
        for i, v in where[:NAMED_CELLS].tolist()
    )
    more = "; ..." if len(where) > NAMED_CELLS else ""
    return f"{counted(len(where), 'cell is', 'cells are')} missing: {named}{more}"


def _series(
    entry: Entry, step: Step, timestamps: np.ndarray, columns: tuple, blocks: list, origin: dict
) -> Series:
    """Put together what all kinds share; ``blocks`` are variates, known inputs and past covariates (t, .)."""
    values, known, past = blocks
    rows = splits(entry, len(values))
    season = entry.season or step.season()
    if season is None:
        raise StatedError(
            f"{entry.name}: a step of {step} has no usual season; set `season` to a number of steps"
        )
    checks = time_checks(timestamps, step) | {"missing_cells": origin["fill"]["cells"]}
    checks |= cell_checks(values, columns, rows, entry.sentinels)
    facts = origin | {
        "licence": entry.licence,
        "attribution": entry.attribution,
        "step": str(step),
        "rows": len(values),
        "n_variates": len(columns),
        "horizons": list(entry.horizons),
        "past_covariate_columns": list(entry.past_covariates),
        "checks": checks,
        "defects": in_words(entry, checks, origin["fill"]),
    }
    return Series(
        name=entry.name,
        values=_single(values),
        timestamps=timestamps,
        columns=tuple(columns),
        splits=rows,
        season=season,
        target=_target(entry, columns),
        entities=np.arange(len(columns), dtype=np.int64),
        sha256=facts.pop("sha256"),
        facts=facts,
        known=_single(known) if known.shape[1] else None,
        past_covariates=_single(past) if past.shape[1] else None,
    )


def _single(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, dtype=np.float32)


def _target(entry: Entry, columns: tuple) -> str:
    if entry.target is None:
        return columns[-1]
    if entry.target not in columns:
        raise StatedError(
            f"{entry.name}: the target {entry.target!r} is not among the variates {', '.join(columns)}"
        )
    return entry.target
