"""The locks of the Git LFS server that is a remote of this repository, as a lock server.

The client and what it needs are imported when there is such a remote.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from comfyvn_store.errors import ComfyvnError
from comfyvn_store.ops.lockserver import LockServer, NoLocks, ServerLock
from comfyvn_store.remotes import address, opening
from comfyvn_store.vcs.repository import Repository

if TYPE_CHECKING:
    from comfyvn_store.remotes.lfs.locking import Lock, Locking


@contextlib.contextmanager
def of(repository: Repository) -> Iterator[LockServer | None]:
    """Gives the lock server of the first remote that is a Git LFS server, None where there is none."""
    for setting in repository.settings.remotes:
        if not setting.url.startswith(f"{address.LFS}:"):
            continue
        from comfyvn_store.remotes.lfs.remote import GitLfs

        try:
            remote = opening.open_remote(repository, setting)
        except ComfyvnError:  # `remote test` says what is wrong with it
            continue
        if isinstance(remote, GitLfs):
            with contextlib.closing(remote):
                yield GitLfsLocks(remote.locking())
                return
    yield None


class GitLfsLocks:
    """Locks as the File Locking API of Git LFS has them."""

    def __init__(self, locking: Locking) -> None:
        self._locking = locking

    def create(self, path: str, branch: str | None) -> ServerLock:
        """Makes a lock on a branch. The API has none for all branches; one without a branch comes nearest."""
        with _explained():
            return _told(self._locking.create(path, f"refs/heads/{branch}" if branch else None))

    def list(self) -> Iterable[ServerLock]:
        """Gives all locks."""
        with _explained():
            return [_told(each) for each in self._locking.list()]

    def unlock(self, id_: str, *, force: bool) -> None:
        """Takes a lock away."""
        with _explained():
            self._locking.unlock(id_, force=force)


def _told(lock: Lock) -> ServerLock:
    return ServerLock(lock.id, lock.path, lock.owner, lock.locked_at)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    from comfyvn_store.remotes.lfs.locking import NoLocking

    try:
        yield
    except NoLocking as error:
        raise NoLocks(error.message) from error
