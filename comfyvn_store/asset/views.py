"""Views: whether one is a link or a copy, and bringing either into the work tree.

A copy is an ordinary file with the object's bytes. git has the same blob for both, the link's text, so where git makes no
symlinks it writes that text into a file; such a stand-in is filled with the bytes as soon as the object is here.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from comfyvn_store.asset import marking, worktree
from comfyvn_store.asset.worktree import Staged
from comfyvn_store.base import digest, files, links, swapping
from comfyvn_store.base.files import Print
from comfyvn_store.errors import GitFailed, ObjectCorrupt, ObjectMissing
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry


class View(NamedTuple):
    """An asset in git's index: its path relative to the work tree's top, its object, and the blob of its link."""

    path: str
    hash: str
    oid: str


class StandIn(NamedTuple):
    """What lies in a copy's place: a symlink's text, or an ordinary file that holds link text."""

    link: str | None
    file: Print | None


def mode_of(repository: Repository, entry: Entry | None) -> str:
    """Gives the mode that an asset's entry is to have, `entry` being the one it has.

    A copy stays a link where it is one in git: git without symlinks keeps that mode whatever lies in the work tree.
    """
    if not repository.copies_views:
        return staging.LINK
    return entry.mode if entry is not None and entry.mode in (staging.LINK, staging.EXECUTABLE) else staging.FILE


def stand_in(repository: Repository, path: str, hash_: str, *, links_too: bool) -> StandIn | None:
    """Gives what lies at `path` if that is no more than the link to `hash_`: its text in a file or, with `links_too`, a
    symlink."""
    place = repository.absolute(path)
    info = files.look(place)
    if info is None or repository.is_beyond_link(path):
        return None
    if stat.S_ISLNK(info.st_mode):
        text = files.read_link(place)
        return StandIn(text, None) if links_too and text and links.parse_link(text) == hash_ else None
    if not stat.S_ISREG(info.st_mode) or info.st_size > links.LONGEST + 2:
        return None
    try:
        found = links.parse_written(files.read_small(place, links.LONGEST + 2))
    except OSError:
        return None
    return StandIn(None, files.print_of(info)) if found == hash_ else None


def fill(repository: Repository, views: Iterable[View], *, links_too: bool) -> tuple[list[str], list[str]]:
    """Puts the bytes where a stand-in lies. Gives the paths that have them now, and those whose object is not here.

    git's index is told, so that `git status` stays clean. Raises GitFailed where that is held by another process (nothing
    was written then), OSError.
    """
    due: list[tuple[View, StandIn]] = []
    waiting = []
    for view in views:
        found = stand_in(repository, view.path, view.hash, links_too=links_too)
        if found is not None:
            if repository.store.is_sound(view.hash):
                due.append((view, found))
            else:
                waiting.append(view.path)
    tracked = _forget(repository, [view for view, _ in due])
    filled = []
    for view, found in due:
        temp = _copy_beside(repository, view.path, view.hash)
        if temp is None:
            waiting.append(view.path)
        elif swapping.swap_for_file(repository.absolute(view.path), temp, found.link, found.file):
            filled.append(view.path)
    _tell_git(repository, [path for path in filled if path in tracked])
    return filled, waiting


def behind(repository: Repository, assets: Sequence[Staged]) -> list[tuple[str, str, Print]]:
    """Gives path, hash and fingerprint of the ordinary files that are what is staged, but not byte for byte the object:
    a picture without its marker."""
    found = []
    for asset in assets:
        place = repository.absolute(asset.path)
        before = None if repository.is_beyond_link(asset.path) else worktree.print_at(place)
        stored = repository.store.stat(asset.hash)
        if before is None or stored is None or stand_in(repository, asset.path, asset.hash, links_too=False):
            continue
        # Of one length, only a file that had the marker of another one before can differ.
        is_long = before.size == stored.st_size
        if is_long and ((asset.is_vouched and not _is_marked(place)) or has_bytes(place, asset.hash)):
            continue
        if asset.is_vouched or worktree.holds(repository, place, asset.hash):
            found.append((asset.path, asset.hash, before))
    return found


def replace_by_copies(repository: Repository, found: Iterable[tuple[str, str, Print]]) -> list[str]:
    """Replaces files (see `behind`) by their object's bytes and gives their paths. The objects are durable, and git's
    stat data is zero already. Raises OSError."""
    done = []
    for path, hash_, before in found:
        temp = _copy_beside(repository, path, hash_)
        if temp is not None and swapping.swap_for_file(repository.absolute(path), temp, None, before):
            done.append(path)
    _tell_git(repository, done)
    return done


def mend(repository: Repository, views: Sequence[View]) -> None:
    """Brings ordinary files to their object's bytes that are what is staged, but without their marker, and lets git note
    size and times of those that have the bytes already: it would call them modified by their size alone.

    Unstaged edits stay what they are. Raises GitFailed where another process holds the index, OSError.
    """
    doubtful = staging.unstaged_paths(repository.git, [view.path for view in views])
    held: list[View] = []
    late: list[tuple[View, Print]] = []
    for view in views:
        place = repository.absolute(view.path)
        before, stored = worktree.print_at(place), repository.store.stat(view.hash)
        if before is None or stored is None:
            continue
        is_long = before.size == stored.st_size
        if is_long and (view.path not in doubtful or has_bytes(place, view.hash)):
            if view.path in doubtful:
                held.append(view)
        elif view.path not in doubtful or worktree.holds(repository, place, view.hash):
            late.append((view, before))
    repository.store.sync([view.hash for view, _ in late])
    tracked = _forget(repository, [*held, *(view for view, _ in late)])
    replace_by_copies(repository, [(view.path, view.hash, before) for view, before in late])
    _tell_git(repository, [view.path for view in held if view.path in tracked])


def place_copy(repository: Repository, path: str, hash_: str, link: str | None, file: Print | None) -> bool:
    """Puts a copy of an object where the symlink with the text `link`, the file `file` or, with neither, nothing lies;
    tells whether that was so. Raises ObjectMissing, OSError."""
    place = repository.absolute(path)
    if file is not None and worktree.print_at(place) == file and has_bytes(place, hash_):
        return True
    temp = worktree.copy_object(repository, hash_, path)
    files.settle(temp)
    return swapping.swap_for_file(place, temp, link, file)


def make_links(repository: Repository, views: Sequence[View]) -> None:
    """Puts links where copies lie that are what git's index has; unstaged edits stay files. Raises OSError."""
    placed = []
    whole = []
    # Else git would go by the size of the file, should this process die.
    _forget(repository, [view for view in views if worktree.print_at(repository.absolute(view.path)) is not None])
    for view in views:
        found = stand_in(repository, view.path, view.hash, links_too=False)
        if found is None or found.file is None:
            whole.append(Staged(view.path, view.hash, False))
        elif swapping.swap_for_link(repository.absolute(view.path), links.link_text(view.path, view.hash), found.file):
            placed.append(view.path)
    repository.store.sync([view.hash for view in whole if repository.store.has(view.hash)])
    placed += worktree.replace_by_links(repository, whole)
    with contextlib.suppress(GitFailed):
        staging.refresh(repository.git, placed, filters=False)


