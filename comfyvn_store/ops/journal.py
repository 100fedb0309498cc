"""The journal of operations: what each command that takes something away did, and what is needed to reverse it.

One JSON file an entry, `<home>/operations/<id>.json`, written durably before anything is changed and again when all of it
is done. What was in git's index and in sidecars is named by a tree under `refs/comfyvn/operations/<id>`, so that neither
git's collection nor ours takes what an undo needs. Entries go when they are older than the trash's grace, and the oldest
beyond a thousand; none of a collection whose objects are still in the trash.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from comfyvn_store.base import due, files, links
from comfyvn_store.base.uuid7 import uuid7
from comfyvn_store.errors import ComfyvnError, GitFailed, MachineError, UsageError
from comfyvn_store.ops import snapshots
from comfyvn_store.ops.snapshots import State
from comfyvn_store.store import trash
from comfyvn_store.store.lock import locked
from comfyvn_store.vcs import blobs, reachable, staging, trees
from comfyvn_store.vcs.history import iso_time
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.trees import Node

FOLDER = "operations"
SCHEMA = 1
BEGUN, DONE, FAILED = "begun", "done", "failed"
MOST = 1000
_LONGEST = 256 << 20
# Seconds to wait for another undo.
_PATIENCE = 30.0
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
# What an entry says in words, always or where it is known.
_TEXTS = ("verb", "summary", "at", "state", "work_tree")
_MAYBE_TEXTS = ("user", "branch", "head", "undoes", "undone_by", "git_dir")
_UNDER_WAY = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD")
# Whether an operation is being recorded: one that another one is made of leaves no entry of its own.
_recording: contextvars.ContextVar[bool] = contextvars.ContextVar("recording", default=False)


@dataclass(frozen=True)
class Moved:
    """An object that left its name: the file it is in the trash, or the remotes that have proved to hold it."""

    hash: str
    trash: str | None = None
    remotes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One operation. `before` and `after` are the states of paths (relative to the top); `after` is empty until it is done.

    `at` is UTC, ISO 8601; `work_tree` the top then, `git_dir` that work tree's folder of git, relative to the common one, by
    which it is known wherever it was moved or copied to; `head` and `under_way` are the commits of HEAD and of a merge, pick
    or rebase then. `undoes` is the entry that this one reversed, `undone_by` the one that reversed this.
    """

    id: str
    verb: str
    summary: str
    at: str
    state: str = BEGUN
    user: str | None = None
    work_tree: str = ""
    branch: str | None = None
    head: str | None = None
    under_way: tuple[str, ...] = ()
    before: Mapping[str, State] = field(default_factory=dict)
    after: Mapping[str, State] = field(default_factory=dict)
    objects: tuple[Moved, ...] = ()
    undoes: str | None = None
    undone_by: str | None = None
    git_dir: str | None = None
    # Whether `<id>.made` lists what it made (`ops.importing.made`), where nothing was before.
    made: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether the operation ran to its end."""
        return self.state == DONE

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data, as it stands in the file."""
        apart = ("before", "after", "objects") if self.made else ("before", "after", "objects", "made")
        found = {name: value for name, value in vars(self).items() if name not in apart}
        return {
            "schema": SCHEMA,
            **found,
            "under_way": list(self.under_way),
            "before": {path: state.as_dict() for path, state in self.before.items()},
            "after": {path: state.as_dict() for path, state in self.after.items()},
            "objects": [{**asdict(each), "remotes": list(each.remotes)} for each in self.objects],
        }


@contextlib.contextmanager
def recording(repository: Repository, verb: str, paths: Iterable[str], summary: str) -> Iterator[None]:
    """Keeps the states of paths before and after what runs inside, however that ends.

    What changed nothing leaves no entry. Raises OSError, MachineError where that cannot be written; nothing was changed then.
    """
    wanted = list(dict.fromkeys(paths))
    if _recording.get() or not wanted:
        yield
        return
    entry = begin(repository, verb, summary, before=snapshots.take(repository, wanted, keep=True))
    token = _recording.set(True)
    try:
        yield
    finally:
        _recording.reset(token)
        # What was begun and cannot be noted as done is shown as such, and can be undone all the same.
        with contextlib.suppress(OSError, ComfyvnError):
            after = snapshots.take(repository, wanted, keep=False)
            if after == entry.before:
                forget(repository, [entry.id])
            else:
                write(repository, replace(entry, state=DONE, after=after))


