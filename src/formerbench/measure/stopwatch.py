"""How long and how often to repeat: until the median is steady or the time is up."""

import math
import statistics
import time
from collections.abc import Callable

from formerbench.measure.clock import StepClock

WARM_UP = 2
_LEAST, _MOST = 5, 200
_STEADY = 0.02  # half-width of the median's interval, as a share of it


def steady_times_ms(call: Callable[[], object], device: str, seconds: float) -> list[float]:
    """Milliseconds of repeats of ``call``, at least one, after two that do not count.

    Ends once the 95 % interval of the median is within 2 % of it, after 200 repeats, or when the next repeat
    would end later than ``seconds`` after the start. A call so slow that the first two take all that time is
    timed once more, or not at all if even one took longer: then that one counts.
    """
    deadline = time.monotonic() + seconds
    clock = StepClock(device)
    for number in range(WARM_UP):
        with clock.step():
            call()
        last_s = clock.read()[-1] / 1e3
        if number == 0 and time.monotonic() + last_s > deadline:
            return clock.times_ms
    clock = StepClock(device)
    while len(clock.read()) < _MOST and not _steady(clock.times_ms):
        if clock.times_ms and time.monotonic() + clock.times_ms[-1] / 1e3 > deadline:
            break
        with clock.step():
            call()
    return clock.times_ms


def _steady(times_ms: list[float]) -> bool:
    if len(times_ms) < _LEAST:
        return False
    # Not numpy's: the first call of its quantiles takes 4 MB, in the middle of what is measured.
    low, middle, high = statistics.quantiles(times_ms, n=4, method="inclusive")
    # Standard error of a median by the inter-quartile range: McGill, Tukey and Larsen 1978.
    half_width = 1.57 * (high - low) / math.sqrt(len(times_ms))
    return half_width <= _STEADY * middle
