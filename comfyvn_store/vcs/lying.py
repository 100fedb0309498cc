"""The objects that files in a work tree name: links, tracked or not, link texts in ordinary files, and sidecars."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

from comfyvn_store.base import canonical, files, links, names
from comfyvn_store.errors import Refused
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.reachable import named

_SAID = re.compile(rb'"hash"\s*:\s*"([0-9a-f]{64})"')


class Lying(NamedTuple):
    """A file (its path relative to the work tree's top) and the objects that it names."""

    path: str
    hashes: frozenset[str]


class WorkTree(NamedTuple):
    """A work tree as git lists it. `locked` says that it may be away for a while."""

    top: str
    is_locked: bool


def work_trees(git: Git, common_dir: str) -> list[WorkTree]:
    """Gives all work trees of a repository. Raises Refused where git cannot say."""
    done = git.outcome("worktree", "list", "--porcelain", "-z", check=False)
    if done.returncode != 0:
        raise Refused(
            f"git cannot list the work trees of '{names.printable(common_dir)}': {os.fsdecode(done.stderr).strip()}",
            hint="see `git worktree list` there",
        )
    found: dict[str, WorkTree] = {}
    # Of a submodule, and where the git folder is apart, git lists that folder in the place of the main work tree.
    apart = git.text("config", "--get", "core.worktree", check=False)
    if apart:
        top = os.path.normpath(os.path.join(common_dir, apart))
        found[top] = WorkTree(top, False)
    for record in done.stdout.split(b"\0\0"):
        lines = [os.fsdecode(line) for line in record.split(b"\0") if line]
        if lines and lines[0].startswith("worktree ") and "bare" not in lines:
            top = lines[0][len("worktree ") :]
            is_locked = any(line == "locked" or line.startswith("locked ") for line in lines)
            if os.path.realpath(top) != os.path.realpath(common_dir):
                found.setdefault(top, WorkTree(top, is_locked))
    return list(found.values())


def lying(tree: WorkTree, root: str) -> Iterator[Lying]:
    """Gives the files of a work tree that name objects; ordinary files count below the assets root.

    Nothing for a work tree that has gone. Raises Refused where it cannot be read to its end, or is away.
    """
    if files.lstat(tree.top) is None:
        if tree.is_locked:
            raise Refused(
                f"the work tree '{names.printable(tree.top)}' is locked and not there, and its links cannot be read",
                hint="mount its disk; if it has gone for good: git worktree unlock and git worktree prune",
            )
        return
    try:
        yield from _below(tree.top, "", root)
    except OSError as error:
        raise Refused(
            f"cannot look for links in '{names.printable(tree.top)}': {names.printable(str(error))}",
            hint="mend the permissions, or let its owner run this",
        ) from None


def _below(top: str, folder: str, root: str) -> Iterator[Lying]:
    is_art = folder == root or folder.startswith(root + "/")
    with os.scandir(os.path.join(top, folder)) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_symlink():
            text = files.read_link(entry.path)
            hashes = named(os.fsencode(text)) if text is not None else frozenset()
        elif entry.is_dir(follow_symlinks=False):
            if entry.name != ".git":
                yield from _below(top, path, root)
            continue
        else:
            hashes = _said_by(entry.path) if is_art else frozenset()
        if hashes:
            yield Lying(path, hashes)


def _said_by(place: str) -> frozenset[str]:
    """Gives what a small ordinary file names: as the text of a link, or as the sidecar of a view that may be a copy."""
    info = files.lstat(place)
    is_card = names.is_sidecar(place)
    longest = canonical.LONGEST_JSON if is_card else links.LONGEST_BENT
    if info is None or not stat.S_ISREG(info.st_mode) or info.st_size > longest:
        return frozenset()
    try:
        text = files.read_small(place, longest)
    except FileNotFoundError:
        return frozenset()
    if is_card:
        return frozenset(found.decode("ascii") for found in _SAID.findall(text))
    return named(text)
