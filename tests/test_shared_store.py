"""`comfyvn.store`: several clones of one machine keep their objects in one store outside all of them."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from comfyvn_store.base import sharing
from comfyvn_store.store import partial, users
from comfyvn_store.store.objects import Store
from comfyvn_store.store.partial import Part
from tests import oracle
from tests.filterclient import FilterClient
from tests.gitrepo import GitRepo
from tests.media import comfy_png
from tests.processes import end, start
from tests.templates import copied, shared

HERO, TWIN, DOOR = "assets/characters/hero.png", "assets/ui/twin.png", "assets/sfx/door.ogg"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def make_art(repo: GitRepo) -> None:
    repo.write(HERO, comfy_png(1))
    repo.write(DOOR, b"OggS" + bytes(range(256)) * 40)
    repo.git("add", "assets")
    repo.commit("first")
    repo.write(HERO, comfy_png(2))
    repo.git("add", "assets")
    repo.commit("second")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    """A repository with a store of its own: three objects, one of them of an older version."""
    return copied(tmp_path_factory, make_art, tmp_path / "game")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the shared store is to be."""
    return tmp_path / "srv" / "art"


def use(repo: GitRepo, place: Path) -> GitRepo:
    """Lets a repository use the shared store."""
    place.parent.mkdir(exist_ok=True)
    repo.git("config", "comfyvn.store", str(place))
    repo.tool("init")
    return repo


def home(repo: GitRepo) -> Path:
    return Path(repo.git("rev-parse", "--path-format=absolute", "--git-common-dir").out, "comfyvn")


class Info(NamedTuple):
    mode: int
    inode: int
    size: int
    mtime_ns: int


def objects(store: Path) -> dict[str, Info]:
    found = {each.parent.name + each.name: each.lstat() for each in store.glob("objects/??/*")}
    return {name: Info(info.st_mode, info.st_ino, info.st_size, info.st_mtime_ns) for name, info in found.items()}


def hashes_of(store: Path) -> dict[str, str]:
    """The hash that the bytes of each object really have."""
    return {name: oracle.digest((store / "objects" / name[:2] / name[2:]).read_bytes()) for name in objects(store)}


def check_whole(repo: GitRepo, *, count: int | None = None) -> None:
    """Every object holds what it should, git and doctor find nothing to say."""
    found = repo.tool("rebuild", "--verify", "--no-previews", "--json").json()
    assert found["problems"] == [] and (count is None or found["verified"] == count), found
    assert repo.status() == []
    assert repo.tool("doctor", "--json").json()["findings"] == []
    oracle.check_all(repo)


def said_by(repo: GitRepo) -> list[str]:
    return [line for line in repo.tool("status").err.splitlines() if "comfyvn.store" in line]


# -- there and back ----------------------------------------------------------------------------------------------------


def test_objects_move_and_links_lead_there(art: GitRepo, place: Path, tmp_path: Path) -> None:
    tree = GitRepo(tmp_path / "elsewhere" / "tree")
    art.git("worktree", "add", "-q", str(tree.path))
    before, bytes_ = objects(home(art)), art.read(HERO)
    place.parent.mkdir()
    art.git("config", "comfyvn.store", str(place))
    done = art.tool("init", "--json").json()
    assert (done["store"], done["moved_from"], done["moved_objects"]) == (str(place), str(home(art)), 3)
    assert done["moved_bytes"] == sum(info.size for info in before.values())
    after = objects(place)
    assert {name: info.inode for name, info in after.items()} == {name: info.inode for name, info in before.items()}
    assert not (home(art) / "objects").exists()
    for repo in (art, tree):
        assert (repo.path / ".comfyvn").resolve() == place and repo.read(HERO) == bytes_
        check_whole(repo, count=3)
    assert users.users(Store(str(place))) == [str(art.path / ".git")]
    again = art.tool("init", "--json").json()
    assert (again["moved_from"], again["moved_objects"]) == (None, 0)
    assert art.tool("status", "--json").json()["store"] == str(place) and said_by(art) == []


def test_an_ordinary_store_is_as_it_was(art: GitRepo) -> None:
    art.tool("init")
    found = {each.name for each in home(art).iterdir()} - {"index.db-wal", "index.db-shm", "repair.lock"}
    assert found == {"format", "objects", "tmp", "bad", "trash", "lock", "hooks", "index.db"}
    assert art.link(".comfyvn") == ".git/comfyvn"


