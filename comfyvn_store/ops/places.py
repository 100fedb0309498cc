"""Where a registered file goes: the checks of a name, what stands there already, and putting the view in place."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from comfyvn_store.asset import ingest, views, worktree
from comfyvn_store.base import files, links, names, swapping
from comfyvn_store.errors import Refused
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository

# What stands for a hash where git's index holds bytes that are no link.
RAW = "raw"


def place_for(repository: Repository, source: str, type_: str, name: str | None, *, copy: bool) -> str:
    """Gives the place (relative to the assets root) a file is registered at. Raises Refused.

    `name` may have folders below the type. Without copying, the file stays where it is, and that must be in the type.
    """
    check_type(type_)
    inside = f"{type_}/{name if name is not None else os.path.basename(source)}"
    if not copy:
        inside = _stays_at(repository, source, None if name is None else inside)
        if names.asset_type(inside) != type_:
            raise Refused(
                f"'{names.printable(inside)}' lies in the type '{names.asset_type(inside)}', not '{type_}'",
                hint=f"give the type {names.asset_type(inside)}, or move the file first",
            )
    check_place(repository, inside)
    return inside


def check_type(type_: str) -> None:
    """Refuses what cannot be a type."""
    names.check_inside(type_, "type")
    if "/" in type_ or not names.is_asset_name(f"{type_}/x"):
        raise Refused(
            f"'{names.printable(type_)}' cannot be a type",
            hint="a type is one folder name, such as 'characters'",
        )


def check_place(repository: Repository, inside: str) -> None:
    """Refuses a place that escapes the assets root, cannot hold an asset, or that git's attributes exclude."""
    check_name(repository, inside)
    full = repository.full(inside)
    check_driver(inside, staging.filter_drivers(repository.git, [full])[full])


def check_name(repository: Repository, inside: str) -> None:
    """Refuses a place that escapes the assets root or cannot hold an asset."""
    names.check_inside(inside, "name")
    shown = names.printable(inside)
    if not names.is_asset_name(inside):
        raise Refused(
            f"'{shown}' cannot be an asset's name", hint="dot-files, sidecars, '*.dvc' and '_meta' are kept apart"
        )
    check_folders(repository, repository.full(inside))


def check_driver(inside: str, driver: str) -> None:
    """Refuses a place that git's attributes give another filter than ours."""
    if driver != "comfyvn":
        raise Refused(
            f"a line in .gitattributes keeps '{names.printable(inside)}' out of the assets (filter={driver})",
            hint="change that line, or use another name",
        )


def check_folders(repository: Repository, full: str) -> None:
    """Refuses a place below something that is no real folder: git tracks nothing beyond a symlink."""
    folder = os.path.dirname(full)
    while folder:
        info = files.lstat(repository.absolute(folder))
        if info is not None and not stat.S_ISDIR(info.st_mode):
            what = "a link" if stat.S_ISLNK(info.st_mode) else "a file"
            raise Refused(
                f"'{names.printable(full)}' leads through '{names.printable(folder)}', which is {what}",
                hint="choose another name, or make that a real folder",
            )
        folder = os.path.dirname(folder)


def _stays_at(repository: Repository, source: str, wanted: str | None) -> str:
    """Gives the place of a file that is not copied. Raises Refused for one outside the assets root or to be renamed."""
    folder, name = os.path.split(os.path.abspath(source))
    real = os.path.join(os.path.realpath(folder), name)
    root = os.path.realpath(repository.absolute(repository.root))
    if not real.startswith(root + os.sep):
        raise Refused(
            f"'{names.printable(source)}' lies outside the assets root '{root}', so it cannot be adopted in place",
            hint="let it be copied, or move it there first",
        )
    inside = os.path.relpath(real, root).replace(os.sep, "/")
    if wanted not in (None, inside):
        raise Refused("a file that is not copied keeps its name", hint="leave the name out, or let it be copied")
    return inside


