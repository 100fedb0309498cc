"""Edits as programs make them: a file saved in place of the link, at any moment."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import oracle
from tests.gitrepo import GitRepo
from tests.media import comfy_png, png
from tests.templates import copied

HERO, TWIN, OTHER = "assets/characters/hero.png", "assets/ui/twin.png", "assets/ui/other.png"
NEW = comfy_png(77)


def make_art(repo: GitRepo) -> None:
    """One picture at two places, with a tag, and another one."""
    repo.write(HERO, comfy_png(1))
    repo.write(TWIN, comfy_png(1))
    repo.write(OTHER, comfy_png(2))
    repo.git("add", "assets")
    repo.commit("art")
    repo.tool("annotate", HERO, "--tag", "lead", "--license", "CC0-1.0", "--meta", "scene=2")
    repo.commit("tags")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    return copied(tmp_path_factory, make_art, tmp_path / "repo")


# -- saved in place of the link ------------------------------------------------------------------------------------


def rename_over(view: Path) -> None:
    temp = view.with_name(".hero.png.swp")
    temp.write_bytes(NEW)
    temp.rename(view)


def unlink_and_create(view: Path) -> None:
    view.unlink()
    view.write_bytes(NEW)


def temp_fsync_rename(view: Path) -> None:
    with open(view.with_name("hero.tmp"), "wb") as stream:
        stream.write(NEW)
        os.fsync(stream.fileno())
    os.replace(view.with_name("hero.tmp"), view)
    folder = os.open(view.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def backup_by_rename(view: Path) -> None:
    view.rename(view.with_name("hero.png~"))  # vim, Emacs: the link itself becomes the backup
    view.write_bytes(NEW)


def backup_by_copy(view: Path) -> None:
    shutil.copy(view, view.with_name("hero.kra~"))
    rename_over(view)


def copy_over_removing(view: Path) -> None:
    (view.parents[2] / "new.png").write_bytes(NEW)
    subprocess.run(["cp", "--remove-destination", view.parents[2] / "new.png", view], check=True)
    (view.parents[2] / "new.png").unlink()


def private_and_old(view: Path) -> None:
    unlink_and_create(view)
    view.chmod(0o700)
    os.utime(view, (1, 1))


WAYS: list[Callable[[Path], None]] = [
    *(rename_over, unlink_and_create, temp_fsync_rename, backup_by_rename, backup_by_copy),
    *(copy_over_removing, private_and_old),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_saved_file_is_the_next_version(art: GitRepo, way: Callable[[Path], None]) -> None:
    old, before = art.sidecar(HERO), art.read(HERO)
    way(art.path / HERO)
    index = (art.path / ".git/index").read_bytes()
    found = art.tool("status", "--json").json()
    assert found["edited"] == [HERO] and found["damaged"] == []
    assert "git add takes the new version in" in art.tool("status").out
    for words in (("list",), ("show", HERO), ("provenance", HERO), ("rebuild", "--no-previews")):
        art.tool(*words)
    assert (art.path / ".git/index").read_bytes() == index, "reading stages nothing"
    art.git("add", "assets")
    art.commit("painted")
    card = art.sidecar(HERO)
    assert card["provenance"]["parent"] == old["hash"] != card["hash"] == oracle.digest(art.read(HERO))
    assert (card["tags"], card["license"], card["meta"]) == (["lead"], "CC0-1.0", {"scene": 2})
    assert art.object_path(old["hash"]).read_bytes() == before == art.read(TWIN)
    assert [each["hash"] for each in art.tool("provenance", HERO, "--json").json()] == [card["hash"], old["hash"]]
    oracle.check_all(art)


@pytest.mark.parametrize(
    "words",
    [
        ("git", "commit", "-qam", "painted"),
        ("git", "commit", "-qm", "painted", HERO),
        ("tool", "register", HERO, "--type", "characters"),
        ("tool", "rebuild", "--register", "--no-previews"),
    ],
    ids=lambda words: " ".join(words[1:3]),
)
def test_every_command_that_takes_files_in_takes_the_version_in(art: GitRepo, words: tuple[str, ...]) -> None:
    old = art.sidecar(HERO)["hash"]
    rename_over(art.path / HERO)
    (art.git if words[0] == "git" else art.tool)(*words[1:])
    if words[0] == "tool":
        assert art.status() == [f"M  {HERO}", f"M  {HERO}.asset.json"]
        art.commit("painted")
    card = art.sidecar(HERO)
    assert (card["provenance"]["parent"], card["tags"], card["license"]) == (old, ["lead"], "CC0-1.0")
    oracle.check_all(art)


# -- saved while one of our programs runs --------------------------------------------------------------------------

# Python imports this by itself before anything of ours: the save comes between our last look and our change.
LATE_SAVE = """
import os
from comfyvn_store.base import files, swapping
exchange, link = swapping._exchange, swapping._move_to_free
def save():
    if os.path.exists(os.environ["SAVED"]):
        os.rename(os.environ["SAVED"], os.environ["VIEW"])
