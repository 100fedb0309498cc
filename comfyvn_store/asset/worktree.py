"""Views and sidecars in the work tree: the one door through which either is written.

git answers "modified" from a file's size and times alone, so a sidecar whose text changes only in what the filter strips
is written with its entry's stat data zeroed first and added again afterwards. A sidecar with an edit of the user's is
never written; nor is anything while another process holds git's index.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from comfyvn_store.asset import ingest, sidecar
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import canonical, copying, durable, files, links, names, swapping
from comfyvn_store.base.files import Print
from comfyvn_store.errors import GitFailed, LockTimeout
from comfyvn_store.store.lock import locked
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

# Seconds that a command waits for another one that writes views and sidecars here.
PATIENCE = 30.0


@contextlib.contextmanager
def alone(repository: Repository, patience: float) -> Iterator[None]:
    """Holds the lock of this work tree's views and sidecars: of all of ours, one writes them at a time.

    Who wants git's index, too, takes that one second. Raises LockTimeout.
    """
    repository.make_own_dir()
    with locked(os.path.join(repository.own_dir, "repair.lock"), patience, repository.settings.sharing):
        yield


class Card(NamedTuple):
    """A sidecar as it should lie on disk: its entry, git's text of it, and the commit to name.

    `replaces` is git's earlier text of it, if a file that still says so is to be brought along.
    """

    entry: Entry
    text: bytes
    commit: str | None
    replaces: bytes | None = None


class Right(NamedTuple):
    """Sidecars that say what they should, by path: their texts, and their fingerprints, but of those too young for that."""

    texts: dict[str, bytes]
    prints: dict[str, Print]


def write_sidecars(
    repository: Repository, cards: Iterable[Card], *, restore: bool, settles: bool = True
) -> Right | None:
    """Brings sidecars on disk to what they should say, and gives those that say it now; None if that could not be done now.

    A file with the user's edits stays. A missing one is made only with `restore`: deleting it may be an edit too. One
    that says the right thing but is as young as git's index is dated back with `settles` (`files.settle`): else git's next
    status does its work, and once. Nothing is written while another process holds git's index, nor where git would not run
    our filter, which an `uninstall` that was cut short took out: what the filter keeps out of git would be staged.
    """
    if repository.is_index_locked:
        return None
    right = Right({}, {})
    due: list[Card] = []
    changes: dict[str, swapping.Change] = {}
    young: list[str] = []
    beyond: dict[str, bool] = {}  # by folder
    for card in cards:
        path = card.entry.path
        folder = os.path.dirname(path)
        if folder not in beyond:
            beyond[folder] = repository.is_beyond_link(path)
        found, seen = (None, None) if beyond[folder] else _read_here(repository, path)
        if found is not None and sidecar.is_filled(found, card.text, card.commit):
            wanted = found
        else:
            wanted = sidecar.fill_commit(card.text, card.commit)
        if found == wanted:
            right.texts[path] = wanted
            if seen is not None:
                right.prints[path] = seen
            if settles and _is_young(repository, path):
                young.append(path)
        elif _is_due(repository, card, found, restore):
            due.append(card)
            changes[path] = swapping.Change(repository.absolute(path), wanted, found)
    if (due or young) and not _is_filtered(repository):
        return None
    try:
        staging.write_entries(repository.git, (card.entry for card in due))
    except GitFailed:
        return None
    places = swapping.replace_all_settled(changes.values())
    # Their names, too: the index, which is synced next, notes that nothing is left to be done here.
    durable.sync_files(places)
    written = [path for path, change in changes.items() if change.path in places]
    for path in young:
        files.settle(repository.absolute(path))
        right.prints.pop(path, None)
    with contextlib.suppress(GitFailed):  # git hashes them itself the next time it looks
        staging.refresh(repository.git, [*written, *young], filters=True)
    for path in written:
        right.texts[path] = changes[path].data
        right.prints[path] = places[changes[path].path]
    return right


def _is_filtered(repository: Repository) -> bool:
    return repository.git.succeeds("config", "--get", "filter.comfyvn-sidecar.process")


def _is_due(repository: Repository, card: Card, found: bytes | None, restore: bool) -> bool:
    """Whether a file that does not say what it should is to be written: it has no edit of the user's, or is missing."""
    if found is None:
        path = card.entry.path
        return restore and files.lstat(repository.absolute(path)) is None and not repository.is_beyond_link(path)
    ours = (card.text, card.replaces)
    return found in ours or sidecar.strip_commit(found) in ours


