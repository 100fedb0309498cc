"""`sync`: git pull, pull, push, git push, so that one command brings a person and their team to the same state."""

from __future__ import annotations

import subprocess

from comfyvn_store.errors import GitFailed, MachineError, Refused
from comfyvn_store.vcs import upstream
from comfyvn_store.vcs.repository import Repository


def git_remote(repository: Repository) -> str | None:
    """Gives the git remote that the branch is exchanged with, None where there is none."""
    return upstream.push_remote(repository.git)


def git_pull(repository: Repository, *, quiet: bool = False) -> bool:
    """Runs `git pull` at the terminal; gives False where the branch has nothing to pull from yet.

    Raises Refused where git stops, at a conflict or because it would overwrite edits.
    """
    if not repository.git.succeeds("rev-parse", "--verify", "--quiet", "@{upstream}"):
        return False
    # git refuses to choose between merging and rebasing where nobody told it; merging is what it did before it asked.
    words = [] if _is_way_told(repository) else ["--no-rebase", "--no-edit"]
    if _run(repository, "pull", *words, *(["--quiet"] if quiet else [])):
        has_conflicts = bool(repository.git.run("ls-files", "-u", "-z"))
        look = "`comfyvn-store conflicts` shows art in conflict; " if has_conflicts else ""
        raise Refused(
            "git pull stopped, so nothing was sent",
            hint=f"{look}do what git says above, then: comfyvn-store sync",
        )
    return True


def _is_way_told(repository: Repository) -> bool:
    """Whether git's settings say how `git pull` brings two histories together (git-pull, "pull.rebase", "pull.ff")."""
    return repository.git.succeeds("config", "--get-regexp", r"^(pull\.(rebase|ff)|branch\..*\.rebase)$")


def git_push(repository: Repository, *, quiet: bool = False) -> None:
    """Runs `git push` at the terminal; a branch without upstream gets one. Raises GitFailed, Refused."""
    words = ["push", *(["--quiet"] if quiet else [])]
    if not repository.git.succeeds("rev-parse", "--verify", "--quiet", "@{upstream}"):
        branch = repository.git.text("symbolic-ref", "--quiet", "--short", "HEAD", check=False)
        remote = git_remote(repository)
        if not branch or remote is None:
            raise Refused("no branch is checked out, so there is nothing that git could push", hint="git switch BRANCH")
        words += ["--set-upstream", remote, branch]
    status = _run(repository, *words)
    if status:
        raise GitFailed("git push", status, "it did not get through; its own words stand above")


def _run(repository: Repository, *words: str) -> int:
    """Runs git with our own terminal, where it may ask for a password; what it prints is no answer of ours."""
    environment = dict(repository.git.environment)
    environment.pop("GIT_OPTIONAL_LOCKS", None)
    try:
        return subprocess.run(["git", *words], cwd=repository.top, env=environment, stdout=2, check=False).returncode
    except FileNotFoundError:
        raise MachineError("git is not installed, or not on the PATH", hint="install git") from None
