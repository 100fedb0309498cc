"""The power goes away at some moment: what has an object's name then is whole, or is known to be doubtful.

`POWER_CUTS=N` cuts so many times for each verb on each file system; without it ext4 alone is cut, twice. A disk whose own
cache loses what it was told to keep, or that reorders writes between two flushes, is not what is tried here.
"""

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from comfyvn_store.base import durable
from comfyvn_store.store.objects import Store
from tests import collecting, migrants, oracle
from tests.gitrepo import GitRepo
from tests.powercut import disk
from tests.powercut.disk import Disk

CUTS = int(os.environ.get("POWER_CUTS", "2"))
KINDS = ["ext4", "xfs", "btrfs"]
COUNT = 40
# Our own program with syncing switched off: where the disk is not asked at all, and where the power goes before it is.
UNSYNCED = {
    "never": "durable.sync_files = lambda paths, **_: None",
    # Sidecars as well: many are synced with all of the disk.
    "not yet": "objects.Store.sync = lambda store, hashes: None; durable.sync_files = lambda paths, **_: None",
}
PROGRAM = """
import sys
from comfyvn_store.base import durable
from comfyvn_store.store import objects
{}
from comfyvn_store.cli.main import run
run(sys.argv[1:])
"""


@pytest.fixture(params=KINDS)
def power(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    with disk.made(tmp_path, request.param) as made:
        yield made


@pytest.fixture
def cut_power(power: Disk) -> Disk:
    """One that is cut at many moments."""
    if power.kind != KINDS[0] and "POWER_CUTS" not in os.environ:
        pytest.skip("takes long; POWER_CUTS=N cuts the power of this file system, too")
    return power


def arts(seed: int) -> dict[str, bytes]:
    """Names and bytes of some art, of all sizes."""
    source = random.Random(seed)
    return {
        f"{seed}-{number}.bin": source.randbytes(source.choice([90, 5_000, 60_000, 400_000])) for number in range(COUNT)
    }


def begin(power: Disk) -> GitRepo:
    repo = GitRepo.create(power.place / "repo")
    # What git writes itself is as durable as git makes it; here it is to lose nothing, so that only ours is tried.
    repo.git("config", "core.fsync", "all")
    repo.tool("init")
    repo.git("add", "assets")
    repo.commit("begin")
    sync(repo)
    return repo


def sync(repo: GitRepo) -> None:
    """Writes all of the repository's file system to its disk, and nothing of other ones."""
    durable.sync_files([str(repo.path / ".git/HEAD")] * 9)


def cut(power: Disk, words: list[str], cwd: Path, share: float, usual: float) -> Path:
    """Runs a program, and gives what the disk held after a share of the time that it usually takes."""
    process = subprocess.Popen(words, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(share * usual)
    try:
        return power.copy()
    finally:
        assert process.wait(timeout=120) == 0


def wrong_objects(repo: GitRepo) -> tuple[list[str], list[str]]:
    """The objects whose bytes are wrong: those that nothing doubts, and those that are read before they are believed."""
    store = Store(str(repo.path / ".git/comfyvn"))
    believed, doubted = [], []
    for hash_ in store.hashes() if (repo.path / ".git/comfyvn/objects").is_dir() else []:
        info = store.stat(hash_)
        if info is None or hashlib.sha256(Path(store.path(hash_)).read_bytes()).hexdigest() == hash_:
            continue
        (doubted if store.is_touched(info) else believed).append(hash_)
    return believed, doubted


def write_all(repo: GitRepo, art: dict[str, bytes]) -> None:
    for name, data in art.items():
        repo.write(f"assets/things/{name}", data)
    sync(repo)  # the user's own files have been there for a while


def check_after(repo: GitRepo, art: dict[str, bytes]) -> None:
    """What was cut short can be done again, and then everything is there."""
    for lock in (repo.path / ".git").rglob("*.lock"):
        if lock.name != "repair.lock":
            lock.unlink()
    believed, _ = wrong_objects(repo)
    assert believed == []
    for name, data in art.items():
        place = repo.path / "assets/things" / name
        assert place.read_bytes() == data, name
    repo.git("add", "assets")
    repo.git("commit", "-qm", "art", check=False)
    assert wrong_objects(repo) == ([], [])
    oracle.check_all(repo)


def shares() -> list[float]:
    return [(number + 1) / (CUTS + 1) for number in range(CUTS)]


@pytest.mark.parametrize("verb", ["add", "commit"])
def test_git_add_and_commit(cut_power: Disk, verb: str) -> None:
    power, usual = cut_power, 1.0
    repo = begin(power)
    for number, share in enumerate([*shares(), 1.0]):
        art = arts(number)
        write_all(repo, art)
        if verb == "commit":
            repo.git("add", "assets")
        words = ["git", "add", "assets"] if verb == "add" else ["git", "commit", "-qm", "art"]
        started = time.monotonic()
        copy = cut(power, words, repo.path, share, usual)
        usual = time.monotonic() - started
        with power.after(copy):
            check_after(repo, art)
        repo.git("add", "assets")
        repo.git("commit", "-qm", "art", check=False)


def test_what_is_added_outlives_a_power_cut_right_afterwards(power: Disk) -> None:
    repo, art = begin(power), arts(1)
    for name, data in art.items():
        repo.write(f"assets/things/{name}", data)
    repo.git("add", "assets")
    repo.git("stash", "--quiet")
    with power.after(power.copy()):
        assert wrong_objects(repo) == ([], [])
        store = Store(str(repo.path / ".git/comfyvn"))
        assert all(store.has(hashlib.sha256(data).hexdigest()) for data in art.values())


def test_register(cut_power: Disk, tmp_path: Path) -> None:
    power = cut_power
    repo = begin(power)
    for number, share in enumerate([*shares(), 1.0]):
        art = arts(number)
        for name, data in art.items():
            (tmp_path / name).write_bytes(data)
        sources = [str(tmp_path / name) for name in art]
        words = [sys.executable, "-P", "-m", "comfyvn_store", "register", *sources, "--type", "things"]
        copy = cut(power, words, repo.path, share, 1.5)
        with power.after(copy):
            assert wrong_objects(repo)[0] == []
            repo.tool("register", *sources, "--type", "things")
            check_after(repo, art)


def test_pull(cut_power: Disk, tmp_path: Path) -> None:
    power = cut_power
    repo, art = begin(power), arts(3)
    write_all(repo, art)
    repo.git("add", "assets")
    repo.tool("remote", "add", "disk", str(tmp_path / "remote"))
    repo.git("add", ".comfyvnconfig")
    repo.commit("art")
    repo.tool("push")
    for share in [*shares(), 1.0]:
        repo.tool("drop", "assets")
        sync(repo)
        copy = cut(power, [sys.executable, "-P", "-m", "comfyvn_store", "pull"], repo.path, share, 1.0)
        with power.after(copy):
            assert wrong_objects(repo) == ([], [])
            repo.tool("pull")
            check_after(repo, art)


def whole(places: Iterable[Path]) -> set[str]:
    """The hashes of files that have the bytes that their names say; one that has not fails."""
    found = set()
    for place in places:
        name = place.name[:64] if len(place.name) >= 64 else place.parent.name + place.name
        assert hashlib.sha256(place.read_bytes()).hexdigest() == name, place
        found.add(name)
    return found


def test_collecting(cut_power: Disk) -> None:
    power = cut_power
    repo, named = begin(power), arts(6)
    write_all(repo, named)
    repo.git("add", "assets")
    repo.commit("art")
    store = repo.path / ".git/comfyvn"
    for number, share in enumerate([*shares(), 1.0]):
        write_all(repo, arts(10 + number))
        repo.git("add", "assets")
        repo.git("rm", "-qf", *(f"assets/things/{name}" for name in arts(10 + number)))
        collecting.age(store)
        sync(repo)
        before = whole([*store.glob("objects/??/*"), *(store / "trash").iterdir()])
        words = [sys.executable, "-P", "-m", "comfyvn_store", "gc", "--prune", "--grace", "0"]
        copy = cut(power, words, repo.path, share, 1.0)
        with power.after(copy):
            assert whole([*store.glob("objects/??/*"), *(store / "trash").iterdir()]) == before
            repo.tool("gc", "--prune", "--grace", "0")
            assert collecting.objects(store) == {hashlib.sha256(data).hexdigest() for data in named.values()}
            repo.tool("undo")
            check_after(repo, named)


def test_migrating_from_git_lfs(cut_power: Disk) -> None:
    power = cut_power
    for number, share in enumerate([*shares(), 1.0]):
        repo, art = GitRepo.create(power.place / f"lfs-{number}"), arts(20 + number)
        repo.git("config", "core.fsync", "all")
        migrants.write_pointers(repo, {f"assets/things/{name}": data for name, data in art.items()})
        repo.tool("init")
        repo.commit("init")
        sync(repo)
        words = [sys.executable, "-P", "-m", "comfyvn_store", "migrate", "lfs", "--remove-cache"]
        copy = cut(power, words, repo.path, share, 1.5)
        with power.after(copy):
            assert wrong_objects(repo)[0] == []
            left = [place for place in (repo.path / ".git/lfs/objects").rglob("*") if place.is_file()]
            here = whole([*left, *(repo.path / ".git/comfyvn/objects").glob("??/*")])
            assert here >= {hashlib.sha256(data).hexdigest() for data in art.values()}
            for lock in (repo.path / ".git").glob("index*.lock"):
                lock.unlink()
            repo.tool("migrate", "lfs", "--remove-cache")
            check_after(repo, art)


@pytest.mark.parametrize("syncs", UNSYNCED)
def test_without_syncing_objects_have_no_bytes_and_are_doubted_until_they_were_synced(
    power: Disk, tmp_path: Path, syncs: str
) -> None:
    """That these tests can fail: names are there and bytes are not."""
    if power.kind == "btrfs":
        pytest.skip("btrfs writes an fsynced file alone, and had no name without its bytes in what was tried")
    repo, art = begin(power), arts(5)
    for name, data in art.items():
        (tmp_path / name).write_bytes(data)
    code = PROGRAM.format(UNSYNCED[syncs])
    words = [sys.executable, "-P", "-c", code, "register", *(str(tmp_path / name) for name in art), "--type", "things"]
    subprocess.run(words, cwd=repo.path, check=True, capture_output=True)
    # Something else makes the file system write its journal: names are on the disk then.
    with open(power.place / "other", "wb") as stream:
        os.fsync(stream.fileno())
    with power.after(power.copy()):
        believed, doubted = wrong_objects(repo)
    assert len(believed) + len(doubted) > COUNT // 4
    assert (believed == []) == (syncs == "not yet")