def _is_young(repository: Repository, path: str) -> bool:
    """Whether git, which compares by the second, would have to look into a file because its index is not younger."""
    info, index = files.lstat(repository.absolute(path)), files.lstat(repository.index_path)
    return info is not None and index is not None and int(info.st_mtime) >= int(index.st_mtime)


def read_sidecar(repository: Repository, path: str) -> bytes | None:
    """Gives a sidecar's bytes on disk, or None if there is no such ordinary file of a sensible size."""
    return None if repository.is_beyond_link(path) else _read_here(repository, path)[0]


def _read_here(repository: Repository, path: str) -> tuple[bytes | None, Print | None]:
    try:
        return files.read_seen(repository.absolute(path), canonical.LONGEST_JSON)
    except OSError:
        return None, None


class Staged(NamedTuple):
    """An asset whose link is staged: the text it shall have in the work tree, and whether git's stat data vouches
    for the file there."""

    path: str
    hash: str
    is_vouched: bool


def replace_by_links(repository: Repository, assets: Sequence[Staged]) -> list[str]:
    """Replaces work-tree files by their links where they are what is staged; gives the paths that are links now.

    The objects are durable already. A file that git's stat data does not vouch for is hashed; one that differs is an
    unstaged edit and stays. So does one whose object somebody wrote to since: the file may be the last good copy.
    """
    done = []
    for asset in assets:
        place = repository.absolute(asset.path)
        text = links.link_text(asset.path, asset.hash)
        info = files.look(place)
        if info is None or repository.is_beyond_link(asset.path):
            continue
        if stat.S_ISLNK(info.st_mode):
            found = files.read_link(place)
            is_same = found is not None and links.parse_link(found) == asset.hash
            if found == text or (found is not None and is_same and swapping.swap_link(place, text, found)):
                done.append(asset.path)
        elif stat.S_ISREG(info.st_mode):
            before = files.print_of(info)
            if (
                (asset.is_vouched or holds(repository, place, asset.hash))
                and repository.store.is_sound(asset.hash)
                and swapping.swap_for_link(place, text, before)
            ):
                done.append(asset.path)
    return done


def holds(repository: Repository, place: str, hash_: str) -> bool:
    """Tells whether adding the file at `place` would give this object. Nothing is stored."""
    try:
        with open(place, "rb") as stream:
            head = stream.read(links.LONGEST + 3)
            if (found := links.parse_written(head)) is not None:
                return found == hash_
            stream.seek(0)
            blocks = ingest.file_blocks(stream)
            mark = repository.settings.marker
            # What is staged may have no marker (registered in place): the same bytes are the same asset all the same.
            return hash_ == ingest.hash_as_ingested(repository.store, blocks, mark=mark, is_meant=hash_.__eq__)
    except OSError:
        return False


def copy_object(repository: Repository, hash_: str, path: str, *, mode: int = 0o666) -> str:
    """Writes an object's bytes into a temporary file beside `path` and gives its name.

    An object that somebody wrote to is hashed before. Raises ObjectMissing, ObjectCorrupt, OSError.
    """
    repository.store.vouch(hash_)
    place = repository.absolute(path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    temp = files.temp_beside(place)
    with repository.store.open(hash_) as source:
        descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as target:
                copying.copy(source.fileno(), target.fileno())
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temp)
            raise
    return temp


def look_at_raw(repository: Repository, entries: Sequence[Entry], *, patience: float = 0.0) -> None:
    """Lets git note the size and times of art that it holds itself, where the file is that to the byte: looking by itself, git
    would hand the file to our filter and call it modified.

    git's index knows whole seconds, and git looks again into what is as young as the index; so the second is waited for.
    """
    young = [entry for entry in entries if _is_young(repository, entry.path)]
    infos = (files.lstat(repository.absolute(entry.path)) for entry in young)
    delay = max((int(info.st_mtime) + 1 for info in infos if info is not None), default=0) - time.time()
    if 0 < delay <= 1:
        time.sleep(delay)
    with contextlib.suppress(GitFailed, LockTimeout):
        staging.write_entries(
            repository.git, young, patience=patience
        )  # without size and times, which are right already
        staging.look_again(repository.git, [entry.path for entry in entries], filters=False, patience=patience)


def print_at(place: str) -> Print | None:
    """Gives the fingerprint of the ordinary file at `place`, or None."""
    info = files.look(place)
    return files.print_of(info) if info is not None and stat.S_ISREG(info.st_mode) else None


