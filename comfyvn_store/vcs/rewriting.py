"""Rewriting a history: every commit anew with another tree, and all branches and tags moved to it in one transaction.

A commit whose tree and parents stay is kept as it is, with its id. Of others every byte stays but tree, parents and
signatures, so that the same history and the same rule give the same commits everywhere. Until the transaction nothing but
objects that no ref names is written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from comfyvn_store.base import files
from comfyvn_store.base.telling import Progress
from comfyvn_store.errors import GitFailed, Refused
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Change
from comfyvn_store.vcs.trees import Edits, Node, Trees

BACKUPS = "refs/comfyvn/before-migration"
_SIGNATURE = re.compile(rb"^-----BEGIN (?:PGP SIGNATURE|PGP MESSAGE|SSH SIGNATURE|SIGNED MESSAGE)-----$", re.MULTILINE)
# They hold for the very bytes of a commit or a tag, or of what it names.
_SIGNED = (b"gpgsig ", b"gpgsig-sha256 ", b"mergetag ")


class Step(NamedTuple):
    """A commit on its way: as it was, its parents (id, tree) as they were and as they are now, and its committer's time in
    seconds since 1970."""

    commit: str
    tree: str
    old_parents: tuple[tuple[str, str], ...]
    new_parents: tuple[tuple[str, str], ...]
    seconds: int

    @property
    def begins_unchanged(self) -> bool:
        """Whether the first parent's tree is what it was."""
        return [tree for _, tree in self.old_parents[:1]] == [tree for _, tree in self.new_parents[:1]]


# Says what has to be different in a commit's tree, against the new tree of its first parent (the empty tree without one);
# None where the tree stays as it is, to the byte.
Rule = Callable[[Step], Edits | None]


class Ref(NamedTuple):
    """A branch, a tag or a detached HEAD, and the object that it names."""

    name: str
    oid: str
    kind: str


class Rewritten(NamedTuple):
    """Old and new id of every commit and annotated tag, the refs that move, and how many signatures went."""

    ids: dict[str, str]
    moves: list[tuple[Ref, str]]
    signatures: int

    @property
    def changed(self) -> int:
        """How many ids are other ones now."""
        return sum(1 for old, new in self.ids.items() if old != new)


def refs(repository: Repository) -> list[Ref]:
    """Gives all branches and tags, and HEAD where no branch is checked out. Symbolic ones follow by themselves."""
    form = "--format=%(refname)%00%(objectname)%00%(objecttype)%00%(symref)"
    found = []
    for line in repository.git.run("for-each-ref", form, "refs/heads", "refs/tags").split(b"\n"):
        if line:
            name, oid, kind, target = os.fsdecode(line).split("\0")
            if not target:
                found.append(Ref(name, oid, kind))
    if not repository.git.succeeds("symbolic-ref", "--quiet", "HEAD"):
        found.append(Ref("HEAD", repository.git.text("rev-parse", "--verify", "HEAD"), "commit"))
    return found


def commits(git: Git, names: Iterable[Ref]) -> list[str]:
    """Gives all commits that refs lead to, parents first."""
    tips = "".join(f"{ref.oid}\n" for ref in names if ref.kind in ("commit", "tag")).encode()
    if not tips:
        return []
    return git.run("rev-list", "--topo-order", "--reverse", "--stdin", data=tips).decode("ascii").split()


def count(git: Git, names: Sequence[Ref]) -> int:
    """Gives how many commits and annotated tags there are."""
    return len(commits(git, names)) + len({ref.oid for ref in names if ref.kind == "tag"})


def rewrite(trees: Trees, git: Git, names: list[Ref], rule: Rule, progress: Progress) -> Rewritten:
    """Writes the new history. No ref moves. Raises GitFailed, and what the rule raises."""
    order = commits(git, names)
    ids: dict[str, str] = {}
    roots: dict[str, tuple[str, str]] = {}  # old and new tree, by the old commit
    signatures = 0
    for number, commit in enumerate(order):
        data = _read(trees, commit, "commit")
        tree, parents, seconds = _facts(data)
        step = Step(
            commit,
            tree,
            tuple((parent, roots[parent][0]) for parent in parents),
            tuple((ids[parent], roots[parent][1]) for parent in parents),
            seconds,
        )
        edits = rule(step)
        base = step.new_parents[0][1] if parents else trees.empty
        new_tree = trees.edited(base, edits) if edits is not None else tree
        new_parents = [parent for parent, _ in step.new_parents]
        if new_tree == tree and new_parents == list(parents):
            ids[commit] = commit
        else:
            text, dropped = _commit(data, new_tree, new_parents)
            ids[commit] = trees.write("commit", text)
            signatures += dropped
        roots[commit] = (tree, new_tree)
        progress("rewriting commits", number + 1, len(order))
    moves = []
    for ref in names:
        new, dropped = _target(trees, ref.oid, ref.kind, ids)
        signatures += dropped
        if new != ref.oid:
            moves.append((ref, new))
    trees.flush()
    return Rewritten(ids, moves, signatures)