def test_until_init_the_old_place_is_used(art: GitRepo, place: Path) -> None:
    place.parent.mkdir()
    art.git("config", "comfyvn.store", str(place))
    note = f"note: comfyvn.store changed, and '{home(art)}' is used still: run `comfyvn-store init`"
    assert said_by(art) == [note]
    art.write(TWIN, comfy_png(3))
    art.git("add", "assets")
    art.commit("more")
    assert art.tool("status", "--json").json()["store"] == str(home(art))
    assert not place.exists() and len(objects(home(art))) == 4
    told = art.tool("init", "--print").out
    assert f"{home(art)}/ -> {place}/" in told and f".comfyvn -> {place}" in told
    assert art.tool("init", "--print", "--json").json()["moved_from"] == str(home(art))
    found = art.tool("doctor", "--json", check=False).json()["findings"]
    assert [(each["kind"], each["remedy"]) for each in found] == [("store-place", "comfyvn-store init")]
    assert not place.exists()
    art.tool("doctor", "--fix")
    check_whole(art, count=4)
    assert len(objects(place)) == 4 and art.tool("init", "--print").out == "nothing to write: this repository is set up"
    # and the other way round
    art.git("config", "--unset", "comfyvn.store")
    art.write(DOOR, b"OggS" + bytes(100))
    art.git("add", "assets")
    art.commit("door")
    assert len(objects(place)) == 5 and not (home(art) / "objects").exists()
    assert said_by(art) == [note.replace(str(home(art)), str(place))]
    art.tool("init")
    check_whole(art, count=5)


def test_what_history_needs_comes_back_and_the_store_keeps_all(art: GitRepo, place: Path, tmp_path: Path) -> None:
    use(art, place)
    other = use(GitRepo.create(tmp_path / "other"), place)
    other.write("assets/ui/theirs.png", comfy_png(50))
    other.git("add", "assets")
    other.commit("theirs")
    tree = GitRepo(tmp_path / "tree")
    art.git("worktree", "add", "-q", str(tree.path))
    mine = {}
    for number, repo in enumerate((art, art, art, tree)):
        mine[number] = comfy_png(10 + number)
        repo.write(f"assets/ui/{number}.png", mine[number])
        repo.git("add", "assets")
        if number == 0:  # only in the reflog
            repo.commit("gone")
            repo.git("reset", "-q", "--hard", "HEAD^")
        if number == 1:
            repo.git("stash", "-q")
    art.write("assets/ui/aside.png", comfy_png(20))
    source = tmp_path / "not-staged.png"
    source.write_bytes(comfy_png(21))
    art.tool("register", str(source), "--type", "ui", "--name", "unstaged.png", "--no-stage")
    before = objects(place)
    art.git("config", "--unset", "comfyvn.store")
    done = art.tool("init", "--json").json()
    assert (done["store"], done["moved_from"], done["moved_objects"]) == (str(home(art)), str(place), 8)
    assert objects(place) == before and set(users.users(Store(str(place)))) == {str(other.path / ".git")}
    back = objects(home(art))
    assert not {info.inode for info in back.values()} & {info.inode for info in before.values()}
    assert {name: name for name in back} == hashes_of(home(art)) and len(back) == 8
    theirs = other.sidecar("assets/ui/theirs.png")["hash"]
    assert theirs in before and theirs not in back
    shutil.rmtree(place)
    art.git("stash", "pop", "-q")
    assert (art.path / "assets/ui/unstaged.png").exists()
    assert art.tool("status", "--json").json()["missing"] == tree.tool("status", "--json").json()["missing"] == []
    for rev in ("HEAD@{1}", "HEAD"):
        art.git("checkout", "-q", "--force", rev)
        assert art.tool("status", "--json").json()["missing"] == [], rev


def test_from_one_shared_store_to_another(art: GitRepo, place: Path) -> None:
    use(art, place)
    second = place.with_name("second")
    use(art, second)
    assert set(objects(second)) == set(objects(place)) and (art.path / ".comfyvn").resolve() == second
    assert users.users(Store(str(place))) == [] and users.users(Store(str(second))) == [str(art.path / ".git")]
    check_whole(art, count=3)


def test_a_store_that_was_moved_by_hand(art: GitRepo, place: Path) -> None:
    use(art, place)
    place.rename(place.with_name("moved"))
    use(art, place.with_name("moved"))
    check_whole(art, count=3)


def test_what_is_there_already_is_not_kept_twice(art: GitRepo, place: Path, tmp_path: Path) -> None:
    twin = GitRepo(tmp_path / "twin")
    shutil.copytree(art.path, twin.path, symlinks=True)
    use(art, place)
    before = {name: info.inode for name, info in objects(place).items()}
    use(twin, place)
    assert {name: info.inode for name, info in objects(place).items()} == before
    assert not (home(twin) / "objects").exists()
    check_whole(twin, count=3)


