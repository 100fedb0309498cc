"""Which paths can be assets, and the names derived from an asset's path.

Paths are `/`-separated. "Inside" paths are relative to the assets root; git's own are relative to the work tree's top.
"""

from __future__ import annotations

import re

from comfyvn_store.errors import Refused

SIDECAR_SUFFIX = ".asset.json"
META_FOLDER = "_meta"
# 255 bytes is the longest name on ext4, APFS and NTFS; the sidecar's name must fit beside the asset's.
LONGEST_NAME = 255 - len(SIDECAR_SUFFIX)
# Temporary files in the work tree carry this prefix; `init` keeps git from seeing them.
TEMP_PREFIX = ".comfyvn-tmp-"
GENERIC_TYPE = "generic"
# Spaces that Python does not call printable; U+3000 stands in Japanese text.
_SPACES = frozenset("\u00a0\u2002\u2003\u2009\u202f\u3000")
# DVC's files, which say where it keeps the bytes of the file or folder of that name without the suffix.
DVC_SUFFIX = ".dvc"
_SYSTEM_FILES = frozenset(("Thumbs.db", "desktop.ini"))


def is_sidecar(path: str) -> bool:
    """Tells whether a path is named like a sidecar."""
    return path.endswith(SIDECAR_SUFFIX)


def sidecar_path(path: str) -> str:
    """Gives the path of an asset's sidecar."""
    return path + SIDECAR_SUFFIX


def is_asset_name(inside: str) -> bool:
    """Tells whether a path relative to the assets root may be an asset (its length apart, see `refusal`)."""
    parts = inside.split("/")
    name = parts[-1]
    if not inside.isascii() and not is_utf8(inside):
        return False
    if parts[0] == META_FOLDER or not name or is_sidecar(name) or name in _SYSTEM_FILES:
        return False
    if name.endswith(DVC_SUFFIX):
        return False
    return not any(part.startswith(".") for part in parts)


def asset_type(inside: str) -> str:
    """Gives the type: the first folder below the assets root, `generic` for a file directly in it."""
    head, slash, _ = inside.partition("/")
    return head if slash else GENERIC_TYPE


def refusal(path: str) -> str | None:
    """Says why a path can't be an asset although it lies in the right place, or None if it can."""
    if not is_utf8(path):
        return "its name is not UTF-8"
    raw = path.encode("utf-8")
    name = raw.rsplit(b"/", 1)[-1]
    if len(name) > LONGEST_NAME:
        return f"its name has {len(name)} bytes, and at most {LONGEST_NAME} leave room for the sidecar's"
    return None


def is_utf8(path: str) -> bool:
    """Tells whether a path, decoded as the file system's are, was UTF-8: no other can stand in a sidecar or the index."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def check_inside(inside: str, what: str) -> None:
    """Refuses a name that is absolute, leaves the assets root or cannot be an asset.

    Raises Refused. `what` is how the caller calls it ("name", "type").
    """
    shown = printable(inside)
    if inside.startswith("/") or (len(inside) > 1 and inside[1] == ":" and inside[0].isalpha()):
        raise Refused(f"the {what} '{shown}' is absolute", hint=f"give a {what} below the assets root")
    parts = inside.split("/")
    if ".." in parts:
        raise Refused(f"the {what} '{shown}' leaves the assets root", hint=f"give a {what} without '..'")
    if any(part in ("", ".") for part in parts):
        raise Refused(f"the {what} '{shown}' has an empty part")
    if "\\" in inside or "\0" in inside:
        raise Refused(f"the {what} '{shown}' has a character that not every system allows (backslash or NUL)")
    reason = refusal(inside)
    if reason:
        raise Refused(f"cannot use the {what} '{shown}': {reason}", hint="choose a shorter name in UTF-8")


def printable(path: str) -> str:
    """Gives a path as it may stand in a message: what is not UTF-8 or controls a terminal is escaped."""
    if path.isprintable():
        return path
    clean = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c in _SPACES else c.encode("unicode_escape").decode("ascii") for c in clean)


def mirror_names(names: list[str]) -> dict[str, str]:
    """Gives, for the asset names of one folder, the names of their mirrors for older tools.

    Those tools drop the last suffix (hero.png: hero.json). The first name in byte order has the short form, the
    others keep theirs (hero.png.json).
    """
    taken: set[str] = set()
    mirrors: dict[str, str] = {}
    for name in sorted(names, key=os_bytes):
        stem, dot, _ = name.rpartition(".")
        short = (stem if dot and stem else name) + ".json"
        mirror = short if short not in taken else name + ".json"
        if mirror not in taken:
            taken.add(mirror)
            mirrors[name] = mirror
    return mirrors


def os_bytes(path: str) -> bytes:
    """Gives the bytes that git sorts a path by."""
    return path.encode("utf-8", "surrogateescape")


_REMOTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


def is_remote_name(text: str) -> bool:
    """Tells whether a remote may go by that name, which people type and messages repeat."""
    return bool(_REMOTE.match(text)) and not text.endswith((".", ".lock"))
