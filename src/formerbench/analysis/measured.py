"""Rows of the scaling table with their machine, their repeats, and how well their medians are known."""

import numpy as np
import pandas as pd

from formerbench.results import SCALING_AXES

SERIES = ["subject", "horizon", "n_variates", "batch_size", "device", "precision", "machine", "phase"]
QUANTITIES = ("time_ms", "peak_tensor_mb", "peak_memory_mb")
CONFIDENCE = 0.95
# A median of fewer repeats has no interval of its own.
_FEWEST = 3
_NOT_KNOWN = 0.1
# By how much the logs of two times of the same work may differ, where no two processes tell.
UNKNOWN_SPREAD = 0.1
_DRAWS = 1000


def machines(rows: pd.DataFrame) -> pd.Series:
    """Words for the machine that timed each row, such as "AMD EPYC 7763, 2 threads"."""
    chip = rows["gpu"].where((rows["device"] == "cuda") & (rows["gpu"] != ""), rows["cpu"])
    threads = rows["threads"].map(
        lambda n: "" if pd.isna(n) else f", {int(n):,} thread{'' if n == 1 else 's'}"
    )
    return (chip + threads).where(chip != "", "")


def measured(scaling: pd.DataFrame, repeats: pd.DataFrame) -> pd.DataFrame:
    """The scaling table with four more columns.

    ``machine`` in words; ``repeats_ms``, an array of the raw repeats of each process (none where they are not
    known: not timed, not in ``repeats``, or the table has several rows of the same axes); ``time_low_ms`` and
    ``time_high_ms``, between which the time lies: of three or more processes their least and greatest median,
    else a 95 % interval of the median in one process, from which a fresh one may differ by more.
    """
    rows = scaling.reset_index(drop=True)
    rows = rows.assign(machine=machines(rows), repeats_ms=_repeats(rows, repeats))
    timed = rows[["time_ms", "time_ms_iqr", "repeats", "repeats_ms"]].itertuples()
    intervals = np.array([_interval(row) for row in timed], dtype=float).reshape(-1, 2)
    rows["time_low_ms"], rows["time_high_ms"] = intervals.T
    return _borrowed(rows)


def _repeats(rows: pd.DataFrame, repeats: pd.DataFrame) -> list[list[np.ndarray]]:
    axes, known = list(SCALING_AXES), {}
    for (*key, _), times_ms in repeats.groupby([*axes, "process"])["time_ms"]:
        known.setdefault(tuple(key), []).append(times_ms.to_numpy(float))
    timed = rows["time_ms"].notna()
    twice = rows[axes][timed].duplicated(keep=False).reindex(rows.index, fill_value=False)
    keys = rows[axes].itertuples(index=False, name=None)
    return [known.get(key, []) if one else [] for key, one in zip(keys, timed & ~twice, strict=True)]


def _interval(row) -> tuple[float, float]:
    """Order statistics of processes or repeats; without them, McGill's notch of the inter-quartile range."""
    if pd.isna(row.time_ms):
        return np.nan, np.nan
    if len(row.repeats_ms) >= _FEWEST:
        return median_interval(np.array([np.median(one) for one in row.repeats_ms]))
    if enough_repeats(row.repeats_ms):
        return median_interval(np.concatenate(row.repeats_ms))
    if pd.notna(row.time_ms_iqr) and pd.notna(row.repeats) and row.repeats >= _FEWEST:
        half = 1.57 * row.time_ms_iqr / np.sqrt(row.repeats)
        return row.time_ms - half, row.time_ms + half
    return np.nan, np.nan


def median_interval(values: np.ndarray) -> tuple[float, float]:
    """Two order statistics between which the median lies with 95 %, whatever the distribution.

    Fewer than six values cannot reach 95 %: then the least and the greatest of them.
    """
    from scipy.stats import binom

    values = np.sort(values)
    n = len(values)
    below = max(0, int(binom.ppf((1 - CONFIDENCE) / 2, n, 0.5)) - 1)
    return float(values[below]), float(values[n - 1 - below])


def resampled_medians(repeats_ms: list[np.ndarray], draws: int, random: np.random.Generator) -> np.ndarray:
    """``draws`` medians over processes of the median of repeats: both are drawn anew, with replacement."""
    medians = np.stack(
        [np.median(random.choice(one, (draws, len(one))), axis=1) for one in repeats_ms], axis=1
    )
    drawn = random.integers(len(repeats_ms), size=(draws, len(repeats_ms)))
    return np.median(np.take_along_axis(medians, drawn, axis=1), axis=1)


def ratio_interval(above: list[np.ndarray], below: list[np.ndarray]) -> tuple[float, float] | None:
    """95 % interval of the ratio of two times by their repeats; None where one has too few."""
    if not (enough_repeats(above) and enough_repeats(below)):
        return None
    random = np.random.default_rng(0)
    drawn = [resampled_medians(one, _DRAWS, random) for one in (above, below)]
    low, high = np.quantile(drawn[0] / drawn[1], ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return float(low), float(high)


def enough_repeats(repeats_ms: list[np.ndarray]) -> bool:
    """Whether there are three to draw from."""
    return sum(map(len, repeats_ms)) >= _FEWEST


def _borrowed(rows: pd.DataFrame) -> pd.DataFrame:
    """A time of one or two repeats takes the widest interval of its machine and phase, as a share of it."""
    half = (rows["time_high_ms"] - rows["time_low_ms"]) / 2 / rows["time_ms"]
    widest = half.groupby([rows["machine"], rows["device"], rows["phase"]]).transform("max")
    half = rows["time_ms"] * widest.fillna(_NOT_KNOWN).astype(float)
    rows["time_low_ms"] = rows["time_low_ms"].fillna(rows["time_ms"] - half)
    rows["time_high_ms"] = rows["time_high_ms"].fillna(rows["time_ms"] + half)
    return rows


def good(rows: pd.DataFrame, experiment: str, quantity: str = "time_ms") -> pd.DataFrame:
    """Rows of an experiment that ended ok and have the quantity, shortest lookback first."""
    kept = rows[(rows["experiment"] == experiment) & (rows["status"] == "ok") & (rows[quantity] > 0)]
    return kept.sort_values(["lookback", "horizon", "n_variates", "batch_size"], kind="stable")


def bounds(rows: pd.DataFrame, quantity: str) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound of a quantity in each row.

    The peak of tensors is exact; resident memory is known to a page or two, and no repeat says more: 2 %.
    """
    if quantity == "time_ms":
        return rows["time_low_ms"].to_numpy(float), rows["time_high_ms"].to_numpy(float)
    values = rows[quantity].to_numpy(float)
    margin = 0.02 if quantity == "peak_memory_mb" else 0.0
    return values * (1 - margin), values * (1 + margin)
