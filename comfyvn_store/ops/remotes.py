"""The remotes of a repository: added, listed, removed, trusted, tried, and opened for who moves objects."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from comfyvn_store.base import names
from comfyvn_store.errors import ComfyvnError, Refused, UsageError
from comfyvn_store.ops import tracked
from comfyvn_store.remotes import address, opening, transfer
from comfyvn_store.remotes.broken import Broken
from comfyvn_store.remotes.folder import Folder
from comfyvn_store.remotes.limit import Bucket
from comfyvn_store.remotes.remote import Item, Remote
from comfyvn_store.vcs import neighbours, upstream
from comfyvn_store.vcs.repository import Repository, open_repository
from comfyvn_store.vcs.settings import RemoteSetting

REPOSITORY, CLONE, GIT = "repository", "clone", "git"


class Listed(NamedTuple):
    """A remote: where it is (never with a credential), where it is set ("repository": in `.comfyvnconfig`, "clone": in this
    clone's git config, "git": it is a git remote that is a folder), and whether objects may be written to it."""

    name: str
    url: str
    kind: str
    set_in: str
    is_writable: bool


class Tried(NamedTuple):
    """What trying a remote gave: no error means that it answers."""

    name: str
    place: str
    error: ComfyvnError | None


def add(repository: Repository, name: str, url: str, *, only_here: bool = False) -> Listed:
    """Adds a remote, in `.comfyvnconfig` (staged) or only in this clone's git config, and makes its place ready.

    Nothing is written where that fails. The same remote again changes nothing. Raises UsageError, RemoteUnreachable, Refused.
    """
    if not names.is_remote_name(name):
        raise UsageError(
            f"'{names.printable(name)}' is no name for a remote", hint="use letters, digits, '-', '_' and '.'"
        )
    url = as_url(url)
    known = {setting.name: setting for setting in repository.settings.remotes}.get(name)
    if known is not None and known.url != url:
        raise UsageError(
            f"remote '{name}' is there already: {address.without_secrets(known.url)}",
            hint=f"another name, or first: comfyvn-store remote remove {name}",
        )
    remote = opening.open_remote(repository, RemoteSetting(name, url, not only_here, True))
    remote.create()
    key = f"comfyvn.remote.{name}"
    if only_here:
        repository.git.run("config", "--local", f"{key}.url", url)
    else:
        tracked.write(repository, f"{key}.url", url)
        repository.git.run("config", "--local", f"{key}.trusted", url)
    remote.close()
    return _find(open_repository(repository.top, environment=repository.git.environment), name)


def as_url(text: str) -> str:
    """Gives the address for what a person typed, which may be a folder's path, relative to where they stand."""
    scheme = text.partition(":")[0]
    if ":" in text and address.is_scheme(scheme):
        return text
    if "://" in text or (not os.path.isdir(text) and not text.startswith(("/", ".", "~"))):
        return text  # `address.parse` says what is wrong with it
    return Path(os.path.abspath(os.path.expanduser(text))).as_uri()


def listed(repository: Repository) -> list[Listed]:
    """Gives all remotes, those that are set first."""
    found = []
    for setting in repository.settings.remotes:
        try:
            kind = address.parse(setting.url, repository.top).kind
        except UsageError:
            kind = "unknown"
        shown = address.without_secrets(setting.url)
        found.append(
            Listed(
                setting.name, shown, kind, REPOSITORY if setting.is_tracked else CLONE, _may_write(repository, setting)
            )
        )
    for folder in opening.implicit(repository):
        found.append(Listed(folder.name, folder.root, address.FOLDER, GIT, folder.is_writable))
    return found


def _may_write(repository: Repository, setting: RemoteSetting) -> bool:
    if setting.is_trusted:
        return True
    try:
        where = address.parse(setting.url, repository.top)
    except UsageError:
        return False
    return where.kind != address.FOLDER and where.option("endpoint") is None


def remove(repository: Repository, name: str) -> Listed:
    """Takes a remote out of the settings; what it holds stays. Raises UsageError."""
    found = _find(repository, name)
    if found.set_in == GIT:
        raise UsageError(f"'{name}' is a remote of git's", hint=f"git remote remove {name}")
    for key in (f"comfyvn.remote.{name}.url", f"comfyvn.remote.{name}.trusted"):
        repository.git.succeeds("config", "--local", "--unset-all", key)
    tracked.write(repository, f"comfyvn.remote.{name}.url", None)
    return found


def trust(repository: Repository, name: str) -> Listed:
    """Lets this clone write to a remote that came with the repository, and give it credentials, while its address stays
    what it is now. Raises UsageError."""
    found = _find(repository, name)
    setting = next((each for each in repository.settings.remotes if each.name == name), None)
    if setting is None or not setting.is_tracked:
        return found
    remote = opening.open_remote(repository, setting._replace(is_trusted=True))
    remote.create()
    remote.close()
    repository.git.run("config", "--local", f"comfyvn.remote.{name}.trusted", setting.url)
    return found._replace(is_writable=True)


def try_out(repository: Repository, wanted: Sequence[str]) -> list[Tried]:
    """Talks to remotes once and gives what came of it. Raises UsageError for an unknown name."""
    tried = []
    for name in wanted or [each.name for each in listed(repository)]:
        found = _find(repository, name)
        try:
            remote = _open(repository, name)
            try:
                remote.test()
            finally:
                remote.close()
        except ComfyvnError as error:
            tried.append(Tried(name, found.url, error))
        else:
            tried.append(Tried(name, remote.place, None))
    return tried


def for_reading(repository: Repository, wanted: Sequence[str] = (), *, limit: Bucket | None = None) -> list[Remote]:
    """Opens the remotes to fetch from, in the order in which they are asked: folders first. Raises UsageError, ToolMissing.

    Of remotes that nobody named, one that cannot be opened says so when it is asked.
    """
    if wanted:
        named = opening.without_twins(_open(repository, name) for name in dict.fromkeys(wanted))
        return [opening.wrapped(remote, limit) for remote in named]
    opened = _open_all(repository, opening.settings_of(repository), opening.implicit(repository))
    opened.sort(key=lambda remote: not isinstance(remote, Folder))
    return [opening.wrapped(remote, limit) for remote in opened]


def for_writing(
    repository: Repository, wanted: Sequence[str] = (), *, git_remote: str | None = None, limit: Bucket | None = None
) -> list[Remote]:
    """Opens the remotes to send to: those named, else every one that may be written to, among them the git remote that git
    would push to, or `git_remote`, if that is a folder. Raises UsageError, Refused, ToolMissing."""
    if wanted:
        for name in wanted:
            if not _find(repository, name).is_writable:
                raise Refused(
                    f"remote '{name}' is only read here: it came with the repository",
                    hint=f"if you trust it: comfyvn-store remote trust {name}",
                )
        named = opening.without_twins(_open(repository, name) for name in dict.fromkeys(wanted))
        return [opening.wrapped(remote, limit) for remote in named]
    target = git_remote or upstream.push_remote(repository.git)
    set_ = [setting for setting in opening.settings_of(repository) if _may_write(repository, setting)]
    folders = [f for f in opening.implicit(repository) if f.name in (target, f"git:{target}") and f.is_writable]
    return [opening.wrapped(remote, limit) for remote in _open_all(repository, set_, folders)]


def _open_all(repository: Repository, set_: Sequence[RemoteSetting], folders: Sequence[Folder]) -> list[Remote]:
    """Opens remotes; one that cannot be opened stands among them and says why when it is asked."""
    opened: list[Remote] = [*folders]
    for setting in set_:
        try:
            opened.append(opening.open_remote(repository, setting))
        except ComfyvnError as error:
            opened.append(Broken(setting.name, address.without_secrets(setting.url), error))
    return list(opening.without_twins(opened))


def bring_back(repository: Repository, item: Item) -> str | None:
    """Fetches one object from whatever remote gives it; gives that remote as people know it, None if none does."""
    opened = for_reading(repository)
    try:
        done = transfer.fetch(repository.store, opened, [item])
    finally:
        for remote in opened:
            remote.close()
    return f"remote '{done.sources[item.hash]}'" if item.hash in done.sources else None


def none_trusted(repository: Repository, message: str) -> Refused:
    """Gives the error for a clone in which every remote that is set is only read."""
    names_ = [each.name for each in repository.settings.remotes if not _may_write(repository, each)]
    commands = " or ".join(f"comfyvn-store remote trust {name}" for name in names_[:3])
    return Refused(message, hint=f"they came with the repository; if you trust one: {commands}")


def at_address(repository: Repository, name: str, url: str) -> Folder | None:
    """Gives the folder remote behind an address that git pushes to, None for another machine's."""
    common = neighbours.at_url(url, repository.top)
    if common is None:
        return None
    made = opening.of_repository(name, common)
    return None if opening.is_own_store(repository, made) else made


def _find(repository: Repository, name: str) -> Listed:
    for found in listed(repository):
        if found.name == name:
            return found
    raise UsageError(
        f"there is no remote '{names.printable(name)}'", hint="`comfyvn-store remote list` shows those there are"
    )


def _open(repository: Repository, name: str) -> Remote:
    _find(repository, name)
    for setting in repository.settings.remotes:
        if setting.name == name:
            return opening.open_remote(repository, setting)
    return next(folder for folder in opening.implicit(repository) if folder.name == name)
