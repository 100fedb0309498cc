"""Which git remote a branch belongs to, as git itself would choose it."""

from __future__ import annotations

from comfyvn_store.vcs.git import Git


def remotes(git: Git) -> list[str]:
    """Gives the names of git's remotes."""
    return git.text("remote", check=False).splitlines()


def fetch_remote(git: Git) -> str | None:
    """Gives the remote that `git pull` would ask: the branch's own, else `origin`, else the only one (git-config,
    `branch.<name>.remote`)."""
    return _chosen(git, f"branch.{_branch(git)}.remote")


def push_remote(git: Git) -> str | None:
    """Gives the remote that `git push` would push to (git-config, `branch.<name>.pushRemote`, `remote.pushDefault`)."""
    branch = _branch(git)
    return _chosen(git, f"branch.{branch}.pushRemote", "remote.pushDefault", f"branch.{branch}.remote")


def _chosen(git: Git, *keys: str) -> str | None:
    known = remotes(git)
    for key in keys:
        said = git.text("config", "--get", key, check=False)
        if said in known:
            return said
    if "origin" in known:
        return "origin"
    return known[0] if len(known) == 1 else None


def _branch(git: Git) -> str:
    return git.text("symbolic-ref", "--quiet", "--short", "HEAD", check=False)