def _copy_beside(repository: Repository, path: str, hash_: str) -> str | None:
    """Gives a temporary file with an object's bytes, dated back (`files.settle`) and as executable as the file that it is
    to replace, or None if those are not to be had."""
    info = files.lstat(repository.absolute(path))
    mode = stat.S_IMODE(info.st_mode) if info is not None and stat.S_ISREG(info.st_mode) else 0o666
    try:
        temp = worktree.copy_object(repository, hash_, path, mode=mode)
    except (ObjectMissing, ObjectCorrupt):
        return None
    files.settle(temp)
    return temp


def _forget(repository: Repository, views: Sequence[View]) -> set[str]:
    """Zeroes what git's index says of the files of these views, where it still has the same blob; gives those paths."""
    wanted = {view.path: view.oid for view in views}
    entries = [
        entry
        for entry in (staging.entries(repository.git, list(wanted)) if wanted else [])
        if entry.stage == 0 and wanted.get(entry.path) == entry.oid
    ]
    staging.write_entries(repository.git, entries)
    return {entry.path for entry in entries}


def _tell_git(repository: Repository, paths: Sequence[str]) -> None:
    with contextlib.suppress(GitFailed):  # git reads them itself the next time it looks
        staging.look_again(repository.git, paths)


def _is_marked(place: str) -> bool:
    """Whether a file is of a format that carries markers."""
    try:
        with open(place, "rb") as stream:
            return marking.name_of(stream.read(marking.HEAD_SIZE)) is not None
    except OSError:
        return False


def has_bytes(place: str, hash_: str) -> bool:
    """Tells whether a file holds exactly an object's bytes."""
    try:
        with open(place, "rb") as stream:
            return digest.sha256(stream) == hash_
    except OSError:
        return False
