"""Carrying a rewritten history out: refs, then work tree and index, so that a run that is cut short is finished by the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from comfyvn_store.base.telling import Progress
from comfyvn_store.ops.migrate import safety
from comfyvn_store.ops.migrate.following import follow
from comfyvn_store.ops.migrate.outcome import Rewrite
from comfyvn_store.vcs import blobs, history, rewriting, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.rewriting import Rule
from comfyvn_store.vcs.staging import Change, Entry
from comfyvn_store.vcs.trees import Trees

_BATCH = 1000


def versions(repository: Repository, root: str | None, progress: Progress) -> Iterator[Entry]:
    """Gives each path and object that any commit of a branch or tag has, once; below `root`, or anywhere."""
    order = rewriting.commits(repository.git, rewriting.refs(repository))
    seen: set[int] = set()
    for start in range(0, len(order), _BATCH):
        part = order[start : start + _BATCH]
        for _, changes in history.changes(repository.git, part, root):
            for change in changes:
                key = hash((change.path, change.new_mode, change.new_oid))
                if change.new_mode not in (staging.GONE, staging.GITLINK) and key not in seen:
                    seen.add(key)
                    yield Entry(change.path, change.new_mode, change.new_oid)
        progress("reading history", min(start + _BATCH, len(order)), len(order))


def run(repository: Repository, trees: Trees, rule: Rule, reason: str, progress: Progress) -> tuple[Rewrite, list[str]]:
    """Rewrites, moves all refs, and lets index and work tree follow; gives what was done, and files that somebody edited.

    Raises Refused, GitFailed, OSError; no ref has moved then, unless only the work tree is left to do, which the next run
    completes.
    """
    done = rewriting.rewrite(trees, repository.git, rewriting.refs(repository), rule, progress)
    if not done.moves:
        return Rewrite(len(done.ids), 0, 0, None, None), []
    head = repository.git.text("rev-parse", "--verify", "HEAD")
    stamp = safety.new_stamp(repository)
    place = safety.map_place(repository, stamp)
    rewriting.write_map(place, done.ids)
    safety.begin(repository, head, done.ids[head], stamp)
    prefix = rewriting.move(repository, done, stamp, reason)
    kept = catch_up(repository, head, done.ids[head])
    safety.end(repository)
    return Rewrite(len(done.ids), done.changed, done.signatures, place, prefix), kept


def catch_up(repository: Repository, old: str, new: str) -> list[str]:
    """Brings index and work tree from one commit to another; gives the files that somebody edited."""
    trees = Trees(repository.git, repository.object_format)
    with closing(trees):
        tree = [blobs.resolve(repository.git, commit) and tree_of(repository, commit) for commit in (old, new)]
        changes: Sequence[Change] = trees.changes(tree[0] or trees.empty, tree[1] or trees.empty)
    return follow(repository, changes).kept


def tree_of(repository: Repository, commit: str) -> str:
    """Gives a commit's tree."""
    return repository.git.text("rev-parse", "--verify", f"{commit}^{{tree}}")


def finish_pending(repository: Repository) -> bool:
    """Completes what an earlier run left; tells whether there was anything."""
    found = safety.pending(repository)
    if found is None:
        return False
    catch_up(repository, *found)
    safety.end(repository)
    return True
