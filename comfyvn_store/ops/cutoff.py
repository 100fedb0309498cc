"""Objects that lost their end, told from those that a program wrote to: the first are damage, the second somebody's work.

An object is cut short if it is shorter than its sidecar says and its own structure says that it ends too early, or, where its
format says neither, if its time and mode say that nobody wrote to it. Of the others a good copy may still prove that what
is there is no more than its beginning; without one it cannot be told, and counts as an edit.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from comfyvn_store.errors import ObjectMissing
from comfyvn_store.store.objects import BLOCK, open_file
from comfyvn_store.vcs.repository import Repository

if TYPE_CHECKING:
    from comfyvn_store.ops.copies import Wanted


def is_cut_short(repository: Repository, hash_: str, size: int | None) -> bool:
    """Tells whether a damaged object that should have `size` bytes (None: unknown) lost its end. Raises OSError."""
    store = repository.store
    info = store.stat(hash_)
    if info is None or (info.st_size and (size is None or info.st_size >= size)):
        return False
    is_cut = ends_early(repository, hash_)
    return not store.is_touched(info) if is_cut is None else is_cut


def ends_early(repository: Repository, hash_: str) -> bool | None:
    """Tells whether the bytes under an object's name end before what they hold does; None where that cannot be told."""
    from comfyvn_store.base import ending

    try:
        with repository.store.open(hash_) as stream:
            return ending.is_cut(stream)
    except ObjectMissing:
        return None


def why_no_version(repository: Repository, wanted: Wanted) -> str | None:
    """Says why what is left of an object is no new version; None if it is one, or may be."""
    info = repository.store.stat(wanted.hash)
    if info is None or not info.st_size or wanted.size is None or info.st_size >= wanted.size:
        return None
    left = f"{info.st_size} of {wanted.size} bytes were left"
    if is_cut_short(repository, wanted.hash, wanted.size):
        return f"it was cut short ({left}), so there is no new version"
    if ends_early(repository, wanted.hash) is None and _has_whole(repository, wanted, info.st_size):
        return f"it was no more than the beginning of the bytes it had ({left}), so there is no new version"
    return None


def is_beginning(short: str, long: str) -> bool:
    """Tells whether the file at `long` begins with the bytes of the one at `short`, and goes on. Raises OSError."""
    with open_file(short) as one, open_file(long) as other:
        if os.fstat(one.fileno()).st_size >= os.fstat(other.fileno()).st_size:
            return False
        while block := one.read(BLOCK):
            if other.read(len(block)) != block:
                return False
    return True


def _has_whole(repository: Repository, wanted: Wanted, length: int) -> bool:
    """Tells whether a whole copy nearby begins with what is left."""
    from comfyvn_store.base import digest
    from comfyvn_store.ops import copies

    with repository.store.open(wanted.hash) as stream:
        return copies.is_beginning(repository, wanted, length, digest.sha256(stream))
