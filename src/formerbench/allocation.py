"""Memory, time and GPUs that a job asks a cluster for; generous, as who asks for too little is stopped.

A training step keeps about ``series * tokens * layers * (4 d_model + d_ff)`` numbers and multiplies each
token with the layers' weights and with every other token. The constants that make memory and time of these
cover every measurement in ``results/reference``, most of them twice or more.
"""

import math
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from formerbench.data.registry import Entry, splits
from formerbench.errors import StatedError
from formerbench.grid import Cell
from formerbench.inside import most_calibrated
from formerbench.measurements import Measurement
from formerbench.models import NAIVE

BASE_MB = 2_000  # the interpreter, torch, and what a job has besides the model
GPU_HOST_MB = 8_000  # beside a GPU, which holds the model
MOST_MB = 256_000
START_MIN, MOST_MIN = 15, 24 * 60  # a cell that is stopped goes on from its last epoch at the next attempt
STEP_S = 0.05  # of the smallest model
FLOPS_PER_THREAD, FLOPS_GPU = 10e9, 1e12
_DEFAULT_ROWS, _ROW_BYTES = 100_000, 9  # of a file of the user's own: a short date and its line end


class Kind(NamedTuple):
    """How a model's shapes come about, and the bytes and work that it takes over the formula's."""

    by_variate: bool = True  # every variate is a series of its own
    memory: float = 16
    work: float = 4


_DECODER = Kind(by_variate=False, memory=14, work=1)
_KINDS = {
    "patchtst": Kind(memory=8, work=2),
    "itransformer": Kind(by_variate=False, memory=16, work=2),
    "informer": _DECODER,
    "autoformer": _DECODER,
    "fedformer": _DECODER,
    "tft": Kind(memory=9, work=3),
}


class Step(NamedTuple):
    """What a training step of a model takes on one CPU thread, without what a job has besides."""

    memory_mb: float
    flops: float


def step(model: str, options: dict, lookback: int, horizon: int, variates: int, batch_size: int) -> Step:
    """Memory and operations of a training step; a model that is not of this package counts as a wide one."""
    if model in (*NAIVE, "dlinear"):
        values = batch_size * variates * (lookback + horizon)
        return Step(16 * 4 * values / 2**20, 500 * values)
    kind = _KINDS.get(model, Kind())
    d_model = options.get("d_model", 512)
    d_ff = options.get("d_ff", 4 * d_model)
    layers = options.get("layers", 2) + options.get("decoder_layers", 0)
    length = {
        "patchtst": lookback // options.get("stride", 8) + 2,
        "itransformer": variates + 4,
    }.get(model, lookback + horizon)
    tokens = batch_size * (variates if kind.by_variate else 1) * length * layers
    weights = layers * (4 * d_model**2 + 2 * d_model * d_ff)
    weights += 2 * d_model * (lookback + horizon) if model == "itransformer" else 0
    pairs = 0 if kind is _DECODER else tokens * (horizon if model == "tft" else length)
    kept = 4 * kind.memory * tokens * (4 * d_model + d_ff)
    if options.get("attention") == "materialised" or ":" in model:
        kept += 4 * 4 * pairs * options.get("n_heads", 8)
    flops = kind.work * (6 * tokens * weights / layers + 12 * pairs * d_model)
    return Step((kept + 16 * weights) / 2**20, flops)


def gpus(device: str) -> int:
    """GPUs that a job on ``device`` needs."""
    return 1 if device == "cuda" else 0


def cell_memory_mb(cell: Cell, entry: Entry, attempt: int = 1) -> int:
    """Memory of a cell on the node; twice as much at the second attempt, and so on."""
    rows, variates = _table(entry)
    of_data = 16 * rows * variates / 2**20
    if cell.device == "cuda":
        return _up_to(MOST_MB, (GPU_HOST_MB + of_data) * attempt)
    return _up_to(MOST_MB, (BASE_MB + of_data + _step(cell, variates).memory_mb) * attempt)


