"""The files of the demo as their programs write them: a picture of ComfyUI's with its graphs, a voice line as WAV."""

from __future__ import annotations

import array
import io
import json
import math
import sys
import wave
from typing import Any, NamedTuple

from PIL import Image, PngImagePlugin

Graph = dict[str, Any]

_RATE = 22050
# What follows are ComfyUI's own names. The outputs of each node class, and how it is called in the editor.
_OUTPUTS = {
    "CheckpointLoaderSimple": ("MODEL", "CLIP", "VAE"),
    "CLIPTextEncode": ("CONDITIONING",),
    "EmptyLatentImage": ("LATENT",),
    "KSampler": ("LATENT",),
    "LoraLoader": ("MODEL", "CLIP"),
    "SaveImage": (),
    "VAEDecode": ("IMAGE",),
}
_TITLES = {
    "CheckpointLoaderSimple": "Load Checkpoint",
    "CLIPTextEncode": "CLIP Text Encode (Prompt)",
    "EmptyLatentImage": "Empty Latent Image",
    "LoraLoader": "Load LoRA",
    "SaveImage": "Save Image",
    "VAEDecode": "VAE Decode",
}


class Recipe(NamedTuple):
    """What a picture was asked for."""

    positive: str
    seed: int
    model: str
    lora: tuple[str, float]
    prefix: str
    negative: str = "lowres, bad anatomy, bad hands, text, watermark"


def comfyui_png(picture: Image.Image, recipe: Recipe) -> bytes:
    """Gives the PNG file that ComfyUI's SaveImage writes: both graphs as JSON in tEXt chunks, compression level 4."""
    prompt = api_graph(recipe, picture.size)
    texts = PngImagePlugin.PngInfo()
    texts.add_text("prompt", json.dumps(prompt))
    texts.add_text("workflow", json.dumps(ui_graph(prompt)))
    target = io.BytesIO()
    picture.save(target, "PNG", pnginfo=texts, compress_level=4)
    return target.getvalue()


def api_graph(recipe: Recipe, size: tuple[int, int]) -> Graph:
    """Gives the graph that ComfyUI's server runs, text to picture with one LoRA (`prompt`)."""
    lora, strength = recipe.lora
    given: list[tuple[str, str, Graph]] = [
        ("3", "KSampler", {"seed": recipe.seed, "steps": 28, "cfg": 6.5, "sampler_name": "dpmpp_2m", "scheduler": "karras",
                           "denoise": 1.0, "model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0],
                           "latent_image": ["5", 0]}),
        ("4", "CheckpointLoaderSimple", {"ckpt_name": recipe.model}),
        ("5", "EmptyLatentImage", {"width": size[0], "height": size[1], "batch_size": 1}),
        ("6", "CLIPTextEncode", {"text": recipe.positive, "clip": ["10", 1]}),
        ("7", "CLIPTextEncode", {"text": recipe.negative, "clip": ["10", 1]}),
        ("8", "VAEDecode", {"samples": ["3", 0], "vae": ["4", 2]}),
        ("9", "SaveImage", {"filename_prefix": recipe.prefix, "images": ["8", 0]}),
        ("10", "LoraLoader", {"lora_name": lora, "strength_model": strength, "strength_clip": strength,
                              "model": ["4", 0], "clip": ["4", 1]}),
    ]  # fmt: skip
    return {
        key: {"inputs": inputs, "class_type": kind, "_meta": {"title": _TITLES.get(kind, kind)}}
        for key, kind, inputs in given
    }


def ui_graph(prompt: Graph) -> Graph:
    """Gives the graph that ComfyUI's editor shows for an API graph (`workflow`, format 0.4)."""
    links: list[list[Any]] = []
    nodes = [_ui_node(key, node, order, prompt, links) for order, (key, node) in enumerate(prompt.items())]
    for node in nodes:
        for output in node["outputs"]:
            output["links"] = [link[0] for link in links if link[1:3] == [node["id"], output["slot_index"]]]
    return {"last_node_id": max(node["id"] for node in nodes), "last_link_id": len(links), "nodes": nodes, "links": links,
            "groups": [], "config": {}, "extra": {"ds": {"scale": 1.0, "offset": [0, 0]}}, "version": 0.4}  # fmt: skip


def voice_wav() -> bytes:
    """Gives a WAV file of two seconds: a sung "la la la", the harmonics of a voice shaped by an open vowel."""
    samples = array.array("h")
    for pitch, seconds in ((392.0, 0.4), (440.0, 0.3), (523.25, 0.4), (440.0, 0.9)):
        samples.extend(_sung(pitch, seconds))
    if sys.byteorder == "big":
        samples.byteswap()
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(samples.tobytes())
    return target.getvalue()


def _ui_node(key: str, node: Graph, order: int, prompt: Graph, links: list[list[Any]]) -> Graph:
    """Gives a node of the editor, and adds the links that lead into it to `links`."""
    kind = node["class_type"]
    sockets: list[Graph] = []
    for name, value in node["inputs"].items():
        if isinstance(value, list):
            source, slot = value
            carries = _OUTPUTS[prompt[source]["class_type"]][slot]
            links.append([len(links) + 1, int(source), slot, int(key), len(sockets), carries])
            sockets.append({"name": name, "type": carries, "link": len(links)})
    widgets = [value for value in node["inputs"].values() if not isinstance(value, list)]
    if kind == "KSampler":
        widgets.insert(1, "randomize")  # what becomes of the seed after a run: a widget, but no input
    return {
        "id": int(key),
        "type": kind,
        "pos": [40 + 360 * (order % 4), 80 + 320 * (order // 4)],
        "size": [315, 120],
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": sockets,
        "outputs": [{"name": name, "type": name, "slot_index": slot} for slot, name in enumerate(_OUTPUTS[kind])],
        "properties": {"Node name for S&R": kind},
        "widgets_values": widgets,
    }


def _sung(pitch: float, seconds: float) -> list[int]:
    # Formants of [a] (Peterson and Barney, 1952, women): 850, 1220 and 2810 Hz.
    partials = []
    for number in range(1, int(5000 / pitch)):
        frequency = number * pitch
        strength = sum(gain * math.exp(-(((frequency - formant) / 180) ** 2))
                       for formant, gain in ((850, 1.0), (1220, 0.6), (2810, 0.25)))  # fmt: skip
        partials.append((frequency, strength + 0.5 / number**1.5))
    loudest = sum(strength for _, strength in partials)
    length = round(seconds * _RATE)
    found = []
    for index in range(length):
        moment = index / _RATE
        vibrato = 0.06 * math.sin(math.tau * 5.5 * moment) * min(1.0, moment * 4)
        rise, fall = min(1.0, moment / 0.05), min(1.0, (seconds - moment) / 0.12)
        level = sum(strength * math.sin(math.tau * frequency * moment + vibrato * frequency / pitch)
                    for frequency, strength in partials)  # fmt: skip
        found.append(round(26000 * rise * fall * level / loudest))
    return found
