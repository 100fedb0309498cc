"""Files that are whole or not there: looks that later saves show against, and atomic writes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from typing import NamedTuple

from comfyvn_store.base.durable import sync_folder
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
    temp = write_beside(path, data, mode, durable, sharing)
    try:
        os.replace(temp, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise
    if durable:
        sync_folder(os.path.dirname(path) or ".")


def write_derived(path: str, data: bytes) -> None:
    """Writes a file of ours that can be made again, in few calls: seen whole or not at all, but not made durable, with the mode
    of a new file. Raises OSError; nothing is left behind then."""
    temp = temp_beside(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        descriptor = os.open(temp, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = os.open(temp, flags, 0o666)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
        os.replace(temp, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise


def write_beside(path: str, data: bytes, mode: int = 0o666, durable: bool = False, sharing: Sharing = PRIVATE) -> str:
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
    return read_seen(path, limit)[0]


def read_seen(path: str, limit: int) -> tuple[bytes, Print | None]:
    """Does the same and gives the fingerprint that the file had before it was read; None where it is too young for that to tell
    the next save (see `look`)."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "rb") as stream:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise OSError(errno.EINVAL, "not an ordinary file", path)
        if info.st_size > limit:
            raise OSError(errno.EFBIG, f"{info.st_size} bytes, more than {limit}", path)
        age = time.time() - info.st_mtime
        return stream.read(limit + 1), None if 0 <= age < _TICK else print_of(info)


def place_symlink(path: str, text: str) -> None:
    """Puts a symlink at `path`, atomically taking the place of whatever is there.

    For places where nothing of the user's can be lost; otherwise `swapping.swap_for_link`.
    """
    temp = temp_beside(path)
    os.symlink(text, temp)
    try:
        os.replace(temp, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise


def remove_empty_folders(folder: str, stop: str) -> None:
    """Removes `folder` and its parents while they are empty, up to but not including `stop`."""
    while folder != stop and folder.startswith(stop):
        try:
            os.rmdir(folder)
        except OSError:
            return
        folder = os.path.dirname(folder)
