"""Measurements that may be compared: one study, machine, device, precision, phase and setting each."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from formerbench.analysis.crossovers import Duel, duels, winners
from formerbench.analysis.fits import NoFit, PowerLaw, power_law
from formerbench.analysis.leaderboard import TRANSFORMERS
from formerbench.analysis.measured import QUANTITIES, good
from formerbench.report.context import Content, commits, distinct
from formerbench.report.palette import Style

PHASES = {"train_step": "Training step", "inference": "Inference"}
MECHANISM_PHASES = {"train_step": "Forward and backward", "inference": "Forward"}
_PRECISIONS = ["fp32", "bf16", "fp16"]
PLACE = ["evidence", "study", "device", "precision", "machine"]
# What stays the same within a group, and what grows from row to row of its table.
FIXED = {
    "lookback": ["horizon", "n_variates", "batch_size"],
    "mechanism": ["horizon", "n_variates", "batch_size"],
    "variates": ["lookback", "horizon", "batch_size"],
    "horizon": ["lookback", "n_variates"],
}
AXES = {
    "lookback": ["lookback"],
    "mechanism": ["lookback"],
    "variates": ["n_variates"],
    "horizon": ["batch_size", "horizon"],
}
WORDS = {"lookback": "L", "horizon": "H", "n_variates": "D", "batch_size": "B"}


@dataclass(frozen=True)
class Group:
    """Rows of the variant ``base`` of an experiment that may be compared.

    Attributes:
        key: unique on the page, fit for an id.
        order: where it comes among all groups of the experiment.
        home: all that tells it apart but for the phase: groups of one home are shown together.
        place: where it was measured, in words; ``origin``: by which study and commit.
        setting: what is the same in all rows, in words.
        rows: one a (subject, point of the axes), of any status; ``point`` numbers the points.
        styles: of all subjects, in the order of the columns.
    """

    experiment: str
    key: str
    order: tuple
    home: tuple
    place: str
    origin: str
    setting: str
    phase: str
    rows: pd.DataFrame
    styles: list[Style]

    @property
    def phase_words(self) -> str:
        words = MECHANISM_PHASES if self.experiment == "mechanism" else PHASES
        return words.get(self.phase, self.phase)

    @property
    def axes(self) -> list[str]:
        return AXES[self.experiment]

    @cached_property
    def memory(self) -> str:
        """The memory that the tables show: exact where all rows have it, else resident or allocated."""
        there = self.rows[self.rows["status"] == "ok"]
        return "peak_tensor_mb" if there["peak_tensor_mb"].notna().all() else "peak_memory_mb"

    def good(self, quantity: str) -> pd.DataFrame:
        """Rows that ended ok and have the quantity."""
        return self._good[quantity]

    @cached_property
    def _good(self) -> dict[str, pd.DataFrame]:
        return {quantity: good(self.rows, self.experiment, quantity) for quantity in QUANTITIES}

    @cached_property
    def fits(self) -> dict[tuple[str, str], PowerLaw | NoFit]:
        """(subject, quantity) -> how it grows; nothing where two things grow at once."""
        if len(self.axes) > 1:
            return {}
        return {
            (subject, quantity): power_law(
                rows[self.axes[0]].astype(float),
                rows[quantity].astype(float),
                list(rows["repeats_ms"]) if quantity == "time_ms" else None,
            )
            for quantity in QUANTITIES
            for subject, rows in self.good(quantity).groupby("subject")
        }

    def winners(self, quantity: str) -> dict[int, tuple[str, tuple[str, ...]]]:
        """By point: the cheapest subject and those that the noise cannot tell from it."""
        return winners(self.good(quantity), quantity, "point")

    def duels(self, quantity: str) -> list[Duel]:
        """Every pair of subjects."""
        return duels(self.good(quantity), quantity, x=self.axes[0])


def groups(content: Content, experiment: str) -> list[Group]:
    """All groups of an experiment, the study's own first, training before inference."""
    rows = content.measured
    rows = rows[(rows["experiment"] == experiment) & (rows["variant"] == "base")]
    keys = [*PLACE, *FIXED[experiment], "phase"]
    found = [
        _group(content, experiment, dict(zip(keys, key, strict=True)), group)
        for key, group in rows.groupby(keys, dropna=False)
    ]
    return sorted(found, key=lambda group: group.order)


def _group(content: Content, experiment: str, key: dict, rows: pd.DataFrame) -> Group:
    axes = AXES[experiment]
    rows = rows.sort_values([*axes, "subject"]).drop_duplicates([*axes, "subject"])
    known = content.mechanisms if experiment == "mechanism" else content.styles
    setting = [f"{WORDS[name]}={key[name]}" for name in FIXED[experiment] if pd.notna(key[name])]
    sizes = tuple(-1 if pd.isna(key[name]) else int(key[name]) for name in FIXED[experiment])
    home = (key["evidence"], key["study"], key["device"], _rank(_PRECISIONS, key["precision"]))
    home = (*home, key["machine"], sizes)
    return Group(
        experiment=experiment,
        key=f"{experiment}-{hashlib.sha256(repr((home, key['phase'])).encode()).hexdigest()[:10]}",
        order=(*home, _rank(list(PHASES), key["phase"])),
        home=home,
        place=place(key),
        origin=origin(rows),
        setting=", ".join(setting),
        phase=key["phase"],
        rows=rows.assign(point=rows.groupby(axes).ngroup()),
        styles=sorted((known[name] for name in set(rows["subject"])), key=_order),
    )


def _rank(known: list[str], name: str) -> tuple[int, str]:
    return (known.index(name) if name in known else len(known)), name


def _order(style: Style) -> tuple:
    """Transformers as in the papers' order, then a user's own, then baselines."""
    known = TRANSFORMERS.index(style.name) if style.name in TRANSFORMERS else len(TRANSFORMERS)
    return style.baseline, known, style.name


def place(row) -> str:
    """Where a row was measured, such as "CPU fp32, AMD EPYC, 2 threads"."""
    return f"{row['device'].upper()} {row['precision']}, {row['machine'] or 'machine not known'}"


def origin(rows: pd.DataFrame) -> str:
    """By which study and with which commit rows were measured."""
    evidence = rows["evidence"].iloc[0]
    words = [f"evidence {evidence}"] if evidence else []
    words.append(f"study {', '.join(distinct(rows['study'])) or 'not known'}")
    words.append(f"commit {', '.join(distinct(commits(rows))) or 'not known'}")
    return " · ".join(words)
