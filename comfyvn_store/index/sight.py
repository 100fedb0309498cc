"""What the index saw when it was last brought up to date, so that a few `stat` calls tell whether anything changed.

Views registered with `--no-stage` are listed in a small file beside the index, because neither git nor the index
remembers them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping

from comfyvn_store.base import files, links, names
from comfyvn_store.index.database import Index
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.repository import Repository

UNSTAGED_LIST = "unstaged"
# A folder's time is trusted only when it is this much older than the look at it (ext4 counts in jiffies).
_SETTLED_NS = 50_000_000
# How far the times of files may lag behind the clock (FAT counts in two seconds).
_CLOCKS_NS = 2_500_000_000


def look(index: Index, repository: Repository) -> str:
    """Gives one text that changes whenever git's index or the attributes do; taken before reading them."""
    attributes = [
        ".gitattributes",
        *(index.state("attributes") or f"{repository.root}/.gitattributes").split("\0"),
    ]
    places = [
        repository.index_path,
        os.path.join(repository.own_dir, UNSTAGED_LIST),
        os.path.join(repository.common_dir, "info", "attributes"),
        *(repository.absolute(path) for path in attributes),
    ]
    return "\n".join(_print(place) for place in places)


def are_folders_unchanged(index: Index, repository: Repository) -> bool:
    """Tells whether no file came to or went from the folders that hold assets since the last update."""
    remembered = (index.state("folders") or "").split("\0")
    return all(
        _folder_time(repository, folder) == stamp
        for folder, stamp in zip(remembered[::2], remembered[1::2], strict=False)
    )


def vanished(repository: Repository, paths: Iterable[str], tracked: Iterable[str]) -> tuple[set[str], dict[str, str]]:
    """Gives those of the assets at `paths` whose view is gone from the work tree, and the folders looked at with their
    times: those of `tracked`, which are relative to the work tree's top.
    """
    times: dict[str, str] = {}
    present: dict[str, set[str]] = {}
    for folder in {repository.root} | {os.path.dirname(path) for path in tracked}:
        times[folder] = _folder_time(repository, folder)
        try:
            present[folder] = set(os.listdir(repository.absolute(folder)))
        except OSError:
            present[folder] = set()
    gone = []
    for path in paths:
        folder, _, name = repository.full(path).rpartition("/")
        if name not in present[folder]:
            gone.append(path)
    sparse = staging.skipped(repository.git, repository.root) if gone else set()
    return {path for path in gone if repository.full(path) not in sparse}, times


def rewritten(index: Index, repository: Repository, paths: Iterable[str], folders: Mapping[str, str]) -> set[str]:
    """Gives the assets whose sidecar is younger than the last look, or gone, in the folders that changed since."""
    remembered = (index.state("folders") or "").split("\0")
    before = dict(zip(remembered[::2], remembered[1::2], strict=False))
    since = int(index.state("looked") or 0) - _CLOCKS_NS
    found = set()
    for path in paths:
        full = repository.full(path)
        folder = os.path.dirname(full)
        if folders.get(folder) == before.get(folder):
            continue
        info = files.lstat(repository.absolute(names.sidecar_path(full)))
        if info is None or info.st_mtime_ns > since:
            found.add(path)
    return found


def stand_ins(repository: Repository, paths: Iterable[str]) -> set[str]:
    """Gives the assets whose file is short enough to be link text, where git writes that instead of making symlinks."""
    if repository.settings.symlinks:
        return set()
    found = set()
    for path in paths:
        info = files.lstat(repository.absolute(repository.full(path)))
        if info is not None and info.st_size <= links.LONGEST + 2:
            found.add(path)
    return found


def remember(index: Index, repository: Repository, times: dict[str, str], looked: int) -> None:
    """Remembers what was looked at, and when (nanoseconds since 1970), within a write transaction."""
    for path in read_unstaged(repository):
        folder = os.path.dirname(repository.full(path))
        times.setdefault(folder, _folder_time(repository, folder))
    attributes = {
        path
        for path in (f"{folder}/.gitattributes" for folder in times)
        if files.lstat(repository.absolute(path)) is not None
    }
    attributes.add(f"{repository.root}/.gitattributes")
    pairs = [item for folder in sorted(times) for item in (folder, times[folder]) if _is_storable(folder)]
    index.remember("folders", "\0".join(pairs))
    index.remember("attributes", "\0".join(sorted(path for path in attributes if _is_storable(path))))
    index.remember("looked", str(looked))


def read_unstaged(repository: Repository) -> list[str]:
    """Gives the paths (relative to the assets root) that were registered with `--no-stage`."""
    try:
        with open(os.path.join(repository.own_dir, UNSTAGED_LIST), encoding="utf-8") as stream:
            return [line for line in stream.read().split("\0") if line]
    except OSError:
        return []


def write_unstaged(repository: Repository, paths: Iterable[str]) -> None:
    """Remembers the paths that were registered with `--no-stage`."""
    data = "".join(f"{path}\0" for path in sorted(set(paths), key=names.os_bytes))
    place = os.path.join(repository.own_dir, UNSTAGED_LIST)
    files.write_atomic(place, data.encode("utf-8"), sharing=repository.settings.sharing)


def _is_storable(path: str) -> bool:
    return names.refusal(path) is None


def _print(path: str) -> str:
    info = files.lstat(path)
    return "-" if info is None else ":".join(str(part) for part in files.print_of(info))


def _folder_time(repository: Repository, folder: str) -> str:
    info = files.lstat(repository.absolute(folder))
    if info is None:
        return "-"
    # A folder that changed just now may change again within the same tick of the clock: never equal to anything.
    age = time.time_ns() - info.st_mtime_ns
    return str(info.st_mtime_ns) if age > _SETTLED_NS else f"{info.st_mtime_ns}?{time.time_ns()}"
