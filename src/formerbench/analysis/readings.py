"""The functions of the claims' expressions: what the tables say of one place, and which rows say it."""

import math
import operator

import numpy as np
import pandas as pd

from formerbench.analysis.experiments import switches
from formerbench.analysis.expressions import Choice, NotMeasured, Quantity, Truth, combine
from formerbench.analysis.fits import NoFit, power_law
from formerbench.analysis.leaderboard import BASELINES, TRANSFORMERS
from formerbench.analysis.measured import CONFIDENCE
from formerbench.analysis.places import AXES, Place, Scores
from formerbench.analysis.theory import MECHANISMS, MODELS
from formerbench.errors import nearest

COLUMNS = {"time": "time_ms", "memory": "peak_tensor_mb"}
PHASES = ("train_step", "inference")
_ENDED = ("oom", "timeout")
_TRAINED = (*BASELINES, *TRANSFORMERS)
_STEP = 1.1  # the search for the longest lookback tells no nearer neighbours apart
_MB = 2**20
_ONE_SEED = "one seed: no estimate of the noise"


class Readings:
    """What the tables say.

    Args:
        place: measurements, or None.
        scores: cells, or None.
        published: others' numbers, as ``places.published`` gives them.

    Attributes:
        reads: (table, index of a row) of every row that was asked for, in order.
    """

    def __init__(self, place: Place | None, scores: Scores | None, published: pd.DataFrame):
        self._rows = {} if place is None else place.index
        self._spread = 0.0 if place is None else place.spread
        self._scores, self._others = scores, published
        self.reads: dict[tuple, None] = {}

    def functions(self) -> dict:
        """Name in an expression to function."""
        return {name: getattr(self, name) for name in FUNCTIONS}

    def time(self, subject: str, length: int, phase: str = "train_step", precision: str = "fp32") -> Quantity:
        """Median milliseconds at a lookback, of a model or a mechanism."""
        return self._of(self._at(subject, length, phase, precision), "time")

    def memory(
        self, subject: str, length: int, phase: str = "train_step", precision: str = "fp32"
    ) -> Quantity:
        """Peak of tensors in MB at a lookback, of a model or a mechanism."""
        return self._of(self._at(subject, length, phase, precision), "memory")

    def growth(
        self, subject: str, quantity: str, first: int, last: int, phase: str = "train_step"
    ) -> Quantity:
        """How many times more one lookback costs than another."""
        there, here = (self._of(self._at(subject, length, phase), quantity) for length in (last, first))
        return combine(operator.truediv, there, here)

    def exponent(self, subject: str, quantity: str, phase: str = "train_step") -> Quantity:
        """Exponent of the power law over the lookbacks; see :func:`formerbench.analysis.fits.power_law`."""
        column, experiment = self._column(quantity), self._experiment(subject)
        keys = [key for key in self._rows if key[:4] == (experiment, subject, phase, "fp32")]
        rows = sorted((self._rows[key] for key in keys), key=lambda row: row[1]["lookback"])
        rows = [(index, row) for index, row in rows if row["status"] == "ok" and row[column] > 0]
        self.reads |= {("scaling", index): None for index, _ in rows}
        x, y = ([float(row[name]) for _, row in rows] for name in ("lookback", column))
        law = power_law(x, y, [row["repeats_ms"] for _, row in rows] if quantity == "time" else None)
        if isinstance(law, NoFit):
            raise NotMeasured(f"no exponent of {subject} in {_said(phase)}: it {law.reason}")
        return Quantity(law.exponent, law.low, law.high)

    def tensors(self, subject: str, length: int, phase: str = "train_step") -> Quantity:
        """Peak memory of a mechanism over that of its input (b, L, d) in float32."""
        row = self._at(subject, length, phase)
        size = row["batch_size"] * length * row["d_model"] * 4 / _MB
        return combine(operator.truediv, self._of(row, "memory"), Quantity.exact(size))

    def fastest(self, length: int, phase: str = "train_step") -> Choice:
        """Which of the six transformers takes the least time."""
        return self._least("time", length, phase)

    def leanest(self, length: int, phase: str = "train_step") -> Choice:
        """Which of the six transformers takes the least memory."""
        return self._least("memory", length, phase)

    def _least(self, quantity: str, length: int, phase: str) -> Choice:
        endless = Quantity.exact(math.inf)
        costs = {}
        for model in TRANSFORMERS:
            row = self._at(model, length, phase)
            costs[model] = endless if row["status"] in _ENDED else self._of(row, quantity)
        best = min(costs, key=lambda model: (costs[model].value, model))
        among = {model for model, cost in costs.items() if cost.low <= costs[best].high < math.inf}
        return Choice(best, frozenset(among or costs))

    def runs(self, subject: str, length: int, phase: str = "train_step") -> Truth:
        """Whether it ends within the study's memory and time."""
        row = self._at(subject, length, phase)
        if row["status"] not in ("ok", *_ENDED):
            raise NotMeasured(f"{_where(row)} ended as {row['status']}: {row['reason']}")
        return Truth(row["status"] == "ok")

    def longest(self, subject: str, phase: str = "train_step") -> Quantity:
        """Longest lookback within the study's limits; the search stops within 10 % of it."""
        row = self._row("longest", subject, phase, "fp32", ())
        if row["status"] != "ok":
            raise NotMeasured(f"even L={row['lookback']:g} was too much for {subject} in {_said(phase)}")
        value = float(row["lookback"])
        endless = row["reason"].endswith("longer ones were not tried")
        return Quantity(value, value, math.inf if endless else _STEP * value)

    def switch(
        self, variant: str, subject: str, quantity: str, length: int, phase: str = "train_step"
    ) -> Quantity:
        """What a switch makes of a cost: 0.5 halves it."""
        precision = variant if variant in ("bf16", "fp16") else "fp32"
        rows = [
            self._row("switches", subject, phase, used, (name, length))
            for name, used in (("base", "fp32"), (variant, precision))
        ]
        for row in rows:
            if row["status"] != "ok":
                raise NotMeasured(f"{_where(row)}, {row['variant']}, ended as {row['status']}")
        (found,) = switches(pd.DataFrame(rows))
        ratio = found.time if quantity == "time" else found.tensors
        if ratio is None:
            raise NotMeasured(f"{_where(rows[1])}, {variant}: no {quantity}")
        if quantity == "memory":
            return Quantity.exact(ratio.value)
        low, high = (ratio.value, ratio.value) if ratio.low is None else (ratio.low, ratio.high)
        return Quantity(ratio.value, low * math.exp(-self._spread), high * math.exp(self._spread))

    def horizon(self, subject: str, quantity: str, horizon: int, batch_size: int) -> Quantity:
        """Cost of one forward pass at a horizon and batch size."""
        return self._of(self._row("horizon", subject, "inference", "fp32", (horizon, batch_size)), quantity)

    def variates(self, subject: str, quantity: str, n_variates: int, phase: str = "train_step") -> Quantity:
        """Cost at a number of variates."""
        return self._of(self._row("variates", subject, phase, "fp32", (n_variates,)), quantity)

    def mse(self, model: str, dataset: str, horizon: int, lookback: int | None = None) -> Quantity:
        """Mean MSE over the seeds of cells that were trained to their end, with Student's interval."""
        _known(model, _TRAINED, "model")
        if self._scores is None:
            raise NotMeasured("no cell was trained")
        cells = self._scores.rows
        kept = (cells["model"] == model) & (cells["dataset"] == dataset) & (cells["horizon"] == horizon)
        kept &= (cells["status"] == "ok") & cells["mse"].notna() & (cells["stopped_by"] != "budget")
        if lookback is not None:
            kept &= cells["lookback"] == lookback
        cells = cells[kept.fillna(False).astype(bool)].sort_values("lookback")
        cells = cells[cells["lookback"] == cells["lookback"].min()]
        if cells.empty:
            at = "" if lookback is None else f" L={lookback},"
            raise NotMeasured(f"no cell of {model} on {dataset},{at} H={horizon}, trained to its end")
        self.reads |= {("scores", index): None for index in cells.index}
        return _mean(cells["mse"].to_numpy(float), bool((cells["n_parameters"] == 0).all()))

    def published(self, model: str, dataset: str, horizon: int, lookback: int | None = None) -> Quantity:
        """A published MSE; of several lookbacks the lowest."""
        rows = self._published(dataset, horizon)
        rows = rows[rows["model"] == _known(model, _TRAINED, "model")]
        rows = rows if lookback is None else rows[rows["lookback"] == lookback]
        if rows.empty:
            raise NotMeasured(f"no published number of {model} on {dataset}, H={horizon}")
        self.reads |= {("published", index): None for index in rows.index}
        return Quantity.exact(rows["mse"].min())

    def published_best(self, dataset: str, horizon: int) -> Choice:
        """Which of the six transformers has the lowest published MSE, each at its best lookback."""
        rows = self._published(dataset, horizon)
        rows = rows[rows["model"].isin(TRANSFORMERS)]
        self.reads |= {("published", index): None for index in rows.index}
        best = rows.loc[rows["mse"] == rows["mse"].min(), "model"]
        return Choice(best.iloc[0], frozenset(best))

    def _published(self, dataset: str, horizon: int) -> pd.DataFrame:
        rows = self._others[(self._others["dataset"] == dataset) & (self._others["horizon"] == horizon)]
        if rows.empty:
            raise NotMeasured(f"no published numbers on {dataset}, H={horizon}")
        return rows

    def _at(self, subject: str, length: int, phase: str, precision: str = "fp32") -> dict:
        return self._row(self._experiment(subject), subject, phase, precision, (length,))

    @staticmethod
    def _experiment(subject: str) -> str:
        return "mechanism" if _known(subject, [*MODELS, *MECHANISMS], "subject") in MECHANISMS else "lookback"

    def _row(self, experiment: str, subject: str, phase: str, precision: str, axes: tuple) -> dict:
        _known(phase, PHASES, "phase")
        _known(subject, [*MODELS, *MECHANISMS], "subject")
        found = self._rows.get((experiment, subject, phase, precision, axes))
        if found is None:
            sizes = [f"{name}={value}" for name, value in zip(AXES[experiment], axes, strict=True)]
            raise NotMeasured(
                f"no {', '.join([experiment, *sizes])} of {subject} in {_said(phase)}, {precision}"
            )
        self.reads[("scaling", found[0])] = None
        return found[1]

    def _of(self, row: dict, quantity: str) -> Quantity:
        value = row[self._column(quantity)]
        if row["status"] != "ok" or not value > 0:
            reason = f"ended as {row['status']}" if row["status"] != "ok" else f"has no {quantity}"
            raise NotMeasured(f"{_where(row)} {reason}{': ' if row['reason'] else ''}{row['reason']}")
        if quantity == "memory":
            return Quantity.exact(value)
        return Quantity(float(value), float(row["time_low_ms"]), float(row["time_high_ms"]))

    @staticmethod
    def _column(quantity: str) -> str:
        return COLUMNS[_known(quantity, COLUMNS, "quantity")]


FUNCTIONS = (
    *("time", "memory", "growth", "exponent", "tensors", "fastest", "leanest", "runs", "longest", "switch"),
    *("horizon", "variates", "mse", "published", "published_best"),
)
OF_SCALING = frozenset(FUNCTIONS[:12])
OF_SCORES = frozenset({"mse"})


def _known(name: str, names, what: str) -> str:
    if name not in names:
        raise ValueError(f"unknown {what} '{name}'{nearest(str(name), names)}")
    return name


def _said(phase: str) -> str:
    return {"train_step": "training", "inference": "inference"}[phase]


def _where(row: dict) -> str:
    return f"{row['subject']} at L={row['lookback']:g} in {_said(row['phase'])}"


def _mean(values: np.ndarray, untrained: bool) -> Quantity:
    from scipy.stats import t

    mean = float(values.mean())
    if untrained:
        return Quantity.exact(mean)
    if len(values) < 2:
        return Quantity(mean, 0.0, math.inf, _ONE_SEED)
    half = t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return Quantity(mean, mean - float(half), mean + float(half))
