"""Shelves: small files in a ref of their own, and what happens when several clones change one at once."""

import hashlib
import threading
import time
from pathlib import Path

import pytest

from comfyvn_store.errors import RemoteDenied, RemoteUnreachable
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.shelf import Shelf
from tests.gitrepo import GitRepo, run


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    place = tmp_path / "server.git"
    run(["git", "init", "--quiet", "--bare", str(place)], cwd=tmp_path)
    return place


def clone(tmp_path: Path, bare: Path, name: str) -> Shelf:
    repo = GitRepo.create(tmp_path / name)
    repo.git("remote", "add", "origin", str(bare))
    return Shelf(Git(str(repo.path)), "sha1", "things")


@pytest.fixture
def shelf(tmp_path: Path, bare: Path) -> Shelf:
    return clone(tmp_path, bare, "one")


def test_files_are_recorded_changed_and_taken_away(shelf: Shelf) -> None:
    first = shelf.record(None, {"a": b"1", "ab/c": b"2", "ab/d/e": b"3"}, "first")
    second = shelf.record(first, {"a": b"4", "ab/c": None, "not there": None}, "second")
    assert shelf.read(first) == {"a": b"1", "ab/c": b"2", "ab/d/e": b"3"}
    assert shelf.read(second) == {"a": b"4", "ab/d/e": b"3"}
    assert shelf.tip() is None and shelf.move(second, None) and shelf.tip() == second
    assert not shelf.move(first, None)
    assert shelf.git.text("fsck", "--strict") == ""


def test_what_changes_nothing_is_no_commit(shelf: Shelf) -> None:
    first = shelf.record(None, {"a": b"1"}, "first")
    assert shelf.record(first, {"a": b"1", "b": None}, "again") == first


def test_all_may_go(shelf: Shelf) -> None:
    first = shelf.record(None, {"a/b": b"1"}, "first")
    assert shelf.read(shelf.record(first, {"a/b": None}, "none")) == {}


def test_names_that_are_not_ascii(shelf: Shelf) -> None:
    files: dict[str, bytes | None] = {"bilder/Größe 1.txt": b"x", "日本": b"y"}
    assert shelf.read(shelf.record(None, files, "names")) == files


def test_large_files_are_left_out(shelf: Shelf) -> None:
    commit = shelf.record(None, {"small": b"x" * 10, "large": b"x" * 11}, "sizes")
    assert shelf.read(commit, 10) == {"small": b"x" * 10}


def test_without_a_name_of_ones_own(shelf: Shelf, hermetic: Path) -> None:
    (hermetic / "gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    commit = shelf.record(None, {"a": b"1"}, "first")
    assert shelf.git.text("log", "-1", "--format=%an", commit) == "comfyvn-store"


def test_exchange(shelf: Shelf, tmp_path: Path, bare: Path) -> None:
    other = clone(tmp_path, bare, "two")
    assert shelf.fetch("origin") is None
    commit = shelf.record(None, {"a": b"1"}, "first")
    assert shelf.push("origin", commit)
    assert other.fetch("origin") == commit and other.read(commit) == {"a": b"1"}
    assert other.tip() is None and other.tip(other.ref_of("origin")) == commit


def test_a_shelf_that_was_removed_there(shelf: Shelf, bare: Path) -> None:
    assert shelf.push("origin", shelf.record(None, {"a": b"1"}, "first"))
    run(["git", "update-ref", "-d", shelf.ref], cwd=bare)
    assert shelf.fetch("origin") is None and shelf.tip(shelf.ref_of("origin")) is None


def test_who_was_slower_is_told(shelf: Shelf, tmp_path: Path, bare: Path) -> None:
    other = clone(tmp_path, bare, "two")
    first = shelf.record(None, {"a": b"1"}, "first")
    assert shelf.push("origin", first)
    assert other.push("origin", other.record(None, {"b": b"2"}, "mine")) is False
    base = other.fetch("origin")
    assert other.push("origin", other.record(base, {"b": b"2"}, "mine"))
    assert shelf.push("origin", shelf.record(first, {"c": b"3"}, "late")) is False
    assert shelf.read(shelf.fetch("origin")) == {"a": b"1", "b": b"2"}


def test_many_clones_at_once_lose_nothing(tmp_path: Path, bare: Path) -> None:
    shelves = [clone(tmp_path, bare, f"clone{number}") for number in range(4)]

    def work(number: int) -> None:
        mine = shelves[number]
        for turn in range(3):
            for _ in range(50):
                base = mine.fetch("origin")
                if mine.push("origin", mine.record(base, {f"{number}-{turn}": b"x"}, "mine")):
                    break

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = shelves[0].read(shelves[0].fetch("origin"))
    assert sorted(held) == sorted(f"{number}-{turn}" for number in range(4) for turn in range(3))


def test_two_processes_of_one_clone_fetch_at_once(shelf: Shelf, tmp_path: Path, bare: Path) -> None:
    other = clone(tmp_path, bare, "two")
    wrong: list[object] = []

    def fetch() -> None:
        try:
            for _ in range(5):
                shelf.fetch("origin")
        except RemoteUnreachable as error:
            wrong.append(error.message)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    base = None
    for number in range(10):
        base = other.record(base, {str(number): b"x"}, "more")
        assert other.push("origin", base)
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_server_that_is_not_there(shelf: Shelf) -> None:
    shelf.git.run("remote", "set-url", "origin", "/nowhere/server.git")
    commit = shelf.record(None, {"a": b"1"}, "first")
    with pytest.raises(RemoteUnreachable, match="git remote 'origin'"):
        shelf.fetch("origin")
    with pytest.raises(RemoteUnreachable, match="git remote 'origin'"):
        shelf.push("origin", commit)


def test_nobody_listens(shelf: Shelf) -> None:
    shelf.git.run("remote", "set-url", "origin", "http://sesame-token@127.0.0.1:9/x.git")
    with pytest.raises(RemoteUnreachable) as caught:
        shelf.fetch("origin")
    assert caught.value.is_passing and "sesame" not in caught.value.message


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
def test_a_server_that_declines(shelf: Shelf, bare: Path, hook: str) -> None:
    place = bare / "hooks" / hook
    place.parent.mkdir(exist_ok=True)
    place.write_text("#!/bin/sh\necho no refs of that kind here >&2\nexit 1\n")
    place.chmod(0o755)
    with pytest.raises(RemoteDenied) as caught:
        shelf.push("origin", shelf.record(None, {"a": b"1"}, "first"))
    assert "hook declined" in caught.value.message and "no refs of that kind here" in caught.value.message


def test_twenty_thousand_files_take_seconds(shelf: Shelf) -> None:
    files: dict[str, bytes | None] = {}
    for number in range(20_000):
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        files[f"{digest[:2]}/{digest[2:]}"] = f"oid {digest}\n".encode()
    since = time.monotonic()
    first = shelf.record(None, files, "many")
    second = shelf.record(first, {"00/one more": b"x"}, "one more")
    assert len(shelf.read(second)) == 20_001
    assert shelf.push("origin", second)
    assert time.monotonic() - since < 60
