"""SwarmUI: an object with `sui_image_params` under `parameters`, in a PNG's text chunk or in EXIF's user comment."""

from typing import Any

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.automatic1111 import parameters
from comfyvn_store.asset.readers.entries import Entries
from comfyvn_store.asset.readers.reading import Reading


def read(entries: Entries) -> Reading | None:
    """Reads the object; None if there is none of SwarmUI."""
    text = parameters(entries)
    if text is None or "sui_image_params" not in text:
        return None
    value = reading.parse_json(text)
    said = value.get("sui_image_params") if isinstance(value, dict) else None
    if not isinstance(said, dict):
        return None
    inputs = {
        **reading.unknown_inputs(),
        "seed": reading.written_integer(said.get("seed")),
        "model": reading.text(said.get("model")),
        "loras": _loras(said.get("loras"), said.get("loraweights")),
        "sampler": reading.text(said.get("sampler")),
        "scheduler": reading.text(said.get("scheduler")),
        "steps": reading.written_integer(said.get("steps")),
        "cfg": reading.written_number(said.get("cfgscale")),
        "denoise": reading.written_number(said.get("initimagecreativity")),
        "positive": reading.text(said.get("prompt")),
        "negative": reading.text(said.get("negativeprompt")),
    }
    guidance = reading.written_number(said.get("fluxguidancescale"))
    if guidance is not None:
        inputs["guidance"] = guidance
    return Reading("swarmui", None, reading.bounded(inputs))


def _loras(names: Any, weights: Any) -> list[dict[str, Any]]:
    """Names and weights in two lists, or in two texts with commas; a weight counts only if there is one for each name."""
    names, weights = (
        each.split(",") if isinstance(each, str) else each if isinstance(each, list) else []
        for each in (names, weights)
    )
    if len(names) != len(weights):
        weights = [None] * len(names)
    pairs = list(zip(names, weights, strict=True))[:100]
    return [
        {
            "name": reading.text(name.strip() if isinstance(name, str) else None),
            "strength": reading.written_number(weight),
        }
        for name, weight in pairs
    ]
