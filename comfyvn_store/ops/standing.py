"""How the operations of the journal stand now: which can be undone, which cannot any more, and what is in the way.

All entries are judged by one look at git's index, HEAD, the work tree and the trash. No remote is asked, nothing is kept:
what was committed and taken back with git can be undone again.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from comfyvn_store.asset import worktree
from comfyvn_store.base import links, names
from comfyvn_store.ops import journal, snapshots, wiring
from comfyvn_store.ops.importing import made
from comfyvn_store.ops.journal import Entry
from comfyvn_store.ops.snapshots import Lies, State
from comfyvn_store.store import trash
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository

UNDO, UNINSTALL, GC, DROP = "undo", "uninstall", "gc", "drop"
# It can be undone; it was; it is an undo that came to nothing; it cannot be any more; not before an edit makes way; it was
# done in another work tree.
OPEN, UNDONE, FAILED, PAST, BLOCKED, ELSEWHERE = "open", "undone", "failed", "past", "blocked", "elsewhere"
_BROUGHT = "that brought objects back"
SAVE_FIRST = "commit or save what you have there elsewhere, or put it right with git"
_AGAIN = {
    made.VERB: "comfyvn-store import",
    GC: "comfyvn-store gc --prune",
    DROP: "comfyvn-store drop PATH",
    UNINSTALL: "comfyvn-store uninstall",
}


class Standing(NamedTuple):
    """How an operation stands, why it cannot be undone, and what to do instead."""

    kind: str
    reason: str | None = None
    hint: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can be undone."""
        return self.kind == OPEN


def judge(repository: Repository, entries: Sequence[Entry]) -> dict[str, Standing]:
    """Gives how each entry stands, by id. Raises OSError."""
    due = [entry for entry in entries if entry.before and entry.undone_by is None and is_here(repository, entry)]
    paths = () if repository.home.is_retired else {path for entry in due for path in entry.before}
    looked = _Look(repository, snapshots.take(repository, paths, keep=False))
    return {entry.id: looked.at(entry) for entry in entries}


def of_paths(repository: Repository, entry: Entry, now: Mapping[str, State]) -> Standing:
    """Gives how an operation on paths stands that are in the states `now`."""
    return _Look(repository, now).paths(entry)


def is_here(repository: Repository, entry: Entry) -> bool:
    """Whether an operation was done in this work tree, wherever that was then."""
    if entry.work_tree == repository.top:
        return True
    return entry.git_dir == journal.own_dir(repository) and repository.is_at_home


def redoing(entry: Entry, verb: str) -> str:
    """Gives the command that does again what an operation of a verb did, whose undoing is no operation on paths."""
    path = entry.summary.removeprefix("undo ").removeprefix("drop ")
    known = (
        f"comfyvn-store drop {names.printable(wiring.typed(path))}" if verb == DROP and " and " not in path else None
    )
    return known or _AGAIN.get(verb, "run that command")


