"""Synthetic series whose seasonality, trend and known drivers are known exactly.

Each variate v at step t is ``level_v + scale_v * (sqrt(s) * S_v(t) + sqrt(1 - s) * R_v(t))``, where

* ``s`` is ``seasonality_strength``;
* ``S_v`` is a sum over the periods of two harmonics each, with random phases and amplitudes;
* ``R_v = (sqrt(a) * T + sqrt(b) * D_v + sqrt(c) * N_v) / sqrt(a + b + c)`` with the weights a ``trend``,
  b ``drivers_effect`` (0 without drivers) and c ``noise``;
* ``T`` is a straight line, rising in every other variate and falling in the rest;
* ``D_v`` is a weighted sum of the known drivers, each white noise, at the same step;
* ``N_v`` is noise: autoregressive of order one, correlated between variates.

S, T, D and N have mean 0 and variance 1 over the series. Drivers and noise are made exactly orthogonal to the
harmonics and the line and to each other, so ``s`` is the seasonal share of the variance in the sample itself,
and ``effects`` are the regression coefficients of the drivers. Only S and T are not orthogonal; their product
vanishes with the number of periods. The result is rounded to four decimals, so that the last bit of a sine
on another processor does not change it.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from formerbench.errors import StatedError, nearest

HARMONICS = 2
DECIMALS = 4


@dataclass(frozen=True)
class Parameters:
    """The keys of ``generate:`` in ``workflow/schemas/datasets.schema.yaml``, which explains them."""

    seed: int
    length: int
    variates: int
    start: str
    step: str
    seasons: tuple[int, ...]
    seasonality_strength: float
    trend: float
    drivers: int
    drivers_effect: float
    noise: float
    autoregression: float
    correlation: float


class Generated(NamedTuple):
    """A synthetic series of n steps, v variates and k drivers, in original units."""

    values: np.ndarray  # (n, v) float32
    timestamps: np.ndarray  # (n,) datetime64[s]
    known: np.ndarray | None  # (n, k) float32, mean 0 and variance 1
    columns: tuple[str, ...]
    known_columns: tuple[str, ...]
    effects: np.ndarray  # (v, k): change of the value for one unit of the driver
    seasonal: np.ndarray  # (n, v): the seasonal part, to measure a forecast against


def generate(parameters: dict) -> Generated:
    """Generate the series of ``parameters`` (see :class:`Parameters`); the same ones give the same bits.

    Raises:
        StatedError: an unknown or absent key, or a series too short for its parameters.
    """
    p = _checked(parameters)
    draw = np.random.Generator(np.random.PCG64(p.seed))
    time = np.arange(p.length, dtype=np.float64)
    waves, sizes = _harmonics(p, time)
    seasonal = _standard(waves @ (sizes[:, None] * draw.standard_normal((len(sizes), p.variates))))
    line = _standard((time - time.mean())[:, None])
    fixed = np.column_stack([np.ones(p.length), line, waves])
    drivers = _orthogonal(draw.standard_normal((p.length, p.drivers)), fixed, among=True)
    noise = _orthogonal(_noise(p, draw), np.column_stack([fixed, drivers]))

    mixing = draw.standard_normal((p.variates, p.drivers))
    mixing /= np.linalg.norm(mixing, axis=1, keepdims=True) if p.drivers else 1.0
    weights = np.array([p.trend, p.drivers_effect if p.drivers else 0.0, p.noise], dtype=np.float64)
    if weights.sum() > 0:
        weights = np.sqrt(weights / weights.sum() * (1 - p.seasonality_strength))
    scale = np.exp(0.5 * draw.standard_normal(p.variates))
    level = 10 * draw.standard_normal(p.variates)
    rising = np.where(np.arange(p.variates) % 2 == 0, 1.0, -1.0)

    seasonal *= scale * np.sqrt(p.seasonality_strength)
    effects = scale[:, None] * weights[1] * mixing
    rest = scale * (weights[0] * rising * line + weights[2] * noise) + drivers @ effects.T
    return Generated(
        values=np.round(level + seasonal + rest, DECIMALS).astype(np.float32),
        timestamps=_timestamps(p),
        known=np.round(drivers, DECIMALS).astype(np.float32) if p.drivers else None,
        columns=tuple(f"y{v}" for v in range(p.variates)),
        known_columns=tuple(f"driver{k}" for k in range(p.drivers)),
        effects=effects,
        seasonal=seasonal,
    )


def _checked(parameters: dict) -> Parameters:
    valid = Parameters.__dataclass_fields__
    unknown = [key for key in parameters if key not in valid]
    if unknown:
        raise StatedError(f"generate: unknown key '{unknown[0]}'{nearest(unknown[0], valid)}")
    absent = [key for key in valid if key not in parameters]
    if absent:
        raise StatedError(f"generate: the keys {', '.join(absent)} are needed too")
    p = Parameters(**(parameters | {"seasons": tuple(parameters["seasons"])}))
    least = max(2 * max(p.seasons), 4 * (HARMONICS * len(p.seasons) + 1 + p.drivers))
    if p.length < least:
        raise StatedError(f"generate: length {p.length} is too short for these parameters; at least {least}")
    if p.seasonality_strength < 1 and p.trend + p.noise + (p.drivers_effect if p.drivers else 0) == 0:
        raise StatedError(
            "generate: a seasonality_strength below 1 needs a trend, drivers_effect or noise above 0"
        )
    return p


def _waves(p: Parameters) -> dict[Fraction, int]:
    """Frequency in turns per step to its harmonic's number; each once, though periods may share some."""
    waves = {}
    for period in p.seasons:
        for harmonic in range(1, HARMONICS + 1):
            if 2 * harmonic <= period:  # a faster wave looks like a slower one
                waves.setdefault(Fraction(harmonic, period), harmonic)
    return waves


