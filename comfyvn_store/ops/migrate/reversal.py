"""`uninstall --history`: every link in history becomes the bytes that it stands for, sidecars and our attributes go.

A file whose marker proves which bytes it was made from gets those back, so that a history of raw files that was
migrated, or art that was added with `git add`, has the blobs again that it had.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

from comfyvn_store.asset import marking, sidecar, worktree
from comfyvn_store.base import canonical, links, names, pointers
from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.errors import ObjectCorrupt, ObjectMissing
from comfyvn_store.ops.migrate import lines, rewrite, safety
from comfyvn_store.ops.migrate.outcome import Rewrite
from comfyvn_store.ops.session import Session
from comfyvn_store.ops.wiring import split_block
from comfyvn_store.vcs import attributes, blobs, rewriting, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.rewriting import Step
from comfyvn_store.vcs.staging import Change, Entry
from comfyvn_store.vcs.trees import Node, Trees

_BATCH = 2000


def restore_history(session: Session, *, is_trial: bool, progress: Progress | None = None) -> Rewrite:
    """Rewrites all branches and tags, and lets the work tree follow. Raises Refused where that would lose something,
    ObjectMissing and ObjectCorrupt naming the files, GitFailed, OSError, LockTimeout."""
    repository = session.repository
    tell = progress or quietly
    with worktree.alone(repository, worktree.PATIENCE):
        if not is_trial:
            rewrite.finish_pending(repository)
        safety.require_rewritable(repository)
        safety.require_clean(repository, ())
        past = _read(repository, tell)
        linked = past.linked
        _check(repository, linked, tell)
        if is_trial:
            number = rewriting.count(repository.git, rewriting.refs(repository))
            return Rewrite(number, 0, 0, None, None)
        raw = _write_raw(repository, sorted(linked), tell)
        return _rewrite(repository, raw, past.lfs_off(repository.root), tell)


@dataclass
class _Past:
    """What all commits hold: the objects that links name, with the paths of those links; files that Git LFS keeps below the
    assets root; and each version of the files of attributes that the art there heeds."""

    linked: dict[str, set[str]] = field(default_factory=dict)
    pointers: set[str] = field(default_factory=set)
    texts: dict[str, set[bytes]] = field(default_factory=dict)

    def lfs_off(self, root: str) -> list[bytes]:
        """Gives the lines that keep Git LFS away from art that it does not keep."""
        return lines.lfs_off(root, self.texts, self.pointers)


def _read(repository: Repository, progress: Progress) -> _Past:
    """Reads what the commits hold."""
    past = _Past()
    parts = repository.root.split("/")
    heeded = {"/".join([*parts[:depth], attributes.NAME]) for depth in range(len(parts) + 1)}
    batch: list[Entry] = []

    def read() -> None:
        hashes = blobs.read_links(repository.git, (entry.oid for entry in batch))
        art = [entry for entry in batch if repository.is_asset_path(entry.path)]
        for entry in art:
            if entry.oid in hashes:
                past.linked.setdefault(hashes[entry.oid], set()).add(entry.path)
        small = [entry.oid for entry in art if entry.mode != staging.LINK and entry.oid not in hashes]
        for oid, text in blobs.read_small_blobs(repository.git, small, pointers.LONGEST_LFS).items():
            if pointers.lfs_fields(text) is not None:
                past.pointers |= {repository.inside(entry.path) or "" for entry in art if entry.oid == oid}
        said = {entry.oid: entry.path for entry in batch if entry.path in heeded and entry.mode == staging.FILE}
        for oid, text in blobs.read_small_blobs(repository.git, said, lines.LONGEST).items():
            past.texts.setdefault(said[oid], set()).add(text)
        batch.clear()

    for entry in rewrite.versions(repository, None, progress):
        batch.append(entry)
        if len(batch) >= _BATCH:
            read()
    read()
    return past


def _check(repository: Repository, linked: dict[str, set[str]], progress: Progress) -> None:
    """Reads all objects. Raises ObjectMissing or ObjectCorrupt."""
    missing, corrupt = [], []
    for number, (hash_, paths) in enumerate(sorted(linked.items())):
        try:
            repository.store.verify(hash_)
        except ObjectMissing:
            missing += sorted(paths)
        except ObjectCorrupt:
            repository.store.suspect(hash_)
            corrupt += sorted(paths)
        progress("checking objects", number + 1, len(linked))
    if missing:
        raise ObjectMissing(
            f"versions of {_listed(missing)} are not in the store",
            hint="`comfyvn-store pull --rev HEAD` fetches those of HEAD; for old ones name a range",
        )
    if corrupt:
        raise ObjectCorrupt(f"versions of {_listed(corrupt)} are damaged", hint="run `comfyvn-store recover`")


def _listed(paths: list[str]) -> str:
    unique = list(dict.fromkeys(paths))
    shown = ", ".join(f"'{names.printable(path)}'" for path in unique[:8])
    return shown + (f" and {len(unique) - 8} more" if len(unique) > 8 else "")


# -- bytes -----------------------------------------------------------------------------------------------------------


def _write_raw(repository: Repository, hashes: list[str], progress: Progress) -> dict[str, str]:
    """Writes the bytes of objects into git's database and gives the blob of each."""
    found: dict[str, str] = {}
    for number, hash_ in enumerate(hashes):
        with _unmarked(repository, hash_) as place:
            words = ("hash-object", "-w", "-t", "blob", "--no-filters", "--", place)
            found[hash_] = repository.git.text(*words)
        progress("giving bytes back to git", number + 1, len(hashes))
    return found


