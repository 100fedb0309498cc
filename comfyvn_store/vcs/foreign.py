"""git in repositories that are not the one we are in: other clones of a shared store, git remotes that are folders.

Somebody else may have written their settings, and git would start programs that settings name. So git is told there to
start none, whatever they say; and a clone that another user owns is asked only where this user, or the modes of the store
that both use, admit that user.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from comfyvn_store.base.sharing import is_own
from comfyvn_store.vcs.git import Git, scrubbed_environment

# They win over what any file says. No command that we run there needs any of it.
_TAMED = (
    ("core.fsmonitor", "false"),
    ("core.hooksPath", os.devnull),
    ("core.alternateRefsCommand", "true"),  # the shell's, which says nothing
    ("protocol.allow", "never"),
    ("log.showSignature", "false"),
    ("safe.bareRepository", "all"),
)
# Whoever owns it: asked for by name, of what is tamed.
_ANY_OWNER = ("safe.directory", "*")


def environment(source: Mapping[str, str] | None = None, *, any_owner: bool = True) -> dict[str, str]:
    """Gives an environment in which git starts nothing that a repository's settings name.

    `any_owner`: it opens repositories of other users, too.
    """
    found = scrubbed_environment(source)
    _configure(found, [*_TAMED, *([_ANY_OWNER] if any_owner else [])])
    # A partial clone would fetch what it lacks, from where and by what program its settings say; git before 2.45 heeds
    # only the second of these.
    found["GIT_NO_LAZY_FETCH"] = "1"
    found["GIT_ALLOW_PROTOCOL"] = "none"
    return found


def is_admitted(common_dir: str, objects: str) -> bool:
    """Tells whether a repository may be asked what it needs of the store whose objects are in the folder `objects`.

    One of this user's may, and one that git itself would open for this user (`safe.directory`). Of others one whose owner
    has part in the store: is its owner, or in its group, where that group may write there and not everybody.
    """
    try:
        info = os.stat(common_dir)
    except OSError:
        return True  # whoever reads it next says why it cannot
    if is_own(info) or _shares(objects, info.st_uid):
        return True
    name = os.path.basename(common_dir)
    folder = os.path.dirname(common_dir) if name == ".git" else common_dir
    git = Git(folder, environment(any_owner=False))
    said = git.outcome("rev-parse", "--path-format=absolute", "--git-common-dir", check=False)
    found = os.fsdecode(said.stdout).removesuffix("\n")
    return said.returncode == 0 and os.path.realpath(found) == os.path.realpath(common_dir)


def _shares(objects: str, owner: int) -> bool:
    try:
        info = os.stat(objects)
    except OSError:
        return False
    if info.st_mode & 0o022 != 0o020:
        return False
    return info.st_uid == owner or info.st_gid in _groups_of(owner)


def _groups_of(owner: int) -> list[int]:
    """Gives the groups of a user, none of one that nobody knows."""
    try:
        import pwd

        user = pwd.getpwuid(owner)
    except (ImportError, KeyError):
        return []
    return os.getgrouplist(user.pw_name, user.pw_gid)


def _configure(environment: dict[str, str], pairs: list[tuple[str, str]]) -> None:
    """Adds settings to those that the environment has."""
    said = environment.get("GIT_CONFIG_COUNT", "")
    count = int(said) if said.isdecimal() else 0
    for number, (key, value) in enumerate(pairs, count):
        environment[f"GIT_CONFIG_KEY_{number}"] = key
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    environment["GIT_CONFIG_COUNT"] = str(count + len(pairs))
