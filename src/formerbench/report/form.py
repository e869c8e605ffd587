"""The form of the decision page: what it knows, and the answer to the first question."""

from formerbench.analysis.knowledge import knowledge
from formerbench.analysis.recommendation import WORDS, Query, answer, words
from formerbench.data.registry import load_registry
from formerbench.report.context import Content, inlined
from formerbench.report.text import listed, three_digits

_USUAL = {"lookback": 336, "horizon": 96, "n_variates": 7}


def form(content: Content) -> dict:
    """Variables of ``decision_form.html.j2``."""
    known = knowledge(_scores(content), variates(content), content.measured)
    query = _first_question(known)
    found = answer(known, query)
    styles = content.styles
    labels = {name: styles[name].label for name in known["models"]}
    return {
        "query": query,
        "devices": sorted({"cpu", "cuda"} & set(known["costs"])) or ["cpu"],
        "answer": _sentence(found, labels),
        "protocol": _protocol(known),
        "rows": [_row(one, known, styles) for one in found["candidates"]],
        "data": {"knowledge": known, "labels": labels, "words": WORDS},
        "script": inlined("cost.js", "words.js", "recommend.js", "form.js"),
    }


def _scores(content: Content) -> list:
    return [(content.tables.study["study"], content.accuracy), *content.scores]


def variates(content: Content) -> dict[str, int | None]:
    """Number of variates of each data set, where it is known."""
    registered = {name: entry.variates for name, entry in load_registry().items()}
    return registered | {facts["name"]: facts["n_variates"] for facts in content.tables.datasets}


def _first_question(known: dict) -> Query:
    """One that a setting of the tables answers, as near to the usual sizes as there is."""
    asked = Query(**_USUAL)
    sizes = [{key: one[key] or asked.n_variates for key in _USUAL} for one in known["settings"]]
    if not sizes:
        return asked
    return Query(**max(sizes, key=lambda one: (one["lookback"], one["horizon"] == asked.horizon)))


def _sentence(found: dict, labels: dict[str, str]) -> str:
    """The same words as in ``static/form.js``."""
    if found["best"] is None:
        return "No model fits this question: every one is struck out below."
    error = three_digits(found["candidates"][0]["error"])
    best, second = labels[found["best"]], labels.get(found["second"])
    said = f"{best}: its MSE should be about {error} of seasonal naive's."
    if second is None:
        return said
    return (
        f"{said} {second} is level with it within noise." if found["tied"] else f"{said} Runner-up: {second}."
    )


def _protocol(known: dict) -> str:
    if not known["settings"]:
        words = ["No cell was scored beside seasonal naive, so that no model can be recommended."]
    else:
        cells = sum(len(one["scores"]) for one in known["settings"])
        words = [
            f"Errors are those of the nearest of {cells:,} scores of {known['scores_of']}, near by doublings "
            "of lookback, horizon and, by half, variates. Models level within the noise of their seeds are "
            "ordered by time."
        ]
        if known["rate"] is None:
            words.append("There are too few cells for an interval of an unseen one.")
        else:
            words.append("Intervals hold 90 % of the cells when each is answered from all others.")
    for device, sizes in sorted(known["sizes"].items()):
        of = size_words(known["machines"][device], sizes)
        words.append(f"Costs on {device}: {of}{_grown(known, device)}.")
    return " ".join(words)


def size_words(machine: str, sizes: dict) -> str:
    """What costs are of, whatever the sizes of the cells that were scored."""
    widths = f"d_model {listed([str(width) for width in sizes['d_model']])}, " if sizes["d_model"] else ""
    return (
        f"{machine}, {widths}{sizes['horizon']} steps ahead, batches of {sizes['batch_size']}, "
        f"{sizes['n_variates']} variates"
    )


def _grown(known: dict, device: str) -> str:
    curves = [curve for model in known["costs"][device].values() for curve in model.values()]
    if any(curve["by_variates"] for curve in curves):
        return " and as measured at other numbers"
    return "; how they grow with variates was not measured"


def _row(one: dict, known: dict, styles: dict) -> dict:
    cells = [known["settings"][i] for i in one["cells"]]
    error = None if one["error"] is None else {"value": one["error"], "low": one["low"], "high": one["high"]}
    return {
        "model": one["model"],
        "style": styles[one["model"]],
        "out": bool(one["against"]),
        "error": span(error),
        "latency": span(one["latency_ms"]),
        "memory": span(one["memory_mb"]),
        "cells": "; ".join(f"{c['dataset']} L={c['lookback']} H={c['horizon']}" for c in cells) or "none",
        "verdict": "; ".join(words(reason) for reason in one["against"]) or "fits",
    }


def span(of: dict | None) -> str:
    """The same words as in ``static/words.js``."""
    if of is None:
        return "not measured"
    value = three_digits(of["value"])
    return (
        value if of["low"] is None else f"{value} ({three_digits(of['low'])} to {three_digits(of['high'])})"
    )
