"""`init`: ties a git repository to the store. Running it again changes nothing."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from comfyvn_store.asset import worktree
from comfyvn_store.asset.worktree import Staged
from comfyvn_store.base import compiled, links, names
from comfyvn_store.errors import Refused
from comfyvn_store.hot import heal
from comfyvn_store.index import catchup, questions
from comfyvn_store.ops import relocation, shims, switching, tracked, wiring
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.settings import COPY, DEFAULT_ROOT, LINK
from comfyvn_store.vcs.staging import Entry


class Initialised(NamedTuple):
    """What `init` found and did; every list holds top-relative paths or names."""

    repository: Repository
    was_there: bool
    kept_hooks: list[str]
    raw_art: int
    missing_objects: int
    assets: int
    views: str
    were_views_switched: bool
    moved_from: str | None = None
    moved_objects: int = 0
    moved_bytes: int = 0
    damaged_objects: int = 0
    stays_in: str | None = None


def init(repository: Repository) -> Initialised:
    """Sets the repository up: store, link, filters, attributes, hooks, excludes, index. Raises Refused, MachineError."""
    folder = shims.folder_of(repository)
    was_there = repository.is_initialised
    were_copies = not repository.settings.symlinks
    require_suitable(repository, folder)
    repository = switching.to_copies(repository)
    _write_excludes(repository)  # first, so that git shows nothing of what follows, whenever that ends
    repository.ensure_store_link()
    repository, moved = relocation.relocate(repository)
    was_retired = repository.home.is_retired
    repository.home.retire(False)
    repository.make_own_dir()
    repository.settings.sharing.adjust_inside(repository.own_dir)  # what was made before others were let in
    compiled.compile_all()
    _configure(repository)
    _write_attributes(repository)
    _write_root(repository)
    kept = shims.install(repository, folder)
    with catchup.open_index(repository) as index:
        catchup.catch_up(index, repository, in_process=True)
        heal.heal(index, repository, restore=True)
        rows = questions.sized_hashes(index)
    repository = switching.to_links(repository)
    if was_retired and not repository.copies_views:
        _link_again(repository, rows)
    missing = sum(1 for _, hash_, _ in rows if not repository.store.has(hash_))
    raw = _raw_art(repository)
    # A copied work tree has other times than git noted: without this it would hand all of its art to our filter.
    worktree.look_at_raw(repository, raw)
    are_copies = repository.copies_views
    return Initialised(
        repository,
        was_there,
        kept,
        len(raw),
        missing,
        len(rows),
        COPY if are_copies else LINK,
        are_copies != were_copies,
        moved.origin,
        moved.objects,
        moved.size,
        len(moved.damaged),
        moved.stays_in,
    )


def require_suitable(repository: Repository, folder: str) -> None:
    """Raises Refused, NewerStore or StoreUnreachable where `init` would not be right to do anything.

    `folder` is that of the hooks.
    """
    relocation.target_of(repository)
    _refuse_tracked_link(repository)
    repository.read_store_link()
    _refuse_unsuitable_root(repository)
    staging.require_bounded(repository.git, repository.index_path, repository.root)
    shims.require_folder(folder)


def _link_again(repository: Repository, rows: list[tuple[str, str, int | None]]) -> None:
    """Puts the views back that `uninstall` made ordinary files, where git still has links and the files are the same."""
    linked = {entry.path for entry in staging.entries(repository.git, [repository.root]) if entry.mode == staging.LINK}
    views = [Staged(repository.full(path), hash_, False) for path, hash_, _ in rows if repository.full(path) in linked]
    here = [view for view in views if repository.store.has(view.hash)]
    repository.store.sync([view.hash for view in here])
    placed = worktree.replace_by_links(repository, here)
    staging.refresh(repository.git, placed, filters=False, patience=staging.PATIENCE)


def _refuse_tracked_link(repository: Repository) -> None:
    if staging.entries(repository.git, [links.STORE_LINK]):
        raise Refused(
            f"'{links.STORE_LINK}' is tracked by git, and a clone must not decide where your store is",
            hint=f"run `git rm --cached -r {links.STORE_LINK}`, commit, then `comfyvn-store init`",
        )


def _refuse_unsuitable_root(repository: Repository) -> None:
    """Refuses an assets root that is not a folder of this work tree itself. Raises Refused."""
    root = names.printable(repository.root)
    folders = _folders(repository.root)
    for entry in staging.entries(repository.git, folders[:1]):
        if entry.mode == staging.GITLINK and entry.path in folders:
            raise Refused(
                f"the assets root '{root}' lies in the submodule '{names.printable(entry.path)}'",
                hint="run `comfyvn-store init` inside the submodule, or set comfyvn.assetsRoot to another folder",
            )
    for folder in map(repository.absolute, folders):
        if os.path.islink(folder):
            raise Refused(
                f"the assets root '{root}' leads through a symlink, which git does not follow",
                hint=f"make '{names.printable(folder)}' a real folder",
            )
        if os.path.lexists(folder) and not os.path.isdir(folder):
            raise Refused(
                f"the assets root '{root}' cannot be made: '{names.printable(folder)}' is a file",
                hint="move it elsewhere, or set comfyvn.assetsRoot to another folder",
            )
    place = repository.full(".gitattributes")
    # What is behind it may be anybody's file, and a commit would carry its text away.
    if os.path.lexists(repository.absolute(place)) and worktree.print_at(repository.absolute(place)) is None:
        raise Refused(
            f"'{names.printable(place)}' is a symlink or a folder, and git heeds neither",
            hint="remove it, or make it an ordinary file, and run the command again",
        )


def _folders(path: str) -> list[str]:
    """Gives a folder's path and those of its parents below the top, the outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _configure(repository: Repository) -> None:
    said = wiring.local_config(repository)
    for key, value in wiring.configuration(sys.executable, wiring.main_path()).items():
        if said.get(key) != value:
            repository.git.run("config", "--local", "--replace-all", key, value)


# -- files ---------------------------------------------------------------------------------------------------------


def _write_attributes(repository: Repository) -> None:
    """Puts our block first, so that lines of the user's (`*.txt -filter`) come later and win; stages the file."""
    path = repository.full(".gitattributes")
    place = repository.absolute(path)
    is_changed = wiring.free_foreign_lines(place)
    is_changed |= wiring.edit_block(place, wiring.attributes_block(), first=True)
    if is_changed or not staging.entries(repository.git, [path]):
        tracked.stage(repository, path)


def _write_root(repository: Repository) -> None:
    """Writes an assets root that differs from the default where a clone finds it."""
    if repository.root != (tracked.read(repository, "comfyvn.assetsRoot") or DEFAULT_ROOT):
        tracked.write(repository, "comfyvn.assetsRoot", repository.root)


def _write_excludes(repository: Repository) -> None:
    lines = wiring.exclude_lines(repository)
    wiring.edit_block(wiring.exclude_file(repository), lines, first=False, sharing=repository.settings.sharing)


def _raw_art(repository: Repository) -> list[Entry]:
    """Gives the files under the assets root that git holds as ordinary files."""
    found = [
        entry
        for entry in staging.filtered_entries(repository.git, repository.root, "comfyvn")
        if entry.mode in (staging.FILE, staging.EXECUTABLE) and not entry.stage and repository.is_asset_path(entry.path)
    ]
    sizes = blobs.sizes(repository.git, (entry.oid for entry in found))
    linked = blobs.read_links(repository.git, (entry.oid for entry in found))
    return [entry for entry in found if entry.oid not in linked and sizes[entry.oid].size]
