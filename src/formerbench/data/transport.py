"""Bring one file from an address to a folder: size limit, safe redirects, retries of what may pass."""

import shutil
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from formerbench.errors import StatedError

TIMEOUT_S = (10, 60)  # to connect, between two packets
SLOWEST = 20_000  # bytes a second; a server that drips would else hold a study for days
ATTEMPTS = 4
FIRST_WAIT_S = 1.0  # doubles with every attempt
CHUNK = 1 << 18
PASSING_STATUS = (429, 500, 502, 503, 504)


class Refused(StatedError):
    """An answer that a repetition will not change."""


class Passing(StatedError):
    """An answer that a repetition may change: a truncated or damaged body."""


class LimitedFile:
    """The file object that a download is written to; it refuses more bytes than the data set can have."""

    def __init__(self, file, limit: int):
        self.file, self.left, self.limit = file, limit, limit

    def write(self, chunk: bytes) -> None:
        """Write, or raise :class:`Refused` when the limit is passed."""
        self.left -= len(chunk)
        if self.left < 0:
            raise Refused(f"the body is larger than the {self.limit} bytes that the file can have")
        self.file.write(chunk)

    def flush(self) -> None:
        """Nothing: the file is flushed once, when it is closed."""


def refuse_downgrade(response, *_args, **_kwargs) -> None:
    """A hook of requests, called for each answer: refuse a redirect that leaves https."""
    if response.is_redirect:
        target = urljoin(response.url, response.headers["location"])
        if urlsplit(response.url).scheme == "https" and urlsplit(target).scheme != "https":
            response.close()
            raise Refused(f"redirected from https to {target}, which is not safe")


def bring(address: str, part: Path, limit: int, title: str, accept) -> None:
    """Write the file at ``address`` (http, https, file or a path) to ``part``, then call ``accept(part)``.

    ``accept`` raises :class:`Passing` when the content is not the wanted one; such failures, broken
    connections, time-outs and busy servers are tried again with growing waits.

    Raises:
        StatedError: what went wrong in the last attempt.
    """
    from requests import RequestException
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

    retrying = Retrying(
        stop=stop_after_attempt(ATTEMPTS if is_web(address) else 1),
        wait=wait_exponential(multiplier=FIRST_WAIT_S, max=30),
        retry=retry_if_exception(may_pass),
        reraise=True,
    )
    try:
        retrying(_once, address, part, limit, title, accept)
    except (RequestException, ValueError) as error:  # of headers that are none
        raise StatedError(describe(error)) from error


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later."""
    from requests import ConnectionError, HTTPError, Timeout
    from requests.exceptions import ChunkedEncodingError, ContentDecodingError, SSLError

    if isinstance(error, HTTPError):
        return error.response.status_code in PASSING_STATUS
    if isinstance(error, SSLError):
        return False
    return isinstance(error, (Passing, ConnectionError, Timeout, ChunkedEncodingError, ContentDecodingError))


def describe(error: BaseException) -> str:
    """The failure of a request in a few words, without the address."""
    from requests import ConnectionError, HTTPError, Timeout
    from requests.exceptions import ChunkedEncodingError, SSLError

    if isinstance(error, HTTPError):
        return f"the server answered {error.response.status_code} {error.response.reason}"
    kinds = {SSLError: "no trusted https connection", Timeout: "no answer in time"}
    kinds |= {ChunkedEncodingError: "the body ended early", ConnectionError: "no connection"}
    for kind, words in kinds.items():
        if isinstance(error, kind):
            return words
    return " ".join(str(error).split())


def is_web(address: str) -> bool:
    """Whether ``address`` is an http or https URL."""
    return urlsplit(address).scheme in ("http", "https")


def without_password(address: str) -> str:
    """``address`` as it may be shown: a mirror's URL can hold a user's name and password."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if is_web(address) else address


def local_path(address: str) -> Path:
    """The path that a file:// URL or a plain path means."""
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme == "file" else Path(address).expanduser()


def _once(address: str, part: Path, limit: int, title: str, accept) -> None:
    with part.open("wb") as file:
        limited = LimitedFile(file, limit)
        if is_web(address):
            _download(address, limited, title)
        else:
            _copy(local_path(address), limited)
    accept(part)


def _copy(source: Path, target: LimitedFile) -> None:
    try:
        with source.open("rb") as file:
            shutil.copyfileobj(file, target, CHUNK)
    except FileNotFoundError as error:
        raise Refused("there is no such file") from error
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}") from error


def _download(address: str, target: LimitedFile, title: str) -> None:
    from pooch import HTTPDownloader
    from tqdm import tqdm

    late = threading.Event()

    def stop(response) -> None:
        late.set()
        with suppress(ValueError, RuntimeError):  # it has just ended
            response.raw.shutdown()

    with ExitStack() as opened:

        def keep(response, *_args, **_kwargs) -> None:
            opened.callback(response.close)  # pooch leaves the connection open when writing fails
            clock = threading.Timer(TIMEOUT_S[1] + target.limit / SLOWEST, stop, [response])
            clock.daemon = True
            clock.start()
            opened.callback(clock.cancel)

        # disable=None: a bar on a terminal, nothing in a log file; without a total a bar has no truth value
        bar = tqdm(desc=title, total=target.limit, unit="B", unit_scale=True, leave=False, disable=None)
        opened.callback(bar.close)
        hooks = {"response": [keep, refuse_downgrade]}
        downloader = HTTPDownloader(progressbar=bar, chunk_size=CHUNK, timeout=TIMEOUT_S, hooks=hooks)
        try:
            downloader(address, target, None)
        finally:
            if late.is_set():
                raise Refused(f"the body came slower than {SLOWEST:,} bytes a second")
