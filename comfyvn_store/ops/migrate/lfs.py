"""Git LFS: pointer files (git-lfs, docs/spec.md) and its folder of objects, whose names are SHA-256 as ours are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from comfyvn_store.ops.migrate.claims import Claim, Found, Left, Version
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

# "Pointer files must be less than 1024 bytes in size" (docs/spec.md).
LONGEST = 1023
_URLS = ("https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1", "http://git-media.io/v/2")
_POINTER = re.compile(
    rb"version (?:" + b"|".join(re.escape(url.encode()) for url in _URLS) + rb")\n"
    rb"(?P<ext>(?:ext-[0-9]-[^\n ]+ [^\n]+\n)*)"
    rb"oid sha256:(?P<oid>[0-9a-f]{64})\nsize (?P<size>0|[1-9][0-9]{0,17})\n?\Z"
)
_BEGIN = tuple(b"version " + url.encode() for url in _URLS)


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
        """Reads pointer files out of entries."""
        wanted = [entry for entry in entries if entry.mode in (staging.FILE, staging.EXECUTABLE)]
        texts = blobs.read_small_blobs(self._repository.git, (entry.oid for entry in wanted), LONGEST)
        found = Found([], [])
        for entry in wanted:
            text = texts.get(entry.oid, b"")
            if not text.startswith(_BEGIN):
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
    if len(text) > LONGEST:
        return "its Git LFS pointer is too long"
    found = _POINTER.match(text)
    if found is None:
        return "its Git LFS pointer is damaged"
    if found["ext"]:
        return "its Git LFS pointer has extensions: other programs changed the bytes"
    if found["size"] == b"0":
        return "it is empty, and an empty file holds no art"
    oid = found["oid"].decode("ascii")
    return Version(oid, oid, int(found["size"]))
