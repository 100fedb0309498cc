"""The text `parameters` of Automatic1111's web UI, and of the many programs that write in its form.

It stands in a PNG's text chunk, in EXIF's user comment or, of a GIF or JPEG without EXIF, in the file's comment: the prompt, a
line `Negative prompt: …`, and a last line of `Name: value` pairs. A program is named only where the text says which: Forge and
ComfyUI by their `Version`, SD.Next by `App`, Civitai by its resources. The form itself is Automatic1111's, and so is the name
where nothing else is said.
"""

import re
from typing import Any

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.entries import USER_COMMENT, Entries
from comfyvn_store.asset.readers.reading import Reading

_LONGEST_TEXT = 1024 * 1024
_MOST_PAIRS = 500
_NEGATIVE = "Negative prompt:"
_PAIR = re.compile(r'\s*(\w[\w \-/]{0,60}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_LORA = re.compile(r"<lora:([^:<>]{1,500})((?::[^:<>]{0,200}){0,8})>")


def read(entries: Entries) -> Reading | None:
    """Reads `parameters`; None if there is none in this form."""
    text = parameters(entries) or entries.texts.get("comment")
    if text is None or len(text) > _LONGEST_TEXT or text.lstrip().startswith("{"):
        return None
    return from_text(text)


def parameters(entries: Entries) -> str | None:
    """Gives the text that stands under the name `parameters`, or in EXIF's user comment."""
    for text in (entries.texts.get("parameters"), entries.exif.get(USER_COMMENT)):
        if isinstance(text, str) and len(text) <= _LONGEST_TEXT:
            return text
    # ComfyUI's node packs write it into EXIF as they write its graphs.
    for value in entries.exif.values():
        if isinstance(value, str) and value.lower().startswith("parameters:") and len(value) <= _LONGEST_TEXT:
            return value[len("parameters:") :]
    return None


def from_text(text: str) -> Reading | None:
    """Reads a text in this form; None if its last line has no steps, sampler or seed."""
    lines = text.strip().split("\n")
    pairs = _pairs(lines[-1])
    if "Steps" not in pairs or not {"Sampler", "Seed", "CFG scale"} & pairs.keys():
        return None
    positive, negative = _prompts(lines[:-1])
    inputs = {
        **reading.unknown_inputs(),
        "seed": reading.written_integer(pairs.get("Seed")),
        "model": reading.text(pairs.get("Model")),
        "loras": _loras(positive),
        "sampler": reading.text(pairs.get("Sampler")),
        "scheduler": reading.text(pairs.get("Schedule type")),
        "steps": reading.written_integer(pairs.get("Steps")),
        "cfg": reading.written_number(pairs.get("CFG scale")),
        "denoise": reading.written_number(pairs.get("Denoising strength")),
        "positive": reading.text(positive),
        "negative": reading.text(negative),
    }
    return Reading(_source(pairs), None, reading.bounded(inputs))


def _prompts(lines: list[str]) -> tuple[str, str | None]:
    for number, line in enumerate(lines):
        if line.startswith(_NEGATIVE):
            negative = [line.removeprefix(_NEGATIVE).strip(), *lines[number + 1 :]]
            return "\n".join(lines[:number]).strip(), "\n".join(negative).strip()
    return "\n".join(lines).strip(), ""


def _pairs(line: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while len(found) < _MOST_PAIRS and len(line) <= _LONGEST_TEXT:
        match = _PAIR.match(line, at)
        if match is None or match.end() == at:
            break
        name, value = match[1], match[2].strip()
        if value.startswith('"'):
            parsed = reading.parse_json(value)
            value = parsed if isinstance(parsed, str) else value
        found.setdefault(name, value)
        at = match.end()
    return found


def _loras(prompt: str) -> list[dict[str, Any]]:
    """The networks that the prompt calls. A second number is the strength for the model, the first then the text's."""
    found = []
    for name, rest in _LORA.findall(prompt[: reading.LONGEST_VALUE]):
        plain = [part for part in rest.split(":")[1:] if "=" not in part]
        strength = plain[1] if len(plain) > 1 else plain[0] if plain else None
        found.append({"name": reading.text(name), "strength": reading.written_number(strength)})
    return found[:100]


def _source(pairs: dict[str, str]) -> str:
    version = pairs.get("Version", "")
    if version.startswith("ComfyUI"):
        return "comfyui"
    if version.startswith("Fooocus"):
        return "fooocus"
    if re.match(r"f\d", version):
        return "forge"
    if pairs.get("App", "").startswith("SD.Next"):
        return "sdnext"
    return "civitai" if "Civitai resources" in pairs and not version else "automatic1111"
