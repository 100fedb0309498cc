"""`uninstall` gives ordinary files and the previous hooks back; the store stays, and `init` brings everything again."""

import errno
import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from comfyvn_store.ops import uninstall
from comfyvn_store.ops.session import open_session
from comfyvn_store.ops.shims import HOOKS
from tests import media
from tests.gitrepo import GitRepo

ALICE, CLUB, SONG = "assets/characters/alice.png", "assets/bg/club.png", "assets/music/song.wav"
HOOK = "#!/bin/sh\nexit 0\n"


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(repo: GitRepo) -> GitRepo:
    """A repository with hooks and attributes of its own, set up, with three assets in two commits."""
    hooks = repo.path / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name, mode in (("pre-commit", 0o750), ("post-merge", 0o644), ("commit-msg", 0o755)):
        (hooks / name).write_text(HOOK)
        (hooks / name).chmod(mode)
    repo.write("assets/.gitattributes", "*.txt -filter")
    repo.tool("init")
    for path, data in ((ALICE, media.comfy_png()), (CLUB, media.png(seed=2)), (SONG, media.wav())):
        repo.write(path, data)
    repo.write("assets/readme.txt", b"left to git\n")
    repo.git("add", "-A")
    repo.commit("art")
    repo.write(CLUB, media.png(seed=3))
    repo.git("add", "-A")
    repo.commit("a better club")
    return repo


def seen(repo: GitRepo) -> dict[str, bytes]:
    return {path: repo.read(path) for path in (ALICE, CLUB, SONG)}


def test_views_become_ordinary_files_with_the_stored_bytes(art: GitRepo) -> None:
    before = seen(art)
    done = art.tool("uninstall")
    assert "3 views are ordinary files again" in done.out
    assert seen(art) == before
    for path in before:
        place = art.path / path
        assert not place.is_symlink() and place.stat().st_mode & 0o777 == 0o644 and place.stat().st_nlink == 1
    assert art.read("assets/readme.txt") == b"left to git\n"
    (art.path / ALICE).write_bytes(b"an edit does not reach the store")
    assert hashlib.sha256(before[ALICE]).hexdigest() in {
        hashlib.sha256(path.read_bytes()).hexdigest() for path in (art.path / ".git/comfyvn/objects").glob("*/*")
    }


def test_hooks_config_attributes_excludes_and_link_are_gone(art: GitRepo) -> None:
    art.tool("uninstall")
    hooks = {path.name: path for path in (art.path / ".git/hooks").iterdir()}
    assert {name: (path.read_text(), path.stat().st_mode & 0o777) for name, path in hooks.items()} == {
        "pre-commit": (HOOK, 0o750),
        "post-merge": (HOOK, 0o644),
        "commit-msg": (HOOK, 0o755),
    }
    assert "comfyvn" not in (art.path / ".git/config").read_text()
    assert art.read("assets/.gitattributes") == b"*.txt -filter"
    assert "comfyvn" not in (art.path / ".git/info/exclude").read_text()
    assert not (art.path / ".comfyvn").is_symlink()
    assert not (art.path / "assets/_meta").exists()
    assert not list((art.path / ".git/comfyvn").glob("index.db*"))


def test_what_init_alone_made_is_gone(store_repo: GitRepo) -> None:
    store_repo.tool("uninstall")
    assert not (store_repo.path / "assets/.gitattributes").exists()
    assert not any((store_repo.path / ".git/hooks" / name).exists() for name in HOOKS)
    assert store_repo.git("config", "--local", "--get-regexp", "comfyvn", check=False).out == ""


def test_sidecars_are_as_git_has_them(art: GitRepo) -> None:
    assert art.sidecar(ALICE)["provenance"]["commit"]
    art.tool("uninstall")
    for path in (ALICE, CLUB, SONG):
        assert art.read(f"{path}.asset.json") == art.blob(f"HEAD:{path}.asset.json")
        assert "commit" not in art.sidecar(path)["provenance"]


def test_the_store_is_kept_and_its_place_said(art: GitRepo) -> None:
    objects = sorted((art.path / ".git/comfyvn/objects").glob("*/*"))
    done = art.tool("uninstall")
    assert len(objects) == 4
    assert sorted((art.path / ".git/comfyvn/objects").glob("*/*")) == objects
    assert f"{art.path}/.git/comfyvn" in done.out


def test_files_that_are_being_edited_stay(art: GitRepo) -> None:
    art.write(ALICE, b"not saved to git yet")
    edited = json.dumps({**art.sidecar(CLUB), "tags": ["mine"]})
    (art.path / f"{CLUB}.asset.json").write_text(edited)
    art.write("assets/new/untracked.png", b"new")
    art.tool("uninstall")
    assert art.read(ALICE) == b"not saved to git yet"
    assert art.read(f"{CLUB}.asset.json").decode() == edited
    assert art.read("assets/new/untracked.png") == b"new"
    assert not (art.path / CLUB).is_symlink()


def test_views_without_their_object_stay_links(art: GitRepo) -> None:
    text = art.link(SONG)
    (art.path / SONG).resolve().unlink()
    done = art.tool("uninstall", check=False)
    assert done.code == 12
    assert f"'{SONG}'" in done.err and "hint: " in done.err
    assert "2 views are ordinary files again" in done.out
    assert art.link(SONG) == text and (art.path / ".comfyvn").is_symlink()
    assert not (art.path / ALICE).is_symlink()
    assert art.git("status", "--porcelain", "--", ".comfyvn").out == ""
    assert "comfyvn" not in (art.path / ".git/config").read_text()


