"""Shelves: small files kept in a git ref of their own, beside the branches, and exchanged through git remotes.

A shelf is a ref below `refs/comfyvn/` whose commits hold a tree of blobs. It works with any git host and offline: a change
is a commit on what this clone knows, and sending it is a push that git refuses if somebody else was faster. Work trees,
the index and branches are never touched. What remotes had when last asked is kept in `refs/comfyvn/remotes/REMOTE/NAME`.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import NamedTuple

from comfyvn_store.errors import GitFailed, Refused, RemoteDenied, RemoteUnreachable
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.trees import Node, Trees

PREFIX = "refs/comfyvn/"
# git's own words (LC_ALL=C) for a push that lost a race, for a host that does not let us in, and for what may pass.
# receive-pack has a race's words in brackets behind "[remote rejected]", as it has those of a hook that declines.
_REJECTED = (
    "[rejected]",
    "failed to update ref",
    "stale info",
    "fetch first",
    "cannot lock ref",
    "incorrect old value",
    "reference already exists",
)
_DECLINED = re.compile(r"^ ! \[remote rejected\].*\((.*)\)$", re.MULTILINE)
_DENIED = (
    "authentication failed",
    "permission denied",
    "could not read username",
    "could not read password",
    "error: 403",
)
_PASSING = (
    "could not resolve host",
    "timed out",
    "timeout",
    "connection refused",
    "to connect to",
    "connection reset",
    "hung up unexpectedly",
    "early eof",
    "returned error: 5",
    "returned error: 429",
)
# Another process of ours was fetching the same shelf.
_LOCKED = ("cannot lock ref", "unable to create", "incorrect old value")
_TRIES = 10


class Shelf(NamedTuple):
    """One shelf of a repository. `name` is what follows `refs/comfyvn/`."""

    git: Git
    object_format: str
    name: str

    @property
    def ref(self) -> str:
        """The ref in this clone."""
        return PREFIX + self.name

    def ref_of(self, remote: str) -> str:
        """The ref that keeps what a git remote had when it was last asked."""
        return f"{PREFIX}remotes/{remote}/{self.name}"

    def tip(self, ref: str | None = None) -> str | None:
        """Gives the commit of a ref (default: ours), None if there is none."""
        return blobs.resolve(self.git, ref or self.ref)

    def entries(self, commit: str | None) -> dict[str, str]:
        """Gives the blob id of each file in a commit's tree; {} for None."""
        if commit is None:
            return {}
        found = {}
        for item in self.git.run("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
            head, _, path = item.partition(b"\t")
            mode, _, about = head.decode("ascii").partition(" ")
            if mode in (staging.FILE, staging.EXECUTABLE):
                found[os.fsdecode(path)] = about.split(" ")[1]
        return found

    def files(self, commit: str | None, most: int) -> dict[str, str]:
        """Gives the blob id of each file at the top of a commit's tree, not of those in folders; {} for None.

        Raises Refused for a tree of more than `most` entries, of which no more are read.
        """
        found: dict[str, str] = {}
        if commit is None:
            return found
        seen, rest = 0, b""
        process = self.git.start("ls-tree", "-z", "--full-tree", commit)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            while block := process.stdout.read(1 << 16):
                *items, rest = (rest + block).split(b"\0")
                seen += len(items)
                if seen > most:
                    process.kill()
                    raise Refused(
                        f"'{self.ref}' holds more than {most} files, which nobody made by hand",
                        hint=f"find out who wrote it; `git update-ref -d {self.ref}` gives it up here",
                    )
                for item in items:
                    head, _, name = item.partition(b"\t")
                    mode, kind, oid = head.decode("ascii").split(" ")
                    if kind == "blob" and mode == staging.FILE:
                        found[os.fsdecode(name)] = oid
        finally:
            process.stdout.close()
            status = process.wait()
        if status:
            raise GitFailed("git ls-tree", status, "")
        return found

    def read(self, commit: str | None, limit: int = 1 << 16) -> dict[str, bytes]:
        """Gives the files of a commit's tree, those of at most `limit` bytes."""
        entries = self.entries(commit)
        texts = blobs.read_small_blobs(self.git, entries.values(), limit)
        return {path: texts[oid] for path, oid in entries.items() if oid in texts}

    def record(
        self,
        base: str | None,
        files: Mapping[str, bytes | None],
        message: str,
        *parents: str,
        kept: Mapping[str, str] | None = None,
    ) -> str:
        """Makes a commit that changes files of `base` (None as bytes takes one away) and gives it; no ref moves.

        `parents` follow `base`, as in a merge. `kept` (blob ids by path) stands in for all that `base` has. A commit that
        would change nothing is `base` itself, unless it merges.
        """
        written = {path: data for path, data in files.items() if data is not None}
        made = blobs.write_blobs(self.git, self.object_format, list(written.values()), durable=True)
        oids = dict(zip(written, made, strict=True))
        entries = {**(self.entries(base) if kept is None else kept), **oids}
        for path, data in files.items():
            if data is None:
                entries.pop(path, None)
        tree = self._write_tree(entries)
        if base is not None and not parents and tree == self.git.text("rev-parse", f"{base}^{{tree}}"):
            return base
        above = [word for parent in dict.fromkeys(filter(None, (base, *parents))) for word in ("-p", parent)]
        return self._own_name().text(*blobs.DURABLY, "commit-tree", tree, *above, "-m", message)

    def move(self, new: str, old: str | None, ref: str | None = None) -> bool:
        """Lets a ref (default: ours) name another commit if it still names `old`; tells whether it did."""
        return self.git.succeeds("update-ref", ref or self.ref, new, old or "0" * len(new))

    def fetch(self, remote: str) -> str | None:
        """Asks a git remote for its shelf; gives its commit, None if it has none. Raises RemoteUnreachable."""
        mine = self.ref_of(remote)
        for attempt in range(1, _TRIES + 1):
            done = self.git.outcome(
                "-c", "fetch.writeCommitGraph=false", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head",
                "--recurse-submodules=no", "--no-auto-maintenance", remote, f"+{self.ref}:{mine}", check=False,
            )  # fmt: skip
            if done.returncode == 0:
                return self.tip(mine)
            said = os.fsdecode(done.stderr)
            if "couldn't find remote ref" in said:
                self.git.succeeds("update-ref", "-d", mine)
                return None
            if attempt == _TRIES or not any(word in said.lower() for word in _LOCKED):
                break
            time.sleep(0.02 * attempt)
        raise _failure(remote, said)

    def push(self, remote: str, commit: str, *, lease: str | None = None) -> bool:
        """Sends a commit to a git remote's shelf; gives False if the remote has another one meanwhile.

        `lease` is the commit that the remote must still have ("" for none); None stands for what it had when last asked,
        which another process of this clone may have asked since `commit` was made. Hooks do not run. Raises
        RemoteUnreachable.
        """
        mine = self.ref_of(remote)
        expected = (self.tip(mine) or "") if lease is None else lease
        # A remote that is a mirror (`git clone --mirror`, `git remote add --mirror`) takes no single ref.
        done = self.git.outcome(
            "-c", f"remote.{remote}.mirror=false", "push", "--quiet", "--no-verify", "--recurse-submodules=no",
            f"--force-with-lease={self.ref}:{expected}", remote, f"{commit}:{self.ref}", check=False,
        )  # fmt: skip
        if done.returncode == 0:
            self.git.succeeds("update-ref", mine, commit)
            return True
        said = os.fsdecode(done.stderr)
        if any(word in said for word in _REJECTED) and "hook declined" not in said:
            return False
        raise _failure(remote, said)

    def _own_name(self) -> Git:
        """git with a name for whoever has told it none: these commits are nobody's work."""
        if self.git.succeeds("var", "GIT_COMMITTER_IDENT"):
            return self.git
        names = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
                 for what, value in (("NAME", "comfyvn-store"), ("EMAIL", "comfyvn-store@localhost"))}  # fmt: skip
        return Git(self.git.folder, {**self.git.environment, **names})

    def _write_tree(self, entries: Mapping[str, str]) -> str:
        """Writes a tree of files, with its folders, and gives its id."""
        trees = Trees(self.git, self.object_format)
        tree = trees.edited(trees.empty, {path: Node(staging.FILE, oid) for path, oid in entries.items()})
        trees.flush()
        return tree


