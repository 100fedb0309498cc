"""The preview worker: makes what is missing, one object after another, and remembers what cannot be made.

It builds in the store's `tmp/` and renames, and never makes a cache folder again that somebody took away while it ran.
One worker runs at a time; one more may wait for it, so that what came meanwhile is made too.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from typing import BinaryIO

from comfyvn_store.asset import sidecar
from comfyvn_store.errors import ComfyvnError, LockTimeout
from comfyvn_store.index import catchup, questions
from comfyvn_store.index.database import Index
from comfyvn_store.previews import PreviewError
from comfyvn_store.store.lock import locked
from comfyvn_store.vcs.repository import Repository, open_repository

_WHOLE_RUN = 6 * 3600.0
Progress = Callable[[int, int], None]


def run() -> None:
    """The detached process: makes what the index says is missing, then ends."""
    with contextlib.suppress(ComfyvnError, OSError, sqlite3.Error):
        work(open_repository(), patience=_WHOLE_RUN)


def work(repository: Repository, *, patience: float, progress: Progress | None = None) -> int:
    """Makes the missing previews; gives how many it made. `patience` is how long to wait for another worker, in seconds.

    `progress` is told how many are done of how many. Raises LockTimeout, MachineError.
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
        return _work(repository, progress)


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


def _work(repository: Repository, progress: Progress | None) -> int:
    made = 0
    if is_led_away(repository):
        return made
    os.makedirs(repository.settings.thumbs_root, exist_ok=True)
    with catchup.open_index(repository) as index:
        while True:
            due = list(questions.previews_due(index))
            # A preview bears the object's hash: none is made of bytes that somebody wrote into it.
            due = [(hash_, mime) for hash_, mime in due if repository.store.is_sound(hash_)]
            if not due:
                return made
            for number, (hash_, mime) in enumerate(due):
                if progress is not None:
                    progress(number, len(due))
                if not _is_there(repository):
                    return made
                made += _make(index, repository, hash_, mime)
            if not _is_there(repository):
                return made
            if progress is not None:
                progress(len(due), len(due))


def _make(index: Index, repository: Repository, hash_: str, mime: str) -> int:
    """Makes one object's preview and tells the index; gives 1 if that worked."""
    preview = sidecar.preview_for(mime, hash_)
    assert preview is not None
    name = os.path.basename(preview["path"])
    place = os.path.join(repository.settings.thumbs_root, name)
    try:
        if not os.path.exists(place):
            if preview["kind"] == "waveform":
                _make_waveform(repository, hash_, place)
            else:
                _build(repository, place, lambda target: _thumbnail(repository, hash_, target))
    except PreviewError as error:
        with index.writing() as db:
            db.execute("INSERT OR REPLACE INTO preview_failures VALUES (?, ?)", (hash_, error.reason))
        return 0
    if not os.path.exists(place):
        return 0  # the cache folder was taken away meanwhile
    thumb = os.path.relpath(place, repository.top).replace(os.sep, "/")
    with index.writing() as db:
        db.execute("UPDATE assets_registry SET thumb = ? WHERE hash = ?", (thumb, hash_))
    return 1


def _thumbnail(repository: Repository, hash_: str, target: BinaryIO) -> None:
    from comfyvn_store.previews.thumbnail import write_thumbnail

    write_thumbnail(repository.store.path(hash_), target)


def _make_waveform(repository: Repository, hash_: str, place: str) -> None:
    from comfyvn_store.previews.drawing import draw_waveform
    from comfyvn_store.previews.waveform import read_waveform, waveform_json

    with repository.store.open(hash_) as stream:
        wave = read_waveform(stream)
    picture = os.path.join(os.path.dirname(place), f"{hash_}.webp")
    _build(repository, picture, lambda target: draw_waveform(wave, target))
    _build(repository, place, lambda target: target.write(waveform_json(wave)))


def _build(repository: Repository, place: str, make: Callable[[BinaryIO], object]) -> None:
    """Makes a file in the store's `tmp/` and renames it into the cache, if the cache folder is still there."""
    temp = os.path.join(repository.store.root, "tmp", f"preview-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with open(temp, "xb") as target:
            make(target)
        if os.path.isdir(os.path.dirname(place)):
            _move(temp, place)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temp)


def _move(temp: str, place: str) -> None:
    import errno
    import shutil

    try:
        os.replace(temp, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        beside = f"{place}.{os.getpid()}.tmp"
        shutil.copyfile(temp, beside)
        os.replace(beside, place)
