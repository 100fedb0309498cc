"""What lies where it has no business: leftovers of processes that ended badly, files of nobody in the store's folder,
previews and mirrors of nothing. What is in quarantine (`bad/`) or in the trash lies where it should. Reads only."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Collection, Iterator

from comfyvn_store.asset import worktree
from comfyvn_store.base import files, names
from comfyvn_store.ops.fsck.finding import (
    PULL,
    REPAIR,
    STRAY_FILE,
    STRAY_MIRROR,
    STRAY_PART,
    STRAY_PREVIEW,
    STRAY_TEMP,
    Finding,
)
from comfyvn_store.ops.wiring import quoted
from comfyvn_store.previews import worker
from comfyvn_store.store.objects import MARK_PREFIX, PART_AGE, PART_PREFIX
from comfyvn_store.vcs.repository import Repository

KINDS = frozenset((STRAY_TEMP, STRAY_PART, STRAY_FILE, STRAY_PREVIEW, STRAY_MIRROR))
# Seconds that something may be on its way.
AGE = 86400.0
# What belongs into a store, and into a repository's own folder beside one (`docs/formats/store.md`).
_STORE = frozenset(("format", "objects", "tmp", "bad", "trash", "lock", "users", "due"))
_HOME = frozenset(
    # of the home itself, then of those who keep something there
    ("format", "store", "uninstalled", "lock", "hooks", "unstaged", "config-said", "noted")
) | {"fsck", "operations", "keep", "sent", "migrations", "watching"}
_WORK_TREE = frozenset(
    ("commit.pid", "repair.lock", "previews.lock", "previews-next.lock", "unstaged", "config-said", "watching", "noted")
)
_INDEX = re.compile(r"index\.db(-wal|-shm|-journal)?\Z")
_PRINTS = re.compile(r"prints\.db(-wal|-shm|-journal)?\Z")
_PREVIEW = re.compile(r"([0-9a-f]{64})\.(webp|filmstrip\.webp|waveform\.json)\Z")


def examine(repository: Repository, needed: Collection[str], now: float | None = None) -> Iterator[Finding]:
    """Gives all of it. `needed` are the objects whose previews may wait for their bytes; `now` is seconds since 1970."""
    moment = time.time() if now is None else now
    yield from _temporary(repository, moment)
    yield from _unknown(repository, moment)
    yield from _previews(repository, needed)
    yield from _mirrors(repository)


def _temporary(repository: Repository, now: float) -> Iterator[Finding]:
    folder = os.path.join(repository.store.root, "tmp")
    for name in _listed(folder):
        place = os.path.join(folder, name)
        info = files.lstat(place)
        if info is None or now - info.st_mtime <= (PART_AGE if name.startswith(MARK_PREFIX) else AGE):
            continue
        if stat.S_ISDIR(info.st_mode):
            remedy = f"look at it, then: rm -r {quoted(place)}"
            yield Finding(STRAY_TEMP, "a folder lies among the temporary files", remedy, [place])
        elif not name.startswith(PART_PREFIX):
            message = "a process that ended badly left a temporary file"
            yield Finding(STRAY_TEMP, message, REPAIR, [place], None, True)
        else:
            is_old = now - info.st_mtime > PART_AGE
            message = "a transfer that was broken off left a part, and nobody went on with it"
            yield Finding(STRAY_PART, message, REPAIR if is_old else PULL, [place], None, is_old)


def _unknown(repository: Repository, now: float) -> Iterator[Finding]:
    """Files that neither we nor anybody who knows the format put into our folders."""
    home, own, store = repository.home.path, repository.own_dir, repository.store.root
    allowed: dict[str, frozenset[str]] = {}
    for folder, known in ((store, _STORE), (home, _HOME), (own, _WORK_TREE)):
        allowed[folder] = allowed.get(folder, frozenset()) | known
    allowed[home] |= _WORK_TREE  # the main work tree's own, whichever this one is
    if home != store:  # what `init` made before the store moved away, or a store of before
        allowed[home] |= _STORE
    for folder, known in allowed.items():
        for name in _listed(folder):
            place = os.path.join(folder, name)
            if (
                name in known
                or (folder in (own, home) and _INDEX.match(name))
                or (folder == home and _PRINTS.match(name))
            ):
                continue
            if name.startswith(names.TEMP_PREFIX):
                info = files.lstat(place)
                if info is not None and now - info.st_mtime > AGE:
                    message = "a process that ended badly left a temporary file"
                    yield Finding(STRAY_TEMP, message, f"rm {quoted(place)}", [place])
                continue
            message = "a file of nobody's lies in the folder of the store"
            yield Finding(STRAY_FILE, message, f"look at it, then: rm -r {quoted(place)}", [place])


def _previews(repository: Repository, needed: Collection[str]) -> Iterator[Finding]:
    folder = repository.settings.thumbs_root
    if worker.is_led_away(repository):
        return
    for name in _listed(folder):
        place = os.path.join(folder, name)
        found = _PREVIEW.match(name)
        if found is None:
            if not name.startswith("."):
                remedy = f"look at it, then: rm -r {quoted(place)}"
                yield Finding(STRAY_PREVIEW, "a file among the previews is none", remedy, [place])
        elif found[1] not in needed and not repository.store.has(found[1]):
            message = "a preview is left of an object that is not here any more"
            yield Finding(STRAY_PREVIEW, message, REPAIR, [place], None, True)


def _mirrors(repository: Repository) -> Iterator[Finding]:
    if repository.is_beyond_link(repository.full(f"{names.META_FOLDER}/x")):
        return
    for inside in sorted(worktree.mirrored(repository, but_present=True)):
        full = repository.full(inside)
        if not any(files.lstat(repository.absolute(path)) for path in (full, names.sidecar_path(full))):
            message = "a mirror is left of an asset that is not there"
            yield Finding(STRAY_MIRROR, message, REPAIR, [full], None, True)


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
