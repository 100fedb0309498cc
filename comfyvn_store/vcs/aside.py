"""Changing git's index aside: the git program works on a copy, which takes the index's place if nobody changed that.

Filters read whole files, and while git runs them it holds `index.lock`, so that a `git add` of the user's fails. A copy
lets the lock last no longer than a rename.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time

from comfyvn_store.base import copying, files
from comfyvn_store.base.processes import is_alive
from comfyvn_store.errors import GitFailed
from comfyvn_store.vcs.git import Git

# How often the work is done again because somebody changed the index meanwhile.
_ATTEMPTS = 3
# Seconds after which a copy is one that a killed process left.
_OLD = 3600.0
# Seconds after which an `index.lock` of ours, which is held for the time of a rename, is one of a process that is gone.
_ABANDONED = 1.0
_SUFFIX = ".comfyvn-"


def run(git: Git, words: list[str], data: bytes) -> None:
    """Runs a git command that writes the index. Raises GitFailed, also (naming `index.lock`) where another process holds
    the index or goes on changing it; OSError."""
    index = git.text("rev-parse", "--path-format=absolute", "--git-path", "index")
    if git.environment.get("GIT_INDEX_FILE") or not os.path.isfile(index) or os.path.islink(index):
        git.run(*words, data=data)
        return
    _sweep(index)
    for _ in range(_ATTEMPTS):
        if _attempt(git, index, words, data):
            return
    raise _held(index)


def _attempt(git: Git, index: str, words: list[str], data: bytes) -> bool:
    """Does it once; tells whether the index was still the one that was copied."""
    if os.path.exists(f"{index}.lock"):
        raise _held(index)
    own = f"{index}{_SUFFIX}{os.getpid()}-{os.urandom(4).hex()}"
    try:
        before = files.print_of(os.stat(index))
        _copy(index, own)
        copied = files.print_of(os.stat(own))
        other = Git(git.folder, {**git.environment, "GIT_INDEX_FILE": own})
        other.promisors = git.promisors
        done = other.outcome(*words, data=data, check=False)
        if files.print_of(os.stat(own)) != copied and not _install(own, index, before):
            return False
    finally:
        for name in (own, f"{own}.lock"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
    if done.returncode:
        raise GitFailed("git update-index", done.returncode, os.fsdecode(done.stderr))
    return True


def _copy(index: str, own: str) -> None:
    """Copies the index with its times: what is as young as it git looks into (Documentation/technical/racy-git)."""
    with open(index, "rb") as source, open(own, "xb") as target:
        info = os.fstat(source.fileno())
        copying.copy(source.fileno(), target.fileno())
    os.chmod(own, stat.S_IMODE(info.st_mode))
    os.utime(own, ns=(info.st_atime_ns, info.st_mtime_ns))


def _install(own: str, index: str, before: files.Print) -> bool:
    """Puts a copy in the index's place, holding git's lock, if that is what it was."""
    lock = f"{index}.lock"
    try:
        # The lock is the copy by a second name, so that one that we left says whose it is (see `release_abandoned`).
        os.link(own, lock)
    except FileExistsError:
        raise _held(index) from None
    except OSError:  # no hard links here
        return _install_without_links(own, index, before)
    try:
        if files.print_of(os.stat(index)) == before:
            os.replace(lock, index)  # as git does it: one step that puts it in place and lets go of the lock
            return True
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(lock)
        raise
    os.unlink(lock)
    return False


def _install_without_links(own: str, index: str, before: files.Print) -> bool:
    lock = f"{index}.lock"
    try:
        os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        raise _held(index) from None
    try:
        if files.print_of(os.stat(index)) != before:
            return False
        os.replace(own, index)
        return True
    finally:
        os.unlink(lock)


def release_abandoned(git: Git) -> bool:
    """Removes an `index.lock` that a process of ours left because it was killed; tells whether there was one.

    Such a lock is the same file as a copy of the index, whose name says the process; that one must not be there any more.
    """
    index = git.text("rev-parse", "--path-format=absolute", "--git-path", "index", check=False)
    lock = files.lstat(f"{index}.lock")
    folder, name = os.path.split(index)
    if lock is None or time.time() - lock.st_ctime < _ABANDONED:
        return False
    for other in os.listdir(folder):
        place = os.path.join(folder, other)
        process = other.removeprefix(name + _SUFFIX).partition("-")[0]
        if not other.startswith(name + _SUFFIX) or not process.isdigit() or is_alive(int(process)):
            continue
        with contextlib.suppress(OSError):
            if os.path.samestat(os.lstat(place), lock):
                claimed = f"{index}{_SUFFIX}{os.getpid()}-{os.urandom(4).hex()}"
                os.rename(place, claimed)  # of several that find it only one gets on
                os.unlink(f"{index}.lock")
                os.unlink(claimed)
                return True
    return False


def _sweep(index: str) -> None:
    folder, name = os.path.split(index)
    for other in os.listdir(folder):
        place = os.path.join(folder, other)
        with contextlib.suppress(FileNotFoundError):
            # Its mtime is the index's own.
            if other.startswith(name + _SUFFIX) and time.time() - os.stat(place).st_ctime > _OLD:
                os.unlink(place)


def _held(index: str) -> GitFailed:
    return GitFailed("git update-index", 128, f"fatal: Unable to create '{index}.lock': File exists.")
