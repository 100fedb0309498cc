"""The LoRAs that nodes on a model's way apply to it.

Owns the meaning of the nodes that load LoRAs, the stackers of the better-known node packs among them. Of a node that may
apply LoRAs in a way that is not known nothing is said: an empty list would say that there are none.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.comfyui import graph
from comfyvn_store.asset.readers.comfyui.graph import Node, Nodes, Value

MOST_LORAS = 200
_STACKS = ("lora_stack", "optional_lora_stack")
_STRENGTHS = ("strength_model", "lora_model_strength", "strength")
_COUNTS = ("lora_count", "num_loras")
_MODES = ("input_mode", "mode")
_TEXTS = ("text", "prompt", "populated_text", "wildcard_text", "positive", "negative")
_TOGGLES = ("switch", "toggle", "enabled", "enable", "active")
_ON, _OFF = (True, "On", "on", "True", "true", "enable"), (False, None, "Off", "off", "False", "false", "disable")
_NAMED = re.compile(r"(^|[ _])lora|LoRA|Lora|LORA")


class Lora(NamedTuple):
    """A LoRA as the graph names it, and the strength with which it changes the model."""

    name: Value
    strength: Value


Loras = tuple[Lora, ...] | None  # None if they are not known


class _Form(NamedTuple):
    """How a stacker names a row: the name, its strength where it has one for all, else for the model, and its switch."""

    name: str
    simple: tuple[str, ...]
    other: tuple[str, ...]
    switches: tuple[str, ...] = ()


_FORMS = (
    _Form(
        "lora_name_{}",
        ("lora_wt_{}",),
        ("model_weight_{}", "model_str_{}", "strength_model_{}", "strength_{}"),
        ("switch_{}", "toggle_{}", "enabled_{}", "enable_{}"),
    ),
    _Form("lora_{}_name", ("lora_{}_strength",), ("lora_{}_model_strength",)),
    _Form("lora_{:02}", (), ("strength_{:02}",)),
)
_ROWS: Mapping[str, tuple[int, _Form]] = {
    form.name.format(number): (number, form) for form in _FORMS for number in range(1, 51)
}


def union(*parts: Loras) -> Loras:
    """Gives the LoRAs of several chains, each once; None if those of one are not known."""
    known = [part for part in parts if part is not None]
    return tuple(dict.fromkeys(lora for part in known for lora in part)) if len(known) == len(parts) else None


def applied(nodes: Nodes, node: Node) -> list[Lora] | None:
    """Gives the LoRAs that a node on the model's way applies, its own and those of the stack that is wired to it."""
    nodes.budget.spend(8 + len(node.inputs))
    stacked: list[Lora] = []
    for name in _STACKS:
        if graph.link(node.inputs.get(name)):
            found = _stack(nodes, node.inputs[name])
            if found is None:
                return None
            stacked += found
    if "lora_name" in node.inputs and ("model" in node.inputs or "ckpt_name" in node.inputs):
        own = _single(nodes, node)
        return None if own is None else own + stacked
    own = _rows(nodes, node) if _is_list(node) and "model" in node.inputs else _none(nodes, node)
    return None if own is None else stacked + own


def _none(nodes: Nodes, node: Node) -> list[Lora] | None:
    """No LoRAs, if it is certain that the node applies none: some packs' nodes read them out of a text."""
    stacks = any(graph.link(node.inputs.get(name)) for name in _STACKS)
    if _NAMED.search(node.kind):
        return [] if stacks else None
    if any(_NAMED.search(name) and name not in _STACKS and node.inputs[name] != "None" for name in node.inputs):
        return None
    texts = [value for value in node.inputs.values() if isinstance(value, str)]
    for name in _TEXTS:
        if isinstance(node.inputs.get(name), list) and "clip" in node.inputs:
            text = graph.value_of(nodes, node, name, reading.text)
            if not isinstance(text, str) and not name.startswith(("positive", "negative")):
                return None
            texts.append(str(text))
    return None if any("<lora:" in text.lower() for text in texts) else []


def _single(nodes: Nodes, node: Node) -> list[Lora] | None:
    is_on = _state([node.inputs[name] for name in _TOGGLES if name in node.inputs])
    name = graph.value_of(nodes, node, "lora_name", reading.text)
    if is_on is False or name == "None":  # what the packs' loaders have for none
        return []
    strength = next((name for name in _STRENGTHS if name in node.inputs), "strength")
    return [Lora(name, graph.value_of(nodes, node, strength, reading.number))] if is_on else None


