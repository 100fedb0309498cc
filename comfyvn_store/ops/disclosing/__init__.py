"""`disclose`, also called `credits`: what ships in a revision, read from that revision's tree: what was generated, with what,
under which licence, by whom; and what of that is not known.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from comfyvn_store.asset import sidecar
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import canonical, links, names
from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.errors import UnknownRevision
from comfyvn_store.index.ingredients import MEDIA
from comfyvn_store.index.prints import open_prints
from comfyvn_store.ops import inference, naming
from comfyvn_store.ops.disclosing.judging import Disclosed, inherit, judge
from comfyvn_store.ops.session import Session
from comfyvn_store.vcs import blobs, history, staging
from comfyvn_store.vcs.repository import Repository

_LONGEST_CHAIN = 10_000


@dataclass
class Report:
    """What ships in a revision. `others` is the number of files below the assets root that are no assets."""

    revision: str
    commit: str
    committed_at: str | None
    assets: list[Disclosed] = field(default_factory=list)
    others: int = 0

    @property
    def unknown(self) -> list[Disclosed]:
        """Those of which something is not known."""
        return [each for each in self.assets if each.unknown]

    def counts(self) -> dict[str, dict[str, int]]:
        """Gives how many assets there are by what is known of them; what is not known is counted under "" (no text)."""
        return {
            "generated": _counted(_WORDS[each.generated] for each in self.assets),
            "license": _counted(each.license or "" for each in self.assets),
            "program": _counted(each.program for each in self.assets if each.program),
            "model": _counted(name for each in self.assets for name in {each.model, each.refiner} if name),
            "lora": _counted(name for each in self.assets for name in {lora["name"] for lora in each.loras} if name),
            "author": _counted(each.author or "" for each in self.assets),
        }

    def as_dict(self) -> dict[str, Any]:
        """Gives it as plain data."""
        return {
            "revision": self.revision,
            "commit": self.commit,
            "committed_at": self.committed_at,
            "counts": {"assets": len(self.assets), "other_files": self.others, **self.counts()},
            "unknown": [{"path": each.path, "unknown": each.unknown} for each in self.unknown],
            "assets": [each.as_dict() for each in self.assets],
        }


_WORDS = {True: "yes", False: "no", None: "not stated"}


def _counted(found: Iterator[str] | Any) -> dict[str, int]:
    return dict(sorted(Counter(found).items(), key=lambda item: (-item[1], item[0])))


def disclose(session: Session, revision: str = "HEAD", progress: Progress | None = None) -> Report:
    """Gives the report of a revision. Raises UnknownRevision."""
    repository = session.repository
    try:
        commit = naming.commit(repository, revision)
    except UnknownRevision:
        if revision != "HEAD":
            raise
        hint = "the report is about what is committed: git commit"
        raise UnknownRevision("there is no commit yet", hint=hint) from None
    when = int(repository.git.text("log", "-1", "--no-show-signature", "--format=%ct", commit) or 0)
    report = Report(revision, commit, history.iso_time(when))
    tree = _Tree(repository, commit)
    people = _People(session)
    tell = progress or quietly
    silent: list[tuple[Disclosed, Sidecar]] = []
    for number, (path, hash_, card) in enumerate(tree.assets(), 1):
        found = judge(path, card, hash_)
        if card is not None and card.hash == hash_:
            people.tell(found, card.provenance.id)
            if found.generated is None and card.provenance.parent:
                silent.append((found, card))
        report.assets.append(found)
        tell("reading sidecars", number, tree.total)
    _inherit(session, silent)
    report.others = tree.others  # those that proved to be none while they were read as well
    report.assets.sort(key=lambda each: names.os_bytes(each.path))
    return report


def _inherit(session: Session, silent: list[tuple[Disclosed, Sidecar]]) -> None:
    """Says of assets whose files say nothing what they inherit from versions before them that they look like."""
    if not silent:
        return
    with open_prints(session.repository) as prints:
        for found, card in silent:
            record = sidecar.record_dict(card.provenance)
            inside = session.repository.inside(found.path) or card.path
            inherited = inference.inferred(session.index, prints, card.hash, record, inside)
            if inherited is not None:
                inherit(found, inherited)


class _Tree:
    """The assets of a commit's tree."""

    def __init__(self, repository: Repository, commit: str) -> None:
        self._repository = repository
        self._views: dict[str, str] = {}
        self._cards: dict[str, str] = {}
        self.others = 0
        words = ("ls-tree", "-r", "-z", "--full-tree", commit, "--", repository.root)
        for item in repository.git.run(*words).split(b"\0"):
            if not item:
                continue
            about, _, raw = item.partition(b"\t")
            mode, _, oid = about.decode("ascii").split(" ")[:3]
            path = os.fsdecode(raw)
            if names.is_sidecar(path):
                self._cards[path] = oid
            elif mode != staging.GITLINK and repository.is_asset_path(path):
                self._views[path] = oid
            elif path != repository.full(".gitattributes"):
                self.others += 1
        self.total = len(self._views)

    def assets(self) -> Iterator[tuple[str, str | None, Sidecar | None]]:
        """Gives path (from the top), hash and sidecar of each asset, as they are read; files that are neither links nor media
        are counted among the `others`."""
        repository = self._repository
        by_card: dict[str, list[str]] = {}
        for path in self._views:
            oid = self._cards.get(names.sidecar_path(path))
            if oid is not None:
                by_card.setdefault(oid, []).append(path)
        sizes = blobs.sizes(repository.git, by_card)
        small = [oid for oid in by_card if oid in sizes and sizes[oid].size <= canonical.LONGEST_JSON]
        rest = dict(self._views)
        doubtful: dict[str, Sidecar] = {}
        for oid, data in history.read_many(repository, small, in_process=True):
            card = sidecar.decode_if_whole(data)
            if card is None:
                continue
            for path in by_card[oid]:
                text = links.link_text(path, card.hash).encode()
                if blobs.blob_id(text, repository.object_format) == self._views[path]:
                    del rest[path]
                    yield path, card.hash, card
                else:
                    doubtful[path] = card
        hashes = blobs.read_links(repository.git, rest.values())
        for path, oid in rest.items():
            if oid in hashes:
                yield path, hashes[oid], doubtful.get(path)
            elif path.rpartition(".")[2].lower() in MEDIA:
                yield path, None, None
            else:
                self.others += 1


