"""The Git LFS remote, on the suite, against servers that other people wrote."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from comfyvn_store.remotes.lfs.remote import GitLfs
from comfyvn_store.remotes.remote import Remote
from tests.gitrepo import GitRepo
from tests.remotes.conformance import Conformance
from tests.remotes.lfs_servers import (
    DULWICH,
    GIFTLESS,
    Helper,
    Server,
    files_with,
    remote_of,
    repository,
    running,
    token,
)
from tests.remotes.objects import Thing
from tests.servers.lfs import LfsServer, serving


class Served(Conformance):
    """A kind of server; each test has a new one."""

    @pytest.fixture
    def repo(self, tmp_path: Path, server: Server) -> GitRepo:
        return repository(tmp_path, server.url)

    @pytest.fixture
    def remote(self, repo: GitRepo) -> Iterator[Remote]:
        made = remote_of(repo)
        yield made
        made.close()

    def again(self, remote: Remote) -> Remote:
        assert isinstance(remote, GitLfs)
        return GitLfs("art", "", remote.git, "sha1")

    def test_an_object_of_no_bytes(self, remote: Remote, tmp_path: Path) -> None:
        (thing,) = self.things(tmp_path, 0)
        self.put(remote, thing)
        assert remote.has([thing.item]) == {thing.hash: 0}
        assert self.read(remote, thing.item) == b""
        assert list(remote.list()) == [thing.item]


class TestDulwich(Served):
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[Server]:
        with running("dulwich", DULWICH, tmp_path / "dulwich") as server:
            yield server


class TestGiftless(Served):
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[Server]:
        with running("giftless", GIFTLESS, tmp_path / "giftless", "open") as server:
            yield server


class TestWithRangesPasswordsAndTokens(Served):
    """Our own, which has what the others lack."""

    @pytest.fixture
    def own(self) -> Iterator[LfsServer]:
        with serving(LfsServer()) as server:
            server.people = {"artist": "sesame-of-artist"}
            yield server

    @pytest.fixture
    def server(self, tmp_path: Path, own: LfsServer) -> Server:
        return Server(own.url, tmp_path)

    @pytest.fixture
    def repo(self, tmp_path: Path, server: Server) -> GitRepo:
        repo = repository(tmp_path, server.url)
        Helper(repo, tmp_path, "artist", "sesame-of-artist")
        return repo


def test_giftless_with_a_login(tmp_path: Path) -> None:
    with running("giftless", GIFTLESS, tmp_path / "giftless", "login") as server:
        repo = repository(tmp_path, server.url)
        secret = token()
        helper = Helper(repo, tmp_path, "_jwt", secret)
        remote = remote_of(repo)
        things = [Thing(tmp_path / "local", 5000, number) for number in range(3)]
        remote.prepare([thing.item for thing in things], upload=True)
        assert [remote.put(thing.item, thing.source) for thing in things] == [True] * 3
        remote.finish()
        assert helper.verbs() == ["get", "store"]
        assert b"".join(remote.get(things[0].item, 10)) == things[0].data[10:]
        assert helper.verbs() == ["get", "store"]
        assert files_with(secret, repo.path, tmp_path / "server.git") == []
        remote.close()


def test_the_server_is_asked_for_a_hundred_objects_at_once(tmp_path: Path) -> None:
    with serving(LfsServer()) as server:
        remote = remote_of(repository(tmp_path, server.url))
        things = [Thing(tmp_path / "local", 10, number) for number in range(250)]
        assert remote.has([thing.item for thing in things]) == {}
        assert [len(asked["objects"]) for asked in server.batches()] == [100, 100, 50]
        remote.prepare([thing.item for thing in things[:100]], upload=True)
        for thing in things[:100]:
            remote.put(thing.item, thing.source)
        assert len(server.batches()) == 4
        asked = server.batches()[3]
        assert asked["operation"] == "upload" and asked["transfers"] == ["basic"] and asked["hash_algo"] == "sha256"
        assert asked["ref"] == {"name": "refs/heads/main"}
        assert asked["objects"][0] == {"oid": things[0].hash, "size": 10}


def test_a_server_that_takes_fewer_at_once(tmp_path: Path) -> None:
    with serving(LfsServer()) as server:
        server.most = 30
        remote = remote_of(repository(tmp_path, server.url))
        things = [Thing(tmp_path / "local", 10, number) for number in range(100)]
        server.objects = {thing.hash: thing.data for thing in things[:70]}
        assert len(remote.has([thing.item for thing in things])) == 70


def test_ranges_are_used(tmp_path: Path) -> None:
    with serving(LfsServer()) as server:
        remote = remote_of(repository(tmp_path, server.url))
        thing = Thing(tmp_path / "local", 100_000)
        server.objects[thing.hash] = thing.data
        assert b"".join(remote.get(thing.item, 99_000)) == thing.data[99_000:]
        assert server.methods("GET")[0].headers["Range"] == "bytes=99000-"
        server.has_ranges = False
        assert b"".join(remote.get(thing.item, 99_000)) == thing.data[99_000:]
        assert b"".join(remote.get(thing.item._replace(size=None), 100_000)) == b""


def test_an_action_that_ran_out_is_asked_for_anew(tmp_path: Path) -> None:
    with serving(LfsServer()) as server:
        remote = remote_of(repository(tmp_path, server.url))
        one, other = (Thing(tmp_path / "local", 1000, number) for number in range(2))
        server.said_lifetime = 1  # the client is told: it asks before it uses such an action
        remote.prepare([one.item], upload=True)
        server.tokens.clear()
        assert remote.put(one.item, one.source) is True
        assert len(server.methods("PUT")) == 1
        server.said_lifetime = 3600  # and here it finds out
        remote.prepare([other.item], upload=True)
        remote.prepare([one.item], upload=False)
        server.tokens.clear()
        assert remote.put(other.item, other.source) is True
        assert len(server.methods("PUT")) == 3
        assert b"".join(remote.get(one.item)) == one.data


def test_a_token_that_runs_out_during_the_upload(tmp_path: Path) -> None:
    with serving(LfsServer()) as server:
        remote = remote_of(repository(tmp_path, server.url))
        thing = Thing(tmp_path / "local", 1000)
        remote.prepare([thing.item], upload=True)
        upload, verify = list(server.tokens)
        del server.tokens[verify]
        assert remote.put(thing.item, thing.source) is True
        assert len(server.methods("PUT")) == 1 and upload in server.tokens


def test_a_server_that_does_not_verify(tmp_path: Path) -> None:
    with serving(LfsServer()) as server:
        server.wants_verify = False
        remote = remote_of(repository(tmp_path, server.url))
        thing = Thing(tmp_path / "local", 1000)
        assert remote.put(thing.item, thing.source) is True
        put = server.methods("PUT")[0]
        assert put.headers["Content-Length"] == "1000" and put.headers["Content-Type"] == "application/octet-stream"


def test_what_the_server_had_already_is_anchored_too(tmp_path: Path) -> None:
    with serving(LfsServer()) as server:
        remote = remote_of(repository(tmp_path, server.url))
        one, other = (Thing(tmp_path / "local", 1000, number) for number in range(2))
        server.objects = {one.hash: one.data, other.hash: other.data}
        assert remote.put(one.item, one.source) is False
        assert set(remote.has([other.item])) == {other.hash}
        remote.finish()
        assert sorted(remote.list()) == sorted([one.item, other.item])


def test_a_size_that_only_somebody_says_makes_no_pointer(tmp_path: Path) -> None:
    with serving(LfsServer()) as server:
        remote = remote_of(repository(tmp_path, server.url))
        one, other = (Thing(tmp_path / "local", 1000, number) for number in range(2))
        server.objects = {one.hash: one.data, other.hash: other.data}
        remote.has([one.item._replace(size=999), other.item._replace(size=None)])
        remote.finish()
        assert list(remote.list()) == []


def test_what_was_prepared_with_another_size_is_asked_for_anew(tmp_path: Path) -> None:
    with serving(LfsServer()) as server:
        remote = remote_of(repository(tmp_path, server.url))
        thing = Thing(tmp_path / "local", 1000)
        remote.prepare([thing.item._replace(size=999)], upload=True)
        assert remote.put(thing.item, thing.source) is True
        assert [asked["objects"][0]["size"] for asked in server.batches()] == [999, 1000]
