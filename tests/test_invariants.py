"""The promises of docs/architecture.md that no single command makes: what is derived may go, reading changes nothing."""

import shutil

import pytest

from tests import media, oracle
from tests.gitrepo import GitRepo
from tests.histories.disk import contents, differences

HERO = "assets/characters/hero.png"
DOOR = "assets/sfx/door.wav"


@pytest.fixture
def art(store_repo: GitRepo) -> GitRepo:
    store_repo.write(HERO, media.comfy_png(1))
    store_repo.write(DOOR, media.wav(frequency=200))
    store_repo.git("add", ".")
    store_repo.commit("first art")
    store_repo.write(HERO, media.comfy_png(2))
    store_repo.commit("repainted", "-a")
    store_repo.tool("rebuild")  # waits for the previews
    return store_repo


# -- I1: what is derived may go ------------------------------------------------------------------------------------


def test_index_previews_and_mirror_come_back_as_they_were(art: GitRepo) -> None:
    shutil.rmtree(art.path / "cache")  # previews of older versions come back with those versions
    art.tool("rebuild")
    before = {path: data for path, (_, data) in contents(art.path).items() if not path.startswith(".git/")}
    rows = oracle.index_content(oracle.index_path(art))
    for each in oracle.index_path(art).parent.glob("index.db*"):
        each.unlink()
    shutil.rmtree(art.path / "cache")
    shutil.rmtree(art.path / "assets/_meta")
    (art.path / ".comfyvn").unlink()
    assert art.tool("rebuild").code == 0
    after = {path: data for path, (_, data) in contents(art.path).items() if not path.startswith(".git/")}
    assert sorted(after) == sorted(before)
    assert [path for path in before if after[path] != before[path]] == []
    assert oracle.index_content(oracle.index_path(art)) == rows
    oracle.check_all(art)


def test_a_read_brings_a_deleted_index_and_mirror_back(art: GitRepo) -> None:
    listed = art.tool("list", "--json").json()
    for each in oracle.index_path(art).parent.glob("index.db*"):
        each.unlink()
    shutil.rmtree(art.path / "assets/_meta")
    assert art.tool("list", "--json").json() == listed
    assert (art.path / "assets/_meta/characters/hero.json").read_bytes() == art.read(f"{HERO}.asset.json")
    oracle.check_all(art)


def test_the_mirror_of_an_asset_that_went_while_there_was_no_index_goes_too(art: GitRepo) -> None:
    for each in oracle.index_path(art).parent.glob("index.db*"):
        each.unlink()
    own = art.write("assets/_meta/sfx/notes.json", "{}")
    art.git("-c", "core.hooksPath=/dev/null", "rm", "-q", DOOR, f"{DOOR}.asset.json")
    art.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", "no door")
    art.tool("list")
    assert not (art.path / "assets/_meta/sfx/door.json").exists()
    assert (art.path / "assets/_meta/characters/hero.json").exists()
    assert own.read_text() == "{}"


def test_previews_that_were_deleted_are_not_said_to_be_there(art: GitRepo) -> None:
    assert art.tool("show", HERO, "--json").json()["thumb"] is not None
    shutil.rmtree(art.path / "cache")
    assert art.tool("show", HERO, "--json", env={"COMFYVN_PREVIEWS": "off"}).json()["thumb"] is None
    art.tool("rebuild")
    assert art.tool("show", HERO, "--json").json()["thumb"] is not None


# -- I2: objects never change --------------------------------------------------------------------------------------


def test_objects_are_whole_and_never_change(art: GitRepo) -> None:
    folder = art.object_path("0" * 64).parent.parent
    before = {each: each.read_bytes() for each in folder.glob("*/*")}
    assert len(before) == 3
    art.write(HERO, media.comfy_png(3))
    art.commit("repainted", "-a")
    art.git("checkout", "-q", "HEAD~2")
    art.tool("rebuild", "--verify")
    for place, data in before.items():
        assert place.read_bytes() == data
        assert oracle.digest(data) == place.parent.name + place.name


# -- I7: a second time changes nothing -----------------------------------------------------------------------------

READS = (
    ["list"],
    ["list", "--json", "--text", "heroine"],
    ["show", HERO],
    ["show", "HEAD^:" + HERO],
    ["status"],
    ["provenance"],
    ["provenance", HERO],
    ["provenance", "--commit", "HEAD"],
    ["workflow", HERO],
    ["db"],
)


@pytest.mark.parametrize("command", [*READS, ["init"], ["rebuild"], ["rebuild", "--verify"]], ids=" ".join)
def test_a_second_run_changes_no_file(art: GitRepo, command: list[str]) -> None:
    art.git("status")
    art.tool(*command)
    before = contents(art.path)
    first = art.tool(*command)
    assert differences(before, contents(art.path)) == []
    assert art.tool(*command).out == first.out
    assert art.status() == []


def test_adding_again_changes_only_the_times_of_objects(art: GitRepo) -> None:
    # git itself hashes a file as young as its index again, and dates its own objects when it does.
    def bytes_of(found: dict[str, tuple[int, bytes]]) -> dict[str, bytes]:
        return {path: data for path, (_, data) in found.items() if path != ".git/index"}

    art.write(DOOR, media.wav(frequency=300))
    art.git("add", ".")
    before = contents(art.path)
    art.git("add", ".")
    after = contents(art.path)
    assert bytes_of(after) == bytes_of(before)
    changed = [path for path in differences(before, after) if path != ".git/index"]
    assert [path for path in changed if not path.startswith((".git/objects/", ".git/comfyvn/objects/"))] == []
    assert art.status() == [f"T  {DOOR}"] or art.status() == [f"M  {DOOR}"]


def test_reading_after_git_alone_writes_nothing_that_git_sees(art: GitRepo) -> None:
    art.git("-c", "core.hooksPath=/dev/null", "checkout", "-q", "HEAD^")
    art.tool("list")
    assert art.status() == []
    before = contents(art.path)
    art.tool("list")
    assert differences(before, contents(art.path)) == []