class _Brought(NamedTuple):
    """One version, as far as it matters for who made it."""

    id: str
    path: str
    parent: str | None
    commit: str | None


class _People:
    """Who brought which version: read from the index once for all assets."""

    def __init__(self, session: Session) -> None:
        db = session.index.db
        self._authors: dict[str, str] = dict(db.execute("SELECT hash, author FROM commits"))
        self._by_id: dict[str, _Brought] = {}
        self._by_hash: dict[str, list[_Brought]] = {}
        for hash_, *rest in db.execute("SELECT hash, id, path, parent, commit_hash FROM provenance ORDER BY id DESC"):
            version = _Brought(*rest)
            self._by_id[version.id] = version
            self._by_hash.setdefault(hash_, []).append(version)

    def tell(self, found: Disclosed, id_: str) -> None:
        """Says who brought an asset's first version, and who those after it."""
        version = self._by_id.get(id_)
        if version is None:
            return
        found.commit = version.commit
        chain = [version]
        seen = {version.id}
        while version.parent and len(chain) < _LONGEST_CHAIN:
            before = self._before(version, seen)
            if before is None:
                break
            seen.add(before.id)
            chain.append(before)
            version = before
        people = [self._authors.get(each.commit or "") for each in reversed(chain)]
        if version.parent:  # what came before is not in this history
            people.insert(0, None)
        found.author = people[0]
        found.edited_by = list(dict.fromkeys(person for person in people[1:] if person))

    def _before(self, version: _Brought, seen: set[str]) -> _Brought | None:
        found = [each for each in self._by_hash.get(version.parent or "", ()) if each.id not in seen]
        return next((each for each in found if each.path == version.path), found[0] if found else None)


def missing(report: Report) -> Mapping[str, list[str]]:
    """Gives, by what is not known, the assets of which it is not known."""
    found: dict[str, list[str]] = {}
    for each in report.unknown:
        for what in each.unknown:
            found.setdefault(what, []).append(each.path)
    return found
