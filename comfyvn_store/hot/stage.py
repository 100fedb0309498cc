"""Writing what pre-commit decided: blobs, git's index, and then the work tree, in that order."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator

from comfyvn_store.asset import sidecar, views, worktree
from comfyvn_store.asset.worktree import Staged
from comfyvn_store.base import canonical, files, links, names, swapping
from comfyvn_store.base.files import Print
from comfyvn_store.errors import GitFailed, LockTimeout, from_os_error
from comfyvn_store.hot.plan import Asset, Plan
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

# Seconds to wait for another process of ours that writes into the work tree.
_PATIENCE = 5.0


def stage(repository: Repository, plan: Plan, assets: list[Asset], orphans: list[Entry]) -> list[str]:
    """Writes blobs, makes objects durable, changes the index, and brings the work tree along.

    Gives the assets (relative to the assets root) whose sidecar lies on the disk in git's form now.
    """
    git, store = repository.git, repository.store
    changed = [a for a in assets if a.is_changed or not _is_right(repository, a)]
    to_change = [a for a in changed if not _is_right(repository, a)]
    carded = [asset for asset in assets if asset.new_card is not None]
    texts = [sidecar.encode(asset.new_card) for asset in carded if asset.new_card is not None]
    rewritten = [asset for asset in to_change if asset.text != links.link_text(asset.path, asset.hash)]
    new_links = [links.link_text(asset.path, asset.hash).encode("ascii") for asset in rewritten]
    oids = blobs.write_blobs(git, repository.object_format, [*new_links, *texts])
    link_oids = {asset.path: oid for asset, oid in zip(rewritten, oids, strict=False)}
    card_entries = [
        Entry(names.sidecar_path(a.path), staging.FILE, oid)
        for a, oid in zip(carded, oids[len(rewritten) :], strict=True)
    ]
    store.sync([asset.hash for asset in changed if store.has(asset.hash)])
    views_due = changed if repository.copies_views else to_change
    doubtful = staging.unstaged_paths(git, [asset.path for asset in views_due])
    present = [
        Staged(a.path, a.hash, a.path not in doubtful and a.text is not None) for a in views_due if store.has(a.hash)
    ]
    late = views.behind(repository, present) if repository.copies_views else []
    # git forgets size and times of the files that are about to be replaced, too.
    touched = {asset.path for asset in to_change} | {path for path, *_ in late}
    link_entries = [
        Entry(a.path, views.mode_of(repository, a.entry), link_oids.get(a.path, a.entry.oid))
        for a in changed
        if a.path in touched
    ]
    removed = [Entry(entry.path, staging.GONE, "0" * len(entry.oid)) for entry in orphans]
    # `commit -a` and `commit FILE` hand over an index of their own, which nobody else can hold.
    staging.write_entries(git, [*link_entries, *card_entries, *removed], patience=staging.PATIENCE)
    placed: list[str] = []
    with _alone(repository):
        if repository.copies_views:
            _bring_copies(repository, late, touched)
        else:
            placed = worktree.replace_by_links(repository, present)
        written = _write_cards(repository, plan, carded, texts)
        _remove_cards(repository, orphans)
    with contextlib.suppress(GitFailed):
        staging.refresh(git, [*placed, *written], filters=False)
    return [path[: -len(names.SIDECAR_SUFFIX)] for path in map(repository.inside, written) if path]


@contextlib.contextmanager
def _alone(repository: Repository) -> Iterator[None]:
    """Waits for another process of ours that writes here, but not for ever, and not while our git holds the index that
    the other may be waiting for."""
    is_real = os.path.realpath(repository.index_path) == os.path.join(repository.git_dir, "index")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(LockTimeout):
            stack.enter_context(worktree.alone(repository, _PATIENCE if is_real else 0.0))
        yield


def _is_right(repository: Repository, asset: Asset) -> bool:
    """Whether an asset's entry has the mode and the text that it is to have."""
    is_mode = asset.entry.mode == views.mode_of(repository, asset.entry)
    return is_mode and asset.text == links.link_text(asset.path, asset.hash)


def _bring_copies(repository: Repository, late: list[tuple[str, str, Print]], touched: set[str]) -> None:
    """Gives the files that are `late` the bytes that are stored, and lets git look at all whose stat data is zero."""
    try:
        done = views.replace_by_copies(repository, late)
    except OSError as error:  # the commit is whole without it, and the next command tries again
        sys.stderr.write(f"comfyvn-store: {from_os_error(error, 'write').message}; the next command does it\n")
        return
    present = [path for path in touched.difference(done) if files.lstat(repository.absolute(path)) is not None]
    with contextlib.suppress(GitFailed):
        staging.look_again(repository.git, sorted(present))


def _write_cards(repository: Repository, plan: Plan, assets: list[Asset], texts: list[bytes]) -> list[str]:
    """Writes new sidecars to the disk in git's form (post-commit adds the commit); edits of the user stay."""
    old = {asset.path: plan.cards[asset.path].oid for asset in assets if asset.path in plan.cards}
    before = blobs.read_small_blobs(repository.git, old.values(), canonical.LONGEST_JSON)
    written = []
    changes: list[swapping.Change] = []
    paths: dict[str, str] = {}
    for asset, text in zip(assets, texts, strict=True):
        path = names.sidecar_path(asset.path)
        place = repository.absolute(path)
        found = worktree.read_sidecar(repository, path)
        if found is None and (files.lstat(place) is not None or repository.is_beyond_link(path)):
            continue
        if found is not None and found != text:
            clean = sidecar.strip_commit(found)
            is_ours = clean == text or (
                clean == before.get(old[asset.path])
                if asset.path in old
                else sidecar.decode_if_whole(found) is not None
            )
            if not is_ours:
                continue
        if files.lstat(repository.absolute(asset.path)) is None:
            continue  # the user took the file away; its sidecar stays with git
        if found == text:
            written.append(path)
        else:
            changes.append(swapping.Change(place, text, found))
            paths[place] = path
    return [*written, *(paths[place] for place in swapping.replace_all_settled(changes))]


def _remove_cards(repository: Repository, orphans: list[Entry]) -> None:
    """Removes the sidecars of assets that are gone from the disk, where they say nothing that git does not have."""
    texts = blobs.read_small_blobs(repository.git, [entry.oid for entry in orphans], canonical.LONGEST_JSON)
    for entry in orphans:
        view = files.lstat(repository.absolute(entry.path[: -len(names.SIDECAR_SUFFIX)]))
        found = worktree.read_sidecar(repository, entry.path)
        if found is None or (view is not None and not stat.S_ISDIR(view.st_mode)):
            continue  # `git rm --cached`: the file stays, and what is said of it
        if sidecar.strip_commit(found) == texts.get(entry.oid):
            place = repository.absolute(entry.path)
            with contextlib.suppress(OSError):
                os.unlink(place)
            files.remove_empty_folders(os.path.dirname(place), repository.absolute(repository.root))
