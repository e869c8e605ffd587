"""What is wrong or odd in a table: measured, put into words, and never changed."""

import numpy as np

from formerbench.data.calendar import Step
from formerbench.data.registry import Entry

LISTED = 20  # gaps, duplicates and constant columns that are listed; all are counted

Rows = dict[str, tuple[int, int]]


def time_checks(timestamps: np.ndarray, step: Step) -> dict:
    """Duplicates, gaps and rows off the step of sorted ``timestamps`` (t,), as plain JSON types."""
    elapsed = step.elapsed(timestamps)
    same = np.diff(timestamps).astype(np.int64) == 0
    gaps = np.flatnonzero(elapsed > 1)
    return {
        "duplicated_timestamps": int(same.sum()),
        "duplicated_examples": [str(stamp) for stamp in timestamps[1:][same][:LISTED]],
        "gaps": [
            {"start": str(timestamps[i]), "end": str(timestamps[i + 1]), "steps": round(float(elapsed[i]), 3)}
            for i in gaps[:LISTED]
        ],
        "gap_count": len(gaps),
        "short_steps": int(((elapsed < 1) & ~same).sum()),
    }


def cell_checks(
    values: np.ndarray, columns: tuple[str, ...], rows: Rows, sentinels: tuple[float, ...]
) -> dict:
    """Sentinels by column and split, and columns that are constant in the training rows; plain JSON types."""
    found = []
    for sentinel in sentinels:
        hits = values == sentinel
        for v in np.flatnonzero(hits.any(axis=0)):
            per_split = {split: int(hits[first:end, v].sum()) for split, (first, end) in rows.items()}
            found.append(
                {"column": columns[v], "value": sentinel, "count": int(hits[:, v].sum()), "splits": per_split}
            )
    first, end = rows["train"]
    constant = np.flatnonzero(np.ptp(values[first:end], axis=0) == 0)
    return {
        "sentinels": found,
        "constant_columns": [columns[v] for v in constant[:LISTED]],
        "constant_column_count": len(constant),
    }


def in_words(entry: Entry, checks: dict, fill: dict) -> list[str]:
    """The defects as plain sentences: the measured ones, then those that the registry tells of."""
    return [
        *_about_time(checks),
        *_about_cells(checks),
        *_about_fill(checks, fill),
        *entry.defects,
    ]


def _about_time(checks: dict):
    duplicates, gaps, short = checks["duplicated_timestamps"], checks["gap_count"], checks["short_steps"]
    if duplicates:
        example = checks["duplicated_examples"][0]
        yield f"{counted(duplicates, 'row repeats', 'rows repeat')} the time stamp before; first: {example}."
    if gaps:
        gap = checks["gaps"][0]
        yield (
            f"{counted(gaps, 'gap', 'gaps')} in the time stamps; first: from {gap['start']} to {gap['end']}, "
            f"{gap['steps']:g} steps. Windows run across as if there were none."
        )
    if short:
        yield f"{counted(short, 'row follows', 'rows follow')} the row before by less than one step."


def _about_cells(checks: dict):
    for found in checks["sentinels"]:
        where = ", ".join(f"{split} {count}" for split, count in found["splits"].items() if count)
        cells = counted(found["count"], "cell", "cells")
        yield (
            f"{found['column']!r} holds {cells} of {found['value']:g}, which stands "
            f"for a missing measurement (rows of {where or 'no split'}). Kept as it is."
        )
    if checks["constant_columns"]:
        names = ", ".join(f"{name!r}" for name in checks["constant_columns"])
        more = checks["constant_column_count"] - len(checks["constant_columns"])
        yield f"Constant in all training rows: {names}{f' and {more} more' if more else ''}."


def _about_fill(checks: dict, fill: dict):
    if fill["cells"]:
        how = {"forward": "the value before", "interpolate": "a straight line between the neighbours"}
        cells = counted(fill["cells"], "missing cell was", "missing cells were")
        yield f"{cells} filled with {how[fill['method']]}."


def counted(number: int, one: str, many: str) -> str:
    """``number`` with the singular or the plural."""
    return f"{number:,} {one if number == 1 else many}"
