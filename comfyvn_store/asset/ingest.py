"""Bytes on their way into the store: hashed, written and, in formats that carry a marker, marked.

What comes in is read once; of a PNG only the last block is looked at again, to put the marker before IEND. The other formats
are looked at when all is there, and written anew with the marker, which stands near their beginning. Memory stays flat
whatever the size.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, NamedTuple

from comfyvn_store.asset import marker, marking, readers
from comfyvn_store.asset.marking import Format, Found
from comfyvn_store.asset.readers.collecting import of_png
from comfyvn_store.asset.readers.entries import Entries
from comfyvn_store.base import hashing, media, names, png
from comfyvn_store.base.hashing import Sha256
from comfyvn_store.errors import Refused
from comfyvn_store.store.incoming import Incoming
from comfyvn_store.store.objects import BLOCK, Store

# Bytes that are worth a call each, and from one point to the next of those that are hashed from again; where a thread hashes,
# which has to be waited for at each, these are fewer.
_WORTH = 1 << 19
_HEADS = 4 << 20


class Stated(NamedTuple):
    """What the caller of `register` said of a file; it stands in the marker."""

    source: str | None = None
    workflow_hash: str | None = None


NOTHING_STATED = Stated()


class Seen(NamedTuple):
    """What was seen of a file while it was taken in: its metadata, and what its new marker says."""

    entries: Entries
    said: Mapping[str, str | None]


class Ingested(NamedTuple):
    """An object that is in the store now. `source_hash` is the hash of the bytes without the marker; `seen`, of some that are
    new, spares whoever wants its facts a second look."""

    hash: str
    source_hash: str
    seen: Seen | None = None


# Whether the bytes with this hash are to stay as they are, because they are an object that is meant.
IsMeant = Callable[[str], bool]


def ingest(
    store: Store,
    blocks: Iterable[bytes],
    *,
    mark: bool,
    stated: Stated = NOTHING_STATED,
    is_meant: IsMeant | None = None,
) -> Ingested:
    """Takes bytes into the store as an object, with a marker if `mark` and the format carries one. Raises OSError; nothing
    is left behind then."""
    with store.temp() as incoming, contextlib.closing(_Intake(incoming, mark, is_meant)) as stream:
        for block in _gathered(blocks):
            stream.take(block)
        return stream.finish(stated, store)


def hash_as_ingested(
    store: Store,
    blocks: Iterable[bytes],
    *,
    mark: bool,
    stated: Stated = NOTHING_STATED,
    is_meant: IsMeant | None = None,
) -> str:
    """Gives the hash that `ingest` would give, storing nothing that lasts."""
    with store.temp() as incoming, contextlib.closing(_Intake(incoming, mark, is_meant)) as stream:
        for block in _gathered(blocks):
            stream.take(block)
        return stream.finish(stated, None).hash


def file_blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Gives a file's bytes in blocks."""
    while block := stream.read(BLOCK):
        yield block


def bent(path: str) -> Refused:
    """Gives the error for a file that holds what a merge or a checkout made of link texts (`links.is_bent`)."""
    shown = names.printable(path)
    return Refused(
        f"'{shown}' holds no art, but broken or conflicting text of links",
        hint=f"take a whole version, such as: git checkout HEAD -- '{shown}'",
    )