def may_be_there(common_dir: str, name: str) -> bool:
    """Tells, without starting git, whether a clone may have a shelf of that name, its own or a remote's.

    Reads what git's files backend leaves (gitrepository-layout(5)); where another one keeps the refs, it may.
    """
    if os.path.isdir(os.path.join(common_dir, "reftable")):
        return True
    for folder, _, names in os.walk(os.path.join(common_dir, *PREFIX.split("/"))):
        if name in names and (_is_of(os.path.relpath(os.path.join(folder, name), common_dir), name)):
            return True
    try:
        with open(os.path.join(common_dir, "packed-refs"), "rb") as stream:
            packed = stream.read()
    except OSError:
        return False
    if b" refs/comfyvn/" not in packed:
        return False
    return any(_is_of(os.fsdecode(line.partition(b" ")[2]), name) for line in packed.splitlines())


def _is_of(ref: str, name: str) -> bool:
    return ref == PREFIX + name or (ref.startswith(f"{PREFIX}remotes/") and ref.endswith(f"/{name}"))


def _failure(remote: str, said: str) -> RemoteUnreachable:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else "it failed")
    lower = said.lower()
    declined = _DECLINED.search(said)
    if declined is not None:
        # What the host itself has to say of it comes line by line.
        told = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
        last = f"it does not take that: {declined[1]}" + "".join(f"; {line}" for line in told[:2] if line)
    # git leaves passwords out of the URLs that it shows; a user name may be a token.
    last = re.sub(r"(\w+://)[^\s@/]*@", r"\1", last.removeprefix("fatal: ").removeprefix("error: "))
    if declined is not None or any(word in lower for word in _DENIED):
        return RemoteDenied(f"git remote '{remote}': {last}")
    return RemoteUnreachable(f"git remote '{remote}': {last}", is_passing=any(word in lower for word in _PASSING))
