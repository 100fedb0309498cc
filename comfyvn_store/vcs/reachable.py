"""The objects that git still needs: those named by links that a ref, a reflog, the stash or an index of any work tree has."""

from __future__ import annotations

import re

from comfyvn_store.vcs import blobs
from comfyvn_store.vcs.git import Git


def linked_hashes(git: Git) -> set[str]:
    """Gives the hashes of all of them. What a partial clone left out is not fetched. Raises GitFailed."""
    return _linked(git, "--all", "--reflog", "--indexed-objects")


def staged_hashes(git: Git) -> set[str]:
    """Gives the hashes of those that the index of some work tree has. Raises GitFailed."""
    return _linked(git, "--indexed-objects")


def _linked(git: Git, *where: str) -> set[str]:
    # Without `--single-worktree` these mean the HEADs, reflogs and indexes of all work trees (git-rev-list).
    out = git.run(
        "rev-list",
        "--objects",
        "--no-object-names",
        "--filter=object:type=blob",
        "--missing=print",
        *where,
    )
    oids = [oid.decode("ascii") for oid in out.split() if re.fullmatch(rb"[0-9a-f]{40,64}", oid)]
    return set(blobs.read_links(git, oids).values())
