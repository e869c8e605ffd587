"""The table of the comparison: a row a (configuration, phase), with intervals of the paired ratios."""

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, stdev

from formerbench.paths import write_text

from .settings import PEERS, PHASES, Pair

KEY = ("model", "lookback", "d_model", "batch_size", "n_variates", "phase")
RATIOS = ("time_ratio", "time_ratio_low", "time_ratio_high")
RATIOS_OF_MEMORY = ("memory_ratio", "memory_ratio_low", "memory_ratio_high")
COLUMNS = (
    *KEY,
    *("ours_ms", "peer_ms", *RATIOS),
    *("ours_mb", "peer_mb", *RATIOS_OF_MEMORY),
    *("share_of_peak", "peer_share_of_peak"),
    *("ours_parameters", "peer_parameters", "ours_flops", "peer_flops", "note"),
    *("git_commit", "git_dirty", "host", "cpu", "torch_version", "python_version", "peer_version"),
    *("threads", "rounds", "busy", "started_at"),
)

# Taken off a peak, a parameter: weights; in training also gradients and the two moments of Adam.
_BYTES = {"inference": 4, "train_step": 16}
# Less than this is a few pages of the interpreter's own, on either side.
_LEAST_MB = 0.5
_PARAMETERS_APART, _FLOPS_APART = 0.02, 0.10
_MB = 2**20


@dataclass
class Rounds:
    """What ``once`` found in every round; the lists go in step, or the peer's is empty and has a problem."""

    ours: list[dict]
    peer: list[dict]
    problem: str = ""

    def ratios(self, of: Callable[[dict], float]) -> list[float]:
        return [of(ours) / of(peer) for ours, peer in zip(self.ours, self.peer, strict=True)]


def row(pair: Pair, phase: str, rounds: Rounds) -> dict:
    """Medians over the rounds, ratios with their intervals, and why the work differs where it does.

    Where the peer has no rounds, its columns and the ratios are empty.
    """
    key = (pair.model, pair.lookback, pair.d_model, pair.batch_size, pair.peer.n_variates, phase)
    ours, peer = (_side(runs) for runs in (rounds.ours, rounds.peer))
    time = rounds.ratios(lambda run: run["ms"]) if peer else []
    memory = rounds.ratios(lambda run: activations_mb(run, phase)) if peer else []
    trains = phase == "train_step"
    columns = {
        "share_of_peak": _share_of_peak(ours) if trains else None,
        "peer_share_of_peak": _share_of_peak(peer) if trains and peer else None,
        "note": rounds.problem or note(pair, ours, peer),
        "busy": any(run["busy"] for run in rounds.ours + rounds.peer),
    }
    for name in ("ms", "mb", "parameters", "flops"):
        columns |= {f"ours_{name}": ours.get(name), f"peer_{name}": peer.get(name)}
    return (
        dict(zip(KEY, key, strict=True))
        | dict(zip(RATIOS + RATIOS_OF_MEMORY, interval(time) + interval(memory), strict=True))
        | columns
    )


def _side(runs: list[dict]) -> dict:
    """Medians over the runs; FLOPs are counted in the first alone."""
    return {name: median(run[name] for run in runs if name in run) for name in runs[0]} if runs else {}


def _share_of_peak(side: dict) -> float:
    return side["phase_flops"] / (side["ms"] / 1e3) / side["peak"]


def activations_mb(run: dict, phase: str) -> float:
    """Peak of a run without what the parameters take on either side, in MB."""
    return max(run["mb"] - _BYTES[phase] * run["parameters"] / _MB, _LEAST_MB)


def interval(ratios: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Median of paired ratios, and the 95 % interval of their geometric mean (t of the logarithms)."""
    if len(ratios) < 2:
        return (ratios[0] if ratios else None), None, None
    from scipy.stats import t

    logs = [math.log(ratio) for ratio in ratios]
    half = t.ppf(0.975, len(logs) - 1) * stdev(logs) / math.sqrt(len(logs))
    return median(ratios), math.exp(fmean(logs) - half), math.exp(fmean(logs) + half)


def note(pair: Pair, ours: dict, peer: dict) -> str:
    """The known differences of the work, and how far the sizes are apart if that is too far."""
    parts = [pair.peer.note]
    for name, limit in (("parameters", _PARAMETERS_APART), ("flops", _FLOPS_APART)):
        if abs(apart := ours[name] / peer[name] - 1) > limit:
            parts.append(f"{name} {apart:+.0%}" + ("" if pair.peer.note else " without a known reason"))
    return "; ".join(filter(None, parts))


def read(file: Path) -> list[dict]:
    """Rows of an earlier run; none where there is no file."""
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def merge(file: Path, new: dict) -> None:
    """Put a row in the place of the one of the same key, or beside the others, in the order of the models."""
    cells = {column: _text(new.get(column)) for column in COLUMNS}
    rows = [old for old in read(file) if _key(old) != _key(cells)] + [cells]
    models = list(PEERS)
    rows.sort(key=lambda r: (models.index(r["model"]), int(r["lookback"]), PHASES.index(r["phase"])))
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(file, text.getvalue())


def _key(cells: dict) -> tuple[str, ...]:
    return tuple(str(cells[column]) for column in KEY)


def _text(value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.5g}"
    return str(value)


def outcome(row: dict) -> str:
    """A row in a few words."""
    if row["time_ratio"] is None:
        return row["note"]
    busy = ", others used the machine" if row["busy"] else ""
    return f"time {row['time_ratio']:.3f}, memory {row['memory_ratio']:.3f}{busy}"


def summary(rows: list[dict]) -> str:
    """The ratios a row, and their geometric means by width."""
    shown = [f"{'model':<13}{'L':>5}{'d':>5}  {'phase':<11}{'ms':>9}{'peer':>9}{'ratio':>7}{'to':>6}"]
    shown[0] += f"{'MB':>9}{'peer':>9}{'ratio':>7}{'to':>6}{'of peak':>9}"
    for each in rows:
        line = f"{each['model']:<13}{each['lookback']:>5}{each['d_model']:>5}  {each['phase']:<11}"
        for names, *ratios in (("ms", *RATIOS), ("mb", *RATIOS_OF_MEMORY)):
            line += f"{_short(each[f'ours_{names}']):>9}{_short(each[f'peer_{names}']):>9}"
            line += f"{_short(each[ratios[0]]):>7}{_short(each[ratios[2]]):>6}"
        shown.append(line + f"{_short(each['share_of_peak']):>9}")
    for d_model in sorted({each["d_model"] for each in rows}, key=int):
        for column in ("time_ratio", "memory_ratio"):
            ratios = [float(r[column]) for r in rows if r["d_model"] == d_model and r[column]]
            if ratios:
                mean = math.exp(fmean(map(math.log, ratios)))
                shown.append(
                    f"geometric mean of {column} at d_model {d_model}: {mean:.3f} ({len(ratios)} rows)"
                )
    return "\n".join(shown)


def _short(cell: str) -> str:
    return f"{float(cell):.3g}" if cell and abs(float(cell)) < 1000 else cell and f"{float(cell):.0f}"
