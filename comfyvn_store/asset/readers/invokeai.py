"""InvokeAI: what it writes into a PNG's text chunks.

`invokeai_metadata` is an object of its own names (since version 3), `sd-metadata` one with an object `image` (2), `Dream`
the command line that made the picture (1).
"""

import re
from typing import Any

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.entries import Entries
from comfyvn_store.asset.readers.reading import Reading

_OPTION = re.compile(r"\s-(s|S|W|H|C|A|f)\s?(\S+)")


def read(entries: Entries) -> Reading | None:
    """Reads the newest form that is there; None if there is none."""
    for name, form in (("invokeai_metadata", _object), ("sd-metadata", _older)):
        value = reading.parse_json(entries.texts.get(name))
        inputs = form(value) if isinstance(value, dict) else None
        if inputs is not None:
            return Reading("invokeai", None, reading.bounded({**reading.unknown_inputs(), **inputs}))
    dream = _command(entries.texts.get("dream", ""))
    return None if dream is None else Reading("invokeai", None, {**reading.unknown_inputs(), **dream})


def _object(value: dict[str, Any]) -> dict[str, Any] | None:
    known = ("positive_prompt", "seed", "model", "steps", "generation_mode", "app_version")
    if not any(name in value for name in known):
        return None
    scale = value.get("cfg_scale")
    return {
        "seed": reading.written_integer(value.get("seed")),
        "model": _model(value.get("model")),
        "loras": _loras(value.get("loras")),
        # What is called scheduler there is the sampler, the noise schedule in its name.
        "sampler": reading.text(value.get("scheduler")),
        "steps": reading.integer(value.get("steps")),
        "cfg": reading.number(scale),
        "denoise": reading.number(value.get("strength")),
        "positive": reading.text(value.get("positive_prompt")),
        "negative": reading.text(value.get("negative_prompt")),
        "images": list(filter(None, [reading.words(value.get("init_image"))])),
    }


def _older(value: dict[str, Any]) -> dict[str, Any] | None:
    image = value.get("image")
    if not isinstance(image, dict):
        return None
    prompt = image.get("prompt")
    if isinstance(prompt, list):
        prompt = prompt[0].get("prompt") if len(prompt) == 1 and isinstance(prompt[0], dict) else None
    return {
        "seed": reading.written_integer(image.get("seed")),
        "model": reading.text(value.get("model_weights")),
        "sampler": reading.text(image.get("sampler")),
        "steps": reading.integer(image.get("steps")),
        "cfg": reading.number(image.get("cfg_scale")),
        "denoise": reading.number(image.get("strength")),
        **_split(prompt),
    }


def _command(text: str) -> dict[str, Any] | None:
    """`"a prompt" -s 50 -S 42 -C 7.5 -A k_lms`: steps, seed, scale, sampler."""
    prompt, _, rest = text.strip()[:65536].rpartition('"')
    if not prompt.startswith('"'):
        return None
    options = dict(_OPTION.findall(f" {rest}"))
    return {
        "seed": reading.written_integer(options.get("S")),
        "sampler": reading.text(options.get("A")),
        "steps": reading.written_integer(options.get("s")),
        "cfg": reading.written_number(options.get("C")),
        "denoise": reading.written_number(options.get("f")),
        **_split(prompt[1:]),
    }


def _split(prompt: Any) -> dict[str, Any]:
    """A prompt in which what stands in brackets is the negative one."""
    text = reading.text(prompt)
    if text is None:
        return {"positive": None, "negative": None}
    negative = re.findall(r"\[([^\[\]]*)\]", text)
    return {"positive": re.sub(r"\[[^\[\]]*\]", "", text).strip(), "negative": " ".join(negative).strip()}


def _model(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("model_name") or value.get("name") or value.get("key")
    return reading.text(value)


def _loras(value: Any) -> list[dict[str, Any]]:
    found = []
    for each in value[:100] if isinstance(value, list) else ():
        if isinstance(each, dict):
            name = _model(each.get("lora")) or _model(each.get("model"))
            found.append({"name": name, "strength": reading.number(each.get("weight"))})
    return found
