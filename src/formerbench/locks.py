"""Locks on what one process writes; the kernel frees them when the holder dies: none is ever stale."""

import atexit
import errno
import os
import platform
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from formerbench.errors import StatedError, WriteError
from formerbench.logs import logger

# A holder that was killed needs a moment to give its memory back before its locks are free.
_DYING_S = 5.0
_LOOK_EVERY_S = 0.05
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Be the only process that writes into ``folder``.

    Raises:
        StatedError: another one is, and lives on.
    """
    file = _take(folder / ".lock")
    try:
        yield
    finally:
        with file, suppress(OSError):  # of a disk that failed: what is under way says so
            (folder / ".lock").unlink()  # before the release: who waits sees that its file is gone


def hold_study(study: str) -> None:
    """Be the only Snakemake that runs ``study`` in this working directory, until this process ends.

    Raises:
        StatedError: another one does, or the results cannot be written.
    """
    folder, lock = Path("results", study), ExitStack()
    lock.enter_context(only_writer(folder))
    atexit.register(lock.close)
    _date_back(folder)


def _date_back(folder: Path) -> None:
    """Date what a clock that was ahead dated in the future: Snakemake would refuse all that comes of it."""
    now = time.time()
    for path in folder.rglob("*"):
        with suppress(OSError):  # gone, as a job of a killed Snakemake may be about to end, or another user's
            if path.lstat().st_mtime > now:
                os.utime(path, (now, now), follow_symlinks=False)


def _take(path: Path) -> IO[str]:
    deadline = time.monotonic() + _DYING_S
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+", encoding="utf-8")
            if _locked(file) and _is(file, path):
                file.truncate(0)
                print(f"process {os.getpid()} on {platform.node()}", end="", file=file, flush=True)
                return file
        except OSError as error:
            raise WriteError.of(path, error) from error
        file.seek(0)
        holder = file.read() or "another process"
        file.close()
        if time.monotonic() > deadline:
            raise StatedError(f"{path.parent} is in use by {holder}; wait until it has ended, or end it")
        time.sleep(_LOOK_EVERY_S)


def _locked(file: IO[str]) -> bool:
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        logger.info("%s: this file system has no locks; let one process at a time write here", file.name)
    return True


def _is(file: IO[str], path: Path) -> bool:
    """Whether ``file`` is still what ``path`` names: the holder before may have removed it."""
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())
