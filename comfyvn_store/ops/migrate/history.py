"""Migrating a whole history: every commit of every branch and tag gets links and sidecars in place of what stood for art.

What a path and an object of git stand for is found out first, for all commits at once, and all bytes are taken in. Then
each commit is made anew from the new tree of its first parent and what it changed. A sidecar is made where bytes come to a
path, and stays with them through renames, merges and returns, as our hooks would have it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

from comfyvn_store.asset import sidecar, views, worktree
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import files, links, names
from comfyvn_store.base.telling import Progress
from comfyvn_store.ops.migrate import current, lines, records, rewrite, safety
from comfyvn_store.ops.migrate.choosing import Chosen
from comfyvn_store.ops.migrate.claims import Claim, Kind
from comfyvn_store.ops.migrate.firsts import Firsts
from comfyvn_store.ops.migrate.gathering import Gathered
from comfyvn_store.ops.migrate.outcome import Migrated, Rewrite
from comfyvn_store.ops.session import Session
from comfyvn_store.ops.wiring import split_block
from comfyvn_store.vcs import attributes, rewriting, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.rewriting import Step
from comfyvn_store.vcs.staging import Change
from comfyvn_store.vcs.trees import Node, Trees

# What one entry of git (path, mode, object) stands for: files with their objects and sizes.
Stands = Mapping[tuple[str, str, str], Mapping[str, tuple[str, int | None]]]
_FILES = (staging.FILE, staging.EXECUTABLE)


def migrate(
    session: Session, kind: Kind, asked: Sequence[str], *, is_trial: bool, clears_cache: bool, progress: Progress
) -> Migrated:
    """Rewrites all branches and tags. Raises Refused where that would lose something, GitFailed, OSError, LockTimeout."""
    repository = session.repository
    done = Migrated(kind.name, is_trial, kind.fetch)
    with worktree.alone(repository, worktree.PATIENCE):
        if not is_trial:
            rewrite.finish_pending(repository)
        safety.require_rewritable(repository)
        chooser = Chosen(repository, kind.name, asked)
        root = repository.root if kind.name == "raw" else None
        found = current.read_all(kind, rewrite.versions(repository, root, progress))
        chooser.remaining |= {each.path for each in found.left}
        claims = chooser.choose(found.claims)
        safety.require_clean(repository, _as_committed(repository, claims))
        gathered = Gathered(repository, kind, chooser, done)
        gathered.gather(claims, progress)
        done.left += chooser.left + [each for each in found.left if current.is_asked(each.path, asked)]
        done.left = list(dict.fromkeys(done.left))
        gathered.report(gathered.claims)
        if is_trial:
            number = rewriting.count(repository.git, rewriting.refs(repository))
            done.rewrite = Rewrite(number, 0, 0, None, None)
            return done
        if gathered.claims:
            _rewrite(repository, kind, gathered, chooser.remaining, done, progress)
            if clears_cache:
                done.cache = gathered.remove_cache()
    return done


def _rewrite(
    repository: Repository, kind: Kind, gathered: Gathered, remaining: set[str], done: Migrated, progress: Progress
) -> None:
    if kind.name == "annex":
        info = lines.info_without_annex(repository, is_needed=bool(remaining))
        if info is not None:
            files.write_atomic(lines.info_attributes(repository), info, sharing=repository.settings.sharing)
            done.adapted.append(os.path.relpath(lines.info_attributes(repository), repository.top))
    trees = Trees(repository.git, repository.object_format)
    with closing(trees):
        rule = _Rule(repository, trees, kind.name, gathered, remaining)
        reason = f"comfyvn-store migrate {kind.name} --history"
        done.rewrite, done.kept = rewrite.run(repository, trees, rule.edits, reason, progress)


def _as_committed(repository: Repository, claims: Sequence[Claim]) -> set[str]:
    """Gives the files of the work tree that have the bytes which their entry in git's index stands for."""
    entries = {entry[:3] for entry in staging.all_entries(repository.git)}
    found = set()
    for claim in claims:
        place = repository.absolute(claim.path)
        is_file = claim.carrier[:3] in entries and worktree.print_at(place) is not None
        if is_file and claim.version.hash is not None and views.has_bytes(place, claim.version.hash):
            found.add(claim.path)
    return found


class _Made(NamedTuple):
    """A sidecar that a commit brought: the commit and the sidecar's blob."""

    commit: str
    oid: str


