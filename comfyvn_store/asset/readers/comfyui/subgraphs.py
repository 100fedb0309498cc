"""The editor's subgraphs, opened: a UI graph with the nodes of its subgraphs in place of their instances.

Owns what an instance is: a node whose type is the id of a definition in `definitions.subgraphs`. Inside a definition, links
from node -10 come from the instance's inputs and links to node -20 lead to its outputs. A widget that an instance shows
holds its value in the instance, where its place among the values is told soundly; elsewhere the value is unknown.
"""

from collections.abc import Mapping
from typing import Any

from comfyvn_store.asset.readers.comfyui.graph import Budget, Exhausted

_DEEPEST = 8
_MOST_NODES = 5000
_MOST_STEPS = 50_000  # nodes, sockets and links looked at, in all instances together
_INPUTS, _OUTPUTS = -10, -20
_MUTED, _BYPASSED = 2, 4
_TYPES: Mapping[str, tuple[type, ...]] = {"BOOLEAN": (bool,), "FLOAT": (int, float), "INT": (int,), "STRING": (str,)}
_CONTROLS = ("fixed", "increment", "decrement", "randomize")


def opened(workflow: Mapping[str, Any]) -> Mapping[str, Any]:
    """Gives the graph with its subgraphs opened, or as it is if it has none. Raises `Exhausted` if there are too many."""
    definitions = _definitions(workflow)
    if not definitions:
        return workflow
    flat = _Flat(definitions)
    flat.add(workflow, "", 0)
    return {"nodes": flat.nodes, "links": flat.links}


def _definitions(workflow: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    pending = [workflow]
    for _ in range(_MOST_NODES):
        if not pending:
            break
        definitions = pending.pop().get("definitions")
        for each in _dicts(definitions.get("subgraphs") if isinstance(definitions, dict) else None):
            if isinstance(each.get("id"), str) and each["id"] not in found:
                found[each["id"]] = each
                pending.append(each)
    return found


class _Flat:
    """The nodes and links that came together so far. Ids get the ids of the instances around them in front."""

    def __init__(self, definitions: Mapping[str, Mapping[str, Any]]) -> None:
        self._definitions = definitions
        self.nodes: list[dict[str, Any]] = []
        self.links: list[list[Any]] = []
        self._budget = Budget(_MOST_STEPS)

    def add(self, level: Mapping[str, Any], prefix: str, depth: int) -> None:
        self._budget.spend(1 + sum(_length(level.get(key)) for key in ("nodes", "links", "inputs")))
        links = list(_links(level.get("links")))
        opened_here = {
            str(node.get("id"))
            for node in _dicts(level.get("nodes"))
            if self._definition(node) is not None and depth < _DEEPEST
        }
        for number, origin, slot, target, place in links:
            if origin == str(_INPUTS):
                origin, slot = f"in{slot}", 0
            elif origin in opened_here:
                origin, slot = f"{origin}:out{slot}", 0
            self._link(f"{prefix}{number}", f"{prefix}{origin}", slot)
            if target == str(_OUTPUTS):
                self._reroute(f"{prefix}out{place}", f"{prefix}{number}")
        for node in _dicts(level.get("nodes")):
            if len(self.nodes) > _MOST_NODES:
                raise Exhausted
            self._budget.spend(_length(node.get("inputs")) + _length(node.get("widgets_values")))
            key = f"{prefix}{node.get('id')}"
            definition = self._definition(node)
            if definition is None or depth >= _DEEPEST:
                self._plain(node, key, prefix)
            else:
                self._instance(node, definition, key, prefix, depth)

    def _definition(self, node: Mapping[str, Any]) -> Mapping[str, Any] | None:
        kind = node.get("type")
        is_run = node.get("mode") not in (_MUTED, _BYPASSED)
        return self._definitions.get(kind) if isinstance(kind, str) and is_run else None

    def _plain(self, node: Mapping[str, Any], key: str, prefix: str) -> None:
        sockets = [
            {**socket, "link": f"{prefix}{socket['link']}"} if socket.get("link") is not None else socket
            for socket in _dicts(node.get("inputs"))
        ]
        self.nodes.append({**node, "id": key, "inputs": sockets})

    def _instance(
        self, node: Mapping[str, Any], definition: Mapping[str, Any], key: str, prefix: str, depth: int
    ) -> None:
        inside = f"{key}:"
        given = {str(socket.get("name")): socket for socket in _dicts(node.get("inputs"))}
        values = _values(node, _dicts(definition.get("inputs")))
        for slot, each in enumerate(_dicts(definition.get("inputs"))):
            socket = given.get(str(each.get("name")), {})
            if socket.get("link") is not None:
                self._reroute(f"{inside}in{slot}", f"{prefix}{socket['link']}")
            elif each.get("name") in values:
                value = values[each["name"]]
                self.nodes.append({"id": f"{inside}in{slot}", "type": "PrimitiveNode", "widgets_values": [value]})
        self.add(definition, inside, depth + 1)

    def _reroute(self, key: str, link: str) -> None:
        self.nodes.append({"id": key, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": link}]})

    def _link(self, number: str, origin: str, slot: int) -> None:
        self.links.append([number, origin, slot])


def _values(node: Mapping[str, Any], inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """What an instance's own widgets hold, by the names of the definition's inputs.

    Only if there is one value for each, of the type of its input, and the sockets are in the definition's order: the
    editor lists the values in that order, and another one leaves open which value is whose.
    """
    values = node.get("widgets_values")
    kinds = {each["name"]: each.get("type") for each in inputs if isinstance(each.get("name"), str)}
    if isinstance(values, dict):
        found = {name: value for name, value in values.items() if name in kinds}
        return found if all(_fits(value, kinds[name]) for name, value in found.items()) else {}
    properties = node.get("properties")
    proxies = properties.get("proxyWidgets") if isinstance(properties, dict) else None
    if isinstance(proxies, list):  # pairs of an inner node, or -1 for an input of its own, and the widget's name
        names = [
            pair[1] if isinstance(pair, list) and len(pair) >= 2 and str(pair[0]) == "-1" else None for pair in proxies
        ]
    else:
        names = [socket.get("name") for socket in _dicts(node.get("inputs")) if isinstance(socket.get("widget"), dict)]
        places = {name: place for place, name in enumerate(kinds)}
        order = [places.get(str(name), -1) for name in names]
        if order != sorted(order):
            return {}
    if not isinstance(values, list) or len(values) != len(names):
        return {}
    pairs = [(name, value) for name, value in zip(names, values, strict=True) if isinstance(name, str)]
    return dict(pairs) if all(_fits(value, kinds.get(name)) for name, value in pairs) else {}


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of an input's type; a text that stands in the menu after a seed may be such a menu's."""
    types = _TYPES.get(kind) if isinstance(kind, str) else None
    if types is None:
        return True
    return isinstance(value, types) and isinstance(value, bool) == (kind == "BOOLEAN") and value not in _CONTROLS


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _links(links: Any) -> list[tuple[Any, str, int, str, Any]]:
    """Id, origin's node and slot, target's node and place of each link, a list or an object."""
    found = []
    for link in links if isinstance(links, list) else ():
        if isinstance(link, list) and len(link) >= 5:
            number, origin, slot, target, place = link[:5]
        elif isinstance(link, dict):
            number, origin, slot = link.get("id"), link.get("origin_id"), link.get("origin_slot")
            target, place = link.get("target_id"), link.get("target_slot")
        else:
            continue
        if type(slot) is int and slot >= 0:
            found.append((number, str(origin), slot, str(target), place))
    return found


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
