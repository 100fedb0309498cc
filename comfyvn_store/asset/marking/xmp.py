"""The marker as a property in an XMP packet (ISO 16684-1), for formats that carry such packets.

A packet that is there keeps each of its bytes: an `rdf:Description` of ours is put in before the end of `rdf:RDF`. Where
there is none, one of our own is made.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import NamedTuple
from xml.parsers import expat

NAMESPACE = b"urn:comfyvn-store:marker/"
LONGEST = 1 << 20
# A packet of our own says so; that of a WebP which was a simple one before says that, too.
TOOLKIT, TOOLKIT_SIMPLE = b"comfyvn-store", b"comfyvn-store simple"
_MOST = 16  # of each kind; who has more is left alone

_RDF = b"http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_OPEN = b'<rdf:Description xmlns:rdf="%s" xmlns:comfyvn="%s" rdf:about="' % (_RDF, NAMESPACE)
_AMID = b'"><comfyvn:provenance>'
_CLOSE = b"</comfyvn:provenance></rdf:Description>"
_OWN_HEAD = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="%s"><rdf:RDF xmlns:rdf="' + _RDF + b'">'
)
_OWN_TAIL = b'</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'

_OURS = re.compile(re.escape(_OPEN) + rb'[^"<>]*' + re.escape(_AMID) + rb"([^<>]*)" + re.escape(_CLOSE))
_END = re.compile(rb"</(?:[A-Za-z_][\w.-]*:)?RDF\s*>")
_ABOUT = re.compile(rb"""\brdf:about\s*=\s*("[^"<>]*"|'[^"'<>]*')""")
_PREFIX = re.compile(rb"""xmlns:([A-Za-z_][\w.-]*)\s*=\s*["']""" + re.escape(NAMESPACE) + rb"""["']""")


class Spot(NamedTuple):
    """Where a marker stands in a packet, and its payload; None if a program wrote it in a form of its own."""

    start: int
    end: int
    payload: bytes | None


def own(payload: bytes, toolkit: bytes = TOOLKIT) -> bytes:
    """Gives a packet that holds the marker alone."""
    return _OWN_HEAD % toolkit + _element(b"", payload) + _OWN_TAIL


def own_toolkit(packet: bytes) -> bytes | None:
    """Gives which of ours a packet is; None if it is somebody else's, or somebody wrote into it."""
    found = _OURS.search(packet)
    if found is None:
        return None
    ours = (each for each in (TOOLKIT, TOOLKIT_SIMPLE) if packet == own(found.group(1), each))
    return next(ours, None)


def _element(about: bytes, payload: bytes) -> bytes:
    return _OPEN + about + _AMID + payload + _CLOSE


def find(packet: bytes) -> list[Spot]:
    """Finds the markers in a packet, those that a program serialised anew among them."""
    if NAMESPACE not in packet:
        return []
    spots = [Spot(*found.span(), found.group(1)) for found in islice(_OURS.finditer(packet), _MOST)]
    prefixes = {found.group(1) for found in islice(_PREFIX.finditer(packet), _MOST)}
    ours = list(spots)
    for prefix in prefixes:
        name = re.escape(prefix) + rb":provenance"
        # No part of it may match in two ways: the time it takes grows with the packet's length alone.
        other = re.compile(
            rb"<%b(?:\s[^<>]*)?>[^<]*</%b\s*>|\s%b\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*')" % (name, name, name)
        )
        for found in islice(other.finditer(packet), _MOST):
            if not any(spot.start <= found.start() < spot.end for spot in ours):
                spots.append(Spot(*found.span(), None))
    return sorted(spots)


def without(packet: bytes, spots: list[Spot]) -> bytes:
    """Gives a packet without these spots."""
    parts, at = [], 0
    for spot in spots:
        parts.append(packet[at : spot.start])
        at = spot.end
    return b"".join([*parts, packet[at:]])


def is_signed(packet: bytes) -> bool:
    """Tells whether a packet names a C2PA manifest that lies elsewhere."""
    return b"dcterms:provenance" in packet


def insert(packet: bytes, payload: bytes) -> bytes | None:
    """Gives a packet with the marker in it; None if it is one in which that cannot be done soundly."""
    if len(packet) > LONGEST or b"<!" in packet.replace(b"<!--", b""):  # an entity may grow without end
        return None
    at = -1
    for found in _END.finditer(packet):
        at = found.start()
    if at < 0:
        return None
    said = _ABOUT.search(packet)
    marked = packet[:at] + _element(said.group(1)[1:-1] if said else b"", payload) + packet[at:]
    return marked if _says(marked, payload) else None


def _says(packet: bytes, payload: bytes) -> bool:
    """Tells whether a packet is well-formed and has one marker, in a description within `rdf:RDF`."""
    path: list[str] = []
    texts: list[str] = []
    wanted = f"{NAMESPACE.decode()} provenance"
    rdf = _RDF.decode()

    def start(name: str, _: dict[str, str]) -> None:
        path.append(name)

    def end(_: str) -> None:
        path.pop()

    def text(data: str) -> None:
        if path[-3:] == [f"{rdf} RDF", f"{rdf} Description", wanted]:
            texts.append(data)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    try:
        parser.Parse(packet.rstrip(b"\0 \t\r\n"), True)
    except expat.ExpatError:
        return False
    return "".join(texts).encode("utf-8") == payload
