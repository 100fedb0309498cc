"""RIFF, as WebP and WAV use it, with the 64-bit sizes of RF64 and BW64 (EBU Tech 3306)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple

from comfyvn_store.base.containers.reading import Texts, read_at, size_of

HEAD = 12  # kind, size, form
UNKNOWN_SIZE = 0xFFFFFFFF
_MOST_CHUNKS = 1 << 16
_LONGEST_INFO = 1 << 20
_MOST_INFO = 1024


class Chunk(NamedTuple):
    """A chunk: its four letters, where its header stands, and how many bytes of data follow the 8 of the header."""

    kind: bytes
    offset: int
    size: int

    @property
    def data_at(self) -> int:
        """Where its data begins."""
        return self.offset + 8

    @property
    def end(self) -> int:
        """Where the next chunk begins: data of an odd length is followed by a byte of padding."""
        return self.offset + 8 + self.size + (self.size & 1)


class Riff(NamedTuple):
    """A file's first 12 bytes, and where its last chunk ends by them (None: the size was not known when it was written)."""

    kind: bytes  # RIFF, RF64 or BW64
    form: bytes  # WAVE or WEBP, among others
    end: int | None


def read(stream: BinaryIO) -> Riff | None:
    """Reads the head of a file; None if it is no RIFF."""
    head = read_at(stream, 0, HEAD)
    if len(head) < HEAD or head[:4] not in (b"RIFF", b"RF64", b"BW64"):
        return None
    size = int.from_bytes(head[4:8], "little")
    if head[:4] != b"RIFF" and size == UNKNOWN_SIZE:
        size = int.from_bytes(_ds64(stream)[:8], "little") or UNKNOWN_SIZE
    return Riff(head[:4], head[8:12], None if size in (0, UNKNOWN_SIZE) else 8 + size)


def _ds64(stream: BinaryIO) -> bytes:
    """Gives the data of `ds64`, which is the first chunk: sizes of the file and of `data`, samples, a table of others."""
    head = read_at(stream, HEAD, 8)
    size = int.from_bytes(head[4:], "little")
    return read_at(stream, HEAD + 8, min(size, 1 << 16)) if head[:4] == b"ds64" and size >= 24 else b""


def chunks(stream: BinaryIO) -> Iterator[Chunk]:
    """Gives the chunks of a file one by one, as far as whole headers follow each other.

    The data of the last one may reach beyond the file; whether a file is whole is for the caller to compare.
    """
    head = read_at(stream, 0, HEAD)
    long = _ds64(stream) if head[:4] in (b"RF64", b"BW64") else b""
    yield from _walk(stream, HEAD, size_of(stream), _long_sizes(long))


def inside(stream: BinaryIO, chunk: Chunk) -> Iterator[Chunk]:
    """Gives the chunks within a chunk whose data begins with four letters of its own (`LIST`)."""
    yield from _walk(stream, chunk.data_at + 4, min(chunk.data_at + chunk.size, size_of(stream)), {})


def info(stream: BinaryIO, chunk: Chunk) -> Texts:
    """Gives the texts of a `LIST` chunk of the kind `INFO` by their four letters (`INAM`, `IART`, `ICMT` …)."""
    texts = Texts()
    if chunk.kind == b"LIST" and read_at(stream, chunk.data_at, 4) == b"INFO":
        end = chunk.data_at + chunk.size
        for each in islice(inside(stream, chunk), _MOST_INFO):
            data = read_at(stream, each.data_at, min(each.size, _LONGEST_INFO, end - each.data_at))
            texts.note(each.kind.decode("latin-1"), _text(data))
    return texts


def _text(data: bytes) -> str:
    data = data.split(b"\0", 1)[0]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _long_sizes(ds64: bytes) -> dict[bytes, list[int]]:
    """Gives the true sizes of chunks whose own says `UNKNOWN_SIZE`, in their order."""
    sizes: dict[bytes, list[int]] = {}
    if ds64:
        sizes[b"data"] = [int.from_bytes(ds64[8:16], "little")]
        for at in range(28, len(ds64) - 11, 12):
            sizes.setdefault(ds64[at : at + 4], []).append(int.from_bytes(ds64[at + 4 : at + 12], "little"))
    return sizes


def _walk(stream: BinaryIO, at: int, end: int, long: dict[bytes, list[int]]) -> Iterator[Chunk]:
    for _ in range(_MOST_CHUNKS):
        head = read_at(stream, at, 8) if at + 8 <= end else b""
        if len(head) < 8:
            return
        kind, size = head[:4], int.from_bytes(head[4:], "little")
        if size == UNKNOWN_SIZE and long.get(kind):
            size = long[kind].pop(0)
        chunk = Chunk(kind, at, size)
        yield chunk
        at = chunk.end
