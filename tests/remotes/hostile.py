"""An HTTP server on loopback that answers whatever a test tells it to, and remembers what it was sent."""

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]


class Hostile(http.server.ThreadingHTTPServer):
    """Calls `answer` with the handler for every request."""

    daemon_threads = True

    def __init__(self, answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> None:
        self.answer = answer
        self.seen: list[Request] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: clients that hang up are expected."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hostile

    def _do(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append(Request(self.command, self.path, headers))
        self.rfile.read(int(headers.get("content-length", "0")))
        self.server.answer(self)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _do

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def serving(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[Hostile]:
    server = Hostile(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def reply(handler: http.server.BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    """Answers; a header's name is given with `_` for `-`, and `content_length` may lie."""
    handler.send_response(status)
    given = {
        "content_length": str(len(body)),
        "last_modified": "Wed, 01 Jan 2025 00:00:00 GMT",
        "etag": '"x"',
        **headers,
    }
    for name, value in given.items():
        if value:
            handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)
