"""Servers that misbehave: a download is tried again or refused, and no wrong file gets past its checksum."""

import gzip
import re
import socket
import ssl
import struct
import subprocess
import time
import tracemalloc

import pytest

from formerbench.data import transport
from formerbench.data.download import SLACK_BYTES, fetch
from formerbench.errors import StatedError

from ..web import CRLF, GOOD, OK, digest, entry

pytestmark = pytest.mark.usefixtures("quick_and_alone")
RETRIED = "tried four times, then the next source is asked"
REFUSED = "refused at once, then the next source is asked"
LENGTH = {"Content-Length": str(len(GOOD))}
MOST = len(GOOD) + 28 + SLACK_BYTES  # bytes that the file may have


def stall(handler):
    handler.wfile.write(GOOD[:50])
    time.sleep(1)


def drip(handler):
    """A byte now and then, so that no single wait is too long."""
    for i in range(len(GOOD)):
        handler.wfile.write(GOOD[i : i + 1])
        time.sleep(0.02)


def reset(handler):
    """End the connection as a crash does, without a goodbye."""
    handler.wfile.write(GOOD[:50])
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def nothing(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)


PAGE = b"<!doctype html><title>Sign in</title>"
ZEROS = gzip.compress(bytes(200 * 2**20), 1)
# Fault: the answer, how often it is asked for, and the words about it.
FAULTS = {
    "download: body cut off": ((200, GOOD[:100], LENGTH), 4, "the body ended early"),
    "download: body cut off without a length": ((200, GOOD[:100], {}), 4, "100 bytes came with sha256"),
    "download: empty body": ((200, b"", {}), 4, "0 bytes came with sha256"),
    "download: wrong checksum": ((200, GOOD.replace(b"-28", b"-29"), {}), 4, f"with sha256 {digest(GOOD)}"),
    "download: page with status 200": ((200, PAGE, {}), 4, "an HTML page came"),
    "download: status 404": ((404, PAGE, {}), 1, "the server answered 404"),
    "download: status 403": ((403, PAGE, {}), 1, "the server answered 403"),
    "download: status 500": ((500, PAGE, {}), 4, "the server answered 500"),
    "download: status 503": ((503, PAGE, {}), 4, "the server answered 503"),
    "download: redirect loop": ((302, b"", {"Location": "/bad.csv"}), 31, "Exceeded 30 redirects"),
    "download: redirect to a file": (
        (302, b"", {"Location": "file:///etc/passwd"}),
        1,
        "No connection adapters",
    ),
    "download: redirect to nowhere": ((302, b"", {"Location": "http://[bad"}), 1, "Invalid IPv6 URL"),
    "download: stall": ((200, stall, LENGTH), 4, "no answer in time|no connection"),
    "download: slow drip": ((200, drip, LENGTH), 1, "slower than"),
    "download: connection reset": ((200, reset, LENGTH), 4, "the body ended early|no connection"),
    "download: no answer": ((200, nothing, LENGTH), 4, "the body ended early|no connection"),
    "download: body over the size": ((200, b"x" * (MOST + 1), {}), 1, f"larger than the {MOST} bytes"),
    "download: gzip bomb": ((200, ZEROS, {"Content-Encoding": "gzip"}), 1, f"larger than the {MOST} bytes"),
    "download: broken gzip": ((200, GOOD, {"Content-Encoding": "gzip"}), 4, "gzip"),
    "download: length that is no number": ((200, GOOD, {"Content-Length": "much"}), 1, "invalid literal"),
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """What takes minutes in earnest: the waits, and the time that a slow body may take."""
    monkeypatch.setattr(transport, "TIMEOUT_S", (5, 0.6))
    monkeypatch.setattr(transport, "SLOWEST", 10_000)


def asked(server, path: str) -> int:
    return server.asked.count(("GET", path))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_answer_is_tried_again_or_refused_and_the_second_source_is_asked(
    server, tmp_path, fault, reliability
):
    answer, times, words = FAULTS[fault]
    bad, good = server.says("/bad.csv", answer), server.says("/good.csv", OK)
    there = tmp_path / "toy.csv"
    there.write_bytes(b"was there before")
    with pytest.raises(StatedError) as refused:
        fetch(entry(bad), there)
    said = [line for line in str(refused.value).splitlines() if line.startswith(f"  {bad}: ")]
    assert len(said) == 1
    assert re.search(words, said[0])
    assert asked(server, "/bad.csv") == times
    assert there.read_bytes() == b"was there before"
    assert not list((tmp_path / "cache").iterdir())
    assert fetch(entry(bad, good), there).source == good
    assert there.read_bytes() == GOOD
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{digest(GOOD)}.csv"]
    reliability(fault, 2, RETRIED if times == 4 else REFUSED)


def test_what_passes_is_got_at_the_second_attempt(server, tmp_path, reliability):
    passing = [answer for answer, times, _ in FAULTS.values() if times == 4]
    for i, answer in enumerate(passing):
        address = server.says(f"/{i}.csv", answer, OK)
        fetched = fetch(entry(address), tmp_path / f"{i}.csv", cache=tmp_path / f"cache{i}")
        assert (fetched.source, fetched.path.read_bytes()) == (address, GOOD)
        assert asked(server, f"/{i}.csv") == 2
    reliability("download: a fault that passes", len(passing), "the right file at the second attempt")


def test_a_good_file_is_never_replaced_by_a_bad_one(server, tmp_path, reliability):
    held, there = tmp_path / "cache" / f"{digest(CRLF)}.csv", tmp_path / "toy.csv"
    held.parent.mkdir()
    held.write_bytes(CRLF)
    for answer, *_ in FAULTS.values():
        bad = server.says("/bad.csv", answer)
        assert fetch(entry(bad), there).variant == "crlf"
        assert fetch(entry(bad), there, cache=tmp_path / "empty").source == "destination"
        assert there.read_bytes() == held.read_bytes() == CRLF
        there.unlink()
    assert not server.asked
    reliability(
        "download: bad source beside a good file", 2 * len(FAULTS), "the good file stays, nothing is asked"
    )


def test_a_gzip_bomb_takes_no_memory(server, tmp_path, reliability):
    bomb = server.says("/bad.csv", (200, ZEROS, {"Content-Encoding": "gzip"}))
    tracemalloc.start()
    with pytest.raises(StatedError, match="larger than"):
        fetch(entry(bomb), tmp_path / "toy.csv")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 * 2**20
    reliability("download: memory of a gzip bomb", 1, "less than a quarter of the unpacked body")


def test_a_redirect_from_https_to_http_is_refused(server, tmp_path, monkeypatch, reliability):
    certificate = tmp_path / "server.pem"
    request = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=127.0.0.1",
    ]
    files = [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        certificate,
        "-out",
        tmp_path / "public.pem",
    ]
    try:
        subprocess.run([*request, *files], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "public.pem", certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.scheme = "https"
    here, there = server.says("/here.csv", OK), "http://127.0.0.1:9/there.csv"
    with pytest.raises(StatedError, match="no trusted https connection"):
        fetch(entry(here), tmp_path / "toy.csv")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "public.pem"))
    moved = server.says("/moved.csv", (302, b"", {"Location": there}))
    with pytest.raises(StatedError, match=f"redirected from https to {there}, which is not safe"):
        fetch(entry(moved), tmp_path / "toy.csv")
    assert fetch(entry(moved, here), tmp_path / "toy.csv").source == here
    reliability("download: redirect from https to http", 2, REFUSED)
    reliability("download: certificate that nobody knows", 1, REFUSED)
