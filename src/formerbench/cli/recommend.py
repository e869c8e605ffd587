"""``formerbench recommend``: which model for a CSV file, and why."""

import json
from pathlib import Path

from formerbench.cli.command import command
from formerbench.errors import StatedError

_LOOKBACK = 336


def add(commands) -> None:
    """Add the command."""
    recommend = command(
        commands,
        "recommend",
        "Say which model to take for your own data, and from which measured cells that follows.",
        "formerbench recommend my.csv --horizon 96 --memory-gb 8 --latency-ms 50",
        _recommend,
    )
    recommend.add_argument("csv", type=Path, help="a CSV file: a column of time stamps, others of numbers")
    recommend.add_argument("--horizon", type=int, required=True, help="steps to forecast")
    recommend.add_argument("--lookback", type=int, help=f"steps to look back (default: {_LOOKBACK} or fewer)")
    recommend.add_argument("--memory-gb", type=float, help="memory that training may take, in 2^30 bytes")
    recommend.add_argument("--latency-ms", type=float, help="time that the forecast of a batch may take")
    recommend.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: cpu)")
    recommend.add_argument(
        "--interpretable", action="store_true", help="only models whose forecast can be read from their parts"
    )
    recommend.add_argument("--date-column", default="date", help="name of the time stamps (default: date)")
    recommend.add_argument(
        "--tables",
        type=Path,
        help="tables of your own study, such as results/quick/tables (default: the reference results)",
    )
    recommend.add_argument("--json", action="store_true", help="print everything as JSON")


def _recommend(options) -> None:
    from formerbench.analysis.description import describe
    from formerbench.analysis.recommendation import Query, answer
    from formerbench.data.reading import read_table
    from formerbench.data.registry import Entry

    for name in ("horizon", "lookback"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise StatedError(f"--{name} must be at least 1, but it is {getattr(options, name)}")
    entry = Entry.from_dict({"name": "own", "path": str(options.csv), "date_column": options.date_column})
    described = describe(read_table(entry, options.csv))
    room = described.rows // 10 - options.horizon
    query = Query(
        lookback=options.lookback or max(1, min(_LOOKBACK, room)),
        horizon=options.horizon,
        n_variates=described.n_variates,
        seasonality=described.seasonality,
        interpretable=options.interpretable,
        memory_mb=None if options.memory_gb is None else 1024 * options.memory_gb,
        latency_ms=options.latency_ms,
        device=options.device,
    )
    known = _known(options.tables)
    found = answer(known, query)
    advice = _advice(query)
    if options.json:
        cells = [[known["settings"][i] for i in one["cells"]] for one in found["candidates"]]
        shown = {"data": described.as_dict(), "query": vars(query), "review": advice, "answer": found}
        print(json.dumps(shown | {"scores_of": known["scores_of"], "cells": cells}, indent=1))
    else:
        print("\n".join(_text(described, query, advice, found, known)))


def _known(tables: Path | None) -> dict:
    import pandas as pd

    from formerbench.analysis.knowledge import knowledge
    from formerbench.analysis.measured import measured
    from formerbench.analysis.tables import read_evidence, read_scores
    from formerbench.data.registry import load_registry
    from formerbench.paths import shipped

    folders = [*([tables] if tables else []), shipped("results/reference")]
    if tables and not (tables / "accuracy.csv").is_file():
        raise StatedError(f"there is no accuracy.csv in {tables}; give the folder `tables` of a study")
    scores = [(folder.name, found) for folder in folders if (found := read_scores(folder)) is not None]
    frames = [
        measured(found.scaling, found.scaling_repeats).assign(evidence=found.name)
        for folder in folders
        if (found := read_evidence(folder)) is not None and len(found.scaling)
    ]
    variates = {name: entry.variates for name, entry in load_registry().items()}
    return knowledge(scores, variates, pd.concat(frames, ignore_index=True))


def _advice(query) -> dict:
    from formerbench.analysis.decision_tree import load, walk

    leaf, path = walk(load(), query)
    return {"model": leaf.model, "path": [list(step) for step in path]}


def _text(described, query, advice, found, known):
    from formerbench.analysis.recommendation import words

    yield f"your data   {described.rows:,} rows, {described.n_variates:,} variates, step {described.step}"
    yield f"            {described.missing:,} missing cells"
    if described.season is None:
        yield "            no period stands out"
    else:
        periods = ", ".join(map(str, described.periods))
        yield (
            f"            periods of {periods} steps; seasonality {described.seasonality:.2f}, "
            f"trend {described.trend:.2f} (0 none, 1 all)"
        )
    yield f"question    lookback {query.lookback}, horizon {query.horizon}, on {query.device}"
    steps = "; ".join(f"{question} {reply}" for question, reply in advice["path"])
    yield f"review      {advice['model']}: {steps}"
    if found["best"] is None:
        yield "measured    no model fits; each is struck out below"
    else:
        second = f", then {found['second']}" if found["second"] else ""
        tied = " (level within noise, ordered by time)" if found["tied"] else ""
        yield f"measured    {found['best']}{second}{tied}; scores of {known['scores_of']}"
    yield ""
    yield f"{'model':<16}{'error':<24}{'inference, ms':<24}{'training, MB':<26}from"
    for one in found["candidates"]:
        error = one["error"] and {"value": one["error"], "low": one["low"], "high": one["high"]}
        cells = [known["settings"][i] for i in one["cells"]]
        source = "; ".join(f"{c['dataset']} L={c['lookback']} H={c['horizon']}" for c in cells)
        against = "; ".join(words(reason) for reason in one["against"])
        yield (
            f"{one['model']:<16}{_span(error):<24}{_span(one['latency_ms']):<24}{_span(one['memory_mb']):<26}"
            f"{'out: ' + against if against else source}"
        )
    yield ""
    sizes = known["sizes"].get(query.device)
    if sizes:
        widths = ", ".join(map(str, sizes["d_model"]))
        yield (
            f"costs: {known['machines'][query.device]}; d_model {widths}, {sizes['horizon']} steps ahead, "
            f"batches of {sizes['batch_size']}, {sizes['n_variates']} variates"
        )
    yield "error: MSE over seasonal naive's, expected from the nearest cells; in brackets, 90 % intervals"


def _span(of: dict | None) -> str:
    if of is None:
        return "not measured"
    return f"{of['value']:.3g}" + ("" if of["low"] is None else f" ({of['low']:.3g} to {of['high']:.3g})")
