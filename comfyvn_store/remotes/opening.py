"""From a setting to a remote that is ready to be used: its kind, what this clone lets it do, and what wraps it.

A git remote that is a folder on this machine is a remote without being set. An address that came with the repository may be
read; a folder is written to, and a server that the address itself names is given credentials, only once it is trusted here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from comfyvn_store.base.sharing import is_own, of_folder
from comfyvn_store.errors import UsageError
from comfyvn_store.remotes import address
from comfyvn_store.remotes.address import Address
from comfyvn_store.remotes.folder import Folder
from comfyvn_store.remotes.limit import Bucket, Limited
from comfyvn_store.remotes.remote import Remote
from comfyvn_store.remotes.retry import Retrying
from comfyvn_store.vcs import neighbours
from comfyvn_store.vcs.home import store_root
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.settings import RemoteSetting


def settings_of(repository: Repository) -> list[RemoteSetting]:
    """Gives the remotes that are set, folders first: they cost nothing to ask."""
    return sorted(repository.settings.remotes, key=lambda each: _rank(each.url))


def implicit(repository: Repository) -> list[Folder]:
    """Gives the git remotes that are folders, as remotes; of several names for one folder the first.

    One whose name a remote that is set has as well goes by `git:NAME`.
    """
    found: dict[str, Folder] = {}
    taken = {setting.name for setting in repository.settings.remotes}
    for neighbour in neighbours.remotes(repository.git):
        name = f"git:{neighbour.name}" if neighbour.name in taken else neighbour.name
        made = of_repository(name, neighbour.common_dir)
        if not is_own_store(repository, made):
            found.setdefault(os.path.realpath(made.root), made)
    return list(found.values())


def of_repository(name: str, common_dir: str, *, is_writable: bool = True) -> Folder:
    """Gives the store of another repository on this machine as a remote."""
    root, usual = store_root(common_dir), os.path.join(common_dir, "comfyvn")
    if root != usual and not _is_ours(os.path.join(usual, "store")):
        is_writable = False  # somebody else's note would decide where we write
    sharing = neighbours.sharing_of(common_dir).joined(of_folder(os.path.join(root, "objects")))
    return Folder(name, root, sharing=sharing, is_writable=is_writable, is_store=root == usual)


def open_remote(repository: Repository, setting: RemoteSetting) -> Remote:
    """Opens a remote that is set. Raises UsageError for an address that means nothing, ToolMissing."""
    where = address.parse(setting.url, repository.top)
    is_trusted = setting.is_trusted
    if where.kind == address.FOLDER:
        return open_folder(repository, setting.name, where, is_writable=is_trusted)
    if where.kind == address.BUCKET:
        from comfyvn_store.remotes.bucket import Cloud

        is_own_server = is_trusted or where.option("endpoint") is None
        return Cloud(setting.name, where, is_writable=is_own_server, is_trusted=is_own_server)
    if where.kind == address.SFTP:
        from comfyvn_store.remotes.sftp import Sftp

        return Sftp(setting.name, where)
    from comfyvn_store.remotes.lfs.remote import GitLfs

    return GitLfs(setting.name, where.rest, repository.git, repository.object_format)


def open_folder(repository: Repository, name: str, where: Address, *, is_writable: bool = True) -> Folder:
    """Opens a folder, which may be another repository's."""
    common = neighbours.git_folder(where.path)
    if common is not None:
        made = of_repository(name, common, is_writable=is_writable)
    else:
        sharing = of_folder(os.path.join(where.path, "objects"))
        made = Folder(name, where.path, sharing=sharing, is_writable=is_writable)
    if is_own_store(repository, made):
        raise UsageError(
            f"remote '{name}' is this repository's own store",
            hint="name a folder on another disk, or another machine's",
        )
    return made


def is_own_store(repository: Repository, folder: Folder) -> bool:
    """Tells whether a folder holds the very objects of our store, by whatever path."""
    own = repository.store.root
    return is_same(folder.root, own) or is_same(os.path.join(folder.root, "objects"), os.path.join(own, "objects"))


def wrapped(remote: Remote, limit: Bucket | None) -> Remote:
    """Gives a remote that tries again and goes no faster than it may."""
    steady = Retrying(remote)
    return Limited(steady, limit) if limit is not None else steady


def is_same(one: str, other: str) -> bool:
    """Tells whether two paths are one folder."""
    return os.path.realpath(one) == os.path.realpath(other)


def without_twins(remotes: Iterable[Remote]) -> Iterator[Remote]:
    """Gives the remotes without those whose place came before under another name: they are one copy, not two."""
    seen = set()
    for remote in remotes:
        place = os.path.realpath(remote.root) if isinstance(remote, Folder) else remote.place
        if (type(remote), place) not in seen:
            seen.add((type(remote), place))
            yield remote


def _is_ours(path: str) -> bool:
    try:
        return is_own(os.lstat(path))
    except OSError:
        return False


def _rank(url: str) -> tuple[bool, str]:
    return not url.startswith("file:"), url
