"""The editor's subgraphs, opened: a UI graph with the nodes of its subgraphs in place of their instances.

Owns what an instance is: a node whose type is the id of a definition in `definitions.subgraphs`. Inside a definition, links
from node -10 come from the instance's inputs and links to node -20 lead to its outputs. A widget that an instance shows
holds its value in the instance, where its place among the values is told soundly; elsewhere the value is unknown.
"""

from collections.abc import Mapping
from typing import Any

_DEEPEST = 8
_MOST_NODES = 5000
_INPUTS, _OUTPUTS = -10, -20
_MUTED, _BYPASSED = 2, 4


def opened(workflow: Mapping[str, Any]) -> Mapping[str, Any]:
    """Gives the graph with its subgraphs opened; as it is if it has none, or too many."""
    definitions = _definitions(workflow)
    if not definitions:
        return workflow
    flat = _Flat(definitions)
    flat.add(workflow, "", 0)
    return {"nodes": flat.nodes, "links": flat.links} if len(flat.nodes) <= _MOST_NODES else workflow


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

    def add(self, level: Mapping[str, Any], prefix: str, depth: int) -> None:
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
                return
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
        given = {socket.get("name"): socket for socket in _dicts(node.get("inputs"))}
        values = _values(node)
        for slot, each in enumerate(_dicts(definition.get("inputs"))):
            socket = given.get(each.get("name"), {})
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


def _values(node: Mapping[str, Any]) -> dict[str, Any]:
    """What an instance's own widgets hold, by the names of its inputs, if there is one value for each of them."""
    values = node.get("widgets_values")
    if isinstance(values, dict):
        return values
    properties = node.get("properties")
    proxies = properties.get("proxyWidgets") if isinstance(properties, dict) else None
    if isinstance(proxies, list):  # pairs of an inner node, or -1 for an input of its own, and the widget's name
        names = [
            pair[1] if isinstance(pair, list) and len(pair) >= 2 and str(pair[0]) == "-1" else None for pair in proxies
        ]
    else:
        names = [socket.get("name") for socket in _dicts(node.get("inputs")) if isinstance(socket.get("widget"), dict)]
    if not isinstance(values, list) or len(values) != len(names):
        return {}
    return {name: value for name, value in zip(names, values, strict=True) if isinstance(name, str)}


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
