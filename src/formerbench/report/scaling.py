"""What the scaling page shows, and the answer that the first page takes from it."""

import pandas as pd

from formerbench.analysis.experiments import Ratio, latency, longest, switches
from formerbench.report import scaling_figures, scaling_text
from formerbench.report.any_length import any_length
from formerbench.report.context import Content, minute
from formerbench.report.groups import PHASES, Group, groups, origin, place
from formerbench.report.matrix import exponent, matrix, setting_words
from formerbench.report.palette import Style
from formerbench.report.scaling_protocol import banners, protocol
from formerbench.report.text import count, three_digits


def scaling(content: Content) -> dict:
    """Variables of ``scaling.html.j2``."""
    rows = content.measured
    of_lookback = groups(content, "lookback")
    return {
        "there": bool(len(rows)),
        "own": bool(len(content.tables.scaling)),
        "answers": scaling_text.answers(of_lookback),
        "letters": setting_words(),
        "banners": banners(content),
        "protocol": protocol(content),
        "at": any_length(content),
        "panels": _panels(of_lookback),
        "mechanisms": _panels(groups(content, "mechanism")),
        "variates": _panels(groups(content, "variates")),
        "latency": [_panel([group]) for group in groups(content, "horizon")],
        "best_throughput": _best_throughput(content),
        "switches": _switches(content),
        "longest": _longest(content),
        "unfinished": _unfinished(content),
        "origins": _origins(rows),
    }


def findings(content: Content) -> list[str]:
    """The answer of the study's own rows, for the first page; evidence is left to the scaling page."""
    own = [group for group in groups(content, "lookback") if not group.home[0]]
    if len(content.tables.scaling) and not own:
        return ["Time and memory were measured, but not by the length of the lookback."]
    return scaling_text.answers(own)


def _panels(found: list[Group]) -> list[dict]:
    """One panel a home: the phases of a place and setting."""
    homes = {}
    for group in found:
        homes.setdefault(group.home, []).append(group)
    return [_panel(members) for members in homes.values()]


def _panel(members: list[Group]) -> dict:
    first = members[0]
    single = len(first.axes) == 1
    return {
        "key": first.key,
        "place": first.place,
        "origin": first.origin,
        "own": not first.home[0],
        "setting": first.setting,
        "matrices": [matrix(group) for group in members],
        "figures": scaling_figures.growth(members) if single else [],
        "crossovers": [one for group in members for one in scaling_text.crossovers(group)] if single else [],
    }


def _style(content: Content, row: pd.Series) -> Style:
    known = content.mechanisms if row["experiment"] == "mechanism" else content.styles
    return known[row["subject"]]


def _number(value) -> dict | None:
    return (
        None if pd.isna(value) else {"text": three_digits(float(value)), "value": float(value), "bar": None}
    )


def _best_throughput(content: Content) -> str:
    """Who forecasts the most windows in a second, at which batch, in the study's first place."""
    rows = latency(content.measured)
    if rows.empty:
        return ""
    first = groups(content, "horizon")[0].home
    rows = rows[(rows["evidence"] == first[0]) & (rows["study"] == first[1]) & (rows["device"] == first[2])]
    rows = rows[rows["machine"] == first[4]]
    if rows.empty:
        return ""
    best = rows.loc[rows["windows_per_s"].idxmax()]
    return (
        f"The most forecasts in a second come from {_style(content, best).label}: "
        f"{three_digits(best['windows_per_s'])} windows of {count(int(best['horizon']), 'step')} each, "
        f"in batches of {int(best['batch_size'])}."
    )


def _switches(content: Content) -> list[dict]:
    return [
        {
            "style": _style(content, switch.row),
            "variant": switch.row["variant"],
            "lookback": int(switch.row["lookback"]),
            "phase": PHASES.get(switch.row["phase"], switch.row["phase"]),
            "place": place(switch.row),
            "base": "" if switch.base["precision"] == switch.row["precision"] else switch.base["precision"],
            "kernel": switch.row["attention_kernel"],
            "time": _number(switch.row["time_ms"]),
            "ratios": [_ratio(one) for one in (switch.time, switch.tensors, switch.resident)],
            "evidence": switch.row["evidence"],
        }
        for switch in switches(content.measured)
    ]


def _ratio(ratio: Ratio | None) -> dict | None:
    if ratio is None:
        return None
    interval = "" if ratio.low is None else f"{exponent(ratio.low)} to {exponent(ratio.high)}"
    return {
        "text": exponent(ratio.value),
        "value": ratio.value,
        "interval": interval,
        "level": not ratio.clear,
    }


def _longest(content: Content) -> list[dict]:
    return [
        {
            "style": _style(content, row),
            "phase": PHASES.get(row["phase"], row["phase"]),
            "place": place(row),
            "status": row["status"],
            "lookback": _count(row["lookback"]) if row["status"] == "ok" else None,
            "time": _number(row["time_ms"]),
            "memory": _number(row["peak_memory_mb"]),
            "reason": row["reason"],
            "evidence": row["evidence"],
        }
        for _, row in longest(content.measured).iterrows()
    ]


def _count(value) -> dict | None:
    return None if pd.isna(value) else {"text": f"{int(value):,}", "value": int(value), "bar": None}


def _unfinished(content: Content) -> list[dict]:
    """Every measurement that did not end ok, with its reason in full."""
    rows = content.measured
    rows = rows[(rows["status"] != "ok") & (rows["experiment"] != "longest")]
    return [
        {
            "style": _style(content, row),
            "status": row["status"],
            "experiment": row["experiment"],
            "variant": row["variant"],
            "sizes": [_count(row[name]) for name in ("lookback", "horizon", "n_variates", "batch_size")],
            "phase": PHASES.get(row["phase"], row["phase"]),
            "place": place(row),
            "reason": row["reason"],
            "reached": row["reached"],
            "evidence": row["evidence"],
        }
        for _, row in rows.iterrows()
    ]


def _origins(rows: pd.DataFrame) -> list[dict]:
    """Where all rows are from: study, machine and commit, own first."""
    keys = ["evidence", "study", "machine", "device", "precision", "host"]
    return [
        {
            "origin": origin(group),
            "place": place(dict(zip(keys, key, strict=True))),
            "host": key[-1],
            "rows": len(group),
            "newest": minute(max(group["started_at"])),
        }
        for key, group in rows.groupby(keys)
    ]
