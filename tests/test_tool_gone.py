"""With the program gone git goes on for everything but new art, and back again all heals; bare environments do as well."""

import hashlib
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from comfyvn_store.ops.wiring import main_path
from tests import media
from tests.gitrepo import GitRepo, Result, run

ALICE = "assets/characters/alice.png"
ODD = "assets/characters/zoë “the fox”.png"
# a PATH on which git is, and nothing of ours
BARE = {"PATH": "/usr/bin:/bin"}


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture(params=["interpreter", "package"])
def gone(repo: GitRepo, tmp_path: Path, request: pytest.FixtureRequest) -> GitRepo:
    """Two branches with art (`main` has ODD too, `other` another ALICE), and then the program is taken away."""
    env = tmp_path / "tool"
    env.symlink_to(sys.prefix, target_is_directory=True)
    init = [str(env / "bin/python"), "-P", "-m", "comfyvn_store", "init"]
    run(init, cwd=repo.path)
    repo.write(ALICE, media.png(seed=1))
    repo.write("readme.txt", b"one\n")
    repo.git("add", "-A")
    repo.commit("art")
    repo.git("switch", "-qc", "other")
    repo.write(ALICE, media.png(seed=2))
    repo.git("add", "-A")
    repo.commit("other art")
    repo.git("switch", "-q", "main")
    repo.write(ODD, media.png(seed=3))
    repo.git("add", "-A")
    repo.commit("odd art")
    assert repo.status() == []
    # What is as young as git's index (it counts whole seconds) git would have the program look at once more.
    run([str(env / "bin/python"), "-P", "-m", "comfyvn_store", "rebuild"], cwd=repo.path)
    if request.param == "interpreter":
        env.unlink()
    else:
        place = repo.path / ".git/config"
        text = place.read_text()
        assert main_path() in text
        place.write_text(text.replace(main_path(), "/nowhere/main.py"))
    return repo


def git(repo: GitRepo, *words: str, lines: int = 0) -> Result:
    """Runs git on a PATH without our programs; it must end well and say no more than so many lines, all warnings."""
    done = repo.git(*words, env=BARE)
    said = done.err.splitlines()
    assert len(said) <= lines and all("comfyvn-store is not installed any more" in line for line in said), done.err
    return done


def test_ordinary_commits_and_status_go_through_in_silence(gone: GitRepo) -> None:
    assert git(gone, "status", "--porcelain").out == ""
    gone.write("readme.txt", b"two\n")
    gone.write("script.rpy", b"label start:\n")
    git(gone, "add", "-A")
    git(gone, "commit", "-qm", "words")
    git(gone, "commit", "-q", "--amend", "-m", "other words")
    git(gone, "switch", "-qc", "third")
    assert git(gone, "status", "--porcelain").out == ""
    git(gone, "stash", "list")


def test_branches_with_art_can_be_switched_and_merged(gone: GitRepo) -> None:
    main = gone.read(ALICE)
    git(gone, "switch", "-q", "other", lines=1)
    assert gone.read(ALICE) != main and not (gone.path / ODD).is_symlink()
    assert git(gone, "status", "--porcelain").out == ""
    git(gone, "switch", "-q", "main", lines=1)
    assert gone.read(ALICE) == main and (gone.path / ODD).is_file()
    assert git(gone, "status", "--porcelain").out == ""
    git(gone, "merge", "-q", "--no-edit", "other", lines=1)
    assert gone.read(ALICE) != main
    assert git(gone, "status", "--porcelain").out == ""


def test_new_art_is_refused_with_the_way_back(gone: GitRepo) -> None:
    gone.write("assets/new.png", media.png(seed=5))
    done = gone.git("add", "assets", env=BARE, check=False)
    assert done.code != 0
    assert "error: comfyvn-store is not installed any more, so art cannot be added" in done.err
    assert "hint: install it again (pipx install comfyvn-store), then run: comfyvn-store init" in done.err
    assert gone.staged("assets/new.png") is None
    raw = hashlib.sha1(b"blob %d\0" % len(media.png(seed=5)) + media.png(seed=5)).hexdigest()
    assert gone.git("cat-file", "-e", raw, check=False).code != 0


def test_art_that_was_added_but_not_committed_waits(gone: GitRepo) -> None:
    oid = gone.git("hash-object", "-w", "--stdin", input=media.png(seed=5)).out
    for path in ("assets/new.png", "assets/zoë.png"):
        gone.git("update-index", "--add", "--cacheinfo", f"100644,{oid},{path}")
        done = gone.git("commit", "-qm", "raw", env=BARE, check=False)
        assert done.code == 1
        assert done.err.splitlines() == [
            "error: comfyvn-store is not installed any more, and this commit adds art",
            "hint: install it again (pipx install comfyvn-store), then run: comfyvn-store init",
        ]
        gone.git("rm", "-q", "--cached", path)


