"""Copying one open file to another by the cheapest way that the system has."""

from __future__ import annotations

import os

# ioctl_ficlone(2): shares the blocks of two files where the file system can (Btrfs, XFS).
_FICLONE = 0x40049409
_BLOCK = 1 << 20


def share_blocks(source: int, target: int) -> bool:
    """Lets the target have the source's blocks without a copy of them; tells whether the file system can do that."""
    try:
        import fcntl

        fcntl.ioctl(target, _FICLONE, source)
    except (ImportError, OSError):
        return False
    return True


def copy(source: int, target: int) -> None:
    """Copies all of the source into the empty target, in the kernel where it can. Raises OSError."""
    if share_blocks(source, target):
        return
    size = os.fstat(source).st_size
    offset = 0
    while offset < size and hasattr(os, "copy_file_range"):
        try:
            count = os.copy_file_range(source, target, size - offset)
        except OSError:
            break
        if not count:
            break
        offset += count
    os.lseek(source, offset, os.SEEK_SET)
    os.lseek(target, offset, os.SEEK_SET)
    while block := os.read(source, _BLOCK):
        view = memoryview(block)
        while view:
            view = view[os.write(target, view) :]
