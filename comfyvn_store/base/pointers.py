"""Texts that stand in for files in git because another program keeps their bytes: Git LFS's pointer files and those of
git-annex for unlocked files.

The forms are those of git-lfs, docs/spec.md, and of git-annex's pages internals/pointer_file and internals/key_format. Whoever
meets such a text leaves it as it is: it is no art, and the other program needs it to the byte.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from comfyvn_store.base import links

LFS, ANNEX = "lfs", "annex"
# What people call the programs whose files `migrate` takes over, by its own word for them.
PROGRAMS = {LFS: "Git LFS", ANNEX: "git-annex", "dvc": "DVC"}
# "Pointer files must be less than 1024 bytes in size" (docs/spec.md).
LONGEST_LFS = 1023
# "A pointer file ... up to 32 kb" (internals/pointer_file).
LONGEST = LONGEST_ANNEX = 32 * 1024
_URLS = (b"https://git-lfs.github.com/spec/v1", b"https://hawser.github.com/spec/v1", b"http://git-media.io/v/2")
_BEGIN_LFS = tuple(b"version " + url for url in _URLS)
_LFS = re.compile(
    rb"version (?:" + b"|".join(map(re.escape, _URLS)) + rb")\n"
    rb"(?P<ext>(?:ext-[0-9]-[^\n ]+ [^\n]+\n)*)"
    rb"oid sha256:(?P<oid>[0-9a-f]{64})\nsize (?P<size>0|[1-9][0-9]{0,17})\n?\Z"
)
_BEGIN_ANNEX = b"/annex/objects/"
_KEY = re.compile(r"(?P<kind>[A-Z0-9_]{1,32})(?P<fields>(?:-[a-zA-Z][0-9]{1,20})*)--(?P<name>[^/\0\n]{1,1000})\Z")


class Pointer(NamedTuple):
    """What a text stands for: the program that keeps the bytes, and their SHA-256 where the text tells it."""

    program: str
    hash: str | None


class LfsFields(NamedTuple):
    """What a pointer file of Git LFS says; with extensions, `oid` is not the hash of the file's own bytes."""

    oid: str
    size: int
    has_extensions: bool


class Key(NamedTuple):
    """What git-annex's name for some bytes says: how they were hashed (without the E that an extension brings), what that
    gave, and their size."""

    kind: str
    digits: str
    size: int | None


def parse(data: bytes) -> Pointer | None:
    """Gives what a whole file stands for, or None if it is no pointer (or a damaged one)."""
    if data.startswith(_BEGIN_LFS):
        said = lfs_fields(data)
        return None if said is None else Pointer(LFS, None if said.has_extensions else said.oid)
    name = annex_key(data)
    key = split_key(name) if name else None
    if key is None or not all(not line or line.startswith(b"/annex/") for line in data.split(b"\n")[1:]):
        return None
    return Pointer(ANNEX, key.digits if key.kind == "SHA256" and links.is_hash(key.digits) else None)


def begins_lfs(data: bytes) -> bool:
    """Tells whether a text begins as a pointer file of Git LFS, be it whole or damaged."""
    return data.startswith(_BEGIN_LFS)


def lfs_fields(data: bytes) -> LfsFields | None:
    """Gives what a pointer file of Git LFS says, None for any other or damaged text."""
    found = _LFS.match(data) if len(data) <= LONGEST_LFS else None
    return LfsFields(found["oid"].decode("ascii"), int(found["size"]), bool(found["ext"])) if found else None


def annex_key(data: bytes) -> str | None:
    """Gives the key in the first line of git-annex's pointer file, "" for one that makes no sense; None for another file."""
    if not data.startswith(_BEGIN_ANNEX) or len(data) > LONGEST_ANNEX:
        return None
    line = data[len(_BEGIN_ANNEX) :].partition(b"\n")[0]
    return "" if b"/" in line or b"\0" in line else os.fsdecode(line)


def split_key(key: str) -> Key | None:
    """Gives what a key of git-annex says, None if it is none."""
    found = _KEY.match(key)
    if found is None or found["name"] in (".", ".."):
        return None
    fields = {field[0]: int(field[1:]) for field in found["fields"].split("-")[1:]}
    size = fields.get("s")
    if size is not None and size >= 1 << 63:
        return None
    return Key(found["kind"].removesuffix("E"), found["name"].partition(".")[0], size)
