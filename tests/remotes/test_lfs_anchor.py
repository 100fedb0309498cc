"""The ref that keeps objects from collection: what is in it, who may change it at once, and what happens where it may not."""

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfyvn_store.errors import RemoteDenied, RemoteUnreachable
from comfyvn_store.remotes.lfs.anchor import parse_pointer, pointer
from comfyvn_store.remotes.lfs.remote import GitLfs
from comfyvn_store.vcs.git import Git
from tests.gitrepo import GitRepo, run
from tests.remotes.lfs_servers import remote_of, repository
from tests.remotes.objects import Thing
from tests.servers.lfs import LfsServer, serving

REF = "refs/comfyvn/lfs"


@pytest.fixture
def server() -> Iterator[LfsServer]:
    with serving(LfsServer()) as server:
        yield server


@pytest.fixture
def repo(tmp_path: Path, server: LfsServer) -> GitRepo:
    return repository(tmp_path, server.url)


@pytest.fixture
def bare(tmp_path: Path, repo: GitRepo) -> Path:
    return tmp_path / "server.git"


def send(remote: GitLfs, *things: Thing) -> None:
    for thing in things:
        remote.put(thing.item, thing.source)
    remote.finish()


def files_in(bare: Path, ref: str = REF) -> list[str]:
    return run(["git", "ls-tree", "-r", "--name-only", ref], cwd=bare).out.splitlines()


def decline(bare: Path) -> Path:
    hook = bare / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    return hook


def test_a_pointer_has_one_encoding(tmp_path: Path) -> None:
    thing = Thing(tmp_path, 12_345)
    text = pointer(thing.hash, 12_345)
    assert text == b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 12345\n" % thing.hash.encode()
    assert parse_pointer(text) == (thing.hash, 12_345)
    for wrong in (text + b"x", text[:-1], text.replace(b"12345", b"012345"), text.replace(b"\n", b"\r\n"), b""):
        assert parse_pointer(wrong) is None


def test_each_object_has_its_pointer_in_the_git_remote(repo: GitRepo, bare: Path, tmp_path: Path) -> None:
    things = [Thing(tmp_path / "local", 100 + number, number) for number in range(3)]
    send(remote_of(repo), *things)
    assert files_in(bare) == sorted(f"{thing.hash[:2]}/{thing.hash[2:]}" for thing in things)
    first = things[0]
    blob = run(["git", "cat-file", "blob", f"{REF}:{first.hash[:2]}/{first.hash[2:]}"], cwd=bare).stdout
    assert blob == pointer(first.hash, 100)
    assert repo.git("for-each-ref", "--format=%(refname)").out == "refs/comfyvn/remotes/origin/lfs"
    assert repo.status() == []


def test_what_changes_nothing_makes_no_commit(repo: GitRepo, bare: Path, tmp_path: Path) -> None:
    thing = Thing(tmp_path / "local", 100)
    send(remote_of(repo), thing)
    before = run(["git", "rev-parse", REF], cwd=bare).out
    again = remote_of(repo)
    send(again, thing)
    again.has([thing.item])
    again.finish()
    assert run(["git", "rev-parse", REF], cwd=bare).out == before


def test_clones_that_send_at_once_lose_nothing(server: LfsServer, tmp_path: Path, bare: Path) -> None:
    repos = [repository(tmp_path, server.url, f"clone{number}") for number in range(4)]
    things = [Thing(tmp_path / "local", 50, number) for number in range(8)]
    wrong: list[object] = []

    def work(number: int) -> None:
        try:
            for thing in things[number::4]:
                send(remote_of(repos[number]), thing)
        except RemoteUnreachable as error:
            wrong.append(error.message)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and len(files_in(bare)) == 8


def test_a_git_remote_that_declines(repo: GitRepo, bare: Path, tmp_path: Path) -> None:
    one, other = (Thing(tmp_path / "local", 100, number) for number in range(2))
    hook = decline(bare)
    remote = remote_of(repo)
    with pytest.raises(RemoteDenied, match="has the objects, but not refs/comfyvn/lfs") as caught:
        send(remote, one)
    assert "hook declined" in caught.value.message
    hook.unlink()
    send(remote_of(repo), other)  # another process, later, sends what is due
    assert len(files_in(bare)) == 2
    assert "unsent" not in repo.git("for-each-ref", "--format=%(refname)").out


