"""`undo`: reverses an operation of the journal, or says what stands in the way.

Paths are put back only where they still are as the operation left them: an edit that came later, staged or not, is never
touched, and neither are commits. An undo is an operation itself, so that it can be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from comfyvn_store.asset import worktree
from comfyvn_store.base import names
from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.errors import ComfyvnError, Refused, UsageError, from_os_error
from comfyvn_store.ops import journal, returning, setting_up_again, snapshots, standing
from comfyvn_store.ops.importing import made
from comfyvn_store.ops.journal import Entry
from comfyvn_store.ops.session import Session, open_session
from comfyvn_store.ops.snapshots import State
from comfyvn_store.ops.standing import Standing
from comfyvn_store.store import trash
from comfyvn_store.vcs.repository import Repository, open_repository

# Hears of each operation that is passed over, with its reason.
Tell = Callable[[Entry, str], None]
# So many files that stay are named one by one.
_NAMED = 20
_BY_ID = "Older operations can be undone by their ids: comfyvn-store log --operations"


@dataclass
class Undone:
    """What was reversed: the entry, the entry of that (None for a dry run), paths and objects that came back."""

    entry: Entry
    by: str | None = None
    paths: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        about = {name: getattr(self.entry, name) for name in ("id", "verb", "summary", "at")}
        return {"undone": about, "by": self.by, "paths": self.paths, "objects": self.objects, "notes": self.notes}


def undo(
    name: str | None = None,
    *,
    dry_run: bool = False,
    tell: Tell = lambda entry, why: None,
    progress: Progress = quietly,
) -> Undone:
    """Reverses an operation, by default the newest that can be; `tell` hears of newer ones that cannot be any more.

    Raises UsageError for one that there is not, Refused where it cannot be reversed, ObjectMissing, RemoteUnreachable.
    """
    repository = open_repository()
    if dry_run:
        return _undo(repository, name, dry_run, tell, progress)
    with journal.alone(repository):  # of two at once the second sees what the first took back
        return _undo(repository, name, dry_run, tell, progress)


def _undo(repository: Repository, name: str | None, dry_run: bool, tell: Tell, progress: Progress) -> Undone:
    entry = _chosen(repository, name, tell)
    done = Undone(entry)
    if entry.verb == standing.UNINSTALL:
        return _set_up_again(repository, done, dry_run)
    try:
        with open_session() as session:
            if entry.made:
                _undo_made(session, done, dry_run)
            elif entry.before:
                _undo_paths(session, done, dry_run)
            else:
                _undo_objects(session.repository, done, dry_run, progress)
            if not dry_run:
                session.catch_up_if_free()
    except ComfyvnError as error:
        if name is None:
            error.hint = f"{error.hint}. {_BY_ID}" if error.hint else _BY_ID
        raise
    return done


def _chosen(repository: Repository, name: str | None, tell: Tell) -> Entry:
    try:
        if name is None:
            return _newest(repository, tell)
        entry = journal.find(repository, name)
        found = standing.judge(repository, [entry])[entry.id]
    except OSError as error:
        raise from_os_error(error, "look at what is to be undone") from error
    if entry.undone_by is not None:
        origin = f"comfyvn-store undo {entry.undone_by}" if entry.before else standing.redoing(entry, entry.verb)
        raise Refused(f"'{names.printable(entry.summary)}' is undone already", hint=f"to do it again: {origin}")
    if not found.is_open:
        raise _refusal(entry, found)
    return entry


def _newest(repository: Repository, tell: Tell) -> Entry:
    """Gives the newest operation that can be undone. Raises Refused at one that something unsaved stands in the way of."""
    due = [each for each in journal.listed(repository) if each.verb != standing.UNDO and each.undone_by is None]
    if not due:
        raise UsageError("there is nothing to undo", hint="`comfyvn-store log --operations` lists what was done")
    found = standing.judge(repository, due)
    for number, entry in enumerate(due):
        now = found[entry.id]
        if now.is_open:
            return entry
        if now.kind == standing.BLOCKED:
            older = next((each for each in due[number + 1 :] if found[each.id].is_open), None)
            raise _refusal(entry, now, older)
        tell(entry, now.reason or "")
    raise Refused(
        "nothing of what was done can be undone any more",
        hint="`comfyvn-store log --operations` says why; `git log` and `git reflog` know what was committed",
    )


def _refusal(entry: Entry, found: Standing, older: Entry | None = None) -> Refused:
    hint = found.hint
    if found.kind == standing.BLOCKED:
        hint = f"{hint}; nothing was changed"
    if older is not None:
        hint = f"{hint}. To undo '{names.printable(older.summary)}' instead: comfyvn-store undo {older.id[-12:]}"
    return Refused(f"'{names.printable(entry.summary)}': {found.reason}", hint=hint)


def _note_undone(repository: Repository, entry: Entry, by: str) -> None:
    """Notes that an entry was reversed; one that it had reversed is in force again."""
    journal.write(repository, replace(entry, undone_by=by))
    for other in journal.listed(repository) if entry.undoes else ():
        if other.id == entry.undoes:
            journal.write(repository, replace(other, undone_by=None))


def _summary(entry: Entry) -> str:
    return f"redo {entry.summary.removeprefix('undo ')}" if entry.undoes else f"undo {entry.summary}"


# -- paths -------------------------------------------------------------------------------------------------------------


def _undo_paths(session: Session, done: Undone, dry_run: bool) -> None:
    repository, entry = session.repository, done.entry
    with worktree.alone(repository, worktree.PATIENCE):
        try:
            # With `keep` what an unfinished operation left is safe before it makes way.
            now = snapshots.take(repository, entry.before, keep=not dry_run)
            wanted = {path: state for path, state in entry.before.items() if now[path] != state}
            found = standing.of_paths(repository, entry, now)
            if not found.is_open:
                raise _refusal(entry, found)
            done.paths = list(wanted)
            if dry_run:
                return
            _bring_objects(repository, now, wanted)
            undoing = journal.begin(
                repository, standing.UNDO, _summary(entry), before=now, undoes=entry.id, keeps=entry.before
            )
            snapshots.put_back(session, now, wanted)
            after = snapshots.take(repository, entry.before, keep=False)
        except OSError as error:
            raise from_os_error(error, "undo that") from error
    journal.finish(repository, undoing, after=after)
    _note_undone(repository, entry, undoing.id)
    done.by = undoing.id


def _undo_made(session: Session, done: Undone, dry_run: bool) -> None:
    repository, entry = session.repository, done.entry
    with worktree.alone(repository, worktree.PATIENCE):
        try:
            if dry_run:
                done.paths, kept = made.take_back(session, entry.id, dry_run=True)
            else:
                undoing = journal.begin(repository, standing.UNDO, _summary(entry), undoes=entry.id)
                done.paths, kept = made.take_back(session, entry.id, dry_run=False)
        except OSError as error:
            raise from_os_error(error, "undo that") from error
    done.notes += [f"'{names.printable(path)}' was changed since, and stays" for path in kept[:_NAMED]]
    if len(kept) > _NAMED:
        done.notes.append(f"{len(kept) - _NAMED} more were changed since, and stay")
    if not dry_run:
        journal.finish(repository, undoing)
        _note_undone(repository, entry, undoing.id)
        done.by = undoing.id


def _bring_objects(repository: Repository, now: Mapping[str, State], wanted: Mapping[str, State]) -> None:
    """Takes out of the trash what the states need and the store has not got.

    Raises Refused where a view that shows something now would lead nowhere.
    """
    needed = {path: hash_ for path, state in wanted.items() if (hash_ := standing.object_of(state.lies)) is not None}
    absent = {hash_ for hash_ in needed.values() if not repository.store.has(hash_)}
    for item in trash.listed(repository.store) if absent else ():
        if item.hash in absent:
            trash.restore(repository.store, item)
            absent.discard(item.hash)
    for path, hash_ in needed.items():
        shown = standing.object_of(now[path].lies)
        if hash_ in absent and shown is not None and repository.store.has(shown):
            raise Refused(
                f"the bytes that '{names.printable(path)}' had ({hash_[:16]}) are not here",
                hint="bring them back first, from a colleague or a backup; nothing was changed",
            )


# -- objects -----------------------------------------------------------------------------------------------------------


def _undo_objects(repository: Repository, done: Undone, dry_run: bool, progress: Progress) -> None:
    entry = done.entry
    earlier = [each.id for each in journal.listed(repository) if each.undoes == entry.id and not each.is_finished]
    # An undo that was cut short may have left objects under their names and in the trash.
    twice = {item.hash for item in trash.listed(repository.store)} if earlier else set()
    absent = [each for each in entry.objects if not repository.store.has(each.hash) or each.hash in twice]
    done.objects = [each.hash for each in absent]
    if dry_run:
        done.notes += returning.forecast(repository, entry, absent)
        return
    undoing = journal.begin(repository, standing.UNDO, _summary(entry), objects=absent, undoes=entry.id)
    journal.forget(repository, earlier)
    try:
        if entry.verb == standing.DROP:
            error = returning.fetch(repository, absent)
        else:
            error = returning.from_trash(repository, absent, progress)
    except ComfyvnError as raised:
        error = raised
    done.objects = [each.hash for each in absent if repository.store.has(each.hash)]
    back = tuple(each for each in absent if each.hash in done.objects)
    if error is not None:
        journal.write(repository, replace(undoing, state=journal.FAILED, objects=back))
        raise error
    journal.finish(repository, undoing, objects=back)
    _note_undone(repository, entry, undoing.id)
    done.by = undoing.id


# -- the installation --------------------------------------------------------------------------------------------------


def _set_up_again(repository: Repository, done: Undone, dry_run: bool) -> Undone:
    entry = done.entry
    if dry_run:
        done.notes += setting_up_again.forecast(repository, entry)
        return done
    done.notes += setting_up_again.set_up(repository, entry)
    repository = open_repository()
    undoing = journal.finish(repository, journal.begin(repository, standing.UNDO, _summary(entry), undoes=entry.id))
    _note_undone(repository, entry, undoing.id)
    done.by = undoing.id
    return done
