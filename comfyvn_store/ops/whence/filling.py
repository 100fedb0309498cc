"""Fingerprints of all that history has, made where they are missing and the bytes are here."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from comfyvn_store.asset import sidecar
from comfyvn_store.base import media
from comfyvn_store.base.telling import Progress
from comfyvn_store.errors import MachineError, ObjectMissing
from comfyvn_store.index.database import Index
from comfyvn_store.index.prints import Prints
from comfyvn_store.ops.session import Session
from comfyvn_store.previews import fingerprints, worker

if TYPE_CHECKING:
    from comfyvn_store.ops.whence import Answer

NOTHING_TO_SEE = "neither a picture nor a sound"


def history(index: Index) -> dict[str, None]:
    """Gives the hashes of all versions, present ones first."""
    found: dict[str, None] = {}
    for query in (
        "SELECT hash FROM assets_registry ORDER BY id",
        "SELECT hash FROM provenance ORDER BY id DESC",
        "SELECT DISTINCT hash FROM commit_assets WHERE hash IS NOT NULL",
    ):
        found.update((row[0], None) for row in index.db.execute(query))
    return found


def fill(
    session: Session,
    prints: Prints,
    hashes: Collection[str],
    mime: str,
    answer: Answer,
    progress: Progress,
    *,
    make: bool,
) -> None:
    """Makes what is missing of the objects that are of the same kind of media as `mime`; notes what was and was not compared.

    A machine that refuses is noted in the answer: it then rests on less.
    """
    missing = prints.lacking(hashes)
    answer.compared = len(hashes) - len(missing)
    if make and missing:
        due = list(_due(session, prints, missing, mime))
        try:
            with tempfile.TemporaryDirectory(prefix="comfyvn-whence-") as folder:
                answer.compared += fingerprints.fill(
                    prints, due, folder, total=len(due), jobs=min(worker.cores(), max(1, len(due))), progress=progress
                )
        except (OSError, MachineError) as error:
            answer.notes.append(f"not all pictures of history could be looked at: {error}")
    left = prints.lacking(missing)
    answer.unseen = sum(1 for hash_ in left if not make or not session.repository.store.has(hash_))


def proven(session: Session, hashes: Iterable[str], mime: str, pixels: str) -> list[str]:
    """Gives those whose bytes, where they are here, do give these pixels: the file of fingerprints is not taken at its word."""
    found = []
    for hash_ in hashes:
        store = session.repository.store
        if store.is_sound(hash_):
            kind = _kind(session, hash_) or mime
            with tempfile.TemporaryDirectory(prefix="comfyvn-whence-") as folder:
                print_ = fingerprints.look(store.path(hash_), kind, folder).print
            if print_ is None or print_.pixels != pixels:
                continue
        found.append(hash_)
    return found


def _due(session: Session, prints: Prints, missing: Iterable[str], mime: str) -> Iterator[tuple[str, str, str]]:
    """Gives hash, media type and file of those that can be looked at; remembers of others that there is nothing to see."""
    nothing = []
    for hash_ in missing:
        if not session.repository.store.is_sound(hash_):
            continue
        kind = _kind(session, hash_)
        if kind not in sidecar.previewable():
            nothing.append((hash_, NOTHING_TO_SEE))
        elif kind is not None and kind.startswith("audio/") == mime.startswith("audio/"):
            yield hash_, kind, session.repository.store.path(hash_)
    prints.add(nothing)


def _kind(session: Session, hash_: str) -> str | None:
    try:
        with session.repository.store.open(hash_) as stream:
            return media.sniff(stream.read(media.HEAD_SIZE))
    except (ObjectMissing, OSError):
        return None
