"""`read`: all that a file says of itself, an asset's or any other's, also as readers of other packages see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

from comfyvn_store.asset import marking, readers
from comfyvn_store.base import media
from comfyvn_store.ops import credentials
from comfyvn_store.ops.named import opened


class Said(NamedTuple):
    """What a file says: its media, what generated it, what it states of itself; `marker` is the hash that a valid marker
    of ours names, None where there is none. `signature` is a verdict on a C2PA manifest, None where it was not asked for."""

    media: Mapping[str, Any]
    source: str | None
    workflow_hash: str | None
    inputs: Mapping[str, Any]
    embedded: Mapping[str, Any]
    marker: str | None
    signature: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Gives it as plain data."""
        return {
            "media": dict(self.media),
            "source": self.source,
            "workflow_hash": self.workflow_hash,
            "inputs": dict(self.inputs),
            "embedded": dict(self.embedded),
            "marker": self.marker,
        }


def read(name: str, *, verify: bool = False) -> Said:
    """Reads a file by its path, or else the asset (or `REV:PATH`) of that name.

    With `verify` the signature of a C2PA manifest is checked. Raises UnknownFile, UnknownAsset, ObjectMissing, ObjectCorrupt.
    """
    with opened(name) as stream:
        described = media.describe(stream)
        others = [reader for _, reader in readers.installed()]
        found = readers.read_stream(stream, described.mime, others)
        marker = marking.valid(stream)
        said = Said(described.as_dict(), None, None, {}, {}, marker["source_hash"] if marker else None)
        if found is not None:
            said = said._replace(
                source=found.source, workflow_hash=found.workflow_hash, inputs=found.inputs, embedded=found.embedded
            )
        return _verified(said, stream, described.mime) if verify else said


def _verified(said: Said, stream: BinaryIO, mime: str) -> Said:
    manifest = said.embedded.get("c2pa")
    if not isinstance(manifest, dict):
        return said._replace(signature=credentials.NOTHING)
    verdict = credentials.check(stream, mime)
    return said._replace(embedded={**said.embedded, "c2pa": {**manifest, "signature": verdict}}, signature=verdict)
