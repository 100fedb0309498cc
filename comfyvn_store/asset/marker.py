"""The marker: the `comfyvn_provenance` entry inside a media file (`docs/formats/marker.md`).

Its payload depends on the bytes and on what the caller stated, on nothing else, so that the same file gives the same
object on every machine.
"""

from __future__ import annotations

import json
from typing import Any

from comfyvn_store.base import canonical, links, png

VERSION = 1
LONGEST_SOURCE = 200
_KEYS = {"v", "source", "source_hash", "workflow_hash"}
_ONLY_RECORDED = ("manual", "git", "import")  # as a record's source: what is said where nobody knows


def is_source(name: str) -> bool:
    """Tells whether a program's name can stand in a marker: short, on one line, without what controls a terminal."""
    is_short = 0 < len(name) <= LONGEST_SOURCE
    return is_short and name.isprintable() and name == name.strip() and name not in _ONLY_RECORDED


def _payload(source: str | None, source_hash: str, workflow_hash: str | None) -> dict[str, Any]:
    """What a marker says: nothing that `read` would not understand."""
    return {
        "v": VERSION,
        "source": source if source is not None and is_source(source) else None,
        "source_hash": source_hash,
        "workflow_hash": workflow_hash if workflow_hash is not None and links.is_hash(workflow_hash) else None,
    }


def chunk(source: str | None, source_hash: str, workflow_hash: str | None) -> bytes:
    """Gives the PNG chunk that marks a file."""
    payload = _payload(source, source_hash, workflow_hash)
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return png.international_text(png.MARKER_KEYWORD, text.encode("utf-8"))


def text(source: str | None, source_hash: str, workflow_hash: str | None) -> bytes:
    """Gives the payload as all other formats carry it: in ASCII, and without letters that XML would have to escape."""
    data = json.dumps(_payload(source, source_hash, workflow_hash), separators=(",", ":"))
    for letter in "&<>":
        data = data.replace(letter, f"\\u{ord(letter):04x}")
    return data.encode("ascii")


def is_ours(payload: bytes | None) -> bool:
    """Tells whether a payload is one that this version writes, valid or stale, so that nothing is lost where it is replaced."""
    try:
        value = canonical.parse(payload) if payload is not None else None
    except canonical.NotCanonical:
        return False
    return isinstance(value, dict) and value.get("v") == VERSION and value.keys() == _KEYS


def read(payload: bytes | None) -> dict[str, Any] | None:
    """Gives a marker's payload if it is one that this version understands: not one that says what no marker of ours does."""
    if payload is None or len(payload) > png.LONGEST_MARKER:
        return None
    try:
        value = canonical.parse(payload)
    except canonical.NotCanonical:
        return None
    if not isinstance(value, dict) or value.get("v") != VERSION:
        return None
    source, source_hash, workflow_hash = (value.get(key) for key in ("source", "source_hash", "workflow_hash"))
    is_understood = (
        isinstance(source_hash, str)
        and links.is_hash(source_hash)
        and (source is None or (isinstance(source, str) and is_source(source)))
        and (workflow_hash is None or (isinstance(workflow_hash, str) and links.is_hash(workflow_hash)))
    )
    return value if is_understood else None
