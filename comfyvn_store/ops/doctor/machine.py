"""Findings about the store's folders, git itself, its index and locks, and our own index. Reads only."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterator

from comfyvn_store.base import files, names
from comfyvn_store.hot import live
from comfyvn_store.index import database
from comfyvn_store.ops import relocation, wiring
from comfyvn_store.ops.doctor.finding import FIX, INIT, Finding
from comfyvn_store.vcs import leftovers, staging
from comfyvn_store.vcs.repository import Repository

# `--path-format` of rev-parse came with 2.31, what we ask of diff-tree and rev-list with 2.33.
OLDEST_GIT = (2, 33)
# A git that holds the index for so long has ended, or waits for a person.
_LONG = 60.0


def git_version(repository: Repository) -> Iterator[Finding]:
    """A git that is too old for what we ask of it."""
    said = repository.git.text("--version")
    found = re.search(r"(\d+)\.(\d+)", said)
    if found and (int(found[1]), int(found[2])) < OLDEST_GIT:
        oldest = ".".join(map(str, OLDEST_GIT))
        yield Finding(
            "git-version", f"{said} is too old; {oldest} or newer is needed", f"install git {oldest} or newer"
        )


def store(repository: Repository) -> Iterator[Finding]:
    """Folders of the store that are missing or may not be written."""
    root = repository.store.root
    if repository.home.is_retired:
        yield Finding("retired", "comfyvn-store was uninstalled here; its store is kept", INIT, [root])
    folders = [os.path.join(root, name) for name in ("objects", "tmp", "bad", "trash")]
    missing = [folder for folder in folders if not os.path.isdir(folder)]
    if missing:
        yield Finding("store-folders", "folders of the store are missing", INIT, missing, True)
    closed = [
        folder
        for folder in [root, *folders, *_object_folders(os.path.join(root, "objects"))]
        if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    ]
    if closed:
        quoted = " ".join(map(wiring.quoted, closed[:20]))
        yield Finding("store-modes", "you may not write to folders of the store", f"chmod u+rwx {quoted}", closed)


def store_gone(repository: Repository) -> Iterator[Finding]:
    """A store outside the repository that is not where it was."""
    store = repository.store
    if store.is_apart and not store.exists and not repository.home.is_retired:
        note = wiring.quoted(os.path.join(repository.home.path, "store"))
        yield Finding(
            "store-unreachable",
            "the store that comfyvn.store names is not there",
            f"mount its disk; only if it is gone for good: rm {note} && comfyvn-store init",
            [store.root],
        )


def store_place(repository: Repository) -> Iterator[Finding]:
    """Objects that are not where `comfyvn.store` says, or a store outside that does not know this repository."""
    if repository.is_store_to_move:
        message = "comfyvn.store was changed, and the objects are still where they were"
        yield Finding("store-place", message, INIT, [repository.store.root], True)
    if leftovers.are_there(repository):
        message = "objects of before are left in the repository's own folder"
        yield Finding("store-leftovers", message, INIT, [repository.home.path], True)
    if not relocation.is_noted(repository):
        message = "the store does not know that this repository uses it"
        yield Finding("store-users", message, INIT, [repository.store.root], True)


def _object_folders(objects: str) -> list[str]:
    try:
        return [os.path.join(objects, name) for name in os.listdir(objects) if len(name) == 2]
    except OSError:
        return []


def symlinks(repository: Repository) -> Iterator[Finding]:
    """A work tree that is to hold links on a disk that has none."""
    if repository.copies_views:
        return
    place = os.path.join(repository.top, f"{names.TEMP_PREFIX}{os.getpid()}")
    try:
        os.symlink("nowhere", place)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        remedy = "git config core.symlinks false"
        yield Finding("symlinks", f"views are symlinks, and this disk makes none ({reason})", remedy, [repository.top])
    else:
        os.unlink(place)


def git_index(repository: Repository) -> Iterator[Finding]:
    """git's own index: damaged, or locked by nobody."""
    done = repository.git.outcome("ls-files", "--stage", "-z", check=False)
    if done.returncode != 0:
        said = os.fsdecode(done.stderr).strip().splitlines()
        yield Finding(
            "git-index",
            f"git cannot read its index ({said[-1] if said else 'no reason given'})",
            f"mv {wiring.quoted(repository.index_path)} {wiring.quoted(repository.index_path + '.damaged')} && git reset",
            [repository.index_path],
        )
    lock = os.path.join(repository.git_dir, "index.lock")
    info = files.lstat(lock)
    if info is not None and time.time() - info.st_mtime > _LONG and not _is_held(lock, repository):
        message = "index.lock is left over from a git that ended badly"
        yield Finding("index-lock", message, f"rm {wiring.quoted(lock)}", [lock])


def _is_held(lock: str, repository: Repository) -> bool:
    """Whether a git runs in this repository, or some process has the lock open; where nobody can tell, one might."""
    try:
        processes = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return True
    for process in processes:
        try:
            with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as stream:
                is_git = stream.read().strip() == "git"
            where = os.readlink(f"/proc/{process}/cwd")
            if is_git and (where + os.sep).startswith((repository.top + os.sep, repository.git_dir + os.sep)):
                return True
            folder = f"/proc/{process}/fd"
            if any(os.readlink(f"{folder}/{number}") == lock for number in os.listdir(folder)):
                return True
        except OSError:
            continue
    return False


def live_commit(repository: Repository) -> Iterator[Finding]:
    """The note of a commit whose git is gone."""
    place = os.path.join(repository.own_dir, live.NAME)
    if os.path.exists(place) and not live.is_going_on(repository):
        yield Finding("commit-note", "the note of a commit is left over", FIX, [place], True)


def own_index(repository: Repository) -> Iterator[Finding]:
    """Our SQLite index, which any command makes anew."""
    path = repository.settings.db_path
    if not os.path.exists(path):
        return
    try:
        connection = database.open_read_only(path)
        try:
            said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if not database.is_damage(error):
            return
        said = str(error)
    if said != "ok":
        yield Finding("index", f"the index is damaged ({said})", "comfyvn-store rebuild", [path], True)


def conflicts(repository: Repository) -> Iterator[Finding]:
    """A `.gitattributes` of the assets root in conflict takes the filter from all art."""
    path = repository.full(".gitattributes")
    if path in staging.unmerged(repository.git, repository.root):
        remedy = f"git checkout --ours -- {wiring.quoted(path)} && git add {wiring.quoted(path)}"
        yield Finding("attributes-conflict", "the attributes of art are in conflict", remedy, [path])
