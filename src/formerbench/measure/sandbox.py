"""Run a measurement in a fresh process, under a memory and a time budget that are watched from outside it."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from formerbench.errors import StatedError
from formerbench.measure.process import peak_of
from formerbench.measure.work import IN_DEPTH, LEAST, Work

_LOOK_EVERY_S = 0.02
_MB = 2**20
_ENVIRONMENT = {
    # Page faults of large tensors cost up to a third of a step. Huge pages avoid most, and unlike a heap that
    # keeps what was freed they leave a peak what it is.
    "THP_MEM_ALLOC_ENABLE": "1",
    "KINETO_LOG_LEVEL": "99",  # torch's profiler is talkative
}


@dataclass
class Outcome:
    """How a measurement ended.

    Attributes:
        status: ``ok`` once time and memory are measured, else ``oom``, ``timeout`` or ``failed``.
        reason: in one line why it is not ``ok``, or why it lacks what would have come after.
        reached: what was begun last, of a measurement that did not end.
        columns: what was measured, complete or as far as it came.
    """

    status: str = "ok"
    reason: str | None = None
    reached: str | None = None
    columns: dict = field(default_factory=dict)


class Sandbox:
    """Runs one measurement after the other, each in a fork of a server that imported torch and no more.

    On CUDA every measurement has a server of its own. Use it in a ``with`` block.

    Args:
        memory_budget_mb: resident memory above the measurement's baseline at which it is ended; on CUDA what
            its allocator may take of the device.
        time_budget_s: seconds after which it is ended.
    """

    def __init__(self, memory_budget_mb: float, time_budget_s: float):
        self.memory_budget_mb, self.time_budget_s = memory_budget_mb, time_budget_s
        self._server: subprocess.Popen | None = None

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_) -> None:
        self._stop()

    def run(self, work: Work, seconds: float, *, in_depth: bool = True, least: int = LEAST) -> Outcome:
        """Measure ``work``, repeating it for ``seconds`` at most, but ``least`` times in any case.

        An end by force is an outcome, too: over a budget, killed by the system, or an error in the model.
        ``in_depth`` adds the peak of tensors, the attention kernel and the floating-point operations, for
        which the work is done four times more.
        """
        request = {"work": work.as_dict(), "seconds": seconds, "in_depth": in_depth, "least": least}
        if work.device == "cuda":
            request["device_memory_mb"] = self.memory_budget_mb
        return self._ask(request, work.device)

    def machine(self, device: str, precision: str, threads: int) -> dict:
        """What the machine can do, see :func:`formerbench.measure.machine.peaks`.

        Raises:
            StatedError: it could not be measured.
        """
        place = {"device": device, "precision": precision, "threads": threads}
        outcome = self._ask({"peaks": place}, device)
        if outcome.status != "ok":
            raise StatedError(f"the machine's peaks could not be measured: {outcome.reason}")
        return outcome.columns

    def _ask(self, request: dict, device: str) -> Outcome:
        if device == "cuda":
            self._stop()
        server = self._started()
        # Of a device's memory nobody sees a peak from outside, so that its own allocator keeps the budget.
        watched_mb = float("inf") if device == "cuda" else self.memory_budget_mb
        server.stdin.write(json.dumps(request).encode() + b"\n")
        return self._watch(server, watched_mb)

    def _started(self) -> subprocess.Popen:
        if self._server is None or self._server.poll() is not None:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "formerbench.measure.server"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | _ENVIRONMENT,
                bufsize=0,
            )
        return self._server

    def _stop(self) -> None:
        if self._server is not None:
            self._server.stdin.close()
            self._server.stdout.close()
            self._server.wait()
            self._server = None

    def _watch(self, server: subprocess.Popen, watched_mb: float) -> Outcome:
        outcome, child, deadline = Outcome(), None, time.monotonic() + self.time_budget_s
        for message in _messages(server.stdout):
            if message is None:
                if child is not None and self._over_budget(child, deadline, watched_mb, outcome):
                    _kill(child)
                    child = None
            elif "pid" in message:
                child = message["pid"]
            elif "ended" in message:
                return _ended(outcome, message["ended"])
            elif "error" in message:
                outcome.status = "oom" if message["no_memory"] else "failed"
                outcome.reason = " ".join(message["error"].split())
            else:
                outcome.reached = message.pop("reached", outcome.reached)
                outcome.columns |= {key: value for key, value in message.items() if value is not None}
        return replace(outcome, status="failed", reason="the measuring server ended")

    def _over_budget(self, child: int, deadline: float, watched_mb: float, outcome: Outcome) -> bool:
        if time.monotonic() > deadline:
            outcome.status, outcome.reason = "timeout", f"took more than {self.time_budget_s:g} s"
            return True
        baseline_mb = outcome.columns.get("baseline_mb")
        if baseline_mb is not None and peak_of(child) / _MB - baseline_mb > watched_mb:
            outcome.status, outcome.reason = "oom", f"needed more than {watched_mb:g} MB"
            return True
        return False


def _messages(pipe) -> Iterator[dict | None]:
    """Messages as they come; None whenever there was none for a moment. Ends with the pipe."""
    waiting = b""
    while True:
        ready, _, _ = select.select([pipe], [], [], _LOOK_EVERY_S)
        if not ready:
            yield None
            continue
        if not (read := os.read(pipe.fileno(), 65536)):
            return
        *lines, waiting = (waiting + read).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _ended(outcome: Outcome, code: int) -> Outcome:
    if code < 0 and outcome.status == "ok":
        # Nobody but the system's memory killer sends this signal unasked.
        outcome.status = "oom" if code == -9 else "failed"
        outcome.reason = f"killed from outside by signal {-code}"
    if outcome.status == "ok":
        outcome.reached = None
    elif outcome.reached in IN_DEPTH:
        outcome.status, outcome.reason = "ok", f"measured but for {outcome.reached}: {outcome.reason}"
    return outcome


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, 9)
