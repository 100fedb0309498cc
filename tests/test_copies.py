"""Views that are copies: ordinary files with the object's bytes, asked for or because git makes no symlinks here."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gitrepo import GitRepo
from tests.media import comfy_png, wav
from tests.oracle import check_commits, check_index, digest, link_text, linked_hash, raw_blobs
from tests.templates import copied

A, B, SOUND = "assets/characters/a.png", "assets/characters/b.png", "assets/sounds/tone.wav"


def fill(repo: GitRepo) -> None:
    """Three commits of links: two pictures and a sound, another version of one, tags."""
    repo.write(A, comfy_png(1))
    repo.write(B, comfy_png(2))
    repo.write(SOUND, wav())
    repo.git("add", "assets")
    repo.commit("first art")
    repo.write(A, comfy_png(3))
    repo.git("add", "assets")
    repo.commit("another a")
    repo.tool("annotate", B, "--tag", "heroine")
    repo.commit("a tag")


@pytest.fixture
def linked(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> GitRepo:
    """A repository of links."""
    return copied(tmp_path_factory, fill, tmp_path / "repo")


@pytest.fixture
def copies(linked: GitRepo) -> GitRepo:
    """The same, with views that are copies: its entries stay links in git."""
    linked.git("config", "comfyvn.views", "copy")
    linked.tool("init")
    return linked


def modes(repo: GitRepo) -> dict[str, str]:
    listing = repo.git("ls-files", "-s", "-z", "--", "assets").out.split("\0")[:-1]
    return {path: about.split(" ")[0] for about, _, path in (item.partition("\t") for item in listing)}


def check_copies(repo: GitRepo, status: list[str] | None = None) -> None:
    """Every view is an ordinary file that has exactly the bytes its entry names, and git calls all of it clean."""
    listed = repo.tool("list", "--json").json()
    assert repo.status() == (status or [])
    for each in listed:
        path = each["view"]
        staged = repo.blob(f":{path}").decode()
        assert staged == link_text(path, linked_hash(staged) or ""), path
        assert not os.path.islink(repo.path / path), path
        assert digest(repo.read(path)) == each["hash"] == linked_hash(staged), path
    assert raw_blobs(repo) == []
    check_commits(repo)
    assert repo.status() == (status or [])


def text_of(repo: GitRepo, path: str) -> bytes:
    return repo.blob(f"HEAD:{path}")


def test_new_art_stays_an_ordinary_file_with_its_bytes_and_its_marker(repo: GitRepo, tmp_path: Path) -> None:
    repo.git("config", "core.symlinks", "false")
    repo.tool("init")
    assert not (repo.path / ".comfyvn").exists()
    repo.write(A, comfy_png(1))
    repo.write(SOUND, wav())
    repo.git("add", "assets")
    repo.commit("art")
    assert modes(repo)[A] == modes(repo)[SOUND] == "100644"
    assert b"comfyvn_provenance" in repo.read(A)
    check_copies(repo)
    repo.write(A, comfy_png(2))
    repo.commit("more", "-a")
    assert repo.sidecar(A)["provenance"]["parent"] == digest_at(repo, "HEAD~1", A)
    repo.write(A, comfy_png(3))
    repo.commit("only one", A)
    check_copies(repo)
    check_index(repo, tmp_path)


def digest_at(repo: GitRepo, revision: str, path: str) -> str | None:
    return linked_hash(repo.blob(f"{revision}:{path}").decode())


def test_links_of_others_are_filled_and_stay_links_in_git(copies: GitRepo, tmp_path: Path) -> None:
    check_copies(copies)
    assert modes(copies)[A] == "120000"
    copies.write(A, comfy_png(9))
    copies.commit("new bytes", "-a")
    assert modes(copies)[A] == "120000"
    check_copies(copies)
    assert copies.tool("status", "--json").json()["unflipped"] == []
    check_index(copies, tmp_path)


def switch_away_and_back(repo: GitRepo) -> None:
    repo.git("switch", "-q", "--detach", "HEAD~2")
    assert digest(repo.read(A)) == digest_at(repo, "HEAD", A)
    repo.git("switch", "-q", "main")


def restore(repo: GitRepo) -> None:
    (repo.path / A).unlink()
    repo.write(B, "an edit")
    repo.git("checkout", "--", "assets")
    for path in (A, B):  # by the hook, no command is needed
        assert digest(repo.read(path)) == digest_at(repo, "HEAD", path)


def stash(repo: GitRepo) -> None:
    repo.write(A, comfy_png(8))
    repo.git("stash")
    repo.tool("status")
    assert digest(repo.read(A)) == digest_at(repo, "HEAD", A)
    repo.git("stash", "drop")


def pop(repo: GitRepo) -> None:
    edit = comfy_png(8)
    repo.write(A, edit)
    repo.git("stash")
    repo.git("stash", "pop")
    assert repo.status() == [f" M {A}"]
    repo.git("commit", "-qam", "popped")


def reset(repo: GitRepo) -> None:
    repo.git("reset", "-q", "--hard", "HEAD~2")
    repo.tool("list")
    assert digest(repo.read(A)) == digest_at(repo, "HEAD", A)


def rebase(repo: GitRepo) -> None:
    repo.git("switch", "-q", "-c", "side", "HEAD~1")
    repo.write(SOUND, wav(seconds=2))
    repo.commit("longer", "-a")
    repo.git("rebase", "-q", "main")


def merge(repo: GitRepo) -> None:
    repo.git("switch", "-q", "-c", "side", "HEAD~1")
    repo.write(SOUND, wav(seconds=2))
    repo.commit("longer", "-a")
    repo.git("switch", "-q", "main")
    repo.git("merge", "-q", "--no-edit", "side")


def amend(repo: GitRepo) -> None:
    repo.write(B, comfy_png(7))
    repo.git("add", "assets")
    repo.git("commit", "-q", "--amend", "-m", "amended")


def without_hooks(repo: GitRepo) -> None:
    repo.write(B, comfy_png(7))
    repo.write("assets/new/c.png", comfy_png(6))
    repo.git("add", "assets")
    repo.git("-c", "core.hooksPath=/dev/null", "commit", "-qm", "no hooks")
    repo.tool("annotate", "assets/new/c.png", B, "--tag", "late")
    repo.commit("tags")


def move(repo: GitRepo) -> None:
    os.makedirs(repo.path / "assets/characters/deep")
    repo.git("mv", A, "assets/characters/deep/a.png")
    repo.commit("deeper")


@pytest.mark.parametrize(
    "verb", [switch_away_and_back, restore, stash, pop, reset, rebase, merge, amend, without_hooks, move]
)
def test_after_every_verb_the_files_have_the_bytes(copies: GitRepo, verb: Callable[[GitRepo], None]) -> None:
    verb(copies)
    check_copies(copies)


def test_bytes_that_are_not_here_come_when_the_object_does(copies: GitRepo, tmp_path: Path) -> None:
    held = copies.object_path(digest_at(copies, "HEAD", A) or "")
    copies.git("switch", "-q", "--detach", "HEAD~1")
    away = tmp_path / "away"
    held.rename(away)
    for path in (A, B):
        (copies.path / path).unlink()
    copies.git("checkout", "-q", "main")
    copies.git("checkout", "--", "assets")
    assert copies.read(A) == text_of(copies, A)
    assert copies.tool("status", "--json").json()["missing"] == [A]
    assert copies.status() == []
    assert copies.tool("edit", A, check=False).code == 12
    shutil.copy2(away, held)
    copies.tool("list")
    check_copies(copies)


def test_an_edit_is_never_filled_and_never_staged(copies: GitRepo) -> None:
    copies.git("checkout", "-q", "HEAD~1")
    mine = comfy_png(77)
    copies.write(A, mine)
    copies.write(B, text_of(copies, B) + b" with words")
    copies.tool("rebuild", "--no-previews", check=False)
    assert copies.read(A) == mine
    assert copies.read(B) == text_of(copies, B) + b" with words"
    assert copies.status() == [f" M {A}", f" M {B}"]


def test_commands_know_copies(copies: GitRepo, tmp_path: Path) -> None:
    assert "writable file already" in copies.tool("edit", A).out
    (tmp_path / "x.png").write_bytes(comfy_png(20))
    card = copies.tool("register", str(tmp_path / "x.png"), "--type", "props", "--source", "hand", "--json").json()[0]
    assert digest(copies.read("assets/props/x.png")) == card["hash"]
    plain = comfy_png(21)
    copies.write("assets/props/y.png", plain)
    copies.tool("register", str(copies.path / "assets/props/y.png"), "--type", "props", "--no-copy")
    assert copies.read("assets/props/y.png") == plain
    (copies.path / "assets/props/y.png").write_bytes(plain)  # writable, and no second name of the object
    copies.commit("registered")
    check_copies(copies)
    assert modes(copies)["assets/props/y.png"] == "100644"
    (tmp_path / "z.png").write_bytes(comfy_png(22))
    copies.tool("register", str(tmp_path / "z.png"), "--type", "props", "--no-stage")
    listed = {each["view"]: each for each in copies.tool("list", "--json").json()}
    assert listed["assets/props/z.png"]["staged"] is False
    copies.write(A, b"RIFF edited")
    assert copies.tool("status", "--json").json()["edited"] == [A]
    copies.git("checkout", "--", A)
    check_copies_of(copies, A)


def check_copies_of(repo: GitRepo, path: str) -> None:
    repo.tool("list")
    assert digest(repo.read(path)) == digest_at(repo, "HEAD", path)


def test_clones_and_work_trees_without_symlinks(linked: GitRepo, tmp_path: Path) -> None:
    linked.git("clone", "-q", "-c", "core.symlinks=false", str(linked.path), str(tmp_path / "clone"))
    clone = GitRepo(tmp_path / "clone")
    assert clone.read(A) == text_of(clone, A)
    clone.tool("init")
    assert clone.status() == []
    shutil.copytree(linked.path / ".git/comfyvn/objects", clone.path / ".git/comfyvn/objects", dirs_exist_ok=True)
    clone.tool("rebuild", "--no-previews")
    check_copies(clone)
    clone.git("worktree", "add", "-q", str(tmp_path / "tree"), "HEAD~1")
    tree = GitRepo(tmp_path / "tree")
    check_copies(tree)


def test_uninstall_leaves_files_that_git_can_take_in(copies: GitRepo) -> None:
    plain = {path: copies.read(path) for path in (A, B, SOUND)}
    copies.tool("uninstall")
    assert {path: copies.read(path) for path in plain} == plain
    assert copies.git("config", "--get", "core.symlinks", check=False).out == ""
    copies.git("add", "-A")
    copies.git("commit", "-qm", "bytes")
    assert copies.git("cat-file", "blob", f"HEAD:{A}").stdout == plain[A]
    assert modes(copies)[A] == "100644"
