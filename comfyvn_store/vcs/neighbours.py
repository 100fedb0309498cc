"""Repositories on this machine that this one is tied to: those it borrows objects from, and git remotes that are folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from comfyvn_store.base import sharing
from comfyvn_store.base.sharing import Sharing
from comfyvn_store.vcs import foreign
from comfyvn_store.vcs.git import Git


class Neighbour(NamedTuple):
    """A git remote that is a folder: its name here, and the common git folder of the repository there."""

    name: str
    common_dir: str


def remotes(git: Git) -> Iterator[Neighbour]:
    """Gives the git remotes that are folders on this machine."""
    for name in git.text("remote", check=False).splitlines():
        for url in git.text("remote", "get-url", "--all", name, check=False).splitlines():
            common = at_url(url, git.folder)
            if common is not None:
                yield Neighbour(name, common)


def at_url(url: str, top: str) -> str | None:
    """Gives the common git folder that a git address names, None for one of another machine; relative ones hang on
    `top`."""
    for place in _folders_of(url):
        common = git_folder(os.path.join(top, place))
        if common is not None:
            return common
    return None


def git_folder(place: str) -> str | None:
    """Gives the common git folder of the repository at `place`, found as git finds it, or None."""
    for candidate in (place, f"{place}.git"):
        if not os.path.isdir(candidate):
            continue
        candidate = os.path.realpath(candidate)  # else git would look for its folders above where a link leads
        done = git_at(candidate).outcome("rev-parse", "--path-format=absolute", "--git-common-dir", check=False)
        found = os.fsdecode(done.stdout).removesuffix("\n")
        if done.returncode == 0 and found:
            return found
    return None


def sharing_of(common_dir: str) -> Sharing:
    """Gives who else may use what is made in another repository's git folder."""
    said = git_at(common_dir).text("config", "--get", "core.sharedRepository", check=False)
    return sharing.parse(said or None)


def git_at(folder: str) -> Git:
    """Gives git for another repository on this machine."""
    # Whose it is does not matter here: nothing of it is run, and each byte is hashed.
    environment = {**foreign.environment(), "GIT_CEILING_DIRECTORIES": os.path.dirname(folder)}
    return Git(folder, environment)


def alternates(objects: str, depth: int = 5) -> Iterator[str]:
    """Gives the git folders whose objects git borrows (gitrepository-layout, `objects/info/alternates`)."""
    try:
        with open(os.path.join(objects, "info", "alternates"), "rb") as stream:
            lines = stream.read().split(b"\n")
    except OSError:
        return
    for line in lines:
        if line and not line.startswith(b"#"):
            other = os.path.normpath(os.path.join(objects, os.fsdecode(line)))
            yield os.path.dirname(other)
            if depth:
                yield from alternates(other, depth - 1)


def _folders_of(url: str) -> list[str]:
    """Gives what an address may mean as a folder: nothing for one of another machine."""
    if url.startswith("file://"):
        path = url[len("file://") :]
        path = path[path.index("/") :] if "/" in path else ""
        return list(dict.fromkeys([os.fsdecode(unquote_to_bytes(path)), path]))
    head, colon, _ = url.partition(":")
    return [] if "://" in url or (colon and "/" not in head) else [url]
