"""pre-commit: turns what is about to be committed into links with sidecars.

Works on the index that git hands over (`GIT_INDEX_FILE`), by plumbing, on what this commit touches and on what an earlier
one left undone. It refuses a commit only if bytes would be lost.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from dataclasses import dataclass, field

from comfyvn_store.asset import ingest, record, sidecar, worktree
from comfyvn_store.asset.known import KnownSidecars, parse_all
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.asset.worktree import Staged
from comfyvn_store.base import canonical, files, links, names
from comfyvn_store.errors import GitFailed, ObjectMissing
from comfyvn_store.hot import live
from comfyvn_store.hot.lookup import HistoryRecords
from comfyvn_store.store import objects
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Change, Entry


@dataclass
class _Asset:
    """One asset of this commit on its way: what is staged, and what shall be."""

    path: str
    entry: Entry
    text: str | None  # the staged link text, None for a raw blob
    hash: str
    is_changed: bool
    new_card: Sidecar | None = None


@dataclass
class _Plan:
    """What is staged below the assets root, split into views and sidecars, with the commit's changes."""

    views: dict[str, Entry] = field(default_factory=dict)
    cards: dict[str, Entry] = field(default_factory=dict)  # by the asset's path
    changes: dict[str, Change] = field(default_factory=dict)


def run(repository: Repository) -> int:
    """Prepares the commit; gives the hook's exit status. Raises ComfyvnError where bytes would be lost."""
    live.begin(repository)
    head = blobs.resolve(repository.git, "HEAD") or staging.empty_tree(repository.git)
    plan = _look(repository, head)
    assets = _assets(repository, plan)
    _take_raw_blobs(repository, assets)
    _check_objects(repository, assets, head)
    with contextlib.closing(HistoryRecords(repository)) as history:
        broken = _make_sidecars(repository, plan, assets, history)
        for path, reason in broken:
            note(f"the sidecar of '{names.printable(path)}' is left as it is: {reason}")
        orphans = _orphans(repository, plan)
        # They lie on the disk without their commit; where no row of the index changes, nothing else would tell.
        history.note_pending(_stage(repository, plan, assets, orphans))
    return 0


def note(message: str) -> None:
    """Tells the person at the terminal something that does not stop git."""
    sys.stderr.write(f"comfyvn-store: {message}\n")


def _look(repository: Repository, head: str) -> _Plan:
    plan = _Plan()
    for driver in ("comfyvn", "comfyvn-sidecar"):
        for entry in staging.filtered_entries(repository.git, repository.root, driver):
            if entry.stage or entry.mode == staging.GITLINK:
                continue
            if names.is_sidecar(entry.path):
                plan.cards[entry.path[: -len(names.SIDECAR_SUFFIX)]] = entry
            elif repository.is_asset_path(entry.path):
                plan.views[entry.path] = entry
    for change in staging.staged_changes(repository.git, head, repository.root):
        plan.changes[change.path] = change
    return plan


def _assets(repository: Repository, plan: _Plan) -> list[_Asset]:
    """Gives the assets to work on: changed ones, and those that lack their mode or their sidecar."""
    due = [
        entry
        for path, entry in plan.views.items()
        if path in plan.changes
        or entry.mode != staging.LINK
        or path not in plan.cards
        or names.sidecar_path(path) in plan.changes
    ]
    sizes = blobs.sizes(repository.git, (entry.oid for entry in due))
    small = [entry.oid for entry in due if entry.oid in sizes and sizes[entry.oid].size <= links.LONGEST]
    texts = dict(blobs.read_blobs(repository.git, small))
    found = []
    for entry in due:
        size = sizes[entry.oid].size if entry.oid in sizes else 0
        text = texts.get(entry.oid)
        hash_ = links.parse_link_bytes(text) if text is not None else None
        is_changed = entry.path in plan.changes
        if hash_ is not None and text is not None:
            found.append(_Asset(entry.path, entry, text.decode("ascii"), hash_, is_changed))
        elif entry.mode != staging.LINK and is_changed and size:
            # Raw art that was in git before `init` is left alone; only what this commit brings is taken in.
            found.append(_Asset(entry.path, entry, None, "", True))
    return found


def _take_raw_blobs(repository: Repository, assets: list[_Asset]) -> None:
    """Takes blobs that passed no filter from git's object database into the store."""
    done: dict[str, str] = {}
    for asset in assets:
        if asset.text is not None:
            continue
        oid = asset.entry.oid
        if oid not in done:
            stream = blobs.stream_blob(repository.git, oid)
            done[oid] = ingest.ingest(repository.store, stream, mark=repository.settings.marker).hash
        asset.hash = done[oid]


