"""What a path is, in git's index and in the work tree: taken before something changes it, compared, and put back.

A sidecar counts without its `commit`, which hooks fill in; the next command writes it anew. Bytes of ordinary files that
may have to come back are in the store, texts of sidecars in git's database, before `take` returns.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from comfyvn_store.asset import ingest, sidecar, worktree
from comfyvn_store.base import canonical, digest, files, links, names, pointers, swapping
from comfyvn_store.errors import Refused
from comfyvn_store.index import sight
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

if TYPE_CHECKING:  # a session moves stores, which asks the journal
    from comfyvn_store.ops.session import Session

LINK, TEXT, OBJECT, OTHER = "link", "blob", "object", "other"
_MANY = 200


class Lies(NamedTuple):
    """What lies in the work tree: a link with its text, a sidecar or another program's pointer as git's blob, a file as the
    object with its bytes, or something else (a folder, a device)."""

    kind: str
    value: str = ""


class State(NamedTuple):
    """A path: its entries in git's index (mode, oid, stage), what lies there (None: nothing), and whether it is a view that
    was registered with `--no-stage`."""

    entries: tuple[tuple[str, str, int], ...] = ()
    lies: Lies | None = None
    is_unstaged: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        return {
            "index": [list(entry) for entry in self.entries],
            "file": {self.lies.kind: self.lies.value} if self.lies else None,
            "unstaged": self.is_unstaged,
        }

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> State:
        """Reads what `as_dict` gave. Raises KeyError, TypeError, ValueError for anything else."""
        entries = tuple((mode, oid, stage) for mode, oid, stage in said["index"])
        for mode, oid, stage in entries:
            if not _MODE.fullmatch(mode) or not _OID.fullmatch(oid) or stage not in range(4):
                raise ValueError("no entry of git's index")
        lies = Lies(*next(iter(said["file"].items()))) if said["file"] else None
        if lies is not None and not _MEANINGS[lies.kind](lies.value):
            raise ValueError("nothing that can lie at a path")
        return cls(entries, lies, bool(said["unstaged"]))


_MODE = re.compile(r"(100644|100755|120000|160000)")
_OID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_MEANINGS: Mapping[str, Callable[[str], object]] = {
    LINK: lambda value: value and "\0" not in value,
    TEXT: _OID.fullmatch,
    OBJECT: links.is_hash,
    OTHER: lambda value: value == "",
}


def is_path(path: str) -> bool:
    """Tells whether a path is one below the top that git could have: none that leads outside, or into `.git`."""
    parts = path.split("/")
    return "\0" not in path and not any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)


def take(repository: Repository, paths: Iterable[str], *, keep: bool) -> dict[str, State]:
    """Gives the state of top-relative paths; with `keep` what lies there can be put back later. Raises OSError."""
    wanted = list(dict.fromkeys(paths))
    entries = _entries(repository, wanted)
    unstaged = {repository.full(inside) for inside in sight.read_unstaged(repository)}
    texts: dict[str, bytes] = {}
    kept: list[str] = []
    lies = {path: _lies(repository, path, texts if keep else None, kept if keep else None) for path in wanted}
    if texts:
        blobs.write_blobs(repository.git, repository.object_format, list(texts.values()), durable=True)
    repository.store.sync(kept)
    return {path: State(entries.get(path, ()), lies[path], path in unstaged) for path in wanted}


def _entries(repository: Repository, paths: Sequence[str]) -> dict[str, tuple[tuple[str, str, int], ...]]:
    wanted = set(paths)
    if not wanted:
        return {}
    is_inside = all(repository.inside(path) is not None for path in paths)
    where = paths if len(paths) <= _MANY else [repository.root if is_inside else ""]
    found: dict[str, tuple[tuple[str, str, int], ...]] = {}
    for entry in staging.entries(repository.git, where):
        if entry.path in wanted:
            found[entry.path] = (*found.get(entry.path, ()), (entry.mode, entry.oid, entry.stage))
    return found


def _lies(repository: Repository, path: str, texts: dict[str, bytes] | None, kept: list[str] | None) -> Lies | None:
    place = repository.absolute(path)
    info = None if repository.is_beyond_link(path) else files.lstat(place)
    if info is None:
        return None
    if stat.S_ISLNK(info.st_mode):
        return Lies(LINK, files.read_link(place) or "")
    if not stat.S_ISREG(info.st_mode):
        return Lies(OTHER)
    text = _text(repository, path, info.st_size)
    if text is not None:
        oid = blobs.blob_id(text, repository.object_format)
        if texts is not None:
            texts[oid] = text
        return Lies(TEXT, oid)
    hash_ = _hash(place)
    if kept is not None:
        if not repository.store.is_sound(hash_):
            with open(place, "rb") as stream:
                hash_ = ingest.ingest(repository.store, ingest.file_blocks(stream), mark=False).hash
        kept.append(hash_)
    return Lies(OBJECT, hash_)


def _text(repository: Repository, path: str, size: int) -> bytes | None:
    """Gives what a sidecar says, or the pointer of another program; None for any other file."""
    if names.is_sidecar(path):
        if size > canonical.LONGEST_JSON:
            return None
        # One that cannot be read is an error: as no text it would be kept, and put back one day.
        return sidecar.strip_commit(files.read_small(repository.absolute(path), canonical.LONGEST_JSON))
    if size > pointers.LONGEST:
        return None
    with open(repository.absolute(path), "rb") as stream:
        data = stream.read(pointers.LONGEST + 1)
    return data if pointers.parse(data) is not None else None


def _hash(place: str) -> str:
    with open(place, "rb") as stream:
        return digest.sha256(stream)


# -- putting back ------------------------------------------------------------------------------------------------------


def put_back(session: Session, now: Mapping[str, State], wanted: Mapping[str, State]) -> None:
    """Brings paths from the states that they are in `now` (taken with `keep`) to others: files first, then git's index.

    Raises Refused where a path changed meanwhile, ObjectMissing, LockTimeout, OSError. What was put back until then stays,
    and a second run does the rest.
    """
    repository = session.repository
    stripped = blobs.read_small_blobs(
        repository.git,
        [state.lies.value for state in wanted.values() if state.lies and state.lies.kind == TEXT],
        canonical.LONGEST_JSON,
    )
    texts = {oid: _with_commit(session, text) for oid, text in stripped.items()}
    for path, state in wanted.items():
        if now[path].lies != state.lies:
            _put_file(repository, path, now[path].lies, state.lies, texts)
    _put_index(repository, now, wanted)
    _put_unstaged(repository, wanted)


def _with_commit(session: Session, text: bytes) -> bytes:
    """Gives a sidecar as it lies on disk, with the commit that the index has for its record."""
    id_ = sidecar.record_id(text)
    row = session.index.db.execute("SELECT commit_hash FROM provenance WHERE id = ?", (id_,)).fetchone()
    return sidecar.fill_commit(text, row[0] if row else None)


def _put_file(
    repository: Repository, path: str, now: Lies | None, wanted: Lies | None, texts: Mapping[str, bytes]
) -> None:
    if repository.is_beyond_link(path):  # a folder of it leads elsewhere now
        raise _changed(path)
    place = repository.absolute(path)
    seen, link = worktree.print_at(place), files.read_link(place)
    if _lies(repository, path, None, None) != now or OTHER in {each.kind for each in (now, wanted) if each}:
        raise _changed(path)
    if wanted is None:
        _take_away(repository, path, seen, link)
        return
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if wanted.kind == OBJECT:
        temp = worktree.copy_object(repository, wanted.value, path)
        files.settle(temp)
    elif wanted.kind == TEXT:
        temp = files.temp_beside(place)
        files.write_settled(temp, texts[wanted.value])
    else:
        temp = files.temp_beside(place)
        os.symlink(wanted.value, temp)
    if not swapping.swap_for_file(place, temp, link, seen):
        raise _changed(path)


def going_text(path: str) -> str:
    """Gives the text of the link that takes the place of a file before that is removed."""
    return links.link_text(path, "0" * 64)


def _take_away(repository: Repository, path: str, seen: files.Print | None, link: str | None) -> None:
    """Removes what lies at a path if it is what was seen. An edit that is saved meanwhile stays: a link takes the file's
    place first."""
    place = repository.absolute(path)
    text = going_text(path)
    if seen is not None and repository.settings.symlinks:
        if not swapping.swap_for_link(place, text, seen):
            raise _changed(path)
        link = text
    if link is not None and files.read_link(place) != link:
        raise _changed(path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(place)
    files.remove_empty_folders(os.path.dirname(place), repository.absolute(repository.root))


def _put_index(repository: Repository, now: Mapping[str, State], wanted: Mapping[str, State]) -> None:
    changed = [path for path, state in wanted.items() if now[path].entries != state.entries]
    none = "0" * (64 if repository.object_format == "sha256" else 40)
    gone = [Entry(path, staging.GONE, none) for path in changed]
    entries = [Entry(path, *entry) for path in changed for entry in wanted[path].entries]
    staging.write_entries(repository.git, [*gone, *entries], patience=staging.PATIENCE, stages=True)
    present = [
        path
        for path, state in wanted.items()
        if state.lies is not None and any(stage == 0 for _, _, stage in state.entries)
    ]
    # Art that git held itself is what it was to the byte; our filter would give a link for it.
    whole = [path for path in present if (lies := wanted[path].lies) is not None and lies.kind == OBJECT]
    staging.look_again(repository.git, whole, filters=False, patience=staging.PATIENCE)
    staging.look_again(repository.git, present, patience=staging.PATIENCE)


def _put_unstaged(repository: Repository, wanted: Mapping[str, State]) -> None:
    before = set(sight.read_unstaged(repository))
    said = {inside: state.is_unstaged for path, state in wanted.items() if (inside := repository.inside(path))}
    after = (before | {inside for inside, is_in in said.items() if is_in}) - {
        inside for inside, is_in in said.items() if not is_in
    }
    if after != before:
        sight.write_unstaged(repository, after)


def _changed(path: str) -> Refused:
    return Refused(f"'{names.printable(path)}' changed meanwhile", hint="run the command again")
