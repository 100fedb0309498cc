"""Views in the work tree: whether each is what git's index says, where it leads if not, and which are not there. A file
or a link that is an edit of the user's is no finding: `status` tells of it. Reads only."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from comfyvn_store.asset import views as copies
from comfyvn_store.base import files, links, names, swapping
from comfyvn_store.ops.fsck.finding import (
    LINK_DEPTH,
    LINK_OTHER,
    LINK_OUTSIDE,
    LINK_TEXT,
    REPAIR,
    VIEW_MISSING,
    Finding,
)
from comfyvn_store.ops.fsck.scope import Scope
from comfyvn_store.ops.wiring import quoted
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

# A path into some store, however it begins.
_OBJECT = re.compile(r"objects/([0-9a-f]{2})/([0-9a-f]{62})\Z")


class Tracked(NamedTuple):
    """A link in git's index: its entry and the hash that it names, None for a symlink that is no view."""

    entry: Entry
    hash: str | None
    text: str


def tracked(repository: Repository, scope: Scope, only: Container[str] | None = None) -> list[Tracked]:
    """Gives what git's index has below the assets root that is a link of ours, or a symlink of any kind; with `only` what it
    has at those paths, or at those of which they are the sidecars."""
    entries = [
        entry
        for entry in staging.filtered_entries(repository.git, repository.root, "comfyvn")
        if not entry.stage
        and entry.mode != staging.GITLINK
        and scope.covers(entry.path)
        and (only is None or entry.path in only or names.sidecar_path(entry.path) in only)
    ]
    texts = blobs.read_small_blobs(repository.git, (entry.oid for entry in entries), links.LONGEST)
    found = []
    for entry in entries:
        data = texts.get(entry.oid, b"")
        hash_ = links.parse_link_bytes(data)
        if entry.mode == staging.LINK or (hash_ is not None and repository.is_asset_path(entry.path)):
            found.append(Tracked(entry, hash_, os.fsdecode(data)))
    return found


def examine(repository: Repository, found: Sequence[Tracked]) -> Iterator[Finding]:
    """Gives what is wrong with each of them, on the disk and in git."""
    sparse = staging.skipped(repository.git, repository.root)
    for each in found:
        path = each.entry.path
        if each.hash is None:
            if _leaves(path, each.text):
                message = f"a link that is no view leads out of the repository, to '{names.printable(each.text)}'"
                yield Finding(LINK_OUTSIDE, message, f"git rm {quoted(path)}", [path])
            continue
        if path in sparse:
            continue
        finding = _on_disk(repository, path, each)
        if finding is not None:
            yield finding


def _on_disk(repository: Repository, path: str, each: Tracked) -> Finding | None:
    assert each.hash is not None
    if repository.is_beyond_link(path):
        message = "a folder on the way is a symlink, so git and we see nothing there"
        return Finding(VIEW_MISSING, message, f"remove the link, then: git restore {quoted(path)}", [path], each.hash)
    info = files.lstat(repository.absolute(path))
    if info is None:
        message = "a view is not there"
        return Finding(VIEW_MISSING, message, f"git restore {quoted(path)} (or git rm)", [path], each.hash)
    if stat.S_ISLNK(info.st_mode):
        return _link(repository, path, each, each.hash)
    if copies.stand_in(repository, path, each.hash, links_too=False) is None:
        return None  # the bytes, or an edit
    if repository.copies_views or each.entry.mode != staging.LINK:
        if not repository.store.has(each.hash):
            return None  # it waits for its bytes, which are a finding of their own
        return Finding(LINK_TEXT, "a file holds the text of its link, not the bytes", REPAIR, [path], each.hash, True)
    return Finding(
        LINK_TEXT, "a file holds the text of a link, and should be that link", REPAIR, [path], each.hash, True
    )


def _link(repository: Repository, path: str, each: Tracked, hash_: str) -> Finding | None:
    text = files.read_link(repository.absolute(path)) or ""
    said = links.parse_link(text)
    if said is not None:
        # What git has itself is for `doctor`; another version was put there by hand.
        if said != hash_ or text in (each.text, links.link_text(path, hash_)):
            return None
        return Finding(LINK_DEPTH, "a link has the depth of another folder", REPAIR, [path], hash_, True)
    target = _OBJECT.search(text)
    if target is not None and target[1] + target[2] == hash_:
        message = f"a link leads to another store: '{names.printable(text)}'"
        return Finding(LINK_OTHER, message, REPAIR, [path], hash_, True)
    message = f"a link leads elsewhere than to the store: '{names.printable(text)}'"
    return Finding(LINK_OUTSIDE, message, f"git restore {quoted(path)} (if you did not want that)", [path], hash_)


def _leaves(path: str, text: str) -> bool:
    """Tells whether a symlink's text, by its letters, leads out of the work tree or into git's folder."""
    target = os.path.normpath(os.path.join(os.path.dirname(path), text))
    parts = target.split("/")
    return os.path.isabs(target) or parts[0] == ".." or any(part.lower() == ".git" for part in parts)


def mend(repository: Repository, found: Sequence[Tracked]) -> list[str]:
    """Makes those links anew that are no edit, and fills copies that hold link text; gives their paths.

    Raises GitFailed where another process holds git's index, OSError.
    """
    done, unfilled = [], []
    for each in found:
        path = each.entry.path
        if each.hash is None or repository.is_beyond_link(path):
            continue
        finding = _on_disk(repository, path, each)
        if finding is None or not finding.is_repairable:
            continue
        place, text = repository.absolute(path), each.text
        before = files.read_link(place)
        if before is not None:
            if swapping.swap_link(place, text, before):
                done.append(path)
        elif repository.copies_views or each.entry.mode != staging.LINK:
            unfilled.append(copies.View(path, each.hash, each.entry.oid))
        else:
            stand_in = copies.stand_in(repository, path, each.hash, links_too=False)
            if (
                stand_in is not None
                and stand_in.file is not None
                and swapping.swap_for_link(place, text, stand_in.file)
            ):
                done.append(path)
    staging.refresh(repository.git, done, filters=False)
    if unfilled:
        done += copies.fill(repository, unfilled, links_too=False)[0]
    return done
