"""Ways to add and commit, with hooks, without them, and with the hooks gone: the cases of `tests/verbs.py`."""

from pathlib import Path

import pytest

from tests import verbs
from tests.verbs import (
    BELL,
    DOOR,
    HERO,
    INN,
    LAMP,
    LAMP_MOVED,
    MODES,
    NO_PRE_COMMIT,
    RIVAL,
    Cases,
    Limit,
    Scene,
    picture,
    sound,
)

NEW = "assets/characters/new.png"

case = Cases()


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def waits(*paths: str, modes: tuple[str, ...] = verbs.WITHOUT_HOOKS) -> Limit:
    return Limit(NO_PRE_COMMIT, unfinished=paths, modes=modes)


# -- staging -------------------------------------------------------------------------------------------------------


@case("add")
def add(scene: Scene) -> list[str]:
    scene.add(HERO, picture(21))
    scene.add(NEW, picture(22))
    scene.add(INN, picture(23))
    scene.keep(INN, picture(24))
    return [f"A  {NEW}", f"M  {HERO}", f"MM {INN}"]


@case("add -A")
def add_all(scene: Scene) -> list[str]:
    scene.paint(HERO, 21)
    scene.paint(NEW, 22)
    (scene.repo.path / BELL).unlink()
    scene.git("add", "-A")
    return [f"A  {NEW}", f"D  {BELL}", f"M  {HERO}"]


@case("add -u")
def add_update(scene: Scene) -> list[str]:
    scene.paint(HERO, 21)
    scene.keep(NEW, picture(22))
    scene.git("add", "-u")
    return [f"?? {NEW}", f"M  {HERO}"]


@case("add -p")
def add_patch(scene: Scene) -> list[str]:
    card = f"{DOOR}.asset.json"
    licensed = scene.repo.read(card).replace(b'"license": null', b'"license": "CC0-1.0"')
    scene.keep(card, licensed.replace(b"  }\n}\n", b'  },\n  "note": "mine"\n}\n'))
    scene.git("add", "-p", card, input=b"y\nn\n")
    staged = scene.repo.blob(f":{card}")
    assert b"CC0-1.0" in staged and b"mine" not in staged
    return [f"MM {card}"]


@case("add -p of a picture")
def add_patch_of_a_picture(scene: Scene) -> list[str]:
    scene.paint(HERO, 21)
    scene.keep(INN, picture(22))
    scene.git("add", "-p", input=b"n\ny\ny\ny\n")
    return [f" M {INN}", f"M  {HERO}"]


@case("add -N")
def add_intent(scene: Scene) -> list[str]:
    scene.keep(NEW, picture(21))
    scene.git("add", "-N", NEW)
    return [f" A {NEW}"]


@case("add -N, commit -a", waits(NEW))
def add_intent_commit_all(scene: Scene) -> None:
    scene.paint(NEW, 21)
    scene.git("add", "-N", NEW)
    scene.commit("art", "-a")


@case("add -N, commit PATH", waits(NEW))
def add_intent_commit_path(scene: Scene) -> None:
    scene.paint(NEW, 21)
    scene.git("add", "-N", NEW)
    scene.commit("art", NEW)


@case("add -N, commit of other art", waits(HERO))
def add_intent_commit_other(scene: Scene) -> list[str]:
    scene.keep(NEW, picture(21))
    scene.git("add", "-N", NEW)
    scene.add(HERO, picture(22))
    scene.commit("art")
    return [f" A {NEW}"]


# -- committing ----------------------------------------------------------------------------------------------------


@case("commit", waits(HERO, NEW))
def commit(scene: Scene) -> None:
    scene.add(HERO, picture(21))
    scene.add(NEW, picture(22))
    scene.commit("art")


@case("commit, v2 on disk", waits(HERO, NEW, DOOR))
def commit_with_edits(scene: Scene) -> list[str]:
    for path, data, edit in ((HERO, 21, 31), (NEW, 22, 32)):
        scene.add(path, picture(data))
        scene.keep(path, picture(edit))
    scene.add(DOOR, sound(23))
    scene.keep(DOOR, sound(33))
    scene.keep("assets/sfx/untracked.wav", sound(34))
    scene.commit("art")
    return ["?? assets/sfx/untracked.wav", f" M {DOOR}", f" M {HERO}", f" M {NEW}"]


@case("commit, executable files", waits(HERO, DOOR, NEW))
def commit_executable(scene: Scene) -> None:
    scene.paint(HERO, 21)
    scene.paint(DOOR, 22)
    scene.paint(NEW, 23)
    for path in (HERO, DOOR, NEW):  # as everything on a disk of Windows is
        (scene.repo.path / path).chmod(0o755)
    scene.git("add", "-A")
    scene.commit("art")


