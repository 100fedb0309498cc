"""The inputs of a ComfyUI graph: which samplers made what it saves, what they were told, what was loaded.

Owns the choice of the outputs and samplers that count, and the keys of `inputs`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.comfyui import graph
from comfyvn_store.asset.readers.comfyui.graph import Node, Nodes, Value
from comfyvn_store.asset.readers.comfyui.sampler import read_settings

_MOST_SAMPLERS = 16  # whose pictures are joined into one; more are not read
_LONGEST_NAME = 1024
_MOST_NAMES = 500
_LOADED = ("image", "video", "audio", "file")  # how loaders of pictures, movies and sounds call what they load

_SAMPLERS = frozenset(("KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced"))


def read_inputs(api: Mapping[str, Any]) -> dict[str, Any]:
    """Gives an API graph's inputs: always these keys in this order, None for what is unknown, and two more if known.

    They are those of the last sampler before what the graph saves. Where several samplers that do not feed
    one another lead there, a value on which they differ is unknown, and `loras` are those of all of them. A
    LoRA whose name or strength cannot be resolved has None for it.
    """
    nodes = graph.read_nodes(api)
    outputs, samplers = _outputs(nodes)
    if len(samplers) > _MOST_SAMPLERS:
        samplers = []
    found = [read_settings(nodes, nodes[name]) for name in samplers]
    loras = list(found[0].loras) if found else []
    for settings in found[1:]:
        loras.extend(lora for lora in settings.loras if lora not in loras)
    more = {
        "guidance": _agreed(settings.guidance for settings in found),
        "refiner": _agreed(settings.refiner for settings in found),
    }
    return {
        "seed": _agreed(settings.seed for settings in found),
        "model": _agreed(settings.model for settings in found),
        "loras": [lora._asdict() for lora in loras],
        "sampler": _agreed(settings.sampler for settings in found),
        "scheduler": _agreed(settings.scheduler for settings in found),
        "steps": _agreed(settings.steps for settings in found),
        "cfg": _agreed(settings.cfg for settings in found),
        "denoise": _agreed(settings.denoise for settings in found),
        "positive": _agreed(settings.positive for settings in found),
        "negative": _agreed(settings.negative for settings in found),
        "images": _images(nodes, outputs),
        **{key: value for key, value in more.items() if value is not None},
    }


def _agreed(values: Iterable[Value]) -> Value:
    distinct = list(dict.fromkeys(values))
    return distinct[0] if len(distinct) == 1 else None


def _outputs(nodes: Nodes) -> tuple[list[str], list[str]]:
    """The nodes whose pictures count, and the last samplers before them.

    What saves comes before what only shows; without either, what nothing consumes. Of the samplers first met
    on the way up those count that feed no other of them: the second pass, not the first saved beside it.
    """
    consumed = set(graph.above(nodes, nodes))
    ends = [name for name in nodes if name not in consumed]
    saving = [name for name, node in nodes.items() if _saves(node.kind, name in consumed)]
    showing = [name for name, node in nodes.items() if "Preview" in node.kind]
    tiers = [tier for tier in (saving, showing, ends) if tier]
    for tier in tiers:
        samplers = _nearest_samplers(nodes, tier)
        if samplers:
            earlier = graph.ancestry(nodes, samplers)
            return tier, [name for name in samplers if name not in earlier] or samplers
    return (tiers[0] if tiers else []), []


def _saves(kind: str, is_consumed: bool) -> bool:
    return kind.startswith("Save") or "VideoCombine" in kind or ("save" in kind.lower() and not is_consumed)


def _nearest_samplers(nodes: Nodes, outputs: list[str]) -> list[str]:
    """The samplers met on the way up from the outputs, none of them beyond another."""
    found: list[str] = []
    seen: set[str] = set()
    level = outputs
    while level:
        seen.update(level)
        found.extend(name for name in level if _is_sampler(nodes[name]))
        onward = [name for name in level if not _is_sampler(nodes[name])]
        level = [name for name in graph.above(nodes, onward) if name not in seen]
    return found


def _is_sampler(node: Node) -> bool:
    """By name, or by what samplers have: the node packs have dozens (detailers, upscalers that sample)."""
    has = node.inputs.keys()
    return (
        node.kind in _SAMPLERS
        or {"seed", "steps", "cfg"} <= has
        or {"noise_seed", "steps", "cfg"} <= has
        or {"sampler", "sigmas"} <= has
    )


def _images(nodes: Nodes, outputs: list[str]) -> list[str]:
    """The names of the loaded pictures, movies and sounds that feed the outputs; some nodes hold the data instead."""
    feeding = graph.ancestry(nodes, outputs).union(outputs)
    names: list[str] = []
    for key, node in nodes.items():
        kind = node.kind.lower()
        if key in feeding and "load" in kind and "base64" not in kind:
            place = next((place for place in _LOADED if place in node.inputs), "image")
            name = graph.value_of(nodes, node, place, reading.text)
            if isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and len(names) < _MOST_NAMES:
                names.append(name)
    return list(dict.fromkeys(names))
