"""`read`: all that a file says of itself, an asset's or any other's, also as readers of other packages see it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

from comfyvn_store.asset import readers
from comfyvn_store.base import media, names
from comfyvn_store.errors import UnknownAsset, UnknownFile
from comfyvn_store.ops import credentials


class Said(NamedTuple):
    """What a file says: its media, what generated it, what it states of itself."""

    media: Mapping[str, Any]
    source: str | None
    workflow_hash: str | None
    inputs: Mapping[str, Any]
    embedded: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Gives it as plain data."""
        return {
            "media": dict(self.media),
            "source": self.source,
            "workflow_hash": self.workflow_hash,
            "inputs": dict(self.inputs),
            "embedded": dict(self.embedded),
        }


def read(name: str, *, verify: bool = False) -> Said:
    """Reads a file by its path, or else the asset (or `REV:PATH`) of that name.

    With `verify` the signature of a C2PA manifest is checked. Raises UnknownFile, UnknownAsset, ObjectMissing, ObjectCorrupt.
    """
    with _opened(name) as stream:
        described = media.describe(stream)
        others = [reader for _, reader in readers.installed()]
        found = readers.read_stream(stream, described.mime, others)
        if found is None:
            return Said(described.as_dict(), None, None, {}, {})
        embedded = dict(found.embedded)
        if verify and isinstance(embedded.get("c2pa"), dict):
            embedded["c2pa"] = {**embedded["c2pa"], "signature": credentials.check(stream, described.mime)}
        return Said(described.as_dict(), found.source, found.workflow_hash, found.inputs, embedded)


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if os.path.isfile(name):
        if not os.access(name, os.R_OK):
            raise UnknownFile(f"'{names.printable(name)}' cannot be read: permission denied")
        with open(name, "rb") as stream:
            yield stream
        return
    from comfyvn_store.ops import naming
    from comfyvn_store.ops.session import open_session

    with open_session() as session:
        try:
            found = naming.version(session, name)
        except UnknownAsset:
            if os.path.lexists(name):
                raise UnknownFile(f"'{names.printable(name)}' is no ordinary file, or its bytes are not here") from None
            raise
        session.repository.store.vouch(found.hash)
        with session.repository.store.open(found.hash) as bytes_:
            yield bytes_