def test_a_server_of_no_git_remote_has_a_ref_of_its_own(
    server: LfsServer, repo: GitRepo, bare: Path, tmp_path: Path
) -> None:
    repo.git("config", "--unset", "lfs.url")
    repo.git("remote", "set-url", "origin", str(bare))
    thing, other = (Thing(tmp_path / "local", 100, number) for number in range(2))
    send(remote_of(repo, server.url), thing)
    (ref,) = run(["git", "for-each-ref", "--format=%(refname)"], cwd=bare).out.split()
    assert ref.startswith("refs/comfyvn/lfs-") and len(files_in(bare, ref)) == 1
    decline(bare)  # as a forge does that does not have those objects
    send(remote_of(repo, server.url), other)
    assert sorted(remote_of(repo, server.url).list()) == sorted([thing.item, other.item])


def test_without_any_git_remote(server: LfsServer, repo: GitRepo, tmp_path: Path) -> None:
    repo.git("remote", "remove", "origin")
    repo.git("config", "--unset", "lfs.url")
    thing = Thing(tmp_path / "local", 100)
    send(remote_of(repo, server.url), thing)
    assert list(remote_of(repo, server.url).list()) == [thing.item]
    remote = remote_of(repo, server.url)
    remote.delete(thing.hash)
    remote.finish()
    assert list(remote.list()) == []


def test_in_a_repository_of_sha256(server: LfsServer, tmp_path: Path) -> None:
    bare = tmp_path / "other.git"
    run(["git", "init", "--quiet", "--bare", "--object-format=sha256", str(bare)], cwd=tmp_path)
    repo = GitRepo.create(tmp_path / "other", "--object-format=sha256")
    repo.git("remote", "add", "origin", str(bare))
    repo.git("config", "lfs.url", server.url)
    things = [Thing(tmp_path / "local", 100, number) for number in range(40)]
    send(GitLfs("art", "", Git(str(repo.path)), "sha256"), *things)
    assert len(list(GitLfs("art", "", Git(str(repo.path)), "sha256").list())) == 40
    assert run(["git", "fsck", "--strict"], cwd=bare).code == 0


def test_strangers_in_the_ref_are_no_objects(repo: GitRepo, bare: Path, tmp_path: Path) -> None:
    thing = Thing(tmp_path / "local", 100)
    send(remote_of(repo), thing)
    remote = remote_of(repo)
    shelf = remote._anchor._shelf
    tip = shelf.fetch("origin")
    wrong: dict[str, bytes | None] = {
        "readme": b"hello",
        "ab/" + "0" * 62: pointer("cd" + "0" * 62, 1),
        "ef/" + "0" * 62: pointer("ef" + "0" * 62, 1) + b"x" * 5000,
    }
    assert shelf.push("origin", shelf.record(tip, wrong, "strangers"))
    assert list(remote.list()) == [thing.item]


def test_a_git_remote_that_is_gone(repo: GitRepo, bare: Path, tmp_path: Path, server: LfsServer) -> None:
    thing = Thing(tmp_path / "local", 100)
    send(remote_of(repo), thing)
    bare.rename(tmp_path / "gone")
    remote = remote_of(repo)
    with pytest.raises(RemoteUnreachable, match="git remote 'origin'"):
        list(remote.list())
    with pytest.raises(RemoteUnreachable):
        remote.test()
    # What was known is enough for a size.
    assert b"".join(remote_of(repo).get(thing.item._replace(size=None))) == thing.data


def test_twenty_thousand_pointers(repo: GitRepo, bare: Path) -> None:
    anchor = remote_of(repo)._anchor
    hashes = {hashlib.sha256(str(number).encode()).hexdigest(): number for number in range(20_000)}
    since = time.monotonic()
    anchor.publish(hashes, set())
    anchor.publish({"f" * 64: 7}, set())
    assert len(anchor.refresh()) == 20_001
    assert time.monotonic() - since < 60
