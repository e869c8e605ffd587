"""Which devices this machine has, found out without importing torch."""

import os
import shutil
from functools import cache
from pathlib import Path


@cache
def problem(device: str) -> str | None:
    """Why ``device`` (``cpu`` or ``cuda``) cannot be used here, or None."""
    if device == "cpu":
        return None
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides every CUDA device"
    if Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists() or shutil.which("nvidia-smi"):
        return None
    return "this machine has no CUDA device"
