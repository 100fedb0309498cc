"""Who besides us may use what we create in git's folder: `core.sharedRepository`, heeded as git itself does.

Only what is ours is ever changed: the mode of a file that another user made is that user's affair.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

# What stands for the words (git-config, `core.sharedRepository`); 1 and 2 are git's older numbers for them.
_WORDS = {"group": 0o660, "true": 0o660, "yes": 0o660, "on": 0o660, "1": 0o660}
_WORDS |= {"all": 0o664, "world": 0o664, "everybody": 0o664, "2": 0o664}


class Sharing(NamedTuple):
    """Permission bits that are added to what the umask leaves, or with `is_exact` stand in its place; 0 shares nothing."""

    bits: int = 0
    is_exact: bool = False

    def mode(self, mode: int) -> int:
        """Gives the mode that a file or folder of this mode (with its type) gets, as git's `calc_shared_perm` does."""
        if not self.bits:
            return stat.S_IMODE(mode)
        extra = self.bits if mode & 0o200 else self.bits & ~0o222
        if mode & 0o100:
            extra |= (extra & 0o444) >> 2
        new = extra if self.is_exact else stat.S_IMODE(mode) | extra
        # The group is that of the folder, whoever makes a file in it.
        return new | stat.S_ISGID if stat.S_ISDIR(mode) and new & 0o060 else new

    def object_mode(self, mode: int) -> int:
        """Gives the mode of a finished object whose temporary file has this mode: nobody may write to it."""
        return self.mode(stat.S_IFREG | (mode & 0o444)) & 0o444 if self.bits else 0o444

    def joined(self, other: Sharing) -> Sharing:
        """Gives the more open of two: whom either admits."""
        return Sharing(self.bits | other.bits, self.is_exact or other.is_exact)

    def adjust(self, path: str) -> None:
        """Gives a file or folder that we made its mode; one of another user's, and one that is gone, is left alone."""
        if not self.bits:
            return
        try:
            info = os.lstat(path)
            wanted = self.mode(info.st_mode)
            if is_own(info) and not stat.S_ISLNK(info.st_mode) and wanted != stat.S_IMODE(info.st_mode):
                os.chmod(path, wanted)
        except OSError:
            return

    def adjust_inside(self, folder: str) -> None:
        """Does the same for what lies right in a folder. Raises OSError if it cannot be listed."""
        for name in os.listdir(folder) if self.bits else ():
            self.adjust(os.path.join(folder, name))

    def make_folders(self, path: str) -> None:
        """Makes a folder and those above it that are missing, each with its mode. Raises OSError."""
        lacking = []
        while path and not os.path.isdir(path):
            lacking.append(path)
            path = os.path.dirname(path)
        for folder in reversed(lacking):
            try:
                os.mkdir(folder)
            except FileExistsError:
                if not os.path.isdir(folder):
                    raise
                continue
            self.adjust(folder)


PRIVATE = Sharing()


def parse(value: str | None) -> Sharing:
    """Gives what a value of `core.sharedRepository` means; git itself refuses to work with one that means nothing."""
    word = (value or "").lower()
    if word in _WORDS:
        return Sharing(_WORDS[word])
    try:
        bits = int(word, 8) & 0o666
    except ValueError:
        return PRIVATE
    return Sharing(bits, is_exact=True) if bits & 0o600 == 0o600 else PRIVATE


def of_folder(path: str) -> Sharing:
    """Gives whom the modes of a folder admit beside its owner; PRIVATE for nobody, and for a folder that is not there."""
    try:
        bits = os.stat(path).st_mode & 0o066
    except OSError:
        return PRIVATE
    return Sharing(0o600 | bits) if bits else PRIVATE


def is_own(info: os.stat_result) -> bool:
    """Tells whether a file is this user's."""
    return not hasattr(os, "geteuid") or info.st_uid == os.geteuid()
