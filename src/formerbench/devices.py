"""Which devices this machine has, found out without importing torch."""

import os
import re
import shutil
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def problem(device: str) -> str | None:
    """Why ``device`` (``cpu`` or ``cuda``) cannot be used here, or None."""
    if device == "cpu":
        return None
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides every CUDA device"
    if not (Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists() or shutil.which("nvidia-smi")):
        return "this machine has no CUDA device"
    return None if _torch_has_cuda() else "the installed torch has no CUDA; see GPU in the README"


def too_few_threads(given: int | None, wanted: int) -> str | None:
    """Why a job that was ``given`` so many threads cannot be timed, or None; nobody limits it if None."""
    if given is None or given >= wanted:
        return None
    return f"got {given} threads of the {wanted} that the config asks for; give more cores"


def _torch_has_cuda() -> bool:
    """What torch's own build note says; torch itself takes a second to import."""
    torch = find_spec("torch")
    if torch is None or torch.origin is None:
        return False
    note = Path(torch.origin).with_name("version.py").read_text(encoding="utf-8")
    return re.search(r"^cuda\b.*= *'", note, flags=re.MULTILINE) is not None
