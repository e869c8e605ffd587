"""What the accuracy page shows: ranks, leaderboards, published scores beside ours, curves and forecasts."""

from formerbench.analysis.leaderboard import entries
from formerbench.analysis.places import published, scores
from formerbench.analysis.ranks import Ranks, ranks
from formerbench.analysis.reached import Comparison, comparisons
from formerbench.report.boards import board
from formerbench.report.context import Content, dataset_page
from formerbench.report.findings import curves, duel
from formerbench.report.overview import protocol
from formerbench.report.rank_figures import critical_difference
from formerbench.report.text import count, listed, score_text

MANY_BOARDS = 6  # more leaderboards than these are folded, so that the page can be overlooked
# Words and shape of a verdict, with the claims page's class for its colour.
_VERDICTS = {
    True: ("holds", "● reached"),
    False: ("fails", "✕ not reached"),
    None: ("not-measured", "○ not decided"),
}


def accuracy(content: Content) -> dict:
    """Variables of ``accuracy.html.j2``."""
    boards = [board(content, verdict.dataset, verdict.horizon) for verdict in content.verdicts]
    found = ranks(content.entries)
    beside = _beside(content)
    return {
        "answers": [*_rank_answer(content, found), _published_answer(beside)],
        "ranks": _rank_section(content, found) if boards else None,
        "boards": boards,
        "folded": len(boards) > MANY_BOARDS,
        "protocol": protocol(content),
        "published": [_published_table(content, *key, rows) for key, rows in beside.items()],
        "n_published": len(published()),
        "curves": [figure for name in content.dataset_names for figure in curves(content, name)],
        "duels": [figure for name in content.dataset_names for figure in duel(content, name)],
        "datasets": [(name, dataset_page(name)) for name in content.dataset_names],
    }


def _beside(content: Content) -> dict[tuple[str, str], list[Comparison]]:
    """(evidence, study) -> published scores beside ours, the study's own first; only where there are some."""
    others, own = published(), comparisons(content.entries, content.accuracy, published())
    found = {("", content.tables.study["study"]): own}
    for source in scores(content.scores):
        found[(source.evidence, source.study)] = comparisons(entries(source.rows), source.rows, others)
    return {key: rows for key, rows in found.items() if rows}


def _named(content: Content, models, means=None) -> str:
    """Labels, with mean ranks where they are given."""
    labels = [content.styles[name].label for name in models]
    if means is not None:
        labels = [f"{label} ({means[name]:.2f})" for label, name in zip(labels, models, strict=True)]
    return listed(labels)


def _rank_answer(content: Content, found: Ranks) -> list[str]:
    """Who ranks best, and whether a test can tell the others from it."""
    mean = found.mean
    if len(mean) < 2:
        return []
    first = list(mean.index[mean == mean.iloc[0]])
    where = count(len(found.table), "pair of data set and horizon", "pairs of data set and horizon")
    verb = "has" if len(first) == 1 else "share"
    answer = (
        f"Over {where}, {_named(content, first)} {verb} the lowest mean rank, "
        f"{mean.iloc[0]:.2f} among {len(mean)} models"
    )
    return [f"{answer}. {_test_words(content, found)}"]


def _test_words(content: Content, found: Ranks) -> str:
    if found.why:
        return f"No test was made: {found.why}."
    if not found.differ:
        return f"Friedman's test cannot tell the models apart ({_p(found.p)})."
    best, mean = found.mean.index[0], found.mean
    level = [name for name in mean.index[1:] if mean[name] - mean[best] < found.distance]
    if not level:
        return "The test tells it from every other model."
    return f"The test cannot tell it from {_named(content, level, mean)}."


def _p(p: float) -> str:
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


def _rank_section(content: Content, found: Ranks) -> dict:
    mean, n = found.mean, len(found.table)
    per_data = found.table.index.get_level_values(0).nunique() if n else 0
    note = (
        f"{count(n, 'pair')} of data set and horizon from {count(per_data, 'data set')}. Horizons of one "
        "data set are not independent, so the test counts more evidence than there is: what it tells apart "
        "may be closer than it says."
    )
    figure = None
    if found.p is not None:
        figure = critical_difference(found, content.styles, _figure_title(content, found))
    return {
        "figure": figure,
        "test": _test(found),
        "note": note,
        "left_out": _named(content, found.left_out) if found.left_out else "",
        "rows": [_rank_row(content, found, name) for name in mean.index],
        "settings": n,
    }


