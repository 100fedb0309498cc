"""The filter driver `comfyvn`: turns the bytes of art into links, and links into bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cached_property

from comfyvn_store.asset import ingest
from comfyvn_store.base import links, names, pointers
from comfyvn_store.base.pktline import PacketReader
from comfyvn_store.errors import ObjectCorrupt, ObjectMissing, from_os_error
from comfyvn_store.hot.ahead import Ahead
from comfyvn_store.hot.driver import Driver, Refusal, say
from comfyvn_store.hot.foreign import Foreign
from comfyvn_store.vcs import blobs, staging

_READ = 1 << 18
# No text that is never taken for art is longer.
_LONGEST_TEXT = max(links.LONGEST_BENT, pointers.LONGEST)


class Art(Driver):
    """Answers for art."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self._ahead = Ahead()
        self._is_ready = False

    def rest(self, reader: PacketReader) -> None:
        if self._repository is not None:
            while self._ahead.is_waiting and not reader.is_ready():
                self._ahead.work(self._repository)

    @cached_property
    def _others(self) -> Foreign:
        return Foreign(self.repository)

    def end(self) -> None:
        # git may take the user's own file away next (`git stash`, `git reset --hard`). Once for all: one by one it would
        # cost `git add` several times as much.
        if self._repository is None:
            return
        try:
            self._repository.store.sync_new()
        except OSError as error:  # git has its answers; the next commit tries again, and then it counts
            failure = from_os_error(error, "make objects durable")
            sys.stderr.write(f"comfyvn-store: {failure.message}; commit before you remove the files themselves\n")
        self._ahead.write(self._repository)

    def _clean(self, path: str, blocks: Iterator[bytes]) -> None:
        first, rest = _head(blocks, _LONGEST_TEXT + 1)
        if not first or links.parse_written(first) is not None:
            # Without the line end that an editor or a checkout may have put there.
            self._give(first.strip(b"\r\n") if links.parse_written(first) else first)
            return
        if links.is_conflict(first) or pointers.parse(first) is not None:
            self._give(first)
            return
        repository = self.repository
        inside = repository.inside(path)
        reason = names.refusal(path)
        if inside is not None and reason is not None and not _is_private(inside):
            raise Refusal(f"{reason}; rename it, or take it out of the assets with a line in .gitattributes")
        if inside is None or not names.is_asset_name(inside):
            self._pass(path, first, rest)
            return
        if not self._is_ready:
            repository.require_initialised()
            self._is_ready = True
        if links.is_bent(first):
            raise ingest.bent(path)

        def is_staged(hash_: str) -> bool:
            if self._others.text_of(path, hash_) is not None:
                return True
            return repository.store.has(hash_) and self._staged_hash(path) == hash_

        blocks = _chain(first, rest)
        # A picture that was registered as it is, without marker, or that another program keeps, stays that when nobody
        # changed it.
        taken = ingest.ingest(repository.store, blocks, mark=repository.settings.marker, is_meant=is_staged)
        if taken.seen is not None:
            self._ahead.put(taken.hash, taken.seen)
        self._give(self._others.text_of(path, taken.hash) or links.link_text(path, taken.hash).encode("ascii"))

    def _staged_hash(self, path: str) -> str | None:
        """Gives the object that git's index has at a path, asked for only where bytes without marker are an object."""
        git = self.repository.git
        oids = [entry.oid for entry in staging.entries(git, [path]) if entry.path == path and entry.stage in (0, 2)]
        return next(iter(blobs.read_links(git, oids).values()), None)

    def _smudge(self, path: str, blocks: Iterator[bytes], words: dict[str, str]) -> None:
        first, rest = _head(blocks, _LONGEST_TEXT + 1)
        hash_ = links.parse_link_bytes(first) or self._others.hash_in(first)
        store = self.repository.store
        if hash_ is None or not self._can_give(path, hash_):
            self._pass(path, first, rest)  # not ours, or the bytes are not here: the link text stands in for them
            return
        with store.open(hash_) as stream:
            self._stream(path, ingest.file_blocks(stream))

    def _can_give(self, path: str, hash_: str) -> bool:
        """Whether the store has the object's bytes as they should be."""
        store = self.repository.store
        try:
            store.vouch(hash_)
        except ObjectCorrupt as error:
            say(path, error)
            return False
        except ObjectMissing:
            return False
        return True

    def _pass(self, path: str, first: bytes, rest: Iterator[bytes]) -> None:
        """Gives the bytes back as they are.

        git sends all before it reads anything, so they are spooled: in memory while small, in a file when large.
        """
        import tempfile

        with tempfile.SpooledTemporaryFile(max_size=1 << 22) as spool:
            for block in _chain(first, rest):
                spool.write(block)
            spool.seek(0)
            self._stream(path, iter(lambda: spool.read(_READ), b""))


def _is_private(inside: str) -> bool:
    """Whether a path is one that is no asset however long its name: a dot-file, or below `_meta/`."""
    parts = inside.split("/")
    return parts[0] == names.META_FOLDER or any(part.startswith(".") for part in parts)


def _head(blocks: Iterator[bytes], count: int) -> tuple[bytes, Iterator[bytes]]:
    """Gives the first `count` bytes or more (all, if there are fewer) and the blocks that follow."""
    parts: list[bytes] = []
    have = 0
    for block in blocks:
        parts.append(block)
        have += len(block)
        if have >= count:
            break
    return b"".join(parts), blocks


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
