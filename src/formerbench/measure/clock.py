"""Time of training steps and of inference.

Inside the clock: exactly what stands in the ``with`` block. On CUDA the work is timed by events on the
stream, which waits for nothing; the times are read once they are asked for.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import torch


class StepClock:
    """Milliseconds of every step that was timed on one device.

    Attributes:
        times_ms: the times read so far; complete after :meth:`read`.
        total_ms: their sum.
    """

    def __init__(self, device: str):
        self.on_cuda = device == "cuda"
        self.times_ms: list[float] = []
        self.total_ms = 0.0
        self._pending: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def step(self) -> Iterator[None]:
        """Time the block."""
        if self.on_cuda:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            yield
            end.record()
            self._pending.append((begin, end))
        else:
            began = time.perf_counter()
            yield
            self._add((time.perf_counter() - began) * 1e3)

    def read(self) -> list[float]:
        """All times so far; waits for the device."""
        if self._pending:
            torch.cuda.synchronize()
            for begin, end in self._pending:
                self._add(begin.elapsed_time(end))
            self._pending.clear()
        return self.times_ms

    def go_on_from(self, times_ms: list[float]) -> None:
        """Take over the times of an earlier run."""
        for time_ms in times_ms:
            self._add(time_ms)

    def _add(self, time_ms: float) -> None:
        self.times_ms.append(time_ms)
        self.total_ms += time_ms


def median_time_ms(call: Callable[[], object], device: str, repeats: int = 10, warm_up: int = 2) -> float:
    """Median milliseconds of ``call`` over ``repeats``, after ``warm_up`` calls outside the clock."""
    clock = StepClock(device)
    for _ in range(warm_up):
        call()
    for _ in range(repeats):
        with clock.step():
            call()
    return median(clock.read())
