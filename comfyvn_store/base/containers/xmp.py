"""XMP packets (ISO 16684-1): a few properties out of RDF, without resolving any entity or reading anything else.

`xml.parsers.expat` parses; a document type, and with it every entity, is refused before it can grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LONGEST_PACKET = 4 * 1024 * 1024
_MOST_SIGNS = 1 << 17  # elements, and equals signs, without which there is no attribute

_DEEPEST = 64
_MOST_VALUES = 1024
_LONGEST_VALUE = 1024 * 1024
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DESCRIPTION = f"{_RDF} Description"
_ITEM = f"{_RDF} li"


class _Stop(Exception):
    """The packet is no XMP that is read any further."""


def read(packet: bytes) -> dict[str, list[str]]:
    """Gives the texts of each property by `namespace name`, the items of lists in order. Never raises."""
    if len(packet) > LONGEST_PACKET or packet.count(b"=") > _MOST_SIGNS:
        return {}
    from xml.parsers import expat

    parser = expat.ParserCreate(namespace_separator=" ")
    walk = _Walk()
    parser.StartElementHandler = walk.start
    parser.EndElementHandler = walk.end
    parser.CharacterDataHandler = walk.text
    parser.StartDoctypeDeclHandler = _refuse
    parser.buffer_text = True
    try:
        parser.Parse(packet.strip(b"\0 \t\r\n"), True)
    except (expat.ExpatError, _Stop, ValueError, LookupError):  # what came before it counts
        pass
    return walk.found


def _refuse(*_: Any) -> None:
    raise _Stop


class _Walk:
    """Follows the elements: a property stands directly in a description, as an attribute or an element of its own."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}
        self._path: list[str] = []
        self._words: list[str] = []
        self._length = 0
        self._count = 0
        self._elements = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        if len(self._path) >= _DEEPEST or self._elements > _MOST_SIGNS:
            raise _Stop
        self._path.append(name)
        self._words.clear()
        if name == _DESCRIPTION and self._is_outermost(len(self._path) - 1):
            for key, value in attributes.items():
                self._keep(key, value)
        elif len(self._path) >= 2 and self._path[-2] == _DESCRIPTION:
            self._keep(name, attributes.get(f"{_RDF} resource", ""))

    def text(self, data: str) -> None:
        self._length += len(data)
        if self._length > LONGEST_PACKET:
            raise _Stop
        self._words.append(data)

    def end(self, name: str) -> None:
        value = "".join(self._words)
        self._words.clear()
        at = self._property()
        if at is not None and (name == _ITEM or at == len(self._path) - 1):
            self._keep(self._path[at], value)
        self._path.pop()

    def _property(self) -> int | None:
        """Where in the path the property stands that this element is or belongs to; not one inside another."""
        for at in range(1, len(self._path)):
            if self._path[at - 1] == _DESCRIPTION and self._is_outermost(at - 1):
                return at
        return None

    def _is_outermost(self, at: int) -> bool:
        return _DESCRIPTION not in self._path[:at]

    def _keep(self, name: str, value: str) -> None:
        value = value.strip()
        if value and " " in name and not name.startswith(_RDF) and len(value) <= _LONGEST_VALUE:
            self._count += 1
            if self._count > _MOST_VALUES:
                raise _Stop
            self.found.setdefault(name, []).append(value)
