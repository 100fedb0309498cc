"""NovelAI: the text chunks `Software: NovelAI`, `Source` (the model) and `Comment` (its parameters, an object).

WebP has the same three in EXIF: the user comment is an object in which `Comment` is the text of another. What it also
hides in the lowest bits of the alpha channel is not read: that takes decoding the picture, and says nothing else.
"""

from typing import Any

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.entries import USER_COMMENT, Entries
from comfyvn_store.asset.readers.reading import Reading

_SOFTWARE = 0x0131


def read(entries: Entries) -> Reading | None:
    """Reads the parameters of a picture that says it is NovelAI's; None for any other."""
    said: dict[str, Any] = dict(entries.texts)
    comment = entries.exif.get(USER_COMMENT)
    if "comment" not in said and isinstance(comment, str) and comment.lstrip()[:1] == "{":
        outer = reading.parse_json(comment)
        if isinstance(outer, dict):
            said = {str(name).lower(): value for name, value in outer.items()}
            said.setdefault("software", entries.exif.get(_SOFTWARE))
    inner = said.get("comment")
    value = reading.parse_json(inner) if isinstance(inner, str) else inner
    if not isinstance(value, dict) or not str(said.get("software", "")).startswith("NovelAI"):
        return None
    inputs = {
        **reading.unknown_inputs(),
        "seed": reading.integer(value.get("seed")),
        "model": reading.text(said.get("source")),
        "sampler": reading.text(value.get("sampler")),
        "scheduler": reading.text(value.get("noise_schedule")),
        "steps": reading.integer(value.get("steps")),
        "cfg": reading.number(value.get("scale")),
        "denoise": reading.number(value.get("strength")),
        "positive": _prompt(value, "prompt", "v4_prompt") or reading.text(said.get("description")),
        "negative": _prompt(value, "uc", "v4_negative_prompt"),
    }
    return Reading("novelai", None, reading.bounded(inputs))


def _prompt(value: dict[str, Any], name: str, newer: str) -> str | None:
    """The prompt, and those of the single characters, a line each."""
    caption = value.get(newer)
    caption = caption.get("caption") if isinstance(caption, dict) else None
    base = value.get(name)
    parts = []
    if isinstance(caption, dict):
        base = caption.get("base_caption", base)
        characters = caption.get("char_captions")
        for each in characters[:100] if isinstance(characters, list) else ():
            parts.append(each.get("char_caption") if isinstance(each, dict) else None)
    if any(not isinstance(part, str) for part in (base, *parts)):
        return None
    return reading.text("\n".join(part for part in (base, *parts) if part))
