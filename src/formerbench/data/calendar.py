"""The step between time stamps: its notation, how far stamps are apart in it, and its usual season."""

import re
from dataclasses import dataclass

import numpy as np

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
DAY = SECONDS["d"]


@dataclass(frozen=True)
class Step:
    """``count`` units of ``s``, ``min``, ``h``, ``d``, ``w`` or ``mo`` (calendar months)."""

    count: int
    unit: str

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"

    @property
    def seconds(self) -> int:
        """Length in seconds; a month has no fixed one (KeyError)."""
        return self.count * SECONDS[self.unit]

    def elapsed(self, timestamps: np.ndarray) -> np.ndarray:
        """Steps from each time stamp (t,) to the next, (t-1,) float64; months count by the calendar alone."""
        if self.unit == "mo":
            return np.diff(timestamps.astype("datetime64[M]").astype(np.int64)) / self.count
        return np.diff(timestamps).astype("timedelta64[s]").astype(np.int64) / self.seconds

    def after(self, last: np.datetime64, count: int) -> np.ndarray:
        """The next ``count`` time stamps; months keep the day, or the month's end where ``last`` is one."""
        steps = self.count * np.arange(1, count + 1)
        if self.unit != "mo":
            return last.astype("datetime64[s]") + steps * np.timedelta64(SECONDS[self.unit], "s")
        month, day = last.astype("datetime64[M]"), last.astype("datetime64[D]")
        months = month + steps
        days = (months + 1).astype("datetime64[D]") - 1
        if (day + 1).astype("datetime64[M]") == month:
            days = np.minimum(days, months.astype("datetime64[D]") + (day - month.astype("datetime64[D]")))
        return days.astype("datetime64[s]") + (last.astype("datetime64[s]") - day)

    def season(self) -> int | None:
        """Steps in the usual period: a day, a week of days, a year of weeks or months; None without one."""
        if self.unit in ("mo", "w"):
            return max(1, {"mo": 12, "w": 52}[self.unit] // self.count)
        if self.seconds < DAY:
            return DAY // self.seconds if DAY % self.seconds == 0 else None
        return 7 if self.seconds == DAY else None


def step_of(text: str) -> Step:
    """Parse a step such as ``15min`` or ``1mo``, as the registry's schema allows it."""
    count, unit = re.fullmatch(r"(\d+)(s|min|h|d|w|mo)", text).groups()
    return Step(int(count), unit)


def most_frequent_step(timestamps: np.ndarray) -> Step | None:
    """The most frequent positive difference of ``timestamps`` (t,) in the largest unit that divides it.

    Four differences of five must lie between 28 and 31 days for the step to be a month. None when no time
    stamp differs from the one before.
    """
    seconds = np.diff(timestamps).astype("timedelta64[s]").astype(np.int64)
    seconds = seconds[seconds > 0]
    if len(seconds) == 0:
        return None
    if np.mean((seconds >= 28 * DAY) & (seconds <= 31 * DAY)) >= 0.8 and len(np.unique(seconds)) > 1:
        return Step(1, "mo")
    lengths, counts = np.unique(seconds, return_counts=True)
    length = int(lengths[np.argmax(counts)])
    unit = next(unit for unit in reversed(SECONDS) if length % SECONDS[unit] == 0)
    return Step(length // SECONDS[unit], unit)