def test_a_wrong_object_that_is_there_is_no_reason_to_drop_ours(art: GitRepo, place: Path, tmp_path: Path) -> None:
    twin = GitRepo(tmp_path / "twin")
    shutil.copytree(art.path, twin.path, symlinks=True)
    use(art, place)
    hash_ = art.sidecar(HERO)["hash"]
    rotten = place / "objects" / hash_[:2] / hash_[2:]
    info = rotten.stat()
    rotten.chmod(0o644)
    rotten.write_bytes(bytes(info.st_size))
    rotten.chmod(0o444)
    os.utime(rotten, ns=(info.st_mtime_ns, info.st_mtime_ns))
    use(twin, place)
    assert hashes_of(place) == {name: name for name in objects(place)} and len(list(place.glob("bad/*"))) == 1


def test_damaged_objects_do_not_come_into_the_shared_store(art: GitRepo, place: Path) -> None:
    hash_ = art.sidecar(HERO)["hash"]
    written = art.object_path(hash_)
    written.chmod(0o644)
    written.write_bytes(b"written through the view")
    place.parent.mkdir()
    art.git("config", "comfyvn.store", str(place))
    done = art.tool("init", "--json").json()
    assert (done["moved_objects"], done["damaged_objects"]) == (2, 1)
    assert hash_ not in objects(place)
    assert [each.read_bytes() for each in home(art).glob("bad/*")] == [b"written through the view"]
    assert art.tool("status", "--json").json()["missing"] == [HERO]


def test_recover_finds_copies_in_other_stores(art: GitRepo, place: Path, tmp_path: Path) -> None:
    use(art, place)
    clone = GitRepo(tmp_path / "clone")
    art.git("clone", "-q", str(art.path), str(clone.path))
    clone.tool("init")
    assert sorted(clone.tool("status", "--json").json()["missing"]) == [HERO, DOOR]
    clone.tool("recover", HERO, DOOR)
    assert clone.read(HERO) == art.read(HERO) and clone.tool("status", "--json").json()["missing"] == []
    # a copy in the repository's own folder
    hash_ = art.sidecar(DOOR)["hash"]
    (home(art) / "trash").mkdir(exist_ok=True)
    (place / "objects" / hash_[:2] / hash_[2:]).rename(home(art) / "trash" / "kept")
    art.tool("recover", DOOR)
    assert hash_ in objects(place)


@pytest.mark.skipif(
    not os.access("/dev/shm", os.W_OK) or os.stat("/dev/shm").st_dev == os.stat(tempfile.gettempdir()).st_dev,
    reason="there is no second file system to write to",
)
def test_across_file_systems(art: GitRepo) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        place = Path(folder, "art")
        before = set(objects(home(art)))
        use(art, place)
        assert hashes_of(place) == {name: name for name in before} and not (home(art) / "objects").exists()
        assert all(stat.S_IMODE(info.mode) == 0o444 for info in objects(place).values())
        check_whole(art, count=3)
        art.git("config", "--unset", "comfyvn.store")
        art.tool("init")
        assert hashes_of(home(art)) == {name: name for name in before}
        check_whole(art, count=3)


# -- the setting -------------------------------------------------------------------------------------------------------


def test_a_tracked_file_does_not_decide(store_repo: GitRepo, place: Path) -> None:
    place.parent.mkdir()
    store_repo.write(".comfyvnconfig", f"[comfyvn]\n\tstore = {place}\n")
    assert "not heeded" in store_repo.tool("status").err and "comfyvn.store" in store_repo.tool("status").out
    store_repo.tool("init")
    assert not place.exists() and store_repo.link(".comfyvn") == ".git/comfyvn"


def test_home_and_relative_paths(art: GitRepo, hermetic: Path, tmp_path: Path) -> None:
    art.git("config", "--global", "comfyvn.store", "~/art")
    art.tool("init")
    assert (art.path / ".comfyvn").resolve() == hermetic / "art" and len(objects(hermetic / "art")) == 3
    art.git("config", "comfyvn.store", "../pictures")
    art.tool("init", cwd="assets")
    assert art.link(".comfyvn") == "../pictures" and len(objects(tmp_path / "pictures")) == 3
    tree = GitRepo(tmp_path / "deep" / "er" / "tree")
    art.git("worktree", "add", "-q", str(tree.path))
    tree.tool("init")
    assert said_by(tree) == said_by(art) == [], "the same words mean the same store in another work tree"
    assert (tree.path / ".comfyvn").resolve() == tmp_path / "pictures" and not (tmp_path / "deep/er/pictures").exists()
    check_whole(tree)
    # a repository and its store that move together
    art.git("worktree", "remove", "--force", str(tree.path))
    (tmp_path / "new").mkdir()
    for name in ("game", "pictures"):
        (tmp_path / name).rename(tmp_path / "new" / name)
    moved = GitRepo(tmp_path / "new" / "game")
    check_whole(moved, count=3)
    noted = users.users(Store(str(tmp_path / "new/pictures")))
    assert noted == sorted([str(art.path / ".git"), str(moved.path / ".git")]), "status noted the new place"


