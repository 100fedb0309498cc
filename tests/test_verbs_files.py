"""Moving, removing, cleaning and sparse checkouts, with hooks, without them, and with the hooks gone: cases of
`tests/verbs.py`."""

import os
from pathlib import Path

import pytest

from tests import verbs
from tests.verbs import BELL, DOOR, HERO, INN, LAMP, RIVAL, Cases, Limit, Scene, sound

CARD = ".asset.json"
LATER = "without pre-commit a moved sidecar says the old path and a link has the old depth until the next commit of art"
OUTSIDE = "a view that moved to a shallower folder leads outside the work tree until then"
ORPHANS = "without pre-commit the sidecar of a removed asset stays until the next commit of art"

case = Cases()


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def folder(scene: Scene, path: str) -> None:
    (scene.repo.path / path).mkdir(parents=True)


# -- mv ------------------------------------------------------------------------------------------------------------


@case("mv", Limit(LATER, unfinished=("assets/characters/heroine.png",)))
def mv(scene: Scene) -> None:
    scene.git("mv", HERO, "assets/characters/heroine.png")
    scene.commit("renamed")


@case("mv of view and sidecar", Limit(LATER, misplaced=("assets/characters/heroine.png",)))
def mv_both(scene: Scene) -> None:
    scene.git("mv", HERO, "assets/characters/heroine.png")
    scene.git("mv", f"{HERO}{CARD}", f"assets/characters/heroine.png{CARD}")
    scene.commit("renamed")


@case("mv to a deeper folder", Limit(LATER, unfinished=("assets/characters/main/old/hero.png",)))
def mv_deeper(scene: Scene) -> None:
    folder(scene, "assets/characters/main/old")
    scene.git("mv", HERO, "assets/characters/main/old/hero.png")
    scene.commit("deeper")


@case("mv to a shallower folder", Limit(OUTSIDE, unfinished=("assets/inn.png",), dangling=("assets/inn.png",)))
def mv_shallower(scene: Scene) -> None:
    scene.git("mv", INN, "assets/inn.png")
    scene.commit("shallower")


@case("mv of a folder, deeper", Limit(LATER, misplaced=("assets/old/cast/hero.png", "assets/old/cast/rival.png")))
def mv_folder(scene: Scene) -> None:
    folder(scene, "assets/old")
    scene.git("mv", "assets/characters", "assets/old/cast")
    scene.commit("the cast")


@case(
    "mv of a folder, shallower",
    Limit(OUTSIDE, misplaced=("assets/night/inn.png",), dangling=("assets/night/inn.png",)),
)
def mv_folder_up(scene: Scene) -> None:
    scene.git("mv", "assets/backgrounds/town/night", "assets/night")
    scene.commit("night")


@case("mv -f over another", Limit(LATER, unfinished=(HERO,)))
def mv_over(scene: Scene) -> None:
    scene.git("mv", "-f", RIVAL, HERO)
    scene.commit("the rival is the hero")


@case("mv, case only", Limit(LATER, unfinished=("assets/characters/Hero.PNG",)))
def mv_case(scene: Scene) -> None:
    scene.git("mv", HERO, "assets/characters/Hero.PNG")
    scene.commit("case")


@case("mv of an edited view", Limit(LATER, unfinished=("assets/sfx/gate.wav",)))
def mv_edited(scene: Scene) -> list[str]:
    scene.write(DOOR, sound(41))
    scene.git("mv", DOOR, "assets/sfx/gate.wav")
    scene.edits["assets/sfx/gate.wav"] = sound(41)
    scene.commit("a gate")
    return [" M assets/sfx/gate.wav"]


@case("mv out of the assets, and back", Limit(LATER))
def mv_out(scene: Scene) -> None:
    scene.git("mv", DOOR, "door.wav")
    scene.git("mv", f"{DOOR}{CARD}", f"door.wav{CARD}")
    scene.commit("out")
    scene.tool("list")
    scene.git("mv", "door.wav", DOOR)
    scene.git("mv", f"door.wav{CARD}", f"{DOOR}{CARD}")
    scene.commit("back")


# -- rm ------------------------------------------------------------------------------------------------------------


@case("rm", Limit(ORPHANS))
def rm(scene: Scene) -> None:
    scene.git("rm", "-q", HERO)
    scene.commit("gone")


