"""pre-commit: turns what is about to be committed into links with sidecars.

Works on the index that git hands over (`GIT_INDEX_FILE`), by plumbing, on what this commit touches and on what an earlier
one left undone. It refuses a commit only if bytes would be lost.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Collection

from comfyvn_store.asset import ingest, merge, record, sidecar, worktree
from comfyvn_store.asset.known import HEADS, KnownSidecars, parse_all
from comfyvn_store.asset.noted import Notes
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import canonical, links, names
from comfyvn_store.errors import ObjectCorrupt, ObjectMissing, Refused
from comfyvn_store.hot import ground, live, locked, stage
from comfyvn_store.hot import plan as plans
from comfyvn_store.hot.lookup import HistoryRecords
from comfyvn_store.hot.plan import Asset, Plan
from comfyvn_store.store import objects
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry


def run(repository: Repository) -> int:
    """Prepares the commit; gives the hook's exit status. Raises ComfyvnError where bytes would be lost."""
    ours = ground.path_of(repository)
    staged = {entry.path for entry in staging.entries(repository.git, [links.STORE_LINK, ours])}
    if staged - {ours}:
        raise Refused(
            f"'{links.STORE_LINK}' is staged, and a commit must not decide where the store of others is",
            hint=f"run `git rm --cached {links.STORE_LINK}`",
        )
    locked.before_commit(repository)
    live.begin(repository)
    prepare(repository, has_ground=ours in staged)
    return 0


def prepare(repository: Repository, also: Collection[str] = (), *, has_ground: bool = False) -> None:
    """Makes links and sidecars of what is staged, of what an earlier commit left undone, and of the committed paths in
    `also`, whatever is wrong with them. Raises ComfyvnError where bytes would be lost.

    `has_ground` spares a look whether our attributes are staged.
    """
    head = blobs.resolve(repository.git, "HEAD") or staging.empty_tree(repository.git)
    if not has_ground:
        ground.lay(repository, head)
    plan = plans.look(repository, head)
    _warn_without_attributes(repository, plan)
    with contextlib.closing(HistoryRecords(repository)) as history:
        depths = plans.Depths(repository, plan, history.since_right(head))
        assets = plans.assets(repository, plan, depths, also, history.outdated())
        _take_raw_blobs(repository, assets)
        _check_objects(repository, assets)
        notes = Notes(repository)
        broken = _make_sidecars(repository, plan, assets, history, notes)
        for path, reason in broken:
            note(f"the sidecar of '{names.printable(path)}' is left as it is: {reason}")
        orphans = _orphans(repository, plan)
        # They lie on the disk without their commit; where no row of the index changes, nothing else would tell.
        history.note_pending(stage.stage(repository, plan, assets, orphans))
        if depths.is_head_right:
            history.note_right(head)
        notes.forget()


def _warn_without_attributes(repository: Repository, plan: Plan) -> None:
    """Says that git does not ask us about art here: an orphan branch, or one from before `init`, has no attributes."""
    place = f"{repository.root}/.gitattributes"
    if plan.views or plan.cards or staging.entries(repository.git, [place]):
        return
    if any(
        change.new_mode in (staging.FILE, staging.EXECUTABLE) and repository.is_asset_path(change.path)
        for change in plan.changes.values()
    ):
        note(f"there is no '{names.printable(place)}' on this branch, so git itself keeps the art of this commit")
        sys.stderr.write("hint: run `comfyvn-store init`, and then what it says\n")


def note(message: str) -> None:
    """Tells the person at the terminal something that does not stop git."""
    sys.stderr.write(f"comfyvn-store: {message}\n")


def _take_raw_blobs(repository: Repository, assets: list[Asset]) -> None:
    """Takes blobs that passed no filter from git's object database into the store."""
    done: dict[str, str] = {}
    for asset in assets:
        if asset.text is not None:
            continue
        oid = asset.entry.oid
        if links.is_conflict(blobs.read_small_blobs(repository.git, [oid], links.LONGEST).get(oid, b"")):
            raise Refused(
                f"'{names.printable(asset.path)}' holds git's conflict markers and no art",
                hint="bring the conflict back with git checkout -m -- FILE FILE.asset.json, then: comfyvn-store resolve FILE",
            )
        if oid not in done:
            stream = blobs.stream_blob(repository.git, oid)
            done[oid] = ingest.ingest(repository.store, stream, mark=repository.settings.marker).hash
        asset.hash = done[oid]


def _check_objects(repository: Repository, assets: list[Asset]) -> None:
    """Sees to it that a file's link is not committed without its bytes, which may have been damaged since they were
    staged: then the file itself brings them back. Raises ObjectMissing."""
    for asset in assets:
        if repository.store.is_sound(asset.hash):
            continue
        if asset.entry.mode == staging.LINK:
            if asset.is_changed and repository.store.has(asset.hash):
                _note_damage(asset)
            continue
        place = repository.absolute(asset.path)
        if worktree.print_at(place) is not None:
            with open(place, "rb") as stream:
                head_bytes = stream.read(links.LONGEST_BENT + 1)
                if links.is_bent(head_bytes):
                    raise ingest.bent(asset.path)
                if links.parse_written(head_bytes) is not None:
                    continue  # link text in place of the bytes: a checkout without the object
                stream.seek(0)
                ingest.ingest(repository.store, ingest.file_blocks(stream), mark=repository.settings.marker)
        if repository.store.has(asset.hash):
            if not repository.store.is_sound(asset.hash):
                _note_damage(asset)
        elif asset.is_changed and not _came_from_history(repository, asset):
            error = objects.missing(asset.hash)
            raise ObjectMissing(f"'{names.printable(asset.path)}': {error.message}", hint=error.hint)


