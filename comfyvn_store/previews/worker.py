"""The preview worker: has what is missing made by processes side by side, and remembers what cannot be made. When there is
nothing left that people wait to see, it has fingerprints made of the pictures.

They build in the store's `tmp/`; this process alone renames what they made, and never makes a cache folder again that somebody
took away while it ran. One worker runs at a time; one more may wait for it, so that what came meanwhile is made too. One that
is killed leaves its finished previews in the cache, where the next one finds them.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Final

from comfyvn_store.asset import sidecar
from comfyvn_store.base import telling
from comfyvn_store.errors import ComfyvnError, LockTimeout
from comfyvn_store.index import catchup, questions
from comfyvn_store.index.database import Index
from comfyvn_store.index.prints import Print, open_prints
from comfyvn_store.previews import fingerprints, making, pool
from comfyvn_store.store.lock import locked
from comfyvn_store.vcs.repository import Repository, open_repository

_WHOLE_RUN = 6 * 3600.0
# Of what is ready, the index hears at the latest after so many, or so many seconds.
_BATCH: Final = 64
_PAUSE: Final = 0.5
# What a missing library cost, by words of the reason, and the module or the question that tells whether it is there by now.
_CURES: Final = {"comfyvn-store[sound]": "soundfile", "comfyvn-store[video]": "av", "AVIF needs Pillow": "PIL"}
Progress = Callable[[int, int], None]


def run() -> None:
    """The detached process: makes what the index says is missing, then ends."""
    with contextlib.suppress(ComfyvnError, OSError, sqlite3.Error):
        work(open_repository(), patience=_WHOLE_RUN)


def work(
    repository: Repository,
    *,
    patience: float,
    progress: Progress | None = None,
    looking: telling.Progress | None = telling.quietly,
    jobs: int | None = None,
) -> int:
    """Makes the missing previews, and then fingerprints; gives how many previews it made. `patience` is how long to wait for
    another worker, in seconds.

    `progress` is told how many previews are done of how many, `looking` the same of fingerprints (None: none are made); `jobs`
    is how many at a time, else one for each core. Raises LockTimeout, MachineError, OSError.
    """
    folder, sharing = repository.own_dir, repository.settings.sharing
    repository.make_own_dir()
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(os.path.join(folder, "previews.lock"), 0.0, sharing))
        except LockTimeout:
            # Somebody is at it. Whoever waits in line will see what is missing by then; a second need not wait.
            with locked(os.path.join(folder, "previews-next.lock"), 0.0 if patience > 60 else patience, sharing):
                stack.enter_context(locked(os.path.join(folder, "previews.lock"), patience, sharing))
        return _work(repository, progress, looking, jobs or cores())


def cores() -> int:
    """Tells how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def retry(index: Index) -> None:
    """Forgets which previews failed, so that they are tried again."""
    with index.writing() as db:
        db.execute("DELETE FROM preview_failures")


def is_running(repository: Repository) -> bool:
    """Tells whether a worker is at work. Asking makes no lock file."""
    place = os.path.join(repository.own_dir, "previews.lock")
    if not os.path.exists(place):
        return False
    try:
        with locked(place, 0.0):
            return False
    except LockTimeout:
        return True
    except OSError:
        return False


def is_led_away(repository: Repository) -> bool:
    """Tells whether the folder for previews lies in the work tree by its name, and a symlink there leads elsewhere.

    git checks symlinks out that came with the repository: what is written through one may be a file of the user's. One
    that git does not know may lie elsewhere by intent, and is refused all the same: `comfyvn.thumbsRoot` says so openly.
    """
    root = repository.settings.thumbs_root
    if not root.startswith(repository.top + os.sep):
        return False
    inside = os.path.relpath(root, repository.top).replace(os.sep, "/")
    return repository.is_beyond_link(f"{inside}/x")


def _is_there(repository: Repository) -> bool:
    """Whether the folder for previews is still there, and still that very folder."""
    return os.path.isdir(repository.settings.thumbs_root) and not is_led_away(repository)


def discard(repository: Repository, name: str) -> bool:
    """Removes a preview; tells whether it was there. Raises OSError."""
    if is_led_away(repository):
        return False
    try:
        os.unlink(os.path.join(repository.settings.thumbs_root, os.path.basename(name)))
    except FileNotFoundError:
        return False
    return True


