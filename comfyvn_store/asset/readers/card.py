"""Character cards: a PNG's text chunks `ccv3` and `chara`, each an object in base64.

A card says who is in the picture, not what made it: it names no program. Name, creator and tags are read; a licence
only where a card has a field of that name, because the specifications have none.
"""

import base64
import binascii
from typing import Any

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.entries import Entries
from comfyvn_store.asset.readers.reading import Reading

_LONGEST_CARD = 16 * 1024 * 1024


def read(entries: Entries) -> Reading | None:
    """Reads the card, the third version's before the second's; None if there is none."""
    for name in ("ccv3", "chara"):
        value = _decoded(entries.texts.get(name, ""))
        if value is not None:
            data = value.get("data")
            said = _said(data if isinstance(data, dict) else value)
            return Reading(None, None, {}, embedded=said) if said else None
    return None


def _decoded(text: str) -> dict[str, Any] | None:
    if not text or len(text) > _LONGEST_CARD:
        return None
    try:
        data = base64.b64decode(text, validate=False).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None
    value = reading.parse_json(data)
    return value if isinstance(value, dict) else None


def _said(data: dict[str, Any]) -> dict[str, Any]:
    extensions = data.get("extensions")
    extensions = extensions if isinstance(extensions, dict) else {}
    return reading.embedded(
        title=data.get("name") or data.get("char_name"),
        author=data.get("creator"),
        license=data.get("license") or data.get("licence") or extensions.get("license") or extensions.get("licence"),
        tags=data.get("tags"),
    )
