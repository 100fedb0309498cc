"""Pointers of Git LFS and git-annex in git's index, and the bytes that they stand for.

In a clone in which those programs keep files, bytes that a pointer names are no new art: the pointer stays git's until
`migrate` takes it over, and a checkout gets the bytes that the store has, since git asks nobody else below the assets root.
"""

from __future__ import annotations

import os
from functools import cached_property

from comfyvn_store.base import pointers
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository

_FILES = (staging.FILE, staging.EXECUTABLE)
# The folders, in git's own, in which those programs keep bytes.
_FOLDERS = ("lfs", "annex")


class Foreign:
    """The pointers of one repository, read once and only where there can be any."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    @cached_property
    def is_possible(self) -> bool:
        """Whether another program keeps files in this clone."""
        folder = self._repository.common_dir
        return any(os.path.isdir(os.path.join(folder, name)) for name in _FOLDERS)

    @cached_property
    def _staged(self) -> dict[str, tuple[str, bytes]]:
        repository = self._repository
        entries = [
            entry
            for entry in staging.entries(repository.git, [repository.root])
            if entry.mode in _FILES and not entry.stage and repository.is_asset_path(entry.path)
        ]
        texts = blobs.read_small_blobs(repository.git, (entry.oid for entry in entries), pointers.LONGEST)
        parsed = {oid: found for oid, data in texts.items() if (found := pointers.parse(data)) is not None}
        return {
            entry.path: (hash_, texts[entry.oid])
            for entry in entries
            if (found := parsed.get(entry.oid)) is not None and (hash_ := found.hash) is not None
        }

    def text_of(self, path: str, hash_: str) -> bytes | None:
        """Gives the pointer that git's index has at a path, if it stands for those bytes."""
        named, text = self._staged.get(path, (None, None)) if self.is_possible else (None, None)
        return text if named == hash_ else None

    def hash_in(self, text: bytes) -> str | None:
        """Gives the object that a pointer stands for."""
        found = pointers.parse(text) if self.is_possible else None
        return found.hash if found is not None else None
