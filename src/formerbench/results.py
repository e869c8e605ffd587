"""Result rows: their columns, their types, and which of them may differ between two identical runs."""

import json
from pathlib import Path

from formerbench.errors import DamagedFile
from formerbench.paths import write_text

STATUSES = ("ok", "oom", "timeout", "skipped", "failed")

PROVENANCE_COLUMNS = {
    "package_version": str,
    "git_commit": str,
    "git_dirty": bool,
    "source_digest": str,
    "data_sha256": str,
    "host": str,
    "cpu": str,
    "gpu": str,
    "torch_version": str,
    "python_version": str,
    "started_at": str,
}

# One row a cell. A missing value is None (an empty field in CSV), never 0.
ACCURACY_COLUMNS = {
    "study": str,
    "dataset": str,
    "model": str,
    "lookback": int,
    "horizon": int,
    "seed": int,
    "device": str,
    "precision": str,
    "status": str,
    "reason": str,
    "mse": float,  # scaled axis
    "mae": float,  # scaled axis
    "rmse": float,  # scaled axis
    "mae_raw": float,  # original units
    "smape": float,  # original units, 0-200 %
    "mase": float,  # original units
    "quantile_loss": float,
    "n_test_windows": int,
    "n_parameters": int,  # real scalars: a complex one counts 2
    "epochs": int,
    "best_epoch": int,
    "stopped_by": str,  # patience, epochs, budget
    "train_time_s": float,  # training steps only, summed over resumed attempts
    "step_time_ms": float,  # median
    "inference_time_ms": float,  # one batch
    "batch_size": int,
    "peak_memory_mb": float,
    "threads": int,
    "season": int,
    "attempts": int,
    "busy": bool,
    **PROVENANCE_COLUMNS,
}

# What names a cell within a study, in the order of its path.
AXES = ("dataset", "model", "lookback", "horizon", "seed", "device", "precision")
_CELL = {axis: ACCURACY_COLUMNS[axis] for axis in AXES}

# Beside the accuracy table: a row a (cell, variate), ...
VARIATE_SCORES = ("mse", "mae", "mae_raw", "smape", "mase")
VARIATE_COLUMNS = _CELL | {"variate": str} | dict.fromkeys(VARIATE_SCORES, float)
# ... a row a (cell, step ahead), mean over windows and variates, ...
STEP_SCORES = ("mse", "mae", "mae_raw")
STEP_COLUMNS = _CELL | {"step": int} | dict.fromkeys(STEP_SCORES, float)
# ... a row a step of a shown forecast of the target, in original units, ...
FORECAST_COLUMNS = _CELL | {"window": int, "step": int, "forecast": float}
# ... and the truth around it: step 1 is the first forecast, 0 and below what came before.
TRUTH_COLUMNS = {
    "dataset": str,
    "horizon": int,
    "window": int,
    "variate": str,
    "step": int,
    "timestamp": str,
    "value": float,
}

# One row a (measurement, phase).
SCALING_COLUMNS = {
    "study": str,
    "experiment": str,
    "subject": str,  # a model or a mechanism
    "variant": str,  # base, or the switch that is on
    "lookback": int,
    "horizon": int,
    "n_variates": int,
    "batch_size": int,
    "d_model": int,
    "n_heads": int,
    "d_ff": int,
    "layers": int,
    "device": str,
    "precision": str,
    "phase": str,  # train_step, inference
    "status": str,
    "reason": str,
    "reached": str,  # how far a measurement came that did not end
    "time_ms": float,  # median over processes of the median of repeats
    "time_ms_iqr": float,
    "repeats": int,
    "peak_memory_mb": float,  # resident or allocated, above the baseline
    "peak_tensor_mb": float,
    "peak_reserved_mb": float,  # CUDA only
    "memory_method": str,
    "baseline_mb": float,
    "flops": int,
    "share_of_peak": float,
    "attention_kernel": str,
    "n_parameters": int,  # real scalars: a complex one counts 2
    "threads": int,
    "load_before": float,
    "load_after": float,
    "busy": bool,
    **PROVENANCE_COLUMNS,
}

# What names a measurement within a study.
SCALING_AXES = (
    "experiment",
    "subject",
    "variant",
    "lookback",
    "horizon",
    "n_variates",
    "batch_size",
    "device",
    "precision",
    "phase",
)
# Beside the scaling table: a row a timed repeat; processes count from 1, repeats from 1 within each.
REPEAT_COLUMNS = {axis: SCALING_COLUMNS[axis] for axis in SCALING_AXES} | {
    "process": int,
    "repeat": int,
    "time_ms": float,
}

# What two runs of the same config, seed and thread count may disagree on; all else is bit-identical.
MEASURED = frozenset(
    {
        "train_time_s",
        "step_time_ms",
        "inference_time_ms",
        "peak_memory_mb",
        "time_ms",
        "time_ms_iqr",
        "repeats",
        "baseline_mb",
        "share_of_peak",
        "load_before",
        "load_after",
        "attempts",
        "busy",
        "host",
        "cpu",
        "gpu",
        "started_at",
    }
)


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file atomically; NaN and infinity are refused because JSON has no word for them."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict:
    """Read a JSON file that holds keys and values.

    Raises:
        DamagedFile: it holds something else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedFile.of(path, error) from error
    if not isinstance(content, dict):
        raise DamagedFile.of(path, ValueError("keys and values are expected"))
    return content
