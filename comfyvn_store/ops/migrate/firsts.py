"""Records of a migration that left history as it was, when that is migrated later: the commit that brought the bytes has a
record of its own then, and sidecars from the migration's commit on get that one. What people wrote in them stays."""

from __future__ import annotations

from comfyvn_store.asset import sidecar
from comfyvn_store.asset.sidecar import Record, Sidecar
from comfyvn_store.base import canonical, links
from comfyvn_store.vcs.trees import Node, Trees


class Firsts:
    """The first record of each that a migration made, by the later one's id."""

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self._records: dict[str, Record] = {}

    def is_taken_over(self, node: Node | None, hash_: str) -> bool:
        """Tells whether an entry is the link to the bytes that another program's pointer stood for."""
        text = self._trees.read(node.oid, links.LONGEST) if node is not None else None
        return text is not None and links.parse_link_bytes(text[1]) == hash_

    def learn(self, own: Node | None, first: Sidecar | None) -> Node | None:
        """Notes that a migration made the sidecar `own` where `first` says who brought the bytes; gives what is to stand."""
        said = self.read(own.oid) if own is not None else None
        if own is None or said is None or first is None or said.hash != first.hash:
            return own
        self._records[said.provenance.id] = first.provenance
        return Node(own.mode, self.applied(own.oid))

    def applied(self, oid: str) -> str:
        """Gives a sidecar with the first record in place of a migration's; any other as it is."""
        said = self.read(oid) if self._records else None
        record = self._records.get(said.provenance.id) if said is not None else None
        if said is None or record is None:
            return oid
        return self._trees.write("blob", sidecar.encode(said._replace(provenance=record)))

    def read(self, oid: str) -> Sidecar | None:
        """Gives a sidecar, None for one that is broken."""
        found = self._trees.read(oid, canonical.LONGEST_JSON)
        return sidecar.decode_if_whole(found[1]) if found is not None else None
