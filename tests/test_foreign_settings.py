"""What another repository's settings say starts no program here, and whose clones are asked."""

import os
import shutil
from pathlib import Path

import pytest

from comfyvn_store.errors import Refused
from comfyvn_store.ops import drop, usage, why
from comfyvn_store.ops.session import open_session
from comfyvn_store.vcs import neighbours
from tests.collecting import HERO, age, begun, collect, loose_in, objects, pair
from tests.gitrepo import GitRepo
from tests.templates import copied

NOBODY = 65534
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def mine(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    return copied(tmp_path_factory, begun, tmp_path / "game")


@pytest.fixture
def other(mine: GitRepo, tmp_path: Path) -> GitRepo:
    return pair(mine, tmp_path)


def trap(repo: GitRepo, folder: Path) -> Path:
    """Lets the settings of a repository name programs wherever git looks for one; gives the file that they write."""
    sprung, program = folder / "sprung", folder / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {sprung}\nexit 1\n')
    program.chmod(0o755)
    (folder / "nowhere.git").mkdir()
    repo.git("config", "core.fsmonitor", str(program))
    repo.git("config", "core.alternateRefsCommand", str(program))
    repo.git("config", "core.hooksPath", str(folder / "hooks"))
    repo.git("config", "core.sshCommand", str(program))
    # a partial clone, whose remote has what it lacks
    repo.git("config", "core.repositoryFormatVersion", "1")
    repo.git("config", "extensions.partialClone", "lender")
    repo.git("config", "remote.lender.promisor", "true")
    repo.git("config", "remote.lender.url", str(folder / "nowhere.git"))
    repo.git("config", "remote.lender.uploadPack", str(program))
    repo.git("config", "protocol.file.allow", "always")
    (repo.path / ".git/FETCH_HEAD").write_text("1234567890123456789012345678901234567890\n")
    sprung.unlink(missing_ok=True)
    return sprung


def test_settings_of_another_clone_start_nothing(mine: GitRepo, other: GitRepo, tmp_path: Path) -> None:
    loose = loose_in(other, tmp_path / "shared")
    other.git("update-ref", "refs/heads/topic", loose.commit)
    (tmp_path / "usb").mkdir()
    mine.tool("remote", "add", "--local", "usb", str(tmp_path / "usb"))
    mine.tool("push", "--remote", "usb")
    mine.git("remote", "add", "neighbour", str(other.path))
    sprung = trap(other, tmp_path)
    age(tmp_path / "shared")
    collect(mine)
    assert loose.hash in objects(tmp_path / "shared")
    with open_session(str(mine.path)) as session:
        why.why(session, HERO)
        usage.usage(session, ask_remotes=True)
        assert "has it checked out" in str(drop.drop(session, [HERO]).kept)
        drop.drop(session, [HERO], force=True, dry_run=True)
    assert neighbours.git_folder(str(other.path)) == str(other.path / ".git")
    assert not sprung.exists(), sprung.read_text()


def give_away(repo: GitRepo) -> None:
    for folder, _, names in os.walk(repo.path):
        for place in (folder, *(os.path.join(folder, name) for name in names)):
            os.chown(place, NOBODY, NOBODY, follow_symlinks=False)


@as_root
def test_a_clone_of_another_user_is_asked_where_git_or_the_store_admits_that_user(
    mine: GitRepo, other: GitRepo, tmp_path: Path
) -> None:
    store = tmp_path / "shared"
    loose = loose_in(other, store)
    other.git("update-ref", "refs/heads/topic", loose.commit)
    age(store)
    give_away(other)
    with pytest.raises(Refused, match="belongs to another user") as refused:
        collect(mine)
    assert f"safe.directory {other.path};" in str(refused.value.hint)
    mine.git("config", "--global", "safe.directory", str(other.path))
    collect(mine)
    mine.git("config", "--global", "--unset", "safe.directory")
    shutil.chown(store / "objects", group=NOBODY)
    (store / "objects").chmod(0o2775)
    collect(mine)
    assert loose.hash in objects(store)
    (store / "objects").chmod(0o2777)
    with pytest.raises(Refused, match="belongs to another user"):
        collect(mine)
