"""What the pages of the data sets and the provenance page show."""

import pandas as pd

from formerbench.analysis.leaderboard import ENTRY, best_of_each_model
from formerbench.analysis.measured import machines
from formerbench.report.context import MB, Content, dataset_page, distinct, minute, versions
from formerbench.report.findings import all_forecasts, by_step
from formerbench.report.text import count, three_digits

# What a reader may ask of the study's config, in this order.
_PLANNED = (
    "datasets",
    "lookbacks",
    "horizons",
    "seeds",
    "devices",
    "precisions",
    "threads",
    "parallel",
    "budget",
)


def dataset(content: Content, name: str) -> dict:
    """Variables of ``dataset.html.j2``."""
    facts = content.facts(name)
    horizons = sorted(
        int(h) for h in content.accuracy.loc[content.accuracy["dataset"] == name, "horizon"].unique()
    )
    variates = content.tables.variates[content.tables.variates["dataset"] == name]
    return {
        "name": name,
        "siblings": [{"name": other, "href": dataset_page(other)} for other in content.dataset_names],
        "facts": _facts(facts),
        "splits": [(part, first, end, end - first) for part, (first, end) in facts.get("splits", {}).items()],
        "defects": facts.get("defects") or [],
        "checks": [(_spoken(key), _value(value)) for key, value in (facts.get("checks") or {}).items()],
        "forecasts": [figure for horizon in horizons for figure in all_forecasts(content, name, horizon)],
        "steps": [figure for horizon in horizons for figure in by_step(content, name, horizon)],
        "variate_tables": [
            table for horizon in horizons if (table := _variate_table(content, variates, name, horizon))
        ],
    }


def _spoken(key: str) -> str:
    words = key.replace("_", " ")
    return words[:1].upper() + words[1:]


def _value(value) -> str:
    """Plain words for a value of JSON."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, int | float):
        return f"{value:,}"
    if isinstance(value, dict):
        inner = {
            key: f"({_value(item)})" if isinstance(item, dict) else _value(item)
            for key, item in value.items()
        }
        return ", ".join(f"{key} {words}" for key, words in inner.items())
    if isinstance(value, list):
        between = "; " if any(isinstance(item, dict | list) for item in value) else ", "
        return between.join(_value(item) for item in value)
    return str(value)


def _fill(fill: dict | None) -> str | None:
    if not fill:
        return None
    return f"{count(fill['cells'], 'cell')} filled ({fill['method']})" if fill["cells"] else "none"


def _facts(facts: dict) -> list[tuple[str, str]]:
    """(what, value) of a data set, in the order in which a reader asks."""
    size = f"{facts['bytes'] / MB:.2f} MB ({facts['bytes']:,} bytes)" if facts.get("bytes") else None
    rows = [
        ("Rows", facts.get("rows")),
        ("Variates", facts.get("n_variates")),
        ("Step", facts.get("step")),
        ("Season, steps", facts.get("season")),
        ("Target", facts.get("target")),
        ("Missing values", _fill(facts.get("fill"))),
        ("Generated", facts.get("generated")),
        ("Source file", facts.get("source_file")),
        ("Variant", facts.get("variant")),
        ("Size", size),
        ("Licence", facts.get("licence")),
        ("Attribution", facts.get("attribution")),
        ("SHA-256", facts.get("sha256")),
    ]
    return [(what, _value(value)) for what, value in rows if value not in (None, "")]


def _variate_table(content: Content, variates: pd.DataFrame, name: str, horizon: int) -> dict | None:
    """MSE of each variate by model at the model's best lookback; the best model's error in original units."""
    best = best_of_each_model(content.entries, name, horizon)[ENTRY]
    cells = best.merge(variates, on=ENTRY)
    if cells.empty:
        return None
    means = cells.groupby(["variate", "model"])[["mse", "mae_raw", "mase"]].mean()
    models = [model for model in best["model"] if model in set(cells["model"])]
    order = list(dict.fromkeys([*content.facts(name).get("columns", []), *cells["variate"]]))
    order = [variate for variate in order if variate in set(cells["variate"])]
    lookbacks = dict(zip(best["model"], best["lookback"], strict=True))
    return {
        "horizon": horizon,
        "models": [(content.styles[model], lookbacks[model]) for model in models],
        "rows": [_variate_row(content, means.loc[variate], variate, models) for variate in order],
    }


def _variate_row(content: Content, own: pd.DataFrame, variate: str, models: list[str]) -> dict:
    known = own["mse"].dropna()
    best = known.idxmin() if len(known) else None
    values = [float(own["mse"].get(model, float("nan"))) for model in models]
    extra = [float(own[metric].get(best, float("nan"))) for metric in ("mae_raw", "mase")]
    return {
        "variate": variate,
        "scores": [
            None if pd.isna(value) else {"text": f"{value:.3f}", "value": value, "best": model == best}
            for model, value in zip(models, values, strict=True)
        ],
        "best": content.styles.get(best),
        "extra": [
            None if pd.isna(value) else {"text": three_digits(value), "value": value} for value in extra
        ],
    }


def provenance(content: Content) -> dict:
    """Variables of ``provenance.html.j2``."""
    rows = content.accuracy
    # Without a commit there is nothing to be clean or dirty, and the table says "not known".
    changed = rows["git_dirty"].fillna(False).astype(bool)
    runs = rows.assign(machine=machines(rows), software=versions(rows), git_dirty=changed)
    keys = ["machine", "host", "software", "git_commit", "git_dirty"]
    grouped = runs.groupby(keys)["started_at"].agg(size="size", first="min", last="max").reset_index()
    grouped[["first", "last"]] = grouped[["first", "last"]].map(minute)
    sources = rows[rows["source_digest"] != ""].groupby("model")["source_digest"]
    return {
        "runs": grouped.to_dict("records"),
        "sources": [(content.styles[model], distinct(digests)) for model, digests in sources],
        "files": [_file(content, name) for name in content.dataset_names],
        "planned": _planned(content.tables.study),
    }


def _planned(study: dict) -> list[tuple[str, str]]:
    """(key, value) of the study's config, its own settings a row a model."""
    rows = [(_spoken(key), _value(study[key])) for key in _PLANNED if key in study]
    own = study.get("settings") or {}
    return rows + [(f"Settings of {model}", _value(settings)) for model, settings in own.items()]


def _file(content: Content, name: str) -> dict:
    facts = content.facts(name)
    own = content.accuracy[content.accuracy["dataset"] == name]
    return {
        "name": name,
        "href": dataset_page(name),
        "source_file": facts.get("source_file") or ("generated" if facts.get("generated") else "not known"),
        "bytes": facts.get("bytes"),
        "licence": facts.get("licence") or "not stated",
        "sha256": facts.get("sha256") or "none",
        "used": distinct(own["data_sha256"]),
    }
