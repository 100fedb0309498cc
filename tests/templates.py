"""Repositories that many tests begin with: made once a process with the real commands, then shared or copied."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gitrepo import GitRepo

_MADE: dict[Callable[[GitRepo], None], GitRepo] = {}


def shared(factory: pytest.TempPathFactory, make: Callable[[GitRepo], None]) -> GitRepo:
    """Gives the initialised repository that `make` filled, for tests that only read it."""
    if make not in _MADE:
        repo = GitRepo.create(factory.mktemp("template") / "repo")
        repo.tool("init")
        make(repo)
        _MADE[make] = repo
    return _MADE[make]


def copied(factory: pytest.TempPathFactory, make: Callable[[GitRepo], None], target: Path) -> GitRepo:
    """Gives a copy of that repository, which git has looked at, so that its index knows the new files."""
    shutil.copytree(shared(factory, make).path, target, symlinks=True)
    repo = GitRepo(target)
    repo.git("update-index", "-q", "--refresh")
    return repo
