"""Measures what a study asks for and writes it down: ``profile.json`` with rows and raw times."""

import json
from dataclasses import replace
from pathlib import Path

from formerbench import devices
from formerbench.locks import only_writer
from formerbench.logs import logger
from formerbench.measure.longest import Longest, longest
from formerbench.measure.profile import Profiler, blank_row
from formerbench.measure.sandbox import Sandbox
from formerbench.measure.work import Work
from formerbench.measurements import Measurement
from formerbench.provenance import provenance
from formerbench.results import read_json, write_json

_PEAKS_TAKE_S = 120  # at the very most


def run(
    measurement: Measurement,
    folder: Path,
    *,
    source_digest: str | None = None,
    machine: dict | None = None,
    threads: int | None = None,
) -> list[dict]:
    """Measure and write ``profile.json`` into ``folder``: ``rows``, and their times by phase and process.

    Args:
        source_digest: of the code that is measured, for the rows.
        machine: what the machine can do, of :meth:`Sandbox.machine`, for the share of it.
        threads: what the job was given; fewer than wanted make the rows ``failed``.

    Returns:
        The rows, one a phase.
    """
    columns = {
        "study": measurement.study,
        "experiment": measurement.experiment,
        "subject": measurement.subject,
        "variant": measurement.variant,
        "source_digest": source_digest,
    }
    works = [replace(measurement.work, phase=phase) for phase in measurement.phases]
    problem = measurement.skip and ("skipped", measurement.skip)
    if problem is None and (too_few := devices.too_few_threads(threads, measurement.work.threads)):
        problem = "failed", too_few
    if problem is not None:
        found = [(_without_result(work, columns, *problem), []) for work in works]
    else:
        rate = machine and machine["flop_per_s"]
        seconds, memory_mb = measurement.seconds, measurement.memory_budget_mb
        if measurement.limits is not None:
            seconds, memory_mb = measurement.limits["step_s"], measurement.limits["memory_mb"]
        with only_writer(folder), Sandbox(memory_mb, measurement.time_budget_s) as sandbox:
            profiler = Profiler(sandbox, seconds, rate, measurement.processes, **columns)
            if measurement.limits is None:
                found = [profiler.row(work) for work in works]
            else:
                search = _Search(measurement, profiler, folder / "trials.json", source_digest)
                found = [search.row(work) for work in works]
    for row, _ in found:
        logger.info("%s %s", row["phase"], _in_words(row))
    rows, times_ms = [row for row, _ in found], {row["phase"]: times for row, times in found}
    profile = {"rows": rows, "times_ms": times_ms, "measurement": measurement.as_dict()}
    write_json(folder / "profile.json", profile)
    (folder / "trials.json").unlink(missing_ok=True)
    return rows


def machine(device: str, precision: str, threads: int) -> dict:
    """What the machine can do at most, as :func:`formerbench.measure.machine.peaks` gives it, and its name.

    Where the device cannot be used, its rates are None and ``reason`` says why.
    """
    place = {"device": device, "precision": precision, "threads": threads}
    found = dict.fromkeys(("flop_per_s", "copy_bytes_per_s")) | {"reason": devices.problem(device)}
    if found["reason"] is None:
        with Sandbox(float("inf"), _PEAKS_TAKE_S) as sandbox:
            found |= sandbox.machine(**place)
    return place | found | provenance()


def _without_result(work: Work, columns: dict, status: str, reason: str) -> dict:
    return blank_row(work) | provenance() | {"status": status, "reason": reason} | columns


def _in_words(row: dict) -> str:
    if row["time_ms"] is None:
        return f"{row['status']}: {row['reason']}"
    memory = "" if row["peak_memory_mb"] is None else f", {row['peak_memory_mb']:.0f} MB"
    return f"L={row['lookback']}: {row['time_ms']:.3g} ms{memory}"


class _Search:
    """The search for the longest input, which a new start goes on with where an earlier one was killed."""

    def __init__(self, measurement: Measurement, profiler: Profiler, file: Path, source_digest: str | None):
        self.limits, self.profiler, self.file = measurement.limits, profiler, file
        self.last = measurement.work.lookback
        self.key = json.dumps([measurement.as_dict(), source_digest], sort_keys=True)
        known = read_json(file) if file.is_file() else {}
        self.trials = known["trials"] if known.get("key") == self.key else {}

    def row(self, work: Work) -> tuple[dict, list[float]]:
        """The row of the longest input within the limits, and its times."""
        result = longest(lambda length: self._within(work, length), self.limits["from"], self.last)
        shown = self.limits["from"] if result.lookback is None else result.lookback
        row, times_ms = self.trials[f"{work.phase} {shown}"]
        if row["status"] in ("skipped", "failed"):
            return row, times_ms
        too_slow = result.lookback is None and row["status"] == "ok"
        status = "timeout" if too_slow else row["status"]
        return row | {"status": status, "reason": self._reason(work, result)}, times_ms

    def _within(self, work: Work, lookback: int) -> bool:
        name = f"{work.phase} {lookback}"
        if name not in self.trials:
            self.trials[name] = self.profiler.row(replace(work, lookback=lookback), trial=True)
            write_json(self.file, {"key": self.key, "trials": self.trials})
            logger.info("%s %s", work.phase, _in_words(self.trials[name][0]))
        return self._fault(self.trials[name][0]) is None

    def _fault(self, row: dict) -> str | None:
        if row["status"] != "ok":
            return row["reason"]
        if row["time_ms"] > 1e3 * self.limits["step_s"]:
            return f"took {row['time_ms'] / 1e3:.3g} s"
        return None

    def _reason(self, work: Work, result: Longest) -> str:
        limits = f"limits: {self.limits['memory_mb']:g} MB and {self.limits['step_s']:g} s"
        if result.too_long is None:
            return f"{limits}; longer ones were not tried"
        fault = self._fault(self.trials[f"{work.phase} {result.too_long}"][0])
        return f"{limits}; L={result.too_long} {fault}"