@contextlib.contextmanager
def _unmarked(repository: Repository, hash_: str) -> Iterator[str]:
    """Gives a file with an object's bytes, without a marker that proves what they were before."""
    store = repository.store
    with store.open(hash_) as stream:
        found = marking.look(stream)
        said = found.said if found else None
        if found is not None and said is not None:
            with store.temp() as temp:
                digest = hashlib.sha256()
                for block in marking.blocks(stream, found.without()):
                    digest.update(block)
                    temp.write(block)
                if digest.hexdigest() == said["source_hash"]:
                    yield temp.path
                    return
    yield store.path(hash_)


# -- history ---------------------------------------------------------------------------------------------------------


def _rewrite(repository: Repository, raw: dict[str, str], off: list[bytes], progress: Progress) -> Rewrite:
    trees = Trees(repository.git, repository.object_format)
    with closing(trees):
        rule = _Rule(repository, trees, raw, off)
        return rewrite.run(repository, trees, rule.edits, "comfyvn-store uninstall --history", progress)[0]


class _Rule:
    """What has to be different in each commit's tree."""

    def __init__(self, repository: Repository, trees: Trees, raw: dict[str, str], off: list[bytes]) -> None:
        self._repository = repository
        self._trees = trees
        self._raw = raw
        self._off = b"".join(line + b"\n" for line in off)
        self._ground = repository.full(attributes.NAME)

    def edits(self, step: Step) -> dict[str, Node | None] | None:
        """Gives what differs from the first parent's new tree, None where nothing of this commit is ours."""
        before = step.old_parents[0][1] if step.old_parents else self._trees.empty
        changes = self._trees.changes(before, step.tree)
        edits = {change.path: self._passed(change) for change in changes}
        if step.begins_unchanged and all(rewriting.passes(change, edits) for change in changes):
            return None
        return edits

    def _passed(self, change: Change) -> Node | None:
        if change.new_mode == staging.GONE:
            return None
        node = Node(change.new_mode, change.new_oid)
        if change.path == self._ground:
            return self._without_block(node)
        if self._repository.inside(change.path) is None or change.new_mode == staging.GITLINK:
            return node
        if names.is_sidecar(change.path):
            found = self._trees.read(change.new_oid, canonical.LONGEST_JSON)
            return None if found is not None and sidecar.decode_if_whole(found[1]) is not None else node
        found = self._trees.read(change.new_oid, links.LONGEST)
        hash_ = links.parse_link_bytes(found[1]) if found is not None else None
        if hash_ is None or hash_ not in self._raw:
            return node
        mode = staging.EXECUTABLE if change.new_mode == staging.EXECUTABLE else staging.FILE
        return Node(mode, self._raw[hash_])

    def _without_block(self, node: Node) -> Node | None:
        found = self._trees.read(node.oid, lines.LONGEST)
        if found is None:
            return node
        rest, block = split_block(found[1])
        if not block:
            return node
        rest += self._off
        return Node(node.mode, self._trees.write("blob", rest)) if rest else None
