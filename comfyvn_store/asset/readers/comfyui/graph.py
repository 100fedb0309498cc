"""ComfyUI's API graph as nodes and links, and the ways of walking it.

Owns the shapes of nodes, links and values, and how far one reading walks. Every walk is bounded and keeps no stack, so
that rings, missing nodes and links of odd shapes end it and raise nothing but `Exhausted`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from comfyvn_store.asset.readers.comfyui.carriers import CARRIERS, SWITCHES, changed, changes, chosen
from comfyvn_store.asset.readers.reading import LONGEST_VALUE

Value = str | int | float | None
Accept = Callable[[Any], Value]
Read = TypeVar("Read")

MOST_INPUTS = 50_000  # of all nodes: real graphs have hundreds; of a larger one nothing is read, to save time
MOST_HOPS = 100  # a chain of nodes that only hand on is shorter; also ends a ring of them
MOST_STEPS = 150_000  # of all walks of one reading, which take a second at most; real graphs take some thousands
_LETTERS_PER_STEP = 64


class Exhausted(Exception):
    """A reading has walked further than any real graph takes, so nothing of it is known."""


class Budget:
    """How many steps a reading may still take."""

    def __init__(self, steps: int = MOST_STEPS) -> None:
        self._left = steps

    def spend(self, steps: int = 1) -> None:
        """Counts steps that are taken now. Raises `Exhausted` if they are too many."""
        self._left -= steps
        if self._left < 0:
            raise Exhausted


class Node(NamedTuple):
    """A node: its class, its inputs (values and links), and its place in the graph as written."""

    kind: str
    inputs: Mapping[str, Any]
    place: int


class Nodes(dict[str, Node]):
    """The nodes of a graph by their ids, the steps that may still be taken between them, and what was read of them."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        super().__init__(nodes)
        self.budget = Budget()
        self._known: dict[tuple[Callable[..., Any], object], Any] = {}

    def once(self, read: Callable[..., Read], value: Any) -> Read:
        """Gives what `read` says of these nodes and a link, which it is asked only once."""
        key = (read, source_of(self, value))
        if key[1] is None:
            return read(self, value)
        if key not in self._known:
            self._known[key] = read(self, value)
        found: Read = self._known[key]
        return found


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
    return Nodes(nodes if sum(len(node.inputs) for node in nodes.values()) <= MOST_INPUTS else {})


def link(value: Any) -> Source | None:
    """Gives what a link leads to: a list of a node's id and an output's place; None for any other value."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    name, slot = value
    if type(slot) is not int or slot < 0 or type(name) not in (str, int):
        return None
    return Source(str(name), slot)


def source_of(nodes: Nodes, value: Any) -> Source | None:
    """Gives the output that a link leads to, past reroutes and past switches whose choice is known.

    None if the graph has no such node.
    """
    for _ in range(MOST_HOPS):
        nodes.budget.spend()
        source = link(value)
        node = nodes.get(source.node) if source else None
        if source is None or node is None:
            return None
        if _is_reroute(node):
            value = _only(node)
            continue
        name = choice(nodes, node) if source.slot == 0 else None
        if name is None or link(node.inputs[name]) is None:
            return source
        value = node.inputs[name]
    return None


def choice(nodes: Nodes, node: Node) -> str | None:
    """Gives the name of the input that a known switch gives; None for any other node, and where it is unclear."""
    if node.kind not in SWITCHES:
        return None
    select = next((node.inputs[name] for name in SWITCHES[node.kind][0].split() if name in node.inputs), None)
    for _ in range(MOST_HOPS):
        source = link(select)
        if source is None:
            break
        nodes.budget.spend()
        giver = nodes.get(source.node)
        if giver is None or source.slot != 0:
            return None
        select = _only(giver) if _is_reroute(giver) else _carried(giver)
    name = chosen(node.kind, select)
    return name if name is not None and name in node.inputs else None


def is_unclear_switch(nodes: Nodes, node: Node) -> bool:
    """Whether a node gives one of several inputs, and which one is not known."""
    is_switch = node.kind in SWITCHES or "switch" in node.kind.lower()
    several = is_switch and sum(link(value) is not None for value in node.inputs.values()) > 1
    return several and choice(nodes, node) is None


def consumed(nodes: Nodes) -> set[str]:
    """Gives the nodes whose outputs another one takes."""
    links = (link(value) for node in nodes.values() for value in node.inputs.values())
    return {link.node for link in links if link}


def above(nodes: Nodes, names: Iterable[str]) -> list[str]:
    """Gives the nodes that feed the named ones directly, each once. Of a known switch only what it gives feeds it."""
    found: dict[str, None] = {}
    for name in names:
        node = nodes[name]
        nodes.budget.spend(1 + len(node.inputs) // 4)
        only = choice(nodes, node)
        values = node.inputs.values() if only is None else (node.inputs[only],)
        for each in map(link, values):
            if each is not None and each.node in nodes:
                found[each.node] = None
    return list(found)


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
    through: list[Node] = []
    for _ in range(MOST_HOPS):
        if not isinstance(value, list):
            break
        source = source_of(nodes, value)
        if source is None or source.slot != 0:
            return None
        node = nodes[source.node]
        value = _given(nodes, node)
        if node.kind == "StringConcatenate":
            value = _concatenated(nodes, node)
            break
        through.append(node)
    else:
        return None
    if isinstance(value, str):
        nodes.budget.spend(min(len(value), LONGEST_VALUE + 1) // _LETTERS_PER_STEP)
        if len(value) > LONGEST_VALUE:
            return None
    for node in reversed(through):
        value = changed(node.kind, node.inputs, value)
    return accept(value)


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
        value = node if node.kind == "StringConcatenate" else _given(nodes, node)
        if isinstance(value, list) and changes(node.kind):
            return None
        pending.append((changed(node.kind, node.inputs, value), depth))
    return "".join(parts)


def _is_reroute(node: Node) -> bool:
    return "reroute" in node.kind.lower()


def _only(node: Node) -> Any:
    return next(iter(node.inputs.values())) if len(node.inputs) == 1 else None


def _given(nodes: Nodes, node: Node) -> Any:
    """What a node hands on at its first output, a value or a link; None if it may compute it."""
    name = choice(nodes, node)
    return _carried(node) if name is None else node.inputs[name]


def _carried(node: Node) -> Any:
    return node.inputs.get(CARRIERS[node.kind]) if node.kind in CARRIERS else None
