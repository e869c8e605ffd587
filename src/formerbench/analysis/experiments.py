"""The smaller experiments of the scaling study: switches, longest inputs, horizons, variates."""

from dataclasses import dataclass

import pandas as pd

from formerbench.analysis.measured import good, ratio_interval

_SAME = ["subject", "lookback", "horizon", "n_variates", "batch_size", "device", "machine", "phase"]


@dataclass(frozen=True)
class Ratio:
    """What a switch makes of a cost: 0.5 halves it; ``low`` and ``high`` of a 95 % interval, or None."""

    value: float
    low: float | None
    high: float | None

    @property
    def clear(self) -> bool:
        """Whether 1 lies outside the interval; without one, whether the ratio is not 1."""
        return self.value != 1 if self.low is None else not self.low <= 1 <= self.high


@dataclass(frozen=True)
class Switch:
    """A row of ``switches`` over its base row; a ratio is None where one of the two was not measured."""

    row: pd.Series
    base: pd.Series
    time: Ratio | None
    tensors: Ratio | None
    resident: Ratio | None


def switches(rows: pd.DataFrame) -> list[Switch]:
    """Every switched row over the base row of the same subject, shape, device, machine and phase.

    ``rows`` are those of :func:`formerbench.analysis.measured.measured`. The base has the same precision,
    unless the switch is the precision. A switched row without a base row that ended ok is left out here.
    """
    rows = rows[rows["experiment"] == "switches"]
    base = {}
    for key, group in rows[(rows["variant"] == "base") & (rows["status"] == "ok")].groupby(_SAME):
        base[key] = group.drop_duplicates("precision").set_index("precision", drop=False)
    found = []
    for _, row in rows[(rows["variant"] != "base") & (rows["status"] == "ok")].iterrows():
        there = base.get(tuple(row[_SAME]))
        if there is None:
            continue
        of = there.loc[row["precision"]] if row["precision"] in there.index else there.iloc[0]
        ratios = (_ratio(row, of, "peak_tensor_mb"), _ratio(row, of, "peak_memory_mb"))
        found.append(Switch(row, of, _time_ratio(row, of), *ratios))
    return found


def _ratio(row: pd.Series, base: pd.Series, name: str) -> Ratio | None:
    if pd.isna(row[name]) or pd.isna(base[name]) or base[name] <= 0:
        return None
    return Ratio(float(row[name] / base[name]), None, None)


def _time_ratio(row: pd.Series, base: pd.Series) -> Ratio | None:
    """Ratio of medians; the interval is a bootstrap over the repeats of both."""
    ratio = _ratio(row, base, "time_ms")
    ends = None if ratio is None else ratio_interval(row["repeats_ms"], base["repeats_ms"])
    return ratio if ends is None else Ratio(ratio.value, *ends)


def longest(rows: pd.DataFrame) -> pd.DataFrame:
    """Longest practical lookback: one row a (subject, phase, device, precision, machine), longest first."""
    rows = rows[(rows["experiment"] == "longest") & (rows["variant"] == "base")]
    keys = ["machine", "device", "precision", "phase"]
    order = rows.assign(length=rows["lookback"].where(rows["status"] == "ok", 0).astype(float))
    return order.sort_values([*keys, "length", "subject"], ascending=[True] * 4 + [False, True])


def latency(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``horizon`` that ended ok, with ``windows_per_s``: forecasts of whole windows in a second."""
    kept = good(rows, "horizon")
    kept = kept[kept["variant"] == "base"]
    return kept.assign(windows_per_s=kept["batch_size"].astype(float) / (kept["time_ms"] / 1e3))
