"""Time and memory at a length that was not run, with an interval that comes from past errors.

A cost is a sum of parts that do not depend on the length, grow with it, with its logarithm times it, and with
its square. None can be negative, which keeps the sum from bending anywhere it should not. The time of a known
model or mechanism has no part of a higher order than its paper's: a noisy median at a length that is not the
longest would else become a square.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd

from formerbench.analysis.fits import LEAST_POINTS, LEAST_SPAN
from formerbench.analysis.measured import SERIES, good, machines
from formerbench.analysis.theory import MECHANISMS, MODELS
from formerbench.errors import StatedError

PARTS = ("1", "L", "L log L", "L^2")
COVERAGE = 0.9
# Longer lengths say more about those beyond them: a weight of (L / longest) to this power. Noise is averaged
# best where all weigh the same.
_FORGETTING = {"time_ms": 0.0, "peak_tensor_mb": 1.0, "peak_memory_mb": 0.0}
# An error counts by its size, not by its square, so that one odd length bends nothing; below this all weigh
# the same.
_SMALL = 0.02
_ROUNDS = 15
# Errors do not vanish next to a measured length: less than this counts as this.
LEAST_OCTAVES = 0.5
_FEWEST_ERRORS = 9  # with fewer there is no 90 % quantile


@dataclass(frozen=True)
class Prediction:
    """A cost at one length.

    Attributes:
        low, high: 90 % interval, or None where there are too few past errors to tell.
        parts: share of each of ``PARTS`` in the value.
        octaves: doublings from the nearest measured length; 0 if it was measured.
        first, last: the lengths that the prediction is from.
    """

    value: float
    low: float | None
    high: float | None
    parts: dict[str, float]
    octaves: float
    first: int
    last: int


@dataclass(frozen=True)
class Curve:
    """A cost as a sum of parts; see :func:`fit_parts`."""

    coefficients: np.ndarray
    lengths: np.ndarray
    residuals: np.ndarray  # log of the measured over the fitted

    def shares(self, length: float) -> np.ndarray:
        """The cost of each part at ``length``."""
        return self.coefficients * _parts(np.array([length], dtype=float), self.lengths[-1])[0]

    def at(self, length: float) -> float:
        """The cost at ``length``: at a measured length what was measured, elsewhere the sum of the parts.

        What the parts leave over at the measured lengths is drawn straight between them and fades by half
        with every doubling beyond them.
        """
        kept = np.interp(np.log(length), np.log(self.lengths), self.residuals)
        ends = self.lengths[[0, -1]]
        beyond = 0.0 if ends[0] <= length <= ends[1] else self.octaves(length)
        return float(self.shares(length).sum() * np.exp(kept * 0.5**beyond))

    def octaves(self, length: float) -> float:
        """Doublings between ``length`` and the nearest measured one."""
        return float(np.abs(np.log2(length / self.lengths)).min())


def _parts(lengths: np.ndarray, longest: float) -> np.ndarray:
    u = lengths / longest
    return np.stack([np.ones_like(u), u, u * np.log(lengths + 1) / np.log(longest + 1), u**2], axis=1)


def parts_of(subject: str, quantity: str) -> tuple[int, ...]:
    """Places in ``PARTS`` of what a cost may hold: 1, L and the paper's order; all where none is known."""
    known = (MODELS | MECHANISMS).get(subject)
    if known is None or quantity != "time_ms":
        return tuple(range(len(PARTS)))
    order = known.time
    return tuple(sorted({0, 1, 3 if order.power > 1 else 2 if order.logs else 1}))


def fit_parts(
    lengths: Sequence[float], costs: Sequence[float], quantity: str = "time_ms", subject: str = ""
) -> Curve:
    """Non-negative least sum of relative errors, by least squares weighted anew.

    ``subject`` is the model or mechanism that the costs are of; see :func:`parts_of`.

    Raises:
        StatedError: fewer than four lengths, or all within a factor of three.
    """
    from scipy.optimize import nnls

    order = np.argsort(lengths)
    x, y = np.asarray(lengths, dtype=float)[order], np.asarray(costs, dtype=float)[order]
    if len(x) < LEAST_POINTS or x[-1] < LEAST_SPAN * x[0]:
        came = f"{x[0]:g} to {x[-1]:g}" if len(x) else "none"
        raise StatedError(
            f"a prediction needs {LEAST_POINTS} measured lengths, one of them {LEAST_SPAN:g} times another; "
            f"there are {len(x)}: {came}; measure more lengths"
        )
    allowed = list(parts_of(subject, quantity))
    parts = _parts(x, x[-1])[:, allowed]
    weights = importance = (x / x[-1]) ** _FORGETTING[quantity]
    for _ in range(_ROUNDS):
        coefficients, _ = nnls(parts / y[:, None] * weights[:, None], weights)
        error = np.abs(parts @ coefficients / y - 1)
        weights = importance / np.sqrt(np.maximum(error, _SMALL))
    every = np.zeros(len(PARTS))
    every[allowed] = coefficients
    return Curve(every, x, np.log(y / (parts @ coefficients)))


