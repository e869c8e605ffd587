"""The matrices of the scaling page: length down, model across, and under them how the costs grow."""

import pandas as pd

from formerbench.analysis.fits import NoFit, PowerLaw
from formerbench.analysis.theory import Order, complexity
from formerbench.report.groups import WORDS, Group
from formerbench.report.palette import Style
from formerbench.report.text import three_digits

MEMORY_WORDS = {"peak_tensor_mb": "peak of tensors", "peak_memory_mb": "peak memory"}
_LAWS = {
    "time_ms": "Exponent of time",
    "peak_tensor_mb": "Exponent of tensor memory",
    "peak_memory_mb": "Exponent of process memory",
}
_HEADS = {
    "lookback": "L, steps",
    "n_variates": "D, variates",
    "horizon": "H, steps",
    "batch_size": "B, windows",
}
_CLOSE = 0.1  # exponents nearer than this are called the same


def matrix(group: Group) -> dict:
    """A table: one row a point of the axes, one cell a subject."""
    fastest, second, leanest = group.winners("time_ms"), _second(group), {}
    if second != "windows_per_s":
        leanest = group.winners(second)
    rows = []
    for point, here in group.rows.groupby("point"):
        cells = {row["subject"]: row for _, row in here.iterrows()}
        first = here.iloc[0]
        rows.append(
            {
                "heads": [f"{int(first[axis]):,}" for axis in group.axes],
                "cells": [
                    _cell(cells.get(style.name), second, fastest.get(point), leanest.get(point))
                    for style in group.styles
                ],
            }
        )
    return {
        "key": group.key,
        "phase": group.phase_words,
        "heads": [_HEADS[axis] for axis in group.axes],
        "second": "windows/s" if second == "windows_per_s" else f"{MEMORY_WORDS[second]}, MB",
        "styles": group.styles,
        "rows": rows,
        "laws": _laws(group),
        "orders": _orders(group) if group.axes == ["lookback"] else [],
        "sources": sources(group) if group.axes == ["lookback"] else [],
    }


def _second(group: Group) -> str:
    return "windows_per_s" if group.experiment == "horizon" else group.memory


def _cell(row: pd.Series | None, second: str, fastest, leanest) -> dict | None:
    """Both numbers of a measurement with their marks, or how it ended; None where it is not in the table."""
    if row is None:
        return None
    if row["status"] != "ok":
        reached = f", reached {row['reached']}" if row["reached"] else ""
        return {"status": row["status"], "reason": (row["reason"] or "no reason given") + reached}
    time = row["time_ms"]
    other = row["batch_size"] / (time / 1e3) if second == "windows_per_s" else row[second]
    return {
        "status": "ok",
        "time": _text(time),
        "second": _text(other),
        "time_mark": _mark(row["subject"], fastest),
        "second_mark": _mark(row["subject"], leanest),
        "busy": bool(pd.notna(row["busy"]) and row["busy"]),
    }


def _text(value) -> str:
    return "not measured" if pd.isna(value) else three_digits(float(value))


def _mark(subject: str, winner) -> str:
    if winner is None:
        return ""
    best, tied = winner
    return "best" if subject == best else "tie" if subject in tied else ""


def _laws(group: Group) -> list[dict]:
    """The exponent row of each quantity that was fitted for at least one subject."""
    found = []
    for quantity, name in _LAWS.items():
        laws = [group.fits.get((style.name, quantity)) for style in group.styles]
        if any(law is not None for law in laws):
            found.append({"name": name, "cells": [_law(law) for law in laws]})
    return found


def _law(law: PowerLaw | NoFit | None) -> dict | None:
    if law is None:
        return None
    if isinstance(law, NoFit):
        return {"text": "", "reason": f"no fit: {law.reason}"}
    return {
        "text": exponent(law.exponent),
        "interval": f"{exponent(law.low)} to {exponent(law.high)}",
        "range": f"{law.first:,}–{law.last:,}",
        "bent": not law.straight,
        "by": "resampled repeats" if law.by == "repeats" else "scatter about the line",
        "reason": "",
    }


def exponent(value: float) -> str:
    """Two decimals with a real minus sign."""
    return f"{value:.2f}".replace("-", "−")


def _orders(group: Group) -> list[dict]:
    """The theory row of time and of memory: the paper's order and what the fitted lengths show of it."""
    found = []
    for quantity, name, part in (("time_ms", "time", "time"), (group.memory, "memory", "memory")):
        cells = []
        for style in group.styles:
            known = complexity(style.name)
            law = group.fits.get((style.name, quantity))
            cells.append(None if known is None else _order(getattr(known, part), known.stated, law))
        if any(cell is not None for cell in cells):
            found.append({"name": f"Theory, {name}", "cells": cells})
    return found


def _order(order: Order, stated: bool, law: PowerLaw | NoFit | None) -> dict:
    cell = {"words": order.words, "stated": stated, "implied": "", "verdict": ""}
    if isinstance(law, PowerLaw):
        cell["implied"] = exponent(order.exponent(law.first, law.last)) if order.logs else ""
        cell["verdict"] = against(law, order)
    return cell


def against(law: PowerLaw, order: Order) -> str:
    """Whether the measured exponent is "above" or "below" what the order implies, or "as expected".

    Outside of its 95 % interval and at least 0.1 away.
    """
    implied = order.exponent(law.first, law.last)
    if law.low > implied and law.exponent - implied >= _CLOSE:
        return "above"
    if law.high < implied and implied - law.exponent >= _CLOSE:
        return "below"
    return "as expected"


def sources(group: Group) -> list[tuple[Style, str, str]]:
    """(style, source, note) of the orders of a group."""
    known = [(style, complexity(style.name)) for style in group.styles]
    return [
        (style, ("" if one.stated else "not stated; follows from ") + one.source, one.note)
        for style, one in known
        if one is not None
    ]


def setting_words() -> str:
    """What the letters of a setting mean."""
    meaning = {
        "lookback": "lookback",
        "horizon": "horizon",
        "n_variates": "variates",
        "batch_size": "windows in a batch",
    }
    return ", ".join(f"{WORDS[name]} {words}" for name, words in meaning.items())