@case("rm, taken back", Limit(ORPHANS))
def rm_back(scene: Scene) -> None:
    scene.git("rm", "-q", "-r", "assets/sfx")
    scene.commit("gone")
    scene.pause()
    scene.git("checkout", "-q", "HEAD~1", "--", "assets/sfx")
    scene.commit("here again")


@case("rm --cached", Limit(ORPHANS))
def rm_cached(scene: Scene) -> list[str]:
    scene.git("rm", "-q", "--cached", DOOR, f"{DOOR}{CARD}")
    scene.commit("not in git any more")
    return [f"?? {DOOR}", f"?? {DOOR}{CARD}"]


@case("rm of folders", Limit(ORPHANS))
def rm_folder(scene: Scene) -> None:
    scene.git("rm", "-q", "-r", "assets/characters", "assets/backgrounds")
    scene.commit("gone")
    assert not (scene.repo.path / "assets/backgrounds").exists()


@case("rm of everything", Limit(ORPHANS))
def rm_everything(scene: Scene) -> None:
    scene.git("rm", "-q", "-r", "assets/*.png", "assets/*.wav")
    scene.commit("gone")


# -- clean ---------------------------------------------------------------------------------------------------------


@case("clean -fdx")
def clean(scene: Scene) -> None:
    scene.git("clean", "-ffdxq")
    assert not os.path.lexists(scene.repo.path / ".comfyvn")


@case("clean -fdx, switch")
def clean_switch(scene: Scene) -> None:
    scene.git("clean", "-ffdxq")
    scene.git("switch", "-q", "other")
    assert scene.repo.read(RIVAL)


@case("clean -fdx, checkout -f")
def clean_checkout(scene: Scene) -> None:
    scene.git("clean", "-ffdxq")
    scene.git("checkout", "-q", "-f", "HEAD")
    assert scene.mode != "on" or scene.repo.read(RIVAL)


@case("clean -fdx, each command")
def clean_commands(scene: Scene) -> None:
    hash_ = scene.repo.sidecar(HERO)["hash"]
    for words in (
        ["status"],
        ["show", HERO],
        ["show", hash_[:8]],
        ["workflow", HERO],
        ["provenance", HERO],
        ["db"],
        ["rebuild", "--no-previews"],
        ["annotate", BELL, "--tag", "old", "--no-stage"],
        ["init"],
    ):
        scene.git("clean", "-ffdxq")
        scene.tool(*words)
        assert scene.repo.read(HERO), words
    scene.git("checkout", "-q", "--", "assets")


# -- sparse checkouts ----------------------------------------------------------------------------------------------


@case("sparse-checkout set, disable")
def sparse(scene: Scene) -> None:
    scene.git("sparse-checkout", "set", "assets/sfx")
    assert not (scene.repo.path / HERO).exists()
    listed = {each["view"] for each in scene.tool("list", "--json").json()}
    assert HERO in listed
    scene.pause()
    scene.git("switch", "-q", "other")
    scene.pause()
    scene.git("sparse-checkout", "disable")


@case("sparse-checkout --no-cone, add, disable")
def sparse_patterns(scene: Scene) -> None:
    scene.git("sparse-checkout", "set", "--no-cone", "/*", "!/assets/characters/", "!/assets/props/")
    scene.pause()
    scene.git("reset", "-q", "--hard", "other")
    scene.git("sparse-checkout", "add", "/assets/props/")
    scene.pause()
    assert not (scene.repo.path / HERO).exists()
    scene.git("sparse-checkout", "disable")


@case("sparse-checkout without the assets")
def sparse_without(scene: Scene) -> None:
    scene.git("sparse-checkout", "set", "elsewhere")
    assert not (scene.repo.path / "assets").exists() or not (scene.repo.path / DOOR).exists()
    scene.pause()
    scene.git("sparse-checkout", "disable")


@case("sparse-checkout, commit inside", Limit(verbs.NO_PRE_COMMIT, unfinished=(DOOR,)))
def sparse_commit(scene: Scene) -> None:
    scene.git("sparse-checkout", "set", "--sparse-index", "assets/sfx")
    scene.add(DOOR, sound(41))
    scene.commit("door")
    scene.pause()
    scene.git("sparse-checkout", "disable")
    assert scene.repo.read(LAMP) == sound(3)


@case.matrix(every=4)
def test_files(case: verbs.Case, mode: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    verbs.check(case, mode, tmp_path_factory, tmp_path)