def _work(repository: Repository, progress: Progress | None, looking: telling.Progress | None, jobs: int) -> int:
    made = 0
    if is_led_away(repository):
        return made
    os.makedirs(repository.settings.thumbs_root, exist_ok=True)
    tell = progress or (lambda done, total: None)
    with catchup.open_index(repository) as index:
        _forget_what_extras_cure(index)
        _forget_what_is_gone(index, repository)
        _sweep(repository)
        tried: set[str] = set()
        looks = fingerprints.Due(index, repository)
        while True:
            # A preview bears the object's hash: none is made of bytes that somebody wrote into it.
            due = [
                (hash_, mime)
                for hash_, mime in questions.previews_due(index)
                if hash_ not in tried and repository.store.is_sound(hash_)
            ]
            if not _is_there(repository):
                return made
            if not due:
                if looking is None or not looks.take(looking, jobs):
                    return made
                continue  # what came meanwhile is wanted more
            looks.renew()
            tried.update(hash_ for hash_, _ in due)
            round_ = _Round(index, repository, len(due), tell)
            try:
                round_.make(due, min(jobs, len(due)))
            finally:
                made += round_.made


def gone(index: Index, repository: Repository) -> list[str]:
    """Gives the objects whose previews the index names and the folder for previews has not: somebody deleted them, or the
    folder is another one now. None where that folder is led away: nothing outside is looked at."""
    if is_led_away(repository):
        return []
    try:
        here = set(os.listdir(repository.settings.thumbs_root))
    except OSError:
        here = set()
    folder = os.path.relpath(repository.settings.thumbs_root, repository.top).replace(os.sep, "/")
    rows = index.db.execute("SELECT DISTINCT hash, thumb FROM assets_registry WHERE thumb IS NOT NULL")
    return [hash_ for hash_, thumb in rows if os.path.dirname(thumb) != folder or os.path.basename(thumb) not in here]


def _forget_what_is_gone(index: Index, repository: Repository) -> None:
    found = gone(index, repository)
    if found:
        with index.writing() as db:
            db.executemany("UPDATE assets_registry SET thumb = NULL WHERE hash = ?", ((hash_,) for hash_ in found))


def _is_cured(module: str) -> bool:
    if module != "PIL":
        return find_spec(module) is not None
    from comfyvn_store.previews.pictures import reads_avif

    return reads_avif()


def _forget_what_extras_cure(index: Index) -> None:
    """Forgets failures for want of a library that is there by now."""
    for words, module in _CURES.items():
        marked = index.db.execute("SELECT hash FROM preview_failures WHERE instr(reason, ?)", (words,)).fetchall()
        if marked and _is_cured(module):
            with index.writing() as db:
                db.executemany("DELETE FROM preview_failures WHERE hash = ?", marked)


def _temp_prefix(repository: Repository) -> str:
    """How files begin that belong to the worker of this work tree on this machine, of which one runs at a time."""
    import hashlib
    import socket

    owner = f"{socket.gethostname()}\0{repository.own_dir}".encode("utf-8", "surrogateescape")
    return f"preview-{hashlib.sha256(owner).hexdigest()[:12]}-"


def _sweep(repository: Repository) -> None:
    """Removes what a worker of this work tree left half made when it was killed."""
    prefix = _temp_prefix(repository)
    for folder in (os.path.join(repository.store.root, "tmp"), repository.settings.thumbs_root):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if name.startswith(prefix) or name.endswith(f".{prefix}tmp"):
                    os.unlink(os.path.join(folder, name))


