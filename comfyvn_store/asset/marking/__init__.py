"""Where each format keeps the marker: one module per format, imported only for a file of it.

A module has `look(stream) -> Found`, which raises `Unmarkable`, and `mark(stream, payload)`, for a file in which `look` found
no marker. Both say what to do as pieces: ranges of the file, and bytes between them. Whether undoing gives back the very
file is not believed but compared (`asset.ingest`), so a module may refuse to think of the last odd case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

from comfyvn_store.asset import marker
from comfyvn_store.base import png

# A range of the file that is read, or bytes that stand there instead.
Piece = tuple[int, int] | bytes

HEAD_SIZE = 12
_BLOCK = 1 << 20


class Unmarkable(Exception):
    """A file of a format that is marked, which is left as it is; the message says why."""


CUT = "it does not parse, or is cut off"
TRAILING = "data of an unknown kind follows its end"
SIGNED = "it carries C2PA, whose signature any change breaks"


class Found(NamedTuple):
    """What a whole file holds: the payloads of its markers (None: not one that can be read), its bytes without them, and its
    texts (keyword → text), read when asked for."""

    payloads: list[bytes | None]
    without: Callable[[], Iterable[Piece]]
    texts: Callable[[], Mapping[str, str]]

    @property
    def said(self) -> dict[str, Any] | None:
        """The payload of the only marker, if it is one that this version understands."""
        return marker.read(self.payloads[0]) if len(self.payloads) == 1 else None


class Format(Protocol):
    """What a format's module does."""

    def look(self, stream: BinaryIO) -> Found:
        """Looks at a whole seekable file. Raises Unmarkable."""

    def mark(self, stream: BinaryIO, payload: bytes) -> Iterable[Piece] | None:
        """Gives the pieces of the file with a marker; None where there is no room for one."""


def name_of(head: bytes) -> str | None:
    """Gives the name of the module for a file with these first `HEAD_SIZE` bytes; None if its format is not marked."""
    if head.startswith(png.SIGNATURE):
        return "pngs"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpegs"
    if head[:4] in (b"RIFF", b"RF64", b"BW64"):
        return {b"WEBP": "webps", b"WAVE": "wavs"}.get(head[8:12])
    if head.startswith(b"OggS"):
        return "oggs"
    if head.startswith(b"fLaC"):
        return "flacs"
    if head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 in (0xE2, 0xE4)):
        return "mp3s"
    return None


def module(name: str) -> Format:
    """Gives a format's module."""
    return cast(Format, import_module(f"{__name__}.{name}"))


def look(stream: BinaryIO) -> Found | None:
    """Looks at a whole seekable file; None if its format is not marked, or it is one that is left as it is."""
    stream.seek(0)
    name = name_of(stream.read(HEAD_SIZE))
    try:
        return module(name).look(stream) if name else None
    except OSError:
        raise
    except Exception:  # Unmarkable; whatever else a file brings about leaves it alone, too
        return None


def valid(stream: BinaryIO, found: Found | None = None) -> dict[str, Any] | None:
    """Gives the payload of a file's marker if the bytes without it have the hash it claims. Raises only what the stream does
    (OSError)."""
    found = found or look(stream)
    try:
        said = found.said if found else None
        if found is None or said is None:
            return None
        return said if digest(stream, found.without()).hexdigest() == said["source_hash"] else None
    except OSError:
        raise
    except Exception:
        return None


def digest(stream: BinaryIO, pieces: Iterable[Piece]) -> hashlib._Hash:
    """Gives the digest of what pieces put together."""
    found = hashlib.sha256()
    for block in blocks(stream, pieces):
        found.update(block)
    return found


def blocks(stream: BinaryIO, pieces: Iterable[Piece]) -> Iterator[bytes]:
    """Gives what pieces put together, in blocks. Raises OSError if the file ended since it was looked at."""
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        at, end = piece
        while at < end:
            stream.seek(at)  # whoever takes the blocks may read elsewhere meanwhile
            block = stream.read(min(_BLOCK, end - at))
            if not block:
                raise OSError("a file ended while it was read")
            yield block
            at += len(block)
