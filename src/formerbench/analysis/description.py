"""What a series is like: size, step, missing cells, periods, and how strong season and trend are."""

import warnings
from dataclasses import asdict, dataclass

import numpy as np

from formerbench.data.calendar import most_frequent_step
from formerbench.data.reading import Table

LONGEST = 4096  # last rows that periods and strengths are read from
MOST_VARIATES = 20  # evenly over the columns
_PERIODS = 3
_FEWEST_PERIODS = 3  # of a season, to be seen at all
_NEAR_USUAL = 0.05


@dataclass(frozen=True)
class Description:
    """A table of numbers in a few.

    Attributes:
        step: such as ``1h``; None where no two time stamps differ.
        missing: number of missing cells.
        periods: of the strongest cycles in steps, strongest first.
        season: the one that strengths are of; None where no period was found.
        seasonality, trend: strength from 0 to 1, the median over variates: 1 - Var(R) / Var(S + R), with T
            for S of the trend, of the remainder R, season S and trend T of an STL decomposition (Wang, Smith
            and Hyndman 2006, Characteristic-based clustering for time series data); None without a season.
        rows_read, variates_read: what periods and strengths are from.
    """

    rows: int
    n_variates: int
    step: str | None
    missing: int
    periods: tuple[int, ...]
    season: int | None
    seasonality: float | None
    trend: float | None
    rows_read: int
    variates_read: int

    def as_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self) | {"periods": list(self.periods)}


def describe(table: Table) -> Description:
    """Describe a table whose rows are in the order of time; missing cells are bridged by straight lines."""
    step = most_frequent_step(table.timestamps)
    n, v = table.cells.shape
    chosen = np.unique(np.linspace(0, v - 1, min(v, MOST_VARIATES)).round().astype(int))
    columns = [_bridged(table.cells[-LONGEST:, i]) for i in chosen]
    columns = [column for column in columns if column is not None and np.ptp(column) > 0]
    periods = _periods(columns, step.season() if step else None) if columns else ()
    season = periods[0] if periods else None
    strengths = [_strengths(column, season) for column in columns] if season else []
    seasonality, trend = (
        (float(np.median(one)) for one in zip(*strengths, strict=True)) if strengths else (None, None)
    )
    return Description(
        rows=n,
        n_variates=v,
        step=str(step) if step else None,
        missing=int(np.isnan(table.cells).sum()),
        periods=periods,
        season=season,
        seasonality=seasonality,
        trend=trend,
        rows_read=min(n, LONGEST),
        variates_read=len(columns),
    )


def _bridged(column: np.ndarray) -> np.ndarray | None:
    there = np.flatnonzero(~np.isnan(column))
    return np.interp(np.arange(len(column)), there, column[there]) if len(there) else None


def _periods(columns: list[np.ndarray], usual: int | None) -> tuple[int, ...]:
    """Peaks of the mean spectrum that stand out of their surroundings, in steps.

    The logarithm of the period is what neighbours share, so that a peak counts by its power over the median
    power within half an octave. One within 5 % of the calendar's usual season is that season.
    """
    from scipy.signal import detrend, periodogram

    spectra = []
    for column in columns:
        frequencies, power = periodogram(detrend(column), window="hann")
        spectra.append(power / max(power.sum(), np.finfo(float).tiny))
    power = np.mean(spectra, axis=0)
    n = len(columns[0])
    inside = (frequencies >= _FEWEST_PERIODS / n) & (frequencies < 0.5)
    peaks = np.flatnonzero(inside[1:-1] & (power[1:-1] > power[:-2]) & (power[1:-1] >= power[2:])) + 1
    found: dict[int, float] = {}
    for i in sorted(peaks, key=lambda i: -power[i]):
        near = (frequencies > frequencies[i] / 2**0.5) & (frequencies < frequencies[i] * 2**0.5)
        if power[i] < 10 * np.median(power[near]) or power[i] < 0.01:
            continue
        exact = 1 / (frequencies[i] + _offset(np.log(power[i - 1 : i + 2])) * frequencies[1])
        period = usual if usual and abs(exact / usual - 1) <= _NEAR_USUAL else round(exact)
        if period >= 2 and not any(_same_cycle(period, other) for other in found):
            found[period] = power[i]
        if len(found) == _PERIODS:
            break
    return tuple(found)


def _same_cycle(period: int, stronger: int) -> bool:
    """Whether ``period`` is about the stronger one, or one of its overtones, which any shape but a sine has.

    A seventh is none: a day within a week is a cycle of its own.
    """
    ratio = stronger / period
    return any(abs(ratio / whole - 1) <= _NEAR_USUAL for whole in (1, 2, 3, 4))


def _offset(logs: np.ndarray) -> float:
    """Where between its neighbours a parabola through three values has its peak, in steps of them."""
    before, at, after = logs
    return 0.5 * (before - after) / (before - 2 * at + after)


def _strengths(column: np.ndarray, season: int) -> tuple[float, float]:
    from statsmodels.tsa.seasonal import STL

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = STL(column, period=season, robust=False).fit()
    rest = np.var(parts.resid)
    return tuple(
        max(0.0, 1 - rest / whole) if (whole := np.var(part + parts.resid)) > 0 else 0.0
        for part in (parts.seasonal, parts.trend)
    )
