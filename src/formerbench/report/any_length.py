"""The form of the scaling page: time and memory at a length that the reader types."""

from math import sqrt

from formerbench.analysis.knowledge import curves, first_places, sizes
from formerbench.analysis.recommendation import Query, cost
from formerbench.report.context import Content, inlined
from formerbench.report.form import size_words, span

# Column of the table to (quantity, phase).
COSTS = {
    "Training step, ms": ("time_ms", "train_step"),
    "Inference, ms a batch": ("time_ms", "inference"),
    "Training, MB": ("peak_memory_mb", "train_step"),
}


def any_length(content: Content) -> dict | None:
    """Variables of ``any_length.html.j2``; None where no device has a curve.

    At the numbers of variates that were measured by length: by number of variates, the decision page tells.
    """
    places = first_places(content.measured)
    by_device = {device: curves(rows, COSTS) for device, rows in places.items()}
    by_device = {device: known for device, known in by_device.items() if known}
    if not by_device:
        return None
    for curve in _every(by_device.values()):
        curve["by_variates"] = []
    last = {device: int(max(_lengths(known))) for device, known in by_device.items()}
    device = min(by_device)
    lengths = _lengths(by_device[device])
    lookback = round(sqrt(lengths[-1] * lengths[-2]))  # between the two longest, where nothing was measured
    models = sorted(set().union(*by_device.values()), key=list(content.styles).index)
    return {
        "lookback": lookback,
        "devices": list(by_device),
        "columns": list(COSTS),
        "of": [
            f"On {device}: {size_words(places[device]['machine'].iloc[0], sizes(places[device]))}."
            for device in by_device
        ],
        "rows": [
            (content.styles[model], _texts(by_device[device].get(model, {}), lookback)) for model in models
        ],
        "data": {"curves": by_device, "columns": list(COSTS), "last": last},
        "script": inlined("cost.js", "words.js", "any_length.js"),
    }


def _texts(known: dict, lookback: int) -> list[str]:
    asked = Query(lookback=lookback, horizon=1, n_variates=1)
    return [span(cost(known.get(name), asked)) for name in COSTS]


def _every(devices) -> list[dict]:
    return [curve for known in devices for costs in known.values() for curve in costs.values()]


def _lengths(known: dict) -> list[float]:
    return sorted({length for curve in _every([known]) for length in curve["lengths"]})
