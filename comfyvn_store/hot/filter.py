"""The long-running filter process (gitattributes, "Long Running Filter Process", protocol version 2).

One process serves every file of one git command. `comfyvn` turns bytes into links and back, `comfyvn-sidecar` takes
`provenance.commit` out of sidecars and puts it in.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from comfyvn_store.asset import ingest, sidecar
from comfyvn_store.base import canonical, links, names, pktline, pointers
from comfyvn_store.base.pktline import FLUSH, LONGEST_PAYLOAD, PacketReader, packet, text_packets, write_all
from comfyvn_store.errors import ComfyvnError, ObjectCorrupt, ObjectMissing, from_os_error
from comfyvn_store.hot.ahead import Ahead
from comfyvn_store.hot.foreign import Foreign
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository, open_repository

if TYPE_CHECKING:
    from comfyvn_store.hot.commits import CommitNames

_READ = 1 << 18
# No text that is never taken for art is longer.
_LONGEST_TEXT = max(links.LONGEST_BENT, pointers.LONGEST)


class _Refusal(Exception):
    """This file cannot be taken; the message says why."""


def serve(driver: str, source: int = 0, target: int = 1) -> int:
    """Speaks with git on two file descriptors until git closes its end; gives 1 if git was stopped amid its work."""
    try:
        return _converse(driver, PacketReader(source), target)
    except (pktline.StreamEnded, BrokenPipeError):
        return 1


def _converse(driver: str, reader: PacketReader, target: int) -> int:
    if reader.lines() != ["git-filter-client", "version=2"]:
        raise pktline.PacketError("this is no git filter client of version 2")
    write_all(target, text_packets(["git-filter-server", "version=2"]))
    reader.drain()
    write_all(target, text_packets(["capability=clean", "capability=smudge"]))
    process = _Sidecars(target) if driver == "comfyvn-sidecar" else _Bytes(target)
    while True:
        try:
            words = dict(line.partition("=")[::2] for line in reader.lines())
        except EOFError:
            process.end()
            return 0
        process.answer(words, reader)
        process.rest(reader)


class _Process:
    """Answers one request after another."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._repository: Repository | None = None

    @property
    def repository(self) -> Repository:
        if self._repository is None:
            self._repository = open_repository()
        return self._repository

    def answer(self, words: dict[str, str], reader: PacketReader) -> None:
        """Answers a request; whatever goes wrong with one file is an error of that file."""
        blocks = reader.packets()
        path = words.get("pathname", "")
        try:
            command = words.get("command")
            if command == "clean":
                self._clean(path, blocks)
            elif command == "smudge":
                self._smudge(path, blocks, words)
            else:
                raise _Refusal(f"git asks for '{command}', which this filter does not know")
        except BrokenPipeError:
            raise
        except (_Refusal, ComfyvnError, OSError) as error:
            self._fail(path, error, blocks)
        except EOFError:
            raise pktline.StreamEnded("git ended before a file did") from None

    def rest(self, reader: PacketReader) -> None:
        """Does what can wait while git is at work with an answer."""

    def end(self) -> None:
        """Does what is left when git has done its work."""

    def _clean(self, path: str, blocks: Iterator[bytes]) -> None:
        raise AssertionError("a driver of its own")

    def _smudge(self, path: str, blocks: Iterator[bytes], words: dict[str, str]) -> None:
        raise AssertionError("a driver of its own")

    def _fail(self, path: str, error: Exception, blocks: Iterator[bytes]) -> None:
        for _ in blocks:
            pass
        say(path, error)
        write_all(self._target, text_packets(["status=error"]))

    def _give(self, data: bytes) -> None:
        parts = [text_packets(["status=success"])]
        parts += [packet(data[at : at + LONGEST_PAYLOAD]) for at in range(0, len(data), LONGEST_PAYLOAD)]
        write_all(self._target, b"".join([*parts, FLUSH, FLUSH]))

    def _stream(self, path: str, blocks: Iterator[bytes]) -> None:
        """Gives bytes as they come. An error on the way is told to git behind them, as the protocol allows."""
        write_all(self._target, text_packets(["status=success"]))
        last = FLUSH
        while True:
            try:
                block = next(blocks, b"")
            except OSError as error:
                say(path, error)
                last = text_packets(["status=error"])
                break
            if not block:
                break
            for at in range(0, len(block), LONGEST_PAYLOAD):
                write_all(self._target, packet(block[at : at + LONGEST_PAYLOAD]))
        write_all(self._target, FLUSH + last)


class _Bytes(_Process):
    """The driver of art."""

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
        self._ahead.write(self._repository)
        try:
            self._repository.store.sync_new()
        except OSError as error:  # git has its answers; the next commit tries again, and then it counts
            failure = from_os_error(error, "make objects durable")
            sys.stderr.write(f"comfyvn-store: {failure.message}; commit before you remove the files themselves\n")

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
            raise _Refusal(f"{reason}; rename it, or take it out of the assets with a line in .gitattributes")
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


class _Sidecars(_Process):
    """The driver of sidecars."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self._commits: CommitNames | None = None

    def end(self) -> None:
        # Not before: `git stash pop` of a stash of everything brings a `.comfyvn` of its own, and stops at another.
        if self._commits is not None:
            _put_store_link(self.repository)

    def _clean(self, path: str, blocks: Iterator[bytes]) -> None:
        data, is_whole = _small(blocks)
        self._give(sidecar.strip_commit(data) if is_whole else data)

    def _smudge(self, path: str, blocks: Iterator[bytes], words: dict[str, str]) -> None:
        data, is_whole = _small(blocks)
        self._give(sidecar.fill_commit_of(data, self._commit_of) if is_whole else data)

    def _commit_of(self, id_: str) -> str | None:
        if self._commits is None:
            from comfyvn_store.hot.commits import CommitNames  # SQLite is for checkouts; `git add` does without

            self._commits = CommitNames(self.repository)
        return self._commits.commit_of(id_)


def _put_store_link(repository: Repository) -> None:
    """Sees to it that views which git checks out lead somewhere where no hook runs: in a new work tree without hooks, after
    `git clean -fdx`. What stands in its way the next command tells."""
    with contextlib.suppress(ComfyvnError, OSError):
        if repository.is_initialised and repository.is_at_home:
            repository.ensure_store_link()


def say(path: str, error: Exception) -> None:
    """Tells people about one file; git itself only says that the filter failed."""
    if isinstance(error, OSError):
        error = from_os_error(error, f"store '{names.printable(path)}'")
        message = error.message
    else:
        message = f"'{names.printable(path)}': {error}"
    sys.stderr.write(f"error: {message}\n")
    hint = getattr(error, "hint", None)
    if hint:
        sys.stderr.write(f"hint: {hint}\n")
    sys.stderr.flush()


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


def _small(blocks: Iterator[bytes]) -> tuple[bytes, bool]:
    """Gives all bytes, and whether they are few enough to be a sidecar."""
    data = b"".join(blocks)
    return data, len(data) <= canonical.LONGEST_JSON


def run(driver: str) -> int:
    """Serves git on standard input and output; those are then closed to everything else."""
    source, target = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    pktline.widen(source)
    return serve(driver, source, target)
