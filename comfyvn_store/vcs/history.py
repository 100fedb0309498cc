"""History: commits in git's own order with what each changed, and bulk reading of blobs.

Order and differences always come from the git program, because the attributed commit is defined by its order. Blobs in
bulk are read in-process through pygit2 where libgit2 can open the repository; elsewhere, and on the hot path, which must
not import it, the git program answers with the same bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from comfyvn_store.errors import UnknownRevision
from comfyvn_store.vcs import blobs, promised
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import GONE, literal

# Importing pygit2 costs 73 ms; `cat-file` reads this many blobs in the time.
_WORTH_PYGIT2 = 8000
_FORMAT = "--format=%H%x00%P%x00%an <%ae>%x00%ct%x00%s"


class Commit(NamedTuple):
    """A commit; `committed_at` is UTC, ISO 8601 with a `Z`."""

    hash: str
    parents: tuple[str, ...]
    author: str
    committed_at: str
    subject: str


class FileChange(NamedTuple):
    """What a commit did to one path, against each parent; a merge shows only what differs from all of them."""

    path: str
    old_modes: tuple[str, ...]
    new_mode: str
    old_oids: tuple[str, ...]
    new_oid: str


def tips(repository: Repository) -> tuple[str | None, list[str], str]:
    """Gives HEAD's commit (None if unborn), the sorted commits of HEAD, all branches, tags and remote branches, and one
    text for what `git replace` and grafts put in place of commits ("" for nothing).

    git shows another history through those while every tip stays where it is.
    """
    git = repository.git
    out = git.run(
        "for-each-ref",
        "--format=%(HEAD)%(refname) %(objecttype) %(objectname) %(*objecttype) %(*objectname)",
        "refs/heads",
        "refs/tags",
        "refs/remotes",
        "refs/replace",
    )
    found = set()
    replaced = []
    head: str | None = None
    for line in out.splitlines():
        # Before the name stands `*` for the branch that HEAD is on, else a space.
        mark, (name, *parts) = line[:1], os.fsdecode(line[1:]).split()
        if name.startswith("refs/replace/"):
            replaced.append(line[1:])
            continue
        if mark == b"*" and parts[0] == "commit":
            head = parts[1]
        for kind, oid in zip(parts[::2], parts[1::2], strict=False):
            if kind == "commit":
                found.add(oid)
    head = head or blobs.resolve(git, "HEAD")  # of no branch, or of one outside `refs/heads`
    if head:
        found.add(head)
    return head, sorted(found), _print([*replaced, *_grafts(repository)])


def _grafts(repository: Repository) -> list[bytes]:
    try:
        with open(os.path.join(repository.common_dir, "info", "grafts"), "rb") as stream:
            return stream.read().splitlines()
    except FileNotFoundError:
        return []


def _print(lines: list[bytes]) -> str:
    if not lines:
        return ""
    import hashlib

    return hashlib.sha256(b"\n".join(lines)).hexdigest()


def order(git: Git, included: Iterable[str], excluded: Iterable[str] = ()) -> list[str]:
    """Gives commits in `--topo-order --reverse` order. Raises GitFailed if a commit is not there any more."""
    return (
        git.run("rev-list", "--topo-order", "--reverse", "--stdin", data=_revisions(included, excluded))
        .decode("ascii")
        .split()
    )


def commits(git: Git, included: Iterable[str], excluded: Iterable[str] = ()) -> list[Commit]:
    """Gives the same commits with author, time and subject."""
    out = git.run(
        "rev-list",
        "--topo-order",
        "--reverse",
        "--no-commit-header",
        "--encoding=UTF-8",
        _FORMAT,
        "--stdin",
        data=_revisions(included, excluded),
    )
    found = []
    for line in out.decode("utf-8", "replace").split("\n"):
        if line:
            hash_, parents, author, stamp, subject = line.split("\0", 4)
            found.append(Commit(hash_, tuple(parents.split()), author, iso_time(int(stamp)), subject))
    return found


def changes(git: Git, hashes: Sequence[str], root: str | None) -> Iterator[tuple[str, list[FileChange]]]:
    """Gives, for those of the commits that touch `root` (None: anything), what they changed there, in the order given."""
    specs = ("--", literal(root)) if root is not None else ()
    promised.fetch_trees(git, hashes)
    return raw_changes(git, hashes, ("-c", "--root"), specs)


def raw_changes(
    git: Git, lines: Sequence[str], options: Sequence[str], specs: Sequence[str] = ()
) -> Iterator[tuple[str, list[FileChange]]]:
    """Gives what `diff-tree` says for each of the commits, or of the pairs of trees, in which something differs."""
    if not lines:
        return
    out = git.without_index().run(
        "diff-tree",
        "--stdin",
        "-r",
        "--raw",
        "-z",
        "--no-renames",
        "--no-abbrev",
        *options,
        *specs,
        data="".join(f"{line}\n" for line in lines).encode(),
    )
    current: str | None = None
    found: list[FileChange] = []
    items = iter(out.split(b"\0"))
    for item in items:
        # A commit ends with NUL, a pair of trees with a newline, also with -z.
        heads = item.split(b"\n")
        change = heads.pop() if heads[-1].startswith(b":") else None
        for head in filter(None, heads):
            if current is not None:
                yield current, found
            current, found = head.decode("ascii"), []
        if change is not None:
            found.append(_file_change(change.decode("ascii"), os.fsdecode(next(items))))
    if current is not None:
        yield current, found


def shallow_commits(repository: Repository) -> frozenset[str]:
    """Gives the commits at which a shallow clone's history was cut off."""
    try:
        with open(os.path.join(repository.common_dir, "shallow"), encoding="ascii") as stream:
            return frozenset(stream.read().split())
    except FileNotFoundError:
        return frozenset()