def _state(values: list[Any]) -> bool | None:
    """Whether what switches a LoRA on is on; None if that is not known."""
    if any(not isinstance(value, list | dict) and value in _OFF for value in values):
        return False
    return True if all(not isinstance(value, list | dict) and value in _ON for value in values) else None


def _stack(nodes: Nodes, value: Any) -> list[Lora] | None:
    """The LoRAs of a chain of stacks; those of the first one in it come first."""
    found: list[list[Lora]] = []
    seen: set[str] = set()
    onward = value
    while onward is not None:
        source = graph.source_of(nodes, onward)
        if source is None or source.node in seen or len(seen) > graph.MOST_HOPS:
            return None
        seen.add(source.node)
        node = nodes[source.node]
        nodes.budget.spend(len(node.inputs))
        onward = next((node.inputs[name] for name in _STACKS if graph.link(node.inputs.get(name))), None)
        is_on = _state([node.inputs[name] for name in _TOGGLES if name in node.inputs])
        if is_on is False:  # such a stack gives nothing, not even what comes before it
            break
        rows = _rows(nodes, node) if _is_list(node) else [] if onward is not None and _is_bare(node) else None
        if rows is None or is_on is None:
            return None
        found.append(rows)
    return [lora for rows in reversed(found) for lora in rows]


def _is_bare(node: Node) -> bool:
    return all(name in _STACKS for name in node.inputs)


def _is_list(node: Node) -> bool:
    objects = node.inputs.get("loras")
    has_objects = isinstance(objects, dict | list) and graph.link(objects) is None
    is_power = node.kind == "Power Lora Loader (rgthree)"
    return is_power or has_objects or any(name in _ROWS for name in node.inputs)


def _rows(nodes: Nodes, node: Node) -> list[Lora] | None:
    """The rows of a list of LoRAs, as the node packs write them."""
    objects = node.inputs.get("loras")
    if isinstance(objects, dict):  # LoraManager
        objects = objects.get("__value__")
    if isinstance(objects, list):
        return _objects(objects, "active", "name", reading.written_number)
    rows = [value for value in node.inputs.values() if isinstance(value, dict) and "on" in value and "lora" in value]
    if rows or node.kind == "Power Lora Loader (rgthree)":  # an object for each row of its list
        return _objects(rows, "on", "lora", reading.number)
    return _numbered(nodes, node)


def _objects(rows: list[Any], switch: str, name: str, accept: graph.Accept) -> list[Lora] | None:
    if not all(isinstance(row, dict) and isinstance(row.get(switch), bool) for row in rows):
        return None
    named = [row for row in rows if row[switch] and row.get(name) != "None"]
    return [Lora(reading.text(row.get(name)), accept(row.get("strength"))) for row in named]


def _numbered(nodes: Nodes, node: Node) -> list[Lora] | None:
    counts = [node.inputs[name] for name in _COUNTS if name in node.inputs]
    mode = next((node.inputs[name] for name in _MODES if name in node.inputs), None)
    is_random = "andom" in node.kind or any(name.startswith("chance") for name in node.inputs)
    if is_random or any(type(count) is not int for count in counts) or mode not in ("simple", "advanced", None):
        return None
    found = []
    for number, form in sorted((_ROWS[name] for name in node.inputs if name in _ROWS), key=lambda row: row[0]):
        switches = [each.format(number) for each in form.switches]
        is_on = _state([node.inputs[each] for each in switches if each in node.inputs])
        name = graph.value_of(nodes, node, form.name.format(number), reading.text)
        if number > min(counts, default=number) or name == "None" or is_on is False:
            continue
        if is_on is None:
            return None
        found.append(Lora(name, _strength(nodes, node, form, number, mode)))
    return found


def _strength(nodes: Nodes, node: Node, form: _Form, number: int, mode: Any) -> Value:
    """A row's strength. Where it has one for all and one for the model, the node's mode says which counts."""
    simple, other = (
        [each.format(number) for each in names if each.format(number) in node.inputs]
        for names in (form.simple, form.other)
    )
    names = {"simple": simple, "advanced": other}.get(mode, [*simple, *other])
    is_clear = len(names) == 1 or (bool(names) and not (simple and other))
    return graph.value_of(nodes, node, names[0], reading.number) if is_clear or (mode and names) else None