def _note_damage(asset: Asset) -> None:
    note(f"the object of '{names.printable(asset.path)}' is damaged; `comfyvn-store recover` mends it")


def _came_from_history(repository: Repository, asset: Asset) -> bool:
    """Whether some commit already holds this link, so that committing it again loses nothing."""
    for head in blobs.known(repository.git, (*HEADS, "stash@{0}")):
        entry = staging.tree_entries(repository.git, head, [asset.path]).get(asset.path)
        if entry is not None and entry.oid == asset.entry.oid:
            return True
    return False


# -- sidecars ------------------------------------------------------------------------------------------------------


def _make_sidecars(
    repository: Repository, plan: Plan, assets: list[Asset], history: HistoryRecords, notes: Notes
) -> list[tuple[str, str]]:
    """Finds or makes the sidecar of each asset; gives the broken ones, which stay as they are."""
    oids = [plan.cards[asset.path].oid for asset in assets if asset.path in plan.cards]
    texts = blobs.read_small_blobs(repository.git, oids, canonical.LONGEST_JSON)
    broken = []
    open_assets: list[tuple[Asset, Sidecar | None]] = []
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
        _find_or_make(repository, plan, open_assets, history, notes)
    return broken


def _find_or_make(
    repository: Repository,
    plan: Plan,
    open_assets: list[tuple[Asset, Sidecar | None]],
    history: HistoryRecords,
    noted: Notes,
) -> None:
    known = KnownSidecars(repository, [asset.path for asset, _ in open_assets], history.newest_blob)
    departed = _departed(repository, plan)
    for asset, said in open_assets:
        inside = repository.inside(asset.path) or ""
        # A sidecar that this commit's index does not have may lie on the disk, with words that are nowhere else.
        notes = said or known.lying(asset.path)
        found = _moved_here(departed, asset)
        if found is not None and said is not None:
            # It took the place of another asset, whose words go; what was said here since HEAD stays.
            notes = merge.merge(known.in_head(asset.path), found, said).sidecar
        if found is None:
            found = known.find(asset.path, asset.hash)
        if found is not None:
            card = found.moved(inside)
        else:
            facts = _facts(repository, asset, noted)
            origin = record.Origin(default_source=record.GIT, user=repository.settings.user)
            card = record.new_sidecar(inside, asset.hash, facts, origin, said or known.previous(asset.path))
        asset.new_card = card if notes is None else _with_notes_of(card, notes)


def _facts(repository: Repository, asset: Asset, notes: Notes) -> record.Facts:
    """Gives what was noted of the object, or reads it; one that is not here, or is damaged, leaves everything unknown."""
    try:
        noted = notes.facts(asset.hash)
        if noted is None:
            return record.read_facts(repository.store, asset.hash)
        repository.store.vouch(asset.hash)
        return noted
    except (ObjectMissing, ObjectCorrupt):
        return record.NOTHING_KNOWN


def _with_notes_of(card: Sidecar, notes: Sidecar) -> Sidecar:
    """Gives `card` with the tags, licence, meta and unknown keys of `notes`."""
    return record.fitting(card._replace(tags=notes.tags, license=notes.license, meta=notes.meta, extra=notes.extra))


def _departed(repository: Repository, plan: Plan) -> dict[str, list[Sidecar]]:
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


def _moved_here(departed: dict[str, list[Sidecar]], asset: Asset) -> Sidecar | None:
    """Takes the sidecar of an asset with these bytes that left another path; the same name is preferred."""
    candidates = departed.get(asset.hash, [])
    name = os.path.basename(asset.path)
    for said in sorted(candidates, key=lambda card: os.path.basename(card.path) != name):
        candidates.remove(said)
        return said
    return None


def _orphans(repository: Repository, plan: Plan) -> list[Entry]:
    """Gives the sidecars whose asset is gone: removed or moved away by this commit, or by one that skipped the hook.

    One that comes with this commit may be waiting for its asset, unless it is what a merge left of an asset that one side
    deleted and the other tagged; one that is no sidecar of ours is not touched.
    """
    alone = {path: entry for path, entry in plan.cards.items() if path not in plan.views}
    settled = {path: entry for path, entry in alone.items() if entry.path not in plan.changes}
    ours = parse_all(
        blobs.read_small_blobs(repository.git, (entry.oid for entry in settled.values()), canonical.LONGEST_JSON)
    )
    kept = {entry.path for entry in staging.entries(repository.git, sorted(settled))} if settled else set()
    left = _left_by_merge(repository, plan, [path for path in alone if path not in settled])
    return [
        entry
        for path, entry in alone.items()
        if (path in plan.changes and plan.changes[path].new_mode == staging.GONE)
        or (path in settled and entry.oid in ours and path not in kept)
        or path in left
    ]


def _left_by_merge(repository: Repository, plan: Plan, paths: list[str]) -> set[str]:
    """Gives the assets that HEAD deleted and of which a merge or pick brings the sidecar alone, and says so."""
    new = [path for path in paths if plan.changes[names.sidecar_path(path)].old_mode == staging.GONE]
    heads = blobs.known(repository.git, HEADS[:-1]) if new else []
    left = {path for head in heads for path in staging.tree_entries(repository.git, head, new)}
    for path in sorted(left):
        note(
            f"'{names.printable(path)}' is deleted, and its sidecar goes with it;"
            " to have it back: git checkout the other side's file and sidecar"
        )
    return left
