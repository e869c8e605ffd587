"""How the measurements of the scaling page were made, and what weakens them."""

import pandas as pd

from formerbench.analysis.measured import machines
from formerbench.report.context import Content
from formerbench.report.text import count, listed, percent, three_digits


def protocol(content: Content) -> list[tuple[str, str]]:
    """(what, how) of the protocol, as the reader of a matrix needs it."""
    rows = content.measured
    of_models = rows[rows["experiment"] != "mechanism"]
    planned = content.tables.study.get("scaling") or {}
    found = [
        ("Sizes", _sizes(of_models)),
        ("Threads", _distinct(rows["threads"])),
        ("Machine's peak", _peaks(content)),
        ("Share of it", _shares(rows)),
        ("Budgets", _budgets(planned)),
        (
            "Time",
            "the median over fresh processes of the median of repeats; in each, two repeats that do not "
            "count, then repeats until their median is known to 2 % or the time is up.",
        ),
        ("Training step", "zero_grad, forward, loss, backward, optimizer; of a mechanism forward, backward."),
        (
            "Memory",
            "peak of tensors: what torch's allocator held at most, exact. Process memory: resident above the "
            "level before the model was built, or allocated on CUDA. 1 MB is 2^20 bytes.",
        ),
        (
            "Noise",
            "ties are times whose intervals overlap: from the least to the greatest median of three or more "
            "processes, or of one process the 95 % interval of its median.",
        ),
    ]
    return [(what, how) for what, how in found if how]


def _distinct(values: pd.Series) -> str:
    there = sorted({int(value) for value in values.dropna()})
    return listed([f"{value:,}" for value in there]) if there else ""


def _sizes(rows: pd.DataFrame) -> str:
    names = {"d_model": "d_model", "n_heads": "heads", "d_ff": "d_ff", "layers": "layers"}
    words = [f"{word} {_distinct(rows[name])}" for name, word in names.items() if _distinct(rows[name])]
    return f"{', '.join(words)}; the inputs are random." if words else ""


def _peaks(content: Content) -> str:
    """FLOP/s and bytes/s of each machine that timed a row, as the machines were measured."""
    found = {}
    for source in (content.tables, *content.evidence):
        for one in source.machine:
            if one.get("flop_per_s"):
                words = f"{one['flop_per_s'] / 1e9:,.0f} GFLOP/s"
                if one.get("copy_bytes_per_s"):
                    words += f", copies {one['copy_bytes_per_s'] / 1e9:,.0f} GB/s"
                found[_machine(one)] = words
    return "; ".join(f"{chip}: {words}" for chip, words in found.items())


def _machine(one: dict) -> str:
    chip = (one.get("gpu") if one.get("device") == "cuda" else None) or one.get("cpu") or "not known"
    precision = f" {one['precision']}" if one.get("precision") else ""
    threads = one.get("threads")
    return f"{chip}{precision}" + (f", {count(threads, 'thread')}" if threads else "")


def _shares(rows: pd.DataFrame) -> str:
    shares = rows.loc[rows["status"] == "ok", "share_of_peak"].dropna()
    if shares.empty:
        return ""
    low, middle, high = (percent(100 * shares.quantile(q)) for q in (0, 0.5, 1))
    return f"{low} to {high}, median {middle}"


def _budgets(planned: dict) -> str:
    words = []
    if planned.get("memory_budget_mb"):
        words.append(f"{three_digits(float(planned['memory_budget_mb']))} MB")
    if planned.get("time_budget_s"):
        words.append(f"{three_digits(float(planned['time_budget_s']))} s in all")
    limits = planned.get("longest") or {}
    if limits.get("memory_mb") and limits.get("step_s"):
        words.append(f"for the longest lookback {limits['memory_mb']:g} MB and {limits['step_s']:g} s a step")
    return "; ".join(words)


def banners(content: Content) -> list[tuple[str, str]]:
    """(headline, sentence) of everything that a reader must know before believing a time."""
    study, rows = content.tables.study, content.measured
    found = [("Note", study["notice"])] if study.get("notice") else []
    ok = rows[rows["status"] == "ok"]
    busy = ok[ok["busy"].fillna(False).astype(bool)]
    if len(busy):
        where = listed(sorted({f"{study} ({machine})" for study, machine in _places(busy)}))
        words = (
            f"{count(len(busy), 'measurement')} of {len(ok):,} ran while something else used the machine: "
        )
        found.append(
            ("Busy machine", f"{words}their times may be too high; memory is not affected. {where}.")
        )
    unwatched = int(ok["busy"].isna().sum())
    if unwatched:
        words = f"for {count(unwatched, 'measurement')} it is not known whether something else ran."
        found.append(("Unwatched machine", words))
    dirty = rows["git_dirty"].fillna(False).astype(bool)
    if dirty.any():
        words = f"{count(int(dirty.sum()), 'measurement')} ran code with uncommitted changes: "
        found.append(("Uncommitted code", words + "the commit alone does not give it back."))
    return found


def _places(rows: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(rows["study"], machines(rows), strict=True))
