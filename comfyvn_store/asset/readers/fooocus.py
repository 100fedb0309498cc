"""Fooocus: an object under `parameters`, in a PNG's text chunk or in EXIF's user comment.

Its other form, like Automatic1111's, is that reader's. The object's names differ between a file (`base_model`) and the
log (`Base Model`); both are read.
"""

import ast
from typing import Any

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.automatic1111 import parameters
from comfyvn_store.asset.readers.entries import Entries
from comfyvn_store.asset.readers.reading import Reading


def read(entries: Entries) -> Reading | None:
    """Reads the object; None if there is none of Fooocus."""
    text = parameters(entries)
    if text is None or text.lstrip()[:1] != "{":
        return None
    value = reading.parse_json(text)
    if not isinstance(value, dict):
        return None
    said = {str(name).lower().replace(" ", "_"): each for name, each in value.items()}
    if not (str(said.get("version", "")).startswith("Fooocus") or said.get("metadata_scheme") == "fooocus"):
        return None
    inputs = {
        **reading.unknown_inputs(),
        "seed": reading.written_integer(said.get("seed")),
        "model": reading.text(said.get("base_model")),
        "loras": _loras(said),
        "sampler": reading.text(said.get("sampler")),
        "scheduler": reading.text(said.get("scheduler")),
        "steps": reading.written_integer(said.get("steps")),
        "cfg": reading.written_number(said.get("guidance_scale")),
        "positive": _prompt(said, "prompt"),
        "negative": _prompt(said, "negative_prompt"),
    }
    return Reading("fooocus", None, reading.bounded(inputs))


def _prompt(said: dict[str, Any], name: str) -> str | None:
    """What was typed. What styles made of it is there too, but as a list whose joints are not told."""
    return reading.text(said.get(name))


def _loras(said: dict[str, Any]) -> list[dict[str, Any]]:
    """A list of `[name, strength, hash]`, which older versions write as text, or `lora_combined_1: name : strength`."""
    rows = said.get("loras")
    if isinstance(rows, str) and len(rows) < 10_000:
        try:
            rows = ast.literal_eval(rows)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            rows = None
    found = []
    for row in rows[:100] if isinstance(rows, list) else ():
        if isinstance(row, list | tuple) and len(row) >= 2:
            found.append({"name": reading.text(row[0]), "strength": reading.written_number(row[1])})
    if not found:
        for number in range(1, 21):
            text = said.get(f"lora_combined_{number}")
            if isinstance(text, str) and " : " in text:
                name, _, strength = text.rpartition(" : ")
                found.append({"name": reading.text(name), "strength": reading.written_number(strength)})
    return found
