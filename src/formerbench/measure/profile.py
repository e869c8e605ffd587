"""Rows of the scaling table: measurements with where and under which conditions they were made."""

import os
from datetime import UTC, datetime

import numpy as np

from formerbench import devices
from formerbench.measure.sandbox import Outcome, Sandbox
from formerbench.measure.work import Work
from formerbench.provenance import provenance
from formerbench.results import SCALING_COLUMNS


class Profiler:
    """Measures one piece of work after the other on a machine whose peak it measures first.

    Args:
        sandbox: where measurements run.
        seconds: how long one is repeated at most.
        axes: columns that all rows share, such as ``study`` and ``experiment``.
    """

    def __init__(self, sandbox: Sandbox, seconds: float, **axes):
        self.sandbox, self.seconds, self.axes = sandbox, seconds, axes
        self._peaks: dict[tuple[str, int], float] = {}

    def row(self, work: Work) -> tuple[dict, list[float]]:
        """The row of a measurement and the milliseconds of each repeat; no outcome is an error."""
        before, started_at = os.getloadavg()[0], datetime.now(UTC).isoformat(timespec="seconds")
        if problem := devices.problem(work.device):
            outcome = Outcome(status="skipped", reason=problem)
        else:
            outcome = self.sandbox.run(work, self.seconds)
        times_ms = outcome.columns.pop("times_ms", [])
        known = {
            "subject": work.model,
            **{key: value for key, value in work.as_dict().items() if key in SCALING_COLUMNS},
            **{key: value for key, value in work.options.items() if key in SCALING_COLUMNS},
            **{"status": outcome.status, "reason": outcome.reason, "reached": outcome.reached},
            **outcome.columns,
            **self._of_times(times_ms, outcome.columns.get("flops"), work),
            **{"load_before": before, "load_after": os.getloadavg()[0], "started_at": started_at},
        }
        return dict.fromkeys(SCALING_COLUMNS) | self.axes | provenance() | known, times_ms

    def _of_times(self, times_ms: list[float], flops: int | None, work: Work) -> dict:
        if not times_ms:
            return {}
        low, middle, high = (float(q) for q in np.quantile(times_ms, (0.25, 0.5, 0.75)))
        found = {"time_ms": middle, "time_ms_iqr": high - low, "repeats": len(times_ms)}
        if flops:
            found["share_of_peak"] = flops / (middle / 1e3) / self._peak(work)
        return found

    def _peak(self, work: Work) -> float:
        place = work.device, work.threads
        if place not in self._peaks:
            self._peaks[place] = self.sandbox.machine_peak(*place)
        return self._peaks[place]
