"""ComfyUI's API graph as nodes and links, and the ways of walking it.

Owns the shapes of nodes, links and values. Every walk is bounded and keeps no stack, so that rings, missing
nodes and links of odd shapes end it and raise nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from comfyvn_store.asset.readers.reading import LONGEST_VALUE, number

Value = str | int | float | None
Accept = Callable[[Any], Value]

MOST_INPUTS = 50_000  # of all nodes: real graphs have hundreds; of a larger one nothing is read, to save time
MOST_HOPS = 100  # a chain of nodes that only hand on is shorter; also ends a ring of them

# Nodes that hand on a value which stands in one of their inputs.
_CARRIERS: Mapping[str, str] = {
    "CR Seed": "seed",
    "CR Text": "text",
    "CR Prompt Text": "prompt",
    "FloatConstant": "value",
    "INTConstant": "value",
    "ImpactFloat": "value",
    "ImpactInt": "value",
    "ImpactWildcardProcessor": "populated_text",
    "Int Literal": "int",
    "PrimitiveFloat": "value",
    "PrimitiveInt": "value",
    "PrimitiveString": "value",
    "PrimitiveStringMultiline": "value",
    "Seed (rgthree)": "seed",
    "Seed Everywhere": "seed",
    "ShowText|pysssss": "text",
    "String Literal": "string",
    "StringConstant": "string",
    "StringConstantMultiline": "string",
    "Text Multiline": "text",
    "easy float": "value",
    "easy int": "value",
    "easy negative": "negative",
    "easy positive": "positive",
    "easy seed": "seed",
    "easy string": "value",
    "ttN seed": "seed",
    "ttN text": "text",
}
# Of a node that is not known, a number under one of these names is its value if it is all that the node has.
_NUMBER_NAMES = frozenset(("value", "seed", "noise_seed", "int", "float", "number"))


class Node(NamedTuple):
    """A node: its class, its inputs (values and links), and its place in the graph as written."""

    kind: str
    inputs: Mapping[str, Any]
    place: int


Nodes = Mapping[str, Node]


class Source(NamedTuple):
    """One output of one node."""

    node: str
    slot: int


def read_nodes(api: Mapping[str, Any]) -> Nodes:
    """Gives the complete nodes of an API graph by their ids; none if they have more than `MOST_INPUTS`."""
    nodes = {}
    for place, (name, node) in enumerate(api.items()):
        if isinstance(node, dict):
            kind, inputs = node.get("class_type"), node.get("inputs")
            if isinstance(kind, str) and isinstance(inputs, dict):
                nodes[name] = Node(kind, inputs, place)
    return nodes if sum(len(node.inputs) for node in nodes.values()) <= MOST_INPUTS else {}


def link(value: Any) -> Source | None:
    """Gives what a link leads to: a list of a node's id and an output's place; None for any other value."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    name, slot = value
    if type(slot) is not int or slot < 0 or type(name) not in (str, int):
        return None
    return Source(str(name), slot)


def source_of(nodes: Nodes, value: Any) -> Source | None:
    """Gives the output that a link leads to, reroutes skipped; None if the graph has no such node."""
    for _ in range(MOST_HOPS):
        source = link(value)
        node = nodes.get(source.node) if source else None
        if node is None or "reroute" not in node.kind.lower():
            return source if node else None
        value = _only(node)
    return None


def above(nodes: Nodes, names: Iterable[str]) -> list[str]:
    """Gives the nodes that feed the named ones directly, each once."""
    links = (link(value) for name in names for value in nodes[name].inputs.values())
    return list(dict.fromkeys(link.node for link in links if link and link.node in nodes))


def ancestry(nodes: Nodes, names: Iterable[str]) -> set[str]:
    """Gives all nodes that feed the named ones. A named one is in it only if it feeds a named one too."""
    seen: set[str] = set()
    level = above(nodes, names)
    while level:
        seen.update(level)
        level = [name for name in above(nodes, level) if name not in seen]
    return seen


def value_of(nodes: Nodes, node: Node | None, name: str, accept: Accept) -> Value:
    """Gives an input's value, followed through nodes that only hand one on; None if `accept` refuses it."""
    value = node.inputs.get(name) if node is not None else None
    for _ in range(MOST_HOPS):
        if not isinstance(value, list):
            return accept(value)
        source = source_of(nodes, value)
        if source is None or source.slot != 0:
            return None
        node = nodes[source.node]
        if node.kind == "StringConcatenate":
            return accept(_concatenated(nodes, node))
        value = _carried(node)
    return None


def _concatenated(nodes: Nodes, node: Node) -> str | None:
    """What ComfyUI's own node makes of two texts, each of which may come from another such node."""
    parts: list[str] = []
    pending: list[tuple[Any, int]] = [(node, 0)]
    room = LONGEST_VALUE
    while pending:
        item, depth = pending.pop()
        if isinstance(item, str):
            parts.append(item)
            room -= len(item)
            if room < 0:  # measured before it is joined: the same text may stand in it thousands of times
                return None
            continue
        if isinstance(item, Node):
            names = ("string_a", "delimiter", "string_b")
            pending += ((item.inputs.get(name), depth + 1) for name in reversed(names))
            if depth > MOST_HOPS // 4 or len(pending) + len(parts) > MOST_INPUTS // 100:
                return None
            continue
        source = source_of(nodes, item)
        if source is None or source.slot != 0:
            return None
        node = nodes[source.node]
        pending.append((node if node.kind == "StringConcatenate" else _carried(node), depth))
    return "".join(parts)


def _only(node: Node) -> Any:
    return next(iter(node.inputs.values())) if len(node.inputs) == 1 else None


def _carried(node: Node) -> Any:
    if node.kind in _CARRIERS:
        return node.inputs.get(_CARRIERS[node.kind])
    names = [name for name in node.inputs if name != "control_after_generate"]
    if len(names) == 1 and names[0] in _NUMBER_NAMES:
        return number(node.inputs[names[0]])
    return None