def test_an_empty_value_and_ones_that_mean_our_own_folder(art: GitRepo) -> None:
    for value in ("", ".git/comfyvn", str(home(art))):
        art.git("config", "comfyvn.store", value)
        assert art.tool("init", "--json").json()["store"] == str(home(art)) and said_by(art) == []
    check_whole(art)


def test_one_folder_by_two_paths_loses_nothing(art: GitRepo, place: Path, tmp_path: Path) -> None:
    place.parent.mkdir()
    home(art).rename(place)
    home(art).symlink_to(place)
    use(art, place)
    assert len(objects(place)) == 3
    art.git("config", "--unset", "comfyvn.store")
    home(art).unlink()
    place.rename(home(art))
    # another way to say the same folder, which no path tells
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "objects").symlink_to(home(art) / "objects")
    use(art, tmp_path / "other")
    assert len(objects(home(art))) == 3 and art.tool("status", "--json").json()["missing"] == []


@pytest.mark.parametrize("value", ["assets/store", "store", ".git/store", ".git/comfyvn/objects"])
def test_a_place_inside_the_repository_is_refused(art: GitRepo, value: str) -> None:
    art.git("config", "comfyvn.store", value)
    done = art.tool("init", "--json", check=False)
    assert done.code == 20 and "inside this repository" in done.err
    assert art.tool("init", "--print", check=False).code == 20
    art.git("config", "--unset", "comfyvn.store")
    check_whole(art)


def test_places_that_are_something_else_are_refused(art: GitRepo, tmp_path: Path) -> None:
    other = GitRepo.create(tmp_path / "other")
    other.tool("init")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").write_bytes(b"mine")
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "format").write_text("7\n")
    for value, code, reason in (
        (other.path / ".git/comfyvn", 20, "belongs to another repository"),
        (tmp_path / "photos", 20, "holds other files"),
        (tmp_path / "photos/mine.jpg", 20, "is no folder"),
        (tmp_path / "newer", 17, "format '7'"),
        (tmp_path / "line\nbreak", 2, "line break"),
        ("~nobody-of-this-name/art", 2, "no such home"),
    ):
        art.git("config", "comfyvn.store", str(value))
        done = art.tool("init", check=False)
        assert done.code == code and reason in done.err, done.err
    assert os.listdir(tmp_path / "photos") == ["mine.jpg"] and len(objects(home(art))) == 3


# -- a store that is not there -----------------------------------------------------------------------------------------


def test_a_store_that_vanished(art: GitRepo, place: Path) -> None:
    use(art, place)
    away = place.with_name("unplugged")
    place.rename(away)
    place.mkdir()  # the empty mount point
    done = art.tool("status", "--json", check=False)
    assert (done.code, done.json()["error"]) == (16, "store-unreachable") and str(place) in done.err
    art.write(TWIN, comfy_png(9))
    added = art.git("add", "assets", check=False)
    assert added.code != 0 and f"the store '{place}' is not there (comfyvn.store)" in added.err
    assert "hint: is its disk plugged in" in added.err and art.staged(TWIN) is None
    (art.path / TWIN).unlink()
    card = art.path / f"{HERO}.asset.json"
    said = json.loads(card.read_text())
    card.write_text(json.dumps({**said, "tags": ["new"]}))
    art.git("add", "assets")
    commit = art.git("commit", "-qm", "tags", check=False)
    assert commit.code == 1 and "is not there" in commit.err
    art.git("reset", "-q", "--hard")
    switched = art.git("switch", "-q", "--detach", "HEAD^")
    assert "the next command does" in switched.err
    art.git("switch", "-q", "main")
    found = art.tool("doctor", "--json", check=False).json()["findings"]
    assert [each["kind"] for each in found] == ["store-unreachable"]
    assert art.tool("doctor", "--fix", check=False).code == 1
    again = art.tool("init", check=False)
    assert again.code == 16 and "plug its disk in" in again.err
    art.git("config", "--unset", "comfyvn.store")
    assert art.tool("init", check=False).code == 16
    assert art.tool("uninstall", check=False).code == 16
    art.git("config", "comfyvn.store", str(place))
    assert os.listdir(place) == [], "nothing is made at a mount point"
    assert not (home(art) / "objects").exists()
    place.rmdir()
    away.rename(place)
    check_whole(art, count=3)