def _check_objects(repository: Repository, assets: list[_Asset], head: str) -> None:
    """Sees to it that a file's link is not committed without its bytes. Raises ObjectMissing."""
    for asset in assets:
        if asset.entry.mode == staging.LINK or not asset.is_changed or repository.store.has(asset.hash):
            continue
        place = repository.absolute(asset.path)
        if worktree.print_at(place) is not None:
            with open(place, "rb") as stream:
                head_bytes = stream.read(links.LONGEST + 1)
                if links.parse_link_bytes(head_bytes) is not None:
                    continue  # link text in place of the bytes: a checkout without the object
                stream.seek(0)
                ingest.ingest(repository.store, ingest.file_blocks(stream), mark=repository.settings.marker)
        if not repository.store.has(asset.hash) and not _came_from_history(repository, asset):
            error = objects.missing(asset.hash)
            raise ObjectMissing(f"'{names.printable(asset.path)}': {error.message}", hint=error.hint)


def _came_from_history(repository: Repository, asset: _Asset) -> bool:
    """Whether some commit already holds this link, so that committing it again loses nothing."""
    heads = ("HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD", "stash@{0}")
    for head in heads:
        entry = staging.tree_entries(repository.git, head, [asset.path]).get(asset.path)
        if entry is not None and entry.oid == asset.entry.oid:
            return True
    return False


# -- sidecars ------------------------------------------------------------------------------------------------------


def _make_sidecars(
    repository: Repository, plan: _Plan, assets: list[_Asset], history: HistoryRecords
) -> list[tuple[str, str]]:
    """Finds or makes the sidecar of each asset; gives the broken ones, which stay as they are."""
    oids = (
        [entry.oid for entry in plan.cards.values()]
        if len(assets) > 1
        else [plan.cards[asset.path].oid for asset in assets if asset.path in plan.cards]
    )
    wanted = {plan.cards[asset.path].oid for asset in assets if asset.path in plan.cards}
    texts = blobs.read_small_blobs(repository.git, [oid for oid in oids if oid in wanted], canonical.LONGEST_JSON)
    broken = []
    open_assets: list[tuple[_Asset, Sidecar | None]] = []
    for asset in assets:
        inside = repository.inside(asset.path) or ""
        entry = plan.cards.get(asset.path)
        if entry is None:
            open_assets.append((asset, None))
            continue
        try:
            said = sidecar.decode(texts.get(entry.oid, b""))
        except sidecar.BrokenSidecar as error:
            broken.append((asset.path, str(error)))
            continue
        if said.hash != asset.hash:
            open_assets.append((asset, said))
        elif said.path != inside:
            asset.new_card = said.moved(inside)
    if open_assets:
        _find_or_make(repository, plan, open_assets, history)
    return broken


def _find_or_make(
    repository: Repository, plan: _Plan, open_assets: list[tuple[_Asset, Sidecar | None]], history: HistoryRecords
) -> None:
    known = KnownSidecars(repository, [asset.path for asset, _ in open_assets], history.newest_blob)
    departed = _departed(repository, plan)
    for asset, said in open_assets:
        inside = repository.inside(asset.path) or ""
        found = _moved_here(departed, asset) if said is None else None
        if found is None:
            found = known.find(asset.path, asset.hash)
        if found is not None:
            card = found.moved(inside)
            if said is not None:
                card = _with_notes_of(card, said)
        else:
            previous = said or known.previous(asset.path)
            facts = _facts(repository, asset)
            origin = record.Origin(default_source=record.GIT, user=repository.settings.user)
            card = record.new_sidecar(inside, asset.hash, facts, origin, previous)
        asset.new_card = card


def _facts(repository: Repository, asset: _Asset) -> record.Facts:
    """Reads the object; one that is not here leaves everything about it unknown."""
    try:
        return record.read_facts(repository.store, asset.hash)
    except ObjectMissing:
        return record.Facts(None, {}, None, None, None, {})


def _with_notes_of(card: Sidecar, notes: Sidecar) -> Sidecar:
    """Gives `card` with the tags, licence, meta and unknown keys of `notes`."""
    from dataclasses import replace

    return replace(card, tags=notes.tags, license=notes.license, meta=notes.meta, extra=notes.extra)


def _departed(repository: Repository, plan: _Plan) -> dict[str, list[Sidecar]]:
    """Gives, by hash, the sidecars whose asset leaves its path in this commit, or has left it already."""
    oids = {
        change.old_oid
        for path, change in plan.changes.items()
        if change.new_mode == staging.GONE and names.is_sidecar(path)
    }
    oids |= {entry.oid for path, entry in plan.cards.items() if path not in plan.views}
    by_hash: dict[str, list[Sidecar]] = {}
    texts = blobs.read_small_blobs(repository.git, sorted(oids), canonical.LONGEST_JSON)
    for said in sorted(parse_all(texts).values(), key=lambda card: card.path):
        if repository.full(said.path) not in plan.views:
            by_hash.setdefault(said.hash, []).append(said)
    return by_hash


