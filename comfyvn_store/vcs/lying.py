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
    """A work tree as git lists it. `is_locked`: somebody said that it may be away for a while; `is_linked`: made by
    `git worktree add`."""

    top: str
    is_locked: bool
    is_linked: bool = False


def work_trees(git: Git, common_dir: str) -> list[WorkTree]:
    """Gives all work trees of a repository. Raises Refused where git cannot say."""
    known = _noted(common_dir)
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
    records = done.stdout.split(b"\0\0")
    for number, record in enumerate(records):
        lines = [os.fsdecode(line) for line in record.split(b"\0") if line]
        if lines and lines[0].startswith("worktree ") and "bare" not in lines:
            top = lines[0][len("worktree ") :]
            is_locked = any(line == "locked" or line.startswith("locked ") for line in lines)
            if os.path.realpath(top) != os.path.realpath(common_dir):
                found.setdefault(top, WorkTree(top, is_locked, is_linked=number > 0))
    linked = sum(record.startswith(b"worktree ") for record in records[1:])
    if linked < len(known):
        raise Refused(
            f"git notes {len(known)} linked work trees in '{names.printable(common_dir)}', and lists only {linked}",
            hint="something in its folder `worktrees` is damaged: git worktree repair PATH of each; of one that has gone for "
            "good: git worktree prune",
        )
    return list(found.values())


def _noted(common_dir: str) -> list[str]:
    """Gives the folders in which git keeps what belongs to linked work trees; it lists none whose `gitdir` is damaged."""
    top = os.path.join(common_dir, "worktrees")
    found = os.listdir(top) if os.path.isdir(top) else []
    return [name for name in found if os.path.exists(os.path.join(top, name, "HEAD"))]


def require(tree: WorkTree) -> None:
    """Raises Refused for a work tree that git lists and that is not there: unmounted, moved, or gone. OSError."""
    # Of a linked one git's file is looked for, too: what a disk is mounted on stays there without it.
    mark = os.path.join(tree.top, ".git") if tree.is_linked else tree.top
    if files.lstat(mark) is not None:
        return
    gone = "git worktree unlock and git worktree prune" if tree.is_locked else "git worktree prune"
    raise Refused(
        f"the work tree '{names.printable(tree.top)}' is {'locked and ' if tree.is_locked else ''}not there, "
        "and its links cannot be read",
        hint=f"mount its disk, or, in it, git worktree repair where it was moved; if it has gone for good: {gone}"
        if tree.is_linked
        else "mount its disk; where it was moved, set core.worktree of its repository",
    )


def lying(tree: WorkTree, root: str) -> Iterator[Lying]:
    """Gives the files of a work tree that name objects; ordinary files count below the assets root.

    Raises Refused where it cannot be read to its end, or is away.
    """
    require(tree)
    try:
        yield from _files_of(tree.top, root)
    except OSError as error:
        raise Refused(
            f"cannot look for links in '{names.printable(tree.top)}': {names.printable(str(error))}",
            hint="mend the permissions, or let its owner run this",
        ) from None


def _files_of(top: str, root: str) -> Iterator[Lying]:
    # Not by recursion: folders may be nested deeper than calls.
    pending = [_entries(top, "")]
    while pending:
        found = next(pending[-1], None)
        if found is None:
            pending.pop()
            continue
        path, entry = found
        if entry.is_symlink():
            text = files.read_link(entry.path)
            hashes = named(os.fsencode(text)) if text is not None else frozenset()
        elif entry.is_dir(follow_symlinks=False):
            if entry.name != ".git":
                pending.append(_entries(top, path))
            continue
        else:
            hashes = _said_by(entry.path) if path.startswith(root + "/") else frozenset()
        if hashes:
            yield Lying(path, hashes)


def _entries(top: str, folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Gives what is in a folder, in order, each with its path."""
    with os.scandir(os.path.join(top, folder)) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    return iter([(f"{folder}/{entry.name}" if folder else entry.name, entry) for entry in found])


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
