"""Facts read out of an object, and the provenance record and sidecar made from them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from comfyvn_store.asset.sidecar import Record, Sidecar, decode, encode
from comfyvn_store.base.uuid7 import uuid7
from comfyvn_store.store.objects import Store

if TYPE_CHECKING:
    from comfyvn_store.asset.ingest import Seen
    from comfyvn_store.asset.readers import Reader
    from comfyvn_store.asset.readers.reading import Reading
    from comfyvn_store.base import media

# What a record's source says when the bytes themselves say nothing.
MANUAL = "manual"
GIT = "git"
IMPORT = "import"


class Facts(NamedTuple):
    """What an object's bytes say of themselves; None is unknown."""

    size: int | None
    media: dict[str, Any]
    source_hash: str | None
    source: str | None
    workflow_hash: str | None
    inputs: dict[str, Any]
    embedded: Mapping[str, Any] = MappingProxyType({})


NOTHING_KNOWN = Facts(None, {}, None, None, None, {})


class Origin(NamedTuple):
    """What a caller knows of a file's origin. `default_source` stands where neither bytes nor caller name a source."""

    default_source: str = GIT
    source: str | None = None
    workflow_hash: str | None = None
    inputs: Mapping[str, Any] | None = None
    user: str | None = None
    parent: str | None = None
    extra: Mapping[str, Any] | None = None


def read_facts(store: Store, hash_: str, others: Sequence[Reader] = ()) -> Facts:
    """Reads what an object says of itself: media, generator, marker. Raises ObjectMissing, ObjectCorrupt, OSError.

    Bytes that somebody wrote into the object say nothing of the version that it should be. `others` are readers of other
    packages, which commands may ask besides our own.
    """
    store.vouch(hash_)
    with store.open(hash_) as stream:
        return facts_in(stream, hash_, others)


def facts_in(stream: BinaryIO, hash_: str, others: Sequence[Reader] = ()) -> Facts:
    """Reads what a whole seekable file with that hash says of itself. Raises OSError."""
    from comfyvn_store.asset import marking, readers
    from comfyvn_store.base import media

    described = media.describe(stream)
    said = marking.valid(stream)
    found = readers.read_stream(stream, described.mime, others)
    return _facts(stream, hash_, described, said, found)


def facts_of(stream: BinaryIO, hash_: str, seen: Seen) -> Facts:
    """Does the same for a file that `ingest` took in a moment ago, with what was seen of it then. Raises OSError."""
    from comfyvn_store.asset import readers
    from comfyvn_store.base import media

    described = media.describe(stream)
    found = readers.read_entries(seen.entries._replace(mime=described.mime))
    return _facts(stream, hash_, described, seen.said, found)


def _facts(
    stream: BinaryIO, hash_: str, described: media.Media, said: Mapping[str, Any] | None, found: Reading | None
) -> Facts:
    size = stream.seek(0, 2)
    facts = Facts(size, described.as_dict(), said["source_hash"] if said else hash_, None, None, {})
    if found is not None:
        facts = facts._replace(
            source=found.source, workflow_hash=found.workflow_hash, inputs=found.inputs, embedded=found.embedded
        )
    if said:
        facts = facts._replace(
            source=said["source"] if isinstance(said.get("source"), str) else facts.source,
            workflow_hash=said["workflow_hash"] if isinstance(said.get("workflow_hash"), str) else facts.workflow_hash,
        )
    return facts


def new_record(facts: Facts, origin: Origin, *, now: float | None = None) -> Record:
    """Makes a provenance record. `now` is seconds since 1970."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if now is None else now))
    inputs = {**facts.inputs, **(origin.inputs or {})}
    extra = dict(origin.extra or {})
    if facts.embedded:
        extra.setdefault("embedded", dict(facts.embedded))
    if origin.user:
        extra["user"] = origin.user
    return Record(
        id=uuid7(),
        source=origin.source or facts.source or origin.default_source,
        workflow_hash=origin.workflow_hash or facts.workflow_hash,
        inputs=inputs,
        source_hash=facts.source_hash,
        created_at=stamp,
        parent=origin.parent,
        extra=extra,
    )


def new_sidecar(path: str, hash_: str, facts: Facts, origin: Origin, previous: Sidecar | None = None) -> Sidecar:
    """Makes the sidecar of new bytes at `path` (relative to the assets root).

    `previous` is the sidecar of the version they replace: its tags, licence, meta and unknown keys stay, and its hash
    becomes the new record's parent. What the file says of how it was made and of itself is left out where nobody could read
    the sidecar again with it; what a person stated stays.
    """
    card = _sidecar(path, hash_, facts, origin, previous)
    if is_readable(card):
        return card
    facts = facts._replace(inputs=_unknown(facts.inputs), embedded={})
    return _sidecar(path, hash_, facts, origin, previous)


def _sidecar(path: str, hash_: str, facts: Facts, origin: Origin, previous: Sidecar | None) -> Sidecar:
    if previous is not None and origin.parent is None and previous.hash != hash_:
        origin = origin._replace(parent=previous.hash)
    return Sidecar(
        hash=hash_,
        path=path,
        bytes=facts.size,
        media=facts.media,
        provenance=new_record(facts, origin),
        tags=previous.tags if previous else (),
        license=previous.license if previous else None,
        meta=previous.meta if previous else {},
        extra=previous.extra if previous else {},
    )


def is_readable(card: Sidecar) -> bool:
    """Tells whether a sidecar can be read again when it is written: not one that is too large or too deep."""
    try:
        decode(encode(card, commit="0" * 64, on_disk=True))
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def fitting(card: Sidecar) -> Sidecar:
    """Gives a sidecar as it is; one that could not be read again without its inputs and what its file states of itself."""
    if is_readable(card):
        return card
    record = card.provenance
    extra = {key: value for key, value in record.extra.items() if key != "embedded"}
    inputs = _unknown(record.inputs)
    return card._replace(provenance=record._replace(inputs=inputs, extra=extra))


def _unknown(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Gives inputs of which nothing is known, where something was stated."""
    from comfyvn_store.asset.readers.reading import unknown_inputs

    return unknown_inputs() if inputs else {}