class _Look:
    """What is there now."""

    def __init__(self, repository: Repository, now: Mapping[str, State]) -> None:
        self._repository = repository
        self._now = now
        self._head = staging.tree_entries(repository.git, "HEAD", sorted(now))
        oids = {oid for state in now.values() for _, oid, stage in state.entries if not stage}
        self._linked = blobs.read_links(repository.git, oids)
        self._under_way = journal.under_way(repository)

    @functools.cached_property
    def _trashed(self) -> set[str]:
        return {item.hash for item in trash.listed(self._repository.store)}

    @functools.cached_property
    def _journal(self) -> dict[str, Entry]:
        return {entry.id: entry for entry in journal.listed(self._repository)}

    @functools.cached_property
    def _half_undone(self) -> set[str]:
        """The operations of which an undo was begun and not finished."""
        return {each.undoes for each in self._journal.values() if each.undoes and not each.is_finished}

    def at(self, entry: Entry) -> Standing:
        """Gives how an entry stands."""
        if entry.undone_by is not None:
            return Standing(UNDONE)
        if entry.state == journal.FAILED:
            return Standing(FAILED, "it came to nothing", "undo that operation once more")
        if entry.verb == UNINSTALL:
            return self._uninstall(entry)
        if entry.verb == UNDO and not entry.before:
            return self._brought_back(entry)
        if self._repository.home.is_retired:
            return Standing(BLOCKED, "comfyvn-store is not set up here", "run `comfyvn-store init` first")
        if entry.made:
            return self._made(entry)
        return self.paths(entry) if entry.before else self._objects(entry)

    def _made(self, entry: Entry) -> Standing:
        if not is_here(self._repository, entry):
            return _elsewhere(entry)
        if made.is_anything_left(self._repository, entry.id):
            return Standing(OPEN)
        return Standing(PAST, "nothing of what it brought is here any more", "there is nothing to undo")

    def _uninstall(self, entry: Entry) -> Standing:
        if self._repository.home.is_retired or not entry.is_finished:
            return Standing(OPEN)
        return Standing(PAST, "comfyvn-store is set up here again already", "there is nothing to undo")

    def _brought_back(self, entry: Entry) -> Standing:
        origin = self._journal.get(entry.undoes or "")
        verb = origin.verb if origin else entry.summary.removeprefix("undo ").partition(" ")[0].rstrip(":")
        what = {UNINSTALL: "that set things up again", made.VERB: "that took an import back"}.get(verb, _BROUGHT)
        hint = f"to do it again, run that command again: {redoing(origin or entry, verb)}"
        return Standing(PAST, f"an undo {what} cannot be undone", hint)

    def _objects(self, entry: Entry) -> Standing:
        store = self._repository.store
        absent = [each.hash for each in entry.objects if not store.has(each.hash)]
        if not entry.is_finished:
            return Standing(OPEN)
        if entry.id in self._half_undone and not absent:
            return Standing(OPEN)
        if not absent:
            return Standing(PAST, "its objects are all here", "there is nothing to undo")
        if entry.verb == GC and not self._trashed & set(absent):
            hint = "`comfyvn-store pull --rev REV` asks remotes for what a revision holds"
            return Standing(PAST, "its objects are not in the trash any more", hint)
        return Standing(OPEN)

    # -- paths ---------------------------------------------------------------------------------------------------------

    def paths(self, entry: Entry) -> Standing:
        """Gives how an operation on paths stands."""
        if not is_here(self._repository, entry):
            return _elsewhere(entry)
        wanted = [path for path, state in entry.before.items() if self._now[path] != state]
        if not wanted and entry.is_finished and entry.id not in self._half_undone:
            return Standing(PAST, "all is as it was before it", "there is nothing to undo")
        had_conflict = any(stage for path in wanted for _, _, stage in entry.before[path].entries)
        if had_conflict and self._under_way != entry.under_way:
            return Standing(
                PAST,
                "the conflict that this settled belongs to a merge, pick or rebase that has ended",
                "git itself undoes that: see `git reflog`, `git reset`, `git revert`",
            )
        changed = [(path, why) for path in wanted if (why := self._change(path, entry))]
        for path, _ in changed:
            if self._is_committed(path):
                shown = names.printable(path)
                hint = f"git has the former versions: git log -- {names.printable(wiring.typed(path))}"
                return Standing(PAST, f"'{shown}' was changed since, and that is committed", hint)
        for path, why in changed:
            return Standing(BLOCKED, f"'{names.printable(path)}' {why}, and undo would overwrite that", SAVE_FIRST)
        return self._with_bytes(entry, wanted)

    def _with_bytes(self, entry: Entry, wanted: Sequence[str]) -> Standing:
        """Gives how it stands where only a view that shows something now, and would lead nowhere then, can be in the way."""
        store = self._repository.store
        for path in wanted:
            hash_, shown = object_of(entry.before[path].lies), object_of(self._now[path].lies)
            if hash_ is None or shown is None or store.has(hash_) or not store.has(shown):
                continue
            if hash_ not in self._trashed:
                reason = f"the bytes that '{names.printable(path)}' had ({hash_[:16]}) are not here"
                return Standing(PAST, reason, "bring them back first, from a colleague or a backup")
        return Standing(OPEN)

    def _change(self, path: str, entry: Entry) -> str | None:
        """Says how a path differs from what an operation left, or from what an undo of it left that was cut short."""
        now, after = self._now[path], entry.after.get(path)
        if after is not None and entry.id in self._half_undone and _is_between(path, now, entry.before[path], after):
            return None
        if after is None and not entry.is_finished:
            return self._doubt(now, entry.before[path])
        if after is None or now.lies != after.lies:
            return "was changed since"
        if now.entries != after.entries or now.is_unstaged != after.is_unstaged:
            return "was staged otherwise since"
        return None

    def _doubt(self, now: State, before: State) -> str | None:
        """Says why what lies at the path of an operation that was cut short may be somebody's edit."""
        lies = now.lies
        if lies is None or lies == before.lies or (lies.kind == snapshots.LINK and links.parse_link(lies.value)):
            return None
        if lies.kind == snapshots.TEXT and any(oid == lies.value for _, oid, _ in now.entries):
            return None
        if lies.kind == snapshots.OBJECT:
            staged = set(blobs.read_links(self._repository.git, [oid for _, oid, _ in now.entries]).values())
            if lies.value in {*staged, object_of(before.lies)}:
                return None
        return "may have been edited since the operation that was cut short"

    def _is_committed(self, path: str) -> bool:
        """Whether git's index and the work tree have what HEAD has."""
        now, head = self._now[path], self._head.get(path)
        if not now.entries:
            return head is None and now.lies is None
        if len(now.entries) > 1 or now.lies is None or head is None:
            return False
        _, oid, stage = now.entries[0]
        if stage or oid != head.oid:
            return False
        if now.lies.kind == snapshots.TEXT:
            return now.lies.value == oid
        hash_ = self._linked.get(oid)
        if hash_ is None or now.lies.kind == snapshots.OTHER:
            return False
        if object_of(now.lies) == hash_:
            return True
        place = self._repository.absolute(path)
        return not os.path.islink(place) and worktree.holds(self._repository, place, hash_)


def _elsewhere(entry: Entry) -> Standing:
    reason = f"it was done in the work tree '{names.printable(entry.work_tree)}'"
    return Standing(ELSEWHERE, reason, "run the command there")


def _is_between(path: str, now: State, before: State, after: State) -> bool:
    """Tells whether a path is as an undo leaves it that stops amid its work: the file is put back before git's index is,
    and one that goes away is a link that leads nowhere before it does."""
    stop = Lies(snapshots.LINK, snapshots.going_text(path))
    return (
        now.lies in (before.lies, after.lies, stop)
        and now.entries in (before.entries, after.entries)
        and now.is_unstaged in (before.is_unstaged, after.is_unstaged)
    )


def object_of(lies: Lies | None) -> str | None:
    """Gives the object that a link leads to, or that a file has the bytes of."""
    if lies is None or lies.kind not in (snapshots.LINK, snapshots.OBJECT):
        return None
    return lies.value if lies.kind == snapshots.OBJECT else links.parse_link(lies.value)