def test_a_store_that_is_gone_for_good(art: GitRepo, place: Path) -> None:
    use(art, place)
    bytes_ = art.read(DOOR)
    shutil.rmtree(place)
    (home(art) / "store").unlink()
    art.git("config", "--unset", "comfyvn.store")
    assert art.tool("init", "--json").json()["missing_objects"] == 2
    (art.path / DOOR).unlink()
    art.write(DOOR, bytes_)
    art.git("add", "assets")
    assert art.tool("status", "--json").json()["missing"] == [HERO]
    assert art.read(DOOR) == bytes_ and len(objects(home(art))) == 1


def test_where_the_folder_above_is_not_there_none_is_made(art: GitRepo, tmp_path: Path) -> None:
    art.git("config", "comfyvn.store", str(tmp_path / "disk" / "game" / "art"))
    (tmp_path / "disk").mkdir()
    done = art.tool("init", check=False)
    assert done.code == 16 and "there is no folder" in done.err and os.listdir(tmp_path / "disk") == []
    fresh = GitRepo.create(tmp_path / "fresh")
    fresh.git("config", "comfyvn.store", str(tmp_path / "disk" / "game" / "art"))
    assert fresh.tool("init", check=False).code == 16 and not (fresh.path / ".git/comfyvn/format").exists()
    art.git("config", "--unset", "comfyvn.store")
    check_whole(art)


def test_copies_of_views_wait_for_the_store(art: GitRepo, place: Path) -> None:
    art.git("config", "comfyvn.views", "copy")
    use(art, place)
    bytes_ = art.read(HERO)
    place.rename(place.with_name("unplugged"))
    art.git("switch", "-q", "--detach", "HEAD^")
    art.git("switch", "-q", "main")
    place.with_name("unplugged").rename(place)
    assert art.tool("status", "--json").json()["missing"] == art.status() == []
    assert art.read(HERO) == bytes_ and not (art.path / HERO).is_symlink()
    assert art.tool("doctor", "--json").json()["findings"] == []


# -- one store for all clones of a machine -----------------------------------------------------------------------------


def test_a_fresh_clone_has_the_art_at_once(art: GitRepo, place: Path, tmp_path: Path) -> None:
    place.parent.mkdir()
    art.git("config", "--global", "comfyvn.store", str(place))
    art.tool("init")
    before = objects(place)
    clone = GitRepo(tmp_path / "clone")
    art.git("clone", "-q", str(art.path), str(clone.path))
    done = clone.tool("init", "--json").json()
    assert (done["missing_objects"], done["moved_objects"], done["was_there"]) == (0, 0, False)
    assert clone.read(HERO) == art.read(HERO) and objects(place) == before
    assert not any((home(clone) / name).exists() for name in ("objects", "tmp", "trash", "bad"))
    check_whole(clone, count=3)
    tree = GitRepo(tmp_path / "tree")
    clone.git("worktree", "add", "-q", str(tree.path))
    assert tree.read(DOOR) == art.read(DOOR)
    check_whole(tree, count=3)
    told = clone.tool("clone", "--json", str(art.path), str(tmp_path / "by-tool")).json()
    assert told.pop("pull")["moved"] == []
    assert told == {"folder": str(tmp_path / "by-tool"), "assets": 2, "missing": 0}
    check_whole(GitRepo(tmp_path / "by-tool"), count=3)
    # what one adds the others have
    clone.write(TWIN, comfy_png(7))
    clone.git("add", "assets")
    clone.commit("twin")
    art.git("pull", "-q", str(clone.path), "HEAD")
    assert art.read(TWIN) == clone.read(TWIN) and not (home(art) / "objects").exists()
    found = users.users(Store(str(place)))
    assert found == sorted(str(each / ".git") for each in (art.path, clone.path, tmp_path / "by-tool"))