def move(repository: Repository, done: Rewritten, stamp: str, reason: str) -> str:
    """Moves all refs in one transaction, which also keeps what they were; gives the prefix of the kept ones.

    Raises Refused if a ref was changed meanwhile; none has moved then.
    """
    prefix = f"{BACKUPS}/{stamp}/"
    lines = ["start"]
    for ref, new in done.moves:
        lines.append(f"create {prefix}{ref.name.removeprefix('refs/')} {ref.oid}")
        if ref.name == "HEAD":
            lines.append("option no-deref")
        lines.append(f"update {ref.name} {new} {ref.oid}")
    lines += ["prepare", "commit", ""]
    try:
        repository.git.run("update-ref", "-m", reason, "--stdin", data=os.fsencode("\n".join(lines)))
    except GitFailed as error:
        raise Refused(f"a branch or tag changed meanwhile, so none was moved ({error})", hint="run it again") from None
    return prefix


def passes(change: Change, edits: Edits) -> bool:
    """Tells whether edits take a change over as it is."""
    node = None if change.new_mode == staging.GONE else Node(change.new_mode, change.new_oid)
    return edits[change.path] == node


def write_map(place: str, ids: dict[str, str]) -> None:
    """Writes old and new ids, one pair a line, durably. Raises OSError."""
    text = "".join(f"{old} {new}\n" for old, new in ids.items())
    files.write_atomic(place, text.encode("ascii"), durable=True)


def _read(trees: Trees, oid: str, kind: str) -> bytes:
    found = trees.read(oid)
    if found is None or found[0] != kind:
        raise GitFailed("git cat-file", 1, f"{oid} is no {kind}, or not here")
    return found[1]


def _facts(data: bytes) -> tuple[str, tuple[str, ...], int]:
    """Gives a commit's tree, parents and the committer's time."""
    tree, parents, seconds = "", [], 0
    for line in data.partition(b"\n\n")[0].split(b"\n"):
        key, _, value = line.partition(b" ")
        if key == b"tree" and not tree:
            tree = value.decode("ascii")
        elif key == b"parent":
            parents.append(value.decode("ascii"))
        elif key == b"committer":
            words = value.rpartition(b">")[2].split()
            seconds = int(words[0]) if words and words[0].isdigit() else 0
            break
    return tree, tuple(parents), seconds


def _commit(data: bytes, tree: str, parents: list[str]) -> tuple[bytes, int]:
    """Gives a commit's new text, and how many signatures it lost."""
    head, gap, message = data.partition(b"\n\n")
    lines = [b"tree " + tree.encode("ascii"), *(b"parent " + parent.encode("ascii") for parent in parents)]
    dropped, is_dropping = 0, False
    for line in head.split(b"\n"):
        if line.startswith(b" "):
            if not is_dropping:
                lines.append(line)
            continue
        is_dropping = line.startswith(_SIGNED)
        dropped += is_dropping
        if not is_dropping and not line.startswith((b"tree ", b"parent ")):
            lines.append(line)
    return b"\n".join(lines) + gap + message, dropped


def _target(trees: Trees, oid: str, kind: str, ids: dict[str, str]) -> tuple[str, int]:
    """Gives what a ref names from now on, and how many signatures its tags lost."""
    if kind != "tag":
        return ids.get(oid, oid), 0
    if oid in ids:
        return ids[oid], 0
    data = _read(trees, oid, "tag")
    head, gap, message = data.partition(b"\n\n")
    lines = head.split(b"\n")
    said = dict(line.partition(b" ")[::2] for line in reversed(lines))
    inner = said[b"object"].decode("ascii")
    new, dropped = _target(trees, inner, said[b"type"].decode("ascii"), ids)
    if new == inner:
        ids[oid] = oid
        return oid, dropped
    kept: list[bytes] = []
    for line in lines:
        if line.startswith(_SIGNED) or (line.startswith(b" ") and len(kept) < lines.index(line)):
            continue
        kept.append(b"object " + new.encode("ascii") if line.startswith(b"object ") else line)
    found = _SIGNATURE.search(message)
    if found is not None:
        message = message[: found.start()]
        dropped += 1
    ids[oid] = trees.write("tag", b"\n".join(kept) + gap + message)
    return ids[oid], dropped
