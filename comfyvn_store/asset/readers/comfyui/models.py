"""The model that a ComfyUI graph samples with, and the LoRAs that change it on the way.

Owns the meaning of the nodes that load models and LoRAs, the stackers of the better-known node packs among them.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.comfyui import graph
from comfyvn_store.asset.readers.comfyui.graph import Node, Nodes, Value

_MODEL_NAMES = ("ckpt_name", "unet_name", "model_name", "model", "model_path")
_MOST_LORAS = 200
_STACKS = ("lora_stack", "optional_lora_stack")


class Lora(NamedTuple):
    """A LoRA as the graph names it, and the strength with which it changes the model."""

    name: Value
    strength: Value


def model(nodes: Nodes, value: Any) -> tuple[Value, tuple[Lora, ...]]:
    """Gives the name in the loader at the end of the chain, and the LoRAs in the order in which they are applied.

    A node with one `model` input changes the model and is passed; one that merges several ends the walk.
    """
    loras: list[Lora] = []
    seen = set()
    source = graph.source_of(nodes, value)
    while source is not None and source.node not in seen:
        seen.add(source.node)
        node = nodes[source.node]
        loras.extend(reversed(_loras(nodes, node)))
        source = graph.source_of(nodes, node.inputs.get("model"))
        if source is None and "load" in node.kind.lower():
            name = next((name for name in _MODEL_NAMES if name in node.inputs), "")
            return graph.value_of(nodes, node, name, reading.text), _in_order(loras)
    return None, _in_order(loras)


def _in_order(loras: list[Lora]) -> tuple[Lora, ...]:
    return tuple(reversed(loras[:_MOST_LORAS]))


def _loras(nodes: Nodes, node: Node) -> list[Lora]:
    """The LoRAs that a node on the model's way applies, its own and those of the stack that is wired to it."""
    stacked = [lora for name in _STACKS if name in node.inputs for lora in _stack(nodes, node.inputs[name])]
    if "lora_name" in node.inputs and ("model" in node.inputs or "ckpt_name" in node.inputs):
        strength = next((name for name in _STRENGTHS if name in node.inputs), "strength")
        name = graph.value_of(nodes, node, "lora_name", reading.text)
        if name == "None":  # what the packs' loaders have for none
            return stacked
        return [Lora(name, graph.value_of(nodes, node, strength, reading.number)), *stacked]
    return [*stacked, *_rows(nodes, node)] if "model" in node.inputs else stacked


def _stack(nodes: Nodes, value: Any) -> list[Lora]:
    """The LoRAs of a chain of stacks; those of the first one in it come first."""
    found: list[list[Lora]] = []
    seen: set[str] = set()
    source = graph.source_of(nodes, value)
    while source is not None and source.node not in seen and len(seen) < graph.MOST_HOPS:
        seen.add(source.node)
        node = nodes[source.node]
        rows = _rows(nodes, node)
        onward = next((node.inputs[name] for name in _STACKS if graph.link(node.inputs.get(name))), None)
        if not rows and onward is None and not _has_rows(node):
            rows = [Lora(None, None)]  # a stack of a kind that is not known
        found.append(rows)
        source = graph.source_of(nodes, onward)
    return [lora for rows in reversed(found) for lora in rows][:_MOST_LORAS]


_STRENGTHS = ("strength_model", "lora_model_strength", "strength")
# How the stackers name a row: the name, its strengths in the order of trust, and what switches it on.
_ROWS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "lora_name_{}",
        ("model_weight_{}", "model_str_{}", "lora_wt_{}", "strength_model_{}", "strength_{}"),
        "switch_{}",
    ),
    ("lora_{}_name", ("lora_{}_model_strength", "lora_{}_strength"), ""),
    ("lora_{:02}", ("strength_{:02}",), ""),
)
_COUNTS = ("lora_count", "num_loras")
_NAMED = re.compile(r"lora_(name_)?\d+(_name)?")


def _has_rows(node: Node) -> bool:
    return any(_NAMED.fullmatch(name) for name in node.inputs)


def _rows(nodes: Nodes, node: Node) -> list[Lora]:
    """The rows of a list of LoRAs, as the node packs write them."""
    objects = node.inputs.get("loras")
    if isinstance(objects, dict):  # LoraManager
        objects = objects.get("__value__")
    if isinstance(objects, list) and objects and all(isinstance(row, dict) for row in objects):
        on = [row for row in objects if row.get("active") is True]
        return [Lora(reading.text(row.get("name")), reading.written_number(row.get("strength"))) for row in on]
    # Power Lora Loader (rgthree) has an object for each row of its list.
    rows = [row for row in node.inputs.values() if isinstance(row, dict) and row.get("on") is True]
    if rows:
        return [Lora(reading.text(row["lora"]), reading.number(row.get("strength"))) for row in rows if "lora" in row]
    return list(_numbered(nodes, node))


def _numbered(nodes: Nodes, node: Node) -> Iterator[Lora]:
    count = next((node.inputs[name] for name in _COUNTS if type(node.inputs.get(name)) is int), 50)
    for number in range(1, min(count, 50) + 1):
        for form, strengths, switch in _ROWS:
            name = form.format(number)
            if name not in node.inputs or (switch and node.inputs.get(switch.format(number), "On") != "On"):
                continue
            value = graph.value_of(nodes, node, name, reading.text)
            if value != "None":
                has = [each.format(number) for each in strengths if each.format(number) in node.inputs]
                if node.inputs.get("input_mode") == "simple":
                    has = [each for each in has if "_wt_" in each]
                yield Lora(value, graph.value_of(nodes, node, has[0], reading.number) if has else None)
