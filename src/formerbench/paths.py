"""Where the shipped files are (repository or wheel), and how a file is replaced as a whole."""

import os
from contextlib import suppress
from pathlib import Path

from formerbench.errors import WriteError


def shipped(relative: str) -> Path:
    """Path of a file that the project ships, such as ``config/datasets.yaml``."""
    repository = Path(__file__).resolve().parents[2]
    if (repository / "Snakefile").is_file():
        return repository / relative
    return Path(__file__).resolve().parent / "_shipped" / relative


def evidence_folder(folder: str) -> Path:
    """The table folder that a config's ``evidence`` names, or the shipped one of that name."""
    return Path(folder) if Path(folder).is_dir() else shipped(folder)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader sees the old file or the new one, never a part.

    Raises:
        WriteError: the disk is full, or does not let us write; the old file stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _keep_names(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise WriteError.of(path, error) from error


def _keep_names(folder: Path) -> None:
    """Have the disk keep what files of ``folder`` are called, also when the power fails."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems cannot
            os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text with the guarantee of :func:`write_bytes`."""
    write_bytes(path, content.encode())