def cell_runtime_min(cell: Cell, entry: Entry, attempt: int = 1) -> int:
    """Minutes of a cell: its training steps at most, validation after every epoch, and the test."""
    rows, variates = _table(entry)
    windows = {name: max(end - first, 1) for name, (first, end) in _splits(entry, rows).items()}
    batches = {name: math.ceil(count / cell.training.batch_size) for name, count in windows.items()}
    epochs = 0 if cell.model in NAIVE else cell.training.epochs
    steps = min(epochs * batches["train"], cell.training.max_steps or math.inf)
    epochs = math.ceil(steps / batches["train"])
    seconds = _step_seconds(cell, variates)
    training = min(steps * seconds, cell.training.max_seconds or math.inf)
    scoring = (epochs * batches["val"] + batches["test"]) * seconds / 2
    return _up_to(MOST_MIN, (START_MIN + (training + scoring) / 60) * attempt)


def inside_memory_mb(cell: Cell, entry: Entry, attempt: int = 1) -> int:
    """Memory of showing the inside of a cell, which happens on the CPU wherever it was trained."""
    return cell_memory_mb(replace(cell, device="cpu"), entry, attempt)


def inside_runtime_min(cell: Cell, entry: Entry, attempt: int = 1) -> int:
    """Minutes of showing the inside of a cell: forecasts of the windows that test its quantiles."""
    _, variates = _table(entry)
    batches = math.ceil(most_calibrated(variates) / cell.training.batch_size)
    seconds = batches * _step_seconds(replace(cell, device="cpu"), variates)
    return _up_to(MOST_MIN, (START_MIN + seconds / 60) * attempt)


def measurement_memory_mb(measurement: Measurement, attempt: int = 1) -> int:
    """Memory of a measurement: its budget, of which it may take a little more before it is ended."""
    if measurement.work.device == "cuda":
        return _up_to(MOST_MB, GPU_HOST_MB * attempt)
    budget = (measurement.limits or {}).get("memory_mb", measurement.memory_budget_mb)
    return _up_to(MOST_MB, (BASE_MB + 1.25 * budget) * attempt)


def measurement_runtime_min(measurement: Measurement, attempt: int = 1) -> int:
    """Minutes of a measurement: the time budget of every process, or of every length that is tried."""
    processes = 20 if measurement.limits else measurement.processes + 2
    seconds = len(measurement.phases) * processes * measurement.time_budget_s
    return _up_to(MOST_MIN, (START_MIN + seconds / 60) * attempt)


def _step(cell: Cell, variates: int) -> Step:
    return _step_of(
        cell.build_name,
        tuple((k, v) for k, v in cell.options.items() if _is_size(cell, v)),
        cell.lookback,
        cell.horizon,
        variates,
        cell.training.batch_size,
    )


def _is_size(cell: Cell, value) -> bool:
    """Whether an option can be counted with; one of a user's class may mean anything by the same name."""
    if ":" in cell.build_name:
        return isinstance(value, int) and value >= 1
    return isinstance(value, int | str)


def _splits(entry: Entry, rows: int) -> dict[str, tuple[int, int]]:
    """The splits of so many rows; too few of an estimate refuse nothing here: the preparation counts them."""
    try:
        return splits(entry, rows)
    except StatedError:
        return dict.fromkeys(("train", "val", "test"), (0, rows))


@lru_cache
def _step_of(model: str, options: tuple, *sizes: int) -> Step:
    return step(model, dict(options), *sizes)


def _step_seconds(cell: Cell, variates: int) -> float:
    flops_per_s = FLOPS_GPU if cell.device == "cuda" else FLOPS_PER_THREAD * cell.threads
    return STEP_S + _step(cell, variates).flops / flops_per_s


def _up_to(most: int, wanted: float) -> int:
    return min(most, math.ceil(wanted))


def _table(entry: Entry) -> tuple[int, int]:
    """Rows and variates: registered ones, or the most that a file of the user's own can hold."""
    if entry.rows and entry.variates:
        return entry.rows, entry.variates
    return _most_of_file(entry.path, entry.delimiter, entry.encoding)


@lru_cache
def _most_of_file(path: str, delimiter: str, encoding: str) -> tuple[int, int]:
    try:
        with Path(path).open(encoding=encoding, errors="replace") as file:
            variates = max(file.readline().count(delimiter), 1)
        return max(Path(path).stat().st_size // (_ROW_BYTES + variates), 100), variates
    except (OSError, LookupError):  # no such file or encoding: the preparation says so
        return _DEFAULT_ROWS, 1
