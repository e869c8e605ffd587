"""What the first page shows: the answer, the winners, what accuracy costs, and what is missing."""

from formerbench.report.boards import board, winner
from formerbench.report.context import Content, dataset_page
from formerbench.report.cost import cost, coverage, unscored
from formerbench.report.model import model_names, model_page
from formerbench.report.scaling import findings
from formerbench.report.scaling_protocol import banners
from formerbench.report.text import answers, count, listed
from formerbench.report.tradeoffs import tradeoff_figures


def overview(content: Content) -> dict:
    """Variables of ``index.html.j2``."""
    single = content.verdicts if len(content.verdicts) == 1 else []
    names = content.dataset_names
    scaled = findings(content)
    # A study of time and memory alone has no accuracy to speak of.
    scored = bool(names) or content.tables.scaling.empty
    return {
        **({} if scored else {"banners": banners(content)}),
        "scored": scored,
        "scaled": scaled,
        "answers": answers(content.verdicts, content.styles) if scored else scaled,
        "winners": [winner(content, verdict) for verdict in content.verdicts],
        "boards": [board(content, verdict.dataset, verdict.horizon) for verdict in single],
        "protocol": protocol(content),
        "tradeoffs": tradeoff_figures(content),
        "cost": cost(content),
        "coverage": coverage(content),
        "unscored": unscored(content),
        "models": [(content.styles[name], model_page(name)) for name in model_names(content)],
        "datasets": [_dataset(content.facts(name), name) for name in names],
    }


def protocol(content: Content) -> list[tuple[str, str]]:
    """(what, how) of the protocol, as the reader of a leaderboard needs it."""
    study = content.tables.study
    seeds = [str(seed) for seed in sorted(content.accuracy["seed"].dropna().unique())]
    used = [f"{device} {precision}" for device in study["devices"] for precision in study["precisions"]]
    return [
        ("Split", "training, validation and test in time order; every test window counts, none is dropped."),
        (
            "Scale",
            "z-score by the training rows; MSE and MAE are on this axis, MASE and sMAPE in original units.",
        ),
        ("Settings", _settings(study.get("settings") or {})),
        ("Lookback", _lookback(content.accuracy["lookback"].nunique())),
        ("Seeds", listed(seeds) if seeds else "none"),
        ("Budget", _budget(study.get("budget") or {})),
        ("Device", listed(used)),
    ]


def _settings(own: dict) -> str:
    """The official settings, unless the study lays its own over them."""
    if not own:
        return "official settings used at every lookback without re-tuning."
    changed = listed(["all models" if name == "all" else name for name in sorted(own)])
    return f"official settings, changed by this study for {changed}; the same at every lookback."


def _lookback(tried: int) -> str:
    if tried < 2:
        return "one was tried."
    return "all that were tried are shown. The best one was read off the test set: a little optimistic."


def _budget(budget: dict) -> str:
    limits = [count(int(budget["steps"]), "training step")] if budget.get("steps") else []
    limits += [f"{budget['seconds']:g} s of training"] if budget.get("seconds") else []
    watched = budget.get("validation_windows")
    sample = f" Validation looks at {watched:,} windows, spread evenly." if watched else ""
    if not limits:
        return f"none; training ends by patience or after all epochs.{sample}"
    return f"a cell trains for at most {' or '.join(limits)}.{sample} The test is on every window."


def _dataset(facts: dict, name: str) -> dict:
    """A row of the list of data sets."""
    return {
        "name": name,
        "href": dataset_page(name),
        "rows": facts.get("rows"),
        "variates": facts.get("n_variates"),
        "step": facts.get("step") or "not known",
        "season": facts.get("season"),
        "licence": facts.get("licence") or "not stated",
        "sha256": (facts.get("sha256") or "")[:12] or "none",
        "defects": len(facts.get("defects") or []),
    }