# -- the mirror for older tools -------------------------------------------------------------------------------------


def mirror_all(
    repository: Repository, folder: str, groups: Mapping[str, Sequence[str]], texts: Mapping[str, bytes] | None = None
) -> None:
    """Brings the mirrors of groups of assets in one folder to their sidecars on disk, which need not be read of those whose
    `texts` (by top-relative path) are known.

    `folder` is relative to the assets root ("" for the root itself). A group is the part before the first dot that names
    share; with it come the names of its assets that are there now. Files in `_meta/` that are not ours stay.
    """
    if repository.is_beyond_link(repository.full(f"{names.META_FOLDER}/{folder}/x")):
        return
    base = repository.absolute(repository.root)
    target = os.path.join(base, names.META_FOLDER, folder) if folder else os.path.join(base, names.META_FOLDER)
    # Read once: a folder may have very many, each a group of its own.
    found: dict[str, list[str]] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir(target):
            found.setdefault(name.partition(".")[0], []).append(name)
    has_any = False
    for group, present in groups.items():
        wanted = _mirrors(repository, folder, present, texts or {})
        _mirror(wanted, folder, target, found.get(group, ()))
        has_any |= bool(wanted)
    if not has_any:
        files.remove_empty_folders(target, base)


def _mirrors(
    repository: Repository, folder: str, present: Iterable[str], texts: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Gives the mirrors that a group should have, by name."""
    wanted = {}
    for name, mirrored in names.mirror_names(list(present)).items():
        path = repository.full(names.sidecar_path(f"{folder}/{name}" if folder else name))
        text = texts.get(path) or read_sidecar(repository, path)
        if text is not None:
            wanted[mirrored] = text
    return wanted


def _mirror(wanted: Mapping[str, bytes], folder: str, target: str, found: Collection[str]) -> None:
    """Brings a group's mirrors, of which `found` lie in `target`, to what is wanted."""
    for name in found:
        if name.endswith(".json") and name not in wanted and _is_own_mirror(os.path.join(target, name), folder):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(target, name))
    for name, text in wanted.items():
        place = os.path.join(target, name)
        if (_small(place) if name in found else None) != text:
            files.write_derived(place, text)


def has_mirrors(repository: Repository) -> bool:
    """Tells whether the folder of the mirrors is there."""
    return os.path.isdir(repository.absolute(f"{repository.root}/{names.META_FOLDER}"))


def mirrored(
    repository: Repository, *, but_present: bool = False, but: Mapping[str, Collection[str]] | None = None
) -> set[str]:
    """Gives the assets (relative to the assets root) that have a mirror on the disk, whether or not git has them.

    With `but_present` those whose mirror has the name that belongs to a file which lies there are left out, unread;
    so are the names that `but` has for a folder (relative to the assets root).
    """
    base = repository.absolute(repository.full(names.META_FOLDER))
    found: set[str] = set()
    if repository.is_beyond_link(repository.full(f"{names.META_FOLDER}/x")):
        return found
    for folder, _, mirrors in os.walk(base):
        inside = "" if folder == base else os.path.relpath(folder, base).replace(os.sep, "/")
        left_out = but.get(inside, ()) if but else ()
        due = [name for name in mirrors if name.endswith(".json") and name not in left_out]
        if but_present:
            present = _belonging(repository, inside)
            due = [name for name in due if name not in present]
        said = (_own_mirror(os.path.join(folder, name), inside) for name in due)
        found |= {card.path for card in said if card is not None}
    return found


def _belonging(repository: Repository, folder: str) -> set[str]:
    """Gives the names of the mirrors that the assets in a folder (relative to the assets root) have."""
    place = os.path.join(repository.absolute(repository.root), folder)
    if repository.is_beyond_link(repository.full(f"{folder}/x" if folder else "x")):
        return set()
    try:
        with os.scandir(place) as entries:
            found = [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
    except OSError:
        return set()
    return set(names.mirror_names([name for name in found if not names.is_sidecar(name)]).values())


def _is_own_mirror(place: str, folder: str) -> bool:
    return _own_mirror(place, folder) is not None


def _own_mirror(place: str, folder: str) -> Sidecar | None:
    found = sidecar.decode_if_whole(_small(place))
    return found if found is not None and os.path.dirname(found.path) == folder else None


def _small(place: str) -> bytes | None:
    try:
        return files.read_small(place, canonical.LONGEST_JSON)
    except OSError:
        return None
