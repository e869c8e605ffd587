"""Logging: readable lines on the terminal, the same lines and every traceback in a log file."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from formerbench.errors import StatedError, WriteError
from formerbench.lifeline import follow

logger = logging.getLogger("formerbench")


def setup(log_file: Path | None = None, level: int = logging.INFO) -> None:
    """Send the package's log lines to stderr and, if given, to ``log_file`` (written anew)."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if log_file is not None:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(log_file, mode="w", encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    for old in logger.handlers[:]:
        logger.removeHandler(old)
        old.close()
    logger.handlers.extend(handlers)
    logger.setLevel(level)
    logger.propagate = False


@contextmanager
def job_log(log_file: str) -> Iterator[None]:
    """Log a job to ``log_file``; a stated failure ends it in one line, a bug with its traceback.

    The job ends with the Snakemake that started it.
    """
    try:
        setup(Path(log_file))
    except OSError as error:
        sys.exit(f"error: {WriteError.of(log_file, error)}")
    logging.raiseExceptions = False  # a log on a full disk is short, and not a traceback a line
    follow()
    try:
        yield
    except StatedError as error:
        logger.error("error: %s", error)
        sys.exit(1)
    except Exception:
        logger.exception("this is a bug, please report it with this log:")
        sys.exit(1)
