"""`uninstall`: gives back ordinary files and the previous hooks. The store stays: old versions live only there."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import NamedTuple

from comfyvn_store.asset import sidecar, temps, views, worktree
from comfyvn_store.base import canonical, durable, files, links, names, swapping
from comfyvn_store.errors import ComfyvnError
from comfyvn_store.index import printfile, questions
from comfyvn_store.ops import journal, leaving, shims, switching, wiring
from comfyvn_store.ops.session import Session
from comfyvn_store.previews import worker
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository

_SECTIONS = (
    "filter.comfyvn",
    "filter.comfyvn-sidecar",
    "merge.comfyvn-sidecar",
    "merge.comfyvn-ancestor",
    "diff.comfyvn-sidecar",
)


class Uninstalled(NamedTuple):
    """What was given back, and the views whose bytes the store does not hold (they stay links).

    `hooks_are_shared` says that our shims stay in a folder outside, because other repositories use them; `store_is_shared`
    that the store is outside, `is_noted` that it goes on keeping what this repository's git names.
    """

    restored: int
    missing: list[str]
    store: str
    hooks: list[str]
    hooks_are_shared: bool
    store_is_shared: bool
    is_noted: bool


def uninstall(session: Session, *, is_history_rewritten: bool = False) -> Uninstalled:
    """Replaces every view by its bytes and takes out hooks, filters, attributes and excludes.

    Files that are being edited stay as they are. Views whose object is missing stay links, and with them `.comfyvn`.
    `is_history_rewritten` tells the journal that links left the history just now.
    """
    repository = session.repository
    entry = journal.begin(repository, "uninstall", "uninstall --history" if is_history_rewritten else "uninstall")
    hooks, are_shared = shims.remove(repository, shims.folder_of(repository))
    restored, missing = _restore_views(session)
    _strip_sidecars(repository)
    _show_copies_to_git(repository, switching.restore(repository))
    for section in _SECTIONS:
        if repository.git.text("config", "--local", "--get-regexp", f"^{section}\\.", check=False):
            repository.git.run("config", "--local", "--remove-section", section)
    for key in ("comfyvn.python", "comfyvn.main"):
        repository.git.run("config", "--local", "--unset-all", key, check=False)
    _remove_attributes(repository)
    temps.sweep(repository)  # git would show them now
    if not missing:
        wiring.edit_block(wiring.exclude_file(repository), [], first=False, sharing=repository.settings.sharing)
        place = repository.absolute(links.STORE_LINK)
        if os.path.islink(place):
            os.unlink(place)
    _remove_derived(session)
    repository.home.retire(True)
    journal.finish(repository, entry)
    is_noted = not leaving.leave_if_free(repository)
    return Uninstalled(restored, missing, repository.store.root, hooks, are_shared, repository.store.is_apart, is_noted)


def _restore_views(session: Session) -> tuple[int, list[str]]:
    repository = session.repository
    restored, missing = 0, []
    for path, hash_, _ in questions.sized_hashes(session.index):
        full = repository.full(path)
        place = repository.absolute(full)
        text = files.read_link(place)
        info = files.lstat(place)
        if repository.is_beyond_link(full):
            continue
        if text is None and info is not None and stat.S_ISREG(info.st_mode):
            stands = views.stand_in(repository, full, hash_, links_too=False)
            if stands is not None and not _fill(repository, full, hash_, stands):
                missing.append(full)
            elif repository.copies_views:
                restored += 1
            continue
        found = links.parse_link(text or "")
        if found is None:
            continue
        try:
            temp = worktree.copy_object(repository, found, full)
        except ComfyvnError:
            missing.append(full)
            continue
        durable.sync_files([temp])
        restored += swapping.swap_for_file(place, temp, text)
    return restored, missing


def _fill(repository: Repository, full: str, hash_: str, found: views.StandIn) -> bool:
    """Puts the bytes where a file holds link text; tells whether they are here."""
    try:
        return views.place_copy(repository, full, hash_, found.link, found.file)
    except ComfyvnError:
        return False


def _show_copies_to_git(repository: Repository, symlinks: bool) -> None:
    """Lets git see that files hold bytes where it has links: its notes of size and times say that nothing changed.

    Where git makes no symlinks it would keep the mode of one and put the bytes into it, so that is taken away.
    """
    entries = staging.filtered_entries(repository.git, repository.root, "comfyvn")
    hashes = blobs.read_links(repository.git, (entry.oid for entry in entries))
    changed = [
        entry._replace(mode=entry.mode if symlinks else staging.FILE)
        for entry in entries
        if entry.stage == 0 and entry.oid in hashes and worktree.print_at(repository.absolute(entry.path)) is not None
    ]
    staging.write_entries(repository.git, changed, patience=staging.PATIENCE)


def _strip_sidecars(repository: Repository) -> None:
    """Writes the sidecars that differ from git's only by what the filter put in as git has them."""
    entries = staging.filtered_entries(repository.git, repository.root, "comfyvn-sidecar")
    texts = blobs.read_small_blobs(repository.git, (entry.oid for entry in entries), canonical.LONGEST_JSON)
    written = []
    for entry in entries:
        found = worktree.read_sidecar(repository, entry.path)
        text = texts.get(entry.oid)
        if found is not None and text is not None and found != text and sidecar.strip_commit(found) == text:
            files.write_settled(repository.absolute(entry.path), text)
            written.append(entry.path)
    staging.refresh(repository.git, written, filters=False, patience=staging.PATIENCE)


def _remove_attributes(repository: Repository) -> None:
    place = repository.absolute(repository.full(".gitattributes"))
    if os.path.islink(place):
        return
    wiring.edit_block(place, [], first=True)
    with contextlib.suppress(OSError):
        if os.path.getsize(place) == 0:
            os.unlink(place)


def _remove_previews(repository: Repository) -> None:
    """Removes what is named like a preview, where that is inside the work tree."""
    folder = repository.settings.thumbs_root
    if not folder.startswith(repository.top + os.sep) or worker.is_led_away(repository):
        return
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if links.is_hash(name.partition(".")[0]):
                os.unlink(os.path.join(folder, name))
    files.remove_empty_folders(folder, repository.top)


def _remove_derived(session: Session) -> None:
    """Removes the index, fingerprints, the mirrors and the previews, which `git add -A` would take in now."""
    repository = session.repository
    _remove_previews(repository)
    groups: dict[str, dict[str, list[str]]] = {}
    for path, _, _ in questions.sized_hashes(session.index):
        folder, _, name = path.rpartition("/")
        groups.setdefault(folder, {})[name.partition(".")[0]] = []
    for folder, inside in groups.items():
        worktree.mirror_all(repository, folder, inside)
    session.index.close()
    for place in (repository.settings.db_path, os.path.join(repository.home.path, printfile.NAME)):
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.unlink(place + suffix)
    with contextlib.suppress(OSError):
        os.rmdir(repository.absolute(repository.full(names.META_FOLDER)))
