"""git-annex: locked files (symlinks), unlocked ones (pointer files), keys and where their bytes are.

The forms are those of git-annex's own pages: internals/key_format, internals/hashing, internals/pointer_file.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator

from comfyvn_store.base import links
from comfyvn_store.ops.migrate.claims import Claim, Found, Left, Version
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

# "A pointer file ... up to 32 kb" (internals/pointer_file); only its first line counts.
LONGEST = 32 * 1024
_LINK = re.compile(
    r"(?:\.\./)*\.git/annex/objects/([0-9A-Za-z]{1,3})/([0-9A-Za-z]{1,3})/([^/\0\n]{1,1024})/([^/\0\n]{1,1024})\Z"
)
_LIKE_LINK = ".git/annex/objects/"
_POINTER = b"/annex/objects/"
_KEY = re.compile(r"(?P<kind>[A-Z0-9_]{1,32})(?P<fields>(?:-[a-zA-Z][0-9]{1,20})*)--(?P<name>[^/\0\n]{1,1000})\Z")
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
        texts = blobs.read_small_blobs(self._repository.git, (entry.oid for entry in wanted), LONGEST)
        found = Found([], [])
        for entry in wanted:
            text = texts.get(entry.oid, b"")
            key = link_key(os.fsdecode(text)) if entry.mode == staging.LINK else pointer_key(text)
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


def pointer_key(text: bytes) -> str | None:
    """Gives the key in an unlocked file's pointer, "" for one that makes no sense; None for another file."""
    if not text.startswith(_POINTER) or len(text) > LONGEST:
        return None
    line = text[len(_POINTER) :].partition(b"\n")[0]
    return "" if b"/" in line or b"\0" in line else os.fsdecode(line)


def parse_key(key: str) -> Version | None:
    """Gives what a key tells of its bytes, or None if it is none."""
    found = _KEY.match(key)
    if found is None or found["name"] in (".", ".."):
        return None
    fields = {field[0]: int(field[1:]) for field in found["fields"].split("-")[1:]}
    size = fields.get("s")
    if size is not None and size >= 1 << 63:
        return None
    kind = found["kind"].removesuffix("E")
    digits = found["name"].partition(".")[0]
    if kind == "SHA256":
        return Version(key, digits, size) if links.is_hash(digits) else None
    name = _DIGESTS.get(kind)
    if name is None:
        return Version(key, None, size)
    return Version(key, None, size, (name, digits)) if re.fullmatch("[0-9a-f]{32,128}", digits) else None


def mixed(key: str) -> str:
    """Gives the folder of a key in a repository with a work tree (internals/hashing, "new hash format" excepted)."""
    word = int.from_bytes(hashlib.md5(os.fsencode(key), usedforsecurity=False).digest()[:4], "little")
    one, two, three, four = (_LETTERS[word >> (6 * place) & 31] for place in range(4))
    return f"{two}{one}/{four}{three}"


def lower(key: str) -> str:
    """Gives the folder of a key in a bare repository, or one tuned for case-insensitive disks."""
    digits = hashlib.md5(os.fsencode(key), usedforsecurity=False).hexdigest()
    return f"{digits[:3]}/{digits[3:6]}"
