"""Which model for a question: the arithmetic of the answer, over the plain values of ``knowledge.py``.

``report/static/recommend.js`` answers the same questions in the browser, line by line as here; a test holds
the two together.

The expected error of a model is that of its cells nearest to the question. Near is counted in doublings of
lookback and horizon and, by half, of the number of variates. Models that noise cannot tell from the best one
are ordered by what they cost, because a difference smaller than the noise is none.
"""

import math
from dataclasses import dataclass

import numpy as np

from formerbench.analysis.prediction import Curve, Errors, predicted

_ENDS = ("value", "low", "high")
VARIATES_COUNT = 0.5  # of a doubling of the number of variates, against one of the lookback
READABLE = ("repeat", "seasonal_naive", "dlinear", "tft")
NOT_SCORED, NOT_READABLE, MEMORY, LATENCY = "not scored", "not readable", "memory", "latency"
WORDS = {
    NOT_SCORED: "no cell of it was scored",
    NOT_READABLE: "its forecast cannot be read from its parts",
    MEMORY: "needs about {came} MB to train, {wanted} MB are there",
    LATENCY: "takes about {came} ms a batch, {wanted} ms are allowed",
}


@dataclass(frozen=True, kw_only=True)
class Query:
    """A reader's question.

    Attributes:
        lookback, horizon: steps that are known, and steps to forecast.
        n_variates: columns of the data.
        seasonality: strength from 0 to 1; None where it is not known.
        interpretable: whether the forecast must be readable from the model's parts.
        memory_mb: most that a training step may need, or None.
        latency_ms: most that the forecast of a batch may take, or None.
        device: ``cpu`` or ``cuda``.
    """

    lookback: int
    horizon: int
    n_variates: int
    seasonality: float | None = None
    interpretable: bool = False
    memory_mb: float | None = None
    latency_ms: float | None = None
    device: str = "cpu"


def answer(knowledge: dict, query: Query) -> dict:
    """The recommended model, the runner-up, and every candidate with what speaks against it.

    Args:
        knowledge: of :func:`formerbench.analysis.knowledge.knowledge`.

    Returns:
        ``best`` and ``second``, names or None; ``tied``, whether noise cannot tell the two apart (None
        without a second); ``candidates``, the fit ones in order, then those that are struck out.
    """
    distances = [distance(one, query) for one in knowledge["settings"]]
    found = [_candidate(knowledge, model, query, distances) for model in knowledge["models"]]
    fit = [one for one in found if not one["against"]]
    fit.sort(key=lambda one: (one["error"], one["model"]))
    if fit:
        level = [one for one in fit if _level(fit[0], one)]
        level.sort(key=lambda one: (_or_infinity(one["latency_ms"]), one["error"], one["model"]))
        fit = level + fit[len(level) :]
    unfit = sorted((one for one in found if one["against"]), key=lambda one: one["model"])
    return {
        "best": fit[0]["model"] if fit else None,
        "second": fit[1]["model"] if len(fit) > 1 else None,
        "tied": _level(*sorted(fit[:2], key=lambda one: one["error"])) if len(fit) > 1 else None,
        "candidates": fit + unfit,
    }


def _level(better: dict, other: dict) -> bool:
    """Whether ``other`` is worse by no more than the noise of the two."""
    noise = math.sqrt(better["noise"] ** 2 + other["noise"] ** 2)
    return other["error"] <= better["error"] * (1 + noise)


def _or_infinity(cost: dict | None) -> float:
    return math.inf if cost is None else cost["value"]


def _candidate(knowledge: dict, model: str, query: Query, distances: list[float]) -> dict:
    cells, far = _nearest(knowledge["settings"], model, distances)
    costs = knowledge["costs"].get(query.device, {}).get(model, {})
    found = {
        "model": model,
        "cells": cells,
        "distance": far,
        "error": None,
        "low": None,
        "high": None,
        "noise": None,
        "latency_ms": cost(costs.get("latency_ms"), query),
        "memory_mb": cost(costs.get("memory_mb"), query),
    }
    if cells:
        scores = [knowledge["settings"][i]["scores"][model] for i in cells]
        found["error"] = math.exp(sum(math.log(score["error"]) for score in scores) / len(scores))
        found["noise"] = max(score["noise"] for score in scores)
        if knowledge["rate"] is not None:
            factor = math.exp(knowledge["rate"] * max(1.0, far))
            found |= {"low": found["error"] / factor, "high": found["error"] * factor}
    return found | {"against": _against(model, found, query)}


def _against(model: str, found: dict, query: Query) -> list[dict]:
    """What makes a candidate unfit; a cost that was not measured speaks neither for nor against it."""
    reasons = []
    if found["error"] is None:
        reasons.append({"reason": NOT_SCORED})
    if query.interpretable and model not in READABLE:
        reasons.append({"reason": NOT_READABLE})
    limits = ((MEMORY, found["memory_mb"], query.memory_mb), (LATENCY, found["latency_ms"], query.latency_ms))
    for reason, cost, limit in limits:
        if cost is not None and limit is not None and cost["value"] > limit:
            reasons.append({"reason": reason, "came": cost["value"], "wanted": limit})
    return reasons


def distance(setting: dict, query: Query) -> float:
    """Doublings between a setting and a question; variates that are not known do not count."""
    found = abs(math.log2(setting["lookback"] / query.lookback))
    found += abs(math.log2(setting["horizon"] / query.horizon))
    if setting["n_variates"] is not None:
        found += VARIATES_COUNT * abs(math.log2(setting["n_variates"] / query.n_variates))
    return found


def _nearest(settings: list[dict], model: str, distances: list[float]) -> tuple[list[int], float | None]:
    """Places in ``settings`` of the model's nearest ones, and how far they are."""
    there = [(distances[i], i) for i, one in enumerate(settings) if model in one["scores"]]
    if not there:
        return [], None
    least = min(there)[0]
    return [i for far, i in there if far <= least + 1e-9], least


def cost(curve: dict | None, query: Query) -> dict | None:
    """Cost at the lookback, times how it grew with the variates where that was measured."""
    if curve is None:
        return None
    of_length = Curve(*(np.array(curve[name]) for name in ("coefficients", "lengths", "residuals")))
    at = predicted(of_length, query.lookback, Errors(curve["rate"], 0))
    grown = _between(curve["by_variates"], query.n_variates) if curve["by_variates"] else 1.0
    return {name: None if (end := getattr(at, name)) is None else end * grown for name in _ENDS}


def _between(points: list[list[float]], n_variates: int) -> float:
    """Factor at a number of variates, straight between the logs of what was measured, level beyond."""
    return math.exp(np.interp(math.log(n_variates), *zip(*points, strict=True)))


def words(reason: dict) -> str:
    """What speaks against a candidate, as people say it."""
    numbers = {key: f"{value:.3g}" for key, value in reason.items() if key != "reason"}
    return WORDS[reason["reason"]].format(**numbers)
