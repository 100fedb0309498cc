"""The ways back from `migrate`, before it is committed: `undo` and `git reset --hard`."""

import os
from pathlib import Path

import pytest

from tests import media
from tests.gitrepo import GitRepo
from tests.migrants import commit_raw, init, lfs_text, put_lfs_object
from tests.oracle import digest

ONE, TWO, TEXT = "assets/bg/one.png", "assets/bg/two.png", "assets/bg/three.wav"


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art() -> dict[str, bytes]:
    return {ONE: media.png(seed=1), TWO: media.png(seed=2), TEXT: media.wav()}


@pytest.fixture
def lfs(repo: GitRepo, art: dict[str, bytes]) -> GitRepo:
    """Files of Git LFS as it checks them out, one without its bytes, and its line of attributes at the top."""
    repo.write(".gitattributes", "*.png filter=lfs diff=lfs merge=lfs -text\n*.txt text\n")
    repo.git("add", ".gitattributes")
    repo.tool("init")
    repo.commit("set up")
    for path, data in art.items():
        commit_raw(repo, path, lfs_text(data))
        if path != TWO:
            put_lfs_object(repo, data)
            repo.write(path, data)
    repo.git("add", "assets")
    assert repo.status() == []
    return repo


def files_of(repo: GitRepo) -> dict[str, bytes | str]:
    """What lies in the work tree; links by their text."""
    found: dict[str, bytes | str] = {}
    for path in sorted(repo.path.rglob("*")):
        name = str(path.relative_to(repo.path))
        if not name.startswith((".git/", ".comfyvn", "assets/_meta")) and not path.is_dir():
            found[name] = os.readlink(path) if path.is_symlink() else path.read_bytes()
    return found


def test_undo_gives_the_files_and_gits_index_back(lfs: GitRepo, art: dict[str, bytes]) -> None:
    before, index = files_of(lfs), lfs.git("ls-files", "--stage").out
    assert lfs.tool("migrate", "lfs", check=False).code == 1  # the bytes of one are not here
    assert lfs.git("ls-files", "--stage").out != index
    [entry] = [each for each in lfs.tool("log", "--operations", "--json").json() if each["verb"] == "migrate"]
    assert entry["summary"] == "migrate lfs: 3 files"
    assert not lfs.object_path(digest(lfs_text(art[TWO]))).exists()  # git has the pointer's text; it is no object
    lfs.tool("undo")
    assert files_of(lfs) == before
    assert lfs.git("ls-files", "--stage").out == index
    assert lfs.status() == []
    lfs.tool("migrate", "lfs", check=False)
    lfs.commit("art")
    assert lfs.read(ONE) == art[ONE] and lfs.status() == []


def test_git_reset_gives_the_bytes_back(lfs: GitRepo, art: dict[str, bytes]) -> None:
    before, index = files_of(lfs), lfs.git("ls-files", "--stage").out
    lfs.tool("migrate", "lfs", check=False)
    lfs.git("reset", "-q", "--hard")
    assert files_of(lfs) == before
    assert lfs.git("ls-files", "--stage").out == index
    assert lfs.status() == []
    for path in art:
        os.utime(lfs.path / path, ns=(1, 1_000_000_007))
    assert lfs.status() == []


def test_undo_of_raw_art(repo: GitRepo, art: dict[str, bytes]) -> None:
    for path, data in art.items():
        repo.write(path, data)
    repo.git("add", "assets")
    repo.commit("raw")
    init(repo)
    index = repo.git("ls-files", "--stage").out
    repo.tool("migrate", "raw")
    repo.tool("undo")
    assert {path: repo.read(path) for path in art} == art
    assert not any((repo.path / path).is_symlink() for path in art)
    assert repo.git("ls-files", "--stage").out == index
    assert repo.status() == []
    assert os.access(repo.path / ONE, os.W_OK)


def test_undo_of_dvcs(store_repo: GitRepo) -> None:
    import hashlib

    data = media.png(seed=3)
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    place = store_repo.path / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    text = f"outs:\n- md5: {md5}\n  size: {len(data)}\n  hash: md5\n  path: one.png\n"
    store_repo.write(".dvc/.gitignore", "/cache\n")
    store_repo.write(ONE, data)
    store_repo.write(ONE + ".dvc", text)
    store_repo.write("assets/bg/.gitignore", "/one.png\n*.kra\n")
    store_repo.git("add", "-A")
    store_repo.commit("dvc")
    assert store_repo.blob(f"HEAD:{ONE}.dvc") == text.encode()
    os.utime(store_repo.path / f"{ONE}.dvc", ns=(1, 1_000_000_007))  # git reads it again and finds what it has
    store_repo.git("add", "-A")
    before, index = files_of(store_repo), store_repo.git("ls-files", "--stage").out
    store_repo.tool("migrate", "dvc")
    assert store_repo.read("assets/bg/.gitignore") == b"*.kra\n" and (store_repo.path / ONE).is_symlink()
    store_repo.tool("undo")
    assert files_of(store_repo) == before
    assert store_repo.git("ls-files", "--stage").out == index
    assert store_repo.status() == []


def test_an_edit_after_it_is_not_undone(lfs: GitRepo) -> None:
    lfs.tool("migrate", "lfs", check=False)
    lfs.write(ONE, media.png(seed=9))
    before, index = files_of(lfs), lfs.git("ls-files", "--stage").out
    done = lfs.tool("undo", check=False)
    assert done.code == 20 and ONE in done.err
    assert files_of(lfs) == before and lfs.git("ls-files", "--stage").out == index


def test_an_edit_before_it_is_kept_by_both(lfs: GitRepo, art: dict[str, bytes]) -> None:
    edit = media.png(seed=9)
    lfs.write(ONE, edit)
    lfs.tool("migrate", "lfs", check=False)
    assert lfs.read(ONE) == edit
    lfs.tool("undo")
    assert lfs.read(ONE) == edit and lfs.blob(f":{ONE}") == lfs_text(art[ONE])


# -- art that git holds, read again ------------------------------------------------------------------------------------


def test_raw_art_with_other_times_is_not_stored_twice(repo: GitRepo, art: dict[str, bytes], tmp_path: Path) -> None:
    for path, data in art.items():
        repo.write(path, data)
    repo.git("add", "assets")
    repo.commit("raw")
    for path in art:  # as `cp -r` leaves them
        os.utime(repo.path / path, ns=(1, 1_000_000_007))
    init(repo)
    assert repo.status() == []
    repo.tool("migrate", "raw")
    repo.commit("art")
    objects = [path for path in (repo.path / ".git/comfyvn/objects").rglob("*") if path.is_file()]
    assert sorted(path.parent.name + path.name for path in objects) == sorted(map(digest, art.values()))