def _moved_here(departed: dict[str, list[Sidecar]], asset: _Asset) -> Sidecar | None:
    """Takes the sidecar of an asset with these bytes that left another path; the same name is preferred."""
    candidates = departed.get(asset.hash, [])
    name = os.path.basename(asset.path)
    for said in sorted(candidates, key=lambda card: os.path.basename(card.path) != name):
        candidates.remove(said)
        return said
    return None


def _orphans(repository: Repository, plan: _Plan) -> list[Entry]:
    """Gives the sidecars whose asset is gone: removed or moved away by this commit, or by one that skipped the hook.

    One that comes with this commit may be waiting for its asset; one that is no sidecar of ours is not touched.
    """
    alone = {path: entry for path, entry in plan.cards.items() if path not in plan.views}
    settled = {path: entry for path, entry in alone.items() if entry.path not in plan.changes}
    ours = parse_all(
        blobs.read_small_blobs(repository.git, (entry.oid for entry in settled.values()), canonical.LONGEST_JSON)
    )
    kept = {entry.path for entry in staging.entries(repository.git, sorted(settled))} if settled else set()
    return [
        entry
        for path, entry in alone.items()
        if (path in plan.changes and plan.changes[path].new_mode == staging.GONE)
        or (path in settled and entry.oid in ours and path not in kept)
    ]


# -- staging -------------------------------------------------------------------------------------------------------


def _stage(repository: Repository, plan: _Plan, assets: list[_Asset], orphans: list[Entry]) -> list[str]:
    """Writes blobs, makes objects durable, changes the index, and brings the work tree along.

    Gives the assets (relative to the assets root) whose sidecar lies on the disk in git's form now.
    """
    git, store = repository.git, repository.store
    to_link = [a for a in assets if a.entry.mode != staging.LINK or a.text != links.link_text(a.path, a.hash)]
    carded = [asset for asset in assets if asset.new_card is not None]
    texts = [sidecar.encode(asset.new_card) for asset in carded if asset.new_card is not None]
    new_links = [links.link_text(asset.path, asset.hash).encode("ascii") for asset in to_link]
    oids = blobs.write_blobs(git, repository.object_format, [*new_links, *texts])
    link_entries = [Entry(a.path, staging.LINK, oid) for a, oid in zip(to_link, oids, strict=False)]
    card_entries = [
        Entry(names.sidecar_path(a.path), staging.FILE, oid)
        for a, oid in zip(carded, oids[len(to_link) :], strict=True)
    ]
    store.sync([asset.hash for asset in assets if asset.is_changed and store.has(asset.hash)])
    doubtful = staging.unstaged_paths(git, [asset.path for asset in to_link])
    removed = [Entry(entry.path, staging.GONE, "0" * len(entry.oid)) for entry in orphans]
    staging.write_entries(git, [*link_entries, *card_entries, *removed])
    present = [a for a in to_link if store.has(a.hash)]
    placed = worktree.replace_by_links(
        repository, [Staged(a.path, a.hash, a.path not in doubtful and a.text is not None) for a in present]
    )
    written = _write_cards(repository, plan, carded, texts)
    _remove_cards(repository, orphans)
    with contextlib.suppress(GitFailed):
        staging.refresh(git, [*placed, *written], filters=False)
    return [path[: -len(names.SIDECAR_SUFFIX)] for path in map(repository.inside, written) if path]


def _write_cards(repository: Repository, plan: _Plan, assets: list[_Asset], texts: list[bytes]) -> list[str]:
    """Writes new sidecars to the disk in git's form (post-commit adds the commit); edits of the user stay."""
    old = {asset.path: plan.cards[asset.path].oid for asset in assets if asset.path in plan.cards}
    before = blobs.read_small_blobs(repository.git, old.values(), canonical.LONGEST_JSON)
    written = []
    for asset, text in zip(assets, texts, strict=True):
        path = names.sidecar_path(asset.path)
        place = repository.absolute(path)
        found = worktree.read_sidecar(repository, path)
        if found is None and files.lstat(place) is not None:
            continue
        if found is not None and found != text:
            clean = sidecar.strip_commit(found)
            is_ours = clean == text or (
                clean == before.get(old[asset.path]) if asset.path in old else _is_sidecar_text(found)
            )
            if not is_ours:
                continue
        if files.lstat(repository.absolute(asset.path)) is None:
            continue  # the user took the file away; its sidecar stays with git
        if found != text:
            files.write_settled(place, text)
        written.append(path)
    return written


def _is_sidecar_text(data: bytes) -> bool:
    try:
        sidecar.decode(data)
    except sidecar.BrokenSidecar:
        return False
    return True


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
