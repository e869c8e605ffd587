"""Data sets: the registry, downloads, checks, time marks, windows and synthetic series."""

from pathlib import Path

from formerbench.data.series import Series

__all__ = ["Series", "load"]


def load(dataset: str | dict, mirror: str | None = None, cache: Path | None = None) -> Series:
    """Get a data set ready for models: fetch it into the cache where needed, check it, and read it.

    Args:
        dataset: a name of the registry, or a mapping with its keys for a user's own CSV, such as
            ``{"name": "mine", "path": "mine.csv"}``.
        mirror: directory or URL asked before the public sources; default: FORMERBENCH_MIRROR.
        cache: folder of downloaded files; default: FORMERBENCH_CACHE, else the user's cache folder.

    Raises:
        StatedError: an unknown name, no source that delivers the right file, or data that cannot be used.
    """
    from formerbench.data.download import fetch_into_cache
    from formerbench.data.prepare import prepare
    from formerbench.data.registry import find

    entry = find(dataset)
    if entry.kind != "download":
        return prepare(entry)
    return prepare(entry, fetch_into_cache(entry, mirror, cache).path)