@case("commit, others deleted on disk", waits(HERO))
def commit_with_deletions(scene: Scene) -> list[str]:
    gone = [BELL, DOOR, f"{DOOR}.asset.json"]
    for path in gone:
        (scene.repo.path / path).unlink()
    scene.add(HERO, picture(21))
    scene.commit("art")
    return [f" D {path}" for path in gone]


@case("commit -a", waits(HERO, INN))
def commit_all(scene: Scene) -> None:
    scene.paint(HERO, 21)
    scene.paint(INN, 22)
    (scene.repo.path / BELL).unlink()
    scene.commit("art", "-a")


@case("commit PATH", waits(HERO))
def commit_path(scene: Scene) -> list[str]:
    scene.add(NEW, picture(22))
    scene.paint(HERO, 21)
    scene.keep(INN, picture(23))
    scene.commit("art", HERO)
    return [f" M {INN}", f"A  {NEW}"]


@case("commit -i PATH", waits(HERO, NEW))
def commit_include(scene: Scene) -> list[str]:
    scene.add(NEW, picture(22))
    scene.paint(HERO, 21)
    scene.keep(INN, picture(23))
    scene.commit("art", "-i", HERO)
    return [f" M {INN}"]


@case("commit --amend")
def amend(scene: Scene) -> None:
    scene.commit("said better", "--amend")


@case("commit --amend --no-edit, new art", waits(HERO, NEW))
def amend_with_art(scene: Scene) -> list[str]:
    scene.add(HERO, picture(21))
    scene.add(NEW, picture(22))
    scene.keep(NEW, picture(32))
    scene.git("commit", "-q", "--amend", "--no-edit")
    return [f" M {NEW}"]


@case("commit --amend -a", waits(HERO))
def amend_all(scene: Scene) -> None:
    scene.paint(HERO, 21)
    (scene.repo.path / BELL).unlink()
    scene.git("commit", "-q", "--amend", "--no-edit", "-a")


@case("commit --allow-empty")
def allow_empty(scene: Scene) -> list[str]:
    scene.keep(HERO, picture(21))
    scene.commit("nothing", "--allow-empty")
    return [f" M {HERO}"]


@case("commit --fixup, rebase --autosquash", waits(HERO, RIVAL))
def fixup(scene: Scene) -> None:
    scene.add(HERO, picture(21))
    scene.commit("art")
    scene.add(RIVAL, picture(22))
    scene.commit("other art")
    scene.add(HERO, picture(23))
    scene.git("commit", "-q", "--fixup", "HEAD^")
    scene.git("rebase", "-q", "-i", "--autosquash", "HEAD~3", env={"GIT_SEQUENCE_EDITOR": "true"})
    assert scene.git("log", "--format=%s", "-2").out == "other art\nart"


@case("commit -n", waits(HERO, NEW, modes=MODES))
def no_verify(scene: Scene) -> list[str]:
    scene.add(HERO, picture(21))
    scene.keep(HERO, picture(31))
    scene.add(NEW, picture(22))
    scene.commit("art", "-n")
    return [f" M {HERO}"]


@case("commit -p", waits(HERO))
def commit_patch(scene: Scene) -> list[str]:
    scene.paint(HERO, 21)
    scene.keep(INN, picture(22))
    scene.git("commit", "-q", "-p", "-m", "art", input=b"n\ny\ny\ny\n")
    return [f" M {INN}"]


@case("commit, stopped by its message")
def stopped(scene: Scene) -> list[str]:
    scene.add(HERO, picture(21))
    scene.add(NEW, picture(22))
    scene.fails("commit", "-q", "-m", "")
    cards = [f"M  {HERO}.asset.json", f"A  {NEW}.asset.json"] if scene.mode == "on" else []
    return [f"M  {HERO}", f"A  {NEW}", *cards]


@case("commit -n of a move to a deeper folder", waits(LAMP_MOVED, modes=MODES))
def move_deeper(scene: Scene) -> None:
    (scene.repo.path / "assets/props/street/night").mkdir(parents=True)
    scene.git("mv", LAMP, LAMP_MOVED)
    scene.commit("moved", "-n")


@case(
    "commit -n of a move to a shallower folder",
    Limit(
        "a moved link leads outside the work tree until pre-commit re-bases it; commands read the object all the same",
        unfinished=("assets/inn.png",),
        dangling=("assets/inn.png",),
        modes=MODES,
    ),
)
def move_shallower(scene: Scene) -> None:
    scene.git("mv", INN, "assets/inn.png")
    scene.commit("moved", "-n")


@case.matrix()
def test_commit(case: verbs.Case, mode: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    verbs.check(case, mode, tmp_path_factory, tmp_path)