def test_submodules_and_a_bare_main_repository(art: GitRepo, place: Path, tmp_path: Path) -> None:
    use(art, place)
    art.git("config", "--global", "comfyvn.store", str(place))
    outer = GitRepo.create(tmp_path / "outer")
    outer.git("submodule", "--quiet", "add", str(art.path), "game")
    inner = GitRepo(outer.path / "game")
    inner.tool("init")
    assert inner.read(HERO) == art.read(HERO) and (inner.path / ".comfyvn").resolve() == place
    check_whole(inner, count=3)
    bare = tmp_path / "bare.git"
    art.git("clone", "-q", "--bare", str(art.path), str(bare))
    tree = GitRepo(tmp_path / "tree")
    art.git("-C", str(bare), "worktree", "add", "-q", str(tree.path), "main")
    tree.tool("init")
    assert tree.read(HERO) == art.read(HERO)
    check_whole(tree, count=3)
    assert {str(bare), str(outer.path / ".git/modules/game")} <= set(users.users(Store(str(place))))
    tree.git("config", "--global", "--unset", "comfyvn.store")
    tree.tool("init")
    assert len(objects(bare / "comfyvn")) == 3 and len(objects(place)) == 3
    check_whole(tree, count=3)


def test_uninstall_leaves_the_store_to_the_others(art: GitRepo, place: Path, tmp_path: Path) -> None:
    use(art, place)
    clone = GitRepo(tmp_path / "clone")
    art.git("clone", "-q", str(art.path), str(clone.path))
    use(clone, place)
    before, bytes_ = objects(place), art.read(HERO)
    said = art.tool("uninstall").out
    assert f"The store is left as it is, for others who use it: {place}" in said
    assert not (art.path / HERO).is_symlink() and art.read(HERO) == bytes_
    assert objects(place) == before and not (place / "uninstalled").exists()
    assert users.users(Store(str(place))) == sorted([str(art.path / ".git"), str(clone.path / ".git")])
    assert "goes on keeping what this clone's history names" in said
    assert art.tool("status", check=False).code == 10
    check_whole(clone, count=3)
    art.git("checkout", "-q", "HEAD", "--", "assets")
    art.tool("init")
    assert art.read(HERO) == bytes_ and len(users.users(Store(str(place)))) == 2
    assert art.status() == [] and clone.tool("status").code == 0


# -- who uses it -------------------------------------------------------------------------------------------------------


