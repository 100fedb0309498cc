"""`whence`: which asset a file is, or was made from; from the surest step to the least sure.

asked       the file: its bytes, its marker, what it says of itself, what it looks like
origins     which versions in history have a hash, a source hash, the same settings
filling     fingerprints of history that are missing
answering   a version as it is told: path, commit, author, later versions, what it inherits
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.index.prints import Print, Prints, open_prints
from comfyvn_store.ops.session import Session, open_session
from comfyvn_store.ops.whence import answering, origins
from comfyvn_store.ops.whence.asked import Asked, asked

MOST: Final = 5


class Answer:
    """What a file is. `matches` are versions, the surest and nearest first; `unseen` objects of its kind are not here and were
    never looked at, `compared` were; `why` says why the file could not be compared."""

    def __init__(self, file: str, hash: str, media: dict[str, Any], notes: list[str]) -> None:
        self.file = file
        self.hash = hash
        self.media = media
        self.notes = notes
        self.matches: list[dict[str, Any]] = []
        self.more = self.compared = self.unseen = 0
        self.why: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Gives it as `--json` prints it."""
        return {
            "file": self.file,
            "found": bool(self.matches),
            "hash": self.hash,
            "media": self.media,
            "matches": self.matches,
            "more": self.more,
            "compared": self.compared,
            "unseen": self.unseen,
            "not_compared": self.why,
        }


def whence(name: str, *, limit: int = MOST, fill: bool = True, progress: Progress = quietly) -> Answer:
    """Says which asset the file `name` is or was made from; `-` is standard input, and an asset goes by its names, too.

    With `fill`, fingerprints of history that are missing are made first, where they are needed. Raises UnknownFile,
    UnknownAsset, UnknownRevision, NotInitialised, MachineError.
    """
    with open_session() as session, asked(session, name) as found, open_prints(session.repository) as prints:
        answer = Answer(name, found.hash, found.media, list(session.notes))
        places = _certain(session, found)
        if not places:
            places = _inferred(session, prints, found, answer, fill, progress)
        told = answering.told(session, prints, places[:limit])
        answer.matches, answer.more = told, len(places) - len(told)
        if prints.note:
            answer.notes.append(prints.note)
        return answer


def _certain(session: Session, found: Asked) -> list[answering.Match]:
    """Gives what has the same bytes, or else had them before they were marked."""
    same = _matches(session, [found.hash], {"basis": "fact", "how": "hash"})
    if same:
        return same
    hashes = origins.with_source_hash(session.index, found.source_hashes)
    return _matches(session, hashes, {"basis": "fact", "how": "source hash"})


def _inferred(
    session: Session, prints: Prints, found: Asked, answer: Answer, fill: bool, progress: Progress
) -> list[answering.Match]:
    """Gives what looks the same, or says the same of itself; the same decoded pixels or samples are certain still."""
    from comfyvn_store.ops.whence import filling  # and with it the processes that decode

    history = filling.history(session.index)
    look = found.look
    answer.why = look.reason if look is not None else found.why
    if look is not None and look.print is not None:
        same = _same_pixels(session, prints, found, look.print, history)
        if not same:
            filling.fill(session, prints, history, found.mime, answer, progress, make=fill)
            same = _same_pixels(session, prints, found, look.print, history)
        if same:
            return same
    alike = _alike(prints, found, history)
    said = list(_said(session, found, alike))
    known = {each.hash for each in said}
    return [*said, *(each for hash_, how in alike.items() if hash_ not in known for each in _one(session, hash_, how))]


def _same_pixels(
    session: Session, prints: Prints, found: Asked, print_: Print, history: dict[str, None]
) -> list[answering.Match]:
    if not print_.pixels:
        return []
    from comfyvn_store.ops.whence import filling

    hashes = [hash_ for hash_ in prints.with_pixels(print_.pixels) if hash_ in history]
    proven = filling.proven(session, hashes, found.mime, print_.pixels)
    how = "samples" if found.mime.startswith("audio/") else "pixels"
    return _matches(session, proven, {"basis": "fact", "how": how})


def _said(session: Session, found: Asked, alike: dict[str, dict[str, Any]]) -> Iterator[answering.Match]:
    """Gives what the metadata that are still in the file lead to, what looks like it first."""
    matches = []
    for hash_, equal in origins.with_settings(session.index, found.said).items():
        how = {"basis": "inferred", "how": "metadata", "equal": equal}
        if hash_ in alike:
            how |= {key: alike[hash_][key] for key in ("distance", "flipped")}
        matches += _matches(session, [hash_], how)
    for claim in found.claims:
        how = {"basis": "inferred", "how": "marker"}
        matches += _matches(session, origins.with_source_hash(session.index, [claim]), how)
    seen: dict[tuple[str, str], answering.Match] = {}
    for match in sorted(matches, key=lambda each: each.how.get("distance", 2.0)):
        seen.setdefault((match.hash, match.path), match)
    yield from seen.values()


def _alike(prints: Prints, found: Asked, history: dict[str, None]) -> dict[str, dict[str, Any]]:
    """Gives the objects that look like the file, the nearest first, and how."""
    if found.look is None or found.look.picture is None:
        return {}
    from comfyvn_store.previews.seeking import seek

    return {
        each.hash: {"basis": "inferred", "how": "perceptual", "distance": each.distance, "flipped": each.flipped}
        for each in seek(prints, found.look.picture)
        if each.hash in history
    }


def _matches(session: Session, hashes: Iterable[str], how: dict[str, Any]) -> list[answering.Match]:
    return [match for hash_ in hashes for match in answering.versions(session, hash_, how)]


def _one(session: Session, hash_: str, how: dict[str, Any]) -> list[answering.Match]:
    """Of an object that looks alike the place where it is now, or was last: others have the same bytes."""
    return answering.versions(session, hash_, how)[:1]