@dataclass(frozen=True)
class Taken:
    """What is at the place now: in the work tree, and in git's index."""

    link: str | None
    file: files.Print | None
    is_other: bool
    staged_hash: str | None

    @classmethod
    def look(cls, repository: Repository, full: str) -> Taken:
        """Looks at a place (relative to the work tree's top)."""
        entry = next((e for e in staging.entries(repository.git, [full]) if e.path == full), None)
        staged = None
        if entry is not None:
            staged = blobs.read_links(repository.git, [entry.oid]).get(entry.oid, RAW)
        return cls.with_staged(repository, full, staged)

    @classmethod
    def with_staged(cls, repository: Repository, full: str, staged: str | None) -> Taken:
        """Looks at a place of which it is known what git's index has there: a link's hash, `RAW`, or nothing."""
        place = repository.absolute(full)
        info = files.look(place)
        link = files.read_link(place)
        regular = info is not None and stat.S_ISREG(info.st_mode)
        file = files.print_of(info) if info is not None and regular else None
        return cls(link, file, info is not None and not regular and link is None, staged)

    def refuse_other(self, full: str) -> None:
        """Raises Refused if what is there can never make room for a view."""
        shown = names.printable(full)
        if self.is_other:
            raise Refused(f"'{shown}' is a folder or no ordinary file", hint="choose another name")
        if self.link is not None and links.parse_link(self.link) is None:
            raise Refused(f"'{shown}' is a link of yours, not a view", hint="choose another name")

    def refuse_other_bytes(self, repository: Repository, full: str, source: str, hash_: str) -> None:
        """Raises Refused if the name has bytes other than those of the object `hash_`, which `source` became.

        The file that stands there may itself be registered: a program saved it in place of the link.
        """
        if self.file is not None and os.path.samestat(os.stat(source), os.lstat(repository.absolute(full))):
            return
        held = links.parse_link(self.link) if self.link is not None else self.staged_hash
        if held in (None, hash_) and (
            self.file is None or worktree.holds(repository, repository.absolute(full), hash_)
        ):
            return
        raise Refused(
            f"the name '{names.printable(full)}' is taken by other bytes",
            hint="choose another name (--name), or replace them (--replace)",
        )


def place_view(repository: Repository, full: str, hash_: str, taken: Taken, *, replace: bool) -> None:
    """Puts the view of a durable object in place. Raises Refused if the place changed meanwhile.

    A file that has other bytes than the object is taken into the store before, and then only with `replace` removed.
    """
    place = repository.absolute(full)
    text = links.link_text(full, hash_)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    before = worktree.print_at(place)
    if repository.copies_views:
        _place_copy(repository, full, hash_, taken, before, replace)
        return
    if before is None:
        _place_link(place, text, taken.link, full)
        return
    # Adopting gave the file the object's mode and time, so its fingerprint is not the one it had.
    stored = repository.store.stat(hash_)
    is_object = stored is not None and stored.st_ino == before.inode
    if not is_object:
        _keep_other_bytes(repository, full, hash_, taken, before, replace)
    if not swapping.swap_for_link(place, text, before):
        raise _changed(full)


def _place_copy(
    repository: Repository, full: str, hash_: str, taken: Taken, before: files.Print | None, replace: bool
) -> None:
    if before is not None:
        _keep_other_bytes(repository, full, hash_, taken, before, replace)
    if not views.place_copy(repository, full, hash_, taken.link, before):
        raise _changed(full)


def _keep_other_bytes(
    repository: Repository, full: str, hash_: str, taken: Taken, before: files.Print, replace: bool
) -> None:
    """Takes a file into the store that is about to be replaced by other bytes. Raises Refused if it is not the one that
    was looked at."""
    if before != taken.file and not replace:
        raise _changed(full)
    place = repository.absolute(full)
    if not worktree.holds(repository, place, hash_):
        with open(place, "rb") as stream:
            kept = ingest.ingest(repository.store, ingest.file_blocks(stream), mark=False).hash
        repository.store.sync([kept])


def _place_link(place: str, text: str, expected: str | None, full: str) -> None:
    found = files.read_link(place)
    if found == text:
        return
    if found != expected:
        raise _changed(full)
    if found is not None:
        if not swapping.swap_link(place, text, found):
            raise _changed(full)
        return
    try:
        os.symlink(text, place)
    except FileExistsError:
        if files.read_link(place) != text:  # else somebody put the very same view there
            raise _changed(full) from None


def _changed(full: str) -> Refused:
    return Refused(f"'{names.printable(full)}' changed while it was registered", hint="run the command again")
