"""Jobs side by side on a machine with several GPUs: each takes one of its own, until it ends."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from formerbench.logs import logger

_VARIABLE = "CUDA_VISIBLE_DEVICES"


def take_gpu(device: str) -> None:
    """Of several GPUs, see only one that no other job of this user has taken; before torch looks for them.

    Jobs that find none free see all of them, and share the first.
    """
    there = _visible() if device == "cuda" else []
    if len(there) < 2:
        return
    for gpu in there:
        name = gpu.replace("/", "_")
        path = Path(tempfile.gettempdir(), f"formerbench-{os.getuid()}-{name}.lock")
        if not _locked(path):
            continue
        os.environ[_VARIABLE] = gpu
        logger.info("of %d GPUs this job has %s", len(there), gpu)
        return
    logger.info("all %d GPUs are taken; give Snakemake --resources gpu=%d", len(there), len(there))


def _locked(path: Path) -> bool:
    """Whether this process has the lock from now on: its file stays open until the process ends."""
    try:
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, mode=0o600)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return False
    return True


def _visible() -> list[str]:
    """The GPUs that the environment names, such as a cluster's; else all of this machine."""
    if _VARIABLE in os.environ:
        return [gpu for gpu in os.environ[_VARIABLE].split(",") if gpu]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    asked = subprocess.run(
        [tool, "--query-gpu=uuid", "--format=csv,noheader"], capture_output=True, text=True, check=False
    )
    return asked.stdout.split() if asked.returncode == 0 else []
