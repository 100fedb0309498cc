"""`undo`: reverses an operation of the journal, or says what stands in the way.

Paths are put back only where they still are as the operation left them: an edit that came later, staged or not, is never
touched, and neither are commits. An undo is an operation itself, so that it can be undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from comfyvn_store.asset import worktree
from comfyvn_store.base import links, names
from comfyvn_store.errors import ComfyvnError, ObjectCorrupt, ObjectMissing, Refused, UsageError, from_os_error
from comfyvn_store.ops import init, journal, moving, remotes, snapshots
from comfyvn_store.ops.journal import Entry, Moved
from comfyvn_store.ops.rebuild import Progress
from comfyvn_store.ops.session import Session, open_session
from comfyvn_store.ops.snapshots import Lies, State
from comfyvn_store.remotes import transfer
from comfyvn_store.remotes.remote import Item
from comfyvn_store.store import trash
from comfyvn_store.store.lock import locked
from comfyvn_store.vcs import blobs
from comfyvn_store.vcs.repository import Repository, open_repository

UNDO, UNINSTALL = "undo", "uninstall"
_PATIENCE = 30.0


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


def undo(name: str | None = None, *, dry_run: bool = False, progress: Progress | None = None) -> Undone:
    """Reverses an operation, by default the newest that is not reversed yet.

    Raises UsageError for one that there is not, Refused where something changed since, ObjectMissing, RemoteUnreachable.
    """
    repository = open_repository()
    entry = _chosen(repository, name)
    if entry.verb == UNINSTALL and entry.undoes is None:
        return _set_up_again(repository, entry, dry_run)
    with open_session() as session:
        done = Undone(entry)
        if entry.before:
            _undo_paths(session, entry, done, dry_run)
        else:
            _undo_objects(session.repository, entry, done, dry_run, progress or (lambda what, done, total: None))
        if not dry_run:
            session.catch_up_if_free()
    return done


def _chosen(repository: Repository, name: str | None) -> Entry:
    if name is not None:
        entry = journal.find(repository, name)
    else:
        open_ = (each for each in journal.listed(repository) if each.verb != UNDO and each.undone_by is None)
        found = next(open_, None)
        if found is None:
            raise UsageError("there is nothing to undo", hint="`comfyvn-store log --operations` lists what was done")
        entry = found
    if entry.undone_by is not None:
        raise Refused(
            f"'{entry.summary}' is undone already", hint=f"to do it again: comfyvn-store undo {entry.undone_by}"
        )
    return entry


def _note_undone(repository: Repository, entry: Entry, by: str) -> None:
    """Notes that an entry was reversed; one that it had reversed is in force again."""
    journal.write(repository, replace(entry, undone_by=by))
    for other in journal.listed(repository) if entry.undoes else ():
        if other.id == entry.undoes:
            journal.write(repository, replace(other, undone_by=None))


def _summary(entry: Entry) -> str:
    return f"redo {entry.summary.removeprefix('undo ')}" if entry.undoes else f"undo {entry.summary}"


# -- paths -------------------------------------------------------------------------------------------------------------


def _undo_paths(session: Session, entry: Entry, done: Undone, dry_run: bool) -> None:
    repository = session.repository
    if entry.work_tree != repository.top:
        raise Refused(
            f"that was done in the work tree '{names.printable(entry.work_tree)}'", hint="run the command there"
        )
    with worktree.alone(repository, worktree.PATIENCE):
        try:
            # With `keep` what an unfinished operation left is safe before it makes way.
            now = snapshots.take(repository, entry.before, keep=not dry_run)
            wanted = {path: state for path, state in entry.before.items() if now[path] != state}
            _refuse_changes(repository, entry, now, wanted)
            done.paths = list(wanted)
            if dry_run:
                return
            _bring_objects(repository, now, wanted)
            undoing = journal.begin(repository, UNDO, _summary(entry), before=now, undoes=entry.id, keeps=entry.before)
            snapshots.put_back(session, now, wanted)
            after = snapshots.take(repository, entry.before, keep=False)
        except OSError as error:
            raise from_os_error(error, "undo that") from error
    journal.finish(repository, undoing, after=after)
    _note_undone(repository, entry, undoing.id)
    done.by = undoing.id


def _refuse_changes(
    repository: Repository, entry: Entry, now: Mapping[str, State], wanted: Mapping[str, State]
) -> None:
    """Raises Refused where something is not as the operation left it."""
    for path in wanted:
        why = _change(repository, path, now[path], entry.after.get(path), entry)
        if why:
            raise Refused(
                f"'{names.printable(path)}' {why}, and undo would overwrite that",
                hint="commit or save what you have there elsewhere, or put it right with git; nothing was changed",
            )
    had_conflict = any(stage for state in wanted.values() for _, _, stage in state.entries)
    if had_conflict and journal.under_way(repository) != entry.under_way:
        raise Refused(
            "the conflict that this settled belongs to a merge, pick or rebase that has ended",
            hint="git itself undoes that: see `git reflog`, `git reset`, `git revert`",
        )


def _change(repository: Repository, path: str, now: State, after: State | None, entry: Entry) -> str | None:
    """Says how a path differs from what an operation left."""
    if after is None and not entry.is_finished:
        return _doubt(repository, path, now, entry.before[path])
    assert after is not None
    if now.lies != after.lies:
        return "was changed since"
    if now.entries != after.entries or now.is_unstaged != after.is_unstaged:
        return "was staged or committed otherwise since"
    return None


def _doubt(repository: Repository, path: str, now: State, before: State) -> str | None:
    """Says why what lies at the path of an operation that was cut short may be somebody's edit."""
    lies = now.lies
    if lies is None or lies == before.lies or (lies.kind == snapshots.LINK and links.parse_link(lies.value)):
        return None
    if lies.kind == snapshots.TEXT and any(oid == lies.value for _, oid, _ in now.entries):
        return None
    if lies.kind == snapshots.OBJECT:
        staged = set(blobs.read_links(repository.git, [oid for _, oid, _ in now.entries]).values())
        linked = links.parse_link(before.lies.value) if before.lies and before.lies.kind == snapshots.LINK else None
        if lies.value in {*staged, linked}:
            return None
    return "may have been edited since the operation that was cut short"