def _harmonics(p: Parameters, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sines and cosines of all waves (n, m), and their mean amplitudes (m,): 1 and 1/2."""
    columns, sizes = [], []
    for frequency, harmonic in _waves(p).items():
        turn = 2 * np.pi * float(frequency) * time
        both = [np.cos(turn)] if frequency == Fraction(1, 2) else [np.sin(turn), np.cos(turn)]
        columns += both
        sizes += [1 / harmonic] * len(both)
    return np.column_stack(columns), np.array(sizes)


def _noise(p: Parameters, draw: np.random.Generator) -> np.ndarray:
    """(n, v): equally correlated shocks through an AR(1) that starts in its steady state."""
    shared = draw.standard_normal((p.length, 1))
    own = draw.standard_normal((p.length, p.variates))
    noise = np.sqrt(p.correlation) * shared + np.sqrt(1 - p.correlation) * own
    noise[1:] *= np.sqrt(1 - p.autoregression**2)
    for t in range(1, p.length):
        noise[t] += p.autoregression * noise[t - 1]
    return noise


def _orthogonal(random: np.ndarray, fixed: np.ndarray, among: bool = False) -> np.ndarray:
    """Remove from ``random`` what ``fixed`` explains (``among``: also its other columns); variance 1."""
    basis, _ = np.linalg.qr(fixed)
    rest = random - basis @ (basis.T @ random)
    if among and rest.shape[1]:
        triangular = np.linalg.cholesky(rest.T @ rest)
        rest = np.linalg.solve(triangular, rest.T).T
    return _standard(rest)


def _standard(columns: np.ndarray) -> np.ndarray:
    centred = columns - columns.mean(axis=0)
    return centred / centred.std(axis=0)


def _timestamps(p: Parameters) -> np.ndarray:
    from formerbench.data.calendar import step_of

    try:
        start = np.datetime64(p.start.strip().replace(" ", "T"), "s")
    except ValueError as error:
        raise StatedError(f"generate: start '{p.start}' is no date; wanted is YYYY-MM-DD HH:MM:SS") from error
    return start + np.arange(p.length) * np.timedelta64(step_of(p.step).seconds, "s")