class _Rule:
    """What has to be different in each commit's tree."""

    def __init__(
        self, repository: Repository, trees: Trees, kind_name: str, gathered: Gathered, remaining: set[str]
    ) -> None:
        self._repository = repository
        self._trees = trees
        self._kind = kind_name
        self._remaining = remaining
        self._stands = _stands(gathered)
        self._ignored = current.ignored_by(gathered.claims)
        self._facts = records.FactsOf(repository)
        self._made: dict[tuple[str, str], list[_Made]] = {}
        self._adapted: dict[tuple[str, str], str | None] = {}
        self._firsts = Firsts(trees)
        self._grounded: set[str] = set()  # commits that have our attributes
        self._ground = repository.full(attributes.NAME)
        self._exclusions = _exclusions(repository)

    def edits(self, step: Step) -> dict[str, Node | None] | None:
        """Gives what differs from the first parent's new tree, None where nothing of this commit is art."""
        before = step.old_parents[0][1] if step.old_parents else self._trees.empty
        edits: dict[str, Node | None] = {}
        was: dict[str, str] = {}
        now: dict[str, tuple[str, int | None]] = {}
        changes = self._trees.changes(before, step.tree)
        for change in changes:
            old = self._stands.get((change.path, change.old_mode, change.old_oid), {})
            new = self._stands.get((change.path, change.new_mode, change.new_oid), {})
            was.update({path: hash_ for path, (hash_, _) in old.items()})
            now.update(new)
            if change.path not in new:
                edits[change.path] = self._passed(change, is_replaced=bool(new))
        is_apart = step.begins_unchanged and not was and not now and not self._has_ground(step)
        if is_apart and all(rewriting.passes(change, edits) for change in changes):
            return None
        self._edit_assets(step, edits, was, now)
        self._lay_ground(step, edits, brings=bool(now))
        return edits

    def _edit_assets(
        self,
        step: Step,
        edits: dict[str, Node | None],
        was: Mapping[str, str],
        now: Mapping[str, tuple[str, int | None]],
    ) -> None:
        """Adds links and sidecars of the art that is there `now`, and takes away those of what `was`."""
        gone = {path: hash_ for path, hash_ in was.items() if path not in now}
        for path in [path for path, hash_ in gone.items() if self._firsts.is_taken_over(edits.get(path), hash_)]:
            del gone[path]
            own = self._trees.find(step.tree, names.sidecar_path(path))
            edits[names.sidecar_path(path)] = self._firsts.learn(own, self._previous(step, path))
        for path in gone:
            edits.setdefault(path, None)
            edits[names.sidecar_path(path)] = self._trees.find(step.tree, names.sidecar_path(path))
        for path, (hash_, size) in now.items():
            if was.get(path) != hash_:
                text = links.link_text(path, hash_).encode("ascii")
                edits[path] = Node(staging.LINK, self._trees.write("blob", text))
                card = self._card(step, path, hash_, size, was, gone)
                edits[names.sidecar_path(path)] = Node(staging.FILE, card)
            elif names.sidecar_path(path) in edits:
                del edits[names.sidecar_path(path)]

    def _passed(self, change: Change, *, is_replaced: bool) -> Node | None:
        """Gives what an entry becomes that is no art: itself, or without the lines that another program needed."""
        if change.new_mode == staging.GONE or is_replaced:
            return None
        oid: str | None = change.new_oid
        if names.is_sidecar(change.path) and change.new_mode in _FILES:
            oid = self._firsts.applied(change.new_oid)
        elif change.new_mode in _FILES and self._has_lines(change.path):
            oid = self._adapt(change.path, change.new_oid)
        return Node(change.new_mode, oid) if oid is not None else None

    def _has_lines(self, path: str) -> bool:
        if self._kind == "lfs":
            return attributes.is_attributes(path)
        return self._kind == "dvc" and os.path.basename(path) == lines.IGNORE

    def _adapt(self, path: str, oid: str) -> str | None:
        """Gives the adapted file's blob, None where nothing is left in it."""
        key = (path, oid)
        if key not in self._adapted:
            found = self._trees.read(oid, lines.LONGEST)
            self._adapted[key] = oid
            if found is not None:
                text = current.adapt(self._repository, self._kind, path, found[1], self._remaining, self._ignored)
                if text != found[1]:
                    self._adapted[key] = self._trees.write("blob", text) if text else None
        return self._adapted[key]

    # -- our attributes ---------------------------------------------------------------------------------------------

    def _has_ground(self, step: Step) -> bool:
        return any(parent in self._grounded for parent, _ in step.old_parents)

    def _lay_ground(self, step: Step, edits: dict[str, Node | None], *, brings: bool) -> None:
        """Gives a commit with art our attributes, so that git asks us on a branch that begins there."""
        if not brings and not self._has_ground(step):
            return
        self._grounded.add(step.commit)
        own = self._trees.find(step.tree, self._ground)
        text = b""
        if own is not None:
            oid = self._adapt(self._ground, own.oid) if self._has_lines(self._ground) else own.oid
            found = self._trees.read(oid, lines.LONGEST) if oid is not None else None
            text = found[1] if found is not None else b""
        if own is not None and own.mode not in _FILES:
            return
        if attributes.BEGIN.encode() not in (line.strip() for line in text.splitlines()):
            said = {line.strip() for line in text.splitlines()}
            extra = [line for line in self._exclusions if line not in said]
            block = [*(line.encode() for line in attributes.BLOCK[:-1]), *extra, attributes.END.encode()]
            text = b"".join(line + b"\n" for line in block) + text
        edits[self._ground] = Node(own.mode if own is not None else staging.FILE, self._trees.write("blob", text))

    # -- sidecars ---------------------------------------------------------------------------------------------------

    def _card(
        self,
        step: Step,
        path: str,
        hash_: str,
        size: int | None,
        was: Mapping[str, str],
        gone: Mapping[str, str],
    ) -> str:
        """Gives the blob of the sidecar of bytes that come to a path in a commit."""
        inside = self._repository.inside(path) or ""
        own = self._trees.find(step.tree, names.sidecar_path(path))
        said = self._firsts.read(own.oid) if own is not None else None
        if said is not None and own is not None and said.hash == hash_:
            return own.oid
        known = self._merged(step, path, hash_) or self._returned(step, inside, hash_)
        if known is not None:
            return known
        moved = self._moved(step, path, hash_, gone)
        if moved is not None:
            text = sidecar.encode(moved.moved(inside))
        else:
            previous = said or self._previous(step, path)
            facts = self._facts.read(hash_, size)
            text = records.for_commit(inside, hash_, facts, step.commit, step.seconds, previous, was.get(path))
        oid = self._trees.write("blob", text)
        self._made.setdefault((inside, hash_), []).append(_Made(step.commit, oid))
        return oid

    def _merged(self, step: Step, path: str, hash_: str) -> str | None:
        """Gives the sidecar of a merge's other parent that has these bytes at this path."""
        for _, tree in step.new_parents[1:]:
            view = self._trees.find(tree, path)
            card = self._trees.find(tree, names.sidecar_path(path))
            text = self._trees.read(view.oid, links.LONGEST) if view is not None else None
            if card is not None and text is not None and links.parse_link_bytes(text[1]) == hash_:
                return card.oid
        return None

    def _returned(self, step: Step, inside: str, hash_: str) -> str | None:
        """Gives the newest sidecar that an ancestor brought for these bytes at this path: they are back."""
        for made in reversed(self._made.get((inside, hash_), [])):
            if self._repository.git.succeeds("merge-base", "--is-ancestor", made.commit, step.commit):
                return made.oid
        return None

    def _moved(self, step: Step, path: str, hash_: str, gone: Mapping[str, str]) -> Sidecar | None:
        """Gives the sidecar of an asset with these bytes that leaves another path in this commit; the same name first."""
        name = os.path.basename(path)
        others = sorted(other for other, found in gone.items() if found == hash_)
        for other in sorted(others, key=lambda other: os.path.basename(other) != name):
            found = self._previous(step, other)
            if found is not None and found.hash == hash_:
                return found
        return None

    def _previous(self, step: Step, path: str) -> Sidecar | None:
        """Gives the sidecar that the first parent has for a path."""
        if not step.new_parents:
            return None
        node = self._trees.find(step.new_parents[0][1], names.sidecar_path(path))
        return self._firsts.read(node.oid) if node is not None else None


def _stands(gathered: Gathered) -> Stands:
    found: dict[tuple[str, str, str], dict[str, tuple[str, int | None]]] = {}
    for claim in gathered.claims:
        hash_ = gathered.hash_of(claim.version)
        assert hash_ is not None
        key = (claim.carrier.path, claim.carrier.mode, claim.carrier.oid)
        found.setdefault(key, {})[claim.path] = (hash_, gathered.size_of(claim.version))
    return found


def _exclusions(repository: Repository) -> list[bytes]:
    """Gives the lines that people wrote into the assets root's file of attributes, which hold for old commits, too."""
    try:
        text = files.read_small(repository.absolute(repository.full(attributes.NAME)), lines.LONGEST)
    except OSError:
        return []
    own = split_block(text)[0].splitlines()
    return [line.strip() for line in own if line.strip() and b"filter=lfs" not in line and not line.startswith(b"#")]
