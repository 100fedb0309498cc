"""Credentials: asked of git, once, only when a server wants them, told how it went, and written nowhere."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfyvn_store.errors import RemoteDenied
from tests.gitrepo import GitRepo
from tests.remotes.lfs_servers import Helper, files_with, remote_of, repository
from tests.remotes.objects import Thing
from tests.servers.lfs import LfsServer, serving

SECRET = "sesame-2f8d1c"


@pytest.fixture
def server() -> Iterator[LfsServer]:
    with serving(LfsServer()) as server:
        server.people = {"artist": SECRET}
        yield server


@pytest.fixture
def repo(tmp_path: Path, server: LfsServer) -> GitRepo:
    return repository(tmp_path, server.url)


def test_they_are_asked_for_once_and_kept_by_nobody(server: LfsServer, repo: GitRepo, tmp_path: Path) -> None:
    helper = Helper(repo, tmp_path, "artist", SECRET)
    remote = remote_of(repo)
    things = [Thing(tmp_path / "local", 1000, number) for number in range(16)]
    threads = [threading.Thread(target=remote.put, args=(thing.item, thing.source)) for thing in things]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    remote.finish()
    assert len(server.objects) == 16 and len(list(remote.list())) == 16
    assert helper.verbs() == ["get", "store"]
    host = server.url.split("/")[2]
    assert f"protocol=http\nhost={host}\n" in helper.place.read_text()
    assert files_with(SECRET, repo.path, tmp_path / "server.git") == []
    assert files_with("c2VzYW1l", repo.path, tmp_path / "server.git") == []


def test_a_server_that_wants_none_is_sent_none(server: LfsServer, repo: GitRepo, tmp_path: Path) -> None:
    helper = Helper(repo, tmp_path, "artist", SECRET)
    server.people = {}
    remote_of(repo).has([Thing(tmp_path / "local", 10).item])
    assert helper.verbs() == [] and "Authorization" not in server.seen[0].headers


def test_wrong_ones_are_rejected_and_not_tried_for_ever(server: LfsServer, repo: GitRepo, tmp_path: Path) -> None:
    helper = Helper(repo, tmp_path, "artist", "wrong-7d21")
    remote = remote_of(repo)
    for _ in range(3):
        with pytest.raises(RemoteDenied) as caught:
            remote.has([Thing(tmp_path / "local", 10).item])
        assert "wrong-7d21" not in caught.value.message and not caught.value.is_passing
    assert helper.verbs() == ["get", "erase"]


def test_without_any(server: LfsServer, repo: GitRepo, tmp_path: Path) -> None:
    with pytest.raises(RemoteDenied, match="git credential") as caught:
        remote_of(repo).has([Thing(tmp_path / "local", 10).item])
    assert "terminal" in str(caught.value.hint)


def test_the_user_name_of_the_url_is_told_to_git(server: LfsServer, repo: GitRepo, tmp_path: Path) -> None:
    helper = Helper(repo, tmp_path, "artist", SECRET)
    repo.git("config", "lfs.url", server.url.replace("//", "//artist@"))
    remote_of(repo).has([Thing(tmp_path / "local", 10).item])
    assert "username=artist\n" in helper.place.read_text()


def test_a_password_in_gits_own_config_is_used_and_not_shown(server: LfsServer, repo: GitRepo, tmp_path: Path) -> None:
    repo.git("config", "lfs.url", server.url.replace("//", f"//artist:{SECRET}@"))
    remote = remote_of(repo)
    assert remote.has([Thing(tmp_path / "local", 10).item]) == {}
    assert SECRET not in remote.place
    server.people = {"artist": "changed"}
    with pytest.raises(RemoteDenied) as caught:
        remote.has([Thing(tmp_path / "local", 10).item])
    assert SECRET not in caught.value.message


def test_the_path_is_git_s_own(server: LfsServer, repo: GitRepo, tmp_path: Path) -> None:
    helper = Helper(repo, tmp_path, "artist", SECRET)
    repo.git("config", "credential.useHttpPath", "true")
    remote_of(repo).has([Thing(tmp_path / "local", 10).item])
    assert "path=org/repo.git\n" in helper.place.read_text()
