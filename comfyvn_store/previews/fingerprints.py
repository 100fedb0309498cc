"""Has fingerprints made that are missing, by processes side by side, as the preview worker has previews made.

Owns the way of fingerprints from those processes into the file that keeps them, and the look at a file that is asked about.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.index import questions
from comfyvn_store.index.database import Index
from comfyvn_store.index.prints import Print, Prints, loaded, open_prints
from comfyvn_store.previews import making, pool
from comfyvn_store.vcs.repository import Repository

if TYPE_CHECKING:
    from PIL.Image import Image

# So many are written at once: their marks share pages. What is made and not written when it is stopped is made again.
_BATCH: Final = 256


class Look(NamedTuple):
    """What a file looks like: its fingerprint, and of what can be seen a picture to compare; or why there is none."""

    print: Print | None = None
    picture: Image | None = None
    reason: str | None = None


def read(outcome: pool.Outcome) -> Print | None:
    """Gives the fingerprint that a process made, and clears it away; None if it made none."""
    if making.PRINT not in outcome.made:
        return None
    place = outcome.task.place + making.PRINT
    with contextlib.suppress(OSError, ValueError):
        with open(place, "rb") as stream:
            found = loaded(stream.read())
        os.unlink(place)
        return found
    return None


def fill(
    prints: Prints,
    missing: Iterable[tuple[str, str, str]],
    folder: str,
    *,
    total: int,
    jobs: int,
    progress: Progress = quietly,
) -> int:
    """Has the fingerprints made of objects (hash, media type, file), and remembers those that give none; gives how many came.

    `folder` is for what is on its way. Raises MachineError, OSError.
    """
    ready: list[tuple[str, Print | str]] = []
    made = done = 0
    begun = (_task(hash_, mime, source, folder, (making.FINGERPRINT,)) for hash_, mime, source in missing)
    with contextlib.closing(pool.run(begun, jobs)) as outcomes:
        for outcome in outcomes:
            found = read(outcome)
            clear(outcome.task)
            done += 1
            progress("looking at pictures", done, total)
            if outcome.error is not None and os.path.exists(outcome.task.source):
                raise outcome.error
            made += found is not None
            what = found if found is not None else outcome.reason
            if what is not None:
                ready.append((outcome.task.hash, what))
            if len(ready) >= _BATCH:
                prints.add(ready)
                ready = []
    prints.add(ready)
    return made


class Due:
    """The pictures here that have a preview and no fingerprint, for the worker: some at a time, because previews go first."""

    def __init__(self, index: Index, repository: Repository) -> None:
        self._index = index
        self._repository = repository
        self._left: list[tuple[str, str]] | None = None
        self._done = 0

    def renew(self) -> None:
        """Has what is missing asked for anew: there are new previews."""
        self._left = None

    def take(self, tell: Progress, jobs: int) -> bool:
        """Has some fingerprints made; tells whether there were any to make. Raises MachineError, OSError."""
        with open_prints(self._repository) as prints:
            left = self._left if self._left is not None else self._lacking(prints)
            part, self._left = left[:_BATCH], left[_BATCH:]
            if not part:
                return False
            store = self._repository.store
            due = [(hash_, mime, store.path(hash_)) for hash_, mime in part if store.is_sound(hash_)]
            before, total = self._done, self._done + len(left)
            self._done += len(part)
            with tempfile.TemporaryDirectory(prefix="comfyvn-looks-") as folder:
                fill(
                    prints,
                    due,
                    folder,
                    total=total,
                    jobs=max(1, min(jobs, len(due))),
                    progress=lambda what, done, of: tell(what, before + done, of),
                )
            if prints.note:  # what cannot be kept need not be made
                self._left = []
        return True

    def _lacking(self, prints: Prints) -> list[tuple[str, str]]:
        if prints.note:  # a file that keeps nothing would have all of them made again and again
            return []
        kinds = questions.pictures_with_previews(self._index)
        return [(hash_, kinds[hash_]) for hash_ in prints.lacking(kinds) if self._repository.store.is_sound(hash_)]


def look(source: str, mime: str, folder: str) -> Look:
    """Looks at a file, in a process that it may ruin. Raises MachineError, OSError."""
    task = _task("a file", mime, source, folder, (making.FINGERPRINT, making.LOOK))
    try:
        with contextlib.closing(pool.run([task], 1)) as outcomes:
            outcome = next(outcomes)
        if outcome.error is not None:
            raise outcome.error
        if outcome.reason is not None:
            return Look(reason=outcome.reason)
        return Look(read(outcome), _picture(task) if making.SIGHT in outcome.made else None)
    finally:
        clear(task)


def clear(task: pool.Task) -> None:
    """Removes what is left of a task's files."""
    for ending in making.ENDINGS:
        with contextlib.suppress(OSError):
            os.unlink(task.place + ending)


def _task(name: str, mime: str, source: str, folder: str, wants: tuple[str, ...]) -> pool.Task:
    return pool.Task(name, mime, source, os.path.join(folder, f"look-{os.urandom(8).hex()}"), wants)


def _picture(task: pool.Task) -> Image:
    from comfyvn_store.previews.likeness import sighted

    with open(task.place + making.SIGHT, "rb") as stream:
        return sighted(stream.read())
