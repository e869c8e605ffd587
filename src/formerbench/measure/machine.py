"""What the machine can do at most: the measure of every share."""

import os
from pathlib import Path

import torch

from formerbench.measure import flops
from formerbench.measure.clock import StepClock
from formerbench.measure.load import OtherLoad
from formerbench.training_step import AUTOCAST

_COPY_BYTES = 2**28
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def peaks(device: str, precision: str, threads: int) -> dict:
    """The most FLOP/s of a matrix product and bytes/s of a copy (read and written), and who had it.

    Compute nothing before in this process, and fork none of it after.
    """
    load = OtherLoad()
    dtype = AUTOCAST.get(precision, torch.float32)
    return {
        "device": device,
        "precision": precision,
        "threads": threads,
        "flop_per_s": flops.peak(device, threads, dtype=dtype),
        "copy_bytes_per_s": _copy_rate(device),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "cores": os.cpu_count(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "governor": _GOVERNOR.read_text().strip() if _GOVERNOR.is_file() else None,
        "busy": load.busy(),
    }


def _copy_rate(device: str, repeats: int = 10) -> float:
    """Best of ``repeats`` copies of 256 MB, which no cache holds."""
    source = torch.ones(_COPY_BYTES // 4, device=device)
    target = torch.zeros_like(source)
    clock = StepClock(device)
    for _ in range(repeats):
        with clock.step():
            target.copy_(source)
    return 2 * _COPY_BYTES / (min(clock.read()) / 1e3)
