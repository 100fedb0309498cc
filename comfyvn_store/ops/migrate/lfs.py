"""Git LFS: pointer files (git-lfs, docs/spec.md) and its folder of objects, whose names are SHA-256 as ours are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from comfyvn_store.base import pointers
from comfyvn_store.ops import stored
from comfyvn_store.ops.migrate.claims import Claim, Found, Left, Version
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry


class Lfs:
    """Git LFS in one repository."""

    name = "lfs"
    fetch: str | None = "git lfs fetch --all"
    writes_in_place = False
    names_hashes = True

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        said = repository.git.text("config", "--type=path", "--get", "lfs.storage", check=False)
        self._objects = os.path.join(repository.common_dir, said or "lfs", "objects")

    def read(self, entries: Iterable[Entry]) -> Found:
        """Reads pointer files out of entries, and those that were stored as if they were art."""
        modes = (staging.FILE, staging.EXECUTABLE, staging.LINK)
        wanted = [entry for entry in entries if entry.mode in modes]
        texts = blobs.read_small_blobs(self._repository.git, (entry.oid for entry in wanted), pointers.LONGEST_LFS)
        found = Found([], [])
        for entry in wanted:
            own = texts.get(entry.oid, b"")
            text = stored.behind(self._repository.store, own)
            if not pointers.begins_lfs(text) or (entry.mode == staging.LINK and text is own):
                continue
            version = parse(text)
            if isinstance(version, Version):
                found.claims.append(Claim(entry, entry.path, version))
            else:
                found.left.append(Left(entry.path, version))
        return found

    def places(self, version: Version) -> Iterator[str]:
        """Gives where Git LFS keeps an object."""
        assert version.hash is not None
        yield os.path.join(self._objects, version.hash[:2], version.hash[2:4], version.hash)

    def blocks(self, version: Version) -> Iterator[bytes] | None:
        """Gives nothing: the bytes are in files."""
        return None


def parse(text: bytes) -> Version | str:
    """Gives what a pointer file names, or why it cannot be followed."""
    if len(text) > pointers.LONGEST_LFS:
        return "its Git LFS pointer is too long"
    said = pointers.lfs_fields(text)
    if said is None:
        return "its Git LFS pointer is damaged"
    if said.has_extensions:
        return "its Git LFS pointer has extensions: other programs changed the bytes"
    if not said.size:
        return "it is empty, and an empty file holds no art"
    return Version(said.oid, said.oid, said.size)
