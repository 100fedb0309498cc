"""The prompts of a ComfyUI graph: the texts that make a conditioning.

Owns the meaning of the nodes that encode texts and bring conditionings together.
"""

from collections.abc import Iterator
from typing import Any

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.comfyui import graph
from comfyvn_store.asset.readers.comfyui.graph import Node, Nodes, Value

_TEXT_NAMES = (
    *("text", "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "llama", "bert", "mt5xl"),
    *("prompt", "user_prompt", "tags", "lyrics", "populated_text"),
)
# Nodes with these inputs bundle more than conditionings, and the places of their outputs are their own.
_BUNDLES = frozenset(("base_ctx", "basic_pipe", "clip", "context", "ctx", "model", "pipe"))
# Loaders that hold both prompts as texts, and the places of the outputs of each.
_LOADERS = {"Efficient Loader": {1: "positive", 2: "negative"}}


def prompt(nodes: Nodes, value: Any) -> str | None:
    """Gives the texts that make a conditioning, in the order of the graph, each once, joined by newlines.

    None if any part of it cannot be resolved: half of a prompt would pass for all of it.
    """
    places: dict[str, tuple[int, int]] = {}  # each text once: thousands of nodes may have the same
    room = reading.LONGEST_VALUE
    for node, output in _walk(nodes, value):
        own = [] if node is None else _own_texts(nodes, node, output)
        if node is None or not (own or _conditionings(node, output)):
            return None
        for number, text in enumerate(own):
            if not isinstance(text, str):
                return None
            room -= len(text) if text not in places else 0
            if room < 0:
                return None
            places[text] = min(places.get(text, (node.place, number)), (node.place, number))
    if not places:
        return None
    return reading.text("\n".join(text for text in sorted(places, key=lambda text: (places[text], text)) if text))


def guidance(nodes: Nodes, value: Any) -> Value:
    """Gives the guidance that models such as Flux are told with their prompt; None if there is none, or several."""
    found = {
        graph.value_of(nodes, node, "guidance", reading.number)
        for node, _ in _walk(nodes, value)
        if node is not None and "guidance" in node.inputs
    }
    return found.pop() if len(found) == 1 else None


def _walk(nodes: Nodes, value: Any) -> Iterator[tuple[Node | None, int]]:
    """The nodes that make a conditioning with the place of the output that does; None for one that is not there."""
    seen = set()
    pending = [value]
    while pending:
        source = graph.source_of(nodes, pending.pop())
        if source is None:
            yield None, 0
            continue
        node, output = nodes[source.node], min(source.slot, 2)
        if (source.node, output) in seen or "ZeroOut" in node.kind:  # zeroed: no text of it remains
            continue
        seen.add((source.node, output))
        yield node, output
        pending.extend(_conditionings(node, output))


def _own_texts(nodes: Nodes, node: Node, output: int) -> list[Value]:
    name = _LOADERS.get(node.kind, {}).get(output)
    if name is not None:
        return [graph.value_of(nodes, node, name, reading.text)]
    if "TextEncode" not in node.kind and "clip" not in node.inputs:
        return []
    names = [name for name in _TEXT_NAMES if name in node.inputs]
    if "populated_text" in names:  # what its wildcards became; `text` is what they were
        names = ["populated_text"]
    return [graph.value_of(nodes, node, name, reading.text) for name in names]


def _conditionings(node: Node, slot: int) -> list[Any]:
    """The inputs that an output's conditioning is made of.

    A node with `positive` and `negative` inputs has outputs for both, in this order, then others.
    """
    links = {name: value for name, value in node.inputs.items() if graph.link(value)}
    single = [value for name, value in links.items() if name.startswith("cond")]
    if single or slot > 1 or not _BUNDLES.isdisjoint(node.inputs):
        return single
    side = ("positive", "negative")[slot]
    return [value for name, value in links.items() if name.startswith(side)]
