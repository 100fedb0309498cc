"""Putting a settled asset in its place: view, sidecar and git's index, with nothing of the user's lost on the way."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from comfyvn_store.asset import ingest, merge, sidecar, views, worktree
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import canonical, files, links, names, swapping
from comfyvn_store.base.files import Print
from comfyvn_store.errors import Refused
from comfyvn_store.ops.places import check_folders
from comfyvn_store.ops.session import Session
from comfyvn_store.ops.unmerged import Conflict
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.staging import Entry


@dataclass(frozen=True)
class Place:
    """What shall stand at a path (relative to the top): the bytes' hash, and the sidecar, or its blob as it is.

    `mode` is the one that git has for it, None if it has none. Without a hash there is no view: a file that is named like
    a sidecar and is none.
    """

    path: str
    hash: str | None
    card: Sidecar | None
    card_entry: Entry | None = None
    mode: str | None = None


class Settling:
    """One run: the work tree is written asset by asset, git's index once at the end."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._repository = session.repository
        self._entries: list[Entry] = []
        self._written: list[str] = []
        # What was looked at and is safe: only that may be replaced.
        self._files: dict[str, Print | None] = {}
        self._texts: dict[str, bytes | None] = {}

    def check(self, item: Conflict, places: Sequence[Place]) -> None:
        """Raises Refused where something in the work tree cannot make room."""
        for path in {*item.places, *(place.path for place in places)}:
            for name in (path, names.sidecar_path(path)):
                self._check(name, is_view=name == path)

    def _check(self, path: str, *, is_view: bool) -> None:
        check_folders(self._repository, path)
        place = self._repository.absolute(path)
        info = files.lstat(place)
        is_long = not is_view and info is not None and info.st_size > canonical.LONGEST_JSON
        if info is None or (stat.S_ISREG(info.st_mode) and not is_long):
            return
        text = files.read_link(place) or ""
        # `git checkout -m` merges two links as text and makes a link of that.
        if is_view and (links.parse_link(text) is not None or links.is_conflict(os.fsencode(text))):
            return
        what = "a link of yours" if stat.S_ISLNK(info.st_mode) else "a folder or no ordinary file"
        what = "too long for a sidecar" if stat.S_ISREG(info.st_mode) else what
        raise Refused(f"'{names.printable(path)}' is {what}", hint="move it elsewhere and run the command again")

    def settle(self, item: Conflict, places: Sequence[Place], gone: Sequence[str]) -> list[dict[str, str]]:
        """Brings the work tree to what shall be and notes it for `stage`; gives what was kept in the store.

        Raises Refused if a file changes meanwhile, OSError. Everything up to then is safe, the conflict stays.
        """
        repository = self._repository
        kept = []
        known_hashes = {version.hash for version in (item.base, item.ours, item.theirs) if version and version.hash}
        known_hashes |= {place.hash for place in places if place.hash}
        known_texts = self._known_texts(item) | {sidecar.encode(place.card) for place in places if place.card}
        repository.store.sync([hash_ for hash_ in known_hashes if repository.store.has(hash_)])
        for path in [*gone, *(place.path for place in places)]:
            for name, hash_ in (
                (path, self._secure_view(path, known_hashes)),
                (names.sidecar_path(path), self._secure_card(path, known_texts)),
            ):
                if hash_ is not None:
                    kept.append({"path": name, "hash": hash_, "object": repository.store.path(hash_)})
        for path in gone:
            self._remove(path)
        for place in places:
            self._put(place)
        return kept

    def stage(self) -> None:
        """Writes git's index. Raises LockTimeout."""
        git = self._repository.git
        staging.write_entries(git, self._entries, patience=staging.PATIENCE)
        present = [path for path in self._written if files.lstat(self._repository.absolute(path)) is not None]
        staging.refresh(git, present, filters=True, patience=staging.PATIENCE)

    # -- what stands there now --------------------------------------------------------------------------------------

    def _known_texts(self, item: Conflict) -> set[bytes]:
        """Gives what git or the merge driver may have put on the disk as sidecars: nothing of it is the user's."""
        versions = [version for version in (item.base, item.ours, item.theirs) if version]
        oids = [version.card_entry.oid for version in versions if version.card_entry]
        texts = set(blobs.read_small_blobs(self._repository.git, oids, canonical.LONGEST_JSON).values())
        base = item.base.card if item.base else None
        if item.ours and item.theirs and item.ours.card and item.theirs.card:
            card = merge.merge(base, item.ours.card, item.theirs.card).sidecar
            texts |= {
                sidecar.encode(card.moved(self._repository.inside(path) or path)) for path in (*item.places, item.path)
            }
        return texts

    def _secure_view(self, path: str, known: set[str]) -> str | None:
        """Takes an ordinary file that is no known version into the store, durably; gives its hash."""
        place = self._repository.absolute(path)
        self._files[path] = worktree.print_at(place)
        if self._files[path] is None:
            return None
        store = self._repository.store
        with open(place, "rb") as stream:
            head = stream.read(links.LONGEST + 1)
            if links.parse_link_bytes(head) is not None or links.is_conflict(head):
                return None
            stream.seek(0)
            blocks = ingest.file_blocks(stream)
            found = ingest.hash_as_ingested(store, blocks, mark=self._repository.settings.marker)
            if found in known and store.has(found):
                return None
            stream.seek(0)
            kept = ingest.ingest(store, ingest.file_blocks(stream), mark=False).hash
        store.sync([kept])
        return kept

    def _secure_card(self, path: str, known: set[bytes]) -> str | None:
        found = self._texts[path] = worktree.read_sidecar(self._repository, names.sidecar_path(path))
        if found is None or sidecar.strip_commit(found) in known or found in known:
            return None
        staged = staging.entries(self._repository.git, [names.sidecar_path(path)])
        oid = blobs.blob_id(sidecar.strip_commit(found), self._repository.object_format)
        if any(entry.oid == oid for entry in staged):
            return None
        kept = ingest.ingest(self._repository.store, [found], mark=False).hash
        self._repository.store.sync([kept])
        return kept

    # -- what shall stand there -------------------------------------------------------------------------------------

    def _require_unchanged(self, path: str) -> None:
        """Raises Refused if view or sidecar are not what was looked at any more."""
        found = worktree.read_sidecar(self._repository, names.sidecar_path(path))
        if worktree.print_at(self._repository.absolute(path)) != self._files[path] or found != self._texts[path]:
            raise _changed(path)

    def _remove(self, path: str) -> None:
        self._require_unchanged(path)
        place = self._repository.absolute(path)
        before = self._files[path]
        # Through a link, so that an edit saved just now is seen; where there are none, the look above has to do.
        swaps = before is not None and not self._repository.copies_views
        if swaps and before is not None and not swapping.swap_for_link(place, links.link_text(path, "0" * 64), before):
            raise _changed(path)
        for name in (place, self._repository.absolute(names.sidecar_path(path))):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
        files.remove_empty_folders(os.path.dirname(place), self._repository.absolute(self._repository.root))
        self._entries += [Entry(name, staging.GONE, self._no_oid) for name in (path, names.sidecar_path(path))]

    @property
    def _no_oid(self) -> str:
        return "0" * (64 if self._repository.object_format == "sha256" else 40)

    def _put(self, place: Place) -> None:
        repository = self._repository
        self._require_unchanged(place.path)
        card_path = names.sidecar_path(place.path)
        texts = []
        if place.hash is not None:
            self._put_view(place.path, place.hash)
            texts.append(links.link_text(place.path, place.hash).encode("ascii"))
        if place.card is not None:
            texts.append(sidecar.encode(place.card))
        oids = blobs.write_blobs(repository.git, repository.object_format, texts)
        if place.hash is not None:
            as_git = Entry(place.path, place.mode, oids[0]) if place.mode else None
            self._entries.append(Entry(place.path, views.mode_of(repository, as_git), oids[0]))
            self._written.append(place.path)
        if place.card is not None:
            text = sidecar.fill_commit(texts[-1], self._commit_of(place.card))
            self._entries.append(Entry(card_path, staging.FILE, oids[-1]))
        elif place.card_entry is not None:
            found = blobs.read_small_blobs(repository.git, [place.card_entry.oid], canonical.LONGEST_JSON)
            text = found.get(place.card_entry.oid, b"")
            self._entries.append(Entry(card_path, staging.FILE, place.card_entry.oid))
        else:
            return
        before = self._texts[place.path]
        if before != text and not swapping.replace_settled(repository.absolute(card_path), text, before):
            raise _changed(card_path)
        self._written.append(card_path)

    def _put_view(self, path: str, hash_: str) -> None:
        repository = self._repository
        place = repository.absolute(path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        text = links.link_text(path, hash_)
        before, link = self._files[path], files.read_link(place)
        if repository.copies_views:
            if before is not None and worktree.holds(repository, place, hash_):
                return
            if repository.store.has(hash_):
                temp = worktree.copy_object(repository, hash_, path)
            else:
                temp = files.temp_beside(place)
                files.write_atomic(temp, text.encode("ascii"))
            if not swapping.swap_for_file(place, temp, link, before):
                raise _changed(path)
        elif before is not None:
            if not swapping.swap_for_link(place, text, before):
                raise _changed(path)
        elif link != text:
            temp = files.temp_beside(place)
            os.symlink(text, temp)
            if not swapping.swap_for_file(place, temp, link):
                raise _changed(path)

    def _commit_of(self, card: Sidecar) -> str | None:
        row = self._session.index.db.execute(
            "SELECT commit_hash FROM provenance WHERE id = ?", (card.provenance.id,)
        ).fetchone()
        return row[0] if row else None


def _changed(path: str) -> Refused:
    return Refused(f"'{names.printable(path)}' changed meanwhile", hint="run the command again; nothing is lost")
