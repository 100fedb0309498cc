"""A store that several clones share: a clone that is not there, or that nobody knows, keeps what it may need."""

from pathlib import Path

import pytest

from comfyvn_store.errors import Refused
from comfyvn_store.ops import drop
from comfyvn_store.ops.session import open_session
from comfyvn_store.store import users
from comfyvn_store.store.objects import Store
from tests.collecting import HERO, Loose, age, begun, collect, loose_in, objects, pair
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
    """A clone that shares the store, and whose branch alone names an object."""
    return pair(mine, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "shared"


@pytest.fixture
def theirs(other: GitRepo, store: Path) -> Loose:
    loose = loose_in(other, store)
    other.git("update-ref", "refs/heads/topic", loose.commit)
    age(store)
    return loose


def noted(store: Path) -> list[str]:
    return users.users(Store(str(store)))


def lines(*repos: GitRepo) -> list[str]:
    return sorted(str(repo.path / ".git") for repo in repos)


def test_a_clone_that_is_not_there_stops_collection(
    mine: GitRepo, other: GitRepo, store: Path, theirs: Loose, tmp_path: Path
) -> None:
    other.path.rename(tmp_path / "unplugged")
    said = mine.tool("gc", "--prune", "--grace", "0", check=False)
    assert said.code == 20 and f"'{other.path}/.git' uses this store and is not there" in said.err
    assert f"comfyvn-store gc --forget-clone {other.path}/.git" in said.err
    third = GitRepo(tmp_path / "third")
    mine.git("clone", "-q", str(mine.path), str(third.path))
    third.git("config", "comfyvn.store", str(store))
    third.tool("init")
    assert noted(store) == lines(mine, other, third), "whoever writes the list drops nobody"
    why = mine.tool("why", theirs.hash, "--json").json()[0]
    assert ["clone", f"{other.path}/.git"] in [[each["kind"], each["name"]] for each in why["reasons"]]
    (tmp_path / "unplugged").rename(other.path)
    collect(mine)
    assert theirs.hash in objects(store)


def test_one_that_is_gone_for_good_is_forgotten(
    mine: GitRepo, other: GitRepo, store: Path, theirs: Loose, tmp_path: Path
) -> None:
    refused = mine.tool("gc", "--forget-clone", str(other.path), check=False)
    assert refused.code == 20 and "is there and uses this store" in refused.err
    assert mine.tool("gc", "--forget-clone", str(tmp_path / "nobody"), check=False).code == 2
    other.path.rename(tmp_path / "away")
    done = mine.tool("gc", "--grace", "0", "--forget-clone", str(other.path))
    assert "is not asked any more" in done.err and "1 object" in done.out
    assert noted(store) == lines(mine) and theirs.hash in objects(store)
    assert list(collect(mine).freed) == [theirs.hash]


@pytest.mark.parametrize("how", ["removed", "empty"])
def test_a_list_that_was_lost_is_not_taken_for_nobody(
    mine: GitRepo, other: GitRepo, store: Path, theirs: Loose, how: str
) -> None:
    place = store / "users"
    if how == "empty":
        place.write_bytes(b"")
    else:
        place.unlink()
    with pytest.raises(Refused, match="not known which repositories use the store"):
        collect(mine)
    mine.tool("status")
    assert noted(store) == [str(mine.path / ".git"), "?"], "what notes itself does not make the list whole"
    with pytest.raises(Refused, match="not known which repositories use the store"):
        collect(mine)
    other.tool("init")
    mine.tool("gc", "--forget-clone", "?")
    assert noted(store) == lines(mine, other)
    collect(mine)
    assert theirs.hash in objects(store)


def test_a_list_without_us_is_doubted(mine: GitRepo, other: GitRepo, store: Path, theirs: Loose) -> None:
    (store / "users").write_bytes(f"{other.path}/.git\n".encode())
    with pytest.raises(Refused, match="does not know this repository"):
        collect(mine)
    mine.tool("status")
    collect(mine)
    assert theirs.hash in objects(store)


@pytest.mark.parametrize("line", ["relative/.git", "/no/\0path"])
def test_a_line_that_is_no_path_stops_collection(mine: GitRepo, other: GitRepo, store: Path, line: str) -> None:
    with open(store / "users", "ab") as stream:
        stream.write(line.encode() + b"\n")
    with pytest.raises(Refused, match="is not there"):
        collect(mine)


def test_drop_keeps_what_a_clone_may_need_that_is_not_there(
    mine: GitRepo, other: GitRepo, store: Path, tmp_path: Path
) -> None:
    (tmp_path / "usb").mkdir()
    mine.tool("remote", "add", "--local", "usb", str(tmp_path / "usb"))
    mine.git("remote", "remove", "origin", check=False)
    mine.tool("push")
    other.git("rm", "-q", HERO)
    other.path.rename(tmp_path / "away")
    with open_session(str(mine.path)) as session:
        done = drop.drop(session, [HERO])
        assert done.dropped == [] and [str(other.path) in why for why in done.kept.values()] == [True]
        error = drop.error_of(done)
        assert error is not None and "--force" in str(error.hint)
        assert len(drop.drop(session, [HERO], force=True).dropped) == 1
