"""The work tree and git's index follow a migration. What somebody edited there stays as it is.

First the work tree, then the index in one write: a run that is cut short leaves an index in which everything that was to
be done is still found. All objects are durable before.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from comfyvn_store.asset import ingest, sidecar, views, worktree
from comfyvn_store.base import canonical, files, links, names, swapping
from comfyvn_store.errors import GitFailed, ObjectMissing
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Change, Entry


@dataclass
class Followed:
    """What was done, and the files that stay because somebody edited them."""

    placed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def follow(repository: Repository, changes: Sequence[Change], new: Collection[str] = ()) -> Followed:
    """Brings files and index from the old entries of `changes` to the new ones.

    `new` are paths whose files git did not track: they are made where nothing lies. Raises OSError, LockTimeout.
    """
    oids = [change.new_oid for change in changes if change.new_mode != staging.GONE]
    texts = blobs.read_small_blobs(repository.git, oids, canonical.LONGEST_JSON)
    old_links = blobs.read_links(
        repository.git, (change.old_oid for change in changes if change.old_mode != staging.GONE)
    )
    done = Followed()
    for change in changes:
        if repository.is_beyond_link(change.path):
            done.kept.append(change.path)
            continue
        text = texts.get(change.new_oid)
        hash_ = links.parse_link_bytes(text) if text is not None and change.new_mode != staging.GONE else None
        if hash_ is not None:
            is_placed = _place_view(repository, change, hash_, change.path in new, old_links.get(change.old_oid))
        elif change.new_mode == staging.GONE:
            is_placed = _remove(repository, change)
        elif change.old_oid in old_links:
            is_placed = _place_bytes(repository, change, old_links[change.old_oid])
        else:
            is_placed = _write(repository, change, text)
        (done.placed if is_placed else done.kept).append(change.path)
    entries = [Entry(change.path, change.new_mode, change.new_oid) for change in changes]
    staging.write_entries(repository.git, entries, patience=staging.PATIENCE)
    gone = {change.path for change in changes if change.new_mode == staging.GONE}
    with contextlib.suppress(GitFailed):  # git reads them itself the next time it looks
        staging.look_again(
            repository.git, [path for path in done.placed if path not in gone], patience=staging.PATIENCE
        )
    return done


def _place_view(repository: Repository, change: Change, hash_: str, is_new: bool, old_hash: str | None) -> bool:
    """Puts a view where a file is that has its bytes, or stands for them, or is the view of the object before; tells whether
    it is there now."""
    place = repository.absolute(change.path)
    text = links.link_text(change.path, hash_)
    info = files.look(place)
    if info is None:
        if not is_new and change.old_mode != staging.GONE:
            return False
        os.makedirs(os.path.dirname(place), exist_ok=True)
        return _make(repository, change.path, hash_, None, None, text)
    if stat.S_ISLNK(info.st_mode):
        found = files.read_link(place) or ""
        if links.parse_link(found) == hash_ and found == text and not repository.copies_views:
            return True
        if links.parse_link(found) != hash_ and not _is_old(repository, change, os.fsencode(found)):
            return False
        return _make(repository, change.path, hash_, found, None, text)
    if not stat.S_ISREG(info.st_mode):
        return False
    before = files.print_of(info)
    stored = repository.store.stat(hash_)
    is_object = stored is not None and os.path.samestat(stored, info)
    is_meant = is_object or _stands_for(repository, change, hash_) or views.has_bytes(place, hash_)
    if is_meant or (old_hash is not None and worktree.holds(repository, place, old_hash)):
        return _make(repository, change.path, hash_, None, before, text)
    return False


def _make(
    repository: Repository, path: str, hash_: str, link: str | None, before: files.Print | None, text: str
) -> bool:
    """Puts a view in the place of the symlink `link`, the file `before`, or of nothing."""
    place = repository.absolute(path)
    if repository.copies_views:
        try:
            return views.place_copy(repository, path, hash_, link, before)
        except ObjectMissing:  # the link's text stands in for bytes that are not here
            temp = files.temp_beside(place)
            files.write_atomic(temp, text.encode("ascii"))
            return swapping.swap_for_file(place, temp, link, before)
    if before is not None:
        return swapping.swap_for_link(place, text, before)
    if link is not None:
        return swapping.swap_link(place, text, link)
    try:
        os.symlink(text, place)
    except FileExistsError:
        return files.read_link(place) == text
    return True


def _place_bytes(repository: Repository, change: Change, hash_: str) -> bool:
    """Puts a blob's bytes where the view of an object is; tells whether they are there now."""
    place = repository.absolute(change.path)
    text, before = files.read_link(place), worktree.print_at(place)
    if before is not None and is_unchanged(repository, Entry(change.path, change.new_mode, change.new_oid)):
        return True
    is_view = text is not None and links.parse_link(text) == hash_
    if not is_view and (before is None or not worktree.holds(repository, place, hash_)):
        return False
    temp = files.temp_beside(place)
    mode = 0o777 if change.new_mode == staging.EXECUTABLE else 0o666
    with os.fdopen(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        for block in blobs.stream_blob(repository.git, change.new_oid):
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())
    return swapping.swap_for_file(place, temp, text if is_view else None, None if is_view else before)


