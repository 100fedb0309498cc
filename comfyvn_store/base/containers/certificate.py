"""X.509 certificates (RFC 5280): who is named in one. Nothing is checked here, and nothing else is read."""

from __future__ import annotations

from typing import NamedTuple

_ORGANISATION, _COMMON_NAME = b"\x55\x04\x0a", b"\x55\x04\x03"
_SEQUENCE, _SET, _OID, _INTEGER, _VERSION = 0x30, 0x31, 0x06, 0x02, 0xA0
_MOST_PARTS = 100


class Names(NamedTuple):
    """Whose certificate it is and who issued it: the organisation, else the common name. None is unknown."""

    subject: str | None
    issuer: str | None


def read(data: bytes) -> Names:
    """Reads a certificate in DER. Never raises."""
    try:
        parts = _parts(_inside(_inside(data, _SEQUENCE), _SEQUENCE))
        if parts and parts[0][0] == _VERSION:
            parts = parts[1:]
        # serial number, algorithm, issuer, validity, subject
        issuer, subject = parts[2], parts[4]
    except (ValueError, IndexError):
        return Names(None, None)
    return Names(_name(subject[1]), _name(issuer[1]))


def _name(data: bytes) -> str | None:
    found: dict[bytes, str] = {}
    try:
        for kind, each in _parts(data):
            for _, pair in _parts(each) if kind == _SET else ():
                (oid_kind, oid), (text_kind, value) = _parts(pair)[:2]
                if oid_kind == _OID:
                    wide = text_kind == 0x1E  # BMPString
                    found.setdefault(oid, value.decode("utf-16-be" if wide else "utf-8", "replace"))
    except (ValueError, IndexError):
        return None
    return found.get(_ORGANISATION) or found.get(_COMMON_NAME)


def _inside(data: bytes, wanted: int) -> bytes:
    kind, body = _parts(data)[0]
    if kind != wanted:
        raise ValueError
    return body


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    at = 0
    while at + 2 <= len(data) and len(found) < _MOST_PARTS:
        kind, size = data[at], data[at + 1]
        at += 2
        if size & 0x80:
            width = size & 0x7F
            size = int.from_bytes(data[at : at + width], "big")
            at += width
        if size > len(data) - at:
            raise ValueError
        found.append((kind, data[at : at + size]))
        at += size
    return found
