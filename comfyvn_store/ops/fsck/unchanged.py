"""Whether git's index, links, sidecars and our index are as they were when an incremental run found nothing wrong in them:
told from git's index byte for byte, from what git has noted of each file's size and times, and from the stat of ours."""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple

from comfyvn_store import __version__
from comfyvn_store.base import files
from comfyvn_store.index import sight, tips
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.repository import Repository

_BLOCK = 1 << 20


class State(NamedTuple):
    """What things are like: `tree` changes with git's index, HEAD, attributes and settings, `database` with that, with files
    that came or went, with history and with our index. `touched` are the tracked paths whose files may not be as git's
    index says. `place` tells the work tree from others, which share the note."""

    place: str
    tree: str
    database: str
    touched: frozenset[str]


def look(repository: Repository) -> State:
    """Looks at all of that, before it is examined. Raises GitFailed, OSError."""
    touched = staging.touched_paths(repository.git, repository.root)
    now = tips.snapshot(repository)
    tree = hashlib.sha256(_said(__version__, repository.top, repository.root, repository.copies_views, now.head))
    tree.update(_said(now.grafts))
    _feed(tree, repository.index_path)
    # Which drivers the attributes give to what is there: as git tells it, wherever they stand.
    tree.update(staging.filtered_listing(repository.git, repository.root, "comfyvn", "comfyvn-sidecar"))
    path = repository.settings.db_path
    index = hashlib.sha256(_said(tree.hexdigest(), now.key, path, _print(path), sorted(touched)))
    log = f"{path}-wal"
    index.update(_said(_print(log) if os.path.exists(log) and os.path.getsize(log) else None))
    for inside in sight.read_unstaged(repository):
        full = repository.full(inside)
        index.update(
            _said(inside, _print(repository.absolute(full)), _print(repository.absolute(f"{full}.asset.json")))
        )
    place = hashlib.sha256(os.fsencode(repository.git_dir)).hexdigest()[:12]
    return State(place, tree.hexdigest(), index.hexdigest(), touched)


def _feed(digest: hashlib._Hash, path: str) -> None:
    try:
        with open(path, "rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except FileNotFoundError:
        pass  # before the first `git add`


def _print(path: str) -> object:
    info = files.lstat(path)
    return None if info is None else (*files.print_of(info), info.st_ctime_ns)


def _said(*parts: object) -> bytes:
    return "\0".join(map(repr, parts)).encode("utf-8", "surrogateescape") + b"\1"
