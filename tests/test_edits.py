"""Edits as programs make them: a file saved in place of the link, and bytes written through it."""

import os
import shutil
import stat
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
from comfyvn_store.base import files
exchange, link = files._exchange, files._move_to_free
def save():
    if os.path.exists(os.environ["SAVED"]):
        os.rename(os.environ["SAVED"], os.environ["VIEW"])
def late(call):
    return lambda one, other: (other == os.environ["VIEW"] and save(), call(one, other))[1]
files._exchange, files._move_to_free = late(exchange), late(link)
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
        write_in_place(view)
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


# -- written through the link --------------------------------------------------------------------------------------


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


def test_a_checkout_gives_no_damaged_bytes(art: GitRepo) -> None:
    art.write("assets/ui/file.png", comfy_png(1))
    art.git("add", "assets")
    art.git("commit", "-qnm", "a file, without the hook")
    write_in_place(art.path / HERO)
    (art.path / "assets/ui/file.png").unlink()
    said = art.git("checkout", "-q", "--", "assets/ui/file.png").err
    assert "is damaged" in said and "recover" in said
    assert oracle.linked_hash(art.read("assets/ui/file.png").decode()) == art.sidecar(TWIN)["hash"]
