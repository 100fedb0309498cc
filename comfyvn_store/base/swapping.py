"""Replacing a file or a link by another, in one step, without losing what somebody saves there meanwhile."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

from comfyvn_store.base.durable import sync_files
from comfyvn_store.base.files import (
    Print,
    look,
    lstat,
    print_of,
    read_link,
    read_small,
    settle,
    temp_beside,
    write_beside,
)


def swap_for_link(path: str, text: str, expected: Print) -> bool:
    """Replaces an ordinary file by a symlink if it still is what `expected` says; tells whether it did.

    The caller has made the file's bytes durable elsewhere. An edit that is saved while this runs survives, whether it is
    written into the file or renamed over it: link and file change places in one step, and change back if what came out
    is not what was expected. Where a file system cannot do that, the file is linked aside first and put back.
    """
    if not _is_expected(path, None, expected):
        return False
    temp = temp_beside(path)
    os.symlink(text, temp)
    return swap_for_file(path, temp, None, expected)


def _replace_watched(path: str, temp: str, expected: Print) -> bool:
    """Renames `temp` over a file, and puts the file back if it changed before or after."""
    aside = temp_beside(path)
    try:
        os.link(path, aside, follow_symlinks=False)
    except OSError:
        os.rename(path, aside)
    try:
        if print_of(os.lstat(aside)) == expected:
            os.replace(temp, path)
            if print_of(os.lstat(aside)) == expected:
                os.unlink(aside)
                return True
    except BaseException:
        _put_back(aside, path)
        raise
    _put_back(aside, path)
    return False


def _put_back(aside: str, path: str) -> None:
    # rename(2) does nothing and keeps both names where they are two names of one file.
    os.replace(aside, path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(aside)


_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    try:
        found: Callable[..., int] = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return None
    return found


def _exchange(one: str, other: str) -> bool:
    """Lets two names change places in one step (renameat2(2), Linux); gives False where that is not to be had.

    Raises OSError, also where one of them is gone.
    """
    rename = _renameat2()
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    import ctypes

    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), other)


def swap_for_file(path: str, temp: str, expected_link: str | None, expected: Print | None = None) -> bool:
    """Puts `temp` (a file or a symlink) at `path` if that still is the symlink (or the file) expected; tells whether it
    did.

    With both None nothing may be at `path`. `temp` is gone afterwards in any case. What somebody saves there while this
    runs stays, as in `swap_for_link`.
    """
    try:
        mine = print_of(os.lstat(temp))
        if expected_link is None and expected is None:
            return _move_to_free(temp, path)
        if not _is_expected(path, expected_link, expected):
            return False
        if not _exchange(temp, path):
            if expected is not None:
                return _replace_watched(path, temp, expected)
            os.replace(temp, path)
            return True
        if _is_expected(temp, expected_link, expected):
            return True
        _exchange(temp, path)
        if print_of(os.lstat(temp)) != mine:  # saved once more meanwhile: the newest stays
            os.replace(temp, path)
        return False
    except FileNotFoundError:  # what was to be replaced was taken away
        return False
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temp)


def swap_link(path: str, text: str, expected: str) -> bool:
    """Replaces the symlink at `path` by another one if it still has the text expected; tells whether it did."""
    temp = temp_beside(path)
    os.symlink(text, temp)
    return swap_for_file(path, temp, expected)


def _is_expected(path: str, link: str | None, expected: Print | None) -> bool:
    info = lstat(path)
    if info is None:
        return False
    if link is not None:
        return stat.S_ISLNK(info.st_mode) and read_link(path) == link
    return stat.S_ISREG(info.st_mode) and print_of(info) == expected


def _move_to_free(temp: str, path: str) -> bool:
    """Gives a file a name that nobody has; tells whether it was free."""
    try:
        os.link(temp, path, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError:  # no hard links here
        if lstat(path) is not None:
            return False
        os.replace(temp, path)
    return True


def replace_settled(path: str, data: bytes, expected: bytes | None) -> bool:
    """Same as `files.write_settled`, if the file still holds what is expected (None: is not there); tells whether it did.

    An edit that is saved while this runs stays.
    """
    return bool(replace_all_settled([Change(path, data, expected)]))


class Change(NamedTuple):
    """A file, the bytes that it is to have, and those that it has now (None: it is not there)."""

    path: str
    data: bytes
    expected: bytes | None


def replace_all_settled(changes: Iterable[Change]) -> dict[str, Print]:
    """Same as `replace_settled` for many files on one file system; gives those that were as expected, each with the fingerprint
    that it was given.

    All bytes are on the disk before the first file is replaced: file systems put off writing them, and a power cut would
    leave empty files.
    """
    written: list[tuple[str, str, Print | None]] = []
    try:
        for change in changes:
            info = look(change.path)
            seen = print_of(info) if info is not None and stat.S_ISREG(info.st_mode) else None
            if change.expected is None:
                if info is not None:
                    continue
                os.makedirs(os.path.dirname(change.path) or ".", exist_ok=True)
            elif seen is None or not _holds(change.path, change.expected):
                continue
            written.append((change.path, write_beside(change.path, change.data), seen))
            settle(written[-1][1])
        sync_files([temp for _, temp, _ in written], folders=False)
        given = {path: print_of(os.lstat(temp)) for path, temp, _ in written}
        return {path: given[path] for path, temp, seen in written if swap_for_file(path, temp, None, seen)}
    finally:
        for _, temp, _ in written:
            with contextlib.suppress(OSError):
                os.unlink(temp)


def _holds(path: str, data: bytes) -> bool:
    try:
        return read_small(path, len(data)) == data
    except OSError:
        return False
