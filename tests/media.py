"""Pictures and sounds made by code: the same arguments give the same bytes (with the same zlib).

PNG chunks follow the PNG specification, third edition, sections 5 and 11; WAV is RIFF/WAVE with PCM samples.
"""

import hashlib
import json
import math
import random
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

Graph = dict[str, Any]
Chunk = tuple[bytes, bytes]


def chunk(kind: bytes, data: bytes) -> bytes:
    """One PNG chunk, with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def text_chunk(keyword: str, text: str) -> bytes:
    """A tEXt chunk, which holds Latin-1 only."""
    return chunk(b"tEXt", keyword.encode("latin-1") + b"\0" + text.encode("latin-1"))


def international_chunk(keyword: str, text: str, *, compressed: bool = False) -> bytes:
    """An iTXt chunk, without a language tag or translated keyword."""
    data = text.encode()
    flag, data = (b"\1", zlib.compress(data)) if compressed else (b"\0", data)
    return chunk(b"iTXt", keyword.encode("latin-1") + b"\0" + flag + b"\0" + b"\0" + b"\0" + data)


def png(
    width: int = 8,
    height: int = 8,
    seed: int = 0,
    texts: Mapping[str, str] | None = None,
    *,
    alpha: bool = False,
    noise: bool = False,
    before: Sequence[Chunk] = (),
    after: Sequence[Chunk] = (),
    trailer: bytes = b"",
) -> bytes:
    """A PNG of coloured stripes that depend on the seed, 8 bits a channel.

    `texts` come between IHDR and IDAT, where ComfyUI puts them: as tEXt, or as iTXt if they are not Latin-1.
    `before` and `after` are further chunks on the two sides of IDAT, `trailer` is what follows IEND. With
    `noise` each pixel is random, so that the file is about as large as its pixels.
    """
    header = struct.pack(">IIBBBBB", width, height, 8, 6 if alpha else 2, 0, 0, 0)
    parts = [PNG_SIGNATURE, chunk(b"IHDR", header)]
    for keyword, text in (texts or {}).items():
        make = text_chunk if _is_latin_1(text) else international_chunk
        parts.append(make(keyword, text))
    parts += [chunk(*each) for each in before]
    rows = _rows(width * (4 if alpha else 3), height, seed, noise)
    parts.append(chunk(b"IDAT", zlib.compress(rows, 6)))
    parts += [chunk(*each) for each in after]
    parts += [chunk(b"IEND", b""), trailer]
    return b"".join(parts)


def comfy_png(seed: int = 42, *, width: int = 16, height: int = 24, workflow: bool = True, **settings: Any) -> bytes:
    """A PNG as ComfyUI's SaveImage writes it, with the graph that made it in two tEXt chunks.

    `settings` are those of `comfy_prompt`. The graph says 832 × 1216 whatever the size of this picture.
    Without `workflow` it is one made through ComfyUI's API, which has no graph of the user interface.
    """
    prompt = comfy_prompt(seed, **settings)
    texts = {"prompt": json.dumps(prompt)}
    if workflow:
        texts["workflow"] = json.dumps(comfy_workflow(prompt))
    return png(width, height, seed, texts)


def comfy_prompt(
    seed: int = 42,
    *,
    positive: str = "portrait of a heroine, silver hair, school uniform",
    negative: str = "lowres, bad hands, watermark",
    model: str = "animagineXL_v3.safetensors",
    loras: Sequence[tuple[str, float]] = (("linework.safetensors", 0.8),),
    sampler: str = "dpmpp_2m",
    scheduler: str = "karras",
    steps: int = 28,
    cfg: float = 6.5,
    denoise: float = 1.0,
) -> Graph:
    """ComfyUI's API graph (`prompt`) of a text-to-image run; the loras are chained in the order given."""
    graph: Graph = {
        "3": _node(
            "KSampler",
            {
                "seed": seed,
                "steps": steps,
                "cfg": cfg,
                "sampler_name": sampler,
                "scheduler": scheduler,
                "denoise": denoise,
                "model": ["4", 0],
                "positive": ["6", 0],
                "negative": ["7", 0],
                "latent_image": ["5", 0],
            },
        ),
        "4": _node("CheckpointLoaderSimple", {"ckpt_name": model}),
        "5": _node("EmptyLatentImage", {"width": 832, "height": 1216, "batch_size": 1}),
        "6": _node("CLIPTextEncode", {"text": positive, "clip": ["4", 1]}),
        "7": _node("CLIPTextEncode", {"text": negative, "clip": ["4", 1]}),
        "8": _node("VAEDecode", {"samples": ["3", 0], "vae": ["4", 2]}),
        "9": _node("SaveImage", {"filename_prefix": "ComfyUI", "images": ["8", 0]}),
    }
    last = "4"
    for number, (name, strength) in enumerate(loras, start=10):
        wired = {"model": [last, 0], "clip": [last, 1]}
        graph[str(number)] = _node(
            "LoraLoader", {"lora_name": name, "strength_model": strength, "strength_clip": strength, **wired}
        )
        last = str(number)
    graph["3"]["inputs"]["model"] = [last, 0]
    for encoder in ("6", "7"):
        graph[encoder]["inputs"]["clip"] = [last, 1]
    return graph


