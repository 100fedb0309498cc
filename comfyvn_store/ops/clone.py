"""`clone`: `git clone`, `init`, which makes the index, and `pull` in one go; previews follow in the background."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from comfyvn_store.base import links, names
from comfyvn_store.base.telling import Progress
from comfyvn_store.errors import GitFailed, Refused, UsageError
from comfyvn_store.index import questions
from comfyvn_store.ops import init, locks, pull
from comfyvn_store.ops.pull import Pulled
from comfyvn_store.ops.session import open_session
from comfyvn_store.remotes.progress import Tell
from comfyvn_store.vcs.git import scrubbed_environment
from comfyvn_store.vcs.repository import open_repository


class Cloned(NamedTuple):
    """Where the clone is, how much of its art is here, and what fetching it gave (None where it was not asked for)."""

    folder: str
    assets: int
    missing: int
    pulled: Pulled | None = None


def clone(
    url: str, folder: str | None, *, pulls: bool = True, progress: Progress | None = None, tell: Tell | None = None
) -> Cloned:
    """Clones a repository into a new folder, sets the store up in it and fetches the bytes of what is checked out.

    That these cannot be had is no error of the clone: it stands in what is given. Raises UsageError, Refused (the folder is
    not empty), GitFailed.
    """
    if url.startswith("-") or "::" in url.partition("/")[0]:
        raise UsageError(f"'{names.printable(url)}' is no place to clone from", hint="give a path or a URL")
    target = os.path.abspath(folder or _folder_of(url))
    if os.path.isdir(target) and os.listdir(target):
        raise Refused(f"'{target}' exists and is not empty", hint="name another folder")
    if not _is_utf8(target):
        raise Refused(
            f"'{names.printable(target)}' is not UTF-8, which the clone's progress cannot name",
            hint="name another folder, or run `git clone`, then `comfyvn-store init` in it",
        )
    _git_clone(_as_given(url), target, progress)
    repository = open_repository(target, environment=scrubbed_environment())
    _refuse_link(target)
    repository = init.init(repository).repository
    with open_session(target, environment=scrubbed_environment(), fresh=False) as session:
        session.catch_up()
        locks.contact(repository)
        pulled = pull.pull(session, tell=tell) if pulls else None
        session.catch_up()
        rows = questions.sized_hashes(session.index)
        missing = sum(1 for _, hash_, _ in rows if not repository.store.has(hash_))
        session.make_previews_later()
    return Cloned(target, len(rows), missing, pulled)


def _as_given(url: str) -> str:
    """Gives a path that GitPython would misread as a URL: it takes a backslash for a slash, and all bytes for UTF-8."""
    if os.sep == "/" and ("\\" in url or not _is_utf8(url)) and os.path.exists(url):
        from pathlib import Path

        return Path(os.path.abspath(url)).as_uri()
    return url


def _is_utf8(path: str) -> bool:
    return not any("\udc80" <= c <= "\udcff" for c in path)  # what is not, Python holds as these


def _git_clone(url: str, target: str, progress: Progress | None) -> None:
    import git

    class Plain(git.Repo):
        """Takes a path as it is: GitPython would expand `$NAME` and `~` in it."""

        def __init__(self, path: str, **options: Any) -> None:
            super().__init__(path, expand_vars=False, **options)

    class Reporter(git.RemoteProgress):
        """Takes git's own counts, and keeps what else it says."""

        def update(self, _: int, done: str | float, total: str | float | None = None, message: str = "") -> None:
            if progress is not None:
                progress("cloning", int(float(done or 0)), int(float(total or 1)))

    reporter = Reporter()
    try:
        with _scrubbed():
            told: Any = reporter  # its annotation knows functions only
            Plain.clone_from(url, target, progress=told, env={"LC_ALL": "C"}, allow_unsafe_protocols=True)
    except git.GitCommandError as error:
        status = error.status if isinstance(error.status, int) else 1
        raise GitFailed("git clone", status, _said([*reporter.other_lines, *reporter.error_lines], error)) from None


@contextlib.contextmanager
def _scrubbed() -> Iterator[None]:
    """Takes what ties git to another repository out of our environment, because GitPython only ever adds to it."""
    kept = scrubbed_environment()
    taken = {name: value for name, value in os.environ.items() if name not in kept}
    for name in taken:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(taken)


def _refuse_link(target: str) -> None:
    """A clone that brings its own `.comfyvn` would decide where we read and write."""
    if os.path.lexists(os.path.join(target, links.STORE_LINK)):
        raise Refused(
            f"this repository tracks '{links.STORE_LINK}', which would decide where your store is",
            hint=f"the clone is in '{target}'; ask its owner to take '{links.STORE_LINK}' out",
        )


def _folder_of(url: str) -> str:
    """Gives the folder that git would choose: the last part of the URL, without `.git`."""
    last = url.rstrip("/").removesuffix("/.git").rpartition("/")[2].rpartition(":")[2]
    name = last.removesuffix(".git")
    if not name:
        raise UsageError(f"cannot tell a folder's name from '{names.printable(url)}'", hint="name the folder")
    return name


def _said(lines: list[str], error: Exception) -> str:
    """Gives git's own last word."""
    text = "\n".join([*lines, str(getattr(error, "stderr", "") or "")]).replace("\r", "\n")
    said = [line.strip(" '") for line in text.splitlines() if line.strip()]
    fatal = [line for line in said if line.startswith(("fatal:", "error:"))]
    return (fatal or said or ["it failed"])[0]
