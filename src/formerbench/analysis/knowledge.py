"""What a recommendation knows, as plain values that fit into a page: scores of cells, curves of costs."""

import math
from collections.abc import Iterable, Mapping

import pandas as pd

from formerbench.analysis.fits import LEAST_POINTS
from formerbench.analysis.leaderboard import REFERENCE, Score, entries
from formerbench.analysis.measured import good
from formerbench.analysis.prediction import (
    LEAST_OCTAVES,
    Curve,
    Errors,
    covering,
    fit_parts,
    past_errors,
    series_of,
)
from formerbench.analysis.recommendation import Query, answer
from formerbench.errors import StatedError

COSTS = {"latency_ms": ("time_ms", "inference"), "memory_mb": ("peak_memory_mb", "train_step")}
ONE_SEED = 0.03  # noise of a score of a single seed, as a share of it: assumed
_BASE = {"precision": "fp32", "variant": "base"}


def knowledge(
    scores: Iterable[tuple[str, pd.DataFrame]], variates: Mapping[str, int | None], measured: pd.DataFrame
) -> dict:
    """Everything that :func:`formerbench.analysis.recommendation.answer` reads.

    Args:
        scores: accuracy tables by name, the study's own first. The first that has a trained model beside
            seasonal naive is taken, as cells of two studies were not trained alike.
        variates: number of variates of each data set, where it is known.
        measured: of :func:`formerbench.analysis.measured.measured`, the study's own rows first. Of each
            device the first machine is taken that timed four lookbacks.

    Returns:
        ``scores_of``, the name of the table or None; ``models``; ``settings``, each with its ``scores``: the
        error as a share of seasonal naive's MSE and its noise (two standard deviations over seeds, as a share
        of the error); ``rate``, by which factor errors of unseen cells were off, a log for each doubling, or
        None; ``costs`` by device and model, ``machines`` by device, ``sizes`` that costs are of.
    """
    name, settings = None, []
    for name, accuracy in scores:  # noqa: B007
        settings = _settings(accuracy, variates)
        if any(_trained(one) for one in settings):
            break
    else:
        name, settings = None, []
    places = first_places(measured)
    scored = {model for one in settings for model in one["scores"]}
    costs = {device: curves(rows, COSTS) for device, rows in places.items()}
    found = {
        "scores_of": name,
        "models": sorted(scored.union(*costs.values())),
        "settings": settings,
        "costs": costs,
        "machines": {device: rows["machine"].iloc[0] for device, rows in places.items()},
        "sizes": {device: sizes(rows) for device, rows in places.items()},
        "rate": None,
    }
    return found | {"rate": _rate(found)}


def _settings(accuracy: pd.DataFrame, variates: Mapping[str, int | None]) -> list[dict]:
    """Settings whose data set and horizon have a seasonal naive to be measured by."""
    table = entries(accuracy)
    table = table[table["skill"].notna() & (table["skill"] < 100)]
    found = []
    for key, group in table.groupby(["dataset", "lookback", "horizon", "device", "precision"], sort=True):
        setting = dict(zip(("dataset", "lookback", "horizon", "device", "precision"), key, strict=True))
        setting |= {"lookback": int(setting["lookback"]), "horizon": int(setting["horizon"])}
        scores = {row["model"]: _score(row) for _, row in group.iterrows()}
        found.append(setting | {"n_variates": variates.get(setting["dataset"]), "scores": scores})
    return found


def _score(row: pd.Series) -> dict:
    mse: Score = row["mse"]
    noise = ONE_SEED if mse.sd is None else 2 * mse.sd / mse.mean
    return {"error": 1 - float(row["skill"]) / 100, "noise": float(noise), "mse": mse.mean, "seeds": mse.n}


def _trained(setting: dict) -> set[str]:
    return set(setting["scores"]) - {REFERENCE, "repeat"}


def _rate(found: dict) -> float | None:
    """The 90 % quantile of the log error of an octave, trained models of a setting told from all others."""
    errors = []
    for i, setting in enumerate(found["settings"]):
        others = found["settings"][:i] + found["settings"][i + 1 :]
        asked = {key: setting[key] for key in ("lookback", "horizon")}
        query = Query(**asked, n_variates=setting["n_variates"] or 1)
        for one in answer(found | {"settings": others, "costs": {}}, query)["candidates"]:
            if one["model"] in _trained(setting) and one["error"] is not None:
                missed = math.log(setting["scores"][one["model"]]["error"] / one["error"])
                errors.append(abs(missed) / max(1.0, one["distance"]))
    return covering(errors)


def first_places(measured: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of each device in fp32, of the first study and machine that timed enough lookbacks for a curve."""
    rows = good(measured, "lookback")
    lengths = rows.groupby(["evidence", "machine", "device", "precision"])["lookback"].transform("nunique")
    rows = measured.loc[rows.index[lengths >= LEAST_POINTS].sort_values()]
    found = {}
    for device, there in rows[rows["precision"] == _BASE["precision"]].groupby("device"):
        first = there.iloc[0]
        same = (measured["evidence"] == first["evidence"]) & (measured["machine"] == first["machine"])
        same &= (measured["device"] == device) & (measured["precision"] == _BASE["precision"])
        found[str(device)] = measured[same & (measured["variant"] == _BASE["variant"])]
    return found


def sizes(rows: pd.DataFrame) -> dict:
    """What the costs of one place are of: horizon, variates, batch size and the models' widths."""
    rows = good(rows, "lookback")
    found = {name: int(rows[name].iloc[0]) for name in ("horizon", "n_variates", "batch_size")}
    return found | {"d_model": sorted({int(width) for width in rows["d_model"].dropna()})}


def curves(rows: pd.DataFrame, costs: Mapping[str, tuple[str, str]]) -> dict[str, dict]:
    """Curves by model and cost of one place's ``rows``, none where there are too few lengths.

    ``costs`` names the (quantity, phase) of each.
    """
    found: dict = {}
    for cost, (quantity, phase) in costs.items():
        errors = past_errors(rows, quantity)
        for key, series in series_of(rows[rows["phase"] == phase], quantity).items():
            model, lengths = key[0], series["lookback"].to_numpy(float)
            try:
                curve = fit_parts(lengths, series[quantity].to_numpy(float), quantity, model)
            except StatedError:
                continue  # too few lengths: the cost is not known
            grown = _by_variates(rows, model, quantity, phase, int(series["n_variates"].iloc[0]))
            found.setdefault(model, {})[cost] = _plain(curve, errors, grown)
    return found


def _plain(curve: Curve, errors: Errors, grown: list[list[float]]) -> dict:
    return {
        "coefficients": curve.coefficients.tolist(),
        "lengths": curve.lengths.tolist(),
        "residuals": curve.residuals.tolist(),
        "rate": errors.rate,
        "least_octaves": LEAST_OCTAVES,
        "by_variates": grown,
    }


def _by_variates(rows: pd.DataFrame, model: str, quantity: str, phase: str, base: int) -> list[list[float]]:
    """(log of the number of variates, log of the cost over that at ``base``), or nothing."""
    there = good(rows[(rows["subject"] == model) & (rows["phase"] == phase)], "variates", quantity)
    there = there.drop_duplicates("n_variates").sort_values("n_variates")
    at_base = there.loc[there["n_variates"] == base, quantity]
    if at_base.empty or len(there) < 2:
        return []
    points = zip(there["n_variates"], there[quantity], strict=True)
    return [[math.log(n), math.log(value / at_base.iloc[0])] for n, value in points]
