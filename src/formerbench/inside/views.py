"""From the tensors of ``model.explain`` to bars, lines and maps, and the patterns in them.

A view is ``{"kind": "bars" | "lines" | "map", "key", "title", ...}`` in plain values; what each kind holds is
said where it is made. Tensors of names that are not known here, as a user's model may have, give no view.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from formerbench.inside import patterns

_MOST = 32  # rows and columns of a map: more cannot be read
Shown = dict[str, np.ndarray]


@dataclass(frozen=True)
class Window:
    """One window, and how the model names its inputs.

    Attributes:
        columns: names of the variates; ``target`` is the place of the one that is shown.
        truth, forecast: (H,) of the target on the scaled axis.
        marks: names of the time marks.
        patch: (patch_len, stride) of a model that cuts its input into patches.
        past_variables, future_variables: names of TFT's inputs.
    """

    columns: tuple[str, ...]
    target: int
    season: int
    lookback: int
    horizon: int
    truth: np.ndarray
    forecast: np.ndarray
    marks: tuple[str, ...]
    patch: tuple[int, int] | None = None
    past_variables: tuple[str, ...] = ()
    future_variables: tuple[str, ...] = ()


def views(shown: Shown, window: Window) -> tuple[list[dict], list[dict]]:
    """All views and patterns of what a model showed of ``window``, a batch of one."""
    drawn, found = [], []
    for tensor, view in _VIEWS.items():
        if tensor in shown:
            for one, seen in view(shown, window):
                drawn.append(one)
                found += [{"view": one["title"]} | pattern for pattern in seen if pattern is not None]
    return drawn, found


def _lines(key: str, title: str, x, x_label: str, y_label: str, series: dict, marks=()) -> dict:
    """``series`` maps a name to as many values as ``x`` has; ``marks`` are places on the x axis."""
    return {
        "kind": "lines",
        "key": key,
        "title": title,
        "x": [int(value) for value in x],
        "x_label": x_label,
        "y_label": y_label,
        "series": {name: _short(values) for name, values in series.items()},
        "marks": sorted({int(mark) for mark in marks}),
    }


def _bars(key: str, title: str, y_label: str, values: dict[str, float]) -> dict:
    """``values`` maps a label to the length of its bar."""
    return {
        "kind": "bars",
        "key": key,
        "title": title,
        "y_label": y_label,
        "labels": list(values),
        "values": _short(list(values.values())),
    }


def _map(
    key: str, title: str, rows: list[str], columns: list[str], row_label: str, column_label: str, values
):
    """``values`` (rows, columns): what a row gives to each column."""
    return {
        "kind": "map",
        "key": key,
        "title": title,
        "rows": rows,
        "columns": columns,
        "row_label": row_label,
        "column_label": column_label,
        "values": [_short(row) for row in values],
    }


def _short(values) -> list[float]:
    """Four digits: more cannot be seen."""
    return [float(f"{value:.4g}") for value in np.asarray(values, dtype=float)]


def _parts(shown: Shown, window: Window) -> Iterator:
    parts = {name: shown[name][0, :, window.target] for name in ("trend", "seasonal")}
    series = {"truth": window.truth, "forecast": window.forecast} | parts
    title = "Trend and seasonal part of the forecast"
    steps = range(1, window.horizon + 1)
    yield _lines("parts", title, steps, "steps ahead", "scaled value", series), []


def _delays(shown: Shown, window: Window) -> Iterator:
    delays, weights = shown["delays"][:, 0], shown["weights"][:, 0]
    for depth, (own, weight) in enumerate(zip(delays, weights, strict=True)):
        order = np.argsort(-weight)
        bars = {f"{int(own[i])} steps": weight[i] for i in order}
        title = f"Delays of encoder layer {depth + 1}"
        # Delays are taken around the end of the input, so that one of L - 24 is 24 the other way round.
        every = np.arange(window.lookback)
        seasonal = patterns.at_seasons(np.minimum(every, window.lookback - every), window.season)
        share = float(weight[seasonal[own.astype(int)]].sum())
        pattern = patterns.of_season(window.season, share, float(seasonal.mean()))
        yield _bars(f"delays-{depth}", title, "weight", bars), [pattern]


def _queries(shown: Shown, window: Window) -> Iterator:
    depths = [name.removeprefix("sparsity_") for name in shown if name.startswith("sparsity_")]
    for depth in depths:
        measured, chosen = shown[f"sparsity_{depth}"][0], shown[f"selected_queries_{depth}"][0]
        steps = np.arange(measured.shape[1])
        title = f"Sparsity of the queries of encoder layer {int(depth) + 1}"
        late = float((chosen >= 0.75 * len(steps)).mean())
        recent = {
            "name": "recent queries",
            "what": "selected queries in the last quarter",
            "value": late,
            "chance": 0.25,
            "found": late > patterns.CLEAR * 0.25,
        }
        series = {"mean over heads": measured.mean(axis=0), "most peaked head": measured.max(axis=0)}
        label = "position in the layer's input"
        yield (
            _lines(f"queries-{depth}", title, steps, label, "max − mean", series, np.unique(chosen)),
            [recent],
        )


def _modes(shown: Shown, window: Window) -> Iterator:
    names = {"encoder_modes": "encoder", "decoder_modes": "decoder", "cross_modes": "cross attention"}
    kept = {words: shown[name].astype(int) for name, words in names.items() if name in shown}
    # Of a mode, the frequency is a whole number of periods in the length that the block sees.
    length = window.lookback
    first = kept["encoder"]
    seasonal = round(length / window.season)
    has = seasonal in set(first.tolist())
    pattern = None
    share = len(first) / (length // 2 + 1)
    if seasonal >= 1 and share < 1 / patterns.CLEAR:
        words = f"the season's mode, {seasonal} periods in {length} steps, is kept"
        pattern = {"name": "season kept", "what": words, "value": float(has), "chance": share, "found": has}
    every = np.arange(max(int(modes.max()) for modes in kept.values()) + 1)
    values = [np.isin(every, modes) for modes in kept.values()]
    names = [str(mode) for mode in every]
    title = "Fourier modes that are kept"
    yield _map("modes", title, list(kept), names, "", "periods in the length", values), [pattern]


def _patches(shown: Shown, window: Window) -> Iterator:
    last = shown["patch_attention"][-1, 0].mean(axis=(0, 1))  # over variates and heads
    length, stride = window.patch
    first = [stride * i - window.lookback for i in range(len(last))]
    lag = stride * (np.arange(len(last))[:, None] - np.arange(len(last))[None])
    found = [patterns.causal(last, lag), patterns.local(last, lag)]
    found.append(patterns.periodic(last, lag, window.season, stride))
    kept, labels = _thinned(last), [str(start) for start in first]
    labels = labels[:: -(-len(labels) // _MOST)]
    title = f"Attention between patches of {length} steps, last layer, mean over heads and variates"
    yield (
        _map("patches", title, labels, labels, "patch that asks, first step", "patch looked at", kept),
        found,
    )


def _thinned(weights: np.ndarray) -> np.ndarray:
    """Every n-th row, and the columns' weights summed up by n, so that rows still sum to 1."""
    by = -(-len(weights) // _MOST)
    padded = np.pad(weights[::by], ((0, 0), (0, -weights.shape[1] % by)))
    return padded.reshape(len(padded), -1, by).sum(axis=2)


def _variates(shown: Shown, window: Window) -> Iterator:
    last = shown["variate_attention"][-1, 0].mean(axis=0)
    names = [*window.columns, *window.marks][: len(last)]
    own = float(np.diag(last).mean())
    pattern = {
        "name": "self",
        "what": "weight of a variate on itself",
        "value": own,
        "chance": 1 / len(last),
        "found": own > patterns.CLEAR / len(last),
    }
    # The variates that the others look at most, in their own order.
    kept = np.sort(np.argsort(-last.sum(axis=0), kind="stable")[:_MOST])
    title = "Attention between variates, last layer, mean over heads"
    chosen = [names[i] for i in kept]
    values = last[np.ix_(kept, kept)]
    yield _map("variates", title, chosen, chosen, "variate that asks", "variate looked at", values), [pattern]


def _variables(shown: Shown, window: Window) -> Iterator:
    for kind, names in (("past", window.past_variables), ("future", window.future_variables)):
        weights = shown[f"{kind}_variable_weights"][0, window.target].mean(axis=0)
        spoken = [_spoken(name, window.marks) for name in names]
        values = dict(zip(spoken, weights, strict=True))
        yield (
            _bars(f"{kind}-variables", f"Importance of {kind} inputs", "weight, mean over steps", values),
            [],
        )


def _spoken(name: str, marks: tuple[str, ...]) -> str:
    """ "mark_0" of a model as what it stands for."""
    kind, _, number = name.rpartition("_")
    return marks[int(number)] if kind == "mark" else name.replace("_", " ")


def _lags(shown: Shown, window: Window) -> Iterator:
    weights = shown["attention"][0, window.target]  # (H, L + H)
    place = np.arange(weights.shape[1]) - window.lookback + 1  # 1 is the first forecast step
    lag = np.arange(1, window.horizon + 1)[:, None] - place[None]
    found = [patterns.local(weights, lag), patterns.periodic(weights, lag, window.season)]
    steps = sorted({1, (window.horizon + 1) // 2, window.horizon})
    series = {f"forecast step {step}": weights[step - 1] for step in steps}
    title = "Attention of forecast steps, mean over heads"
    yield (
        _lines("lags", title, place, "step that is looked at, 1 is the first forecast", "weight", series),
        found,
    )


_VIEWS = {
    "seasonal": _parts,
    "delays": _delays,
    "sparsity_0": _queries,
    "encoder_modes": _modes,
    "patch_attention": _patches,
    "variate_attention": _variates,
    "past_variable_weights": _variables,
    "attention": _lags,
}
