"""Get the verified file of a data set: from the cache, a mirror, or the public sources, in this order."""

import hashlib
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from formerbench.data.registry import Entry
from formerbench.data.transport import Passing, bring, is_web, local_path, refuse_downgrade, without_password
from formerbench.errors import StatedError

SLACK_BYTES = 4096  # beyond one more byte a line, which CRLF line ends need

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fetched:
    """A verified file: where it is, where it came from, and which variant of the data set it is."""

    path: Path
    source: str  # "destination", "cache", or the mirror's or public address
    sha256: str
    variant: str  # "registered", or a label of the entry's sha256_variants


def fetch(entry: Entry, destination: Path, mirror: str | None = None, cache: Path | None = None) -> Fetched:
    """Put the verified file of ``entry`` at ``destination``, by a hard link where the disk allows it.

    A file that is there and right stays; one that is there and wrong is replaced only by a right one.

    Args:
        entry: a registered data set.
        destination: path of the file to be.
        mirror: directory, file:// or http(s) URL asked before the public sources; default:
            FORMERBENCH_MIRROR.
        cache: folder of downloaded files, named by their SHA-256; default: FORMERBENCH_CACHE, else the
            user's cache folder.

    Raises:
        StatedError: no source delivered the right file (every source with its reason), or the entry is a
            user's file or a generated series, which are not downloaded.
    """
    _refuse_other_kinds(entry)
    destination = Path(destination)
    there = _known(destination, entry)
    if there:
        return Fetched(destination, "destination", *there)
    fetched = fetch_into_cache(entry, mirror, cache)
    _place(fetched.path, destination)
    return Fetched(destination, fetched.source, fetched.sha256, fetched.variant)


def fetch_into_cache(entry: Entry, mirror: str | None = None, cache: Path | None = None) -> Fetched:
    """As :func:`fetch`, but the file stays in the cache and is to be read there."""
    _refuse_other_kinds(entry)
    folder = _cache_folder(cache)
    held = _held(entry, folder)
    if held:
        return held
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=folder) as work:
            return _from_first_good(entry, mirror, folder, Path(work) / "body")
    except OSError as error:
        raise StatedError(
            f"the cache {folder} cannot be used: {error.strerror}; set FORMERBENCH_CACHE"
        ) from error


def reachable(
    entry: Entry, mirror: str | None = None, cache: Path | None = None, timeout: float = 5
) -> str | None:
    """Where the data set can be had right now, or None; nothing is downloaded.

    Returns:
        ``generated``, the path of a user's file that exists, ``cache``, a mirror's address, or the first
        public source that answers within ``timeout`` seconds. A local file counts only when its checksum is
        right.
    """
    if entry.kind != "download":
        return (
            "generated" if entry.kind == "generated" else entry.path if Path(entry.path).is_file() else None
        )
    if _held(entry, _cache_folder(cache)):
        return "cache"
    for address in _addresses(entry, mirror):
        if _answers(address, timeout) if is_web(address) else _known(local_path(address), entry):
            return without_password(address)
    return None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_other_kinds(entry: Entry) -> None:
    if entry.kind != "download":
        what = f"the file {entry.path}" if entry.kind == "file" else "a generated series"
        raise StatedError(f"{entry.name} is {what}, which is not downloaded; prepare it directly")


def _cache_folder(cache: Path | None) -> Path:
    chosen = cache or os.environ.get("FORMERBENCH_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    from pooch import os_cache

    return Path(os_cache("formerbench"))


def _addresses(entry: Entry, mirror: str | None) -> list[str]:
    mirror = mirror or os.environ.get("FORMERBENCH_MIRROR")
    if not mirror:
        return list(entry.sources)
    if is_web(mirror) or mirror.startswith("file:"):
        return [f"{mirror.rstrip('/')}/{quote(entry.mirror_path)}", *entry.sources]
    return [str(Path(mirror).expanduser() / entry.mirror_path), *entry.sources]


def _known(path: Path, entry: Entry) -> tuple[str, str] | None:
    """(sha256, variant) of a file that is this data set; None for another or absent one."""
    if not path.is_file():
        return None
    digest = sha256_of(path)
    return (digest, entry.accepted[digest]) if digest in entry.accepted else None


def _held(entry: Entry, folder: Path) -> Fetched | None:
    for digest in entry.accepted:
        path = folder / f"{digest}.csv"
        known = _known(path, entry)
        if known:
            return Fetched(path, "cache", *known)
        if path.is_file():
            log.warning("%s: the cached file %s is damaged and not used", entry.name, path)
    return None


def _from_first_good(entry: Entry, mirror: str | None, folder: Path, part: Path) -> Fetched:
    """Try the addresses in order; the part file enters the cache only when it is verified."""
    failures = []
    for address in _addresses(entry, mirror):
        try:
            bring(
                address, part, entry.bytes + entry.rows + SLACK_BYTES, entry.name, lambda p: _accept(p, entry)
            )
        except StatedError as error:
            log.warning("%s: %s: %s", entry.name, without_password(address), error)
            failures.append(f"  {without_password(address)}: {error}")
            continue
        digest, variant = _known(part, entry)
        part.replace(folder / f"{digest}.csv")
        log.info("%s: %s file from %s", entry.name, variant, without_password(address))
        return Fetched(folder / f"{digest}.csv", without_password(address), digest, variant)
    raise StatedError(
        f"{entry.name}: no source delivered the file with sha256 {entry.sha256}:\n"
        + "\n".join(failures)
        + f"\nSet FORMERBENCH_MIRROR to a folder or URL that holds it as {entry.mirror_path}"
    )


def _accept(path: Path, entry: Entry) -> None:
    if _known(path, entry):
        return
    with path.open("rb") as file:
        page = file.read(256).lstrip().startswith(b"<")
    came = "an HTML page came" if page else f"{path.stat().st_size} bytes came"
    wanted = f"{entry.bytes} bytes with sha256 {' or '.join(entry.accepted)}"
    raise Passing(f"{came} with sha256 {sha256_of(path)}; wanted {wanted}")


def _answers(address: str, timeout: float) -> bool:
    import requests

    hooks = {"response": refuse_downgrade}
    for ask in (requests.head, requests.get):  # some servers refuse HEAD
        try:
            with ask(address, timeout=timeout, allow_redirects=True, stream=True, hooks=hooks) as answer:
                if answer.ok:
                    return True
        except (requests.RequestException, StatedError):
            return False
    return False


def _place(held: Path, destination: Path) -> None:
    """Show a cached file at ``destination`` too, which holds the old file or the new one at any moment."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=destination.parent) as work:
        part = Path(work) / "body"
        try:
            os.link(held, part)
        except OSError:  # another disk, or one without hard links
            shutil.copyfile(held, part)
        part.replace(destination)
