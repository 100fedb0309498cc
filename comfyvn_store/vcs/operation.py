"""What git stopped in the middle of, and who "ours" and "theirs" are there, in people's words.

Read from the files that git leaves in the git dir (git-rebase(1), git-am(1), gitrevisions(7)); nothing is written.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import NamedTuple

from comfyvn_store.base import files
from comfyvn_store.vcs import blobs
from comfyvn_store.vcs.repository import Repository

_LONGEST = 1 << 20


class Side(NamedTuple):
    """One of the two sides. `words` is how people know it; `branch` and `commit` (whose tree it is) where there is one."""

    words: str
    branch: str | None = None
    commit: str | None = None
    author: str | None = None


class Operation(NamedTuple):
    """What is under way ("" if git does not say) and what to type when every conflict is settled."""

    verb: str
    ours: Side
    theirs: Side
    proceed: str


def look(repository: Repository, path: str | None = None, oid: str | None = None) -> Operation:
    """Finds out what is under way. `path` and `oid` are an entry of theirs, by which a stash is recognised."""
    return _Look(repository).operation(path, oid)


class _Look:
    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._git = repository.git
        self._branch = self._git.text("symbolic-ref", "--short", "-q", "HEAD", check=False) or None
        self._head = blobs.resolve(self._git, "HEAD")

    def operation(self, path: str | None, oid: str | None) -> Operation:
        for folder in ("rebase-merge", "rebase-apply"):
            if self._has(f"{folder}/head-name"):
                return self._rebase(folder)
        if self._has("rebase-apply/applying"):
            return Operation("am", self._here(), self._patch(), "git am --continue")
        for verb, head in (("merge", "MERGE_HEAD"), ("cherry-pick", "CHERRY_PICK_HEAD"), ("revert", "REVERT_HEAD")):
            if self._has(head):
                more = self._has("sequencer/todo")
                proceed = f"git {verb} --continue" if more or verb == "revert" else "git commit"
                return Operation(verb, self._here(), self._named(verb, head), proceed)
        squashed = re.search(r"^commit ([0-9a-f]{40,64})$", self._read("SQUASH_MSG"), re.MULTILINE)
        if squashed:
            return Operation("merge", self._here(), self._tip(squashed[1]), "git commit")
        stash = self._stash(path, oid) if path and oid else None
        if stash is not None:
            name, side = stash
            return Operation("stash", self._here(), side, f"git stash drop {shlex.quote(name)}")
        return Operation("", self._here(), Side("what you brought along"), "git commit")

    def _rebase(self, folder: str) -> Operation:
        branch = self._read(f"{folder}/head-name").removeprefix("refs/heads/")
        onto = self._read(f"{folder}/onto")
        base = self._tip(onto)
        more = "" if self._head in (onto, None) else " and what is rebased"
        ours = Side(f"{base.words}{more}", base.branch, self._head)
        if self._has("MERGE_HEAD"):
            return Operation("rebase", ours, self._named("merge", "MERGE_HEAD"), "git rebase --continue")
        stopped = self._read("REBASE_HEAD") or self._read(f"{folder}/stopped-sha")
        own = branch if branch != "detached HEAD" else None
        words = f"{own}: {self._subject(stopped)}" if own else self._subject(stopped)
        return Operation("rebase", ours, Side(words, own, stopped or None), "git rebase --continue")

    def _named(self, verb: str, head: str) -> Side:
        commit = self._read(head).split("\n")[0]
        if verb == "merge":
            return self._tip(commit)
        if verb == "cherry-pick":
            return Side(self._subject(commit), self._branch_at(commit), commit)
        return Side(f"as before {self._subject(commit)}", None, blobs.resolve(self._git, f"{commit}^"))

    def _patch(self) -> Side:
        said = dict(
            word.partition("=")[::2] for word in shlex.split(self._read("rebase-apply/author-script"), comments=False)
        )
        subject = self._read("rebase-apply/final-commit").split("\n")[0]
        return Side(f"the patch {subject!r}", author=said.get("GIT_AUTHOR_NAME") or None)

    def _stash(self, path: str, oid: str) -> tuple[str, Side] | None:
        listing = self._git.text("stash", "list", "--format=%H %gd %gs", check=False)
        for line in listing.splitlines():
            commit, name, about = [*line.split(" ", 2), ""][:3]
            found = self._git.text("rev-parse", "-q", "--verify", f"{commit}:{path}", check=False)
            if found == oid:
                return name, Side(f"{name}: {about}", None, commit)
        return None

    def _here(self) -> Side:
        words = self._branch or (self._subject(self._head) if self._head else "nothing yet")
        return Side(words, self._branch, self._head)

    def _tip(self, commit: str) -> Side:
        branch = self._branch_at(commit)
        return Side(branch or self._subject(commit), branch, commit)

    def _branch_at(self, commit: str) -> str | None:
        """Gives the branch whose tip a commit is: a local one, a remote's, or the one that was fetched by its address."""
        listing = self._git.text(
            "for-each-ref",
            f"--points-at={commit}",
            "--format=%(refname:short)",
            "refs/heads",
            "refs/remotes",
            check=False,
        )
        branches = [name for name in listing.splitlines() if name != self._branch and not name.endswith("/HEAD")]
        if branches:
            return branches[0]
        fetched = re.search(rf"^{re.escape(commit)}\t[^\t]*\tbranch '(.+)' of (.+)$", self._read("FETCH_HEAD"), re.M)
        return f"{fetched[1]} of {fetched[2]}" if fetched else None

    def _subject(self, commit: str | None) -> str:
        text = self._git.text("log", "-1", "--format=%h %s", commit, "--", check=False) if commit else ""
        return text or "a commit"

    def _has(self, name: str) -> bool:
        return os.path.exists(os.path.join(self._repository.git_dir, name))

    def _read(self, name: str) -> str:
        try:
            return os.fsdecode(files.read_small(os.path.join(self._repository.git_dir, name), _LONGEST)).strip()
        except OSError:
            return ""
