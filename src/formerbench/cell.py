"""One cell: build, train, test, and write ``metrics.json``, ``history.csv`` and ``model.safetensors``.

Every way a cell can end is a row: a lack of memory, a diverged training or an error of a user's model is
told by ``status`` and ``reason``, never by a missing file.
"""

import csv
import hashlib
import io
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import torch
from safetensors.torch import save

from formerbench import devices
from formerbench.checkpoint import StateFolder
from formerbench.data.series import Series
from formerbench.data.windows import Scaler, Windows
from formerbench.errors import StatedError, WriteError
from formerbench.evaluation import check_shape, evaluate
from formerbench.grid import Cell
from formerbench.locks import only_writer
from formerbench.logs import logger
from formerbench.measure.clock import median_time_ms
from formerbench.measure.load import OtherLoad
from formerbench.measure.memory import PeakMemory, is_lack_of_memory, keep_freed_memory, load_libraries
from formerbench.models import build
from formerbench.models.batch import count_parameters
from formerbench.paths import write_bytes, write_text
from formerbench.provenance import provenance
from formerbench.results import ACCURACY_COLUMNS, write_json
from formerbench.training import HISTORY_COLUMNS, Diverged, Progress, Trainer
from formerbench.training_step import autocast

_SCORES = ("mse", "mae", "rmse", "mae_raw", "smape", "mase", "quantile_loss", "n_test_windows")
_DETAILS = ("per_variate", "per_step", "forecasts", "n_constant_variates")


def run(cell: Cell, data: Path, folder: Path, source_digest: str, threads: int | None = None) -> dict:
    """Run a cell and write its three files into ``folder``; returns what is in ``metrics.json``.

    Args:
        cell: what to run.
        data: folder with the prepared data set.
        folder: where the files go; an unfinished earlier run of the same cell there is gone on with.
        source_digest: digest of the code, for the row and for telling whether that run still fits.
        threads: CPU threads that the caller grants; fewer than the cell's are a failure.

    Raises:
        WriteError: the disk does not take the files; what is in ``folder`` stays.
        StatedError: another process runs this cell.
    """
    with only_writer(folder):
        return _run(cell, data, folder, source_digest, threads)


def _run(cell: Cell, data: Path, folder: Path, source_digest: str, threads: int | None) -> dict:
    logger.info("cell %s", cell.folder)
    series = Series.read(data)
    base = {name: getattr(cell, name) for name in ACCURACY_COLUMNS if hasattr(cell, name)}
    base |= {
        "batch_size": cell.training.batch_size,
        "season": series.season,
        "source_digest": source_digest,
        "data_sha256": series.sha256,
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **provenance(),
    }
    state = StateFolder(folder / "state", _key(cell, source_digest, series))
    ended = _outcome(cell, series, state, threads)
    row = dict.fromkeys(ACCURACY_COLUMNS) | base | ended.pop("columns")
    if not cell.timed:
        row |= dict.fromkeys(("train_time_s", "step_time_ms", "inference_time_ms"))
    logger.info("%s%s", row["status"], f": {row['reason']}" if row["reason"] else f", MSE {row['mse']:.4f}")
    write_text(folder / "history.csv", _history(ended.pop("history")))
    # One entry only: safetensors writes several in any order, and equal runs should give equal files.
    weights = save(ended.pop("weights"), metadata={"status": row["status"]})
    write_bytes(folder / "model.safetensors", weights)
    metrics = row | ended | {"cell": cell.as_dict()}
    write_json(folder / "metrics.json", metrics)
    state.remove()
    return metrics


def _key(cell: Cell, source_digest: str, series: Series) -> str:
    """What an unfinished training must share with this one to be gone on with."""
    parts = [cell.as_dict(), source_digest, series.sha256]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _outcome(cell: Cell, series: Series, state: StateFolder, threads: int | None) -> dict:
    """Columns, details, history and weights of a cell that may end in any status."""
    if skip := cell.skip or devices.problem(cell.device):
        return _without_result("skipped", skip)
    if too_few := devices.too_few_threads(threads, cell.threads):
        return _without_result("failed", too_few)
    try:
        ended = _train_and_test(cell, series, state)
    except WriteError:
        raise
    except (Diverged, StatedError) as error:
        ended = _without_result("failed", str(error))
    except (MemoryError, torch.OutOfMemoryError) as error:
        ended = _without_result("oom", str(error) or "there was no memory left")  # Python's own is wordless
    except Exception as error:  # an error in a model must not take the other cells' tables along
        logger.exception("the cell failed:")
        status = "oom" if is_lack_of_memory(error) else "failed"
        ended = _without_result(status, f"{type(error).__name__}: {error}")
    ended["columns"]["attempts"] = state.attempts
    return ended


