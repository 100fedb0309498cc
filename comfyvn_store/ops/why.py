"""`why`: every reason for which an object is kept, told so that a person finds the place, or that nothing keeps it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from comfyvn_store.ops import clones, gc, journal, keep, roots
from comfyvn_store.ops.roots import User
from comfyvn_store.ops.session import Session
from comfyvn_store.store import trash
from comfyvn_store.vcs import blobs, history, keeplist, reachable
from comfyvn_store.vcs.reachable import Reach
from comfyvn_store.vcs.repository import Repository

HERE, IN_TRASH, MISSING = "here", "trash", "missing"
_MOST_ENTRIES = 500


class Reason(NamedTuple):
    """A reason: its kind ("branch", "tag", "reflog", "index", "work-tree", "keep" …), what or who it is, and the commit and
    path where the object is named, as far as there are any."""

    kind: str
    name: str
    commit: str | None = None
    path: str | None = None


@dataclass
class Why:
    """An object, where it is ("here", "trash" or "missing"), and why it is kept. `until` is when collection with the usual
    grace may take an object that nothing names (seconds since 1970), or when the trash may be emptied of it."""

    hash: str
    state: str
    size: int | None = None
    reasons: list[Reason] = field(default_factory=list)
    until: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        until = history.iso_time(int(self.until)) if self.until is not None else None
        return {
            "hash": self.hash,
            "state": self.state,
            "bytes": self.size,
            "reasons": [each._asdict() for each in self.reasons],
            "until": until,
        }


def why(session: Session, target: str, *, now: float | None = None) -> list[Why]:
    """Finds why objects are kept; `target` is a path, a hash or its beginning, or a revision.

    What a ref keeps is not told once more of reflogs and of what git has under way. Raises UnknownAsset, ObjectMissing,
    Refused.
    """
    repository = session.repository
    wanted = keep.named(session, target)
    by_hash: dict[str, list[Reason]] = {hash_: [] for hash_ in wanted}
    for user in roots.all_users(repository):
        for hash_, reason in _of_user(repository, user, wanted):
            if reason not in by_hash[hash_]:
                by_hash[hash_].append(reason)
    for clone in clones.absent(repository):
        for found in by_hash.values():
            found.append(Reason("clone", clone, path="it is not there, and may need it"))
    moment = time.time() if now is None else now
    in_trash = {item.hash: item for item in trash.listed(repository.store)}
    return [_told(repository, hash_, by_hash[hash_], in_trash.get(hash_), moment) for hash_ in wanted]


def _told(repository: Repository, hash_: str, reasons: list[Reason], item: trash.Trashed | None, now: float) -> Why:
    info = repository.store.stat(hash_)
    if info is None:
        if item is None:
            return Why(hash_, MISSING, None, reasons)
        return Why(hash_, IN_TRASH, item.size, reasons, item.at + roots.trash_grace(repository))
    used = repository.store.used_at(hash_, info)
    until = None
    if not trash.is_old(used, gc.GRACE, now):
        reasons = [*reasons, Reason("age", f"added {history.iso_time(int(used))}")]
    if all(each.kind == "age" for each in reasons):
        until = used + gc.GRACE
    return Why(hash_, HERE, info.st_size, reasons, until)


def _of_user(repository: Repository, user: User, wanted: Sequence[str]) -> Iterator[tuple[str, Reason]]:
    reach = user.reach
    if not user.is_own:
        found = roots.of_user(user)
        for hash_ in wanted:
            kinds = [kind for kind in roots.WORDS if hash_ in found.get(kind, ())]
            if kinds:
                yield hash_, Reason("clone", reach.common_dir, path=roots.WORDS[kinds[0]])
        return
    reach.hashes_from("--reflog", "--indexed-objects", oids=[ref.oid for ref in reach.refs()])
    notes = reach.notes()
    reach.hashes_from(oids=[oid for note in notes for oid in note.oids])
    reach.index_hashes()
    for hash_ in wanted:
        oids = set(reach.blobs_of([hash_]))
        found_in_refs = list(_in_refs(reach, oids)) if oids else []
        yield from ((hash_, each) for each in found_in_refs)
        if not found_in_refs:
            yield from ((hash_, each) for each in _in_reflogs(reach, oids))
        for note in notes:
            if hash_ in note.hashes or (not found_in_refs and hash_ in reach.hashes_from(oids=note.oids)):
                yield hash_, Reason("operation", os.path.relpath(note.path, reach.common_dir))
        yield from ((hash_, each) for each in _in_indexes(reach, oids))
        yield from ((hash_, each) for each in _in_journal(repository, reach, oids))
    yield from _elsewhere(user, wanted)


def _elsewhere(user: User, wanted: Sequence[str]) -> Iterator[tuple[str, Reason]]:
    """Gives the reasons that are not git's."""
    for tree, each in roots.links_in(user):
        for hash_ in each.hashes.intersection(wanted):
            yield hash_, Reason("work-tree", tree.top, path=each.path)
    for kept in keeplist.read(user.home):
        if kept.hash in wanted:
            yield kept.hash, Reason("keep", f"{kept.words}, since {kept.at}")


