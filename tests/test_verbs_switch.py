"""Going to other commits and taking files from them, with hooks, without them, and with the hooks gone: cases of
`tests/verbs.py`."""

from pathlib import Path

import pytest

from tests import media, verbs
from tests.verbs import BELL, DOOR, HERO, INN, NO_PRE_COMMIT, RIVAL, WIND, Cases, Limit, Scene, picture, sound

NEW = "assets/characters/new.png"
CARD = ".asset.json"
NO_ATTRIBUTES = "an orphan branch has no .gitattributes; only pre-commit can take in what was added there"

case = Cases()


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def say_yes(scene: Scene, *words: str) -> None:
    """Answers a command with -p that each part shall be taken."""
    scene.git(*words, input=b"y\n" * 9)


# -- switch --------------------------------------------------------------------------------------------------------


@case("switch")
def switch(scene: Scene) -> None:
    scene.git("switch", "-q", "other")


@case("switch, switch -")
def switch_back(scene: Scene) -> None:
    scene.git("switch", "-q", "other")
    scene.pause()
    scene.git("switch", "-q", "-")


@case("switch -c")
def switch_create(scene: Scene) -> None:
    scene.git("switch", "-q", "-c", "mine", "third")


@case("switch --detach")
def switch_detach(scene: Scene) -> None:
    scene.git("switch", "-q", "--detach", "other~1")


@case("switch --orphan, and back")
def switch_orphan(scene: Scene) -> None:
    scene.git("switch", "-q", "--orphan", "empty")
    assert scene.tool("list", "--json").json() == []
    assert scene.repo.status() == []
    scene.git("commit", "-q", "--allow-empty", "-m", "nothing")
    scene.git("switch", "-q", "main")


@case("switch with unstaged edits")
def switch_edited(scene: Scene) -> list[str]:
    scene.keep(INN, picture(41))
    scene.keep("assets/sfx/untracked.wav", sound(42))
    scene.add(NEW, picture(43))
    scene.git("switch", "-q", "other")
    assert scene.repo.read(NEW) == picture(43)
    return [f" M {INN}", "?? assets/sfx/untracked.wav", f"A  {NEW}"]


@case("switch, refused for an edit")
def switch_refused(scene: Scene) -> list[str]:
    scene.keep(RIVAL, picture(41))
    scene.fails("switch", "-q", "other")
    return [f" M {RIVAL}"]


@case("switch -m")
def switch_merge(scene: Scene) -> list[str]:
    scene.keep(BELL, sound(41))
    scene.git("switch", "-q", "-m", "third")
    return [f" M {BELL}"]


@case("switch --discard-changes")
def switch_discard(scene: Scene) -> None:
    scene.write(RIVAL, picture(41))
    scene.git("switch", "-q", "--discard-changes", "other")


# -- checkout and restore ------------------------------------------------------------------------------------------


@case("checkout of an old commit, and a commit", Limit(NO_PRE_COMMIT, unfinished=(RIVAL,)))
def checkout_old(scene: Scene) -> None:
    scene.git("checkout", "-q", "first")
    scene.pause()
    scene.add(RIVAL, picture(41))
    scene.commit("on a detached head")


@case("checkout -B")
def checkout_reset(scene: Scene) -> None:
    scene.git("checkout", "-q", "-B", "main", "other")


@case("checkout REV -- path")
def checkout_path(scene: Scene) -> list[str]:
    scene.git("checkout", "-q", "other", "--", "assets/sfx/weather", RIVAL, f"{RIVAL}{CARD}")
    return [f"A  {WIND}", f"A  {WIND}{CARD}", f"M  {RIVAL}", f"M  {RIVAL}{CARD}"]


@case("checkout REV -- view, then commit", Limit(NO_PRE_COMMIT, unfinished=(RIVAL,)))
def checkout_view(scene: Scene) -> None:
    scene.git("checkout", "-q", "other", "--", RIVAL)
    scene.pause(f"M  {RIVAL}")
    scene.commit("their rival")


@case("checkout -p REV -- path")
def checkout_hunks(scene: Scene) -> list[str]:
    say_yes(scene, "checkout", "-q", "-p", "other", "--", RIVAL, f"{RIVAL}{CARD}")
    return [f"M  {RIVAL}", f"M  {RIVAL}{CARD}"]


@case("checkout -- path")
def checkout_edited(scene: Scene) -> None:
    scene.write(HERO, picture(41))
    for path in (DOOR, f"{DOOR}{CARD}"):
        (scene.repo.path / path).unlink()
    scene.git("checkout", "-q", "--", "assets")


@case("restore")
def restore(scene: Scene) -> None:
    scene.write(HERO, picture(41))
    (scene.repo.path / f"{DOOR}{CARD}").unlink()
    scene.git("restore", "assets")


@case("restore --staged")
def restore_staged(scene: Scene) -> list[str]:
    for path in (HERO, NEW):
        scene.keep(path, picture(41))
    scene.git("add", ".")
    scene.git("restore", "--staged", "assets")
    return [f" M {HERO}", f"?? {NEW}"]


@case("restore --source --staged --worktree")
def restore_source(scene: Scene) -> list[str]:
    scene.git("restore", "--source", "other", "--staged", "--worktree", RIVAL, f"{RIVAL}{CARD}")
    return [f"M  {RIVAL}", f"M  {RIVAL}{CARD}"]


# -- reset ---------------------------------------------------------------------------------------------------------


@case("reset --soft, commit")
def reset_soft(scene: Scene) -> None:
    scene.git("reset", "-q", "--soft", "first")
    scene.pause(f"M  {HERO}", f"M  {HERO}{CARD}", f"M  {DOOR}{CARD}")
    scene.commit("again")


@case("reset, add, commit")
def reset_mixed(scene: Scene) -> None:
    scene.git("reset", "-q", "first")
    scene.pause(f" M {HERO}", f" M {HERO}{CARD}", f" M {DOOR}{CARD}")
    scene.git("add", "-A")
    scene.commit("again")


@case("reset --hard")
def reset_hard(scene: Scene) -> None:
    scene.write(HERO, picture(41))
    scene.add(NEW, picture(42))
    scene.git("reset", "-q", "--hard", "other")
    assert scene.repo.read(WIND) == media.marked(sound(15))


@case("reset --keep")
def reset_keep(scene: Scene) -> list[str]:
    scene.keep(INN, picture(41))
    scene.git("reset", "-q", "--keep", "first")
    return [f" M {INN}"]


@case("reset --merge")
def reset_merge(scene: Scene) -> list[str]:
    scene.keep(INN, picture(41))
    scene.add(HERO, picture(42))
    scene.git("reset", "-q", "--merge", "HEAD~1")
    return [f" M {INN}"]


@case("reset of paths")
def reset_paths(scene: Scene) -> list[str]:
    scene.keep(HERO, picture(41))
    scene.write(RIVAL, picture(42))
    scene.git("add", ".")
    scene.git("reset", "-q", "--", HERO)
    return [f" M {HERO}", f"M  {RIVAL}"]


@case("reset -p")
def reset_hunks(scene: Scene) -> list[str]:
    scene.tag(DOOR, "old")
    say_yes(scene, "reset", "-q", "-p")
    scene.edits[f"{DOOR}{CARD}"] = scene.repo.read(f"{DOOR}{CARD}")
    return [f" M {DOOR}{CARD}"]


@case.matrix(every=4)
def test_switch(case: verbs.Case, mode: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    verbs.check(case, mode, tmp_path_factory, tmp_path)