def begin(
    repository: Repository,
    verb: str,
    summary: str,
    *,
    before: Mapping[str, State] | None = None,
    objects: Sequence[Moved] = (),
    undoes: str | None = None,
    keeps: Mapping[str, State] | None = None,
    made: bool = False,
) -> Entry:
    """Notes, durably, an operation that is about to begin; `keeps` are further states that its undo may need.

    Raises OSError, MachineError; nothing was changed then.
    """
    prune(repository)
    git = repository.git
    entry = Entry(
        id=uuid7(),
        verb=verb,
        summary=summary,
        at=iso_time(int(time.time())),
        user=repository.settings.user or _ident(repository),
        work_tree=repository.top,
        branch=git.text("symbolic-ref", "--short", "-q", "HEAD", check=False) or None,
        head=blobs.resolve(git, "HEAD"),
        under_way=under_way(repository),
        before=before or {},
        objects=tuple(objects),
        undoes=undoes,
        git_dir=own_dir(repository),
        made=made,
    )
    try:
        _anchor(repository, entry, [*(before or {}).values(), *(keeps or {}).values()])
    except GitFailed as error:
        raise MachineError(
            f"cannot note what is about to be done: {error.message}",
            hint="nothing was changed; run the command again when git can write here again",
        ) from error
    write(repository, entry)
    return entry


def finish(repository: Repository, entry: Entry, **changed: Any) -> Entry:
    """Notes that an operation is done, with what became of it. Raises OSError."""
    done = replace(entry, state=DONE, **changed)
    write(repository, done)
    return done


def write(repository: Repository, entry: Entry) -> None:
    """Writes an entry, durably. Raises OSError."""
    # In ASCII: a path need not be UTF-8, and an escape keeps each of its bytes.
    data = (json.dumps(entry.as_dict(), indent=2) + "\n").encode("ascii")
    files.write_atomic(_place(repository, entry.id), data, durable=True, sharing=repository.settings.sharing)


@contextlib.contextmanager
def alone(repository: Repository) -> Iterator[None]:
    """Keeps others from choosing an entry to reverse. Raises LockTimeout; where nothing can be written nothing is locked."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            folder = os.path.join(repository.home.path, FOLDER)
            if os.path.isdir(folder):
                place = os.path.join(folder, "lock")
                stack.enter_context(locked(place, _PATIENCE, repository.settings.sharing))
        yield


def listed(repository: Repository) -> list[Entry]:
    """Gives the entries, newest first; files that are none are left out."""
    found = [entry for id_ in reversed(ids(repository)) if (entry := _read(repository, id_)) is not None]
    # An undo may have ended before it was noted in what it undid: the finished ones that are in force say what is undone.
    known = {entry.id for entry in found}
    by: dict[str, str] = {}
    for entry in found:
        if entry.undoes is not None and entry.state == DONE and entry.id not in by:
            by.setdefault(entry.undoes, entry.id)
    stored = {entry.id: entry.undone_by for entry in found if entry.undone_by not in known}
    return [replace(entry, undone_by=by.get(entry.id, stored.get(entry.id))) for entry in found]


def ids(repository: Repository) -> list[str]:
    """Gives the ids of all entries, oldest first."""
    folder = os.path.join(repository.home.path, FOLDER)
    found = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(name.removesuffix(".json") for name in found if _is_id(name.removesuffix(".json")))


def find(repository: Repository, name: str) -> Entry:
    """Gives the entry whose id has that beginning or end. Raises UsageError."""
    hits = [id_ for id_ in ids(repository) if len(name) >= 4 and (id_.startswith(name) or id_.endswith(name))]
    entry = next((each for each in listed(repository) if [each.id] == hits), None)
    if entry is None:
        what = "several operations have" if len(hits) > 1 else "no operation has"
        raise UsageError(f"{what} the id '{name}'", hint="`comfyvn-store log --operations` lists them")
    return entry


def prune(repository: Repository, now: float | None = None) -> None:
    """Forgets entries beyond their age, once an earlier run saw that (`base.due`), and beyond their number; none of a
    collection of which something is still in the trash."""
    at = time.time() if now is None else now
    grace = repository.settings.trash_grace
    found = ids(repository)
    old = [id_ for id_ in found if moment(id_) < at - grace]
    place = os.path.join(repository.home.path, FOLDER, due.NAME)
    ripe = due.ripe(due.read(place), old, at, grace)
    beyond = len(found) - MOST + 1
    going = [id_ for number, id_ in enumerate(found) if number < beyond or id_ in ripe]
    there = {item.hash for item in trash.listed(repository.store)} if going else set()
    forget(repository, [id_ for id_ in going if not _is_in_trash(repository, id_, there)])
    with contextlib.suppress(OSError):  # what is not noted stays longer
        due.note(
            place, [id_ for id_ in old if os.path.exists(_place(repository, id_))], at, repository.settings.sharing
        )


def forget(repository: Repository, which: Iterable[str]) -> None:
    """Removes entries with what they keep."""
    for id_ in which:
        for place in (_place(repository, id_), made_list(repository, id_)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(place)
        repository.git.run("update-ref", "-d", reachable.JOURNAL_REFS + id_, check=False)


def sweep(repository: Repository) -> None:
    """Removes refs whose entry was never written, or is gone, once they are older than the trash's grace."""
    listing = repository.git.text("for-each-ref", "--format=%(refname)", reachable.JOURNAL_REFS)
    known = set(ids(repository))
    oldest = time.time() - repository.settings.trash_grace
    found = (name.removeprefix(reachable.JOURNAL_REFS) for name in listing.splitlines())
    forget(repository, [id_ for id_ in found if id_ not in known and _is_id(id_) and moment(id_) < oldest])


