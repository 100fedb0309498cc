"""The prompts of a ComfyUI graph: the texts that make a conditioning.

Owns the meaning of the nodes that encode texts and bring conditionings together.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.comfyui import graph
from comfyvn_store.asset.readers.comfyui.graph import Node, Nodes, Value

TEXT_NAMES = (
    *("text", "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "llama", "bert", "mt5xl"),
    *("prompt", "user_prompt", "tags", "lyrics", "populated_text"),
)
# Nodes with these inputs bundle more than conditionings, and the places of their outputs are their own.
_BUNDLES = frozenset(("base_ctx", "basic_pipe", "clip", "context", "ctx", "model", "pipe"))
# Loaders that hold both prompts as texts, and the places of the outputs of each.
_LOADERS = {"Efficient Loader": {1: "positive", 2: "negative"}}


class _Step(NamedTuple):
    """A node that makes a conditioning, the place of the output that does, and what it makes it of.

    `node` is None for one that is not there. Where a node takes several and is not known to join them it is not
    certain that all of them count.
    """

    node: Node | None
    output: int = 0
    onward: tuple[Any, ...] = ()
    is_certain: bool = True


def prompt(nodes: Nodes, value: Any) -> str | None:
    """Gives the texts that make a conditioning, in the order of the graph, each once, joined by newlines.

    None if any part of it cannot be resolved: half of a prompt would pass for all of it. So would one of two between
    which a node chooses, unless both say the same.
    """
    places: dict[str, tuple[int, int]] = {}  # each text once: thousands of nodes may have the same
    room = reading.LONGEST_VALUE
    encoders: set[tuple[Value, ...]] = set()
    is_certain = True
    for node, output, onward, joins in _walk(nodes, value):
        if node is None:
            return None
        own = () if _zeroes(node) else tuple(_own_texts(nodes, node, output))
        if own or not onward:
            encoders.add(own)
        if not (own or onward or _zeroes(node)):
            return None
        for number, text in enumerate(own):
            if not isinstance(text, str):
                return None
            room -= len(text) if text not in places else 0
            if room < 0:
                return None
            places[text] = min(places.get(text, (node.place, number)), (node.place, number))
        is_certain = is_certain and joins
    if not places or not (is_certain or len(encoders) == 1):
        return None
    return reading.text("\n".join(text for text in sorted(places, key=lambda text: (places[text], text)) if text))


def guidance(nodes: Nodes, value: Any) -> Value:
    """Gives the guidance that models such as Flux are told with their prompt; None if there is none, or several."""
    found: set[Value] = set()
    for node, _, onward, _ in _walk(nodes, value, "guidance"):
        if node is None or node.kind == "FluxDisableGuidance":
            found.add(None)
        elif "guidance" in node.inputs:
            found.add(graph.value_of(nodes, node, "guidance", reading.number))
        elif not onward:
            found.add(None)
    return found.pop() if len(found) == 1 else None


def stage_c(nodes: Nodes, value: Any) -> list[Any]:
    """Gives the links to the latents of Stable Cascade's stage C that a conditioning of its stage B is made of."""
    steps = (step.node for step in _walk(nodes, value))
    return [node.inputs.get("stage_c") for node in steps if node and node.kind == "StableCascade_StageB_Conditioning"]


def _walk(nodes: Nodes, value: Any, until: str = "") -> Iterator[_Step]:
    """Walks the nodes that make a conditioning; `until` is an input with which a node settles what is looked for."""
    seen = set()
    pending = [value]
    while pending:
        source = graph.source_of(nodes, pending.pop())
        if source is None:
            yield _Step(None)
            continue
        node, output = nodes[source.node], min(source.slot, 2)
        if (source.node, output) in seen:
            continue
        seen.add((source.node, output))
        nodes.budget.spend(4 + len(node.inputs))
        ends = (until and (until in node.inputs or node.kind == "FluxDisableGuidance")) or (
            not until and _zeroes(node)  # zeroed: no text of it remains
        )
        onward, is_certain = ((), True) if ends else _conditionings(nodes, node, output)
        yield _Step(node, output, tuple(onward), is_certain)
        pending.extend(onward)


def _zeroes(node: Node) -> bool:
    return "ZeroOut" in node.kind


def _own_texts(nodes: Nodes, node: Node, output: int) -> list[Value]:
    name = _LOADERS.get(node.kind, {}).get(output)
    if name is not None:
        return [graph.value_of(nodes, node, name, reading.text)]
    if "TextEncode" not in node.kind and "clip" not in node.inputs:
        return []
    names = [name for name in TEXT_NAMES if name in node.inputs]
    if "populated_text" in names:  # what its wildcards became; `text` is what they were
        names = ["populated_text"]
    elif "ildcard" in node.kind or "NSP" in node.kind:  # what they become is not in the graph
        return [None]
    elif node.kind == "smZ CLIPTextEncode":
        is_xl = node.inputs.get("with_SDXL")
        if not isinstance(is_xl, bool):
            return [None]
        names = ["text_g", "text_l"] if is_xl else ["text"]
    return [graph.value_of(nodes, node, name, reading.text) for name in names]


def _conditionings(nodes: Nodes, node: Node, slot: int) -> tuple[list[Any], bool]:
    """The inputs that an output's conditioning is made of, and whether all of them count.

    A node with `positive` and `negative` inputs has outputs for both, in this order, then others.
    """
    links = {name: value for name, value in node.inputs.items() if graph.link(value)}
    if node.kind == "ConditioningAverage":
        return _averaged(nodes, node)
    found = [value for name, value in links.items() if name.startswith("cond")]
    if not (found or slot > 1 or not _BUNDLES.isdisjoint(node.inputs)):
        side = ("positive", "negative")[slot]
        found = [value for name, value in links.items() if name.startswith(side)]
    return found, len(found) < 2 or "Combine" in node.kind or "Concat" in node.kind


def _averaged(nodes: Nodes, node: Node) -> tuple[list[Any], bool]:
    """At strength 1 only the one input counts, at 0 only the other."""
    both = [node.inputs.get("conditioning_to"), node.inputs.get("conditioning_from")]
    strength = graph.value_of(nodes, node, "conditioning_to_strength", reading.number)
    if strength in (0, 1):
        return (both[:1] if strength else both[1:]), True
    return both, isinstance(strength, int | float) and 0 < strength < 1
