"""A stand-in for a ComfyUI server on the loopback: WebSocket, history and files as ComfyUI serves them, and ways in which a
server can lie or break.

As in ComfyUI's `server.py` and `execution.py`, a prompt's steps are told only to the client that queued it; everybody hears of
`status`. The history holds `prompt` (number, id, graph, extra data, outputs), `outputs` by node, and `status`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(kind: int, data: bytes, *, last: bool = True, reserved: int = 0, masked: bool = False) -> bytes:
    """A frame as a server sends it (RFC 6455, section 5.2)."""
    head = bytes([(0x80 if last else 0) | reserved | kind])
    mark = 0x80 if masked else 0
    if len(data) < 126:
        head += bytes([mark | len(data)])
    elif len(data) < 1 << 16:
        head += bytes([mark | 126]) + struct.pack(">H", len(data))
    else:
        head += bytes([mark | 127]) + struct.pack(">Q", len(data))
    return head + (b"\0\0\0\0" if masked else b"") + data


class ComfyUI:
    """The server. `files` are the output folder; `asked` counts what was asked for; `answers` overrule by path."""

    def __init__(self, port: int = 0) -> None:
        self.files: dict[str, bytes] = {}
        self.history: dict[str, Any] = {}
        self.asked: list[str] = []
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.heard: list[tuple[int, bytes]] = []
        self.sockets: list[Any] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.drop()
        self._server.shutdown()
        self._server.server_close()

    def drop(self) -> None:
        """Ends all connections, as a server does that is killed."""
        with self._lock:
            sockets, self.sockets = self.sockets, []
        for each in sockets:
            try:
                each.shutdown(2)
            except OSError:
                pass

    # -- what ComfyUI does ------------------------------------------------------------------------------------------

    def execute(
        self,
        prompt: str,
        files: dict[str, bytes],
        graph: Any = None,
        *,
        key: str = "images",
        kind: str = "output",
        cached: bool = False,
        tell: bool = True,
    ) -> None:
        """Runs a prompt that saves files (by their path below the output folder), and says that the queue changed."""
        self.files |= files
        named = [
            {"filename": path.rpartition("/")[2], "subfolder": path.rpartition("/")[0], "type": kind} for path in files
        ]
        messages: list[Any] = [["execution_start", {"prompt_id": prompt}]]
        messages.append(["execution_cached", {"nodes": ["9"] if cached else [], "prompt_id": prompt}])
        messages.append(["execution_success", {"prompt_id": prompt}])
        self.history[prompt] = {
            "prompt": [len(self.history), prompt, graph or {}, {"client_id": "somebody"}, ["9"]],
            "outputs": {"9": {key: named}},
            "status": {"status_str": "success", "completed": True, "messages": messages},
            "meta": {"9": {"node_id": "9", "display_node": "9", "parent_node": None, "real_node_id": "9"}},
        }
        if tell:
            self.say("status", {"status": {"exec_info": {"queue_remaining": 0}}})

    def say(self, type_: str, data: Any) -> None:
        """Sends a message to everybody."""
        self.send(frame(1, json.dumps({"type": type_, "data": data}).encode()))

    def send(self, data: bytes) -> None:
        """Sends bytes to everybody."""
        with self._lock:
            for each in list(self.sockets):
                try:
                    each.sendall(data)
                except OSError:
                    self.sockets.remove(each)

    def wait_for_listener(self, seconds: float = 20.0) -> None:
        until = time.monotonic() + seconds
        while not self.sockets:
            assert time.monotonic() < until, "nobody listens"
            time.sleep(0.02)

    def count(self, beginning: str) -> int:
        """How many requests had a target that begins so."""
        return sum(1 for each in self.asked if each.startswith(beginning))

    # -- the protocol -----------------------------------------------------------------------------------------------

    def _handler(comfyui) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                comfyui.asked.append(self.path)
                parts = urlsplit(self.path)
                if parts.path in comfyui.answers:
                    comfyui.answers[parts.path](self)
                elif parts.path == "/ws":
                    comfyui._listen(self)
                elif parts.path == "/history":
                    query = parse_qs(parts.query)
                    most = int(query.get("max_items", ["0"])[0])
                    found = dict(list(comfyui.history.items())[-most:]) if most else comfyui.history
                    reply(self, 200, json.dumps(found).encode(), "application/json")
                elif parts.path == "/view":
                    comfyui._view(self, parse_qs(parts.query, keep_blank_values=True))
                else:
                    reply(self, 404, b"", "text/plain")

        return Handler

    def _view(self, handler: BaseHTTPRequestHandler, query: dict[str, list[str]]) -> None:
        name, folder = query["filename"][0], query.get("subfolder", [""])[0]
        if name.startswith("/") or ".." in name:
            reply(handler, 400, b"", "text/plain")
            return
        data = self.files.get(f"{folder}/{name}" if folder else name)
        reply(handler, 404 if data is None else 200, data or b"", "image/png")

    def _listen(self, handler: BaseHTTPRequestHandler) -> None:
        key = handler.headers["Sec-WebSocket-Key"].encode()
        accepted = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        handler.wfile.write(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accepted}\r\n\r\n".encode()
        )
        connection = handler.connection
        status = {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "0" * 32}
        connection.sendall(frame(1, json.dumps({"type": "status", "data": status}).encode()))
        with self._lock:
            self.sockets.append(connection)
        handler.close_connection = True
        try:
            while True:
                head = handler.rfile.read(2)
                if len(head) < 2:
                    return
                assert head[1] & 0x80, "a client has to mask its frames"
                mask = handler.rfile.read(4)
                data = handler.rfile.read(head[1] & 0x7F)
                plain = bytes(byte ^ mask[number % 4] for number, byte in enumerate(data))
                self.heard.append((head[0] & 0x0F, plain))
                if head[0] & 0x0F == 8:
                    return
        except OSError:
            return
        finally:
            with self._lock:
                if connection in self.sockets:
                    self.sockets.remove(connection)


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes, kind: str, **headers: str) -> None:
    """Answers a request."""
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
