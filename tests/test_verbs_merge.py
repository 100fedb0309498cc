"""Ways to bring the art of other branches in, with hooks, without them, and with the hooks gone: the cases of
`tests/verbs.py`."""

from pathlib import Path

import pytest

from tests import media, oracle, verbs
from tests.gitrepo import GitRepo
from tests.verbs import (
    BELL,
    DOOR,
    HERO,
    INN,
    LAMP,
    LAMP_MOVED,
    MODES,
    NO_PRE_COMMIT,
    RAIN,
    RIVAL,
    WIND,
    Cases,
    Limit,
    Scene,
    picture,
    sound,
)

NEW = "assets/characters/new.png"
CARD = ".asset.json"
# What `other` brings to main, as `git status` says it when it is staged.
OTHERS = sorted(
    [
        f"A  {WIND}",
        f"A  {WIND}{CARD}",
        f"D  {BELL}",
        f"D  {BELL}{CARD}",
        f"D  {LAMP}",
        f"A  {LAMP_MOVED}",
        f"R  {LAMP}{CARD} -> {LAMP_MOVED}{CARD}",
        f"M  {RIVAL}",
        f"M  {RIVAL}{CARD}",
        f"M  {DOOR}{CARD}",
    ]
)
CLASH = [f"UU {HERO}", f"UU {HERO}{CARD}"]

case = Cases()


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def waits(*paths: str, modes: tuple[str, ...] = verbs.WITHOUT_HOOKS) -> Limit:
    return Limit(NO_PRE_COMMIT, unfinished=paths, modes=modes)


def seed(scene: Scene, path: str = HERO) -> int:
    found: int = scene.repo.sidecar(path)["provenance"]["inputs"]["seed"]
    return found


def take(scene: Scene, side: str) -> None:
    """Resolves a conflict by a side, as git.md tells people to."""
    scene.git("checkout", f"--{side}", "--", HERO, f"{HERO}{CARD}")
    scene.git("add", "assets")


# -- merge ---------------------------------------------------------------------------------------------------------


@case("merge, ff")
def merge_forward(scene: Scene) -> list[str]:
    scene.git("switch", "-q", "behind")
    scene.keep(INN, picture(21))
    scene.git("merge", "-q", "main")
    return [f" M {INN}"]


@case("merge --no-ff")
def merge_no_forward(scene: Scene) -> None:
    scene.git("switch", "-q", "behind")
    scene.git("merge", "-q", "--no-ff", "--no-edit", "main")
    assert scene.git("rev-list", "--parents", "-n1", "HEAD").out.count(" ") == 2


@case("merge")
def merge(scene: Scene) -> list[str]:
    scene.keep(INN, picture(21))
    scene.keep(NEW, picture(22))
    scene.git("merge", "-q", "--no-edit", "other")
    assert scene.repo.sidecar(DOOR)["tags"] == ["loud", "wood"]
    return [f" M {INN}", f"?? {NEW}"]


@case("merge --autostash")
def merge_autostash(scene: Scene) -> list[str]:
    scene.keep(LAMP, sound(21))
    scene.keep(NEW, picture(22))
    scene.git("merge", "-q", "--no-edit", "--autostash", "third")
    return [f" M {LAMP}", f"?? {NEW}"]


@case("merge --squash")
def merge_squash(scene: Scene) -> list[str]:
    scene.git("merge", "-q", "--squash", "other")
    return OTHERS


@case("merge --squash, commit")
def merge_squash_commit(scene: Scene) -> None:
    scene.git("merge", "-q", "--squash", "other")
    scene.commit("squashed")


@case("merge, octopus")
def merge_octopus(scene: Scene) -> None:
    scene.git("switch", "-q", "third")
    scene.git("merge", "-q", "--no-edit", "other", "clash")
    assert scene.git("rev-list", "--parents", "-n1", "HEAD").out.count(" ") == 3


@case("merge, octopus that git refuses")
def merge_octopus_refused(scene: Scene) -> list[str]:
    scene.keep(DOOR, sound(21))
    scene.fails("merge", "-q", "--no-edit", "other", "third")  # two sides tagged the door
    return [f" M {DOOR}"]


@case("merge, conflict, ours")
def merge_ours(scene: Scene) -> None:
    scene.fails("merge", "-q", "--no-edit", "clash")
    scene.pause(*CLASH)
    take(scene, "ours")
    scene.git("commit", "-q", "--no-edit")