def _remove(repository: Repository, change: Change) -> bool:
    """Removes a file that is what git had; tells whether nothing is there now."""
    place = repository.absolute(change.path)
    if files.lstat(place) is None:
        return True
    found = _content(place)
    if found is None or not (_is_old(repository, change, found) or _is_old(repository, change, _clean(change, found))):
        return False
    os.unlink(place)
    files.remove_empty_folders(os.path.dirname(place), repository.top)
    return True


def _write(repository: Repository, change: Change, text: bytes | None) -> bool:
    """Writes a small file of text where what git had lies, or nothing; tells whether it says so now."""
    place = repository.absolute(change.path)
    found = _content(place)
    if text is None:
        return found is not None and blobs.blob_id(found, repository.object_format) == change.new_oid
    if found is not None and _clean(change, found) == text:
        return True
    if found is None:
        if files.lstat(place) is not None or change.old_mode != staging.GONE:
            return False
    elif not (_is_old(repository, change, found) or _is_old(repository, change, _clean(change, found))):
        return False
    return swapping.replace_settled(place, text, found)


def _clean(change: Change, found: bytes) -> bytes:
    return sidecar.strip_commit(found) if names.is_sidecar(change.path) else found


def _is_old(repository: Repository, change: Change, found: bytes) -> bool:
    return blobs.blob_id(found, repository.object_format) == change.old_oid


def _content(place: str) -> bytes | None:
    try:
        return files.read_small(place, canonical.LONGEST_JSON)
    except OSError:
        return None


def _stands_for(repository: Repository, change: Change, hash_: str) -> bool:
    """Whether a file is no more than the text that git had for it: a link or the pointer of another program."""
    found = _content(repository.absolute(change.path))
    return found is not None and (links.parse_written(found) == hash_ or _is_old(repository, change, found))


def is_unchanged(repository: Repository, entry: Entry) -> bool:
    """Tells, by reading it, whether the file of an index entry is byte for byte git's."""
    place = repository.absolute(entry.path)
    text = files.read_link(place)
    if text is not None:
        is_link = entry.mode == staging.LINK
        return is_link and blobs.blob_id(os.fsencode(text), repository.object_format) == entry.oid
    if worktree.print_at(place) is None or entry.mode == staging.LINK:
        return False
    digest = hashlib.new(repository.object_format, b"blob %d\0" % os.path.getsize(place))
    with open(place, "rb") as stream:
        for block in ingest.file_blocks(stream):
            digest.update(block)
    return digest.hexdigest() == entry.oid
