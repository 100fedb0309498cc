"""Git LFS itself as the other client: what we sent it gets with nothing of ours, what it sent we read."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfyvn_store.remotes.remote import Item
from tests.gitrepo import GitRepo, run
from tests.remotes.lfs_servers import GIFTLESS, Server, remote_of, repository, running
from tests.remotes.objects import Thing
from tests.servers.lfs import LfsServer, serving

pytestmark = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")
REF = "refs/comfyvn/lfs"


@pytest.fixture(params=["giftless", "own"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    if request.param == "own":
        with serving(LfsServer()) as own:
            yield Server(own.url, tmp_path)
    else:
        with running("giftless", GIFTLESS, tmp_path / "giftless", "open") as giftless:
            yield giftless


@pytest.fixture
def repo(tmp_path: Path, server: Server) -> GitRepo:
    return repository(tmp_path, server.url)


def fresh(tmp_path: Path, server: Server) -> GitRepo:
    """A clone that has Git LFS and nothing of ours."""
    clone = repository(tmp_path, server.url, "fresh")
    clone.git("lfs", "install", "--local")
    return clone


def send(repo: GitRepo, tmp_path: Path, *sizes: int) -> list[Thing]:
    things = [Thing(tmp_path / "local", size, number) for number, size in enumerate(sizes)]
    remote = remote_of(repo)
    remote.prepare([thing.item for thing in things], upload=True)
    for thing in things:
        assert remote.put(thing.item, thing.source)
    remote.finish()
    remote.close()
    return things


def test_git_lfs_fetches_what_we_sent(repo: GitRepo, server: Server, tmp_path: Path) -> None:
    things = send(repo, tmp_path, 1, 1000, 3_000_000)
    clone = fresh(tmp_path, server)
    clone.git("fetch", "origin", f"{REF}:{REF}")
    clone.git("lfs", "fetch", "origin", REF)
    for thing in things:
        place = clone.path / ".git/lfs/objects" / thing.hash[:2] / thing.hash[2:4] / thing.hash
        assert hashlib.sha256(place.read_bytes()).hexdigest() == thing.hash


def test_git_lfs_checks_the_ref_out(repo: GitRepo, server: Server, tmp_path: Path) -> None:
    things = send(repo, tmp_path, 10, 70_000)
    clone = fresh(tmp_path, server)
    clone.git("fetch", "origin", REF)
    (clone.path / ".git/info").mkdir(exist_ok=True)
    (clone.path / ".git/info/attributes").write_text("*/* filter=lfs -text\n")
    clone.git("checkout", "--quiet", "FETCH_HEAD")
    for thing in things:
        assert clone.read(f"{thing.hash[:2]}/{thing.hash[2:]}") == thing.data
    assert clone.status() == []


def test_we_read_what_git_lfs_sent(repo: GitRepo, server: Server, tmp_path: Path) -> None:
    thing = Thing(tmp_path / "local", 50_000)
    clone = fresh(tmp_path, server)
    clone.git("lfs", "track", "*.bin")
    clone.write("a.bin", thing.data)
    clone.git("add", ".")
    clone.commit("with git lfs")
    clone.git("push", "--quiet", "origin", "main")
    remote = remote_of(repo)
    assert remote.has([thing.item, Item("f" * 64, 3)]) == {thing.hash: 50_000}
    assert b"".join(remote.get(thing.item, 100)) == thing.data[100:]
    assert remote.put(thing.item, thing.source) is False
    remote.close()


def test_we_choose_the_endpoint_that_git_lfs_chooses(repo: GitRepo) -> None:
    repo.git("config", "--unset", "lfs.url")
    cases = {
        "https://host.invalid/foo/bar": {},
        "https://host.invalid:8443/foo/bar.git": {},
        "git@host.invalid:foo/bar.git": {},
        "https://host.invalid/x": {
            "remote.origin.lfsurl": "https://big.invalid/lfs",
            "lfs.url": "https://all.invalid/lfs",
        },
        "https://host.invalid/y": {"remote.origin.lfsurl": "https://big.invalid/lfs"},
    }
    for url, settings in cases.items():
        repo.git("remote", "set-url", "origin", url)
        for key, value in settings.items():
            repo.git("config", key, value)
        said = run(["git", "lfs", "env"], cwd=repo.path).out
        (line,) = [each for each in said.splitlines() if each.startswith("Endpoint=")]
        assert line.split("=")[1].split(" ")[0] == remote_of(repo).place
        for key in settings:
            repo.git("config", "--unset", key)