class _Round:
    """What is due once, made: renamed into the cache, and told to the index."""

    def __init__(self, index: Index, repository: Repository, total: int, tell: Progress) -> None:
        self.made = 0
        self._index = index
        self._repository = repository
        self._total = total
        self._tell = tell
        self._done = 0
        self._open: dict[str, pool.Task] = {}
        self._thumbs: list[tuple[str, str]] = []
        self._failures: list[tuple[str, str]] = []
        self._prints: list[tuple[str, Print | str]] = []
        self._written = time.monotonic()

    def make(self, due: list[tuple[str, str]], jobs: int) -> None:
        """Makes all of it, unless the cache folder goes away meanwhile. Raises OSError where the system refuses."""
        self._tell(0, self._total)
        missing = []
        for hash_, mime in due:
            if os.path.exists(_place(self._repository, hash_, mime)):
                self._note(hash_, mime)  # a worker that was killed had made it
            else:
                missing.append((hash_, mime))
        try:
            with contextlib.closing(pool.run(self._tasks(missing), jobs)) as outcomes:
                for outcome in outcomes:
                    self._settle(outcome)
                    if not _is_there(self._repository):
                        break
        finally:
            for task in self._open.values():
                fingerprints.clear(task)
            self._write()

    def _tasks(self, missing: list[tuple[str, str]]) -> Iterator[pool.Task]:
        beginning = os.path.join(self._repository.store.root, "tmp", _temp_prefix(self._repository))
        for hash_, mime in missing:
            if not _is_there(self._repository):
                return
            place = beginning + os.urandom(4).hex()
            # Of a picture it takes as long again, which is for later; of sounds and films it costs next to nothing.
            wants = (making.PREVIEW,) if mime.startswith("image/") else (making.PREVIEW, making.FINGERPRINT)
            task = pool.Task(hash_, mime, self._repository.store.path(hash_), place, wants)
            self._open[hash_] = task
            yield task

    def _settle(self, outcome: pool.Outcome) -> None:
        task = outcome.task
        try:
            if outcome.error is not None:
                # An object that went away meanwhile is no failure; whatever else the system refuses ends the run.
                if os.path.exists(task.source) or not isinstance(outcome.error, FileNotFoundError):
                    raise outcome.error
            elif outcome.reason is not None:
                self._failures.append((task.hash, outcome.reason))
            else:
                made = tuple(ending for ending in outcome.made if ending != making.PRINT)
                self._take_print(outcome)
                if made and self._publish(task, made):
                    self._note(task.hash, task.mime)
        finally:
            del self._open[task.hash]
            fingerprints.clear(task)
        self._done += 1
        if len(self._thumbs) + len(self._failures) >= _BATCH or time.monotonic() - self._written > _PAUSE:
            self._write()
        self._tell(self._done, self._total)

    def _take_print(self, outcome: pool.Outcome) -> None:
        found = fingerprints.read(outcome)
        if found is not None:
            self._prints.append((outcome.task.hash, found))

    def _publish(self, task: pool.Task, endings: tuple[str, ...]) -> bool:
        """Moves what was made into the cache, the file that the index names last; tells whether the cache was there."""
        folder = self._repository.settings.thumbs_root
        for ending in endings:
            if not _is_there(self._repository):
                return False
            try:
                place = os.path.join(folder, task.hash + ending)
                _move(task.place + ending, place, f"{place}.{_temp_prefix(self._repository)}tmp")
            except (FileNotFoundError, NotADirectoryError):
                if os.path.isdir(folder):
                    raise
                return False
        return True

    def _note(self, hash_: str, mime: str) -> None:
        place = _place(self._repository, hash_, mime)
        self._thumbs.append((os.path.relpath(place, self._repository.top).replace(os.sep, "/"), hash_))
        self.made += 1

    def _write(self) -> None:
        """Tells the index what was made and what failed since the last time."""
        if self._thumbs or self._failures:
            with self._index.writing() as db:
                db.executemany("UPDATE assets_registry SET thumb = ? WHERE hash = ?", self._thumbs)
                db.executemany("INSERT OR REPLACE INTO preview_failures VALUES (?, ?)", self._failures)
            self._thumbs, self._failures = [], []
        if self._prints:
            with open_prints(self._repository) as prints:
                prints.add(self._prints)
            self._prints = []
        self._written = time.monotonic()


def _place(repository: Repository, hash_: str, mime: str) -> str:
    preview = sidecar.preview_for(mime, hash_)
    assert preview is not None
    return os.path.join(repository.settings.thumbs_root, os.path.basename(preview["path"]))


def _move(temp: str, place: str, beside: str) -> None:
    """Renames a file into the cache; where that is another file system by way of `beside`, which lies there."""
    import errno
    import shutil

    try:
        os.replace(temp, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        try:
            shutil.copyfile(temp, beside)
            os.replace(beside, place)
        except OSError as failed:  # it names what is copied; what is full is the cache
            raise OSError(failed.errno, failed.strerror, place) from failed
        finally:
            with contextlib.suppress(OSError):
                os.unlink(beside)