def comfy_workflow(prompt: Graph) -> Graph:
    """The graph of ComfyUI's user interface (`workflow`, version 0.4) for an API graph of `comfy_prompt`."""
    links: list[list[Any]] = []
    nodes = []
    for order, (node_id, node) in enumerate(prompt.items()):
        sockets: list[Graph] = []
        for name, value in node["inputs"].items():
            if not isinstance(value, list):
                continue
            source, slot = value
            kind = _OUTPUTS[prompt[source]["class_type"]][slot]
            links.append([len(links) + 1, int(source), slot, int(node_id), len(sockets), kind])
            sockets.append({"name": name, "type": kind, "link": len(links)})
        nodes.append(_ui_node(int(node_id), node, order, sockets))
    for node in nodes:
        for output in node["outputs"]:
            slot = output["slot_index"]
            output["links"] = [link[0] for link in links if link[1:3] == [node["id"], slot]]
    return {
        "last_node_id": max(node["id"] for node in nodes),
        "last_link_id": len(links),
        "nodes": nodes,
        "links": links,
        "groups": [],
        "config": {},
        "extra": {},
        "version": 0.4,
    }


def wav(
    seconds: float = 0.25, rate: int = 8000, bits: int = 16, channels: int = 1, *, frequency: float = 440.0
) -> bytes:
    """A WAV file with a sine at half of full scale; 8 bits a sample are unsigned, 16, 24 and 32 signed."""
    width = bits // 8
    peak = 2 ** (bits - 1) - 1
    frames = bytearray()
    for index in range(round(seconds * rate)):
        level = round(peak / 2 * math.sin(2 * math.pi * frequency * index / rate))
        sample = bytes([level + 128]) if bits == 8 else level.to_bytes(width, "little", signed=True)
        frames += sample * channels
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * width, channels * width, bits)
    body = b"WAVE" + _riff(b"fmt ", form) + _riff(b"data", bytes(frames))
    return _riff(b"RIFF", body)


def marked(sound: bytes) -> bytes:
    """A WAV of `wav` as the store keeps it: with its marker in a tag at the end (`docs/formats/marker.md`)."""
    said = {"v": 1, "source": None, "source_hash": hashlib.sha256(sound).hexdigest(), "workflow_hash": None}
    data = b"\0comfyvn_provenance\0" + json.dumps(said, separators=(",", ":")).encode()
    frame = b"TXXX" + struct.pack(">I", len(data)) + b"\0\0" + data
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    return _riff(b"RIFF", sound[8:] + _riff(b"id3 ", b"ID3\3\0\0" + size + frame))


# The outputs of each node class, and what its widgets hold in the user interface.
_OUTPUTS = {
    "CheckpointLoaderSimple": ["MODEL", "CLIP", "VAE"],
    "CLIPTextEncode": ["CONDITIONING"],
    "EmptyLatentImage": ["LATENT"],
    "KSampler": ["LATENT"],
    "LoraLoader": ["MODEL", "CLIP"],
    "SaveImage": [],
    "VAEDecode": ["IMAGE"],
}


def _node(class_type: str, inputs: Graph) -> Graph:
    return {"inputs": inputs, "class_type": class_type}


def _ui_node(node_id: int, node: Graph, order: int, sockets: list[Graph]) -> Graph:
    widgets = [value for value in node["inputs"].values() if not isinstance(value, list)]
    if node["class_type"] == "KSampler":
        widgets.insert(1, "randomize")  # what becomes of the seed after a run is a widget, yet no input
    outputs = _OUTPUTS[node["class_type"]]
    return {
        "id": node_id,
        "type": node["class_type"],
        "pos": [320 * (order % 4), 240 * (order // 4)],
        "size": {"0": 315, "1": 106},
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": sockets,
        "outputs": [{"name": kind, "type": kind, "slot_index": slot} for slot, kind in enumerate(outputs)],
        "properties": {"Node name for S&R": node["class_type"]},
        "widgets_values": widgets,
    }


def _rows(row_bytes: int, height: int, seed: int, noise: bool) -> bytes:
    """The scan lines, uncompressed. Filter 2 adds the line above, so one line and a step make all others."""
    source = random.Random(seed)
    if noise:
        return b"".join(b"\0" + source.randbytes(row_bytes) for _ in range(height))
    first, step = source.randbytes(row_bytes), source.randrange(1, 8)
    return b"\0" + first + (b"\2" + bytes([step]) * row_bytes) * (height - 1)


def _riff(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _is_latin_1(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True