def _bring_objects(repository: Repository, now: Mapping[str, State], wanted: Mapping[str, State]) -> None:
    """Takes out of the trash what the states need and the store has not got.

    Raises Refused where a view that shows something now would lead nowhere.
    """
    needed = {path: hash_ for path, state in wanted.items() if (hash_ := _object_of(state.lies)) is not None}
    absent = {hash_ for hash_ in needed.values() if not repository.store.has(hash_)}
    for item in trash.listed(repository.store) if absent else ():
        if item.hash in absent:
            trash.restore(repository.store, item)
            absent.discard(item.hash)
    for path, hash_ in needed.items():
        shown = _object_of(now[path].lies)
        if hash_ in absent and shown is not None and repository.store.has(shown):
            raise Refused(
                f"the bytes that '{names.printable(path)}' had ({hash_[:16]}) are not here",
                hint="bring them back first, from a colleague or a backup; nothing was changed",
            )


def _object_of(lies: Lies | None) -> str | None:
    """Gives the object that a link leads to, or that a file has the bytes of."""
    if lies is None or lies.kind not in (snapshots.LINK, snapshots.OBJECT):
        return None
    return lies.value if lies.kind == snapshots.OBJECT else links.parse_link(lies.value)


# -- objects -----------------------------------------------------------------------------------------------------------


def _undo_objects(repository: Repository, entry: Entry, done: Undone, dry_run: bool, tell: Progress) -> None:
    if entry.undoes is not None:
        raise Refused("an undo that brought objects back cannot be undone", hint="run the first command again")
    absent = [each for each in entry.objects if not repository.store.has(each.hash)]
    done.objects = [each.hash for each in absent]
    if dry_run:
        return
    undoing = journal.begin(repository, UNDO, _summary(entry), objects=absent, undoes=entry.id)
    error = _fetch(repository, absent) if entry.verb == "drop" else _from_trash(repository, absent, tell)
    done.objects = [each.hash for each in absent if repository.store.has(each.hash)]
    journal.finish(repository, undoing)
    if error is not None:
        raise error
    _note_undone(repository, entry, undoing.id)
    done.by = undoing.id


def _from_trash(repository: Repository, absent: list[Moved], tell: Progress) -> ComfyvnError | None:
    """Brings objects back from the trash; gives what to say where one is not there."""
    wanted = {each.hash for each in absent}
    with locked(repository.store.lock_path, _PATIENCE, repository.settings.sharing):
        items = [item for item in trash.listed(repository.store) if item.hash in wanted]
        done = trash.restore_each(repository.store, items, lambda count: tell("bringing back", count, len(wanted)))
    lost = [each.hash for each in absent if each.hash not in set(done.back)]
    if not lost:
        return None
    if done.damaged:
        return ObjectCorrupt(
            f"object {done.damaged[0][:16]}{_more(done.damaged)} is damaged in the trash; the others are back",
            hint="`comfyvn-store pull` asks remotes for what the checkout needs",
        )
    return ObjectMissing(
        f"object {lost[0][:16]}{_more(lost)} is not in the trash any more; the others are back",
        hint="`comfyvn-store pull` asks remotes for what the checkout needs",
    )


def _more(hashes: list[str]) -> str:
    return f" and {len(hashes) - 1} more" if len(hashes) > 1 else ""


def _fetch(repository: Repository, absent: list[Moved]) -> ComfyvnError | None:
    """Fetches dropped objects from the remotes that had proved to hold them, then from any other."""
    if not absent:
        return None
    first = {name for each in absent for name in each.remotes}
    opened = sorted(remotes.for_reading(repository), key=lambda remote: remote.name not in first)
    try:
        outcome = transfer.fetch(repository.store, opened, [Item(each.hash) for each in absent])
    finally:
        for remote in opened:
            remote.close()
    return moving.fetch_error(outcome, {}, [remote.name for remote in opened])


# -- the installation --------------------------------------------------------------------------------------------------


def _set_up_again(repository: Repository, entry: Entry, dry_run: bool) -> Undone:
    done = Undone(entry)
    if not repository.home.is_retired:
        raise Refused("comfyvn-store is set up here again already", hint="there is nothing to undo")
    if dry_run:
        return done
    init.init(repository)
    repository = open_repository()
    undoing = journal.finish(repository, journal.begin(repository, UNDO, _summary(entry), undoes=entry.id))
    _note_undone(repository, entry, undoing.id)
    done.by = undoing.id
    return done
