"""A made-up scaling study: costs that follow known laws, with noise, and every way in which a row can end."""

import json
import random
from itertools import product
from pathlib import Path

from formerbench.results import REPEAT_COLUMNS, SCALING_AXES, SCALING_COLUMNS

LENGTHS = (96, 192, 336, 720, 1440, 2880, 5000)
# constant, per step, per step squared
LAWS = {
    "tft": (20.0, 0.10, 2e-5),
    "informer": (15.0, 0.06, 0.0),
    "autoformer": (14.0, 0.07, 1e-6),
    "fedformer": (18.0, 0.035, 0.0),
    "patchtst": (2.0, 0.01, 6e-6),
    "itransformer": (3.0, 0.0005, 0.0),
    "dlinear": (0.4, 0.001, 0.0),
}
MECHANISMS = {
    "full_attention": (1.0, 0.002, 4e-6),
    "full_attention_materialised": (1.0, 0.002, 9e-6),
    "auto_correlation": (2.0, 0.02, 0.0),
}
BUDGET = "needed more than 4000 MB"


def rows_of(models=tuple(LAWS), study="first", only=None, **columns) -> list[dict]:
    """Rows of all experiments, or of ``only`` one; ``columns`` overrides columns of all of them."""
    both = ("train_step", "inference")
    found = [_row("lookback", *point) for point in product(models, LENGTHS, both)]
    for model, phase in product(models, both):
        one = _row("longest", model, 8192, phase)
        found.append(one | {"reason": "within 4000 MB and 5 s a step; 16384 steps need more memory"})
    for point in product(MECHANISMS, LENGTHS, both):
        found.append(_row("mechanism", *point, horizon="", n_variates=""))
    for model, horizon, batch_size in product(models, (96, 720), (1, 32)):
        found.append(_row("horizon", model, 336, "inference", horizon=horizon, batch_size=batch_size))
    for model, variates in product(models, (7, 21, 84, 321)):
        found.append(_row("variates", model, 96, "train_step", n_variates=variates))
    for variant, factor in (("base", 1.0), ("checkpoint", 1.3), ("attention=materialised", 1.001)):
        found.append(_row("switches", models[0], 720, "train_step", variant=variant, factor=factor))
    return [row | {"study": study} | columns for row in found if only in (None, row["experiment"])]


def _row(experiment, subject, lookback, phase, variant="base", factor=1.0, **sizes) -> dict:
    constant, linear, square = LAWS.get(subject) or MECHANISMS.get(subject) or (5.0, 0.01, 0.0)
    half = 0.4 if phase == "inference" else 1.0
    sizes = {"horizon": 96, "n_variates": 7, "batch_size": 8} | sizes
    scale = (int(sizes["batch_size"] or 8) / 8) * (int(sizes["n_variates"] or 7) / 7) ** 0.9
    noise = random.Random(f"{experiment} {subject} {lookback} {phase} {variant} {sizes}")
    time = half * factor * (constant + scale * (linear * lookback + square * lookback**2))
    repeats = [time * noise.lognormvariate(0, 0.02) for _ in range(9)]
    memory = half / factor * (4 + scale * lookback * (0.05 + 0.5 * linear))
    row = {
        "study": "first",
        "experiment": experiment,
        "subject": subject,
        "variant": variant,
        "lookback": lookback,
        **sizes,
        "d_model": 64,
        "n_heads": 4,
        "device": "cpu",
        "precision": "fp32",
        "phase": phase,
        "status": "ok",
        "threads": 2,
        "busy": "false",
        "package_version": "0.1.0",
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "git_dirty": "false",
        "source_digest": "0123456789abcdef",
        "host": "bench",
        "cpu": "Example CPU 3000",
        "gpu": "",
        "torch_version": "2.13.0",
        "python_version": "3.11.9",
        "started_at": "2026-01-02T10:00:00+00:00",
    }
    if (experiment, subject, phase) == ("lookback", "tft", "train_step") and lookback == 5000:
        return row | {"status": "oom", "reason": BUDGET, "reached": "train_step"}
    if (experiment, subject) == ("lookback", "informer") and lookback == 96:
        return row | {"status": "failed", "reason": "a made-up error of the model"}
    if (experiment, subject, lookback) == ("mechanism", "full_attention_materialised", 5000):
        return row | {"status": "timeout", "reason": "took more than 300 s", "reached": phase}
    ordered = sorted(repeats)
    return row | {
        "time_ms": ordered[4],
        "time_ms_iqr": ordered[6] - ordered[2],
        "repeats": len(repeats),
        "peak_memory_mb": 1.2 * memory + 1,
        "peak_tensor_mb": memory,
        "memory_method": "vm_hwm",
        "share_of_peak": 0.2,
        "n_parameters": 1000,
        "attention_kernel": "flash",
        "_repeats": repeats,
    }


def write_scaling(folder: Path, rows: list[dict], write_csv) -> Path:
    """Write the three files of measurements into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(
        folder / "scaling.csv", SCALING_COLUMNS, [{k: v for k, v in r.items() if k[0] != "_"} for r in rows]
    )
    repeats = [
        {axis: row[axis] for axis in SCALING_AXES}
        | {"process": 1 + i // 3, "repeat": 1 + i % 3, "time_ms": time}
        for row in rows
        for i, time in enumerate(row.get("_repeats", []))
    ]
    write_csv(folder / "scaling_repeats.csv", REPEAT_COLUMNS, repeats)
    machine = {"device": "cpu", "precision": "fp32", "threads": 2, "cpu": "Example CPU 3000", "gpu": None}
    machine |= {"flop_per_s": 1.2e11, "copy_bytes_per_s": 2.1e10, "host": "bench", "cores": 2}
    machine |= {"memory_mb": 16000, "governor": None}
    (folder / "machine.json").write_text(json.dumps([machine] if rows else []), encoding="utf-8")
    return folder
