"""``formerbench compare``: two studies, machines or commits against each other."""

import json
from dataclasses import asdict
from pathlib import Path
from textwrap import fill

from formerbench.cli.command import command

_WIDTH = 100
_SHOWN = 20
_QUANTITIES = {
    "mse": "MSE",
    "step_time_ms": "training step of a cell, ms",
    "inference_time_ms": "inference of a cell, ms",
    "peak_memory_mb": "peak memory of a cell, MB",
    "time_ms": "time, ms",
    "peak_tensor_mb": "peak of tensors, MB",
}
_HOW_TO_READ = (
    "Ratios are B over A: below 1, B is more accurate, faster or leaner. Each is a geometric mean over the "
    "shared cells; its 95 % interval is for other cells like these, not for another day of the machine. "
    "Counts are of differences beyond the noise, which one in twenty equal cells shows by chance."
)
_SUMMARY = "  {:<32}{:>7} {:>16} {:>6} {:>7} {:>8} {:>5} {:>8}"
_HEADS = ("ratio", "95 % interval", "cells", "B lower", "B higher", "level", "no noise")
_PHASES = {"train_step": "training", "inference": "inference", "": ""}


def add(commands) -> None:
    """Add the command."""
    compare = command(
        commands,
        "compare",
        "Compare errors, times and memory of two studies cell by cell: ratios of B over A, their noise, and "
        "what else differs.",
        "formerbench compare results/before results/after",
        _compare,
    )
    for name in ("a", "b"):
        compare.add_argument(
            name, metavar=name.upper(), type=Path, help="folder of a study, of its tables, or of evidence"
        )
    compare.add_argument("--json", action="store_true", help="print every cell as JSON")


def _compare(options) -> None:
    from formerbench.analysis.compare import compare
    from formerbench.analysis.sides import read_side

    found = compare(read_side(options.a), read_side(options.b))
    print(json.dumps(_plain(found), indent=1, allow_nan=False) if options.json else _text(found))


def _plain(found) -> dict:
    """The comparison without its tables."""
    return {
        "a": found.a.name,
        "b": found.b.name,
        "other_data": found.other_data,
        "differences": [{"what": what, "a": a, "b": b} for what, a, b in found.differences],
        "summaries": [asdict(summary) for summary in found.summaries],
        "changes": [
            asdict(change) | {"ratio": change.ratio, "clear": change.clear} for change in found.changes
        ],
        "endings": [{"cell": axes, "a": a, "b": b, "reason": reason} for axes, a, b, reason in found.endings],
        "not_compared": [{"number": number, "why": why} for number, why in found.not_compared],
    }


def _text(found) -> str:
    parts = [
        [f"A: {found.a.name}", f"B: {found.b.name}"],
        _other_data(found),
        _summaries(found),
        _clear(found),
        _endings(found),
        _differences(found),
        [_wrapped(f"{number:,} {why}", "  ") for number, why in found.not_compared],
    ]
    parts[-1][:0] = ["Not compared"] if parts[-1] else []
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _wrapped(text: str, indent: str = "", more: str = "  ") -> str:
    return fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent + more)


def _other_data(found) -> list[str]:
    if not found.other_data:
        return []
    named = ", ".join(f"{name} ({cells} cells)" for name, cells in found.other_data.items())
    words = "the checksums of their files differ, so their errors are not compared."
    return [_wrapped(f"DIFFERENT DATA: {named}: {words}", more="")]


def _summaries(found) -> list[str]:
    if not found.summaries:
        return ["No quantity can be compared."]
    lines = [_wrapped(_HOW_TO_READ, more="")]
    place = None
    for one in found.summaries:
        if one.place != place:
            place = one.place
            lines += ["", _wrapped(place or "Errors"), _SUMMARY.format("", *_HEADS)]
        counts = (one.cells, one.lower, one.higher, one.level, one.unknown)
        name = _quantity(one.quantity, one.phase)
        lines.append(_SUMMARY.format(name, _ratio(one.ratio), _interval(one), *counts))
    return lines


def _quantity(quantity: str, phase: str) -> str:
    return ", ".join(filter(None, (_QUANTITIES[quantity], _PHASES[phase])))


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3f}"


def _interval(one) -> str:
    return "not known" if one.low is None else f"{_ratio(one.low)} to {_ratio(one.high)}"


def _clear(found) -> list[str]:
    clear = [change for change in found.changes if change.clear]
    if not clear:
        return ["No single cell differs by more than the noise."]
    rest = f", the largest {_SHOWN} of {len(clear):,} (--json has all)" if len(clear) > _SHOWN else ""
    lines = [f"Clear differences{rest}"]
    for change in clear[:_SHOWN]:
        phase = change.cell.get("phase", "")
        numbers = f"{_ratio(change.ratio)} ({_interval(change)})  {_number(change.a)} -> {_number(change.b)}"
        lines.append(f"  {numbers:<50}{_quantity(change.quantity, phase)}")
        lines.append(_wrapped(_cell(change.cell), "    "))
    return lines


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _cell(axes: dict) -> str:
    """The axes of a cell in a few words."""
    letters = {"lookback": "L", "horizon": "H", "n_variates": "D", "batch_size": "B"}
    words = [
        f"{letters[name]}={value}" if name in letters else str(value)
        for name, value in axes.items()
        if value is not None and name != "phase"
    ]
    return " ".join(words)


def _endings(found) -> list[str]:
    if not found.endings:
        return []
    rest = f", {_SHOWN} of {len(found.endings):,} (--json has all)" if len(found.endings) > _SHOWN else ""
    lines = [f"Ended differently{rest}"]
    for axes, a, b, reason in found.endings[:_SHOWN]:
        phase = f" {axes['phase']}" if "phase" in axes else ""
        why = f": {reason}" if reason else ""
        lines.append(_wrapped(f"{_cell(axes)}{phase}: {a} -> {b}{why}", "  "))
    return lines


def _differences(found) -> list[str]:
    if not found.differences:
        return ["Machine, versions, commit and threads are the same."]
    lines = ["What differs"]
    for what, a, b in found.differences:
        sides = (", ".join(_said(value) for value in values) or "not known" for values in (a, b))
        lines.append(_wrapped("{}: {} | {}".format(what, *sides), "  "))
    return lines


def _said(value: str) -> str:
    """A commit in ten letters, a truth as a word."""
    return {"True": "yes", "False": "no"}.get(value, value[:10] if len(value) == 40 else value)
