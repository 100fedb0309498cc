"""The ground of a branch: the attributes that lead git to our filters stand in a tracked file, which a branch may lack.

An orphan branch has none, nor has a history that was filtered down to some folders. Art that is added there passes no
filter; pre-commit takes it in and brings the attributes along, so that raw bytes stay out of history there as well.
"""

from __future__ import annotations

import os

from comfyvn_store.base import files
from comfyvn_store.vcs import attributes, blobs, staging
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry


def lay(repository: Repository, head: str) -> bool:
    """Stages our attributes if neither the index nor `head` has any for the assets root; tells whether it did.

    A branch with raw art is one from before `init`: its art stays in git until somebody decides otherwise. A commit that
    deletes the attributes is left alone, too.
    """
    path = path_of(repository)
    if staging.entries(repository.git, [path]) or staging.tree_entries(repository.git, head, [path]):
        return False
    if repository.git.environment.get("GIT_INDEX_FILE") and staging.entries(_own_index(repository), [path]):
        return False  # `git commit PATH` does not name them: their turn comes
    if _has_raw_art(repository, head):
        return False
    text = "".join(f"{line}\n" for line in attributes.BLOCK).encode()
    place = repository.absolute(path)
    if files.lstat(place) is None and _is_led_elsewhere(repository):
        return False
    try:
        with open(place, "rb") as stream:
            text = stream.read()
    except FileNotFoundError:
        files.write_atomic(place, text)
    oid = blobs.write_blobs(repository.git, repository.object_format, [text])[0]
    staging.write_entries(repository.git, [Entry(path, staging.FILE, oid)])
    return True


def path_of(repository: Repository) -> str:
    """Gives where the attributes of the assets root stand."""
    return repository.full(attributes.NAME)


def _own_index(repository: Repository) -> Git:
    """Gives git with the index that the work tree has, whatever index a commit was given."""
    return Git(repository.top, {k: v for k, v in repository.git.environment.items() if k != "GIT_INDEX_FILE"})


def _is_led_elsewhere(repository: Repository) -> bool:
    """Whether a `.gitattributes` of the user's in another place says what ours would."""
    out = repository.git.run("check-attr", "-z", "filter", "--", repository.full("a"))
    return out.split(b"\0")[2] == b"comfyvn"


def _has_raw_art(repository: Repository, head: str) -> bool:
    listing = repository.git.run("ls-tree", "-r", "-z", "--full-tree", head, "--", repository.root)
    oids = []
    for item in listing.split(b"\0"):
        about, _, raw = item.partition(b"\t")
        mode, _, oid = about.decode("ascii").partition(" ")
        if mode in (staging.FILE, staging.EXECUTABLE) and repository.is_asset_path(os.fsdecode(raw)):
            oids.append(oid.removeprefix("blob "))
    return not blobs.read_links(repository.git, oids).keys() >= set(oids)
