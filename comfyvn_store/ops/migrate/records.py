"""Sidecars of migrated art: read from the bytes as `register` does, with the source `import` where those say nothing."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable

from comfyvn_store.asset import record, sidecar
from comfyvn_store.asset.known import KnownSidecars, on_disk
from comfyvn_store.asset.record import Facts, Origin
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base.uuid7 import uuid7
from comfyvn_store.errors import ObjectCorrupt, ObjectMissing
from comfyvn_store.hot.lookup import HistoryRecords
from comfyvn_store.ops import cards
from comfyvn_store.vcs import history
from comfyvn_store.vcs.repository import Repository

# So many objects' facts are kept while a history is rewritten; graphs can be large.
_KEPT = 500


class FactsOf:
    """What objects say of themselves, read once."""

    def __init__(self, repository: Repository) -> None:
        self._store = repository.store
        self._kept: OrderedDict[str, Facts] = OrderedDict()

    def read(self, hash_: str, size: int | None) -> Facts:
        """Gives the facts; of an object that is not here only the size that its pointer tells is known."""
        found = self._kept.get(hash_)
        if found is None:
            try:
                found = record.read_facts(self._store, hash_)
            except (ObjectMissing, ObjectCorrupt):
                found = record.NOTHING_KNOWN._replace(size=size)
            self._kept[hash_] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found


def for_tree(repository: Repository, assets: Iterable[tuple[str, str, int | None]]) -> dict[str, Sidecar]:
    """Gives the sidecar of each asset (top-relative path, hash, size) of the work tree: the known one, or a new one."""
    facts, found = FactsOf(repository), {}
    items = list(assets)
    lookup = HistoryRecords(repository)
    try:
        known = KnownSidecars(repository, [path for path, _, _ in items], lookup.newest_blob)
        for path, hash_, size in items:
            inside = repository.inside(path) or ""
            said = on_disk(repository, path) or cards.staged(repository, path)
            if said is not None and said.hash == hash_:
                found[path] = said.moved(inside)
                continue
            card = known.find(path, hash_)
            if card is None:
                origin = Origin(default_source=record.IMPORT, user=repository.settings.user)
                card = record.new_sidecar(inside, hash_, facts.read(hash_, size), origin, said or known.previous(path))
            elif said is not None:
                card = card._replace(tags=said.tags, license=said.license, meta=said.meta, extra=said.extra)
            found[path] = card.moved(inside)
    finally:
        lookup.close()
    return found


def for_commit(
    inside: str, hash_: str, facts: Facts, commit: str, seconds: int, previous: Sidecar | None, parent: str | None
) -> bytes:
    """Gives the text of the sidecar of bytes that a commit brought, the same wherever it is made: its record's id and time
    follow from path, hash, commit and the commit's time. `parent` is the hash of the version that they replaced."""
    origin = Origin(default_source=record.IMPORT, parent=parent)
    card = record.new_sidecar(inside, hash_, facts, origin, previous)
    seed = b"\0".join((inside.encode("utf-8"), hash_.encode("ascii"), commit.encode("ascii")))
    moment = min(max(seconds, 0), (1 << 48) // 1000 - 1)
    id_ = uuid7(moment * 1000, hashlib.sha256(seed).digest()[:10])
    made = card.provenance._replace(id=id_, created_at=history.iso_time(moment), parent=parent)
    return sidecar.encode(card._replace(provenance=made))