def covering(errors: Sequence[float]) -> float | None:
    """The 90 % quantile of past errors as split conformal prediction takes it; None of too few."""
    n = len(errors)
    return None if n < _FEWEST_ERRORS else sorted(errors)[min(n, ceil((n + 1) * COVERAGE)) - 1]


@dataclass(frozen=True)
class Errors:
    """Past errors of predictions: ``rate`` is the 90 % quantile of the log error of an octave, from ``n``."""

    rate: float | None
    n: int

    @classmethod
    def of(cls, series: Sequence[tuple[np.ndarray, np.ndarray, str]], quantity: str = "time_ms") -> "Errors":
        """Rolling origin: predict each longer length from all shorter ones, by (lengths, costs, subject)."""
        errors = [error for one in series for error in _rolling(*one, quantity)]
        return cls(covering(errors), len(errors))


def _rolling(lengths: np.ndarray, costs: np.ndarray, subject: str, quantity: str) -> Iterator[float]:
    for known in range(LEAST_POINTS, len(lengths)):
        if lengths[known - 1] < LEAST_SPAN * lengths[0]:
            continue
        curve = fit_parts(lengths[:known], costs[:known], quantity, subject)
        for length, cost in zip(lengths[known:], costs[known:], strict=True):
            yield abs(np.log(cost / curve.at(length))) / max(LEAST_OCTAVES, curve.octaves(length))


def series_of(rows: pd.DataFrame, quantity: str, experiment: str = "lookback") -> dict[tuple, pd.DataFrame]:
    """Rows of the variant ``base`` by ``SERIES``, one row a lookback, shortest first."""
    rows = good(rows if "machine" in rows else rows.assign(machine=machines(rows)), experiment, quantity)
    rows = rows[rows["variant"] == "base"]
    return {key: group.drop_duplicates("lookback") for key, group in rows.groupby(SERIES, dropna=False)}


def past_errors(rows: pd.DataFrame, quantity: str) -> Errors:
    """Errors of all series of models and mechanisms in ``rows``; give it the rows of one kind of device."""
    series = [
        (*_arrays(group, quantity), group["subject"].iloc[0])
        for experiment in ("lookback", "mechanism")
        for group in series_of(rows, quantity, experiment).values()
    ]
    return Errors.of(series, quantity)


def _arrays(rows: pd.DataFrame, quantity: str) -> tuple[np.ndarray, np.ndarray]:
    return rows["lookback"].to_numpy(float), rows[quantity].to_numpy(float)


def predict(
    rows: pd.DataFrame, lookback: int, quantity: str = "time_ms", *, errors: Errors | None = None, **series
) -> Prediction:
    """Predict a cost at ``lookback``.

    Args:
        rows: of the scaling table; only those of the experiment ``lookback`` count.
        quantity: ``time_ms``, ``peak_tensor_mb`` or ``peak_memory_mb``.
        errors: of :func:`past_errors`; computed from ``rows`` if not given.
        series: what picks one series of ``SERIES``, such as ``subject="patchtst", phase="inference"``.

    Raises:
        StatedError: no series or several match, or the one has too few lengths.
    """
    rows = rows if "machine" in rows else rows.assign(machine=machines(rows))
    kept = rows
    for name, value in series.items():
        kept = kept[kept[name] == value]
    found = series_of(kept, quantity)
    said = ", ".join(f"{name} {value}" for name, value in series.items()) or "all rows"
    if len(found) != 1:
        raise StatedError(
            f"a prediction is for one series of measurements, but {len(found)} match {said}; "
            f"choose by {', '.join(SERIES)}"
        )
    (group,) = found.values()
    errors = (
        past_errors(rows[rows["device"] == group["device"].iloc[0]], quantity) if errors is None else errors
    )
    curve = fit_parts(*_arrays(group, quantity), quantity, group["subject"].iloc[0])
    return predicted(curve, lookback, errors)


def predicted(curve: Curve, lookback: int, errors: Errors) -> Prediction:
    """What ``curve`` says of a length, with an interval from past ``errors``."""
    value, shares, octaves = curve.at(lookback), curve.shares(lookback), curve.octaves(lookback)
    factor = None if errors.rate is None else float(np.exp(errors.rate * max(LEAST_OCTAVES, octaves)))
    return Prediction(
        value=value,
        low=None if factor is None else value / factor,
        high=None if factor is None else value * factor,
        parts={name: float(share / shares.sum()) for name, share in zip(PARTS, shares, strict=True)},
        octaves=octaves,
        first=int(curve.lengths[0]),
        last=int(curve.lengths[-1]),
    )
