"""Memory of a process as the system counts it; needs no torch."""

from contextlib import suppress
from pathlib import Path


def resident(field: str, process: int | str = "self") -> int:
    """``VmRSS`` (now) or ``VmHWM`` (peak) of a process in bytes.

    Raises:
        OSError: the process is gone, or this is not Linux.
        RuntimeError: the system does not say.
    """
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/{process}/status has no {field}")


def peak_of(process: int) -> int:
    """Peak resident bytes of another process, or the present ones where the system keeps no peak."""
    with suppress(OSError, RuntimeError):
        return resident("VmHWM", process)
    import psutil

    try:
        return psutil.Process(process).memory_info().rss
    except psutil.NoSuchProcess:
        return 0
