"""Partial clones: objects that a remote promised and git would fetch one by one are asked for in one go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from comfyvn_store.errors import RemoteUnreachable
from comfyvn_store.vcs.git import Git


def fetch(git: Git, oids: Iterable[str]) -> None:
    """Fetches those of the objects that are not here, in one request; only in a partial clone is there anything to do.

    With a tree come the trees below it. What no remote gives is left to git, which misses it when it is read.
    """
    if not git.promisors:
        return
    absent = _absent(git, oids)
    data = "".join(f"{oid}\n" for oid in absent).encode()
    # The words with which git itself fetches what was promised (promisor-remote.c), for many objects at once.
    words = ("--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--filter=blob:none", "--stdin")
    for remote in git.promisors if absent else ():
        if git.succeeds("-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", remote, *words, data=data):
            return


def fetch_trees(git: Git, commits: Sequence[str]) -> None:
    """Fetches the trees of commits and of their parents, as `fetch` does (a clone with `--filter=tree:0` has none)."""
    if not git.promisors or not commits:
        return
    data = "".join(f"{commit}\n{commit}^@\n" for commit in commits).encode()
    out = git.run("rev-list", "--no-walk=unsorted", "--no-commit-header", "--format=%T", "--stdin", data=data)
    fetch(git, out.decode("ascii").split())


def _absent(git: Git, oids: Iterable[str]) -> list[str]:
    """Gives the objects that are not here."""
    names = list(dict.fromkeys(oids))
    if not names:
        return []
    data = "".join(f"{oid}\n" for oid in names).encode()
    # A git before 2.39.4 does not know the variable and fetches them in order to tell. Later ones tell, or give up.
    local = Git(git.folder, {**git.environment, "GIT_NO_LAZY_FETCH": "1"})
    try:
        listing = local.run("cat-file", "--batch-check=%(objectname)", data=data).decode("ascii").splitlines()
    except RemoteUnreachable:
        listing = (
            local.run("cat-file", "--batch-check=%(objectname)", "--batch-all-objects", "--unordered")
            .decode("ascii")
            .split()
        )
    here = set(listing)
    return [oid for oid in names if oid not in here]
