"""What remotes prove of the objects that they hold, before the ones here are removed.

A second way to our own store proves nothing, and neither does the store of a repository that names an object nowhere: that
repository's own collection would take it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence

from comfyvn_store.base import names
from comfyvn_store.base.uuid7 import uuid7
from comfyvn_store.errors import ComfyvnError, ObjectCorrupt, Refused
from comfyvn_store.ops import roots
from comfyvn_store.remotes.folder import Folder
from comfyvn_store.remotes.remote import Item, Remote
from comfyvn_store.remotes.wrapping import Wrapping
from comfyvn_store.store import users
from comfyvn_store.store.objects import Store

# How the doubt about a repository's store ends.
UNNAMED = "is a repository's store, and nothing there names it"


class Proof:
    """What remotes say, and show, of the objects that they hold."""

    def __init__(self, store: Store, opened: Sequence[Remote], copies: int, verify: bool) -> None:
        self._store = store
        self._opened = opened
        self.copies = copies
        self._verify = verify
        self._said: dict[int, dict[str, int | None] | ComfyvnError] = {}
        # Which remotes are our store by another way; and what the repositories name whose store a folder is, None where it
        # is nobody's.
        self._are_ours: dict[int, bool] = {}
        self._named: dict[str, set[str] | None] = {}

    def ask(self, items: Sequence[Item]) -> None:
        """Asks each remote for all of them."""
        for number, remote in enumerate(self._opened if items else ()):
            try:
                self._said[number] = remote.has(items)
            except ComfyvnError as error:
                self._said[number] = error

    def of(self, item: Item, own: os.stat_result) -> tuple[list[str], str | None]:
        """Gives the remotes that have proved to hold an object, no more than needed, and what spoke against another."""
        proved: list[str] = []
        folders: list[Folder] = []
        doubts = None
        for number, remote in enumerate(self._opened):
            said = self._said.get(number, {})
            if len(proved) >= self.copies:
                break
            if isinstance(said, ComfyvnError):
                doubts = said.message
                continue
            if item.hash not in said:
                continue
            if said[item.hash] not in (None, own.st_size):
                doubts = f"remote '{remote.name}' holds it with another size"
                continue
            try:
                self._look(number, remote, item, own)
            except ComfyvnError as error:
                doubts = error.message
                continue
            folder = folder_of(remote)
            if folder is not None:
                twin = next((other for other in folders if folder.shares_file_with(other, item)), None)
                if twin is not None:
                    doubts = f"remotes '{twin.name}' and '{remote.name}' have one copy between them"
                    continue
                folders.append(folder)
            proved.append(remote.name)
        return proved, doubts

    def _look(self, number: int, remote: Remote, item: Item, own: os.stat_result) -> None:
        """Raises ObjectCorrupt for a remote that is our own store, or gives other bytes, and what `_require_named` does."""
        folder = folder_of(remote)
        if number not in self._are_ours:
            self._are_ours[number] = _is_seen_in(self._store, remote)
        if self._are_ours[number] or (folder is not None and folder.is_file_of(item, own)):
            raise ObjectCorrupt(f"remote '{remote.name}' leads to this very store")
        if folder is not None:
            self._require_named(folder, item)
        if self._verify or folder is not None:
            _read(remote, item)

    def _require_named(self, folder: Folder, item: Item) -> None:
        """Raises Refused for the store of repositories that do not name an object: their `gc` takes it."""
        if folder.root not in self._named:
            self._named[folder.root] = _named_there(folder)
        named = self._named[folder.root]
        if named is not None and item.hash not in named:
            raise Refused(f"remote '{folder.name}' {UNNAMED}")


def folder_of(remote: Remote) -> Folder | None:
    """Gives the folder behind what is wrapped around it, None for another kind of remote."""
    while isinstance(remote, Wrapping):
        remote = remote.inner
    return remote if isinstance(remote, Folder) else None


def _is_seen_in(store: Store, remote: Remote) -> bool:
    """Tells whether what is written into our store is there in a remote, too: device and inode need not tell (an overlay,
    a disk that this machine mounts from itself), and a server tells neither. Raises OSError, RemoteUnreachable."""
    for part in ("tmp", "objects"):
        name = os.path.join(part, f"{names.TEMP_PREFIX}{uuid7()}")
        place = os.path.join(store.root, name)
        try:
            with open(place, "xb"):
                pass
            if remote.shows(name):
                return True
        except FileNotFoundError:
            continue  # a part of the store that is not there now
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(place)
    return False


def _named_there(folder: Folder) -> set[str] | None:
    """Gives what keeps objects in a folder that is the store of repositories; None for one that is no repository's.

    A repository that is not there, or cannot be asked, names nothing.
    """
    store = Store(folder.root)
    found: set[str] = set()
    try:
        asked = [*users.users(store), *_homes(folder.root)]
    except OSError:
        return found
    for common_dir in dict.fromkeys(asked):
        if users.is_gone(common_dir):
            continue
        with contextlib.suppress(ComfyvnError, OSError):
            found |= set().union(*roots.of_user(roots.user_at(common_dir, store)).values())
    return found if asked else None


def _homes(root: str) -> list[str]:
    """Gives the git common folder in which a folder is a repository's own store."""
    places = {root, os.path.realpath(root)}
    above = [os.path.dirname(place) for place in places if os.path.basename(place) == "comfyvn"]
    return [os.path.realpath(folder) for folder in above if os.path.isfile(os.path.join(folder, "HEAD"))]


def _read(remote: Remote, item: Item) -> None:
    """Reads an object from a remote and compares. Raises ObjectCorrupt, RemoteUnreachable."""
    remote.prepare([item], upload=False)
    digest = hashlib.sha256()
    for block in remote.get(item):
        digest.update(block)
    if digest.hexdigest() != item.hash:
        raise ObjectCorrupt(f"remote '{remote.name}' holds other bytes under its name")