def revision_commits(git: Git, revision: str) -> list[str]:
    """Gives the commits that a revision or range means: one for a revision, `git rev-list`'s for a range, newest first.

    Raises UnknownRevision.
    """
    single = blobs.resolve(git, revision)
    if single is not None:
        return [single]
    if revision.startswith("-"):
        raise _unknown(revision)
    words = revision.split()
    done = git.outcome("rev-list", "--topo-order", *words, "--", check=False)
    is_range = any(".." in word or word.startswith("^") or "^" in word for word in words)
    if done.returncode != 0 or not is_range or any(word.startswith("-") for word in words):
        raise _unknown(revision)
    return done.stdout.decode("ascii").split()


def read_many(repository: Repository, oids: Sequence[str], *, in_process: bool) -> Iterator[tuple[str, bytes | None]]:
    """Gives small blobs' bytes (None where git has none). `in_process` allows pygit2 where that pays."""
    if in_process and len(oids) >= _WORTH_PYGIT2:
        reader = _pygit2_reader(repository)
        if reader is not None:
            return _completed(repository.git, reader.read(oids))
    return blobs.read_blobs(repository.git, oids)


def _completed(git: Git, found: Iterable[tuple[str, bytes | None]]) -> Iterator[tuple[str, bytes | None]]:
    """Asks git for what libgit2 does not find: objects that a remote promised, or that the environment points to."""
    absent = []
    for oid, data in found:
        if data is None:
            absent.append(oid)
        else:
            yield oid, data
    yield from blobs.read_blobs(git, absent)


class Pygit2Reader:
    """Reads blobs through libgit2. Raises pygit2.GitError on making if libgit2 cannot open the repository."""

    def __init__(self, git_dir: str) -> None:
        import pygit2

        self._blob = pygit2.enums.ObjectType.BLOB
        self._database = pygit2.Repository(git_dir).odb

    def read(self, oids: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """Gives each blob's bytes, None if it is not there or no blob."""
        for oid in dict.fromkeys(oids):
            try:
                kind, data = self._database.read(oid)
            except KeyError:
                yield oid, None
            else:
                yield oid, data if kind == self._blob else None


class QuickReader:
    """Reads blobs through libgit2, small ones alone, and without hashing them again, which git does not do either.

    For a process that does nothing else: that setting is one of the whole process. Raises as `Pygit2Reader`.
    """

    def __init__(self, git_dir: str) -> None:
        import pygit2

        pygit2.option(pygit2.enums.Option.ENABLE_STRICT_HASH_VERIFICATION, False)
        self._blob = pygit2.enums.ObjectType.BLOB
        self._database = pygit2.Repository(git_dir).odb

    def read(self, oid: str, limit: int) -> bytes | None:
        """Gives a blob's bytes, None for one that is larger or no blob. Raises KeyError if it is not there."""
        kind, size = self._database.read_header(oid)
        if kind != self._blob or size > limit:
            return None
        data: bytes = self._database.read(oid)[1]
        return data


def _pygit2_reader(repository: Repository) -> Pygit2Reader | None:
    if repository.object_format != "sha1":
        return None
    try:
        return Pygit2Reader(repository.git_dir)
    except Exception:  # pygit2 may be missing or refuse the repository (partial clone, newer format): git answers then.
        return None


def iso_time(seconds: int) -> str:
    """Gives a time as ISO 8601 in UTC with a `Z`, to the second."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "1970-01-01T00:00:00Z"


def _file_change(meta: str, path: str) -> FileChange:
    if meta[1] != ":":
        old, mode, before, after, _ = meta.split(" ")
        return FileChange(path, (old[1:],), mode, (before,), after)
    parents = len(meta) - len(meta.lstrip(":"))
    words = meta[parents:].split(" ")
    modes, oids = words[: parents + 1], words[parents + 1 : 2 * parents + 2]
    return FileChange(path, tuple(modes[:-1]), modes[-1], tuple(oids[:-1]), oids[-1])


def is_present(mode: str) -> bool:
    """Tells whether a mode of a raw diff says that the path is there."""
    return mode != GONE


def _revisions(included: Iterable[str], excluded: Iterable[str]) -> bytes:
    return "".join([*(f"{oid}\n" for oid in included), *(f"^{oid}\n" for oid in excluded)]).encode()


def _unknown(revision: str) -> UnknownRevision:
    return UnknownRevision(f"git knows no revision or range '{revision}'", hint="`git log --oneline` lists commits")
