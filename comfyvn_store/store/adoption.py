"""Files that become objects, or take an object's place, as they are: one inode, no second copy of the bytes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from comfyvn_store.base import durable, files
from comfyvn_store.base.files import Print
from comfyvn_store.base.sharing import is_own
from comfyvn_store.store.incoming import unused
from comfyvn_store.store.objects import Store

# A disk that is full, broken or may not be written to would refuse a copy too.
_MACHINE = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)


def adopt(store: Store, path: str, hash_: str, seen: Print) -> bool:
    """Makes the file at `path` itself an object; the path stays, as a second name.

    The caller has hashed the file, which was as `seen` before and after (`files.look`). Gives False where that cannot be
    (another file by now, another user's, on another file system, one without hard links). Raises OSError.
    """
    info = os.lstat(path)
    if not is_own(info):
        return False
    if store.has_good(hash_, seen.size) and store.refresh(hash_):
        return True
    store.make_folders(os.path.dirname(store.path(hash_)))
    with _second_name(store, path, seen) as name:
        if name is None:
            return False
        try:
            durable.sync_files([name])  # it has had its name, and its time, for as long as its user likes
            os.chmod(name, store.sharing.object_mode(info.st_mode))  # no object is ever writable, whenever this ends
            os.rename(name, store.path(hash_))
        except OSError as error:
            with contextlib.suppress(OSError):
                os.chmod(name, stat.S_IMODE(info.st_mode))
            if error.errno in _MACHINE:
                raise
            return False
    store.refresh(hash_)
    return True


def replace(store: Store, path: str, hash_: str, seen: Print) -> bool:
    """Lets the file at `path` be an object that is there already; the path stays, as a second name.

    The caller has hashed the file, as for `adopt`. Gives False where that cannot be. Raises OSError.
    """
    if not is_own(os.lstat(path)):
        return False
    with _second_name(store, path, seen) as name:
        if name is None:
            return False
        try:
            store.name(name, hash_)
        except OSError as error:
            if error.errno in _MACHINE:
                raise
            return False
    return True


@contextlib.contextmanager
def _second_name(store: Store, path: str, seen: Print) -> Iterator[str | None]:
    """Gives a file a name in `tmp/` for a while; None where it cannot have one, or is not as `seen` any more.

    Raises OSError where the disk is at fault.
    """
    name = unused(store)
    store.make_folders(os.path.dirname(name))
    try:
        try:
            os.link(path, name, follow_symlinks=False)
            is_same = files.print_of(os.lstat(name)) == seen
        except OSError as error:
            if error.errno in _MACHINE:
                raise
            is_same = False
        yield name if is_same else None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)
