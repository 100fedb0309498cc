"""The model that a ComfyUI graph samples with, and the LoRAs that change it on the way.

Owns the meaning of the nodes that load models and of those that hand them on.
"""

from typing import Any

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.comfyui import graph
from comfyvn_store.asset.readers.comfyui.graph import Node, Nodes, Value
from comfyvn_store.asset.readers.comfyui.loras import MOST_LORAS, Lora, Loras, applied

_MODEL_NAMES = ("ckpt_name", "unet_name", "model_name", "model", "model_path")
# Inputs whose names begin as a model's do, and which are none.
_NO_MODELS = ("model_name", "model_path", "model_patch", "model_str", "model_type", "model_weight")
_MOST_BRANCHINGS = 3


def model(nodes: Nodes, value: Any, branchings: int = 0) -> tuple[Value, Loras]:
    """Gives the name in the loader at the end of the chain, and the LoRAs in the order in which they are applied.

    A node with one `model` input changes the model and is passed. One that takes more models ends the walk, unless all
    of them are the same; so does one that merges them. Where the chain is not followed to its end neither the name nor
    the LoRAs are known.
    """
    loras: list[Lora] = []
    is_known = True
    seen = set()
    source = graph.source_of(nodes, value)
    while source is not None and source.node not in seen:
        seen.add(source.node)
        node = nodes[source.node]
        own = applied(nodes, node)
        loras.extend(reversed(own or ()))
        is_known = is_known and own is not None and len(loras) <= MOST_LORAS
        onward = _models(node) if graph.link(node.inputs.get("model")) else []
        if len(onward) > 1:
            name, beyond = _common(nodes, onward, branchings)
            return name, (*beyond, *reversed(loras)) if is_known and beyond is not None else None
        if not onward and "load" in node.kind.lower():
            place = next((name for name in _MODEL_NAMES if name in node.inputs), "")
            name = graph.value_of(nodes, node, place, reading.text)
            return name, tuple(reversed(loras)) if is_known else None
        source = graph.source_of(nodes, onward[0]) if onward else None
    return None, None


def _models(node: Node) -> list[Any]:
    named = [name for name in node.inputs if name.startswith("model")]
    return [node.inputs[name] for name in named if not name.startswith(_NO_MODELS) and graph.link(node.inputs[name])]


def _common(nodes: Nodes, links: list[Any], branchings: int) -> tuple[Value, Loras]:
    """What the models have in common that a node takes."""
    if branchings == _MOST_BRANCHINGS:
        return None, None
    found = {model(nodes, each, branchings + 1) for each in links}
    names, loras = {name for name, _ in found}, {loras for _, loras in found}
    return (names.pop() if len(names) == 1 else None), (loras.pop() if len(loras) == 1 else None)
