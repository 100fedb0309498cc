"""Where else the bytes of an object may be, and bringing them back: each copy is hashed before it is believed.

Looks, from near to far: beside the object (programs leave backups there), in trash, quarantine and unfinished files, among
the ordinary files of all work trees, in the stores of alternates and of git remotes that are folders, and in git's object
database. Nothing is ever moved or changed where it is found.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from comfyvn_store.asset import ingest
from comfyvn_store.base import files, links, names
from comfyvn_store.errors import GitFailed
from comfyvn_store.store.objects import BLOCK
from comfyvn_store.vcs import blobs, neighbours
from comfyvn_store.vcs.home import store_root
from comfyvn_store.vcs.repository import Repository

# A file without its marker is smaller than its object by one PNG chunk, of some 250 bytes unless `register` stated more.
_LONGEST_MARKER = 4096
# Blobs up to here are read many at a time, larger ones each by a git of its own.
_SMALL = 1 << 14


class Wanted(NamedTuple):
    """The bytes that are looked for. `size` and `source_hash` (without the marker) are None where nobody knows them;
    `stated` is what the marker may say beyond what the bytes do."""

    hash: str
    size: int | None = None
    source_hash: str | None = None
    stated: ingest.Stated = ingest.NOTHING_STATED

    def may_be(self, size: int) -> bool:
        """Tells whether a file of so many bytes can be a copy, with the marker or without it."""
        return size > 0 and (self.size is None or 0 <= self.size - size <= _LONGEST_MARKER)


class Candidate(NamedTuple):
    """A place that may hold the bytes: what to call it, and how to read it."""

    place: str
    blocks: Callable[[], Iterable[bytes]]


def bring_back(repository: Repository, wanted: Wanted) -> str | None:
    """Puts the object in its place from the first good copy, durably; gives where that copy was, or None.

    A damaged object that stands in its place is moved to quarantine. Raises OSError if the copy cannot be written.
    """
    for candidate in candidates(repository, wanted):
        if _take(repository, wanted, candidate):
            repository.store.sync([wanted.hash])
            return candidate.place
    return None


def candidates(repository: Repository, wanted: Wanted) -> Iterator[Candidate]:
    """Gives the places that may hold the bytes, those that are read fastest first."""
    yield from _in_store(repository, wanted)
    yield from _in_other_stores(repository, wanted)
    yield from _in_work_trees(repository, wanted)
    yield from _in_git(repository, wanted)


def is_beginning(repository: Repository, wanted: Wanted, length: int, digest: str) -> bool:
    """Tells whether a whole copy begins with `length` bytes of that hash. Nothing is moved."""
    return any(_begins(candidate, wanted, length, digest) for candidate in candidates(repository, wanted))


def _begins(candidate: Candidate, wanted: Wanted, length: int, digest: str) -> bool:
    whole, beginning = hashlib.sha256(), hashlib.sha256()
    due = length
    try:
        for block in candidate.blocks():
            whole.update(block)
            beginning.update(block[:due])
            due -= min(due, len(block))
    except (_Unreadable, GitFailed):
        return False
    return whole.hexdigest() == wanted.hash and beginning.hexdigest() == digest


def _take(repository: Repository, wanted: Wanted, candidate: Candidate) -> bool:
    """Copies a candidate into the store if it gives the object, as it is or once it is marked."""
    store = repository.store
    try:
        digest = _digest(candidate.blocks())
        ways = [(False, ingest.NOTHING_STATED)] if digest == wanted.hash else []
        if not ways and wanted.source_hash in (None, digest):
            ways = [(True, ingest.NOTHING_STATED), (True, wanted.stated)]
        for mark, stated in ways:
            if not mark or ingest.hash_as_ingested(store, candidate.blocks(), mark=True, stated=stated) == wanted.hash:
                return ingest.ingest(store, candidate.blocks(), mark=mark, stated=stated).hash == wanted.hash
    except (_Unreadable, GitFailed):
        return False
    return False


def _digest(blocks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


class _Unreadable(Exception):
    """The candidate is gone, or may not be read; the next one may do."""


def _file(place: str, shown: str | None = None) -> Candidate:
    def blocks() -> Iterator[bytes]:
        try:
            stream = open(place, "rb")  # noqa: SIM115 - closed below
        except OSError as error:
            raise _Unreadable from error
        with stream:
            while True:
                try:
                    block = stream.read(BLOCK)
                except OSError as error:
                    raise _Unreadable from error
                if not block:
                    return
                yield block

    return Candidate(shown or place, blocks)


def _files(wanted: Wanted, folder: str, *, skip: frozenset[str] = frozenset()) -> Iterator[Candidate]:
    """Gives the ordinary files below a folder whose size fits."""
    for here, folders, found in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in skip)
        for name in sorted(found):
            info = files.lstat(os.path.join(here, name))
            if info is not None and stat.S_ISREG(info.st_mode) and wanted.may_be(info.st_size):
                yield _file(os.path.join(here, name))


# -- places ------------------------------------------------------------------------------------------------------------


def _in_store(repository: Repository, wanted: Wanted) -> Iterator[Candidate]:
    """Our own store: what programs that follow links left beside the object, and what was put aside.

    Where the store is elsewhere the repository's own folder may hold such things from before."""
    place = repository.store.path(wanted.hash)
    roots = dict.fromkeys((repository.store.root, repository.home.path))
    for root in roots:
        folder, name = os.path.split(os.path.join(root, links.object_name(wanted.hash)))
        # A backup keeps the object's name and adds to it: `NAME~`, `.NAME.swp`, `#NAME#`, `NAME.bak`.
        yield from (
            _file(os.path.join(folder, other))
            for other in _listed(folder)
            if name in other and os.path.join(folder, other) != place
        )
    for root in roots:
        for part in ("trash", "bad", "tmp"):
            yield from _files(wanted, os.path.join(root, part))


