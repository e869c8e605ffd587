"""Rows of the scaling table: measurements with where and under which conditions they were made."""

import os
from datetime import UTC, datetime
from statistics import quantiles

from formerbench import devices
from formerbench.measure.sandbox import Outcome, Sandbox
from formerbench.measure.work import Work
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
        seconds: how long one is repeated at most.
        flop_per_s: what the machine can do at the precision measured, for the share of it; None leaves that
            column empty.
        columns: those that all rows share, such as ``study`` and ``experiment``.
    """

    def __init__(self, sandbox: Sandbox, seconds: float, flop_per_s: float | None = None, **columns):
        self.sandbox, self.seconds, self.flop_per_s = sandbox, seconds, flop_per_s
        self.columns = provenance() | columns

    def row(self, work: Work, *, in_depth: bool = True) -> tuple[dict, list[float]]:
        """The row of a measurement and the milliseconds of each repeat; no outcome is an error.

        ``in_depth`` is explained at :meth:`Sandbox.run`.
        """
        before, started_at = os.getloadavg()[0], datetime.now(UTC).isoformat(timespec="seconds")
        if problem := devices.problem(work.device):
            outcome = Outcome(status="skipped", reason=problem)
        else:
            outcome = self.sandbox.run(work, self.seconds, in_depth=in_depth)
        times_ms = outcome.columns.pop("times_ms", [])
        known = {
            **{"status": outcome.status, "reason": outcome.reason, "reached": outcome.reached},
            **outcome.columns,
            **self._of_times(times_ms, outcome.columns.get("flops")),
            **{"load_before": before, "load_after": os.getloadavg()[0], "started_at": started_at},
        }
        return blank_row(work) | known | self.columns, times_ms

    def _of_times(self, times_ms: list[float], flops: int | None) -> dict:
        if not times_ms:
            return {}
        # Of one repeat all three are that one.
        low, middle, high = quantiles(times_ms * 2 if len(times_ms) == 1 else times_ms, method="inclusive")
        found = {"time_ms": middle, "time_ms_iqr": high - low, "repeats": len(times_ms)}
        if flops and self.flop_per_s:
            found["share_of_peak"] = flops / (middle / 1e3) / self.flop_per_s
        return found