# -- git ---------------------------------------------------------------------------------------------------------------


def _introductions(reach: Reach, oids: Iterable[str]) -> dict[str, str]:
    """Gives the commits that brought one of the blobs, oldest first, with the path."""
    words = [f"--find-object={oid}" for oid in sorted(oids)]
    out = reach.git.run(
        "log", "--all", "--reflog", "--reverse", "--format=%x01%H", "--raw", "-m", "--root", "--no-renames",
        "--no-abbrev", "-z", *words,
    )  # fmt: skip
    found: dict[str, str] = {}
    commit = ""
    fields = iter(out.split(b"\0"))
    for item in fields:
        if item.startswith(b"\x01"):
            commit = item[1:].decode("ascii")
        elif item.lstrip(b"\n").startswith(b":"):
            path = os.fsdecode(next(fields, b""))
            if item.split(b" ")[3].decode("ascii") in oids:
                found.setdefault(commit, path)
    return found


def _in_refs(reach: Reach, oids: set[str]) -> Iterator[Reason]:
    told: dict[str, Reason] = {}
    brought = _introductions(reach, oids)
    for commit, path in brought.items():
        for git_dir in reach.git_dirs():
            done = reach.git_of(git_dir).text(
                "for-each-ref", f"--contains={commit}", "--format=%(refname)", check=False
            )
            for name in done.splitlines():
                kind = reachable.kind_of_ref(name)
                told.setdefault(name, Reason(kind, _short(name), commit, path))
    yield from told.values()
    # Refs that name no commit, or a blob itself.
    others = [ref for ref in reach.refs() if ref.name not in told]
    kinds = blobs.sizes(reach.git, (ref.oid for ref in others))
    for ref in others:
        kind = reachable.kind_of_ref(ref.name)
        is_bare = ref.oid in kinds and kinds[ref.oid].kind in ("blob", "tree")
        if is_bare and kind not in ("journal", "branch", "remote branch") and _holds(reach, ref.oid, oids):
            yield Reason(kind, _short(ref.name))


def _holds(reach: Reach, oid: str, oids: set[str]) -> bool:
    listed = reach.git.text("rev-list", "--objects", "--no-object-names", oid, check=False).split()
    return bool(oids.intersection(listed))


def _short(name: str) -> str:
    for prefix in ("refs/heads/", "refs/tags/", "refs/remotes/"):
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def _in_reflogs(reach: Reach, oids: set[str]) -> Iterator[Reason]:
    """Gives the entries of reflogs from which the commits that brought the blobs can be reached."""
    brought = _introductions(reach, oids) if oids else {}
    entries: dict[str, str] = {}
    for git_dir in reach.git_dirs() if brought else ():
        done = reach.git_of(git_dir).outcome("log", "-g", "--all", "--format=%H%x00%gd: %gs", check=False)
        for line in os.fsdecode(done.stdout).splitlines():
            commit, _, words = line.partition("\0")
            entries.setdefault(commit, words)
    for commit, words in list(entries.items())[:_MOST_ENTRIES]:
        for first, path in brought.items():
            if reach.git.succeeds("merge-base", "--is-ancestor", first, commit):
                yield Reason("reflog", words, commit, path)
                break


def _in_indexes(reach: Reach, oids: set[str]) -> Iterator[Reason]:
    files = dict.fromkeys(reach.git_dirs()) | {path: path for path in reach.index_files()}
    for place, index in files.items():
        git = reach.git_of(os.path.dirname(place), GIT_INDEX_FILE=index) if index else reach.git_of(place)
        for item in git.outcome("ls-files", "-s", "-z", check=False).stdout.split(b"\0"):
            head, _, path = item.partition(b"\t")
            if item and head.split(b" ")[1].decode("ascii") in oids:
                stage = head.split(b" ")[2].decode("ascii")
                name = os.path.relpath(index or os.path.join(place, "index"), reach.common_dir)
                yield Reason("index", name if stage == "0" else f"{name}, stage {stage}", path=os.fsdecode(path))


def _in_journal(repository: Repository, reach: Reach, oids: set[str]) -> Iterator[Reason]:
    names = {ref.name for ref in reach.refs()}
    for entry in journal.listed(repository):
        ref = reachable.JOURNAL_REFS + entry.id
        if ref in names and _holds(reach, ref, oids):
            yield Reason("journal", f"{entry.summary} ({entry.id})")