def test_the_hint_for_missing_objects_works(art: GitRepo, tmp_path: Path) -> None:
    place = (art.path / SONG).resolve()
    place.rename(tmp_path / "object")
    art.tool("uninstall", check=False)
    (tmp_path / "object").rename(place)
    art.tool("init")
    art.tool("uninstall")
    assert art.read(SONG) == media.marked(media.wav()) and not (art.path / SONG).is_symlink()


def test_a_second_uninstall_finds_nothing_to_do(art: GitRepo) -> None:
    art.tool("uninstall")
    done = art.tool("uninstall", check=False)
    assert done.code == 10
    assert "hint: run `comfyvn-store init`" in done.err


def test_init_again_restores_everything(art: GitRepo) -> None:
    before, sidecar = seen(art), art.read(f"{ALICE}.asset.json")
    hooks = {path.name: path.read_bytes() for path in (art.path / ".git/hooks").iterdir()}
    art.tool("uninstall")
    art.tool("init")
    art.git("checkout", "--", "assets")
    assert art.status() == []
    assert seen(art) == before and art.link(ALICE).startswith("../../.comfyvn/objects/")
    assert art.read(f"{ALICE}.asset.json") == sidecar
    assert art.read("assets/.gitattributes") == art.blob("HEAD:assets/.gitattributes")
    assert {path.name: path.read_bytes() for path in (art.path / ".git/hooks").iterdir()} == hooks


def test_init_again_and_add_is_clean_too(art: GitRepo) -> None:
    before = art.head()
    art.tool("uninstall")
    art.tool("init")
    art.git("add", "-A")
    assert [line for line in art.status() if not line.startswith("T")] == []
    art.commit("nothing new", "--allow-empty")
    assert art.git("diff", "--name-only", before, "HEAD").out == ""
    assert art.status() == []
    assert (art.path / ALICE).is_symlink()


def test_git_takes_the_files_over(art: GitRepo) -> None:
    before = seen(art)
    (art.path / "cache/thumbs").mkdir(parents=True)
    for name in (f"{'a' * 64}.webp", f"{'b' * 64}.waveform.json"):
        (art.path / "cache/thumbs" / name).write_bytes(b"derived")
    art.tool("uninstall")
    art.git("add", "-A")
    art.commit("files again")
    assert art.status() == []
    for path, data in before.items():
        assert art.blob(f"HEAD:{path}") == data
    tracked = art.git("ls-tree", "-r", "--name-only", "HEAD").out.splitlines()
    assert [path for path in tracked if "comfyvn" in path or path.startswith(("cache", "assets/_meta"))] == []
    art.git("switch", "-q", "--detach", "HEAD^")
    art.git("switch", "-q", "main")
    assert seen(art) == before


def test_previews_stay_where_others_use_them(art: GitRepo, tmp_path: Path) -> None:
    kept = [tmp_path / "previews" / f"{'a' * 64}.webp", art.path / "cache/thumbs/notes.txt"]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    art.tool("uninstall", env={"COMFYVN_THUMBS_ROOT": str(tmp_path / "previews")})
    assert all(path.exists() for path in kept)


def test_in_the_folder_that_core_hooks_path_names(repo: GitRepo, tmp_path: Path) -> None:
    folder = tmp_path / "hooks"
    folder.mkdir()
    os.symlink("elsewhere.sh", folder / "pre-commit")
    repo.git("config", "core.hooksPath", str(folder))
    repo.tool("init")
    repo.tool("uninstall")
    assert [path.name for path in folder.iterdir()] == ["pre-commit"]
    assert os.readlink(folder / "pre-commit") == "elsewhere.sh"
    assert repo.git("config", "core.hooksPath").out == str(folder)


def test_without_init_it_says_so(repo: GitRepo) -> None:
    done = repo.tool("uninstall", check=False)
    assert (done.code, done.out) == (10, "")


def test_what_a_killed_process_left_beside_views_is_cleared_away_and_no_byte_of_it_lost(art: GitRepo) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = [art.path / f"assets/bg/.comfyvn-tmp-{ended.pid}-{name}" for name in ("copy", "edit", "link")]
    left[0].write_bytes(art.read(CLUB))
    left[1].write_bytes(b"painted when the process ended")
    left[2].symlink_to("nowhere")
    working = art.path / f"assets/bg/.comfyvn-tmp-{os.getpid()}-new"
    working.write_bytes(b"of a process that runs")
    art.tool("uninstall")
    assert [place for place in left if os.path.lexists(place)] == [] and working.exists()
    aside = list((art.path / ".git/comfyvn/bad").iterdir())
    assert [place.read_bytes() for place in aside] == [b"painted when the process ended"]


def test_what_a_failing_disk_left_of_its_own_is_cleared_away(art: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    real, failed = os.unlink, []

    def unlink(path: str, **more: Any) -> None:
        if os.path.basename(path).startswith(".comfyvn-tmp-") and "/assets/bg/" in path and not failed:
            failed.append(path)
            raise OSError(errno.EIO, "the disk failed", path)
        real(path, **more)

    monkeypatch.setattr(os, "unlink", unlink)
    with open_session(str(art.path)) as session:
        uninstall.uninstall(session)
    assert failed and not os.path.lexists(failed[0])


def test_no_sidecar_is_staged_with_its_commit_where_the_filter_was_taken_out_already(art: GitRepo) -> None:
    """As an `uninstall` leaves it that is killed after it gave the sidecars back."""
    before = art.git("ls-files", "--stage").out
    for path in (ALICE, CLUB, SONG):
        art.write(f"{path}.asset.json", art.blob(f":{path}.asset.json"))
    art.git("config", "--remove-section", "filter.comfyvn-sidecar")
    art.tool("list")
    assert art.git("ls-files", "--stage").out == before
    art.tool("uninstall")
    assert art.git("ls-files", "--stage").out == before
