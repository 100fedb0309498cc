"""Pictures of an import that look like others: of the same import, or assets of before whose fingerprints are known.

Fingerprints are made of what came in, by processes side by side, as `whence` has them made; so this takes longer than the
import itself, and of very many pictures it is done only when it is asked for. Who looks alike by pixels is a fact, else it is
inferred. Nothing is left out because of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing

from comfyvn_store.base import media
from comfyvn_store.base.telling import Progress
from comfyvn_store.errors import MachineError, ObjectMissing
from comfyvn_store.index.prints import Prints, View, open_prints
from comfyvn_store.ops.importing.scratch import ADDED, PERCEPTUAL, PIXELS, Outcome, Scratch, Twin
from comfyvn_store.ops.session import Session
from comfyvn_store.previews import fingerprints, worker

# So many pictures are looked at without being asked.
MOST = 200
# Bits of the outline that may differ, and the distance from which on two pictures are no duplicates.
_AWAY, _CLOSE = 12, 0.15
_CANDIDATES = 8


def find(session: Session, found: Scratch, progress: Progress, *, is_asked: bool) -> str | None:
    """Notes which pictures look alike; gives what people should know of it. Never fails the import."""
    number = found.count(ADDED)
    if not number or (number > MOST and not is_asked):
        return f"what looks alike was not looked for among {number} files: --alike does" if number else None
    outcomes = {each.hash: each for each in found.outcomes(ADDED) if each.hash is not None}
    with closing(open_prints(session.repository)) as prints:
        note = prints.note
        try:
            missing = prints.lacking(outcomes)
            due = list(_pictures(session, missing))
            with tempfile.TemporaryDirectory(prefix="comfyvn-import-") as folder:
                jobs = min(worker.cores(), max(1, len(due)))
                fingerprints.fill(prints, due, folder, total=len(due), jobs=jobs, progress=progress)
        except (OSError, MachineError) as error:
            note = f"not all pictures could be looked at: {error}"
        _compare(session, found, prints, outcomes)
    return note


def _pictures(session: Session, hashes: list[str]) -> Iterator[tuple[str, str, str]]:
    for hash_ in hashes:
        try:
            with session.repository.store.open(hash_) as stream:
                mime = media.sniff(stream.read(media.HEAD_SIZE))
        except (ObjectMissing, OSError):
            continue
        if mime.startswith("image/"):
            yield hash_, mime, session.repository.store.path(hash_)


def _compare(session: Session, found: Scratch, prints: Prints, outcomes: Mapping[str, Outcome]) -> None:
    from comfyvn_store.previews.seeking import apart

    said: set[frozenset[str]] = set()
    for hash_, outcome in outcomes.items():
        own = prints.of(hash_)
        if own is None or own.whole is None:
            continue
        same = prints.with_pixels(own.pixels) if own.pixels else []
        near = prints.candidates([View(1.0, False, own.whole, ())], _CANDIDATES)
        likely = [each.hash for each in near if each.away is not None and each.away <= _AWAY]
        for other in dict.fromkeys([*same, *likely]):
            pair = frozenset((hash_, other))
            if other == hash_ or pair in said:
                continue
            distance = 0.0 if other in same else apart(prints, hash_, other)
            path = _path(session, outcomes, other)
            if distance is None or distance > _CLOSE or path is None:
                continue
            said.add(pair)
            how = PIXELS if other in same else PERCEPTUAL
            found.note_twin(Twin(outcome.file, outcome.path, path, how, round(distance, 3)))


def _path(session: Session, outcomes: Mapping[str, Outcome], hash_: str) -> str | None:
    """Gives the asset that has an object now, relative to the top; None where none has."""
    if hash_ in outcomes:
        return outcomes[hash_].path
    row = session.index.db.execute("SELECT path FROM assets_registry WHERE hash = ? LIMIT 1", (hash_,)).fetchone()
    return session.repository.full(row[0]) if row else None
