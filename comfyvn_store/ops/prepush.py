"""What `git push` waits for: the bytes of the art that its commits name are on a remote, or it does not get through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from comfyvn_store.base import links, names
from comfyvn_store.errors import ComfyvnError, ObjectMissing, Refused, RemoteUnreachable
from comfyvn_store.hot import locked
from comfyvn_store.ops import locks, moving, push, remotes, versions
from comfyvn_store.ops.push import Pushed
from comfyvn_store.ops.safecommits import SafeCommits
from comfyvn_store.remotes import opening, transfer
from comfyvn_store.remotes.progress import Tell
from comfyvn_store.remotes.remote import Remote
from comfyvn_store.vcs import blobs, history, shelf, upstream
from comfyvn_store.vcs.locks import Lost
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.settings import CONFIG_FILE, OFF, REFUSE, remotes_at

_BRANCHES = "refs/heads/"
# The settings of so many pushed refs are read.
_MOST_TIPS = 20
_AHEAD = "to push without them: git push --no-verify"


class Update(NamedTuple):
    """A ref that git is about to change: the commit it is to have, what the other side has now, and its name there."""

    ref: str
    new: str
    old: str
    there: str = ""


def parse(text: str) -> list[Update]:
    """Reads what git gives the hook (githooks, "pre-push"): `<local ref> <local oid> <remote ref> <remote oid>`.

    The first of them is what a person typed, so it may hold anything but a newline. Raises Refused for a line that cannot
    be read: nothing may go unseen.
    """
    found = []
    for line in filter(None, text.split("\n")):
        words = line.rsplit(" ", 3)
        if len(words) != 4 or not links.is_hex(words[1]) or not links.is_hex(words[3]):
            raise Refused(f"git says something that is not understood: {names.printable(line)}", hint=_AHEAD)
        if words[1].strip("0") and not words[2].startswith(shelf.PREFIX):
            found.append(Update(words[0], words[1], words[3] if words[3].strip("0") else "", words[2]))
    return found


def with_remotes_of(repository: Repository, updates: Sequence[Update]) -> Repository:
    """Gives the repository with the remotes that the commits name, too: what is checked out may be another branch, or lack
    the file."""
    known = {setting.name: setting for setting in repository.settings.remotes}
    for update in updates[:_MOST_TIPS]:
        for setting in remotes_at(repository.git, update.new, repository.settings.said):
            known.setdefault(setting.name, setting)
    settings = repository.settings._replace(remotes=tuple(known[name] for name in sorted(known)))
    return repository._replace(settings=settings)


def new_commits(repository: Repository, updates: Sequence[Update], safe: Sequence[str] = ()) -> list[str]:
    """Gives the commits that the refs over there do not have yet, and that are not in the history of the `safe` ones.

    What this clone once saw of a remote says nothing of the place that git pushes to now, so it is not asked.
    """
    git = repository.git
    here = blobs.commits_among(git, [oid for update in updates for oid in (update.new, update.old)] + list(safe))
    new = [here[update.new] for update in updates if update.new in here]
    old = [here[oid] for oid in (*(update.old for update in updates), *safe) if oid in here]
    return history.order(git, list(dict.fromkeys(new)), list(dict.fromkeys(old))) if new else []


def _brought(repository: Repository, updates: Sequence[Update], safe: Sequence[str]) -> list[versions.Version]:
    """Gives the versions that the new commits brought; all in their history where they name another place for them."""
    changes = list(history.changes(repository.git, new_commits(repository, updates, safe), None))
    if any(change.path == CONFIG_FILE for _, changed in changes for change in changed):
        whole = [update._replace(old="") for update in updates]
        changes = list(history.changes(repository.git, new_commits(repository, whole, safe), None))
    return versions.of_changes(repository, changes)


def heed_locks(repository: Repository, name: str, updates: Sequence[Update]) -> list[Lost]:
    """Warns of locks that others hold of what the commits change, after asking the git remote for them; gives one's own
    locks that are void now. Raises Refused as `comfyvn.locks` says."""
    if repository.settings.locks == OFF:
        return []
    lost: list[Lost] = []
    if name in upstream.remotes(repository.git):
        lost = list(locks.contact(repository, name).lost)
    if not shelf.may_be_there(repository.common_dir, "locks"):
        return lost
    for update in updates:
        if update.there.startswith(_BRANCHES):
            commits = new_commits(repository, [update])
            paths = {change.path for _, changed in history.changes(repository.git, commits, None) for change in changed}
            locked.before_push(repository, paths, update.there.removeprefix(_BRANCHES))
    return lost


def before_push(
    repository: Repository, name: str, url: str, updates: Sequence[Update], *, tell: Tell | None = None
) -> Pushed | None:
    """Sends what the commits need to every remote that may be written to, and to the folder that git pushes to; None where
    there is nothing to send. What is not here is fetched for it from wherever it is.

    Raises Refused, RemoteUnreachable or ObjectMissing if some object would be on no remote afterwards; a remote that failed
    while another has everything is no error.
    """
    opened = _targets(repository, name, url)
    marks = SafeCommits(repository, [remote.place for remote in opened])
    chosen = _brought(repository, updates, marks.read() if opened else ())
    if not chosen:
        return None
    if not opened:
        if not repository.settings.remotes:
            return None
        raise remotes.none_trusted(
            repository, f"the bytes of {_some(chosen)} are on no remote that this clone may write to"
        )
    is_asking = repository.settings.pre_push == REFUSE
    if not is_asking:
        _fetch_through(repository, chosen, opened)
    done = push.push(repository, chosen, opened, dry_run=is_asking, tell=tell)
    if is_asking:
        for outcome in done.outcomes.values():
            outcome.moved = []
    if done.unsafe:
        raise _refusal(repository, done)
    if all(not (each.down or each.failed or each.absent) for each in done.outcomes.values()):
        marks.add([update.new for update in updates])
    return done


def _fetch_through(repository: Repository, chosen: Sequence[versions.Version], opened: Sequence[Remote]) -> None:
    """Brings what is neither here nor at one of the targets from any remote that has it."""
    lacking = [item for item in versions.items(chosen) if not repository.store.has(item.hash)]
    if not lacking:
        return
    _, found = transfer.locate(repository.store, opened, lacking)
    absent = set(found.absent)
    sources = remotes.for_reading(repository, limit=moving.limit(repository, None)) if absent else []
    try:
        transfer.fetch(repository.store, sources, [item for item in lacking if item.hash in absent])
    finally:
        for remote in sources:
            remote.close()


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
    errors = [error for each in done.outcomes.values() for error in (*each.down.values(), *each.failed.values())]
    error = errors[0] if errors else None
    kind = ObjectMissing if error is None else RemoteUnreachable
    why = f": {error.message}" if error is not None else ", nor here"
    first = f"{error.hint} Or, " if error is not None and error.hint else ""
    return kind(f"git push stopped, because the bytes of {what} are on no remote{why}", hint=first + _AHEAD)


def _some(chosen: Sequence[versions.Version]) -> str:
    paths: dict[str, list[str]] = {}
    for version in chosen:
        paths.setdefault(version.hash, []).append(version.path)
    return moving.listed(list(paths), paths)