def _gathered(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Gives the same bytes in blocks that are worth a call each; git sends 64 KiB at once."""
    parts: list[bytes] = []
    size = 0
    for block in blocks:
        parts.append(block)
        size += len(block)
        if size >= _WORTH:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)


class _Intake:
    """One file coming in."""

    def __init__(self, incoming: Incoming, mark: bool, is_meant: IsMeant | None) -> None:
        self._incoming = incoming
        self._is_meant = is_meant
        self._digest = Sha256()
        self._scanner: png.PngScanner | None = png.PngScanner(extras=True) if mark else None
        # What the file begins with, until its format is known.
        self._start: bytes | None = b"" if mark else None
        self._format: str | None = None
        self._size = 0
        self._first: bytes | None = None
        # The digest as it was at two points, not far before the first marker or IEND, and where those were.
        self._heads = [(hashlib.sha256(), 0)]

    def close(self) -> None:
        """Ends what hashes beside."""
        self._digest.close()

    def take(self, block: bytes) -> None:
        """Takes the next bytes. The first ones are held: a small PNG is hashed and written once, with its marker."""
        if self._first is None and not self._size:
            self._first = block
            return
        self._take_first()
        self._take(block)

    def _take_first(self) -> None:
        if self._first is not None:
            first, self._first = self._first, None
            self._take(first)

    def _take(self, block: bytes) -> None:
        scanner = self._scanner
        if scanner is not None:
            is_open = scanner.iend is None and not scanner.markers
            apart = _WORTH if self._size <= hashing.LARGE else _HEADS
            if is_open and self._size - self._heads[-1][1] >= apart:
                self._heads = [*self._heads[-1:], (self._digest.copy(), self._size)]
            if not _is_followed(scanner, block):
                self._scanner = None
        if self._start is not None:
            self._start += block[: marking.HEAD_SIZE]
            if len(self._start) >= marking.HEAD_SIZE:
                self._format, self._start = marking.name_of(self._start), None
        self._digest.update(block)
        self._incoming.write(block)
        self._size += len(block)

    def finish(self, stated: Stated, store: Store | None) -> Ingested:
        """Completes the object; with `store` None only its hash is found."""
        if self._first is not None and (done := self._finish_small(self._first, stated, store)):
            return done
        self._take_first()
        whole = self._digest.hexdigest()
        if self._format not in (None, "pngs"):
            made = _Marking(self._incoming, self._size, marking.module(self._format), whole, self._is_meant)
            return made.finish(stated, store)
        scanner = self._scanner
        if scanner is None or not scanner.is_whole or scanner.has_c2pa:
            return self._keep(store, whole, whole)
        source_hash = self._stripped_hash(scanner) if scanner.markers else whole
        if not all(
            map(marker.is_ours, scanner.marker_payloads)
        ):  # somebody's own words, of which nothing is thrown away
            return self._keep(store, whole, whole)
        said = marker.read(scanner.marker_payloads[0]) if scanner.markers else None
        if len(scanner.markers) == 1 and said is not None and said["source_hash"] == source_hash:
            return self._keep(store, whole, source_hash)
        if self._is_meant is not None and self._is_meant(whole):
            return self._keep(store, whole, source_hash)
        return self._mark(scanner, source_hash, stated, store)

    def _finish_small(self, data: bytes, stated: Stated, store: Store | None) -> Ingested | None:
        """Completes a PNG without a marker that came in one block; None where anything is otherwise."""
        if self._scanner is None or not data.startswith(png.SIGNATURE):
            return None
        scanner = png.PngScanner(extras=True)
        if not _is_followed(scanner, data) or not scanner.is_whole or scanner.has_c2pa or scanner.markers:
            return None
        assert scanner.iend is not None
        head = hashlib.sha256(data[: scanner.iend])
        digest = head.copy()
        digest.update(data[scanner.iend :])
        source_hash = digest.hexdigest()
        if self._is_meant is not None and self._is_meant(source_hash):
            return None
        seen, chunk = _marked(scanner, source_hash, stated)
        put = chunk + data[scanner.iend :]
        head.update(put)
        self._incoming.write(data[: scanner.iend] + put)
        return self._keep(store, head.hexdigest(), source_hash, seen)

    def _keep(self, store: Store | None, hash_: str, source_hash: str, seen: Seen | None = None) -> Ingested:
        is_new = store is not None and self._incoming.keep(hash_)
        return Ingested(hash_, source_hash, seen if is_new else None)

    def _mark(self, scanner: png.PngScanner, source_hash: str, stated: Stated, store: Store | None) -> Ingested:
        seen, chunk = _marked(scanner, source_hash, stated)
        assert scanner.iend is not None
        if not scanner.markers and self._size - scanner.iend <= BLOCK:
            return self._keep(store, self._insert(scanner.iend, chunk), source_hash, seen)
        return self._rewrite(scanner, chunk, source_hash, store)

    def _insert(self, at: int, chunk: bytes) -> str:
        """Puts the chunk in place, moving the few bytes behind it, and gives the new hash."""
        digest, start = self._digest_before(at)
        stream = self._incoming.stream
        _copy(stream, start, at, None, digest)
        stream.seek(at)
        put = chunk + _read(stream, self._size - at)
        stream.seek(at)
        self._incoming.write(put)
        digest.update(put)
        return digest.hexdigest()

    def _rewrite(self, scanner: png.PngScanner, chunk: bytes, source_hash: str, store: Store | None) -> Ingested:
        """Writes the file anew, without stale markers and with the chunk before IEND."""
        assert scanner.iend is not None
        with self._incoming.again() as target:
            digest = hashlib.sha256()
            for start, end in _gaps(scanner, scanner.iend):
                _copy(self._incoming.stream, start, end, target, digest)
            digest.update(chunk)
            target.write(chunk)
            _copy(self._incoming.stream, scanner.iend, self._size, target, digest)
            hash_ = digest.hexdigest()
            if store is not None:
                target.keep(hash_)
            return Ingested(hash_, source_hash)

    def _stripped_hash(self, scanner: png.PngScanner) -> str:
        """Gives the hash of the bytes without the marker chunks."""
        digest, start = self._digest_before(scanner.markers[0].offset)
        for begin, end in _gaps(scanner, self._size):
            if end > start:
                _copy(self._incoming.stream, max(begin, start), end, None, digest)
        return digest.hexdigest()

    def _digest_before(self, offset: int) -> tuple[hashlib._Hash, int]:
        """Gives a digest of the bytes up to some point not behind `offset`, and that point."""
        for digest, start in reversed(self._heads):
            if start <= offset:
                return digest.copy(), start
        return hashlib.sha256(), 0


def _marked(scanner: png.PngScanner, source_hash: str, stated: Stated) -> tuple[Seen, bytes]:
    """Gives what was seen of a PNG, and the chunk that is to mark it."""
    entries = of_png("image/png", scanner.texts, scanner.exif, scanner.c2pa)
    origin = readers.read_origin(entries)
    source = stated.source or (origin.source if origin else None)
    workflow = stated.workflow_hash or (origin.workflow_hash if origin else None)
    said = {"source": source, "source_hash": source_hash, "workflow_hash": workflow}
    return Seen(entries, said), marker.chunk(source, source_hash, workflow)


class _Marking:
    """A file that is not a PNG, all of which is there. A small one is marked in memory, a large one in another file."""

    def __init__(self, incoming: Incoming, size: int, format_: Format, whole: str, is_meant: IsMeant | None) -> None:
        self._incoming = incoming
        self._is_small = size <= BLOCK
        self._format = format_
        self._whole = whole
        self._source_hash = whole
        self._is_meant = is_meant
        self._is_kept = False

    def finish(self, stated: Stated, store: Store | None) -> Ingested:
        """Completes the object; with `store` None only its hash is found."""
        try:
            done = self._marked(stated, store)
        except OSError:
            raise
        except Exception:  # Unmarkable; whatever else a file brings about leaves it as it is, too
            if self._is_kept:
                raise
            done = None
        if done is not None:
            return done
        if store is not None:
            self._incoming.keep(self._whole)
        return Ingested(self._whole, self._source_hash)

    def _marked(self, stated: Stated, store: Store | None) -> Ingested | None:
        """Gives the object with another marker than it came with; None if it stays as it is. Raises Unmarkable."""
        stream: BinaryIO = self._incoming.stream
        if self._is_small:
            stream.seek(0)
            stream = io.BytesIO(_read(stream, BLOCK))
        found = self._format.look(stream)
        if found.payloads:
            self._source_hash = marking.digest(stream, found.without()).hexdigest()
        said = found.said
        if said is not None and said["source_hash"] == self._source_hash:
            return None
        if self._is_meant is not None and self._is_meant(self._whole):
            return None
        if not found.payloads:
            return self._mark(stream, found, stated, store)
        with self._scratch() as bare:
            for block in marking.blocks(stream, found.without()):
                bare.write(block)
            found = self._format.look(_stream_of(bare))
            return None if found.payloads else self._mark(_stream_of(bare), found, stated, store)

    def _mark(self, bare: BinaryIO, found: Found, stated: Stated, store: Store | None) -> Ingested | None:
        """Writes a file without marker anew, with one; None if there is no room for it, or it could not be undone."""
        generation = readers.read_stream(bare, media.describe(bare).mime)
        source = stated.source or (generation.source if generation else None)
        workflow = stated.workflow_hash or (generation.workflow_hash if generation else None)
        pieces = self._format.mark(bare, marker.text(source, self._source_hash, workflow))
        if pieces is None:
            return None
        with self._scratch() as target:
            digest = hashlib.sha256()
            for block in marking.blocks(bare, pieces):
                digest.update(block)
                target.write(block)
            if not self._gives_back(_stream_of(target), bare):
                return None
            if store is not None:
                self._is_kept = True
                self._keep(target, digest.hexdigest())
            return Ingested(digest.hexdigest(), self._source_hash)

    def _scratch(self) -> io.BytesIO | Incoming:
        """Gives a place for another form of the file."""
        return io.BytesIO() if self._is_small else self._incoming.again()

    def _keep(self, target: io.BytesIO | Incoming, hash_: str) -> None:
        if isinstance(target, io.BytesIO):
            stream = self._incoming.stream
            stream.seek(0)
            self._incoming.write(target.getbuffer())
            stream.truncate()
            self._incoming.keep(hash_)
        else:
            target.keep(hash_)

    def _gives_back(self, marked: BinaryIO, bare: BinaryIO) -> bool:
        """Tells whether the marked file, with its marker taken out again, is the very file."""
        found = self._format.look(marked)
        if found.said is None:
            return False
        bare.seek(0)
        same = all(_read(bare, len(block)) == block for block in marking.blocks(marked, found.without()))
        return same and not bare.read(1)


def _is_followed(scanner: png.PngScanner, block: bytes) -> bool:
    """Lets the scanner look at a block; False if it makes no sense of it, or has no memory for it."""
    try:
        scanner.feed(block)
    except Exception:
        return False
    return not scanner.broken


def _stream_of(scratch: io.BytesIO | Incoming) -> BinaryIO:
    return scratch if isinstance(scratch, io.BytesIO) else scratch.stream


def _gaps(scanner: png.PngScanner, end: int) -> Iterator[tuple[int, int]]:
    """Gives the ranges between the marker chunks up to `end`."""
    start = 0
    for chunk in scanner.markers:
        yield start, chunk.offset
        start = chunk.offset + chunk.length
    yield start, end


def _copy(source: BinaryIO, start: int, end: int, target: Incoming | None, digest: hashlib._Hash) -> None:
    source.seek(start)
    while start < end:
        block = source.read(min(BLOCK, end - start))
        if not block:
            raise OSError("the temporary file ended early")
        digest.update(block)
        if target is not None:
            target.write(block)
        start += len(block)


def _read(stream: BinaryIO, count: int) -> bytes:
    parts = []
    while count and (block := stream.read(count)):
        parts.append(block)
        count -= len(block)
    return b"".join(parts)
