"""Switching between links and copies: git's own `core.symlinks`, and with it all work trees of the repository.

While views are copies git itself must make no symlinks: it would call the file of an entry that is a link changed. So
`core.symlinks` is set to false, and what it was is noted in `comfyvn.symlinks`. Any state that a process which dies
leaves behind is one in which `git status` is clean, and which `init` completes.
"""

from __future__ import annotations

import os

from comfyvn_store.asset import views
from comfyvn_store.asset.views import View
from comfyvn_store.errors import ComfyvnError, Refused
from comfyvn_store.ops.copies import work_trees
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.git import scrubbed_environment
from comfyvn_store.vcs.repository import Repository, open_repository
from comfyvn_store.vcs.settings import COPY, LINK

NOTE = "comfyvn.symlinks"
UNSET = "unset"


def advice(repository: Repository) -> str | None:
    """Says what to type where `comfyvn.views` was changed and the work tree does not follow yet."""
    settings = repository.settings
    if settings.views == COPY and settings.symlinks:
        return "comfyvn.views is 'copy', and views are links here still: run `comfyvn-store init`"
    if settings.views == LINK and settings.symlinks_before is not None:
        return "comfyvn.views is 'link', and views are copies here still: run `comfyvn-store init`"
    return None


def to_copies(repository: Repository) -> Repository:
    """Keeps git from making symlinks, if views are to be copies, and gives the repository as it is then.

    The files follow when the index is brought up to date (`hot/heal.py`), here and in other work trees.
    """
    settings = repository.settings
    if settings.views != COPY or not settings.symlinks:
        return repository
    before = repository.git.text("config", "--local", "--get", "core.symlinks", check=False)
    repository.git.run("config", "--local", NOTE, before or UNSET)
    repository.git.run("config", "--local", "core.symlinks", "false")
    return _with_symlinks(repository, False, before or UNSET)


def to_links(repository: Repository) -> Repository:
    """Puts links in place of copies in all work trees, if views are to be links again, and gives the repository as it
    is then. Files with unstaged edits stay; entries that are no links in git become such with the next commit.

    Does nothing where symlinks were switched off by somebody else. Raises Refused where none can be made.
    """
    if repository.settings.views != LINK or repository.settings.symlinks_before is None:
        return repository
    linked = _with_symlinks(repository, True, None)
    for top in work_trees(repository):
        other = linked if top == repository.top else _other(top)
        if other is not None:
            _make_links(other)
    restore(repository)
    return linked


def restore(repository: Repository) -> bool:
    """Gives `core.symlinks` the value it had before views became copies; tells whether git makes symlinks now."""
    before = repository.settings.symlinks_before
    if before is None:
        return repository.settings.symlinks
    if before == UNSET:
        repository.git.run("config", "--local", "--unset-all", "core.symlinks", check=False)
    else:
        repository.git.run("config", "--local", "core.symlinks", before)
    repository.git.run("config", "--local", "--unset-all", NOTE, check=False)
    return repository.git.text("config", "--type=bool", "--get", "core.symlinks", check=False) != "false"


def _with_symlinks(repository: Repository, symlinks: bool, before: str | None) -> Repository:
    return repository._replace(settings=repository.settings._replace(symlinks=symlinks, symlinks_before=before))


def _other(top: str) -> Repository | None:
    """Gives another work tree of this repository, or None if it is not here."""
    try:
        return _with_symlinks(open_repository(top, environment=scrubbed_environment()), True, None)
    except (ComfyvnError, OSError):
        return None


def _make_links(repository: Repository) -> None:
    try:
        repository.ensure_store_link()
    except OSError as error:
        raise Refused(
            f"'{repository.top}' is on a disk without symlinks ({(error.strerror or str(error)).lower()})",
            hint="leave views copies: git config comfyvn.views copy",
        ) from None
    entries = [
        entry
        for entry in staging.filtered_entries(repository.git, repository.root, "comfyvn")
        if entry.mode == staging.LINK and entry.stage == 0 and repository.is_asset_path(entry.path)
    ]
    hashes = blobs.read_links(repository.git, (entry.oid for entry in entries))
    found = [
        (entry, hashes.get(entry.oid))
        for entry in entries
        if os.path.lexists(repository.absolute(entry.path)) and not repository.is_beyond_link(entry.path)
    ]
    views.make_links(repository, [View(entry.path, hash_, entry.oid) for entry, hash_ in found if hash_])