def late(call):
    return lambda one, other: (other == os.environ["VIEW"] and save(), call(one, other))[1]
swapping._exchange, swapping._move_to_free = late(exchange), late(link)
"""


@pytest.mark.parametrize("doing", ["commit", "edit", "register", "heal", "recover"])
def test_a_save_at_the_worst_moment_survives(art: GitRepo, tmp_path: Path, doing: str) -> None:
    (tmp_path / "late").mkdir()
    (tmp_path / "late/sitecustomize.py").write_text(LATE_SAVE)
    view, saved = art.path / HERO, art.path / "saved.png"
    env = {"PYTHONPATH": str(tmp_path / "late"), "SAVED": str(saved), "VIEW": str(view)}
    if doing == "commit":
        art.write(HERO, NEW)
        art.git("add", HERO)
    elif doing == "heal":
        view.unlink()
        view.write_bytes(png(seed=9))
        art.git("add", HERO)
        art.git("commit", "-qnm", "without hooks", env={"COMFYVN_PREVIEWS": "off"})
        (art.path / ".git/comfyvn/index.db").unlink()
        view.write_bytes(png(seed=9))  # unmarked once more: the next command would give the object's bytes
    elif doing == "recover":
        view.resolve().chmod(0o644)
        view.write_bytes(NEW)
    (tmp_path / "another.png").write_bytes(comfy_png(5))
    saved.write_bytes(comfy_png(6))
    words = {"edit": ["edit", HERO], "heal": ["list"], "recover": ["recover", HERO]}.get(doing, [])
    if doing == "register":
        words = ["register", str(tmp_path / "another.png"), "--type", "characters", "--name", "hero.png", "--replace"]
    if doing == "commit":
        art.git("commit", "-qm", "painted", env=env)
    else:
        art.tool(*words, env=env, check=False)
    assert not saved.exists(), "the save came"
    assert not view.is_symlink() and view.read_bytes() == comfy_png(6)
    assert sorted(os.listdir(view.parent)) == ["hero.png", "hero.png.asset.json"]


@pytest.mark.parametrize("words", [("commit", "-qm", "painted"), ("switch", "-q", "--detach", "HEAD~1")])
def test_a_sidecar_saved_at_the_worst_moment_survives(art: GitRepo, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "late").mkdir()
    (tmp_path / "late/sitecustomize.py").write_text(LATE_SAVE)
    if words[0] == "commit":
        art.write(HERO, NEW)
        art.git("add", HERO)
    else:  # the sidecar names the new commit first, so that post-checkout has something to write
        art.git("commit", "-q", "--amend", "-m", "tags, amended")
        art.git("config", "filter.comfyvn-sidecar.process", "")
    card, saved = art.path / f"{HERO}.asset.json", art.path / "saved.json"
    mine = (
        art.read(f"{HERO}.asset.json").replace(b'"lead"', b'"by hand"').replace(b'"tags": []', b'"tags": ["by hand"]')
    )
    saved.write_bytes(mine)
    art.git(*words, env={"PYTHONPATH": str(tmp_path / "late"), "SAVED": str(saved), "VIEW": str(card)})
    art.tool("list")
    assert not saved.exists(), "the save came"
    assert card.read_bytes() == mine and b"by hand" in mine
    assert art.tool("status", "--json").json()["edited"] == [f"{HERO}.asset.json"]
