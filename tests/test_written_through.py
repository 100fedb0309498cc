"""Bytes written through a link: seen, not handed out, not built on, and not mistaken for what they replaced."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import oracle
from tests.gitrepo import GitRepo
from tests.media import comfy_png
from tests.templates import copied

HERO, TWIN, OTHER = "assets/characters/hero.png", "assets/ui/twin.png", "assets/ui/other.png"
NEW = comfy_png(77)


def make_art(repo: GitRepo) -> None:
    """One picture at two places, and another one."""
    repo.write(HERO, comfy_png(1))
    repo.write(TWIN, comfy_png(1))
    repo.write(OTHER, comfy_png(2))
    repo.git("add", "assets")
    repo.commit("art")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    return copied(tmp_path_factory, make_art, tmp_path / "repo")


def write_in_place(view: Path) -> None:
    view.resolve().chmod(0o644)
    with open(view, "r+b") as stream:
        stream.write(NEW)
        stream.truncate()
    view.resolve().chmod(0o444)


def append(view: Path) -> None:
    view.resolve().chmod(0o644)
    with open(view, "ab") as stream:
        stream.write(b"more")


def cut_to_nothing(view: Path) -> None:
    view.resolve().chmod(0o644)
    os.truncate(view, 0)


def rename_over_what_the_link_leads_to(view: Path) -> None:
    target = view.resolve()  # GLib's and Qt's way of saving; needs no permission for the object itself
    target.with_name(target.name + ".tmp").write_bytes(NEW)
    target.with_name(target.name + ".tmp").rename(target)


def put_the_time_back(view: Path) -> None:
    """The mode stays writable: as good a sign as the time."""
    info = view.stat()
    view.resolve().chmod(0o644)
    view.resolve().write_bytes(bytes(255 - byte for byte in view.read_bytes()))
    os.utime(view, ns=(info.st_atime_ns, info.st_mtime_ns))


THROUGH = [write_in_place, append, cut_to_nothing, rename_over_what_the_link_leads_to, put_the_time_back]


@pytest.mark.parametrize("way", THROUGH, ids=lambda way: way.__name__)
def test_what_is_written_through_the_link_is_seen_and_not_handed_out(
    art: GitRepo, tmp_path: Path, way: Callable[[Path], None]
) -> None:
    before = art.read(HERO)
    way(art.path / HERO)
    found = art.tool("status", "--json").json()
    assert found["damaged"] == [HERO, TWIN] and found["edited"] == []
    assert "recover" in art.tool("status").out and "recover" in art.tool("show", TWIN).out
    assert [art.tool(*words, check=False).code for words in (("edit", HERO), ("workflow", HERO))] == [13, 13]
    art.write("assets/ui/third.png", comfy_png(3))
    art.git("add", "assets")
    art.commit("something else")
    assert art.tool("rebuild", "--verify", "--no-previews", check=False).code == 1
    art.write(TWIN, comfy_png(1))
    art.git("add", "assets")
    assert art.read(HERO) == before, "a good copy that is added mends it"
    assert art.tool("status", "--json").json()["damaged"] == []


def test_what_only_reading_every_byte_can_tell(art: GitRepo) -> None:
    """Size, mode and time as they were, or a time that happens to be a whole second."""
    place = (art.path / HERO).resolve()
    info = place.stat()
    put_the_time_back(art.path / HERO)
    place.chmod(stat.S_IMODE(info.st_mode))
    assert art.tool("status", "--json").json()["damaged"] == []
    assert art.tool("rebuild", "--verify", "--no-previews", check=False).code == 1
    assert art.tool("status", "--json").json()["damaged"] == [HERO, TWIN]


@pytest.mark.parametrize("way", ["touch", "chmod"])
def test_touching_is_no_damage(art: GitRepo, way: str) -> None:
    view = art.path / HERO
    os.utime(view) if way == "touch" else view.chmod(0o755)
    found = art.tool("status", "--json").json()
    assert (found["damaged"], found["edited"], art.status()) == ([], [], [])
    assert art.tool("edit", HERO, "--json").json() == [{"view": HERO, "was_link": True}]


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="tells root from those who are not")
def test_others_than_root_are_stopped_by_the_mode(art: GitRepo, tmp_path: Path) -> None:
    (tmp_path / "new.png").write_bytes(NEW)
    before = art.read(HERO)
    powerless = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
    for words in (["cp", tmp_path / "new.png", art.path / HERO], ["truncate", "-s0", art.path / HERO]):
        done = subprocess.run([*powerless, *words], capture_output=True)
        assert done.returncode != 0 and b"ermission denied" in done.stderr
    assert art.read(HERO) == before
    subprocess.run(["cp", tmp_path / "new.png", art.path / HERO], check=True)  # root's goes through the link
    assert art.read(TWIN) == NEW and art.tool("status", "--json").json()["damaged"] == [HERO, TWIN]


def test_a_file_that_was_added_is_not_replaced_by_a_damaged_object(art: GitRepo) -> None:
    """The bytes are those of another asset, and between add and commit somebody writes through that one."""
    before = art.read(HERO)
    art.write(OTHER, comfy_png(1))
    art.git("add", "assets")
    write_in_place(art.path / HERO)
    art.commit("the same picture once more")
    assert art.read(OTHER) == before == art.read(HERO)
    assert [each.read_bytes() for each in (art.path / ".git/comfyvn/bad").iterdir()] == [NEW]
    oracle.check_all(art)


def test_no_preview_is_made_of_what_was_written_through_the_link(art: GitRepo) -> None:
    write_in_place(art.path / HERO)
    art.tool("rebuild", check=False, env={"COMFYVN_PREVIEWS": None})
    hashes = {art.sidecar(path)["hash"] for path in (HERO, OTHER)}
    assert {each.stem for each in (art.path / "cache/thumbs").iterdir()} == hashes - {art.sidecar(HERO)["hash"]}


def test_a_checkout_gives_no_damaged_bytes(art: GitRepo) -> None:
    art.write("assets/ui/file.png", comfy_png(1))
    art.git("add", "assets")
    art.git("commit", "-qnm", "a file, without the hook")
    write_in_place(art.path / HERO)
    (art.path / "assets/ui/file.png").unlink()
    said = art.git("checkout", "-q", "--", "assets/ui/file.png").err
    assert "is damaged" in said and "recover" in said
    assert oracle.linked_hash(art.read("assets/ui/file.png").decode()) == art.sidecar(TWIN)["hash"]
