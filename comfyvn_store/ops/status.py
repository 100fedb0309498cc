"""`status`: what the art of this work tree is like, from git's index, the disk and the store."""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, dataclass, field
from typing import Any

from comfyvn_store.asset import worktree
from comfyvn_store.asset.known import on_disk
from comfyvn_store.base import files, links, names, pointers
from comfyvn_store.errors import GitFailed, ObjectCorrupt, Refused, RemoteUnreachable
from comfyvn_store.index import questions, rows
from comfyvn_store.ops import cards, cutoff
from comfyvn_store.ops.session import Session
from comfyvn_store.previews import worker
from comfyvn_store.remotes import opening
from comfyvn_store.vcs import blobs, locks, staging
from comfyvn_store.vcs.lockrecord import described
from comfyvn_store.vcs.repository import Repository


@dataclass
class Status:
    """Paths are relative to the work tree's top. `problems` and `preview_failures` pair a path with a reason."""

    top: str
    assets_root: str
    store: str
    head: str | None
    assets: int = 0
    objects_bytes: int = 0
    staged: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    unflipped: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    # What Git LFS, git-annex and DVC keep below the assets root, with `migrate`'s word for the program.
    foreign: list[tuple[str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    # Those of the damaged that lost their end, rather than being what a program wrote.
    cut: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    preview_failures: list[tuple[str, str]] = field(default_factory=list)
    previews_due: int = 0
    previews_running: bool = False
    ignored_config: list[str] = field(default_factory=list)
    # Whether there is a place for the bytes beside this store.
    has_remote: bool = True
    # What is changed here and locked by others, with whose lock that is.
    locked: list[tuple[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        found = asdict(self)
        for key in ("problems", "preview_failures"):
            found[key] = [{"path": path, "reason": reason} for path, reason in found[key]]
        found["foreign"] = [{"path": path, "program": program} for path, program in found["foreign"]]
        found["locked"] = [{"path": path, "by": by} for path, by in found["locked"]]
        return found


def status(session: Session) -> Status:
    """Looks at everything; reads only objects whose mode, size or time says that somebody wrote to them."""
    repository, index = session.repository, session.index
    result = Status(
        repository.top,
        repository.root,
        repository.store.root,
        blobs.resolve(repository.git, "HEAD"),
        ignored_config=list(repository.settings.ignored),
    )
    found = questions.sized_hashes(index)
    result.assets = len(found)
    _look_at_objects(repository, found, result)
    differing = _differing(repository)
    # All others git's stat data vouch for, as the index does for what is staged: they need not be read.
    unseen = [*(path for _, path in differing), *staging.assumed_paths(repository.git, repository.root)]
    doubtful = questions.unvouched(index)
    doubtful |= {_asset_of(inside) for path in unseen if (inside := repository.inside(path)) is not None}
    due = [(path, hash_) for path, hash_, _ in found if path in doubtful]
    _look_at_views(repository, due, result)
    _look_at_git(repository, found, differing, result)
    _look_at_sidecars(repository, due, result)
    result.problems += [
        (repository.full(path), why)
        for path, why in questions.problems(index)
        if repository.full(path) not in {item[0] for item in result.problems}
        # Staged bytes whose sidecar the commit will make are no problem.
        and not (why == rows.OTHER_BYTES and repository.full(path) in {*result.staged, *result.conflicts})
    ]
    result.preview_failures = [(repository.full(path), why) for path, why in questions.preview_failures(index)]
    # A linked work tree has no previews of its own until somebody rebuilds there.
    if not repository.is_linked:
        result.previews_due = len(list(questions.previews_due(index))) + len(worker.gone(index, repository))
    result.previews_running = worker.is_running(repository)
    result.has_remote = bool(repository.settings.remotes or opening.implicit(repository))
    result.locked = _locked(repository, result)
    return result


def _locked(repository: Repository, result: Status) -> list[tuple[str, str]]:
    changed = {*result.staged, *result.edited, *result.untracked, *result.vanished, *result.conflicts}
    try:
        found = locks.meetings(repository, sorted(path for path in changed if repository.is_asset_path(path)))
    except (Refused, GitFailed, RemoteUnreachable) as error:
        result.problems.append(("refs/comfyvn/locks", error.message))
        return []
    return [(meeting.path, described(meeting.lock)) for meeting in found]


def edited_files(session: Session) -> list[str]:
    """Gives the views that a program replaced by a file with other bytes than git's index has."""
    repository = session.repository
    paths = [path for path in status(session).edited if repository.is_asset_path(path)]
    return [path for path in paths if worktree.print_at(repository.absolute(path)) is not None]


def object_state(repository: Repository, hash_: str, size: int | None) -> str:
    """Tells whether an object is "whole", "missing" or "damaged"; reads only what somebody wrote to."""
    return _state(repository, hash_, size, repository.store.stat(hash_))


def _state(repository: Repository, hash_: str, size: int | None, info: os.stat_result | None) -> str:
    if info is None:
        return "missing"
    if size is not None and info.st_size != size:
        return "damaged"
    if repository.store.is_touched(info):
        try:
            repository.store.verify(hash_)
        except ObjectCorrupt:
            return "damaged"
    return "whole"


def untracked(repository: Repository) -> list[str]:
    """Gives the files below the assets root that could be assets and that git does not know yet."""
    listing = repository.git.run(
        "ls-files", "--others", "--exclude-standard", "-z", "--", staging.literal(repository.root)
    )
    candidates = []
    for item in listing.split(b"\0"):
        path = os.fsdecode(item)
        inside = repository.inside(path)
        if not item or inside is None or names.is_sidecar(path) or any(p.startswith(".") for p in inside.split("/")):
            continue
        info = files.lstat(repository.absolute(path))
        text = files.read_link(repository.absolute(path))
        if info is None or not info.st_size or (text is not None and links.parse_link(text) is None):
            continue
        candidates.append(path)
    drivers = staging.filter_drivers(repository.git, candidates)
    return [path for path in candidates if drivers.get(path) == "comfyvn"]


def _look_at_objects(repository: Repository, found: list[tuple[str, str, int | None]], result: Status) -> None:
    seen: dict[str, str] = {}
    for path, hash_, size in found:
        full = repository.full(path)
        if hash_ not in seen:
            info = repository.store.stat(hash_)
            seen[hash_] = _state(repository, hash_, size, info)
            result.objects_bytes += info.st_size if info else 0
        if seen[hash_] == "missing":
            result.missing.append(full)
        elif seen[hash_] == "damaged":
            result.damaged.append(full)
            if cutoff.is_cut_short(repository, hash_, size):
                result.cut.append(full)


def _differing(repository: Repository) -> list[tuple[bytes, str]]:
    """Gives what git's stat data do not vouch for below the assets root: the kind of difference, and the path."""
    items = repository.git.run("diff-files", "--name-status", "-z", "--", staging.literal(repository.root)).split(b"\0")
    return [(kind, os.fsdecode(path)) for kind, path in zip(items[::2], items[1::2], strict=False)]


def _look_at_views(repository: Repository, due: list[tuple[str, str]], result: Status) -> None:
    for path, hash_ in due:
        full = repository.full(path)
        info = files.lstat(repository.absolute(full))
        if info is None or stat.S_ISREG(info.st_mode):
            continue
        text = files.read_link(repository.absolute(full))
        if links.parse_link(text or "") not in (hash_,):
            result.edited.append(full)


def _look_at_git(
    repository: Repository,
    found: list[tuple[str, str, int | None]],
    differing: list[tuple[bytes, str]],
    result: Status,
) -> None:
    base = result.head or staging.empty_tree(repository.git)
    staged = [change.path for change in staging.staged_changes(repository.git, base, repository.root)]
    for path in staged:
        # A sidecar that changes with its asset goes without saying.
        if repository.is_asset_path(path) or (names.is_sidecar(path) and _asset_of(path) not in staged):
            result.staged.append(path)
    hashes = {repository.full(path): hash_ for path, hash_, _ in found}
    for kind, path in differing:
        if kind == b"D":
            result.vanished.append(path)
        elif repository.is_asset_path(path):
            if path not in result.edited and _is_edited(repository, path, kind, hashes.get(path)):
                result.edited.append(path)
        elif kind == b"M" and _asset_of(path) in hashes and _is_card_edited(repository, _asset_of(path)):
            result.edited.append(path)
    _look_at_modes(repository, result)
    result.untracked = untracked(repository)


def _look_at_modes(repository: Repository, result: Status) -> None:
    """Finds conflicts, and art that git has as ordinary files: links without their mode, or raw bytes."""
    entries = staging.filtered_entries(repository.git, repository.root, "comfyvn")
    result.conflicts = sorted(staging.unmerged(repository.git, repository.root))
    ordinary = [
        entry
        for entry in entries
        if entry.mode in (staging.FILE, staging.EXECUTABLE) and not entry.stage and repository.is_asset_path(entry.path)
    ]
    sizes = blobs.sizes(repository.git, (entry.oid for entry in ordinary))
    hashes = blobs.read_links(repository.git, (entry.oid for entry in ordinary))
    texts = blobs.read_small_blobs(repository.git, (entry.oid for entry in ordinary), pointers.LONGEST)
    parsed = {oid: found.program for oid, text in texts.items() if (found := pointers.parse(text)) is not None}
    staged = set(result.staged)
    for entry in ordinary:
        if entry.oid in hashes:
            if entry.path not in staged and not repository.copies_views:
                result.unflipped.append(entry.path)
        elif entry.oid in parsed:
            result.foreign.append((entry.path, parsed[entry.oid]))
        elif entry.oid in sizes and sizes[entry.oid].size:
            result.raw.append(entry.path)
    # git itself holds them to the byte; our filter would have it call them modified.
    raw = set(result.raw)
    worktree.look_at_raw(repository, [entry for entry in ordinary if entry.path in raw])
    result.foreign += [
        (entry.path, "dvc")
        for entry in staging.entries(repository.git, [repository.root])
        if entry.path.endswith(names.DVC_SUFFIX) and entry.mode == staging.FILE and not entry.stage
    ]
    apart = {*result.conflicts, *result.raw, *map(_asset_of, result.conflicts)}
    result.staged = [path for path in result.staged if path not in apart]
    result.edited = [path for path in result.edited if path not in apart]


def _asset_of(sidecar_path: str) -> str:
    return sidecar_path.removesuffix(names.SIDECAR_SUFFIX)


def _is_card_edited(repository: Repository, path: str) -> bool:
    """Whether the sidecar on disk says something else than the staged one; a broken one is a problem of its own."""
    said = on_disk(repository, path)
    return said is not None and said != cards.staged(repository, path)


def _is_edited(repository: Repository, path: str, kind: bytes, hash_: str | None) -> bool:
    """Whether a file that git's stat data does not vouch for is really another one than what is staged."""
    place = repository.absolute(path)
    if kind != b"M" or hash_ is None:
        return True
    if os.path.islink(place):
        return False  # `_look_at_views` compares links
    return not worktree.holds(repository, place, hash_)


def _look_at_sidecars(repository: Repository, due: list[tuple[str, str]], result: Status) -> None:
    for path, _ in due:
        full = repository.full(path)
        broken = cards.broken_on_disk(repository, full)
        if broken:
            result.problems.append((full, f"its sidecar is broken: {broken}"))
