"""The client of the File Locking API, against our own server that keeps locks, and with Git LFS looking on."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfyvn_store.errors import RemoteDenied, RemoteUnreachable
from comfyvn_store.remotes.lfs.locking import Lock, LockHeld, Locking, NoLocking
from tests.gitrepo import GitRepo
from tests.remotes.lfs_servers import Helper, remote_of, repository
from tests.servers.lfs import LfsServer, serving


@pytest.fixture
def server() -> Iterator[LfsServer]:
    with serving(LfsServer()) as server:
        server.people = {"ann": "sesame-ann", "bob": "sesame-bob"}
        yield server


def repo_of(person: str, tmp_path: Path, server: LfsServer) -> GitRepo:
    repo = repository(tmp_path, server.url, person)
    folder = tmp_path / f"{person}-helper"
    folder.mkdir()
    Helper(repo, folder, person, f"sesame-{person}")
    return repo


@pytest.fixture
def ann(tmp_path: Path, server: LfsServer) -> Locking:
    return remote_of(repo_of("ann", tmp_path, server)).locking()


@pytest.fixture
def bob(tmp_path: Path, server: LfsServer) -> Locking:
    return remote_of(repo_of("bob", tmp_path, server)).locking()


def test_a_lock_from_beginning_to_end(ann: Locking, bob: Locking) -> None:
    lock = ann.create("art/Größe 1.png", ref="refs/heads/main")
    assert lock == Lock(lock.id, "art/Größe 1.png", "2026-01-01T00:00:00+00:00", "ann")
    assert bob.list() == [lock] == bob.list(path="art/Größe 1.png") == bob.list(id_=lock.id)
    assert bob.list(path="art/other.png") == []
    with pytest.raises(LockHeld, match="locked by ann") as caught:
        bob.create("art/Größe 1.png")
    assert caught.value.lock == lock
    with pytest.raises(RemoteDenied):
        bob.unlock(lock.id)
    assert bob.unlock(lock.id, force=True) == lock
    assert ann.list() == [] and ann.unlock(lock.id) is None


def test_ours_and_theirs_over_several_pages(ann: Locking, bob: Locking) -> None:
    mine = [ann.create(f"a{number}") for number in range(5)]
    his = [bob.create(f"b{number}") for number in range(4)]
    assert ann.verify("refs/heads/main") == (mine, his)
    assert bob.verify() == (his, mine)
    assert ann.list() == mine + his


def test_a_server_without_locks(server: LfsServer, ann: Locking) -> None:
    server.has_locks = False
    for work in (lambda: ann.create("a"), ann.list, ann.verify):
        with pytest.raises(NoLocking, match="keeps no locks"):
            work()
    assert ann.unlock("1") is None


def test_a_list_without_an_end(server: LfsServer, ann: Locking) -> None:
    ann.create("a")
    server.page = 0  # each page leads to itself
    with pytest.raises(RemoteUnreachable, match="no end"):
        ann.list()
    with pytest.raises(RemoteUnreachable, match="no end"):
        ann.verify()


def test_git_lfs_sees_the_same_locks(server: LfsServer, ann: Locking, tmp_path: Path) -> None:
    if shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is not installed")
    mine = ann.create("a.png")
    repo = repo_of("bob", tmp_path, server)
    said = json.loads(repo.git("lfs", "locks", "--json").out)
    assert [(each["path"], each["owner"]["name"], each["id"]) for each in said] == [("a.png", "ann", mine.id)]
    repo.write("b.png", "x")
    repo.git("lfs", "lock", "b.png")
    assert [lock.path for lock in ann.verify().theirs] == ["b.png"]
