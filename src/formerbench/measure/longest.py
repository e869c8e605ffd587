"""The longest input that a machine can take in practice, found by doubling and then by bisection."""

from collections.abc import Callable
from dataclasses import dataclass

# Neighbours closer than this ratio are not told apart.
TOLERANCE = 1.1


@dataclass(frozen=True)
class Longest:
    """Attributes:
    lookback: the longest that was within the limits, or None if not even the first was.
    too_long: the shortest that was not, or None if the search ended before.
    """

    lookback: int | None
    too_long: int | None


def longest(within: Callable[[int], bool], first: int, last: int) -> Longest:
    """Search from ``first`` to ``last`` time steps; the result is at most 10 % below the truth.

    Args:
        within: tries a length; assumed to be true up to some length and false from there on.
    """
    good, bad, length = None, None, first
    while bad is None and length <= last:
        if within(length):
            good = length
            length = last if length < last < 2 * length else 2 * length
        else:
            bad = length
    while good is not None and bad is not None and bad > TOLERANCE * good:
        middle = round((good * bad) ** 0.5)
        good, bad = (middle, bad) if within(middle) else (good, middle)
    return Longest(good, bad)
