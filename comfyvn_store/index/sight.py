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
    unstaged = _print(os.path.join(repository.own_dir, UNSTAGED_LIST))
    return f"{index_print(repository)}\n{unstaged}\n{attribute_prints(index, repository)}"


def index_print(repository: Repository) -> str:
    """Gives a text that changes whenever git's index does."""
    return _print(repository.index_path)


def attribute_prints(index: Index, repository: Repository) -> str:
    """Gives a text that changes whenever the attributes do."""
    attributes = [
        ".gitattributes",
        *(index.state("attributes") or f"{repository.root}/.gitattributes").split("\0"),
    ]
    places = [
        repository.settings.attributes_file(repository.top, repository.git.environment),
        os.path.join(repository.common_dir, "info", "attributes"),
        *(repository.absolute(path) for path in attributes),
    ]
    return "\n".join(_print(place) for place in places)


def are_folders_unchanged(index: Index, repository: Repository) -> bool:
    """Tells whether no file came to or went from the folders that hold assets since the last update."""
    return all(_folder_time(repository, folder) == stamp for folder, stamp in _remembered(index).items())


def _remembered(index: Index) -> dict[str, str]:
    """Gives the folders that were looked at last, with their times."""
    remembered = (index.state("folders") or "").split("\0")
    return dict(zip(remembered[::2], remembered[1::2], strict=False))


def attribute_files(repository: Repository, folders: Iterable[str]) -> set[str]:
    """Gives the attribute files in those folders and in what they lie in, below the assets root, and the root's own."""
    found: set[str] = set()
    places: set[str] = set()
    for folder in folders:
        while folder not in places and repository.inside(f"{folder}/") is not None:
            places.add(folder)
            path = f"{folder}/.gitattributes"
            if _is_storable(path) and files.lstat(repository.absolute(path)) is not None:
                found.add(path)
            folder = os.path.dirname(folder)
    return found | {f"{repository.root}/.gitattributes"}


def are_attributes_known(index: Index, repository: Repository, folders: Iterable[str]) -> bool:
    """Tells whether there are the attribute files that there were at the last update."""
    return (index.state("attributes") or "").split("\0") == sorted(attribute_files(repository, folders))


def changed_folders(
    index: Index, repository: Repository, tracked: Iterable[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Gives the folders that were looked at last, and those of `tracked`, with their times; and of those the ones whose
    time is another now, that are gone, or that were not looked at."""
    before = _remembered(index)
    times = {folder: _folder_time(repository, folder) for folder in before}
    for folder in {os.path.dirname(path) for path in tracked} - times.keys():
        times[folder] = _folder_time(repository, folder)
    changed = {folder: stamp for folder, stamp in times.items() if before.get(folder) != stamp}
    return {folder: stamp for folder, stamp in times.items() if stamp != "-" or folder == repository.root}, changed


def vanished(
    repository: Repository, paths: Iterable[str], tracked: Iterable[str]
) -> tuple[set[str], dict[str, str], bool]:
    """Gives those of the assets at `paths` whose view is gone from the work tree, and the folders looked at with their
    times: those of `tracked`, which are relative to the work tree's top. Last, whether all views are there, also those that
    a sparse checkout may leave out.
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
    return {path for path in gone if repository.full(path) not in sparse}, times, not gone


def rewritten(index: Index, repository: Repository, paths: Iterable[str], folders: Mapping[str, str]) -> set[str]:
    """Gives the assets whose sidecar is younger than the last look, or gone, in the folders that changed since."""
    before = _remembered(index)
    since = int(index.state("looked") or 0) - _CLOCKS_NS
    right = _right(index)
    changed = {folder for folder, stamp in folders.items() if before.get(folder) != stamp}
    found = set()
    for path in paths:
        full = f"{repository.root}/{path}"
        if full.rpartition("/")[0] in changed:
            card = f"{full}{names.SIDECAR_SUFFIX}"
            info = files.lstat(f"{repository.top}/{card}")
            if info is None or (info.st_mtime_ns > since and right.get(card) != _text_of(files.print_of(info))):
                found.add(path)
    return found


def remember_right(index: Index, right: Mapping[str, files.Print]) -> None:
    """Remembers the fingerprints of sidecars, by top-relative path, with which they were seen to say what they should, within
    a write transaction. The next look would take those that we wrote since the last one for somebody's."""
    known = _right(index) | {path: _text_of(seen) for path, seen in right.items() if _is_storable(path)}
    since = int(index.state("looked") or 0) - _CLOCKS_NS
    young = {path: text for path, text in known.items() if int(text.rpartition(":")[2]) > since}
    index.remember("right", "\0".join(item for pair in young.items() for item in pair))


def _right(index: Index) -> dict[str, str]:
    parts = (index.state("right") or "").split("\0")
    return dict(zip(parts[::2], parts[1::2], strict=False))


def _text_of(seen: files.Print) -> str:
    return ":".join(map(str, seen))


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
    attributes = attribute_files(repository, times)
    pairs = [item for folder in sorted(times) for item in (folder, times[folder]) if _is_storable(folder)]
    index.remember("folders", "\0".join(pairs))
    index.remember("attributes", "\0".join(sorted(attributes)))
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
    return "-" if info is None else _text_of(files.print_of(info))


def _folder_time(repository: Repository, folder: str) -> str:
    info = files.lstat(repository.absolute(folder))
    if info is None:
        return "-"
    # A folder that changed just now may change again within the same tick of the clock: never equal to anything.
    age = time.time_ns() - info.st_mtime_ns
    return str(info.st_mtime_ns) if age > _SETTLED_NS else f"{info.st_mtime_ns}?{time.time_ns()}"
