"""Watching a folder by looking at it again and again, which works on every disk and over every network.

A look reads names, sizes and times, no file. What changed is due when it has been the same for a while and its own structure
does not say that its end is missing. Files are opened for reading only, one at a time, and never moved or removed. The pause
between two looks is at least twenty times what a look takes, so watching costs a processor five per cent at most.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from comfyvn_store.base import ending, files, media, names
from comfyvn_store.errors import ComfyvnError, LockTimeout, MachineError
from comfyvn_store.ops.importing import scratch, walking
from comfyvn_store.ops.importing.items import Item, Left, Watched
from comfyvn_store.ops.watching import telling
from comfyvn_store.ops.watching.feeding import Due, Feeder, portions
from comfyvn_store.ops.watching.memory import Memory
from comfyvn_store.ops.watching.telling import Event, Tell

# Seconds for which a file is the same before it is taken: where its end is there, where that cannot be told, and where it is
# missing (a program may stop amid a file; that is said, and looked at again when the file changes).
WHOLE, UNKNOWN, CUT = 1.0, 3.0, 60.0
_SHORTEST, _LONGEST = 0.5, 30.0
_SHARE = 20.0
_BETWEEN = 2.0
_MOST_ROUNDS = 5


class _Pending(NamedTuple):
    print_: str
    size: int
    since: float


class Folder:
    """A folder that is watched. `again` looks for the adapter once more, where nobody chose one: a new folder is empty, and
    what comes into it tells what it is."""

    def __init__(
        self,
        place: str,
        adapter: Watched,
        feeder: Feeder,
        memory: Memory,
        tell: Tell,
        again: Callable[[], Watched] | None = None,
    ) -> None:
        self._place = place
        self._adapter = adapter
        self._feeder = feeder
        self._memory = memory
        self._tell = tell
        self._again = again
        self._done = memory.prints()
        self._pending: dict[str, _Pending] = {}
        self._is_gone = False
        self._is_waiting = False

    def run(self, stop: threading.Event, *, once: bool) -> None:
        """Watches until it is told to stop; with `once` until what is there now is taken, or seen to be incomplete."""
        rounds = 0
        while not stop.is_set():
            begun = time.monotonic()
            due = self._look()
            took = time.monotonic() - begun
            for portion in portions(due):
                if stop.is_set() or not self._feed(portion):
                    break
            rounds += self._is_waiting
            if not due:
                self._feeder.rest()
            if once and (rounds > _MOST_ROUNDS or not self._is_waiting) and (self._is_gone or self._is_settled()):
                break
            stop.wait(min(_LONGEST, max(_SHORTEST, _SHARE * took)) if not self._is_waiting else _BETWEEN)
        for inside in sorted(self._pending) if once else ():
            reason = "git was at work all the time" if self._is_waiting else "it is not complete"
            self._leave(inside, reason, self._pending[inside])

    def _is_settled(self) -> bool:
        """Whether nothing may become complete soon: what ends too early is not waited for."""
        return self._is_waiting or all(self._is_cut(inside) for inside in self._pending)

    # -- looking -------------------------------------------------------------------------------------------------------

    def _look(self) -> list[Due]:
        now = time.monotonic()
        found: list[Due] = []
        seen: set[str] = set()
        self._choose_again()
        try:
            for each in walking.walk(self._place, enter=self._adapter.enters):
                seen.add(each.inside)
                found += self._consider(each, now)
        except OSError as error:
            self._say_gone(error)
            return []
        if self._is_gone:
            self._is_gone = False
            self._tell(Event(telling.BACK, {"folder": self._place}))
        self._pending = {inside: kept for inside, kept in self._pending.items() if inside in seen}
        return found

    def _choose_again(self) -> None:
        """Looks for another adapter as long as nothing was taken in for want of one."""
        counts = self._feeder.counts
        if self._again is None or self._adapter.NAME != "plain" or counts["added"] or counts["replaced"]:
            return
        try:
            found = self._again()
        except (ComfyvnError, OSError):  # the folder is gone for now
            return
        if found.NAME != self._adapter.NAME:
            self._adapter = found
            said = {"folder": names.printable(self._place), "as": found.NAME, "process": os.getpid()}
            self._tell(Event(telling.WATCHING, said))

    def _is_art(self, inside: str) -> bool:
        """Whether a file is a picture, a sound or a film; all others are taken only by who says `--as plain`."""
        if self._again is None or self._adapter.NAME != "plain":
            return True
        with open(os.path.join(self._place, inside), "rb") as stream:
            return media.sniff(stream.read(media.HEAD_SIZE)).startswith(("image/", "audio/", "video/"))

    def _consider(self, seen: walking.Seen, now: float) -> Iterator[Due]:
        """Gives a file if it is due now."""
        info = files.lstat(seen.place)
        print_ = "-" if info is None else ":".join(map(str, files.print_of(info)))
        if self._done.get(seen.inside) == print_:
            return
        size = info.st_size if info is not None else 0
        before = self._pending.get(seen.inside)
        if before is None or before.print_ != print_:
            before = self._pending[seen.inside] = _Pending(print_, size, now)
        item = self._adapter.one(self._place, seen)
        if isinstance(item, Left):
            self._leave(seen.inside, item.reason, before, is_due=item.is_due)
            return
        age = now - before.since
        if not size or age < WHOLE:
            return
        is_cut = self._is_cut(seen.inside)
        if is_cut and age >= CUT:
            self._leave(seen.inside, "its end is missing", before)
        elif is_cut is False or (is_cut is None and age >= UNKNOWN):
            if not self._is_art(seen.inside):
                self._leave(seen.inside, "it is no picture, sound or film (--as plain takes all)", before, is_due=False)
                return
            yield Due(item, size, self._memory.took(seen.inside) is not None)

    def _is_cut(self, inside: str) -> bool | None:
        try:
            with open(os.path.join(self._place, inside), "rb") as stream:
                return ending.is_cut(stream)
        except OSError:  # it cannot be read now; the next look tells
            return True

    def _say_gone(self, error: OSError) -> None:
        if not self._is_gone:
            self._is_gone = True
            reason = error.strerror or str(error)
            self._tell(Event(telling.GONE, {"folder": self._place, "reason": reason}))

    # -- taking --------------------------------------------------------------------------------------------------------

    def _feed(self, portion: list[Due]) -> bool:
        """Takes files in; tells whether that could be done now."""
        before = {each.item.shown: self._inside(each.item) for each in portion}
        try:
            outcomes = self._feeder.feed(portion)
        except LockTimeout as error:
            self._wait(error)
            return False
        except MachineError as error:  # a full disk may have room again
            self._wait(error)
            return False
        self._is_waiting = False
        for outcome in outcomes:
            inside = before[outcome.file]
            pending = self._pending.pop(inside, None)
            if pending is not None:
                self._remember(inside, pending, outcome.path)
            self._tell(Event(outcome.what, described(outcome)))
        return True

    def _wait(self, error: ComfyvnError) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._tell(Event(telling.WAITING, {"reason": error.message}))

    def _inside(self, item: Item) -> str:
        return os.path.relpath(item.source, os.path.abspath(self._place)).replace(os.sep, "/")

    def _remember(self, inside: str, pending: _Pending, took: str | None) -> None:
        self._done[inside] = pending.print_
        if took is not None:  # what was left is looked at again by the next watch
            self._memory.note(inside, pending.print_, took)

    def _leave(self, inside: str, reason: str, pending: _Pending, *, is_due: bool = True) -> None:
        """Says that a file is not taken, once for each state of it; what is left without a fault is not told of."""
        self._pending.pop(inside, None)
        self._done[inside] = pending.print_
        what = scratch.LEFT if is_due else scratch.PASSED
        self._feeder.counts[what] += 1
        if is_due:
            shown = names.printable(os.path.join(self._place, inside))
            self._tell(Event(what, {"file": shown, "reason": reason}))


def described(outcome: scratch.Outcome) -> dict[str, object]:
    """Gives what became of a file as plain data."""
    found = {"file": outcome.file, "path": outcome.path, "bytes": outcome.bytes, "reason": outcome.reason}
    return {key: value for key, value in found.items() if value is not None}
