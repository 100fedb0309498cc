"""`lineage`: what an asset was made from, and what was made from it, over all history."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from comfyvn_store.errors import UnknownAsset
from comfyvn_store.index import ingredients, kinship
from comfyvn_store.index.kinship import Pictures, Version
from comfyvn_store.ops import naming, provenance
from comfyvn_store.ops.session import Session

FACT, INFERRED = "fact", "inferred"
ASSET, MODEL, LORA, IMAGE = "asset", "model", "lora", "image"
PARENT = "parent"
# An answer is for people and for pictures of it: what is larger says that it is cut short.
MOST_NODES = 1000


class Edge(NamedTuple):
    """`source` went into `target`. `name` is what the target's record says, `strength` that of a LoRA."""

    source: str
    target: str
    kind: str
    basis: str
    how: str
    name: str | None = None
    strength: float | None = None


@dataclass
class Lineage:
    """A graph: nodes by their id, edges from what went in to what came out; `root` is the asset that was asked for."""

    root: str
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    workflow_hash: str | None = None
    same_workflow: int = 0
    same_batch: int = 0
    is_cut: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Gives it as plain data."""
        return {
            "asset": self.nodes[self.root],
            "nodes": list(self.nodes.values()),
            "edges": [
                {"from": edge.source, "to": edge.target, **{k: v for k, v in edge._asdict().items() if k not in _ENDS}}
                for edge in self.edges
            ],
            "workflow": {"hash": self.workflow_hash, "others": self.same_workflow, "same_seed": self.same_batch},
            "cut_short": self.is_cut,
        }

    def into(self, id_: str) -> list[Edge]:
        """Gives what went into a node."""
        return [edge for edge in self.edges if edge.target == id_]

    def out_of(self, id_: str) -> list[Edge]:
        """Gives what came out of a node."""
        return [edge for edge in self.edges if edge.source == id_]


_ENDS = ("source", "target")


def lineage(session: Session, name: str, *, depth: int = 3) -> Lineage:
    """Gives the lineage of the asset called `name`, a version in history, or one that is gone, so many steps both ways.

    Raises UnknownAsset, AmbiguousAsset, UnknownRevision.
    """
    version = _named(session, name)
    walk = _Walk(session, version)
    walk.go(version, depth, walk.before)
    walk.go(version, depth, walk.after)
    found = walk.found
    found.workflow_hash = version.workflow_hash
    found.same_workflow, found.same_batch = kinship.with_workflow(session.index, version)
    return found


def _named(session: Session, name: str) -> Version:
    """Gives the version that a person means, from the index or, where that does not have it, as its sidecar says."""
    try:
        said = naming.version(session, name)
    except UnknownAsset:
        records = provenance.provenance(session, name) if ":" not in name else []
        found = kinship.by_id(session.index, records[0]["id"]) if records else None
        if found is None:
            raise
        return found
    record = said.record.get("provenance") or {}
    known = kinship.by_id(session.index, record.get("id") or "")
    if known is not None and known.hash == said.hash:
        return known._replace(path=said.inside)
    inputs = record.get("inputs") or {}
    return Version(
        -1,
        record.get("id") or f"object:{said.hash}",
        said.hash,
        said.inside,
        record.get("source"),
        record.get("workflow_hash"),
        said.record.get("commit"),
        inputs,
        record.get("created_at"),
        record.get("parent"),
        record.get("source_hash"),
        False,
        ingredients.seed(inputs),
    )


class _Walk:
    def __init__(self, session: Session, root: Version) -> None:
        self._session = session
        self._pictures = Pictures(session.index)
        self._known: set[Edge] = set()
        self.found = Lineage(root.id)
        self._add(root)

    def go(self, root: Version, depth: int, step: Any) -> None:
        """Walks in one direction, breadth first, each version once, so that nothing goes round for ever."""
        seen = {root.id}
        waiting = deque([(root, 0)])
        while waiting:
            version, far = waiting.popleft()
            if far >= depth:
                continue
            for other in step(version):
                if len(self.found.nodes) >= MOST_NODES:
                    self.found.is_cut = True
                    return
                if other.id not in seen:
                    seen.add(other.id)
                    waiting.append((other, far + 1))

    def before(self, version: Version) -> Iterator[Version]:
        """Notes what went into a version; gives those of it that are versions."""
        if version.parent:
            parent = kinship.parent(self._session.index, version)
            if parent is not None:
                self._link(self._add(parent), version.id, PARENT, FACT, PARENT)
                yield parent
            else:
                id_ = self._loose(f"object:{version.parent}", {"kind": ASSET, "hash": version.parent, "known": False})
                self._link(id_, version.id, PARENT, FACT, PARENT)
        for part in ingredients.parts(None, version.inputs):
            if part.kind in (ingredients.MODEL, ingredients.REFINER, ingredients.LORA, ingredients.OTHER):
                kind = LORA if part.kind == ingredients.LORA else MODEL
                id_ = self._loose(f"{kind}:{part.name}", {"kind": kind, "name": part.name})
                self._link(id_, version.id, part.kind, FACT, "metadata", part.name, part.strength)
            elif part.kind == ingredients.IMAGE:
                yield from self._images(version, part.name)

    def _images(self, version: Version, name: str) -> Iterator[Version]:
        how, found = self._pictures.said(name)
        basis = FACT if found else INFERRED
        if not found:
            how, found = "name", self._pictures.called(name, version)
        found = [each for each in found if each.id != version.id]
        if not found:
            id_ = self._loose(f"image:{name}", {"kind": IMAGE, "name": name, "known": False})
            self._link(id_, version.id, IMAGE, FACT, "metadata", name)
        for each in found[:1] if basis == FACT else found:
            self._link(self._add(each), version.id, IMAGE, basis, how, name)
            yield each

    def after(self, version: Version) -> Iterator[Version]:
        """Notes what came out of a version, and gives it."""
        for each in kinship.later(self._session.index, version):
            self._link(version.id, self._add(each), PARENT, FACT, PARENT)
            yield each
        for name, user in self._pictures.users(version):
            how, said = self._pictures.said(name)
            if said:
                if said[0].hash == version.hash:
                    self._link(version.id, self._add(user), IMAGE, FACT, how, name)
                    yield user
            elif any(each.id == version.id for each in self._pictures.called(name, user)):
                self._link(version.id, self._add(user), IMAGE, INFERRED, "name", name)
                yield user

    def _add(self, version: Version) -> str:
        if version.id not in self.found.nodes:
            self.found.nodes[version.id] = {
                "id": version.id,
                "kind": ASSET,
                "known": True,
                "path": version.path,
                "view": self._session.repository.full(version.path),
                "uid": version.hash[:16],
                "hash": version.hash,
                "source": version.source,
                "seed": version.inputs.get("seed"),
                "workflow_hash": version.workflow_hash,
                "commit": version.commit,
                "current": version.is_current,
            }
        return version.id

    def _loose(self, id_: str, what: dict[str, Any]) -> str:
        self.found.nodes.setdefault(id_, {"id": id_, **what})
        return id_

    def _link(
        self,
        source: str,
        target: str,
        kind: str,
        basis: str,
        how: str,
        name: str | None = None,
        strength: float | None = None,
    ) -> None:
        edge = Edge(source, target, kind, basis, how, name, strength)
        if edge not in self._known:
            self._known.add(edge)
            self.found.edges.append(edge)
