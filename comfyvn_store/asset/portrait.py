"""A sidecar as lines for people, one fact a line, so that two of them can be compared line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import names

_INDENT: Final = "    "


def lines(card: Sidecar) -> Iterator[str]:
    """Gives the lines. What is unknown has none, and neither have ids, previews and the commit, which git says itself."""
    yield plain(card.path)
    yield f"bytes: {card.uid}, {card.bytes}" if card.bytes is not None else f"bytes: {card.uid}"
    yield from _labelled("format", card.media.get("mime"))
    yield from _labelled("size", size(card.media))
    for key, value in card.media.items():
        if key not in ("mime", "width", "height"):
            yield from _labelled(key, value)
    for tag in card.tags:
        yield from _labelled("tag", tag)
    yield from _labelled("license", card.license)
    for key, value in card.meta.items():
        yield from _labelled(f"meta {plain(key)}", value)
    yield from _record(card)
    for key, value in card.extra.items():
        yield from _labelled(plain(key), value)


def _record(card: Sidecar) -> Iterator[str]:
    record = card.provenance
    yield from _labelled("source", record.source)
    yield from _labelled("workflow", record.workflow_hash and record.workflow_hash[:16])
    for key, value in record.inputs.items():
        if key == "loras":
            for name, strength in loras(value).items():
                yield f"lora: {plain(name)}" + (f" {plain(strength)}" if strength is not None else "")
        elif key in ("positive", "negative") and isinstance(value, str):
            yield from _prompt(key, value)
        elif isinstance(value, list):
            for item in value:
                yield from _labelled(plain(key).removesuffix("s"), item)
        else:
            yield from _labelled(plain(key), value)
    for key, value in record.extra.items():
        if key == "workflow":
            yield "workflow stated: yes"
        elif key == "embedded" and isinstance(value, dict):
            for name, said in value.items():
                yield from _labelled(f"file says {plain(name)}", said)
        else:
            yield from _labelled(plain(key), value)
    yield from _labelled("created", record.created_at)
    yield from _labelled("replaces", record.parent and record.parent[:16])


def _labelled(label: str, value: Any) -> Iterator[str]:
    if value not in (None, "", [], {}):
        yield f"{label}: {plain(value)}"


def _prompt(label: str, text: str) -> Iterator[str]:
    parts = prompt_parts(text)
    if parts:
        yield f"{label}:"
    for part in parts:
        yield _INDENT + plain(part)


def prompt_parts(text: str) -> list[str]:
    """Gives the parts of a prompt, as commas and lines divide it; a comma within brackets divides nothing."""
    parts, start, depth = [], 0, 0
    for at, letter in enumerate(text):
        if letter in "([{<":
            depth += 1
        elif letter in ")]}>":
            depth = max(0, depth - 1)
        elif letter == "\n" or (letter == "," and not depth):
            parts.append(text[start:at])
            start = at + 1
            depth = 0 if letter == "\n" else depth
    parts.append(text[start:])
    return [part for part in (" ".join(each.split()) for each in parts) if part]


def loras(value: Any) -> dict[str, Any]:
    """Gives the strength of each LoRA of a record (None: unknown); one that stands there twice has a number behind its name."""
    found: dict[str, Any] = {}
    for item in value if isinstance(value, list) else ():
        if not isinstance(item, dict):
            continue
        name, count = str(item.get("name")), 2
        while name in found:
            name, count = f"{item.get('name')} ({count})", count + 1
        found[name] = item.get("strength")
    return found


def size(media: Mapping[str, Any]) -> str | None:
    """Gives `832x1216`, or None where that is unknown."""
    width, height = media.get("width"), media.get("height")
    return f"{width}x{height}" if isinstance(width, int) and isinstance(height, int) else None


def plain(value: Any) -> str:
    """Gives a value as one line in which nothing can control a terminal."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return names.printable(" ".join(text.split()))
