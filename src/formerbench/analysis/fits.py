"""Power laws: with which exponent a cost grows, over which lengths, and how well that is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from formerbench.analysis.measured import enough_repeats, resampled_medians

LEAST_POINTS = 4
LEAST_SPAN = 3.0  # longest over shortest length
LARGEST_BEND = 0.1
_DRAWS = 1000


@dataclass(frozen=True)
class PowerLaw:
    """``factor * x ** exponent`` for x from ``first`` to ``last``.

    Attributes:
        low, high: 95 % interval of the exponent.
        by: what the interval is from: ``repeats`` (bootstrap) or ``scatter`` (of the points about the line).
        bend: by how much the exponent grows from the first to the last of these points.
        straight: whether that is little enough to speak of one exponent.
        n: number of points in the range.
        left_out: number of shorter points, which do not follow the law.
    """

    exponent: float
    low: float
    high: float
    factor: float
    first: int
    last: int
    n: int
    left_out: int
    by: str
    bend: float
    straight: bool

    def at(self, x):
        """The cost at ``x``."""
        return self.factor * np.asarray(x, dtype=float) ** self.exponent


@dataclass(frozen=True)
class NoFit:
    """Why there is no exponent."""

    reason: str


def power_law(
    x: Sequence[float], y: Sequence[float], repeats: Sequence[list[np.ndarray]] | None = None
) -> PowerLaw | NoFit:
    """Fit a straight line to log y against log x where the points have become one.

    The range is the longest run of points that ends at the longest x, has at least 4 points and a factor of 3
    between its ends, and in which a parabola bends the exponent by at most 0.1 or by less than twice the
    standard error of that bend. If no run is that straight, it is the shortest allowed one, not ``straight``.

    The interval of a time comes from resampling the processes of each point and their repeats (1000 draws,
    their medians fitted anew). Few processes say little of how processes differ: where the points scatter
    about the line by more than that explains (chi-squared test at 5 %), it is Student's interval of the
    scatter. That one is used without repeats, too: memory has no noise, and its interval only says how well a
    power law describes the points.

    Args:
        x: lengths, in any order.
        y: costs, above 0.
        repeats: raw repeats of each point in each process.
    """
    order = np.argsort(x)
    x, y = np.asarray(x, dtype=float)[order], np.asarray(y, dtype=float)[order]
    if len(x) < LEAST_POINTS:
        return NoFit(f"needs {LEAST_POINTS} lengths, there are {len(x)}")
    if x[-1] < LEAST_SPAN * x[0]:
        return NoFit(f"needs lengths up to {LEAST_SPAN:g} times the first, there are {x[0]:g} to {x[-1]:g}")
    logs = None if repeats is None else _bootstrap([repeats[i] for i in order])
    straight = False
    starts = [i for i in range(len(x) - LEAST_POINTS + 1) if x[-1] >= LEAST_SPAN * x[i]]
    for start in starts:
        bend, noise = _bend(x[start:], y[start:], None if logs is None else logs[:, start:])
        straight = abs(bend) <= max(LARGEST_BEND, 2 * noise)
        if straight:
            break
    draws = None if logs is None else logs[:, start:]
    found = {"left_out": start, "bend": bend, "straight": straight}
    return _line(x[start:], y[start:], draws, **found)


def _bootstrap(repeats: list[list[np.ndarray]]) -> np.ndarray | None:
    """Log medians of resampled repeats, (draws, points); None unless every point has three repeats."""
    if not all(enough_repeats(one) for one in repeats):
        return None
    random = np.random.default_rng(0)
    return np.log(np.stack([resampled_medians(one, _DRAWS, random) for one in repeats], axis=1))


def _bend(x: np.ndarray, y: np.ndarray, draws: np.ndarray | None) -> tuple[float, float]:
    """Change of the exponent over the range by a parabola, and its standard error.

    The error is the larger one of two: by the repeats, and by the scatter of the points about the parabola.
    """
    u = np.log(x)
    powers = np.vander(u - u.mean(), 3)
    inverse = np.linalg.pinv(powers)
    curvature, left_over = inverse[0], np.log(y) - powers @ (inverse @ np.log(y))
    span = 2 * (u[-1] - u[0])
    scatter = np.sqrt((left_over**2).sum() / (len(x) - 3) * (curvature**2).sum())
    repeated = 0.0 if draws is None else np.std(draws @ curvature)
    return float(curvature @ np.log(y) * span), float(max(scatter, repeated) * span)


def _line(x: np.ndarray, y: np.ndarray, draws: np.ndarray | None, **found) -> PowerLaw:
    u, v = np.log(x), np.log(y)
    weights = (u - u.mean()) / ((u - u.mean()) ** 2).sum()
    exponent = float(weights @ v)
    residuals = v - v.mean() - exponent * (u - u.mean())
    low, high, by = _scatter_interval(exponent, residuals, weights)
    if draws is not None and not _unexplained(residuals, draws):
        slopes = draws @ weights
        low, high = np.quantile(slopes, (0.025, 0.975))
        by = "repeats"
    factor = float(np.exp(v.mean() - exponent * u.mean()))
    ends = {"first": int(x[0]), "last": int(x[-1]), "n": len(x)}
    return PowerLaw(exponent, float(low), float(high), factor, **ends, by=by, **found)


def _scatter_interval(exponent: float, residuals: np.ndarray, weights: np.ndarray):
    from scipy.stats import t

    freedom = len(residuals) - 2
    error = np.sqrt((residuals**2).sum() / freedom * (weights**2).sum())
    half = t.ppf(0.975, freedom) * error
    return exponent - half, exponent + half, "scatter"


def _unexplained(residuals: np.ndarray, draws: np.ndarray) -> bool:
    """Whether the points scatter about the line by more than their repeats do."""
    from scipy.stats import chi2

    noise = draws.var(axis=0).mean()
    freedom = len(residuals) - 2
    return bool((residuals**2).sum() > max(noise, 1e-12) * chi2.ppf(0.95, freedom))
