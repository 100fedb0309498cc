"""Files that are whole or not there: atomic writes, and replacing a file without losing an edit."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Iterable
from typing import NamedTuple

from comfyvn_store.base.durable import sync_files, sync_folder
from comfyvn_store.base.names import TEMP_PREFIX
from comfyvn_store.base.sharing import PRIVATE, Sharing


class Print(NamedTuple):
    """What tells two states of one file apart without reading it."""

    inode: int
    size: int
    mtime_ns: int


def print_of(info: os.stat_result) -> Print:
    """Gives the fingerprint of a stat result."""
    return Print(info.st_ino, info.st_size, info.st_mtime_ns)


def lstat(path: str) -> os.stat_result | None:
    """Gives a path's own stat, or None if nothing is there, or can be because its name is too long."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return None


_TICK = 0.02  # seconds; Linux dates files by a clock that goes on every 1 to 10 ms


def look(path: str) -> os.stat_result | None:
    """Same as `lstat`, before a file is read: whoever saves it after this returned leaves another fingerprint.

    A file system dates files by a clock of its own, and gives a number that became free to the next file. A file as young
    as a tick of that clock could be saved once more and look the same, so the tick is waited for.
    """
    info = lstat(path)
    if info is not None and stat.S_ISREG(info.st_mode):
        age = time.time() - info.st_mtime
        if 0 <= age < _TICK:
            time.sleep(_TICK - age)
    return info


def read_link(path: str) -> str | None:
    """Gives a symlink's text, or None if the path is no symlink."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def temp_beside(path: str) -> str:
    """Gives an unused temporary name in the same folder."""
    return os.path.join(os.path.dirname(path), f"{TEMP_PREFIX}{os.getpid()}-{os.urandom(6).hex()}")


def write_atomic(
    path: str, data: bytes, *, mode: int = 0o666, durable: bool = False, sharing: Sharing = PRIVATE
) -> None:
    """Writes a file so that other processes see the old bytes or the new, never a part.

    `mode` is subject to the umask and to `sharing`; an existing file's mode is kept. Raises OSError; nothing is left
    behind then.
    """
    sharing.make_folders(os.path.dirname(path) or ".")
    temp = _write_beside(path, data, mode, durable, sharing)
    try:
        os.replace(temp, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise
    if durable:
        sync_folder(os.path.dirname(path) or ".")


def _write_beside(path: str, data: bytes, mode: int = 0o666, durable: bool = False, sharing: Sharing = PRIVATE) -> str:
    """Writes a temporary file that can take the place of the one at `path` and gives its name."""
    temp = temp_beside(path)
    descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            before = lstat(path)
            if before is not None and stat.S_ISREG(before.st_mode):
                with contextlib.suppress(OSError):
                    os.fchmod(stream.fileno(), stat.S_IMODE(before.st_mode))
            sharing.adjust(temp)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise
    return temp


def write_settled(path: str, data: bytes) -> None:
    """Writes a file that git is told of right away, durably, and dates it back (see `settle`)."""
    write_atomic(path, data, durable=True)
    settle(path)


def replace_settled(path: str, data: bytes, expected: bytes | None) -> bool:
    """Same as `write_settled`, if the file still holds what is expected (None: is not there); tells whether it did.

    An edit that is saved while this runs stays.
    """
    return bool(replace_all_settled([Change(path, data, expected)]))


class Change(NamedTuple):
    """A file, the bytes that it is to have, and those that it has now (None: it is not there)."""

    path: str
    data: bytes
    expected: bytes | None


def replace_all_settled(changes: Iterable[Change]) -> list[str]:
    """Same as `replace_settled` for many files on one file system; gives the paths of those that were as expected.

    All bytes are on the disk before the first file is replaced: file systems put off writing them, and a power cut would
    leave empty files.
    """
    written: list[tuple[str, str, Print | None]] = []
    try:
        for change in changes:
            info = lstat(change.path)
            seen = print_of(info) if info is not None and stat.S_ISREG(info.st_mode) else None
            if change.expected is None:
                if info is not None:
                    continue
                os.makedirs(os.path.dirname(change.path) or ".", exist_ok=True)
            elif seen is None or not _holds(change.path, change.expected):
                continue
            written.append((change.path, _write_beside(change.path, change.data), seen))
            settle(written[-1][1])
        sync_files([temp for _, temp, _ in written], folders=False)
        return [path for path, temp, seen in written if swap_for_file(path, temp, None, seen)]
    finally:
        for _, temp, _ in written:
            with contextlib.suppress(OSError):
                os.unlink(temp)


def _holds(path: str, data: bytes) -> bool:
    try:
        return read_small(path, len(data)) == data
    except OSError:
        return False


def settle(path: str) -> None:
    """Dates a file two seconds back.

    git compares times by the second and takes a file as young as its index for possibly changed: it would ask the
    filter about it at every status until the index is written again.
    """
    then = os.lstat(path).st_mtime_ns - 2_000_000_000
    os.utime(path, ns=(then, then))


def read_small(path: str, limit: int) -> bytes:
    """Reads an ordinary file of at most `limit` bytes, not through a symlink.

    Raises OSError, also (EFBIG, ELOOP, EINVAL) for what is too long or no ordinary file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "rb") as stream:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise OSError(errno.EINVAL, "not an ordinary file", path)
        if info.st_size > limit:
            raise OSError(errno.EFBIG, f"{info.st_size} bytes, more than {limit}", path)
        return stream.read(limit + 1)


def place_symlink(path: str, text: str) -> None:
    """Puts a symlink at `path`, atomically taking the place of whatever is there.

    For places where nothing of the user's can be lost; otherwise `swap_for_link`.
    """
    temp = temp_beside(path)
    os.symlink(text, temp)
    try:
        os.replace(temp, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise


def swap_for_link(path: str, text: str, expected: Print) -> bool:
    """Replaces an ordinary file by a symlink if it still is what `expected` says; tells whether it did.

    The caller has made the file's bytes durable elsewhere. An edit that is saved while this runs survives, whether it is
    written into the file or renamed over it: link and file change places in one step, and change back if what came out
    is not what was expected. Where a file system cannot do that, the file is linked aside first and put back.
    """
    info = lstat(path)
    if info is None or not stat.S_ISREG(info.st_mode) or print_of(info) != expected:
        return False
    temp = temp_beside(path)
    os.symlink(text, temp)
    try:
        if not _exchange(temp, path):
            return _replace_watched(path, temp, expected)
        if print_of(os.lstat(temp)) == expected:
            return True
        _exchange(temp, path)
        if read_link(temp) != text:  # saved once more meanwhile: the newest stays
            os.replace(temp, path)
        return False
    except FileNotFoundError:  # the file was taken away
        return False
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temp)


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


def _exchange(one: str, other: str) -> bool:
    """Lets two names change places in one step (renameat2(2), Linux); gives False where that is not to be had.

    Raises OSError, also where one of them is gone.
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
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


def remove_empty_folders(folder: str, stop: str) -> None:
    """Removes `folder` and its parents while they are empty, up to but not including `stop`."""
    while folder != stop and folder.startswith(stop):
        try:
            os.rmdir(folder)
        except OSError:
            return
        folder = os.path.dirname(folder)
