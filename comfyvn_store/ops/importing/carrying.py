"""An import: files are found one by one, compared with what is known, and become assets some hundred at a time.

It can be ended at any moment. What is done is found again by its bytes, so a second run does the rest and nothing twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from comfyvn_store.asset import worktree
from comfyvn_store.base import names
from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.errors import ComfyvnError, UsageError, from_os_error
from comfyvn_store.ops import journal, places, register, taking
from comfyvn_store.ops.importing import choosing, deciding, made, scratch, walking
from comfyvn_store.ops.importing.deciding import Hashes
from comfyvn_store.ops.importing.items import Adapter, Item, Left
from comfyvn_store.ops.importing.scratch import Outcome, Scratch, Twin
from comfyvn_store.ops.session import Session
from comfyvn_store.ops.taking import Taking, Wish
from comfyvn_store.vcs import staging

# A batch is staged together; other commands wait for one, so it is neither more files nor more bytes than this.
BATCH = 1000
_BATCH_BYTES = 256 << 20


@dataclass(frozen=True)
class Order:
    """What a person asked for: how to read (None: found by looking), a type instead of that of each file, tags, licence and
    notes for all of them, what to do about a name that other bytes have, whether bytes that are an asset already stay out, and
    whether it is told which pictures look alike (None: where they are not too many)."""

    adapter: str | None = None
    type: str | None = None
    tags: tuple[str, ...] = ()
    license: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    conflict: str = deciding.SKIP
    skip_duplicates: bool = False
    alike: bool | None = None
    is_trial: bool = False


class _Due(NamedTuple):
    item: Item
    wish: Wish
    hashes: Hashes
    size: int
    wanted: str


class Import:
    """An import under way. `scratch` knows what became of each file; `operation` is the journal's id, once there is one.

    `note` is
    what people should know; `is_small`: it is of few files, for which the index is not copied."""

    def __init__(self, session: Session, order: Order, made_: made.Made, *, is_small: bool = False) -> None:
        self._session = session
        self._repository = session.repository
        self._order = order
        self.scratch = Scratch(session, copies_index=not is_small)
        self.adapters: list[tuple[str, str]] = []
        self.operation: str | None = None
        self.note: str | None = None
        self._made = made_
        self._batch: list[_Due] = []
        self._bytes = 0

    def carry(self, sources: Sequence[str], progress: Progress = quietly) -> None:
        """Imports folders and files. Raises UnknownFile, UsageError before anything is done; Refused, MachineError."""
        found = [(source, choosing.find(source, self._order.adapter)) for source in sources]
        for source, adapter in found:
            self.require_type(adapter, source)
        self.adapters = [(source, adapter.NAME) for source, adapter in found]
        total = sum(walking.count(source) for source in sources)
        done = 0
        for source, adapter in found:
            for each in _read(adapter, source):
                self.consider(each)
                done += 1
                progress("looking" if self._order.is_trial else "importing", done, max(total, done))
        self.flush()
        self.end()
        if self._order.alike is not False and not self._order.is_trial:
            from comfyvn_store.ops.importing import alike

            self.note = alike.find(self._session, self.scratch, progress, is_asked=self._order.alike is True)

    def require_type(self, adapter: Adapter, source: str) -> None:
        """Raises UsageError where nothing says the type of files, Refused for a type that cannot be one."""
        if self._order.type is not None:
            places.check_type(self._order.type)
        elif not adapter.HAS_TYPES:
            raise UsageError(
                f"nothing says of which type the files in '{names.printable(source)}' are (read as {adapter.NAME})",
                hint="give one: --type characters",
            )

    def consider(self, each: Item | Left, conflict: str | None = None) -> None:
        """Decides about one file; `conflict` is what is done about a clash of its name, if not what was ordered.

        Raises Refused, MachineError if a batch is full and cannot be taken in.
        """
        if isinstance(each, Left):
            what = scratch.LEFT if each.is_due else scratch.PASSED
            self.scratch.note(Outcome(what, each.shown, each.line, reason=each.reason))
            return
        try:
            due = self._due(each, conflict or self._order.conflict)
        except (ComfyvnError, OSError) as error:
            reason = error.message if isinstance(error, ComfyvnError) else error.strerror or str(error)
            self._leave(each, reason)
            return
        if due is None:
            return
        self.scratch.expect(due.wish.inside, *due.hashes, each.shown)
        self._batch.append(due)
        self._bytes += due.size
        if len(self._batch) >= BATCH or self._bytes >= _BATCH_BYTES:
            self.flush()

    def _due(self, item: Item, conflict: str) -> _Due | None:
        """Gives what is to be taken in of a file, or None where nothing is. Raises ComfyvnError, OSError."""
        type_ = self._order.type or item.type
        if type_ is None:
            self._leave(item, "nothing says of which type it is; give --type, or a column 'type'")
            return None
        places.check_type(type_)
        inside = f"{type_}/{item.name}"
        places.check_name(self._repository, inside)
        register.check_source(item.source, item.shown)
        size, hashes = os.path.getsize(item.source), deciding.hashes_of(item.source)
        found = deciding.decide(self._repository, self.scratch, inside, hashes, conflict)
        full = self._repository.full(found.inside)
        if found.what == deciding.KNOWN:
            self.scratch.note(Outcome(scratch.KNOWN, item.shown, item.line, full, type_, size))
            return None
        if found.what == deciding.CLASH:
            self._leave(item, found.reason or "", full)
            return None
        twin = self.scratch.twin_of(set(hashes), found.inside)
        if twin is not None:
            kept = None if self._order.skip_duplicates else full
            self.scratch.note_twin(Twin(item.shown, kept, self._repository.full(twin[1])))
            if self._order.skip_duplicates:
                reason = f"the same bytes as {names.printable(self._repository.full(twin[1]))}"
                self.scratch.note(Outcome(scratch.PASSED, item.shown, item.line, None, type_, size, reason))
                return None
        return _Due(item, self._wish(item, found, hashes), hashes, size, self._repository.full(inside))

    def _wish(self, item: Item, found: deciding.Decision, hashes: Hashes) -> Wish:
        return Wish(
            item.source,
            found.inside,
            replace=found.replaces,
            tags=tuple(dict.fromkeys((*item.tags, *self._order.tags))),
            license=self._order.license or item.license,
            meta={**item.meta, **self._order.meta},
            origin=deciding.origin_of(item),
            expected=frozenset(hashes),
        )

    def _leave(self, item: Item, reason: str, wanted: str | None = None) -> None:
        self.scratch.note(Outcome(scratch.LEFT, item.shown, item.line, reason=reason, wanted=wanted))

    # -- taking in -----------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Takes in what is waiting, and stages it. Raises Refused, MachineError (LockTimeout): run again, it goes on there."""
        batch, self._batch, self._bytes = self._batch, [], 0
        if not batch:
            return
        drivers = staging.filter_drivers(
            self._repository.git, [self._repository.full(due.wish.inside) for due in batch]
        )
        fit: dict[str, _Due] = {}
        for due in batch:
            try:
                places.check_driver(due.wish.inside, drivers[self._repository.full(due.wish.inside)])
            except ComfyvnError as error:
                self._failed(due, error)
            else:
                fit[due.wish.inside] = due
        if self._order.is_trial:
            for due in fit.values():
                self._note(due, None, is_known=False)
            return
        self._take(fit)

    def _take(self, fit: Mapping[str, _Due]) -> None:
        repository = self._repository
        replaced = [repository.full(inside) for inside, due in fit.items() if due.wish.replace]
        noted = [path for full in replaced for path in (full, names.sidecar_path(full))]
        more = f" and {len(replaced) - 1} more" if len(replaced) > 1 else ""
        summary = f"import: replace {replaced[0] if replaced else ''}{more}"
        try:
            with (
                worktree.alone(repository, worktree.PATIENCE),
                journal.recording(repository, made.VERB, noted, summary),
            ):
                done = taking.take(
                    self._session,
                    [due.wish for due in fit.values()],
                    lambda wish, error: self._failed(fit[wish.inside], error),
                    check=register.check_source,
                    ready=self._made.note,
                )
        except OSError as error:
            raise from_os_error(error, "import the files") from error
        for each in done:
            self._note(fit[each.wish.inside], each.card.hash, is_known=_was_there(each))

    def _failed(self, due: _Due, error: ComfyvnError) -> None:
        self.scratch.forget(due.wish.inside)
        self._leave(due.item, error.message, self._repository.full(due.wish.inside))

    def _note(self, due: _Due, hash_: str | None, *, is_known: bool) -> None:
        full = self._repository.full(due.wish.inside)
        what = scratch.KNOWN if is_known else scratch.REPLACED if due.wish.replace else scratch.ADDED
        type_ = names.asset_type(due.wish.inside)
        wanted = due.wanted if due.wanted != full else None
        shown, line = due.item.shown, due.item.line
        self.scratch.note(Outcome(what, shown, line, full, type_, due.size, wanted=wanted, hash=hash_))

    def end(self) -> None:
        """Notes in the journal what was made, and brings the index up to date. Raises OSError."""
        self.operation = self._made.finish()
        self.settle()

    def settle(self) -> None:
        """Brings the index up to date."""
        if not self._order.is_trial:
            self._session.catch_up_if_free()
            self._session.make_previews_later()

    def close(self) -> None:
        """Lets go of what was remembered."""
        self.scratch.close()


def _was_there(each: Taking) -> bool:
    """Whether another process made the same asset meanwhile."""
    return each.taken.staged_hash == each.card.hash and not each.wish.replace


def _read(adapter: Adapter, source: str) -> Iterator[Item | Left]:
    try:
        yield from adapter.read(source)
    except OSError as error:
        raise from_os_error(error, f"read '{names.printable(source)}'") from error


def adjusted(order: Order, *, skip_duplicates: bool, is_trial: bool, alike: bool | None) -> Order:
    """Gives the same order with these."""
    return replace(order, skip_duplicates=skip_duplicates, is_trial=is_trial, alike=alike)


def described(sources: Sequence[str]) -> str:
    """Gives in words what is imported."""
    first = names.printable(os.path.basename(os.path.abspath(sources[0])))
    return first if len(sources) == 1 else f"{first} and {len(sources) - 1} more"