@case("merge, conflict, theirs")
def merge_theirs(scene: Scene) -> list[str]:
    scene.keep(INN, picture(21))
    scene.fails("merge", "-q", "--no-edit", "clash")
    scene.git("checkout", "--theirs", "--", HERO, f"{HERO}{CARD}")
    scene.git("add", HERO, f"{HERO}{CARD}")
    scene.git("merge", "--continue")
    return [f" M {INN}"]


@case("merge, conflict, a third picture", waits(HERO))
def merge_third(scene: Scene) -> None:
    scene.fails("merge", "-q", "--no-edit", "clash")
    scene.add(HERO, picture(21))
    scene.git("add", "assets")
    scene.git("commit", "-q", "--no-edit")


@case("merge, conflict, aborted")
def merge_aborted(scene: Scene) -> list[str]:
    scene.keep(INN, picture(21))
    scene.fails("merge", "-q", "--no-edit", "clash")
    scene.pause(*CLASH, f" M {INN}")
    scene.git("merge", "--abort")
    return [f" M {INN}"]


@case("merge --no-commit, new art, commit", waits(NEW))
def merge_commit(scene: Scene) -> None:
    scene.git("merge", "-q", "--no-commit", "other")
    scene.pause(*OTHERS)
    scene.add(NEW, picture(21))
    scene.commit("merged, and more")


@case("merge of a commit without hooks", waits(RAIN, modes=MODES))
def merge_plain(scene: Scene) -> None:
    scene.git("merge", "-q", "--no-edit", "plain")


@case("merge, conflict of a link and a file")
def merge_distinct_types(scene: Scene) -> None:
    scene.add(HERO, picture(21))
    scene.commit("without pre-commit", "-n")
    scene.fails("merge", "-q", "--no-edit", "clash")
    scene.pause(f"AU {HERO}~HEAD", f"DU {HERO}", f"UU {HERO}{CARD}")  # git keeps the two kinds apart
    scene.git("rm", "-q", "-f", f"{HERO}~HEAD")
    take(scene, "theirs")
    scene.git("commit", "-q", "--no-edit")
    assert seed(scene) == 13


@case("merge, repainted here and moved there", waits(LAMP))
def merge_moved(scene: Scene) -> None:
    scene.add(LAMP, sound(21))
    scene.commit("repainted")
    scene.fails("merge", "-q", "--no-edit", "other")
    scene.git("add", LAMP)
    scene.git("rm", "-q", "-f", LAMP_MOVED, f"{LAMP_MOVED}{CARD}")
    scene.git("commit", "-q", "--no-edit")
    assert scene.repo.blob(f"HEAD:{LAMP}").endswith(oracle.digest(media.marked(sound(21)))[2:].encode())


@case("merge -s ours")
def merge_strategy_ours(scene: Scene) -> None:
    scene.git("merge", "-q", "--no-edit", "-s", "ours", "clash")


# -- pull ----------------------------------------------------------------------------------------------------------


def upstream(scene: Scene, branch: str) -> None:
    """Lets main track a remote branch that is where `branch` is here."""
    bare = GitRepo.create(scene.scratch / "upstream.git", "--bare")
    scene.repo.git("remote", "add", "origin", str(bare.path))
    scene.repo.git("push", "-q", "origin", f"{branch}:main")
    scene.repo.git("fetch", "-q")
    scene.repo.git("branch", "-q", "-u", "origin/main", "main")


@case("pull, ff")
def pull_forward(scene: Scene) -> list[str]:
    upstream(scene, "main")
    scene.git("reset", "-q", "--hard", "HEAD^")
    scene.keep(INN, picture(21))
    scene.git("pull", "-q", "--ff-only")
    return [f" M {INN}"]


@case("pull, merge")
def pull_merge(scene: Scene) -> list[str]:
    upstream(scene, "other")
    scene.keep(INN, picture(21))
    scene.git("pull", "-q", "--no-rebase", "--no-edit")
    return [f" M {INN}"]


@case("pull --rebase")
def pull_rebase(scene: Scene) -> None:
    upstream(scene, "other")
    scene.git("pull", "-q", "--rebase")


@case("pull --rebase --autostash")
def pull_rebase_autostash(scene: Scene) -> list[str]:
    upstream(scene, "third")
    scene.keep(LAMP, sound(21))
    scene.git("pull", "-q", "--rebase", "--autostash")
    return [f" M {LAMP}"]


@case.matrix()
def test_merge(case: verbs.Case, mode: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    verbs.check(case, mode, tmp_path_factory, tmp_path)
