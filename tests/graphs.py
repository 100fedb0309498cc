"""ComfyUI's graphs made by code, and what is read from them."""

import json
import struct
import zlib
from typing import Any

from comfyvn_store.asset.readers import comfyui
from comfyvn_store.asset.readers.entries import Entries
from comfyvn_store.asset.readers.reading import Reading

Graph = dict[str, Any]

KEYS = [
    "seed",
    "model",
    "loras",
    "sampler",
    "scheduler",
    "steps",
    "cfg",
    "denoise",
    "positive",
    "negative",
    "images",
]
MORE = ("guidance", "refiner", "other_models")  # these are there only where they are known
NOTHING: Graph = {key: [] if key in ("loras", "images") else None for key in KEYS}


def node(kind: str, **inputs: Any) -> Graph:
    return {"class_type": kind, "inputs": inputs}


def basic(**changes: Any) -> Graph:
    """A text-to-picture graph; `changes` add or replace nodes by id (after an underscore), None removes."""
    graph = {
        "3": node(
            "KSampler",
            seed=42,
            steps=20,
            cfg=7.5,
            sampler_name="euler",
            scheduler="karras",
            denoise=1.0,
            model=["4", 0],
            positive=["6", 0],
            negative=["7", 0],
            latent_image=["5", 0],
        ),
        "4": node("CheckpointLoaderSimple", ckpt_name="sub/dream.safetensors"),
        "5": node("EmptyLatentImage", width=512, height=512, batch_size=1),
        "6": node("CLIPTextEncode", text="a cat", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="bad", clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", images=["8", 0], filename_prefix="x"),
    }
    for key, value in changes.items():
        graph.pop(key[1:], None)
        if value is not None:
            graph[key[1:]] = value
    return graph


def sampler(**inputs: Any) -> Graph:
    return {"class_type": "KSampler", "inputs": {**basic()["3"]["inputs"], **inputs}}


def read_texts(texts: dict[str, str]) -> Reading | None:
    return comfyui.read(Entries("image/png", texts))


def inputs_of(graph: Any) -> dict[str, Any]:
    generation = read_texts({"prompt": json.dumps(graph)})
    assert generation is not None
    assert [key for key in generation.inputs if key not in MORE] == KEYS
    return generation.inputs


def ui_of(graph: Graph) -> dict[str, Any]:
    generation = read_texts({"workflow": json.dumps(graph)})
    assert generation is not None and generation.prompt is None and generation.workflow is not None
    assert [key for key in generation.inputs if key not in MORE] == [*KEYS, "graph"]
    assert generation.inputs.pop("graph") == "workflow"
    return generation.inputs


def ui_basic() -> Graph:
    """A text-to-picture graph of the editor; node 10 is a primitive, 11 a reroute, 12 a LoRA."""

    def socket(name: str, kind: str, link: int) -> Graph:
        return {"name": name, "type": kind, "link": link}

    kinds = {
        1: "MODEL",
        2: "CLIP",
        3: "CLIP",
        4: "CONDITIONING",
        5: "CONDITIONING",
        6: "LATENT",
        7: "INT",
        8: "IMAGE",
    }
    ends = {1: (12, 0), 2: (4, 1), 3: (4, 1), 4: (11, 0), 5: (7, 0), 6: (3, 0), 7: (10, 0), 8: (8, 0)}
    links = [[key, *end, 0, 0, kinds[key]] for key, end in ends.items()]
    links += [[9, 6, 0, 11, 0, "CONDITIONING"], [10, 4, 0, 12, 0, "MODEL"]]
    wired = [
        ("model", "MODEL", 1),
        ("positive", "CONDITIONING", 4),
        ("negative", "CONDITIONING", 5),
        ("seed", "INT", 7),
    ]
    return {
        "last_node_id": 12,
        "version": 0.4,
        "links": links,
        "nodes": [
            {
                "id": 3,
                "type": "KSampler",
                "inputs": [socket(*each) for each in wired],
                "widgets_values": [1, "randomize", 20, 7, "euler", "normal", 1],
            },
            {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["dream"]},
            {
                "id": 6,
                "type": "CLIPTextEncode",
                "inputs": [socket("clip", "CLIP", 2)],
                "widgets_values": ["cat"],
            },
            {
                "id": 7,
                "type": "CLIPTextEncode",
                "inputs": [socket("clip", "CLIP", 3)],
                "widgets_values": ["bad"],
            },
            {
                "id": 8,
                "type": "VAEDecode",
                "inputs": [socket("samples", "LATENT", 6)],
                "widgets_values": None,
            },
            {"id": 9, "type": "SaveImage", "inputs": [socket("images", "IMAGE", 8)], "widgets_values": ["x"]},
            {"id": 10, "type": "PrimitiveNode", "widgets_values": [99, "fixed"]},
            {"id": 11, "type": "Reroute", "inputs": [socket("", "*", 9)]},
            {
                "id": 12,
                "type": "LoraLoaderModelOnly",
                "inputs": [socket("model", "MODEL", 10)],
                "widgets_values": ["a", 0.5],
            },
        ],
    }


def ui_node(graph: Graph, number: int) -> Graph:
    return next(each for each in graph["nodes"] if each["id"] == number)


def png_texts(data: bytes) -> dict[str, str]:
    """The text chunks of a PNG (its specification, section 11.3.3)."""
    texts = {}
    at = 8
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        at += 12 + size
        keyword, _, rest = body.partition(b"\0")
        if kind == b"tEXt":
            value = rest
        elif kind == b"zTXt":
            value = zlib.decompress(rest[1:])
        elif kind == b"iTXt":
            value = rest[2:].split(b"\0", 2)[2]
            value = zlib.decompress(value) if rest[0] else value
        else:
            continue
        texts[keyword.decode("latin-1")] = value.decode("utf-8" if kind == b"iTXt" else "latin-1")
    return texts
