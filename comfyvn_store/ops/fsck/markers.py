"""Markers: whether what one says fits the picture or sound it is in, and what the sidecar says of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from comfyvn_store.asset import marking
from comfyvn_store.ops.fsck.finding import MARKER_OTHER, MARKER_STALE, Finding
from comfyvn_store.ops.fsck.scope import Needed, Said
from comfyvn_store.ops.wiring import quoted


def judge(stream: BinaryIO, hash_: str, need: Needed) -> Iterator[Finding]:
    """Compares the marker in an object, whose bytes are right, with itself and with the sidecars of it."""
    found = marking.look(stream) if need.paths else None
    if found is None or not found.payloads:
        return
    valid = marking.valid(stream, found)
    if valid is None:
        if found.said is not None or len(found.payloads) > 1:
            remedy = f"comfyvn-store edit {quoted(need.paths[0])}, save it again, git add it"
            message = "a file carries the marker of other bytes: some program copied it along"
            yield Finding(MARKER_STALE, message, remedy, need.paths, hash_)
        return
    for said in need.said:
        reason = _disagreement(valid.get("source_hash"), valid.get("workflow_hash"), said)
        if reason:
            remedy = f"see `git log -p -- {quoted(said.path)}`; the marker is older than any edit of the sidecar"
            yield Finding(MARKER_OTHER, f"marker and sidecar disagree: {reason}", remedy, [said.path], hash_)


def _disagreement(source_hash: object, workflow_hash: object, said: Said) -> str | None:
    if said.source_hash is not None and said.source_hash != source_hash:
        return f"source_hash is {str(source_hash)[:16]} in one, {said.source_hash[:16]} in the other"
    if isinstance(workflow_hash, str) and said.workflow_hash is not None and said.workflow_hash != workflow_hash:
        return f"workflow_hash is {workflow_hash[:16]} in one, {said.workflow_hash[:16]} in the other"
    return None