def moment(id_: str) -> float:
    """Gives when an id was made, in seconds since 1970."""
    return int(id_[:8] + id_[9:13], 16) / 1000


def under_way(repository: Repository) -> tuple[str, ...]:
    """Gives the commits of what git has stopped amid."""
    known = blobs.known(repository.git, _UNDER_WAY)
    return tuple(f"{name} {blobs.resolve(repository.git, name)}" for name in known)


def own_dir(repository: Repository) -> str:
    """Gives a work tree's folder of git relative to the common one: `.`, or `worktrees/NAME`."""
    return os.path.relpath(repository.git_dir, repository.common_dir)


def _read(repository: Repository, id_: str) -> Entry | None:
    try:
        value = json.loads(files.read_small(_place(repository, id_), _LONGEST))
        if value.pop("schema") != SCHEMA or value["id"] != id_:
            return None
        if not all(isinstance(value.get(name), str) for name in _TEXTS):
            return None
        if not all(isinstance(value.get(name, None), str | None) for name in _MAYBE_TEXTS):
            return None
        value["made"] = value.get("made") is True
        return Entry(
            **{
                **value,
                "under_way": tuple(value["under_way"]),
                "before": _states(value["before"]),
                "after": _states(value["after"]),
                "objects": tuple(map(_moved, value["objects"])),
            }
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _states(said: Mapping[str, Any]) -> dict[str, State]:
    if not all(map(snapshots.is_path, said)):
        raise ValueError("a path leads out of the work tree")
    return {path: State.parse(state) for path, state in said.items()}


def _moved(said: Mapping[str, Any]) -> Moved:
    hash_, remotes = said["hash"], said["remotes"]
    if not links.is_hash(hash_) or not all(isinstance(name, str) for name in remotes):
        raise ValueError("no object that left")
    return Moved(hash_, said["trash"], tuple(remotes))


def _is_in_trash(repository: Repository, id_: str, there: set[str]) -> bool:
    """Tells whether an entry is a collection's, and the trash (`there`) has one of its objects."""
    entry = _read(repository, id_) if there else None
    return entry is not None and entry.verb == "gc" and any(each.hash in there for each in entry.objects)


def _place(repository: Repository, id_: str) -> str:
    return os.path.join(repository.home.path, FOLDER, f"{id_}.json")


def made_list(repository: Repository, id_: str) -> str:
    """Gives where the list of what an operation made belongs."""
    return os.path.join(repository.home.path, FOLDER, f"{id_}.made")


def _is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def _ident(repository: Repository) -> str | None:
    said = repository.git.text("var", "GIT_COMMITTER_IDENT", check=False)
    return said.rpartition(" ")[0].rpartition(" ")[0] or None


def _anchor(repository: Repository, entry: Entry, states: Sequence[State]) -> None:
    """Lets a ref name all blobs that the states need, and links to the objects. Raises GitFailed."""
    oids = {oid for state in states for _, oid, _ in state.entries}
    oids |= {state.lies.value for state in states if state.lies and state.lies.kind == snapshots.TEXT}
    hashes = {state.lies.value for state in states if state.lies and state.lies.kind == snapshots.OBJECT}
    texts = {state.lies.value for state in states if state.lies and state.lies.kind == snapshots.LINK}
    hashes |= {hash_ for text in texts if (hash_ := links.parse_link(text)) is not None}
    written = [links.link_text("x", hash_).encode("ascii") for hash_ in sorted(hashes)]
    made = {blobs.blob_id(data, repository.object_format): ("blob", data) for data in written}
    oids |= set(made)
    if not oids:
        return
    data = trees.encoded({oid.encode("ascii"): Node(staging.FILE, oid) for oid in oids})
    tree = blobs.object_id("tree", data, repository.object_format)
    blobs.write_objects(repository.git, repository.object_format, [*made.values(), ("tree", data)])
    try:
        repository.git.run("update-ref", reachable.JOURNAL_REFS + entry.id, tree)
    except GitFailed:
        forget(repository, [entry.id])
        raise
