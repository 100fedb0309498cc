"""`status`: what the art of this work tree is like, from git's index, the disk and the store."""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, dataclass, field
from typing import Any

from comfyvn_store.base import files, links, names
from comfyvn_store.errors import ObjectCorrupt
from comfyvn_store.index import questions
from comfyvn_store.ops import cards
from comfyvn_store.ops.session import Session
from comfyvn_store.previews import worker
from comfyvn_store.vcs import blobs, staging
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
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    preview_failures: list[tuple[str, str]] = field(default_factory=list)
    previews_due: int = 0
    previews_running: bool = False
    ignored_config: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        found = asdict(self)
        for key in ("problems", "preview_failures"):
            found[key] = [{"path": path, "reason": reason} for path, reason in found[key]]
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
    _look_at_views(repository, found, result)
    _look_at_git(repository, result)
    _look_at_sidecars(repository, found, result)
    result.problems += [
        (repository.full(path), why)
        for path, why in questions.problems(index)
        if repository.full(path) not in {item[0] for item in result.problems}
    ]
    result.preview_failures = [(repository.full(path), why) for path, why in questions.preview_failures(index)]
    result.previews_due = len(list(questions.previews_due(index)))
    result.previews_running = worker.is_running(repository)
    return result


def untracked(repository: Repository) -> list[str]:
    """Gives the files below the assets root that could be assets and that git does not know yet."""
    listing = repository.git.run(
        "ls-files", "--others", "--exclude-standard", "-z", "--", staging.literal(repository.root)
    )
    found = []
    for item in listing.split(b"\0"):
        path = os.fsdecode(item)
        inside = repository.inside(path)
        if not item or inside is None or names.is_sidecar(path) or any(p.startswith(".") for p in inside.split("/")):
            continue
        info = files.lstat(repository.absolute(path))
        text = files.read_link(repository.absolute(path))
        if info is None or not info.st_size or (text is not None and links.parse_link(text) is None):
            continue
        found.append(path)
    return found


def _look_at_objects(repository: Repository, found: list[tuple[str, str, int | None]], result: Status) -> None:
    seen: dict[str, str] = {}
    for path, hash_, size in found:
        full = repository.full(path)
        if hash_ not in seen:
            seen[hash_] = _object_state(repository, hash_, size)
            info = repository.store.stat(hash_)
            result.objects_bytes += info.st_size if info else 0
        if seen[hash_] == "missing":
            result.missing.append(full)
        elif seen[hash_] == "damaged":
            result.damaged.append(full)


def _object_state(repository: Repository, hash_: str, size: int | None) -> str:
    info = repository.store.stat(hash_)
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


def _look_at_views(repository: Repository, found: list[tuple[str, str, int | None]], result: Status) -> None:
    for path, hash_, _ in found:
        full = repository.full(path)
        info = files.lstat(repository.absolute(full))
        if info is None or stat.S_ISREG(info.st_mode):
            continue
        text = files.read_link(repository.absolute(full))
        if links.parse_link(text or "") not in (hash_,):
            result.edited.append(full)


def _look_at_git(repository: Repository, result: Status) -> None:
    base = result.head or staging.empty_tree(repository.git)
    for change in staging.staged_changes(repository.git, base, repository.root):
        if repository.is_asset_path(change.path):
            result.staged.append(change.path)
    listing = repository.git.run("diff-files", "--name-status", "-z", "--", staging.literal(repository.root)).split(
        b"\0"
    )
    for kind, raw in zip(listing[::2], listing[1::2], strict=False):
        path = os.fsdecode(raw)
        if not repository.is_asset_path(path):
            continue
        if kind == b"D":
            result.vanished.append(path)
        elif path not in result.edited:
            result.edited.append(path)
    for entry in staging.filtered_entries(repository.git, repository.root, "comfyvn"):
        if entry.mode in (staging.FILE, staging.EXECUTABLE) and repository.is_asset_path(entry.path):
            result.unflipped.append(entry.path)
    result.unflipped = [path for path in result.unflipped if path not in result.staged]
    result.untracked = untracked(repository)


def _look_at_sidecars(repository: Repository, found: list[tuple[str, str, int | None]], result: Status) -> None:
    for path, _, _ in found:
        full = repository.full(path)
        broken = cards.broken_on_disk(repository, full)
        if broken:
            result.problems.append((full, f"its sidecar is broken: {broken}"))
