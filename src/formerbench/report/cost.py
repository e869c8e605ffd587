"""What the cells cost, which of them are there, and why some have no score."""

import pandas as pd

from formerbench.analysis.leaderboard import ENTRY
from formerbench.analysis.measured import machines
from formerbench.report.context import Content, distinct
from formerbench.report.text import three_digits
from formerbench.results import STATUSES

_COSTS = ("train_time_s", "step_time_ms", "inference_time_ms", "peak_memory_mb")
_COUNTS = ("n_parameters", "batch_size")
_BARS = ("train_time_s", "peak_memory_mb")


def cost(content: Content) -> dict:
    """Median cost over the seeds that ended ok, one row an entry and machine."""
    rows = content.accuracy[content.accuracy["status"] == "ok"]
    rows = rows.assign(machine=machines(rows))
    numbers = [*_COUNTS, *_COSTS]
    medians = (
        rows.astype(dict.fromkeys(numbers, float))
        .groupby([*ENTRY, "machine"], as_index=False)[numbers]
        .median()
    )
    place = {name: i for i, name in enumerate(content.dataset_names)}
    medians["place"] = medians["dataset"].map(place)
    medians = medians.sort_values(["place", "horizon", "n_parameters", "model", "lookback"], kind="stable")
    tops = {name: medians[name].max() for name in _BARS}
    return {
        "rows": [_cost_row(content, row, tops) for _, row in medians.iterrows()],
        "machines": distinct(rows["machine"]),
        "conditions": len(rows[["device", "precision"]].drop_duplicates()) > 1,
        "datasets": rows["dataset"].nunique(),
        "parallel": bool(content.tables.study.get("parallel")),
    }


def _cost_row(content: Content, row: pd.Series, tops: dict[str, float]) -> dict:
    cells = {name: _number(row[name], three_digits(row[name]), tops.get(name)) for name in _COSTS}
    cells |= {name: _number(row[name], f"{row[name]:,.0f}") for name in _COUNTS}
    return cells | {
        "dataset": row["dataset"],
        "horizon": row["horizon"],
        "style": content.styles[row["model"]],
        "lookback": row["lookback"],
        "condition": f"{row['device']} {row['precision']}",
        "machine": row["machine"],
        "trains": row["n_parameters"] != 0,
    }


def _number(value: float, text: str, top: float | None = None) -> dict | None:
    """A cell of the table, or None where nothing was measured; ``top`` is what fills the whole bar."""
    if pd.isna(value):
        return None
    return {"text": text, "value": float(value), "bar": round(100 * value / top) if top else None}


def coverage(content: Content) -> dict:
    """How many cells of each model ended how."""
    rows = content.accuracy
    planned = int(content.tables.study.get("planned_cells", len(rows)))
    counts = rows["status"].value_counts()
    models = []
    for name in sorted(set(rows["model"]), key=lambda name: (content.styles[name].baseline, name)):
        own = rows.loc[rows["model"] == name, "status"].value_counts()
        numbers = [int(own.get(status, 0)) for status in STATUSES]
        models.append({"style": content.styles[name], "counts": numbers, "total": sum(numbers)})
    return {
        "planned": planned,
        "there": len(rows),
        "missing": max(0, planned - len(rows)),
        "counts": [(status, int(counts[status])) for status in STATUSES if status in counts],
        "statuses": STATUSES,
        "models": models,
    }


def unscored(content: Content) -> list[dict]:
    """Cells without a score, one row for all seeds that ended alike, with the reason in full."""
    rows = content.accuracy
    nan = (rows["status"] == "ok") & rows["mse"].isna()
    rows = rows[(rows["status"] != "ok") | nan].copy()
    rows.loc[nan, "status"] = "no score"
    rows.loc[nan, "reason"] = "the cell ended ok, but its error is not a number"
    found = []
    for key, cells in rows.groupby([*ENTRY, "status", "reason"]):
        named = dict(zip([*ENTRY, "status", "reason"], key, strict=True))
        named |= {
            "style": content.styles[named["model"]],
            "condition": f"{named['device']} {named['precision']}",
        }
        found.append(named | {"seeds": ", ".join(str(seed) for seed in sorted(cells["seed"]))})
    return found