def _test(found: Ranks) -> str:
    if found.why:
        return f"No test: {found.why}."
    words = f"Friedman's test that all models are alike: {_p(found.p)}."
    if not found.differ:
        return f"{words} So no two are told apart."
    return f"{words} Nemenyi's critical difference at 95 %: {found.distance:.2f} ranks."


def _figure_title(content: Content, found: Ranks) -> str:
    best = content.styles[found.mean.index[0]].label
    words = f"{best} has a mean rank of {found.mean.iloc[0]:.2f}. {_test_words(content, found)}"
    return words.removesuffix(".")


def _rank_row(content: Content, found: Ranks, name: str) -> dict:
    own, mean = found.table[name], found.mean
    gap = mean[name] - mean.iloc[0]
    if found.p is None:
        apart = "not tested"
    elif name == mean.index[0]:
        apart = "the lowest"
    else:
        apart = "yes" if found.differ and gap >= found.distance else "no"
    return {
        "style": content.styles[name],
        "mean": float(mean[name]),
        "first": int((own == 1).sum()),
        "best": f"{own.min():g}",
        "worst": f"{own.max():g}",
        "apart": apart,
    }


def _published_answer(beside: dict[tuple[str, str], list[Comparison]]) -> str:
    rows = [row for found in beside.values() for row in found]
    decided = [row for row in rows if row.reached is not None]
    if not rows:
        return "No published score has a cell of the same model, data set, horizon and lookback here."
    budget = len(rows) - len(decided)
    words = f"{sum(row.reached for row in decided)} of {count(len(decided), 'published score')} "
    words += "that can be compared are reached." if len(decided) != 1 else "that can be compared is reached."
    if not decided:
        words = "No published score can be judged yet."
    return words + (f" For {budget} more the budget ended training early." if budget else "")


def _published_table(content: Content, evidence: str, study: str, rows: list[Comparison]) -> dict:
    own = content.tables.study.get("settings") or {} if not evidence else {}
    return {
        "own": not evidence,
        "where": f"evidence {evidence}, study {study}" if evidence else f"this study, {study}",
        "rows": [_published_row(content, row, own) for row in rows],
    }


def _published_row(content: Content, row: Comparison, settings: dict) -> dict:
    other, entry = row.published, row.entry
    kind, verdict = _VERDICTS[row.reached]
    return {
        "style": content.styles[entry["model"]],
        "label": other["label"],
        "dataset": entry["dataset"],
        "horizon": entry["horizon"],
        "lookback": entry["lookback"],
        "ours": _cell(entry["mse"].mean, score_text(entry["mse"])),
        "published": _cell(other["mse"]),
        "rerun": _cell(other["rerun_mse"]),
        "ratio": {"text": f"{row.ratio:.3f}", "value": row.ratio},
        "kind": kind,
        "verdict": verdict,
        "ours_mae": None
        if entry["mae"] is None
        else _cell(entry["mae"].mean, score_text(entry["mae"], "mae")),
        "published_mae": _cell(other["mae"]),
        "protocol": _protocol(row, settings),
        "source": other["source"],
    }


def _protocol(row: Comparison, settings: dict) -> str:
    """With what our number was made: "3 seeds, cpu, ended by patience"."""
    entry = row.entry
    words = [count(entry["n_ok"], "seed"), entry["device"]]
    words += [f"ended by {listed(list(row.stopped_by))}"] if row.stopped_by else ["not trained"]
    words += ["this study's settings"] if {"all", entry["model"]} & set(settings) else []
    return ", ".join(words)


def _cell(value: float, text: str = "") -> dict | None:
    """A cell of the table, None where there is no number."""
    return None if value != value else {"text": text or f"{value:.3f}", "value": float(value)}
