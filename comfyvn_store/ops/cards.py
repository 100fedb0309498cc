"""Sidecars as commands see them: the staged one, the one on disk, and the record that is printed."""

from __future__ import annotations

from typing import Any

from comfyvn_store.asset import sidecar, worktree
from comfyvn_store.asset.known import parse_all
from comfyvn_store.asset.sidecar import BrokenSidecar, Sidecar
from comfyvn_store.base import canonical, files, names
from comfyvn_store.errors import UnknownAsset
from comfyvn_store.index import questions
from comfyvn_store.ops.session import Session
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository


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
    if files.lstat(place) is None:
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


def commit_of(session: Session, inside: str, card: Sidecar) -> str | None:
    """Gives the commit that the index has for an asset's record, if the record is the one in `card`."""
    row = session.index.db.execute(
        "SELECT commit_hash FROM assets_registry WHERE path = ? AND provenance_id = ?",
        (inside, card.provenance.id),
    ).fetchone()
    return row[0] if row else None


def printed(session: Session, inside: str) -> dict[str, Any]:
    """Gives an asset's record as `register` prints it and Python returns it."""
    found = questions.asset_at(session.index, session.repository, inside)
    if found is None:
        raise UnknownAsset(f"'{names.printable(inside)}' is not in the index")
    return found
