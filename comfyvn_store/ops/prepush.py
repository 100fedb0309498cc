"""What `git push` waits for: the bytes of the art that its commits name are on a remote, or it does not get through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from comfyvn_store.errors import ComfyvnError, ObjectMissing, Refused, RemoteUnreachable
from comfyvn_store.hot import locked
from comfyvn_store.ops import locks, moving, push, remotes, versions
from comfyvn_store.ops.push import Pushed
from comfyvn_store.remotes import opening
from comfyvn_store.remotes.progress import Tell
from comfyvn_store.remotes.remote import Remote
from comfyvn_store.vcs import blobs, history, shelf, upstream
from comfyvn_store.vcs.locks import Lost
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.settings import OFF, REFUSE

_BRANCHES = "refs/heads/"
_AHEAD = "to push without them: git push --no-verify; never to be asked: git config comfyvn.prePush off"


class Update(NamedTuple):
    """A ref that git is about to change: the commit it is to have, what the other side has now, and its name there."""

    ref: str
    new: str
    old: str
    there: str = ""


def parse(lines: Iterable[str]) -> list[Update]:
    """Reads what git gives the hook (githooks, "pre-push"): `<local ref> <local oid> <remote ref> <remote oid>`."""
    found = []
    for line in lines:
        words = line.split()
        if len(words) == 4 and words[1].strip("0") and not words[0].startswith(shelf.PREFIX):
            found.append(Update(words[0], words[1], words[3] if words[3].strip("0") else "", words[2]))
    return found


def new_commits(repository: Repository, name: str, updates: Sequence[Update]) -> list[str]:
    """Gives the commits that the git remote `name` does not have yet."""
    git = repository.git
    new = [update.new for update in updates if blobs.resolve(git, update.new) is not None]
    old = [update.old for update in updates if update.old and blobs.resolve(git, update.old) is not None]
    if name and name in upstream.remotes(git):
        old += git.text("for-each-ref", "--format=%(objectname)", f"refs/remotes/{name}/").split()
    return history.order(git, new, list(dict.fromkeys(old))) if new else []


def heed_locks(repository: Repository, name: str, updates: Sequence[Update]) -> list[Lost]:
    """Warns of locks that others hold of what the commits change, after asking the git remote for them; gives one's own
    locks that are void now. Raises Refused as `comfyvn.locks` says."""
    if repository.settings.locks == OFF:
        return []
    lost: list[Lost] = []
    if name in upstream.remotes(repository.git):
        lost = list(locks.contact(repository, name).lost)
    for update in updates:
        commits = new_commits(repository, name, [update])
        paths = {change.path for _, changed in history.changes(repository.git, commits, None) for change in changed}
        if update.there.startswith(_BRANCHES):
            locked.before_push(repository, paths, update.there.removeprefix(_BRANCHES))
    return lost


def before_push(
    repository: Repository, name: str, url: str, updates: Sequence[Update], *, tell: Tell | None = None
) -> Pushed | None:
    """Sends what the commits need to every remote that may be written to, and to the folder that git pushes to; None where
    there is nothing to send.

    Raises Refused, RemoteUnreachable or ObjectMissing if some object would be on no remote afterwards; a remote that failed
    while another has everything is no error.
    """
    chosen = versions.in_commits(repository, new_commits(repository, name, updates))
    if not chosen:
        return None
    opened = _targets(repository, name, url)
    if not opened:
        if not repository.settings.remotes:
            return None
        raise Refused(
            f"the bytes of {_some(chosen)} are on no remote that this clone may write to",
            hint="`comfyvn-store remote list` shows why; " + _AHEAD,
        )
    is_asking = repository.settings.pre_push == REFUSE
    done = push.push(repository, chosen, opened, dry_run=is_asking, tell=tell)
    if is_asking:
        for outcome in done.outcomes.values():
            outcome.moved = []
    if done.unsafe:
        raise _refusal(repository, done)
    return done


def _targets(repository: Repository, name: str, url: str) -> list[Remote]:
    limit = moving.limit(repository, None)
    opened = remotes.for_writing(repository, git_remote=name, limit=limit)
    folder = remotes.at_address(repository, name or url, url)
    if folder is not None and all(remote.place != folder.place for remote in opened):
        opened.insert(0, opening.wrapped(folder, limit))
    return opened


def _refusal(repository: Repository, done: Pushed) -> ComfyvnError:
    what = moving.listed(done.unsafe, done.paths)
    if repository.settings.pre_push == REFUSE and not any(outcome.down for outcome in done.outcomes.values()):
        return Refused(f"the bytes of {what} are on no remote yet", hint="first: comfyvn-store push")
    error = push.error_of(done)
    kind = ObjectMissing if isinstance(error, ObjectMissing) else RemoteUnreachable
    why = f": {error.message}" if error is not None else ""
    first = f"{error.hint}; " if error is not None and error.hint else ""
    return kind(f"git push stopped, because the bytes of {what} are on no remote{why}", hint=first + _AHEAD)


def _some(chosen: Sequence[versions.Version]) -> str:
    paths: dict[str, list[str]] = {}
    for version in chosen:
        paths.setdefault(version.hash, []).append(version.path)
    return moving.listed(list(paths), paths)
