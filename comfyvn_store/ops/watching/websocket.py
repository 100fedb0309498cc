"""A WebSocket client (RFC 6455), as small as listening needs: no extensions, bounded messages, and no trust in the other end.

Of libraries that do this none earns its place: the part that is needed is this page, and whoever only watches a folder would
have to install one, too.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import ssl
import struct
import time
from typing import NamedTuple, NoReturn

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MORE, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_LONGEST_HEAD = 16 << 10
_NORMAL, _GOING_AWAY, _PROTOCOL_ERROR, _NOT_UTF8, _TOO_BIG = 1000, 1001, 1002, 1007, 1009


class Broken(Exception):
    """The connection is of no use any more; the message says why."""


class Message(NamedTuple):
    """A whole message: text, or bytes."""

    text: str | None
    data: bytes


class WebSocket:
    """A connection. `longest` bounds a message; one that is longer is passed over if it is binary, else the end."""

    def __init__(self, host: str, port: int, path: str, *, secure: bool, timeout: float, longest: int) -> None:
        """Connects and shakes hands. Raises Broken, OSError."""
        self._longest = longest
        self._timeout = timeout
        self._socket = socket.create_connection((host, port), timeout=timeout)
        try:
            if secure:
                self._socket = ssl.create_default_context().wrap_socket(self._socket, server_hostname=host)
            self._buffer = bytearray()
            self._shake_hands(host if port in (80, 443) else f"{host}:{port}", path)
        except BaseException:
            self._socket.close()
            raise
        self._parts = bytearray()
        self._kind: int | None = None
        self._is_skipping = False

    def _shake_hands(self, host: str, path: str) -> None:
        key = base64.b64encode(os.urandom(16))
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key.decode('ascii')}", "Sec-WebSocket-Version: 13", "", ""]
        self._socket.sendall("\r\n".join(lines).encode("ascii"))
        deadline = time.monotonic() + self._timeout
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > _LONGEST_HEAD or time.monotonic() > deadline:
                raise Broken("the answer to the handshake does not end")
            self._fill()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        status, *fields = head.split(b"\r\n")
        said = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in fields)}
        accepted = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        if status.split(b" ")[1:2] != [b"101"]:
            raise Broken(f"no WebSocket is offered there ({status[:80].decode('latin-1')})")
        if said.get(b"upgrade", b"").lower() != b"websocket" or said.get(b"sec-websocket-accept") != accepted:
            raise Broken("the answer to the handshake is no WebSocket's")
        if said.get(b"sec-websocket-extensions"):
            raise Broken("the server uses an extension that was not asked for")

    def receive(self, patience: float) -> Message | None:
        """Gives the next message, None if there is none within `patience` seconds. Raises Broken, OSError."""
        deadline = time.monotonic() + patience
        while True:
            frame = self._frame(deadline)
            if frame is None:
                return None
            message = self._take(*frame)
            if message is not None:
                return message

    def _take(self, is_last: bool, kind: int, data: bytes) -> Message | None:
        if kind == _PING:
            self._send(_PONG, data)
            return None
        if kind == _PONG:
            return None
        if kind == _CLOSE:
            code = struct.unpack(">H", data[:2])[0] if len(data) >= 2 else 1005
            self._say_goodbye(_NORMAL)
            raise Broken(f"the server closed the connection ({code})")
        if (kind == _MORE) == (self._kind is None) or kind not in (_MORE, _TEXT, _BINARY):
            self._fail(_PROTOCOL_ERROR, "the server sent a frame that belongs to nothing")
        self._kind = self._kind if kind == _MORE else kind
        self._parts += data
        if len(self._parts) > self._longest:
            if self._kind == _TEXT:
                self._fail(_TOO_BIG, f"a message is longer than {self._longest} bytes")
            self._is_skipping = True
        if self._is_skipping:
            self._parts.clear()
        if not is_last:
            return None
        whole, ended, self._parts, self._kind = bytes(self._parts), self._kind, bytearray(), None
        self._is_skipping = False
        if ended == _BINARY:
            return Message(None, whole)
        try:
            return Message(whole.decode("utf-8"), whole)
        except UnicodeDecodeError:
            self._fail(_NOT_UTF8, "a text is not UTF-8")

    def _frame(self, deadline: float) -> tuple[bool, int, bytes] | None:
        """Reads a frame: whether it ends a message, its kind, its bytes. None if none begins before the deadline."""
        while not self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._socket.settimeout(left)
            try:
                self._fill()
            except TimeoutError:
                return None
            finally:
                self._socket.settimeout(self._timeout)
        first, second = self._exactly(2)
        is_last, kind, length = bool(first & 0x80), first & 0x0F, second & 0x7F
        if first & 0x70 or second & 0x80:
            self._fail(_PROTOCOL_ERROR, "the server sent a frame that no server sends")
        if kind >= _CLOSE and (not is_last or length > 125):
            self._fail(_PROTOCOL_ERROR, "the server sent a control frame that is too long, or in parts")
        if length == 126:
            (length,) = struct.unpack(">H", self._exactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._exactly(8))
        is_binary = kind == _BINARY or (kind == _MORE and self._kind == _BINARY)
        if length > self._longest:
            if not is_binary:
                self._fail(_TOO_BIG, f"a message is longer than {self._longest} bytes")
            self._pass_over(length)
            self._is_skipping = True
            return is_last, kind, b""
        return is_last, kind, self._exactly(length)

    def _pass_over(self, length: int) -> None:
        while length:
            if not self._buffer:
                self._fill()
            part = min(length, len(self._buffer))
            del self._buffer[:part]
            length -= part

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._fill()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _fill(self) -> None:
        block = self._socket.recv(65536)
        if not block:
            raise Broken("the server ended the connection")
        self._buffer += block

    def ping(self) -> None:
        """Asks for a sign of life; a connection that is dead fails here or at the next reading. Raises OSError."""
        self._send(_PING, b"")

    def _send(self, kind: int, data: bytes) -> None:
        """Sends a control frame. A client masks what it sends."""
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[number % 4] for number, byte in enumerate(data))
        self._socket.sendall(bytes((0x80 | kind, 0x80 | len(data))) + mask + masked)

    def _fail(self, code: int, reason: str) -> NoReturn:
        self._say_goodbye(code)
        raise Broken(reason)

    def _say_goodbye(self, code: int) -> None:
        try:
            self._send(_CLOSE, struct.pack(">H", code))
        except OSError:
            pass

    def close(self) -> None:
        """Ends the connection."""
        self._say_goodbye(_GOING_AWAY)
        self._socket.close()
