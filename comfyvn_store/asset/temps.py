"""Temporary files that processes which ended badly, or a failing disk, left in the work tree, beside views and sidecars.

Their names are excluded, so git never shows them while we are installed. One may hold bytes that were about to be put back
where a person had edited them; so none is deleted unless the store has its bytes, and others go to quarantine.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from comfyvn_store.base import digest, files, names
from comfyvn_store.base.processes import is_alive
from comfyvn_store.store.objects import Store
from comfyvn_store.vcs.repository import Repository


def sweep(repository: Repository) -> int:
    """Clears away what is left of processes that do not run any more, and of this one, which is to be writing nothing else;
    gives how many files there were.

    What cannot be moved, because the store is on another file system, stays.
    """
    done = 0
    for place in _left(repository):
        with contextlib.suppress(OSError):
            _clear(repository.store, place)
            done += 1
    return done


def _left(repository: Repository) -> Iterator[str]:
    folders = [(repository.top, os.listdir(repository.top))]
    if not repository.is_beyond_link(f"{repository.root}/x"):
        found = os.walk(repository.absolute(repository.root))
        folders += [(folder, [*below, *inside]) for folder, below, inside in found]
    for folder, inside in folders:
        for name in inside:
            if name.startswith(names.TEMP_PREFIX) and not _is_at_work(name):
                yield os.path.join(folder, name)


def _is_at_work(name: str) -> bool:
    """Whether another process, which a temporary file is named after, still runs; one whose name says none does."""
    process = name.removeprefix(names.TEMP_PREFIX).partition("-")[0]
    if process == str(os.getpid()):
        return False
    try:
        return is_alive(int(process))
    except ValueError:
        return True


def _clear(store: Store, place: str) -> None:
    info = files.lstat(place)
    if info is None or not (stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode)):
        return
    if stat.S_ISREG(info.st_mode) and info.st_size:
        with open(place, "rb") as stream:
            hash_ = digest.sha256(stream)
        if not store.has_good(hash_, info.st_size):
            store.put_aside(place, hash_)
            return
    os.unlink(place)
