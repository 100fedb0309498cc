"""The marker: the `comfyvn_provenance` entry inside a media file (`docs/formats/marker.md`).

Its payload depends on the bytes and on what the caller stated, on nothing else, so that the same file gives the same
object on every machine.
"""

from __future__ import annotations

import json
from typing import Any

from comfyvn_store.base import canonical, links, png

VERSION = 1


def chunk(source: str | None, source_hash: str, workflow_hash: str | None) -> bytes:
    """Gives the PNG chunk that marks a file."""
    payload = {"v": VERSION, "source": source, "source_hash": source_hash, "workflow_hash": workflow_hash}
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return png.international_text(png.MARKER_KEYWORD, text.encode("utf-8", "replace"))


def text(source: str | None, source_hash: str, workflow_hash: str | None) -> bytes:
    """Gives the payload as all other formats carry it: in ASCII, and without letters that XML would have to escape."""
    if source is not None:
        source = source.encode("utf-8", "replace").decode("utf-8")
    payload = {"v": VERSION, "source": source, "source_hash": source_hash, "workflow_hash": workflow_hash}
    data = json.dumps(payload, separators=(",", ":"))
    for letter in "&<>":
        data = data.replace(letter, f"\\u{ord(letter):04x}")
    return data.encode("ascii")


def read(payload: bytes | None) -> dict[str, Any] | None:
    """Gives a marker's payload if it is one that this version understands."""
    if payload is None:
        return None
    try:
        value = canonical.parse(payload)
    except canonical.NotCanonical:
        return None
    if not isinstance(value, dict) or value.get("v") != VERSION:
        return None
    source_hash = value.get("source_hash")
    return value if isinstance(source_hash, str) and links.is_hash(source_hash) else None
