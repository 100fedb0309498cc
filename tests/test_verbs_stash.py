"""Stashing, with hooks, without them, and with the hooks gone: cases of `tests/verbs.py`.

What a stash gives back has passed the filters: a PNG or a sound that was not staged comes back with its marker, as `git add`
makes it.
"""

import json
from pathlib import Path

import pytest

from tests import verbs
from tests.verbs import BELL, DOOR, HERO, INN, NO_PRE_COMMIT, RIVAL, Cases, Limit, Scene, picture, sound

NEW = "assets/characters/new.png"
CARD = ".asset.json"

case = Cases()


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def came_back(scene: Scene, path: str, data: bytes) -> None:
    """Notes an edit that a stash gave back, which holds these bytes, a marker apart."""
    scene.edits[path] = scene.repo.read(path)
    assert scene.edits[path][: len(data) // 2] == data[: len(data) // 2]


@case("stash")
def stash(scene: Scene) -> None:
    scene.write(HERO, picture(21))
    scene.add(NEW, picture(22))
    scene.tag(DOOR, "old")
    scene.git("stash")


@case("stash, pop")
def stash_pop(scene: Scene) -> list[str]:
    data = picture(21)
    scene.write(HERO, data)
    scene.keep(BELL, sound(22))
    scene.git("stash")
    edits, scene.edits = scene.edits, {}
    scene.pause()
    scene.git("stash", "pop")
    scene.edits = edits
    came_back(scene, HERO, data)
    return [f" M {HERO}", f" M {BELL}"]


@case("stash, pop --index")
def stash_pop_index(scene: Scene) -> list[str]:
    scene.add(NEW, picture(22))
    scene.add(HERO, picture(23))
    scene.tag(DOOR, "old")
    scene.git("stash")
    scene.pause()
    scene.git("stash", "pop", "--index")
    return [f"A  {NEW}", f"M  {HERO}", f"M  {DOOR}{CARD}"]


@case("stash, apply on another branch, drop")
def stash_apply(scene: Scene) -> list[str]:
    scene.keep(INN, sound(21))
    scene.git("stash")
    edits, scene.edits = scene.edits, {}
    scene.git("switch", "-q", "other")
    scene.git("stash", "apply")
    scene.edits = edits
    scene.pause(f" M {INN}")
    scene.git("stash", "drop")
    return [f" M {INN}"]


@case("stash, branch", Limit(NO_PRE_COMMIT, unfinished=(HERO, NEW)))
def stash_branch(scene: Scene) -> None:
    scene.add(HERO, picture(21))
    scene.add(NEW, picture(22))
    scene.git("stash")
    scene.git("reset", "-q", "--hard", "first")
    scene.git("stash", "branch", "from-stash")
    scene.pause(f"M  {HERO}", f"A  {NEW}")
    scene.commit("from the stash")


@case("stash -u, pop")
def stash_untracked(scene: Scene) -> list[str]:
    scene.keep(NEW, picture(22))
    scene.keep("todo.txt", b"todo\n")
    scene.git("stash", "-u")
    edits, scene.edits = scene.edits, {}
    scene.pause()
    scene.git("stash", "pop")
    came_back(scene, NEW, edits[NEW])
    return [f"?? {NEW}", "?? todo.txt"]


@case("stash --staged")
def stash_staged(scene: Scene) -> list[str]:
    scene.add(HERO, picture(21))
    scene.keep(RIVAL, picture(22))
    scene.git("stash", "push", "-q", "--staged")
    return [f" M {RIVAL}"]


@case("stash --staged, pop")
def stash_staged_pop(scene: Scene) -> list[str]:
    data = picture(21)
    scene.add(HERO, data)
    scene.git("stash", "push", "-q", "--staged")
    scene.pause()
    scene.git("stash", "pop")
    came_back(scene, HERO, data)
    return [f" M {HERO}"]


@case("stash --keep-index")
def stash_keep_index(scene: Scene) -> list[str]:
    scene.add(HERO, picture(21))
    scene.write(RIVAL, picture(22))
    scene.git("stash", "push", "-q", "--keep-index")
    return [f"M  {HERO}"]


@case("stash of a path")
def stash_path(scene: Scene) -> list[str]:
    scene.write(HERO, picture(21))
    scene.keep(RIVAL, picture(22))
    scene.git("stash", "push", "-q", "--", HERO)
    return [f" M {RIVAL}"]


@case("stash, pop with a conflict, reset")
def stash_conflict(scene: Scene) -> None:
    scene.write(HERO, picture(21))
    scene.git("stash")
    scene.git("reset", "-q", "--hard", "clash")
    scene.fails("stash", "pop")
    scene.tool("list")
    scene.git("reset", "-q", "--hard")


@case("stash of an edited sidecar, pop")
def stash_sidecar(scene: Scene) -> list[str]:
    said = scene.repo.sidecar(DOOR) | {"tags": ["mine"]}
    scene.write(f"{DOOR}{CARD}", json.dumps(said).encode())
    scene.git("stash")
    scene.pause()
    scene.git("stash", "pop")
    assert scene.repo.sidecar(DOOR) == said
    scene.edits[f"{DOOR}{CARD}"] = scene.repo.read(f"{DOOR}{CARD}")
    return [f" M {DOOR}{CARD}"]


@case.matrix(every=4)
def test_stash(case: verbs.Case, mode: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    verbs.check(case, mode, tmp_path_factory, tmp_path)