def test_users_are_noted_once_and_stay_until_they_leave(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    store.create()
    odd = tmp_path / "a\nb\\n c"
    names = [str(tmp_path / "one"), str(odd), str(tmp_path / "three")]
    for name in [*names, names[0]]:
        os.makedirs(name, exist_ok=True)
        users.register(store, name)
    assert users.users(store) == sorted(names) and len((tmp_path / "store/users").read_bytes().splitlines()) == 3
    odd.rmdir()
    assert users.is_gone(str(odd)) and users.users(store) == sorted(names)
    users.unregister(store, names[2])
    assert users.users(store) == sorted(names[:2])
    users.forget(store, str(odd), names[0])
    assert users.users(store) == names[:1]
    (tmp_path / "store/users").chmod(0)
    if os.geteuid():
        with pytest.raises(PermissionError):
            users.users(store)


def test_a_repository_that_was_moved_or_copied_notes_itself(art: GitRepo, place: Path, tmp_path: Path) -> None:
    use(art, place)
    shutil.copytree(art.path, tmp_path / "copy", symlinks=True)
    copy = GitRepo(tmp_path / "copy")
    art.path.rename(tmp_path / "renamed")
    found = GitRepo(tmp_path / "renamed").tool("doctor", "--json", check=False).json()["findings"]
    assert [each["kind"] for each in found] == ["store-users"]
    copy.tool("status")
    GitRepo(tmp_path / "renamed").tool("status")
    all_three = [art.path, copy.path, tmp_path / "renamed"]
    assert users.users(Store(str(place))) == sorted(str(each / ".git") for each in all_three)


# -- at once, and cut short --------------------------------------------------------------------------------------------


def test_four_clones_add_the_same_files_at_once(art: GitRepo, place: Path, tmp_path: Path) -> None:
    place.parent.mkdir()
    art.git("config", "--global", "comfyvn.store", str(place))
    clones = [GitRepo.create(tmp_path / f"clone{number}") for number in range(4)]
    for clone in clones:
        clone.tool("init")
        for number in range(50):
            clone.write(f"assets/ui/{number}.png", comfy_png(1000 + number))
    adding = [start(clone, "add", "assets", program=["git"]) for clone in clones]
    assert [end(each)[0] for each in adding] == [0] * 4
    assert len(objects(place)) == 50 and hashes_of(place) == {name: name for name in objects(place)}
    assert list(place.glob("tmp/*")) == list(place.glob("bad/*")) == []
    committing = [start(clone, "commit", "-qm", "all", program=["git"]) for clone in clones]
    assert [end(each)[0] for each in committing] == [0] * 4
    for clone in clones:
        check_whole(clone, count=50)


def test_two_inits_at_once(art: GitRepo, place: Path, tmp_path: Path) -> None:
    fill(art, 60)
    for number, value in enumerate((place, None)):
        place.parent.mkdir(exist_ok=True)
        if value:
            art.git("config", "comfyvn.store", str(value))
        else:
            art.git("config", "--unset", "comfyvn.store")
        done = [end(each) for each in [start(art, "init", "--json") for _ in range(3)]]
        assert [code for code, *_ in done] == [0] * 3, done
        assert sum(json.loads(out)["moved_objects"] for _, out, _ in done) == 63, number
        check_whole(art, count=63)
    assert not objects(place).keys() ^ objects(home(art)).keys()


def test_an_add_that_began_before_the_move(art: GitRepo, place: Path) -> None:
    with FilterClient(art) as client:
        first = client.clean("assets/ui/first.png", comfy_png(30))
        assert first.status == "status=success"
        use(art, place)
        art.write(TWIN, comfy_png(31))
        text = client.clean(TWIN, comfy_png(31)).data
        client.close()
    hash_ = oracle.linked_hash(text.decode())
    assert hash_ is not None and hash_ in objects(home(art)) and hash_ not in objects(place)
    found = art.tool("doctor", "--json", check=False).json()["findings"]
    assert "store-leftovers" in [each["kind"] for each in found]
    oid = art.git("hash-object", "-w", "--no-filters", "--stdin", input=text).out
    art.git("update-index", "--add", "--cacheinfo", f"100644,{oid},{TWIN}")
    art.commit("twin")  # its hook brings the object to the others
    assert hash_ in objects(place) and not (home(art) / "objects").exists()
    check_whole(art)


def fill(repo: GitRepo, count: int) -> None:
    for number in range(count):
        repo.write(f"assets/ui/{number}.png", comfy_png(2000 + number))
    repo.git("add", "assets")
    repo.commit("many")


DIE = """
import os, sys
left, is_at_it = int(sys.argv[1]), False
def dying(call):
    def step(*words, **options):
        global left
        left -= is_at_it
        if left < 0:
            os._exit(99)
        return call(*words, **options)
    return step
for name in ("rename", "replace", "link", "unlink", "symlink", "utime", "chmod", "fsync", "rmdir", "mkdir"):
    setattr(os, name, dying(getattr(os, name)))
from comfyvn_store.ops import relocation
def watched(repository, relocate=relocation.relocate):
    global is_at_it
    is_at_it = True
    try:
        return relocate(repository)
    finally:
        is_at_it = False
relocation.relocate = watched
from comfyvn_store.cli.main import run
run(sys.argv[2:])
"""


@pytest.mark.parametrize("is_back", [False, True])
def test_wherever_init_dies_no_byte_is_lost_and_the_next_completes_it(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, is_back: bool
) -> None:
    original = shared(tmp_path_factory, make_art)
    wanted = {name: name for name in objects(home(original))}
    step, survived, places = 0, False, set()
    while not survived:
        folder = tmp_path / str(step)
        repo = copied(tmp_path_factory, make_art, folder / "game")
        place = folder / "art"
        if is_back:
            use(repo, place)
            repo.git("config", "--unset", "comfyvn.store")
        else:
            repo.git("config", "comfyvn.store", str(place))
        words = [sys.executable, "-P", "-c", DIE, str(step), "init"]
        survived = subprocess.run(words, cwd=repo.path, capture_output=True).returncode == 0
        here = GitRepo(repo.path).tool("status", "--json").json()
        places.add(Path(here["store"]).name)
        assert here["missing"] == here["damaged"] == [], step
        assert repo.read(HERO) == original.read(HERO) and repo.status() == [], step
        assert {**hashes_of(place), **hashes_of(home(repo))} == wanted, step
        repo.tool("init")
        end_ = home(repo) if is_back else place
        assert hashes_of(end_) == wanted and (is_back or not (home(repo) / "objects").exists()), step
        assert repo.tool("status", "--json").json()["store"] == str(end_)
        if step % 15 == 0:
            check_whole(repo, count=3)
        shutil.rmtree(folder)
        step += 3
    assert step > 25 and places == {"art", "comfyvn"}, "it died before and after the new place was noted"


def test_killed_again_and_again(art: GitRepo, place: Path) -> None:
    fill(art, 150)
    wanted = {name: name for name in objects(home(art))}
    place.parent.mkdir()
    killed = 0
    for turn in range(16):
        if turn % 2:
            art.git("config", "--unset", "comfyvn.store")
        else:
            art.git("config", "comfyvn.store", str(place))
        running = start(art, "init")
        time.sleep(0.12 + 0.03 * (turn % 8))
        running.send_signal(signal.SIGKILL)
        killed += end(running)[0] == -signal.SIGKILL
        for lock in (art.path / ".git").glob("*.lock"):
            lock.unlink()
        assert {**hashes_of(place), **hashes_of(home(art))}.items() >= wanted.items(), turn
        assert art.tool("status", "--json").json()["missing"] == [], turn
    assert killed, "init is never so quick"
    art.git("config", "comfyvn.store", str(place))
    art.tool("init")
    assert hashes_of(place).items() >= wanted.items() and not (home(art) / "objects").exists()
    check_whole(art, count=len(wanted))


# -- permissions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "said", "file", "folder"),
    [
        (0o2775, None, 0o664, 0o2775),
        (0o2770, None, 0o660, 0o2770),
        (0o755, None, 0o644, 0o2755),
        (0o700, None, 0o600, 0o700),
        (0o700, "group", 0o660, 0o2770),
        (0o2770, "0640", 0o660, 0o2770),
        (0o2750, "0660", 0o660, 0o2770),
    ],
)
def test_the_more_open_of_folder_and_setting(
    tmp_path: Path, mode: int, said: str | None, file: int, folder: int
) -> None:
    (tmp_path / "art").mkdir()
    (tmp_path / "art").chmod(mode)
    both = sharing.parse(said).joined(sharing.of_folder(str(tmp_path / "art")))
    assert oct(both.mode(stat.S_IFREG | 0o600)) == oct(file)
    assert oct(both.mode(stat.S_IFDIR | 0o700)) == oct(folder)


