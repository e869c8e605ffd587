"""Patterns in where attention goes, each as a number beside what attention without any preference would give.

A pattern is named only where the number is clearly beyond chance; with softmax weights of few, untrained or
nearly uniform heads it is not, and then the page says so.
"""

import numpy as np

CLEAR = 1.25  # how far beyond chance a number must be


def causal(weights: np.ndarray, lag: np.ndarray) -> dict:
    """Share of the weight on what is not later than what asks.

    Args:
        weights: (q, k) rows that sum to 1; 0 where the model may not look.
        lag: (q, k) steps from what is looked at to what asks; below 0 where that is later.
    """
    value, chance = _share(weights, lag >= 0)
    found = chance < 1 and value > CLEAR * chance
    return _pattern("causal", "weight on nothing later", value, chance, found)


def local(weights: np.ndarray, lag: np.ndarray) -> dict:
    """Mean distance between what asks and what it looks at, in steps; arguments as :func:`causal`."""
    value, chance = _mean(weights, np.abs(lag)), _mean(_uniform(weights), np.abs(lag))
    return _pattern("local bias", "mean distance, steps", value, chance, CLEAR * value < chance)


def periodic(weights: np.ndarray, lag: np.ndarray, season: int, width: int = 1) -> dict | None:
    """Share of the weight at whole seasons of distance, give or take half of ``width`` steps.

    ``width`` is the steps that a token covers; other arguments as :func:`causal`.
    """
    return of_season(season, *_share(weights, at_seasons(lag, season, width)))


def at_seasons(lag: np.ndarray, season: int, width: int = 1) -> np.ndarray:
    """Whether lags are one or more whole seasons, give or take half of ``width`` steps."""
    phase = np.abs(lag) % season
    return (np.minimum(phase, season - phase) <= width / 2) & (np.abs(lag) > width / 2)


def of_season(season: int, value: float, chance: float) -> dict | None:
    """The pattern of a share at whole seasons; None where chance alone gives nothing there, or nearly all."""
    if not 0 < chance < 1 / CLEAR:
        return None
    return _pattern(f"period of {season}", "weight at whole seasons", value, chance, value > CLEAR * chance)


def _uniform(weights: np.ndarray) -> np.ndarray:
    """Rows that look everywhere alike where the model may look."""
    open_ = weights > 0
    return open_ / np.maximum(open_.sum(axis=1, keepdims=True), 1)


def _mean(weights: np.ndarray, of: np.ndarray) -> float:
    return float((weights * of).sum() / weights.sum())


def _share(weights: np.ndarray, where: np.ndarray) -> tuple[float, float]:
    return _mean(weights, where), _mean(_uniform(weights), where)


def _pattern(name: str, what: str, value: float, chance: float, found: bool) -> dict:
    return {"name": name, "what": what, "value": value, "chance": chance, "found": bool(found)}
