"""git's pkt-line framing (gitprotocol-common): four hex digits of length, then the payload; `0000` is a flush.

Reads ahead in large blocks, because a filter's input arrives as thousands of 64 KiB packets.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterable, Iterator

FLUSH = b"0000"
LONGEST_PAYLOAD = 65516
_READ = 1 << 18


class PacketError(Exception):
    """The other side does not speak pkt-line, or ended in the middle of a packet."""


class StreamEnded(PacketError):
    """The other side ended in the middle of a packet or of a list of packets: it was stopped."""


class PacketReader:
    """Reads packets from a file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = b""
        self._at = 0

    def packet(self) -> bytes | None:
        """Gives the next payload, or None for a flush. Raises EOFError at the end, PacketError on rubbish."""
        head = self._take(4, may_end=True)
        try:
            length = int(head, 16)
        except ValueError:
            raise PacketError(f"no pkt-line: {head!r}") from None
        if length == 0:
            return None
        if length < 4:
            raise PacketError(f"packet length {length}")
        return self._take(length - 4)

    def packets(self) -> Iterator[bytes]:
        """Gives payloads up to the next flush. Raises EOFError at the end, StreamEnded behind the first payload."""
        is_begun = False
        while True:
            try:
                payload = self.packet()
            except EOFError:
                if is_begun:
                    raise StreamEnded("the stream ended inside a list of packets") from None
                raise
            if payload is None:
                return
            is_begun = True
            yield payload

    def is_ready(self) -> bool:
        """Tells whether the other side sent something that was not read yet, or ended."""
        return self._at < len(self._buffer) or bool(select.select([self._descriptor], [], [], 0)[0])

    def lines(self) -> list[str]:
        """Gives the text lines up to the next flush, without their newlines."""
        return [os.fsdecode(packet.removesuffix(b"\n")) for packet in self.packets()]

    def drain(self) -> None:
        """Reads and forgets up to the next flush."""
        for _ in self.packets():
            pass

    def _take(self, count: int, *, may_end: bool = False) -> bytes:
        end = self._at + count
        if end > len(self._buffer):
            self._fill(count, may_end)
            end = self._at + count
        data = self._buffer[self._at : end]
        self._at = end
        return data

    def _fill(self, count: int, may_end: bool) -> None:
        parts = [self._buffer[self._at :]]
        have = len(parts[0])
        while have < count:
            block = os.read(self._descriptor, _READ)
            if not block:
                if may_end and not have:
                    raise EOFError
                raise StreamEnded("the stream ended inside a packet")
            parts.append(block)
            have += len(block)
        self._buffer = b"".join(parts)
        self._at = 0


def widen(descriptor: int) -> None:
    """Has a pipe hold a mebibyte where the system can (Linux): large files then come in with half of its work."""
    import fcntl

    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # it is no pipe, or the user has many
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, 1 << 20)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Writes every byte, however many writes that takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def packet(payload: bytes) -> bytes:
    """Gives one packet."""
    return b"%04x" % (len(payload) + 4) + payload


def text_packets(lines: Iterable[str]) -> bytes:
    """Gives text lines as packets, closed by a flush."""
    return b"".join(packet(line.encode() + b"\n") for line in lines) + FLUSH
