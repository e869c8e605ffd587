"""A local web server that answers as a script says, and a data set that it serves."""

import dataclasses
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from formerbench.data.registry import find

GOOD = b"date,a,OT\n" + b"".join(b"2020-01-%02d,%d,%d\n" % (day, day, -day) for day in range(1, 29))
CRLF = GOOD.replace(b"\n", b"\r\n")
OK = (200, GOOD, {})


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Server(ThreadingHTTPServer):
    """Answers each path with a list of (status, body, headers), the last of them for ever.

    A body may be a function instead, which gets the handler and writes what it likes.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.asked, self.scheme = {}, [], "http"

    def says(self, path: str, *answers: tuple) -> str:
        self.script[path] = list(answers)
        return f"{self.scheme}://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, *_):
        """A client that went away is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.command, self.path))
        answers = self.server.script.get(self.path, [(404, b"", {})])
        status, body, headers = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        length = {"Content-Length": str(len(body))} if isinstance(body, bytes) else {}
        for key, value in (length | headers).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body) if isinstance(body, bytes) else body(self)
        self.close_connection = True

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


def entry(*sources: str):
    """A registered data set of 28 rows whose file is GOOD, also known with CRLF line ends."""
    return dataclasses.replace(
        find("ETTh1"),
        name="toy",
        sources=sources,
        mirror_path="toy/toy.csv",
        sha256=digest(GOOD),
        sha256_variants={"crlf": digest(CRLF)},
        bytes=len(GOOD),
        rows=28,
        variates=2,
    )
