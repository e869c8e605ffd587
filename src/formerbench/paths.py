"""Where the shipped files are (repository or wheel), and how a file is replaced as a whole."""

import os
from pathlib import Path


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
    """Write ``content`` to ``path`` so that a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text with the guarantee of :func:`write_bytes`."""
    write_bytes(path, content.encode())
