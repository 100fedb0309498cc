"""git-annex: locked files (symlinks), unlocked ones (pointer files), keys and where their bytes are.

The forms are those of git-annex's own pages: internals/key_format, internals/hashing, internals/pointer_file.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator

from comfyvn_store.base import links, pointers
from comfyvn_store.ops import stored
from comfyvn_store.ops.migrate.claims import Claim, Found, Left, Version
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

_LINK = re.compile(
    r"(?:\.\./)*\.git/annex/objects/([0-9A-Za-z]{1,3})/([0-9A-Za-z]{1,3})/([^/\0\n]{1,1024})/([^/\0\n]{1,1024})\Z"
)
_LIKE_LINK = ".git/annex/objects/"
_LETTERS = "0123456789zqjxkmvwgpfZQJXKMVWGPF"
_DIGESTS = {"MD5": "md5", "SHA1": "sha1", "SHA224": "sha224", "SHA384": "sha384", "SHA512": "sha512"}


class Annex:
    """git-annex in one repository."""

    name = "annex"
    fetch: str | None = "git annex get ."
    names_hashes = False

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._objects = os.path.join(repository.common_dir, "annex", "objects")
        # An unlocked file is then a second name of git-annex's own object, into which programs write.
        said = repository.git.text("config", "--type=bool", "--get", "annex.thin", check=False)
        self.writes_in_place = said == "true"

    def read(self, entries: Iterable[Entry]) -> Found:
        """Reads annexed files, locked and unlocked, out of entries."""
        modes = (staging.FILE, staging.EXECUTABLE, staging.LINK)
        wanted = [entry for entry in entries if entry.mode in modes]
        texts = blobs.read_small_blobs(self._repository.git, (entry.oid for entry in wanted), pointers.LONGEST_ANNEX)
        found = Found([], [])
        for entry in wanted:
            text = stored.behind(self._repository.store, texts.get(entry.oid, b""))
            is_link = entry.mode == staging.LINK and text is texts.get(entry.oid)
            key = link_key(os.fsdecode(text)) if is_link else pointers.annex_key(text)
            version = parse_key(key) if key is not None else None
            if version is not None:
                found.claims.append(Claim(entry, entry.path, version))
            elif key is not None:
                found.left.append(Left(entry.path, "what names its key for git-annex is damaged"))
        return found

    def places(self, version: Version) -> Iterator[str]:
        """Gives where git-annex keeps a key's bytes: in a folder by either of its two ways to hash."""
        for folder in (mixed(version.key), lower(version.key)):
            yield os.path.join(self._objects, folder, version.key, version.key)

    def blocks(self, version: Version) -> Iterator[bytes] | None:
        """Gives nothing: the bytes are in files."""
        return None


def link_key(text: str) -> str | None:
    """Gives the key that a locked file's link leads to, "" for one that leads astray; None for another program's link."""
    found = _LINK.match(text)
    if found is None:
        return "" if _LIKE_LINK in text and links.parse_link(text) is None else None
    return found[3] if found[3] == found[4] else ""


def parse_key(key: str) -> Version | None:
    """Gives what a key tells of its bytes, or None if it is none."""
    said = pointers.split_key(key)
    if said is None:
        return None
    if said.kind == "SHA256":
        return Version(key, said.digits, said.size) if links.is_hash(said.digits) else None
    name = _DIGESTS.get(said.kind)
    if name is None:
        return Version(key, None, said.size)
    return Version(key, None, said.size, (name, said.digits)) if re.fullmatch("[0-9a-f]{32,128}", said.digits) else None


def mixed(key: str) -> str:
    """Gives the folder of a key in a repository with a work tree (internals/hashing, "new hash format" excepted)."""
    word = int.from_bytes(hashlib.md5(os.fsencode(key), usedforsecurity=False).digest()[:4], "little")
    one, two, three, four = (_LETTERS[word >> (6 * place) & 31] for place in range(4))
    return f"{two}{one}/{four}{three}"


def lower(key: str) -> str:
    """Gives the folder of a key in a bare repository, or one tuned for case-insensitive disks."""
    digits = hashlib.md5(os.fsencode(key), usedforsecurity=False).hexdigest()
    return f"{digits[:3]}/{digits[3:6]}"
