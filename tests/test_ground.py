"""Branches without our attributes: pre-commit lays the ground, so that no raw bytes get into their history either."""

import shutil

import pytest

from tests import media, oracle
from tests.gitrepo import GitRepo
from tests.oracle import check_all

HERO = "assets/characters/hero.png"
DOOR = "assets/sfx/door.wav"
ATTRIBUTES = "assets/.gitattributes"


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(repo: GitRepo) -> GitRepo:
    """Raw art from before `init` on `old`; `main` has a picture that is a link."""
    repo.write(DOOR, media.wav(frequency=200))
    repo.git("add", ".")
    repo.commit("raw art")
    repo.git("branch", "old")
    repo.git("rm", "-q", DOOR)
    repo.tool("init")
    repo.write(HERO, media.comfy_png(1))
    repo.git("add", ".")
    repo.commit("art")
    return repo


def test_art_on_an_orphan_branch(art: GitRepo) -> None:
    art.git("switch", "-q", "--orphan", "fresh")
    art.write(HERO, media.comfy_png(2))
    art.write(DOOR, media.wav(frequency=300))
    art.git("add", ".")
    art.commit("only the hero", HERO)
    assert oracle.raw_blobs(art) == []
    # Its raw bytes are staged; git asks the filter about a file as young as its index, and then sees a difference.
    assert art.status() in ([f"A  {DOOR}"], [f"AM {DOOR}"])
    art.commit("and a door")
    assert oracle.raw_blobs(art) == []
    assert art.blob(f"HEAD:{ATTRIBUTES}") == art.blob(f"main:{ATTRIBUTES}")
    check_all(art)


def test_an_orphan_branch_that_began_without_art(art: GitRepo) -> None:
    art.git("switch", "-q", "--orphan", "fresh")
    art.write("notes.txt", "notes\n")
    art.git("add", ".")
    art.commit("words")
    assert art.git("ls-files").out == "notes.txt"
    art.write(DOOR, media.wav(frequency=300))
    art.git("add", ".")
    art.commit("a door")
    assert oracle.raw_blobs(art) == []
    check_all(art)


def test_a_branch_from_before_init_stays_as_it_is(art: GitRepo) -> None:
    art.git("switch", "-q", "old")
    art.write(DOOR, media.wav(frequency=400))
    art.git("add", ".")
    art.commit("another door, in git")
    assert art.blob(f"HEAD:{DOOR}") == media.wav(frequency=400)
    assert art.staged(ATTRIBUTES) is None
    assert art.status() == []


def test_attributes_that_stand_elsewhere_are_enough(art: GitRepo) -> None:
    lines = art.read(ATTRIBUTES).decode().splitlines()
    art.write(".gitattributes", "".join(f"assets/**/{line}\n" for line in lines if not line.startswith("#")))
    art.git("rm", "-q", ATTRIBUTES)
    art.git("add", ".")
    art.commit("attributes at the top")
    art.write(DOOR, media.wav(frequency=300))
    art.git("add", ".")
    art.commit("a door")
    assert art.staged(ATTRIBUTES) is None
    check_all(art)


def test_views_and_sidecars_that_moved_without_hooks_are_set_right_by_the_next_commit(art: GitRepo) -> None:
    (art.path / "assets/all").mkdir()
    art.git("mv", "assets/characters", "assets/all/cast")
    art.git("commit", "-q", "-n", "-m", "moved")
    moved = "assets/all/cast/hero.png"
    assert art.link(moved) == oracle.link_text(HERO, art.sidecar(moved)["hash"])
    art.write(DOOR, media.wav(frequency=300))
    art.git("add", ".")
    art.commit("a door")
    assert art.link(moved) == oracle.link_text(moved, art.sidecar(moved)["hash"])
    art.tool("list")
    art.write(DOOR, media.wav(frequency=301))
    art.commit("another door", "-a")
    assert art.sidecar(moved)["path"] == "all/cast/hero.png"
    check_all(art)


def test_art_and_root_that_moved_to_another_folder(art: GitRepo) -> None:
    (art.path / "game").mkdir()
    art.git("mv", "assets", "game/assets")
    art.git("commit", "-q", "-n", "-m", "moved")
    art.git("config", "comfyvn.assetsRoot", "game/assets")
    art.tool("init")
    assert art.status() == ["A  .comfyvnconfig"]
    art.write("game/assets/sfx/bell.wav", media.wav(frequency=300))
    art.git("add", ".")
    art.commit("a bell")
    moved = "game/assets/characters/hero.png"
    assert art.link(moved) == oracle.link_text(moved, art.sidecar(moved)["hash"])
    assert [path for path in art.git("ls-files").out.splitlines() if path.endswith(".comfyvn")] == []
    assert art.status() == []


def test_a_stash_of_everything_comes_back_once_what_it_took_is_away(art: GitRepo) -> None:
    art.write(DOOR, media.wav(frequency=300))
    art.tool("annotate", HERO, "--tag", "mine")
    art.git("stash", "-a")
    art.tool("list")
    (art.path / ".comfyvn").unlink()
    shutil.rmtree(art.path / "assets/_meta")
    art.git("stash", "pop")
    assert sorted(art.status()) == [f" M {HERO}.asset.json", f"?? {DOOR}"]
    assert art.read(DOOR) == media.marked(media.wav(frequency=300))
    assert art.git("stash", "list").out == ""
