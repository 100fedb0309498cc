"""The anchor: a ref in the git repository that belongs to the server, with a Git LFS pointer for each object we sent.

Forges collect objects that no pointer in the repository names, and our commits name them by links. The ref's tree holds a
pointer blob (Git LFS, docs/spec.md) at `ab/<62 hex>` for each object, so the same tree, checked out with Git LFS alone,
gives every object back. It is also the list of what the remote holds, which the protocol cannot tell.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Mapping, Set

from comfyvn_store.errors import RemoteUnreachable
from comfyvn_store.remotes.lfs.endpoint import Endpoint
from comfyvn_store.vcs import blobs
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.shelf import PREFIX, Shelf

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (0|[1-9][0-9]{0,18})\n"
)
# Bytes of a pointer, at most (Git LFS looks no further either).
_LONGEST = 1024
_TRIES = 10


def pointer(hash_: str, size: int) -> bytes:
    """Gives the one encoding of a pointer."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{hash_}\nsize {size}\n".encode("ascii")


def parse_pointer(data: bytes) -> tuple[str, int] | None:
    """Gives hash and size of a pointer in its one encoding, None for anything else."""
    match = _POINTER.fullmatch(data)
    return (match[1].decode("ascii"), int(match[2])) if match else None


class Anchor:
    """The anchor of one remote. Threads take turns.

    It lies in the git remote that goes with the endpoint, as `refs/comfyvn/lfs`. Objects on a server that belongs to none
    of this repository's git remotes have a ref of their own, which is sent to the home remote if that takes it and is else
    kept here: a forge may refuse pointers to objects that it does not have.
    """

    def __init__(self, name: str, git: Git, object_format: str, endpoint: Endpoint) -> None:
        self._name = name
        self._git = git
        self._home = endpoint.git_remote
        self._is_own = endpoint.is_of_git_remote
        digest = hashlib.sha256(endpoint.url.encode()).hexdigest()[:12]
        self._shelf = Shelf(git, object_format, "lfs" if self._is_own else f"lfs-{digest}")
        self._format = object_format
        self._lock = threading.Lock()
        self._known: dict[str, int] | None = None

    def refresh(self) -> dict[str, int]:
        """Asks the git remote; gives hash and size of each object in its ref. Raises RemoteUnreachable."""
        with self._lock:
            return dict(self._refresh())

    def size(self, hash_: str) -> int | None:
        """Gives the size of an object as the anchor says it, None where it does not; asks the git remote only once."""
        with self._lock:
            if self._known is None:
                try:
                    self._refresh()
                except RemoteUnreachable:
                    self._known = self._read(self._shelf.tip(self._seen))
            assert self._known is not None
            return self._known.get(hash_)

    def publish(self, added: Mapping[str, int], removed: Set[str], held: Mapping[str, int] | None = None) -> None:
        """Puts pointers into the ref, takes others out, and sends it; again when somebody else was faster.

        Those of `held` go in where there are none yet. What could not be sent is kept here, and the next call sends it.
        Raises RemoteUnreachable.
        """
        with self._lock:
            kept = self._shelf.tip(self._unsent)
            sizes = {**(held or {}), **self._read(kept)}
            if_absent = {_path(hash_): pointer(hash_, size) for hash_, size in sizes.items() if hash_ not in removed}
            files: dict[str, bytes | None] = {_path(hash_): pointer(hash_, size) for hash_, size in added.items()}
            files.update((_path(hash_), None) for hash_ in removed)
            if not files and not if_absent:
                return
            try:
                self._send(files, if_absent)
            except RemoteUnreachable as error:
                self._keep(kept, {**if_absent, **files})
                if self._is_own:
                    raise self._explained(error) from error
                return
            if kept is not None:
                self._git.succeeds("update-ref", "-d", self._unsent, kept)
            if self._known is not None:
                known = {**sizes, **self._known, **added}
                self._known = {hash_: size for hash_, size in known.items() if hash_ not in removed}

    @property
    def _seen(self) -> str:
        """The ref with what the git remote had when last asked; ours, where there is no git remote."""
        return self._shelf.ref if self._home is None else self._shelf.ref_of(self._home)

    @property
    def _unsent(self) -> str:
        """The ref with pointers that could not be sent."""
        return f"{PREFIX}unsent/{self._home or '-'}/{self._shelf.name}"

    def _refresh(self) -> dict[str, int]:
        tip = self._shelf.tip(self._seen)
        if self._home is not None:
            with contextlib.suppress(*(() if self._is_own else (RemoteUnreachable,))):
                tip = self._shelf.fetch(self._home)
        self._known = self._read(tip)
        if not self._is_own:
            self._known.update(self._read(self._shelf.tip(self._unsent)))
        return self._known

    def _read(self, commit: str | None) -> dict[str, int]:
        found = {}
        for path, data in self._shelf.read(commit, _LONGEST).items():
            parsed = parse_pointer(data)
            if parsed is not None and _path(parsed[0]) == path:
                found[parsed[0]] = parsed[1]
        return found

    def _send(self, files: Mapping[str, bytes | None], if_absent: Mapping[str, bytes]) -> None:
        for _ in range(_TRIES):
            tip = self._shelf.fetch(self._home) if self._home is not None else self._shelf.tip(self._seen)
            there = self._shelf.entries(tip)
            due: dict[str, bytes | None] = {path: data for path, data in if_absent.items() if path not in there}
            due |= {
                path: data
                for path, data in files.items()
                if there.get(path) != (None if data is None else blobs.blob_id(data, self._format))
            }
            if not due:
                return
            commit = self._shelf.record(tip, due, f"Objects of art: pointers to {len(due)}")
            if self._home is None:
                if self._shelf.move(commit, tip, self._seen):
                    return
            elif self._shelf.push(self._home, commit):
                return
        raise RemoteUnreachable(
            f"git remote '{self._home}': others change {self._shelf.ref} all the time",
            hint="run the command again",
            is_passing=True,
        )

    def _keep(self, kept: str | None, files: Mapping[str, bytes | None]) -> None:
        added = {path: data for path, data in files.items() if data is not None}
        if added:
            self._shelf.move(self._shelf.record(kept, added, "Objects of art: not sent yet"), kept, self._unsent)

    def _explained(self, error: RemoteUnreachable) -> RemoteUnreachable:
        return type(error)(
            f"remote '{self._name}' has the objects, but not {self._shelf.ref}, which keeps them there: {error.message}",
            hint=error.hint or f"may you push to git remote '{self._home}'? Then run the command again",
            is_passing=error.is_passing,
            retry_after=error.retry_after,
        )


def _path(hash_: str) -> str:
    return f"{hash_[:2]}/{hash_[2:]}"
