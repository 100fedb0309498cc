"""What a run looks at: the objects that git's index and HEAD need, or a revision, all of it or what lies at some paths.

What sidecars say of the objects is read once somebody has to know (`complete`)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from comfyvn_store.asset import sidecar
from comfyvn_store.base import canonical, names
from comfyvn_store.errors import UnknownAsset, UnknownRevision
from comfyvn_store.ops import naming, versions
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

_BATCH = 2000


class Said(NamedTuple):
    """What a sidecar that git has says of an object, as far as the object itself can contradict it."""

    path: str
    size: int | None
    source_hash: str | None
    workflow_hash: str | None
    source: str | None


@dataclass
class Needed:
    """An object that is needed: the paths (relative to the top) at which it is, and what sidecars say of it. `revision` is
    where it was found, None for git's index."""

    paths: list[str] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    revision: str | None = None

    @property
    def size(self) -> int | None:
        """The number of bytes that it should have, where somebody knows."""
        return next((said.size for said in self.said if said.size is not None), None)


@dataclass
class Scope:
    """`revisions` is empty for the work tree, `limits` (top-relative paths, "." for the top) for everything in it."""

    revisions: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    needed: dict[str, Needed] = field(default_factory=dict)
    # Sidecar blobs that were not read yet, each with a path of it.
    cards: dict[str, str] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether nobody asked for a part."""
        return not self.revisions and not self.limits

    def covers(self, path: str) -> bool:
        """Tells whether a top-relative path is to be looked at."""
        return not self.limits or any(
            limit == "." or path == limit or path.startswith(f"{limit}/") for limit in self.limits
        )


def read(repository: Repository, words: Sequence[str]) -> Scope:
    """Finds out what paths and revisions a person means, and which objects those need.

    Raises UnknownRevision for a word that is neither, UnknownAsset for a path below which nothing is.
    """
    revisions, limits = _parse(repository, words)
    scope = Scope(tuple(revisions), tuple(limits))
    entries: list[Entry] = []
    listings = (
        ((revision, versions.entries_at(repository, revision)) for revision in revisions)
        if revisions
        else _of_work_tree(repository)
    )
    for revision, listing in listings:
        covered = [entry for entry in listing if scope.covers(entry.path)]
        entries += covered
        for version in versions.linked(repository, covered):
            scope.needed.setdefault(version.hash, Needed(revision=revision)).paths.append(version.path)
    for need in scope.needed.values():
        need.paths = list(dict.fromkeys(need.paths))
    for entry in entries:
        if entry.mode in (staging.FILE, staging.EXECUTABLE) and names.is_sidecar(entry.path):
            scope.cards.setdefault(entry.oid, entry.path)
    if limits and not entries:
        raise UnknownAsset(
            f"nothing that git knows lies at '{names.printable(limits[0])}'",
            hint="`comfyvn-store list` shows the assets there are",
        )
    return scope


def _of_work_tree(repository: Repository) -> Iterator[tuple[str | None, Sequence[Entry]]]:
    yield None, staging.entries(repository.git, [""])
    if blobs.resolve(repository.git, "HEAD") is not None:  # of what both have once is enough
        changes = staging.staged_changes(repository.git, "HEAD", "")
        yield (
            "HEAD",
            [Entry(each.path, each.old_mode, each.old_oid) for each in changes if each.old_mode != staging.GONE],
        )


def _parse(repository: Repository, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tells revisions and ranges from paths: what is a file here is a path, as a path wins in no command of git's alone."""
    revisions, limits = [], []
    for word in words:
        path = naming.to_top(repository, word) if naming.is_text(word) else None
        if path is not None and os.path.lexists(repository.absolute(path)):
            limits.append(path)
        elif ".." in word or blobs.resolve(repository.git, word) is not None:
            revisions.append(word)
        elif path is not None and staging.entries(repository.git, [path]):
            limits.append(path)
        else:
            raise UnknownRevision(
                f"'{names.printable(word)}' is neither a path nor a revision here",
                hint="`comfyvn-store list` shows the assets, `git log --oneline` the commits",
            )
    return revisions, limits


def complete(repository: Repository, scope: Scope) -> None:
    """Reads what the sidecars say, if that was not done yet, a few thousand at a time: `Needed.said` is empty before."""
    cards, scope.cards = scope.cards, {}
    oids = list(cards)
    for start in range(0, len(oids), _BATCH):
        texts = blobs.read_small_blobs(repository.git, oids[start : start + _BATCH], canonical.LONGEST_JSON)
        for oid, text in texts.items():
            card = sidecar.decode_if_whole(text)
            if card is not None and card.hash in scope.needed:
                record = card.provenance
                scope.needed[card.hash].said.append(
                    Said(cards[oid], card.bytes, record.source_hash, record.workflow_hash, record.source)
                )
