"""Jobs end with the Snakemake that started them, which had no time to end them if it was killed."""

import ctypes
import logging
import os
import select
import signal
import threading
from contextlib import suppress

log = logging.getLogger(__name__)

_VARIABLE = "FORMERBENCH_SNAKEMAKE"
_PR_SET_PDEATHSIG = 1


def offer() -> None:
    """Let the jobs that this process starts end with it."""
    os.environ[_VARIABLE] = str(os.getpid())


def follow() -> None:
    """End this job as soon as the Snakemake that started it has ended.

    The shell that stands between the two lives on, so the kernel's own signal (see below) would not come.
    """
    snakemake = os.environ.get(_VARIABLE)
    if snakemake is None:
        return
    try:
        handle = os.pidfd_open(int(snakemake))
    except ProcessLookupError:
        _end()
    except (AttributeError, OSError):
        log.info("this system cannot tell a job that Snakemake was killed; then end the job by hand")
    else:
        threading.Thread(target=_watch, args=(handle,), daemon=True).start()


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent has ended; only Linux does."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch(handle: int) -> None:
    select.select([handle], [], [])
    _end()


def _end() -> None:
    log.error("error: Snakemake has ended, and so does this job; the next start goes on from here")
    os._exit(1)
