"""Records that git already knows: bytes that come back are no new record.

Looks, for a path and a hash, at the commits a merge, pick or rebase is made from, at HEAD, at the sidecar on disk, and at
history through the index, in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from comfyvn_store.asset import sidecar, worktree
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import canonical, names
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository

# Where the versions that git is about to bring together come from.
HEADS = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD", "HEAD")

# Gives the git blob of the newest sidecar in history that speaks of these bytes at this path, or None.
HistoryLookup = Callable[[str, str], str | None]


class KnownSidecars:
    """What was said before of assets at the given paths (relative to the work tree's top)."""

    def __init__(self, repository: Repository, paths: Sequence[str], history: HistoryLookup) -> None:
        self._repository = repository
        self._history = history
        cards = [names.sidecar_path(path) for path in paths]
        heads = blobs.known(repository.git, HEADS) if cards else []
        trees = {head: staging.tree_entries(repository.git, head, cards) for head in heads}
        self._trees = list(trees.values())
        self._head = trees.get("HEAD", {})
        self._lying: dict[str, Sidecar | None] = {}
        oids = {entry.oid for tree in self._trees for entry in tree.values()}
        self._parsed = parse_all(blobs.read_small_blobs(repository.git, oids, canonical.LONGEST_JSON))

    def find(self, path: str, hash_: str) -> Sidecar | None:
        """Gives what is known of these bytes at this path, or None if they are new here."""
        for said in self._said(path):
            if said.hash == hash_:
                return said
        inside = self._repository.inside(path)
        oid = self._history(inside, hash_) if inside else None
        if oid is None:
            return None
        found = parse_all(blobs.read_small_blobs(self._repository.git, [oid], canonical.LONGEST_JSON))
        return found.get(oid)

    def previous(self, path: str) -> Sidecar | None:
        """Gives the version that stood at this path before: HEAD's, else what lies on disk."""
        return self.in_head(path) or self.lying(path)

    def lying(self, path: str) -> Sidecar | None:
        """Gives what lies on disk beside this path; it is read once."""
        if path not in self._lying:
            self._lying = {path: on_disk(self._repository, path)}
        return self._lying[path]

    def in_head(self, path: str) -> Sidecar | None:
        """Gives the version that HEAD has at this path."""
        entry = self._head.get(names.sidecar_path(path))
        return self._parsed.get(entry.oid) if entry else None

    def _said(self, path: str) -> Iterable[Sidecar]:
        card = names.sidecar_path(path)
        for tree in self._trees:
            entry = tree.get(card)
            said = self._parsed.get(entry.oid) if entry else None
            if said is not None:
                yield said
        said = self.lying(path)
        if said is not None:
            yield said


def on_disk(repository: Repository, path: str) -> Sidecar | None:
    """Gives an asset's sidecar as it lies on disk, or None if there is none that parses."""
    return sidecar.decode_if_whole(worktree.read_sidecar(repository, names.sidecar_path(path)))


def parse_all(texts: Mapping[str, bytes]) -> dict[str, Sidecar]:
    """Parses sidecars by blob id; broken ones are left out."""
    parsed = ((oid, sidecar.decode_if_whole(data)) for oid, data in texts.items())
    return {oid: card for oid, card in parsed if card is not None}