def test_art_that_is_a_link_already_can_be_committed(gone: GitRepo) -> None:
    git(gone, "checkout", "-q", "other", "--", "assets", lines=1)
    git(gone, "commit", "-qm", "the other alice", lines=1)
    assert gone.staged(ALICE) is not None and gone.staged(ALICE)[0] == "120000"  # type: ignore[index]
    git(gone, "mv", ODD, "assets/characters/zoë.png")
    git(gone, "mv", f"{ODD}.asset.json", "assets/characters/zoë.png.asset.json")
    git(gone, "commit", "-qm", "renamed", lines=1)
    git(gone, "rm", "-q", ALICE)
    git(gone, "commit", "-qm", "removed", lines=1)


def test_files_below_the_root_that_are_no_art_can_be_committed(gone: GitRepo) -> None:
    with (gone.path / "assets/.gitattributes").open("a") as stream:
        stream.write("*.txt -filter\n")
    gone.write("assets/credits.txt", b"thanks\n")
    gone.write("assets/.keep", b"x")
    git(gone, "add", "-A")
    git(gone, "commit", "-qm", "texts", lines=1)
    assert git(gone, "status", "--porcelain").out == ""


def test_back_again_everything_heals(gone: GitRepo) -> None:
    git(gone, "switch", "-q", "other", lines=1)
    gone.write("readme.txt", b"three\n")
    git(gone, "commit", "-qam", "words")
    git(gone, "merge", "-q", "--no-edit", "main", lines=1)
    gone.tool("init")
    assert gone.status() == []
    assert gone.sidecar(ODD)["provenance"]["commit"] == gone.git("rev-parse", "main").out
    alice = gone.git("rev-list", "--max-count=1", "--skip=0", "main..other", "--", ALICE).out
    assert gone.sidecar(ALICE)["provenance"]["commit"] == alice
    gone.write("assets/new.png", media.png(seed=5))
    gone.git("add", "-A")
    gone.commit("new")
    assert (gone.path / "assets/new.png").is_symlink() and gone.status() == []


def test_a_program_on_the_path_takes_over(gone: GitRepo, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    hook = Path(sys.executable).with_name("comfyvn-store-hook")
    if not hook.exists():
        pytest.skip("comfyvn-store-hook is not installed beside this Python")
    (folder / "comfyvn-store-hook").symlink_to(hook)
    env = {"PATH": f"{folder}:/usr/bin:/bin"}
    gone.write("assets/new.png", media.png(seed=5))
    gone.git("add", "-A", env=env)
    assert gone.git("commit", "-qm", "new", env=env).err == ""
    assert (gone.path / "assets/new.png").is_symlink()
    assert gone.sidecar("assets/new.png")["provenance"]["commit"] == gone.head()
    assert gone.status() == []


# -- bare environments ---------------------------------------------------------------------------------------------

ENVIRONMENTS: Mapping[str, Mapping[str, str | None]] = {
    "no HOME": {"HOME": None, "XDG_CONFIG_HOME": None},
    "a bare PATH": BARE,
    "LC_ALL=C": {"LC_ALL": "C"},
    "no locale": {"LC_ALL": None},
    "next to nothing": dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "LC_ALL", "TZ", "GIT_EDITOR")) | BARE,
}


@pytest.mark.parametrize("env", ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())
def test_a_bare_environment(repo: GitRepo, env: Mapping[str, str | None]) -> None:
    repo.tool("init", env=env)
    data = media.comfy_png()
    repo.write(ODD, data)
    repo.git("add", "-A", env=env)
    done = repo.git("commit", "-qm", "zoë", env=env)
    assert done.err == ""
    assert repo.link(ODD).startswith("../../.comfyvn/objects/")
    card = repo.sidecar(ODD)
    assert card["path"] == ODD.removeprefix("assets/")
    assert card["provenance"]["commit"] == repo.head()
    assert card["provenance"]["source_hash"] == hashlib.sha256(data).hexdigest()
    repo.git("switch", "-q", "--orphan", "empty", env=env)
    repo.git("switch", "-q", "main", env=env)
    assert repo.sidecar(ODD)["provenance"]["commit"] == repo.head()
    assert repo.status() == []
    assert ODD.removeprefix("assets/") in repo.tool("list", env=env | {"PYTHONIOENCODING": "utf-8"}).out
    repo.tool("uninstall", env=env)
    assert (repo.path / ODD).read_bytes().startswith(data[:40]) and not (repo.path / ODD).is_symlink()


def test_modules_in_the_repository_shadow_nothing(repo: GitRepo) -> None:
    for name in ("json.py", "os.py", "hashlib.py", "comfyvn_store/__init__.py", "comfyvn_store/hot/main.py"):
        repo.write(name, "raise SystemExit('shadowed')\n")
    repo.tool("init")
    repo.write(ALICE, media.png())
    repo.git("add", "assets")
    assert repo.git("commit", "-qm", "art").err == ""
    assert (repo.path / ALICE).is_symlink()


def test_the_store_survives_a_clean_of_the_work_tree(store_repo: GitRepo) -> None:
    store_repo.write(ALICE, media.png())
    store_repo.git("add", "-A")
    store_repo.commit("art")
    data = store_repo.read(ALICE)
    store_repo.git("clean", "-qfdx")
    assert not (store_repo.path / ".comfyvn").is_symlink()
    store_repo.tool("status")
    assert store_repo.read(ALICE) == data and store_repo.status() == []
    assert shutil.which("git") is not None and os.path.isdir(store_repo.path / ".git/comfyvn/objects")