def _without_result(status: str, reason: str) -> dict:
    return {"columns": {"status": status, "reason": " ".join(reason.split())}, "history": [], "weights": {}}


def _train_and_test(cell: Cell, series: Series, state: StateFolder) -> dict:
    torch.set_num_threads(cell.threads)
    if not keep_freed_memory():
        logger.info("this C library cannot be told to keep freed memory; steps may take longer")
    scaler = Scaler.fit(series)
    load_libraries(cell.device)
    load, memory = OtherLoad(), PeakMemory(cell.device)
    torch.manual_seed(cell.seed)
    train = Windows(series, cell.lookback, cell.horizon, "train", scaler, cell.device)
    validation = Windows(series, cell.lookback, cell.horizon, "val", scaler, cell.device)
    model = model_of(cell, series, train.n_marks).to(cell.device)
    _refuse_other_shape(model, validation)
    n_parameters = count_parameters(model)
    progress = Progress()
    if any(parameter.requires_grad for parameter in model.parameters()):
        progress = Trainer(
            model,
            train,
            validation,
            cell.training,
            device=cell.device,
            precision=cell.precision,
            seed=cell.seed,
            state=state,
            memory=memory,
        ).train()
    batch_size = cell.training.batch_size
    with autocast(cell.device, cell.precision):
        inference_time_ms = _inference_time_ms(model, validation, batch_size, cell.device)
        with memory.left_out():
            scores = evaluate(model, series, cell.lookback, cell.horizon, batch_size)
    if not math.isfinite(scores["mse"]):
        raise Diverged(f"the mean squared error on the test split is {scores['mse']}")
    columns = {name: scores.get(name) for name in _SCORES} | {
        "status": "ok",
        "n_parameters": n_parameters,
        **(_of_training(progress) if progress.epoch else {}),
        "inference_time_ms": inference_time_ms,
        "peak_memory_mb": memory.mb(),
        "busy": load.busy(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if cell.device == "cuda" else None,
    }
    details = {name: scores[name] for name in _DETAILS}
    weights = {
        name: tensor.detach().cpu().clone().contiguous() for name, tensor in model.state_dict().items()
    }
    return {"columns": columns, **details, "history": progress.history, "weights": weights}


def _of_training(progress: Progress) -> dict:
    return {
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "stopped_by": progress.stopped_by,
        "train_time_s": progress.train_time_s,
        "step_time_ms": median(progress.step_times_ms),
    }


def model_of(cell: Cell, series: Series, n_marks: int) -> torch.nn.Module:
    """The model of a cell for the shape of its data, with random weights."""
    return build(
        cell.build_name,
        lookback=cell.lookback,
        horizon=cell.horizon,
        n_variates=series.values.shape[1],
        n_marks=n_marks,
        n_past_covariates=0 if series.past_covariates is None else series.past_covariates.shape[1],
        n_known=0 if series.known is None else series.known.shape[1],
        n_entities=len(series.entities),
        season=series.season,
        **cell.options,
    )


@torch.no_grad()
def _refuse_other_shape(model: torch.nn.Module, windows: Windows) -> None:
    """Before any training, see that the forecast has the shape of the contract."""
    model.eval()
    batch, target = windows.batch(torch.zeros(2, dtype=torch.long, device=windows.entities.device))
    check_shape(model(batch), target)


@torch.no_grad()
def _inference_time_ms(model: torch.nn.Module, windows: Windows, batch_size: int, device: str) -> float:
    """Median milliseconds of a forecast of one full batch of windows."""
    model.eval()
    batch, _ = windows.batch(torch.arange(batch_size, device=device) % len(windows))
    return median_time_ms(lambda: model(batch), device)


def _history(rows: list[dict]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, HISTORY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
