"""How long and how often to repeat: until the median is steady or the time is up."""

import math
import statistics
import time
from collections.abc import Callable

from formerbench.measure.clock import StepClock
from formerbench.measure.work import LEAST

WARM_UP = 2
_MOST = 60
_FEW = 5  # repeats whose spread says nothing yet
_STEADY = 0.02  # half-width of the median's interval, as a share of it
_SLOW = 0.25  # share of the time that makes a call so slow that one of them is warm-up enough


def steady_times_ms(
    call: Callable[[], object], device: str, seconds: float, *, least: int = LEAST
) -> list[float]:
    """Milliseconds of repeats of ``call`` after two that do not count, or one if it is slow.

    Ends once the 95 % interval of the median is within 2 % of it, after 60 repeats, or when the next repeat
    would end later than ``seconds`` after the start; but not before ``least`` repeats. Where one is enough
    and the first call takes more than ``seconds``, that one counts. Slow is a quarter of ``seconds``.
    """
    deadline = time.monotonic() + seconds
    clock = StepClock(device)
    for _ in range(WARM_UP):
        with clock.step():
            call()
        last_s = clock.read()[-1] / 1e3
        if least == 1 and last_s > seconds:
            return clock.times_ms[-1:]
        if last_s > _SLOW * seconds:
            break
    clock = StepClock(device)
    while len(clock.read()) < _MOST and not _steady(clock.times_ms):
        next_ends = time.monotonic() + (clock.times_ms[-1] / 1e3 if clock.times_ms else 0.0)
        if len(clock.times_ms) >= least and next_ends > deadline:
            break
        with clock.step():
            call()
    return clock.times_ms


def _steady(times_ms: list[float]) -> bool:
    if len(times_ms) < _FEW:
        return False
    # Not numpy's: the first call of its quantiles takes 4 MB, in the middle of what is measured.
    low, middle, high = statistics.quantiles(times_ms, n=4, method="inclusive")
    # Standard error of a median by the inter-quartile range: McGill, Tukey and Larsen 1978.
    half_width = 1.57 * (high - low) / math.sqrt(len(times_ms))
    return half_width <= _STEADY * middle
