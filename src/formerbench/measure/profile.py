"""Rows of the scaling table: measurements with where and under which conditions they were made."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from statistics import median, quantiles

from formerbench import devices
from formerbench.measure.sandbox import Outcome, Sandbox
from formerbench.measure.work import LEAST, Work
from formerbench.provenance import provenance
from formerbench.results import SCALING_COLUMNS


def blank_row(work: Work) -> dict:
    """A row of the scaling table that says what is measured, and nothing yet of how that ended."""
    known = work.as_dict() | work.options
    return {name: known.get(name) for name in SCALING_COLUMNS}


class Profiler:
    """Measures one piece of work after the other.

    Args:
        sandbox: where measurements run.
        seconds: how long one is repeated in a process at most.
        flop_per_s: what the machine can do at the precision measured, for the share of it; None leaves that
            column empty.
        processes: fresh processes that time one; how far a time is the process's own shows between them only.
        columns: those that all rows share, such as ``study`` and ``experiment``.
    """

    def __init__(
        self, sandbox: Sandbox, seconds: float, flop_per_s: float | None = None, processes: int = 1, **columns
    ):
        self.sandbox, self.seconds, self.flop_per_s, self.processes = sandbox, seconds, flop_per_s, processes
        self.columns = provenance() | columns

    def row(self, work: Work, *, trial: bool = False) -> tuple[dict, list[list[float]]]:
        """The row of a measurement and the milliseconds of its repeats by process; no outcome is an error.

        All but the time and ``busy`` is from the first process. A ``trial`` is one process, one repeat and
        nothing in depth.
        """
        before, started_at = os.getloadavg()[0], datetime.now(UTC).isoformat(timespec="seconds")
        if problem := devices.problem(work.device):
            outcome = Outcome(status="skipped", reason=problem)
        else:
            outcome = self.sandbox.run(work, self.seconds, in_depth=not trial, least=1 if trial else LEAST)
        times_ms = [outcome.columns.pop("times_ms")] if "times_ms" in outcome.columns else []
        if outcome.status == "ok" and not trial:
            times_ms += self._times_again(work, outcome)
        known = {
            **{"status": outcome.status, "reason": outcome.reason, "reached": outcome.reached},
            **outcome.columns,
            **self._of_times(times_ms, outcome.columns.get("flops")),
            **{"load_before": before, "load_after": os.getloadavg()[0], "started_at": started_at},
        }
        return blank_row(work) | known | self.columns, times_ms

    def _times_again(self, work: Work, first: Outcome) -> Iterator[list[float]]:
        for _ in range(self.processes - 1):
            again = self.sandbox.run(work, self.seconds, in_depth=False)
            if again.status != "ok":
                first.reason = first.reason or f"timed by fewer processes: {again.reason}"
                return
            first.columns["busy"] = first.columns.get("busy") or again.columns.get("busy")
            yield again.columns["times_ms"]

    def _of_times(self, times_ms: list[list[float]], flops: int | None) -> dict:
        if not times_ms:
            return {}
        middle, every = median(median(one) for one in times_ms), list(chain(*times_ms))
        # Of one repeat all three quartiles are that one.
        low, _, high = quantiles(every * 2 if len(every) == 1 else every, method="inclusive")
        found = {"time_ms": middle, "time_ms_iqr": high - low, "repeats": len(every)}
        if flops and self.flop_per_s:
            found["share_of_peak"] = flops / (middle / 1e3) / self.flop_per_s
        return found
