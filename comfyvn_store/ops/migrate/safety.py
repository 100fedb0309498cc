"""When a history may be rewritten, what was begun and not finished, and where that is noted."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Collection

from comfyvn_store.base import files, names
from comfyvn_store.errors import Refused
from comfyvn_store.ops.migrate import following
from comfyvn_store.vcs import blobs, history, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.rewriting import BACKUPS
from comfyvn_store.vcs.staging import Entry

_UNDER_WAY = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG")
_PENDING = "pending"
_LONGEST = 4096


def require_rewritable(repository: Repository) -> None:
    """Raises Refused where a rewritten history would lose something, or leave something behind that names the old one."""
    git = repository.git
    if blobs.resolve(git, "HEAD") is None:
        raise Refused("there is no commit here yet, so there is no history", hint="leave --history out")
    if history.shallow_commits(repository):
        raise Refused("this clone is shallow: its history begins in the middle", hint="run `git fetch --unshallow`")
    if repository.settings.promisors:
        raise Refused("this is a partial clone, which lacks a part of the history", hint="use a full clone")
    if repository.in_sequence or any(os.path.exists(os.path.join(repository.git_dir, name)) for name in _UNDER_WAY):
        raise Refused("git is in the middle of something (a merge, a rebase, a bisect)", hint="finish or abort it")
    if _has_linked_trees(repository):
        raise Refused(
            "there are linked work trees, whose branches would move under them", hint="`git worktree remove` them first"
        )
    for prefix, what, hint in (
        (
            "refs/replace",
            "commits are replaced by others here (git replace)",
            "make that final, or `git replace -d` them",
        ),
        ("refs/notes", "there are notes (git notes), which name commits by their id", _NOTES),
        ("refs/stash", "there is a stash, which is made of commits of the old history", "`git stash pop` or drop it"),
    ):
        if git.run("for-each-ref", "--count=1", prefix):
            raise Refused(what, hint=hint)
    if os.path.exists(os.path.join(repository.common_dir, "info", "grafts")):
        raise Refused("commits are grafted here (info/grafts)", hint="remove that file")


_NOTES = (
    "put them aside (git update-ref refs/aside/notes refs/notes/commits; git update-ref -d refs/notes/commits); "
    "`git notes copy --stdin` takes the map of ids that this writes"
)


def _has_linked_trees(repository: Repository) -> bool:
    folder = os.path.join(repository.common_dir, "worktrees")
    return repository.is_linked or (os.path.isdir(folder) and bool(os.listdir(folder)))


def require_clean(repository: Repository, as_committed: Collection[str]) -> None:
    """Raises Refused where something is not committed. Files in `as_committed` were compared already: git itself may call
    them modified, because another program's filter is not asked any more."""
    git = repository.git
    staged = git.run("diff-index", "--cached", "--name-only", "-z", "--no-renames", "HEAD").split(b"\0")
    if staged != [b""]:
        raise _unclean(os.fsdecode(staged[0]), "staged and not committed")
    entries = {entry.path: entry for entry in staging.all_entries(git)}
    skipped = staging.skipped(git, ".")
    doubtful = staging.unstaged_paths(git, list(entries))
    for path in sorted(doubtful):
        entry = entries[path]
        if entry.mode == staging.GITLINK or path in as_committed or path in skipped:
            continue
        if not following.is_unchanged(repository, entry) and not _is_clean(repository, entry):
            raise _unclean(path, "changed and not committed")


def _is_clean(repository: Repository, entry: Entry) -> bool:
    """Whether git, with its filters, finds nothing changed in a file; of one as young as git's index only they can tell."""
    staging.look_again(repository.git, [entry.path])
    return repository.git.succeeds("diff-files", "--quiet", "--ignore-submodules", "--", staging.literal(entry.path))


def _unclean(path: str, how: str) -> Refused:
    return Refused(
        f"'{names.printable(path)}' is {how}; a history is only rewritten where all is committed",
        hint="git commit it, or take it back",
    )


# -- what is noted ---------------------------------------------------------------------------------------------------


def folder_of(repository: Repository) -> str:
    """Gives where maps of ids are kept."""
    return os.path.join(repository.home.path, "migrations")


def new_stamp(repository: Repository, now: float | None = None) -> str:
    """Gives a name for this rewriting that no earlier one has; `now` is seconds since 1970."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() if now is None else now))
    taken = repository.git.text("for-each-ref", "--format=%(refname)", BACKUPS).splitlines()
    number, name = 1, stamp
    while os.path.exists(map_place(repository, name)) or any(ref.startswith(f"{BACKUPS}/{name}/") for ref in taken):
        number += 1
        name = f"{stamp}-{number}"
    return name


def map_place(repository: Repository, stamp: str) -> str:
    """Gives the file of old and new ids of a rewriting."""
    return os.path.join(folder_of(repository), f"{stamp}.map")


def begin(repository: Repository, old_head: str, new_head: str, stamp: str) -> None:
    """Notes, durably, that refs are about to move and the work tree to follow. Raises OSError."""
    text = json.dumps({"old": old_head, "new": new_head, "stamp": stamp})
    place = os.path.join(folder_of(repository), _PENDING)
    files.write_atomic(place, text.encode("ascii"), durable=True, sharing=repository.settings.sharing)


def end(repository: Repository) -> None:
    """Notes that the work tree has followed."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(folder_of(repository), _PENDING))


def pending(repository: Repository) -> tuple[str, str] | None:
    """Gives the old and the new HEAD of a rewriting whose refs moved and whose work tree may not have followed. One that
    came to nothing is forgotten, with its map."""
    place = os.path.join(folder_of(repository), _PENDING)
    try:
        said = json.loads(files.read_small(place, _LONGEST))
        old, new, stamp = str(said["old"]), str(said["new"]), str(said["stamp"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        end(repository)
        return None
    if repository.git.run("for-each-ref", "--count=1", f"{BACKUPS}/{stamp}"):
        head = repository.git.text("rev-parse", "--verify", "--quiet", "HEAD", check=False)
        if head == new:
            return old, new
    else:
        with contextlib.suppress(OSError):
            os.unlink(map_place(repository, stamp))
    end(repository)
    return None
