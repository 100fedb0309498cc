"""The repository's own folder, `<git common dir>/comfyvn`: whether `init` was run here, and where the store is.

Both are the repository's affair, whoever else uses the store. In an ordinary repository the store is this same folder;
where it is elsewhere, `store` names it: the path (one that was given relative hangs on this folder), and what
`comfyvn.store` said then.
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from comfyvn_store.base import files
from comfyvn_store.base.sharing import PRIVATE, Sharing, of_folder
from comfyvn_store.store.objects import FORMAT, Store

_LONGEST = 2 * 4096


class Noted(NamedTuple):
    """Where the store is (absolute), and the words of the setting that put it there."""

    root: str
    said: str


class Home(NamedTuple):
    """The folder at `path`, for whom `sharing` admits."""

    path: str
    sharing: Sharing = PRIVATE

    @property
    def exists(self) -> bool:
        """Whether `init` was ever run here."""
        return os.path.isfile(os.path.join(self.path, "format"))

    @property
    def is_retired(self) -> bool:
        """Whether `uninstall` was run since."""
        return os.path.exists(os.path.join(self.path, "uninstalled"))

    @property
    def lock_path(self) -> str:
        """The lock that whoever changes where the store is holds: that of the store which this folder may be."""
        return os.path.join(self.path, "lock")

    def create(self) -> None:
        """Notes that `init` was run here. Raises OSError."""
        self.sharing.make_folders(self.path)
        if not self.exists:
            place = os.path.join(self.path, "format")
            files.write_atomic(place, f"{FORMAT}\n".encode(), durable=True, sharing=self.sharing)

    def retire(self, retired: bool) -> None:
        """Notes that this repository is not ours any more, or again."""
        place = os.path.join(self.path, "uninstalled")
        if retired:
            files.write_atomic(place, b"", sharing=self.sharing)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(place)

    def noted(self) -> Noted | None:
        """Gives where the store is, or None if it is this folder."""
        try:
            text = files.read_small(os.path.join(self.path, "store"), _LONGEST)
        except FileNotFoundError:
            return None
        root, _, said = text.partition(b"\n")
        path = os.path.normpath(os.path.join(self.path, os.fsdecode(root)))
        return Noted(path, os.fsdecode(said.removesuffix(b"\n")))

    def note(self, noted: Noted | None) -> None:
        """Notes where the store is from now on, durably. Raises OSError."""
        place = os.path.join(self.path, "store")
        if noted is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(place)
            return
        root = os.path.relpath(noted.root, self.path) if is_relative(noted.said) else noted.root
        text = os.fsencode(root) + b"\n" + os.fsencode(noted.said) + b"\n"
        if self.noted() != noted:
            files.write_atomic(place, text, durable=True, sharing=self.sharing)

    def store_at(self, root: str) -> Store:
        """Gives the store at a path: this folder, or one outside, made for all whom it or this repository admits."""
        if root == self.path:
            return Store(root, self.sharing)
        objects = os.path.join(root, "objects")
        admitted = of_folder(objects if os.path.isdir(objects) else root)
        return Store(root, self.sharing.joined(admitted), is_apart=True)


def is_relative(said: str) -> bool:
    """Tells whether a path in git config hangs on the work tree's top (git-config, "pathname")."""
    return not os.path.isabs(said) and not said.startswith(("~", "%(prefix)/"))


def store_root(common_dir: str) -> str:
    """Gives where the objects of the repository with that common git folder are, as far as it says so."""
    home = Home(os.path.join(common_dir, "comfyvn"))
    try:
        noted = home.noted()
    except OSError:
        noted = None
    return noted.root if noted else home.path
