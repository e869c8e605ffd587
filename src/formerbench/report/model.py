"""What the page of a model shows: how it works, where it won and lost, what it costs, its inside."""

import pandas as pd

from formerbench.analysis.fits import PowerLaw
from formerbench.analysis.leaderboard import REFERENCE, best_of_each_model, percent_above, tied
from formerbench.analysis.theory import complexity
from formerbench.report.boards import board_id
from formerbench.report.context import Content, slug
from formerbench.report.groups import Group, groups
from formerbench.report.inside_figures import inside_figure, pattern_words
from formerbench.report.matrix import MEMORY_WORDS, exponent
from formerbench.report.mechanisms import MECHANISMS
from formerbench.report.text import count, percent, score_text, signed_percent, three_digits


def model_page(name: str) -> str:
    """File name of a model's page."""
    return f"model-{slug(name)}.html"


def model_names(content: Content) -> list[str]:
    """The models that have a page, in the study's order."""
    return list(dict.fromkeys(one["model"] for one in content.tables.inside))


def model(content: Content, name: str) -> dict:
    """Variables of ``model.html.j2``."""
    places = _places(content, name)
    return {
        "style": content.styles[name],
        "siblings": [(content.styles[other], model_page(other)) for other in model_names(content)],
        "mechanism": MECHANISMS.get(name),
        "complexity": complexity(name),
        "parameters": _parameters(content, name),
        "answer": _answer(content, name, places),
        "places": places,
        "growth": _growth(content, name),
        "insides": [_inside(content, one) for one in content.tables.inside if one["model"] == name],
    }


def _parameters(content: Content, name: str) -> str:
    sizes = content.accuracy.loc[content.accuracy["model"] == name, "n_parameters"].dropna()
    if sizes.empty:
        return "not known: no cell has ended with a score"
    low, high = int(sizes.min()), int(sizes.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}, by lookback and horizon"


def _places(content: Content, name: str) -> list[dict]:
    """Where the model stands in each leaderboard, each model at its most accurate lookback."""
    found = []
    for verdict in content.verdicts:
        best = best_of_each_model(content.entries, verdict.dataset, verdict.horizon).reset_index(drop=True)
        own = best[best["model"] == name]
        if own.empty:
            continue
        place, entry, first = int(own.index[0]), own.iloc[0], best.iloc[0]
        behind = percent_above(entry["mse"].mean, first["mse"].mean)
        found.append(
            {
                "dataset": verdict.dataset,
                "horizon": verdict.horizon,
                "board": board_id(verdict.dataset, verdict.horizon),
                "place": place + 1,
                "of": len(best),
                "lookback": int(entry["lookback"]),
                "mse": {"value": entry["mse"].mean, "text": score_text(entry["mse"])},
                "winner": content.styles[first["model"]],
                "behind": {"value": behind, "text": percent(behind) if place else "first"},
                "level": place > 0 and tied(entry["mse"], first["mse"]) is True,
                "skill": None if pd.isna(entry["skill"]) else float(entry["skill"]),
                "skill_text": "" if pd.isna(entry["skill"]) else signed_percent(entry["skill"]),
            }
        )
    return found


def _answer(content: Content, name: str, places: list[dict]) -> str:
    label = content.styles[name].label
    if not places:
        return f"No cell of {label} has ended with a score, so it won and lost nothing."
    first = sum(one["place"] == 1 for one in places)
    level = sum(one["level"] for one in places)
    where = count(len(places), "pair of data set and horizon", "pairs of data set and horizon")
    words = f"{label} has the lowest MSE in {first} of {where}"
    words += f", and in {level} more noise cannot tell it from the first." if level else "."
    skills = [one["skill"] for one in places if one["skill"] is not None]
    if skills:
        beaten = sum(skill > 0 for skill in skills)
        words += f" It beats {content.styles[REFERENCE].label.lower()} in {beaten} of {len(skills)}."
    return words


def _growth(content: Content, name: str) -> list[dict]:
    """Exponents of time and memory wherever the model was measured at enough lengths."""
    rows = [_grown(group, name) for group in groups(content, "lookback")]
    return [row for row in rows if row is not None]


def _grown(group: Group, name: str) -> dict | None:
    time, memory = (group.fits.get((name, quantity)) for quantity in ("time_ms", group.memory))
    if not isinstance(time, PowerLaw):
        return None
    longest = group.good("time_ms").query("subject == @name").sort_values("lookback").iloc[-1]
    return {
        "place": group.place,
        "origin": group.origin,
        "setting": group.setting,
        "phase": group.phase_words,
        "time": _law(time),
        "memory": _law(memory) if isinstance(memory, PowerLaw) else None,
        "memory_words": MEMORY_WORDS[group.memory],
        "longest": f"L={int(longest['lookback']):,}: {three_digits(longest['time_ms'])} ms, "
        f"{three_digits(longest[group.memory])} MB",
    }


def _law(law: PowerLaw) -> dict:
    interval = f"{exponent(law.low)} to {exponent(law.high)}"
    return {"value": law.exponent, "text": f"{exponent(law.exponent)} ({interval})"}


def _inside(content: Content, one: dict) -> dict:
    """The views of one trained cell, their patterns, and the calibration of its quantiles."""
    style, name = content.styles[one["model"]], slug(one["dataset"])
    figures = [
        inside_figure(
            view,
            [pattern for pattern in one["patterns"] if pattern["view"] == view["title"]],
            style,
            f"{name}-{view['key']}",
        )
        for view in one["views"]
    ]
    return {
        "dataset": one["dataset"],
        "lookback": one["lookback"],
        "horizon": one["horizon"],
        "seed": one["seed"],
        "from": one["from"],
        "reason": one["reason"],
        "figures": figures,
        "patterns": [pattern | {"words": pattern_words(pattern)} for pattern in one["patterns"]],
        "calibration": one["calibration"],
    }
