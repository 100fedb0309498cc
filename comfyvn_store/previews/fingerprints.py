"""Has fingerprints made that are missing, by processes side by side, as the preview worker has previews made.

Owns the way of fingerprints from those processes into the file that keeps them, and the look at a file that is asked about.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.index.prints import Print, Prints, loaded
from comfyvn_store.previews import making, pool

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
