"""A repository that leaves a shared store takes along all that it names, and stays noted there as long as it needs it."""

from pathlib import Path

import pytest

from comfyvn_store.store import users
from comfyvn_store.store.objects import Store
from tests import oracle
from tests.collecting import HERO, age, begun, collect, home, loose_in, objects, pair, trashed
from tests.gitrepo import GitRepo
from tests.templates import copied


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def mine(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    return copied(tmp_path_factory, begun, tmp_path / "game")


@pytest.fixture
def other(mine: GitRepo, tmp_path: Path) -> GitRepo:
    return pair(mine, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "shared"


def noted(store: Path) -> list[str]:
    return users.users(Store(str(store)))


def lines(*repos: GitRepo) -> list[str]:
    return sorted(str(repo.path / ".git") for repo in repos)


def test_what_an_uninstalled_clone_names_is_kept(mine: GitRepo, other: GitRepo, store: Path) -> None:
    loose = loose_in(other, store)
    other.git("update-ref", "refs/heads/topic", loose.commit)
    assert "goes on keeping what this clone's history names" in other.tool("uninstall").out
    assert noted(store) == lines(mine, other)
    age(store)
    collect(mine)
    assert loose.hash in objects(store)
    mine.tool("gc", "--forget-clone", str(other.path))
    assert noted(store) == lines(mine) and list(collect(mine).freed) == [loose.hash]


def test_one_that_names_nothing_leaves(mine: GitRepo, store: Path, tmp_path: Path) -> None:
    pair(mine, tmp_path)
    empty = GitRepo.create(tmp_path / "empty")
    empty.git("config", "comfyvn.store", str(store))
    empty.tool("init")
    assert str(empty.path / ".git") in noted(store)
    assert "goes on keeping" not in empty.tool("uninstall").out
    assert str(empty.path / ".git") not in noted(store)


def move_back(repo: GitRepo) -> str:
    repo.git("config", "--unset", "comfyvn.store")
    return repo.tool("init").out


def test_all_that_is_named_comes_back(mine: GitRepo, other: GitRepo, store: Path) -> None:
    kept, stashed, undone, noted_down = (loose_in(other, store, seed) for seed in (11, 12, 13, 14))
    other.tool("keep", kept.hash)
    (other.path / ".git/rebase-merge").mkdir()
    (other.path / ".git/rebase-merge/autostash").write_text(f"{stashed.commit}\n")
    (other.path / "assets/note.txt").write_text(noted_down.text)
    age(store)
    assert list(collect(other).freed) == [undone.hash] and trashed(store) == {undone.hash}
    assert "goes on keeping" not in move_back(other)
    back = objects(home(other))
    assert {kept.hash, stashed.hash, undone.hash, noted_down.hash, other.sidecar(HERO)["hash"]} == back
    assert noted(store) == lines(mine)
    done = other.tool("undo", check=False)
    assert done.code == 20 and "its objects are all here" in done.err
    age(store)
    collect(mine)
    assert kept.hash not in objects(store), "nobody there needs it"


def test_what_is_damaged_there_keeps_the_clone_noted(mine: GitRepo, other: GitRepo, store: Path) -> None:
    loose = loose_in(other, store)
    other.git("update-ref", "refs/heads/topic", loose.commit)
    place = store / "objects" / loose.hash[:2] / loose.hash[2:]
    place.chmod(0o644)
    place.write_bytes(b"written through")
    assert f"{store}/ goes on keeping what it has" in move_back(other)
    assert noted(store) == lines(mine, other)
    hero = other.sidecar(HERO)["hash"]
    assert objects(home(other)) == {hero} and oracle.digest(other.read(HERO)) == hero
    age(store)
    collect(mine)
    assert place.exists() or list((store / "trash").iterdir()) == []


def test_a_good_copy_in_the_trash_is_found(mine: GitRepo, other: GitRepo, store: Path) -> None:
    loose = loose_in(other, store)
    age(store)
    collect(mine)
    assert trashed(store) == {loose.hash}
    other.git("update-ref", "refs/heads/topic", loose.commit)
    move_back(other)
    assert loose.hash in objects(home(other)) and noted(store) == lines(mine)
