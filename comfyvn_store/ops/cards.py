"""Sidecars as commands see them: the staged one, the one on disk, and the record that is printed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Any

from comfyvn_store.asset import sidecar, worktree
from comfyvn_store.asset.known import parse_all
from comfyvn_store.asset.sidecar import BrokenSidecar, Sidecar
from comfyvn_store.base import canonical, durable, files, names
from comfyvn_store.index import rows
from comfyvn_store.ops.session import Session
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository

_PRINTED = ("uid", "hash", "type", "path", "bytes", "media", "tags", "license", "meta", "preview", "provenance")


def staged(repository: Repository, full: str) -> Sidecar | None:
    """Gives the sidecar that git's index has for an asset (its path relative to the top), if it parses."""
    path = names.sidecar_path(full)
    for entry in staging.entries(repository.git, [path]):
        if entry.path == path and entry.stage in (0, 2):
            texts = blobs.read_small_blobs(repository.git, [entry.oid], canonical.LONGEST_JSON)
            return parse_all(texts).get(entry.oid)
    return None


def broken_on_disk(repository: Repository, full: str) -> str | None:
    """Says why the sidecar on disk does not parse, or None if it does or is not there."""
    place = repository.absolute(names.sidecar_path(full))
    if files.lstat(place) is None or repository.is_beyond_link(full):
        return None
    data = worktree.read_sidecar(repository, names.sidecar_path(full))
    if data is None:
        return "it is no ordinary file, or too long"
    try:
        sidecar.decode(data)
    except BrokenSidecar as error:
        return str(error)
    return None


def write(repository: Repository, full: str, text: bytes, commit: str | None) -> None:
    """Writes a sidecar to the disk, if that changes it."""
    path = names.sidecar_path(full)
    wanted = sidecar.fill_commit(text, commit)
    if worktree.read_sidecar(repository, path) != wanted:
        files.write_settled(repository.absolute(path), wanted)


def write_all(repository: Repository, texts: Iterable[tuple[str, bytes, str | None]]) -> None:
    """Writes the sidecars of many assets (path relative to the top, git's text, commit), synced together. Raises OSError."""
    due: list[tuple[str, bytes]] = []
    for full, text, commit in texts:
        path = names.sidecar_path(full)
        wanted = sidecar.fill_commit(text, commit)
        if worktree.read_sidecar(repository, path) != wanted:
            due.append((repository.absolute(path), wanted))
    temps: list[tuple[str, str]] = []
    try:
        for place, wanted in due:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            temps.append((files.write_beside(place, wanted), place))
            files.settle(temps[-1][0])
        durable.sync_files((temp for temp, _ in temps), folders=False)
        for temp, place in temps:
            os.replace(temp, place)
        durable.sync_files(place for _, place in temps)
    finally:
        for temp, _ in temps:
            with contextlib.suppress(OSError):
                os.unlink(temp)


def commit_of(session: Session, card: Sidecar) -> str | None:
    """Gives the commit that the index has for an asset's record, if the record is the one in `card`."""
    row = session.index.db.execute(
        "SELECT commit_hash FROM assets_registry WHERE path = ? AND provenance_id = ?",
        (card.path, card.provenance.id),
    ).fetchone()
    return row[0] if row else None


def printed(session: Session, card: Sidecar) -> dict[str, Any]:
    """Gives a sidecar as `register` and `annotate` print it and Python returns it, staged or not."""
    said = sidecar.as_dict(card, commit=commit_of(session, card), on_disk=True)
    full = session.repository.full(card.path)
    return {
        **{key: said[key] for key in _PRINTED},
        "sidecar": names.sidecar_path(full),
        "thumb": rows.thumb_path(session.repository, said["media"].get("mime"), card.hash),
        "view": full,
    }
