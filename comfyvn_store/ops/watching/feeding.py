"""From files that are complete to assets, a few at a time, with nothing held open between.

Another git that holds the index is waited for a moment, then left alone: the files stay due, and the next round does it. The
database is not brought up to date for each file, which takes seconds where there are very many assets: commands do that
themselves, and the watch when nothing came for a while.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import NamedTuple

from comfyvn_store.errors import MachineError
from comfyvn_store.ops.importing import deciding
from comfyvn_store.ops.importing.carrying import Import, Order
from comfyvn_store.ops.importing.items import Item
from comfyvn_store.ops.importing.made import Made
from comfyvn_store.ops.importing.scratch import ADDED, KNOWN, LEFT, PASSED, REPLACED, Outcome
from comfyvn_store.ops.session import open_session

# So many files, or bytes, in one write of git's index.
MOST = 200
MOST_BYTES = 128 << 20
_IDLE = 30.0


class Due(NamedTuple):
    """A file that is complete; `replaces` where it was saved anew, and its asset gets a new version."""

    item: Item
    size: int
    replaces: bool = False


class Feeder:
    """Takes files in, and counts. `made` is one operation of the journal for the whole watch."""

    def __init__(self, folder: str, order: Order, made: Made) -> None:
        self._folder = folder
        self._order = order
        self._made = made
        self._fed: float | None = None
        self.counts = dict.fromkeys((ADDED, REPLACED, KNOWN, LEFT, PASSED), 0)

    def feed(self, due: Sequence[Due]) -> list[Outcome]:
        """Makes files assets, and says what became of each, in their order. Raises LockTimeout (later, then), MachineError."""
        with (
            open_session(self._folder, fresh=False) as session,
            closing(Import(session, self._order, self._made, is_small=True)) as work,
        ):
            for each in due:
                work.consider(each.item, deciding.REPLACE if each.replaces else None)
            work.flush()
            found = {each.file: each for each in work.scratch.outcomes(*self.counts)}
        self._fed = time.monotonic()
        for outcome in found.values():
            self.counts[outcome.what] += 1
        return [found[each.item.shown] for each in due if each.item.shown in found]

    def rest(self, *, is_end: bool = False) -> None:
        """Brings the database up to date and has previews made, if something came, and then nothing for a while."""
        if self._fed is not None and (is_end or time.monotonic() - self._fed >= _IDLE):
            self._fed = None
            # What is not done now, the next command does.
            with suppress(MachineError), open_session(self._folder) as session:
                session.make_previews_later()

    def finish(self) -> str | None:
        """Notes the end in the journal, and gives the operation's id."""
        self.rest(is_end=True)
        return self._made.finish()


def portions(due: Sequence[Due]) -> list[list[Due]]:
    """Parts files into what is taken in at once."""
    found: list[list[Due]] = []
    size = 0
    for each in due:
        if not found or len(found[-1]) >= MOST or size + each.size > MOST_BYTES:
            found.append([])
            size = 0
        found[-1].append(each)
        size += each.size
    return found