@pytest.mark.parametrize("is_made", [True, False])
def test_whatever_the_umask_the_group_can_use_what_is_made(art: GitRepo, place: Path, is_made: bool) -> None:
    place.parent.mkdir()
    if is_made:
        place.mkdir()
        place.chmod(0o2775)
    else:
        art.git("config", "core.sharedRepository", "group")
    os.umask(0o077)
    use(art, place)
    art.write(TWIN, comfy_png(8))
    art.git("add", "assets")
    art.commit("twin")
    for each in [place, *place.rglob("*")]:
        mode = each.stat().st_mode
        if each.is_dir():
            assert mode & 0o2070 == 0o2070, each
        elif "objects" in each.parts:
            assert mode & 0o040 and not mode & 0o222, each
        else:
            assert mode & 0o060 == 0o060, each
    clone = GitRepo(place.parent / "clone")  # whose own setting says nothing
    art.git("clone", "-q", str(art.path), str(clone.path))
    use(clone, place)
    clone.write("assets/ui/new.png", comfy_png(9))
    clone.git("add", "assets")
    made = objects(place)[oracle.linked_hash(clone.blob(":assets/ui/new.png").decode()) or ""]
    assert made.mode & 0o040


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_part_file_of_another_user_becomes_an_object_of_ours(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"), sharing.parse("group"))
    store.create()
    data = b"half of it and the rest"
    hash_ = oracle.digest(data)
    with Part(store, hash_) as part:
        part.write(data[:10])
        path = Path(part.path)
    os.chown(path, 54321, -1)
    with Part(store, hash_) as part:
        assert part.size == 10
        part.write(data[10:])
        partial.keep([part])
    info = store.stat(hash_)
    assert info is not None and (info.st_uid, stat.S_IMODE(info.st_mode)) == (0, 0o444) and not store.is_touched(info)
    assert Path(store.path(hash_)).read_bytes() == data and list((tmp_path / "store/tmp").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_objects_that_only_a_group_may_read_get_the_group_of_the_store(art: GitRepo, place: Path) -> None:
    place.parent.mkdir()
    place.mkdir()
    os.chown(place, -1, 54321)
    place.chmod(0o2770)
    art.git("config", "core.sharedRepository", "0660")
    use(art, place)
    found = {(each.stat().st_gid, oct(each.stat().st_mode & 0o777)) for each in place.glob("objects/??/*")}
    assert found == {(54321, "0o440")} and art.tool("doctor", "--json").json()["findings"] == []
    check_whole(art, count=3)


def test_nothing_makes_a_store_anew_that_has_gone_meanwhile(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"), is_apart=True)
    store.create()
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(Exception, match="is not there"):
        store.temp()
    with pytest.raises(Exception, match="is not there"):
        Part(store, "0" * 64)
    assert not (tmp_path / "store").exists()