def _in_other_stores(repository: Repository, wanted: Wanted) -> Iterator[Candidate]:
    own = os.path.realpath(repository.store.root)
    borrowed = neighbours.alternates(os.path.join(repository.common_dir, "objects"))
    remotes = (found.common_dir for found in neighbours.remotes(repository.git))
    found = [*borrowed, *remotes]
    for store in dict.fromkeys(
        root for common in found for root in (store_root(common), os.path.join(common, "comfyvn"))
    ):
        place = os.path.join(store, *links.object_name(wanted.hash).split("/"))
        if os.path.realpath(store) != own and os.path.isfile(place):
            yield _file(place)


def _in_work_trees(repository: Repository, wanted: Wanted) -> Iterator[Candidate]:
    skip = frozenset((names.META_FOLDER, ".git"))
    for top in work_trees(repository):
        yield from _files(wanted, os.path.join(top, repository.root), skip=skip)


def _in_git(repository: Repository, wanted: Wanted) -> Iterator[Candidate]:
    """Art that came into git as it was: before `init`, or from somebody without the tool."""
    listing = repository.git.outcome(
        "cat-file", "--batch-all-objects", "--unordered", "--batch-check", "--buffer", check=False
    ).stdout
    small = []
    for line in listing.decode("ascii", "replace").splitlines():
        words = line.split(" ")
        if len(words) != 3 or words[1] != "blob" or not wanted.may_be(int(words[2])):
            continue
        if int(words[2]) <= _SMALL:
            small.append(words[0])
        else:
            yield _blob(words[0], functools.partial(blobs.stream_blob, repository.git, words[0]))
    for oid, data in blobs.read_blobs(repository.git, small):
        if data is not None:
            yield _blob(oid, functools.partial(iter, (data,)))


def _blob(oid: str, blocks: Callable[[], Iterable[bytes]]) -> Candidate:
    return Candidate(f"git's blob {oid[:10]}", blocks)


def work_trees(repository: Repository) -> list[str]:
    """Gives the tops of all work trees of the repository, this one first."""
    listing = repository.git.outcome("worktree", "list", "--porcelain", "-z", check=False).stdout
    found = [os.fsdecode(item[9:]) for item in listing.split(b"\0") if item.startswith(b"worktree ")]
    return list(dict.fromkeys([repository.top, *found]))


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
