"""Objects: bytes kept under their SHA-256.

Layout below the store: `format` ("1"), `objects/ab/<62 hex>` (0444), `tmp/`, `bad/` (quarantine), `trash/`, `lock`; in a
store of several repositories also `users` (`store.users`).

An object is written to `tmp/`, given its mode and renamed, so what is visible under an object's name is complete. Its
mtime is a whole second: a program that writes through a view leaves nanoseconds behind, and one `stat` shows it. So does
half a second, which an object has until its bytes are on the disk: after a power cut it is read before it is believed.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
import time
from collections.abc import Collection, Iterator
from typing import BinaryIO

from comfyvn_store.base import copying, digest, durable, files, links, names
from comfyvn_store.base.sharing import PRIVATE, Sharing, is_own
from comfyvn_store.errors import NewerStore, ObjectCorrupt, ObjectMissing, StoreUnreachable
from comfyvn_store.store.incoming import Incoming

FORMAT = "1"
_FOLDERS = ("objects", "tmp", "bad", "trash")
BLOCK = 1 << 20
# How the part files of transfers begin (`store.partial`), and how many seconds one is kept.
PART_PREFIX = "part-"
PART_AGE = 14 * 86400.0
_SECOND = 1_000_000_000
# The fraction in the mtime of an object that was not synced. File systems order what they keep of names and times, so a
# name that outlives a power cut has it; it is coarse because exFAT counts in hundredths of a second.
_UNSYNCED = 500_000_000
# How often an object that should be there is looked for, 20 ms apart.
_LOOKS = 5
# How the notes begin that an object was used by somebody who may not set its time (`Store.refresh`).
MARK_PREFIX = "used-"


class Store:
    """The store at `root`; `sharing` says who else may use what is made there.

    `is_apart`: it lies outside the repository, perhaps on a disk that is not always there, so that nothing but `create`
    makes it anew.
    """

    def __init__(self, root: str, sharing: Sharing = PRIVATE, *, is_apart: bool = False) -> None:
        self.root = root
        self.sharing = sharing
        self.is_apart = is_apart
        # Objects whose bytes this process wrote, or read anew, and has not synced.
        self._unsynced: set[str] = set()

    # -- the store itself -------------------------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether a store was made here."""
        return os.path.isfile(os.path.join(self.root, "format"))

    def require(self) -> None:
        """Raises StoreUnreachable where a store outside the repository is not there, NewerStore if it is beyond us."""
        if self.is_apart and not self.exists:
            raise StoreUnreachable(
                f"the store '{names.printable(self.root)}' is not there (comfyvn.store)",
                hint="is its disk plugged in, the share mounted, and may you read it? `comfyvn-store doctor` says more",
            )
        self.check_format()

    def make_folders(self, path: str) -> None:
        """Makes a folder inside the store; never the store itself where that has gone. Raises StoreUnreachable, OSError."""
        self.require()
        self.sharing.make_folders(path)

    def create(self) -> None:
        """Makes the folders and `format`; what is there stays, but for modes that keep others out."""
        place = os.path.join(self.root, "format")
        for name in _FOLDERS:
            self.sharing.make_folders(os.path.join(self.root, name))
        with contextlib.suppress(PermissionError), open(self.lock_path, "a", encoding="ascii"):
            pass
        if not self.exists:
            files.write_atomic(place, f"{FORMAT}\n".encode(), durable=True, sharing=self.sharing)
        fans = [os.path.join("objects", name) for name in os.listdir(os.path.join(self.root, "objects"))]
        for name in ("", *_FOLDERS, *fans):
            self.sharing.adjust(os.path.join(self.root, name))
        self.sharing.adjust(self.lock_path)
        self.sharing.adjust(place)

    def check_format(self) -> None:
        """Raises NewerStore if a newer version made this store."""
        try:
            found = files.read_small(os.path.join(self.root, "format"), 64).decode("ascii", "replace").strip()
        except FileNotFoundError:
            return
        if found != FORMAT:
            raise NewerStore(
                f"this store has format '{found}', and this version knows only '{FORMAT}'",
                hint="install a newer comfyvn-store",
            )

    @property
    def lock_path(self) -> str:
        """The lock that whoever removes objects holds."""
        return os.path.join(self.root, "lock")

    # -- reading ----------------------------------------------------------------------------------------------------

    def path(self, hash_: str) -> str:
        """Gives the path of an object, there or not."""
        return os.path.join(self.root, "objects", hash_[:2], hash_[2:])

    def part_path(self, hash_: str) -> str:
        """Gives the path of the file in which a transfer gathers an object."""
        return os.path.join(self.root, "tmp", PART_PREFIX + hash_)

    def stat(self, hash_: str) -> os.stat_result | None:
        """Gives an object's stat, or None if the store does not hold it."""
        info = files.lstat(self.path(hash_))
        return info if info is not None and stat.S_ISREG(info.st_mode) else None

    def has(self, hash_: str) -> bool:
        """Tells whether the store holds an object."""
        return self.stat(hash_) is not None

    def open(self, hash_: str) -> BinaryIO:
        """Opens an object for reading. Raises ObjectMissing, also where a folder, a link or a pipe has its name."""
        try:
            return open_file(self.path(hash_))
        except (FileNotFoundError, NotADirectoryError, NotAFile):
            raise missing(hash_) from None

    def hashes(self) -> Iterator[str]:
        """Gives the hashes of all objects, in order."""
        top = os.path.join(self.root, "objects")
        for folder in sorted(os.listdir(top)):
            with contextlib.suppress(NotADirectoryError):
                for name in sorted(os.listdir(os.path.join(top, folder))):
                    if links.is_hash(folder + name):
                        yield folder + name

    def is_as_stored(self, hash_: str, size: int | None) -> bool:
        """Tells whether an object is there with that size (None: any), mode and mtime as stored; `False` says nothing more."""
        try:
            info = os.lstat(f"{self.root}/objects/{hash_[:2]}/{hash_[2:]}")
        except OSError:
            return False
        is_plain = info.st_mode & 0o170222 == stat.S_IFREG and info.st_mtime_ns % _SECOND == 0
        return is_plain and (size is None or info.st_size == size)

    def is_touched(self, info: os.stat_result) -> bool:
        """Tells whether an object's mode or mtime is not as stored, so that its bytes should be checked."""
        is_writable = bool(info.st_mode & 0o222) and self._keeps_modes
        return is_writable or info.st_mtime_ns % _SECOND != 0

    @functools.cached_property
    def _keeps_modes(self) -> bool:
        """Whether the disk can make a file read-only (FAT and exFAT cannot); where it cannot be tried, it can."""
        try:
            with self.temp() as trial:
                os.chmod(trial.path, 0o444)
                return not os.stat(trial.path).st_mode & 0o222
        except OSError:
            return True

    def verify(self, hash_: str) -> None:
        """Reads an object and compares. Raises ObjectMissing or ObjectCorrupt."""
        with self.open(hash_) as stream:
            found = digest.sha256(stream)
        if found != hash_:
            raise ObjectCorrupt(
                f"object {hash_[:16]} is damaged: its bytes have the hash {found[:16]}",
                hint="`comfyvn-store recover FILE` keeps what was written as a new version and looks for the old bytes",
            )

    def vouch(self, hash_: str) -> None:
        """Raises ObjectMissing or ObjectCorrupt where an object cannot be handed out as what it should be.

        One `stat` for an object that nobody wrote to; only one that is touched is read.
        """
        info = self.stat(hash_)
        if info is None:
            raise missing(hash_)
        if self.is_touched(info):
            self.verify(hash_)

    def is_sound(self, hash_: str) -> bool:
        """Tells whether `vouch` has nothing against an object."""
        try:
            self.vouch(hash_)
        except (ObjectMissing, ObjectCorrupt):
            return False
        return True

    # -- writing ----------------------------------------------------------------------------------------------------

    def temp(self) -> Incoming:
        """Opens a temporary file for bytes that are to become an object."""
        return Incoming(self)

    def name(self, path: str, hash_: str, *, is_durable: bool = False) -> None:
        """Gives a file in `tmp/`, whose bytes are known to be right, its object's name. Raises OSError.

        Unless the bytes `is_durable` the object counts as touched until `sync`.
        """
        target = self.path(hash_)
        now = int(time.time()) * _SECOND + (0 if is_durable else _UNSYNCED)
        info = os.lstat(path)
        if not is_own(info):
            path = self._own_copy(path)
            info = os.lstat(path)
        os.utime(path, ns=(now, now))
        os.chmod(path, self.sharing.object_mode(info.st_mode))
        try:
            os.rename(path, target)
        except FileNotFoundError:
            self.make_folders(os.path.dirname(target))
            os.rename(path, target)
        if not is_durable:
            self._unsynced.add(hash_)

    def _own_copy(self, path: str) -> str:
        """Puts a copy of our own, durably, in the place of another user's file, whose mode and time we may not set."""
        with self.temp() as mine, open(path, "rb") as stream:
            copying.copy(stream.fileno(), mine.stream.fileno())
            os.fsync(mine.stream.fileno())
            os.rename(mine.path, path)
        return path

    def refresh(self, hash_: str) -> bool:
        """Marks an object as just used, so that collection does not take it (and as undamaged: a whole second).

        The caller knows that its bytes are right. One that was not synced stays marked as such until `sync`. Gives False if
        it is not there any more: collection took it before it was marked, and it is to be written anew.
        """
        info = self.stat(hash_)
        if info is None:
            return False
        if _is_unsynced(info):
            self._unsynced.add(hash_)
        self._date(hash_, _UNSYNCED if _is_unsynced(info) else 0)
        return self.has(hash_)

    def _date(self, hash_: str, fraction: int) -> None:
        now = int(time.time()) * _SECOND + fraction
        try:
            os.utime(self.path(hash_), ns=(now, now))
        except FileNotFoundError:
            return
        except OSError:  # another user's: its owner's time stands
            self._mark(hash_)

    def used_at(self, hash_: str, info: os.stat_result) -> float:
        """Gives when an object, whose stat is `info`, was last added (seconds since 1970)."""
        mark = files.lstat(self._mark_path(hash_))
        return max(info.st_mtime, mark.st_mtime if mark is not None else 0.0)

    def _mark_path(self, hash_: str) -> str:
        return os.path.join(self.root, "tmp", MARK_PREFIX + hash_)

    def _mark(self, hash_: str) -> None:
        """Leaves a note that an object whose time we may not set was used now."""
        path = self._mark_path(hash_)
        with contextlib.suppress(OSError):
            self.make_folders(os.path.dirname(path))
            temp = f"{path}-{os.getpid()}-{os.urandom(4).hex()}"
            with open(temp, "xb"):
                self.sharing.adjust(temp)
                os.replace(temp, path)

    def settle(self, hash_: str) -> None:
        """Gives an object whose bytes are known to be right the mode and the time of one that nobody touched."""
        if self.has(hash_):
            with contextlib.suppress(OSError):
                os.chmod(self.path(hash_), self.sharing.object_mode(0o444))
        self.refresh(hash_)

    def suspect(self, hash_: str) -> None:
        """Marks an object as damaged, so that whoever looks at its times next reads it again."""
        with contextlib.suppress(OSError):
            found = os.stat(self.path(hash_)).st_mtime_ns
            os.utime(self.path(hash_), ns=(found, found // _SECOND * _SECOND + 1))

    def sweep(self, *, age: float = 3600.0) -> int:
        """Removes what processes that ended badly left in `tmp/`, if it is older than `age` seconds; gives how many.

        What was half transferred waits longer: the next transfer takes it up.
        """
        folder = os.path.join(self.root, "tmp")
        removed = 0
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            patience = max(age, PART_AGE) if name.startswith((PART_PREFIX, MARK_PREFIX)) else age
            with contextlib.suppress(OSError):
                if time.time() - os.lstat(os.path.join(folder, name)).st_mtime > patience:
                    os.unlink(os.path.join(folder, name))
                    removed += 1
        return removed

    def sync(self, hashes: Collection[str]) -> None:
        """Makes objects durable. Raises ObjectMissing, OSError."""
        self._sync_files(hashes)
        for hash_ in hashes:
            info = self.stat(hash_)
            # What another process left may never have reached the disk: it is read.
            if info is not None and _is_unsynced(info) and (hash_ in self._unsynced or self.is_sound(hash_)):
                self._date(hash_, 0)
            self._unsynced.discard(hash_)

    def sync_new(self) -> None:
        """Makes durable what this process took in since it last did. Raises OSError."""
        self.sync([hash_ for hash_ in sorted(self._unsynced) if self.has(hash_)])

    def _sync_files(self, hashes: Collection[str]) -> None:
        for attempt in range(_LOOKS):
            try:
                durable.sync_files([self.path(hash_) for hash_ in hashes])
                return
            except FileNotFoundError:
                absent = next((hash_ for hash_ in hashes if not self.has(hash_)), None)
                if attempt == _LOOKS - 1:
                    if absent is not None:
                        raise missing(absent) from None
                    raise
            time.sleep(0.02)  # collection may have taken one and be about to put it back (`store.trash`)

    def quarantine(self, hash_: str) -> str:
        """Moves an object whose bytes are wrong to `bad/` and gives the path there."""
        return self.put_aside(self.path(hash_), hash_)

    def put_aside(self, path: str, hash_: str) -> str:
        """Moves a file that should be an object and is not to `bad/` and gives the path there."""
        target = os.path.join(self.root, "bad", f"{hash_}-{os.urandom(4).hex()}")
        self.make_folders(os.path.dirname(target))
        os.replace(path, target)
        return target

    def quarantined(self, hash_: str) -> list[str]:
        """Gives the files in quarantine that stood under an object's name, the newest last."""
        folder = os.path.join(self.root, "bad")
        found = [name for name in os.listdir(folder) if name.startswith(f"{hash_}-")] if os.path.isdir(folder) else []
        # Moving a file there changes its ctime; what was written into it before is no measure.
        return sorted((os.path.join(folder, name) for name in found), key=lambda place: os.lstat(place).st_ctime_ns)

    def has_good(self, hash_: str, size: int) -> bool:
        """Whether the object that is there can stand for bytes of this hash and size; a wrong one is moved aside."""
        info = self.stat(hash_)
        if info is None:
            return False
        # Read, not believed: the caller may drop the only other copy, and a rotten disk leaves size and times alone.
        try:
            if info.st_size != size:
                raise ObjectCorrupt("wrong size")
            self.verify(hash_)
        except ObjectCorrupt:
            self.quarantine(hash_)
            return False
        mode = self.sharing.object_mode(info.st_mode)
        if mode != stat.S_IMODE(info.st_mode) and is_own(info):
            with contextlib.suppress(OSError):
                os.chmod(self.path(hash_), mode)
        return True


def _is_unsynced(info: os.stat_result) -> bool:
    return info.st_mtime_ns % _SECOND == _UNSYNCED


class NotAFile(OSError):
    """What has the name of an object is a folder, a link, a pipe or a device."""


def open_file(path: str) -> BinaryIO:
    """Opens an ordinary file of a store for reading, through no symlink and waiting for no pipe.

    Raises NotAFile, OSError.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise NotAFile(error.errno, error.strerror, path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFile(errno.EINVAL, "not an ordinary file", path)
    return os.fdopen(descriptor, "rb")


def missing(hash_: str) -> ObjectMissing:
    """Gives the error for an object that the store does not hold."""
    return ObjectMissing(
        f"object {hash_[:16]} is not in the store",
        hint="`comfyvn-store pull` fetches it from a remote; `comfyvn-store recover FILE` looks for a copy on this machine",
    )
