"""A full disk: what was being taken in is not, nothing is lost, and it works once there is space."""

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gitrepo import GitRepo
from tests.media import png

SIZE = 24 * 1024 * 1024
BALLAST = "ballast"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitRepo]:
    """An initialised repository on a file system of its own, of 24 MiB."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("only root on Linux can mount")
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting is not permitted here")
    try:
        repo = GitRepo.create(folder / "repo")
        repo.tool("init")
        yield repo
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(repo: GitRepo, *, leave: int) -> None:
    """Takes space away until only `leave` bytes are free."""
    free = os.statvfs(repo.path).f_bavail * os.statvfs(repo.path).f_frsize
    with open(repo.path / ".git" / BALLAST, "wb") as stream:
        stream.write(b"\0" * max(0, free - leave))


def make_room(repo: GitRepo) -> None:
    (repo.path / ".git" / BALLAST).unlink()


def objects(repo: GitRepo) -> list[Path]:
    return [path for path in (repo.path / ".git/comfyvn/objects").glob("*/*") if path.is_file()]


def temporary(repo: GitRepo) -> list[Path]:
    return [*(repo.path / ".git/comfyvn/tmp").iterdir(), *repo.path.glob("assets/**/.comfyvn-tmp-*")]


def noise(size: int) -> bytes:
    return random.Random(5).randbytes(size)


def test_git_add_fails_says_why_loses_nothing_and_works_later(small: GitRepo) -> None:
    data = noise(6 << 20)
    place = small.write("assets/video/intro.bin", data)
    fill(small, leave=2 << 20)
    done = small.git("add", "assets", check=False)
    assert done.code != 0 and "no space left" in done.err.lower() and "Traceback" not in done.err
    assert place.read_bytes() == data and not place.is_symlink()
    assert objects(small) == [] and temporary(small) == []
    assert small.staged("assets/video/intro.bin") is None
    make_room(small)
    small.git("add", "assets")
    small.commit("intro")
    assert small.status() == [] and small.read("assets/video/intro.bin") == data
    assert [path.parent.name + path.name for path in objects(small)] == [hashlib.sha256(data).hexdigest()]


@pytest.mark.parametrize("words", [(), ("--replace",)])
def test_register_fails_with_16_and_works_later(small: GitRepo, tmp_path: Path, words: tuple[str, ...]) -> None:
    data = noise(6 << 20)
    (tmp_path / "intro.bin").write_bytes(data)
    mine = png(512, 512, noise=True) if words else b""
    if mine:
        small.write("assets/video/intro.bin", mine)
    fill(small, leave=2 << 20)
    done = small.tool("register", str(tmp_path / "intro.bin"), "--type", "video", "--json", *words, check=False)
    assert done.code == 16 and "no space left" in done.err
    assert done.json()["error"] == "machine" and done.json()["hint"]
    assert not mine or small.read("assets/video/intro.bin") == mine
    assert temporary(small) == []
    # What would have been replaced was safe before anything else was tried.
    assert [path.read_bytes() for path in objects(small)] == ([mine] if mine else [])
    assert (tmp_path / "intro.bin").read_bytes() == data
    make_room(small)
    small.tool("register", str(tmp_path / "intro.bin"), "--type", "video", *words)
    small.commit("intro")
    assert small.status() == [] and small.read("assets/video/intro.bin") == data


def test_a_file_that_would_be_replaced_stays_if_its_own_bytes_do_not_fit(small: GitRepo, tmp_path: Path) -> None:
    mine, new = noise(6 << 20), png()
    small.write("assets/video/intro.bin", mine)
    (tmp_path / "intro.bin").write_bytes(new)
    fill(small, leave=2 << 20)
    done = small.tool("register", str(tmp_path / "intro.bin"), "--type", "video", "--replace", check=False)
    assert done.code == 16
    assert small.read("assets/video/intro.bin") == mine and not (small.path / "assets/video/intro.bin").is_symlink()


def test_rebuild_fails_with_16_and_keeps_the_index_it_had(small: GitRepo) -> None:
    for number in range(40):
        small.write(f"assets/characters/{number}.png", png(seed=number))
    small.git("add", "assets")
    small.commit("art")
    before = small.tool("list", "--json").json()
    fill(small, leave=0)
    done = small.tool("rebuild", "--json", check=False)
    assert done.code == 16 and "space" in done.err and "Traceback" not in done.err
    assert done.json()["error"] == "machine"
    make_room(small)
    assert small.tool("list", "--json").json() == before
    assert small.tool("rebuild", "--json").json()["previews"] == 40
    assert small.status() == []


def test_reading_works_on_a_full_disk(small: GitRepo) -> None:
    small.write("assets/characters/a.png", png())
    small.git("add", "assets")
    small.commit("art")
    fill(small, leave=0)
    for words in (("list",), ("show", "assets/characters/a.png"), ("provenance",), ("status",), ("db",)):
        done = small.tool(*words, "--json", check=False)
        assert done.code == 0, (words, done.err)


def test_a_commit_on_a_full_disk_leaves_the_file_and_works_later(small: GitRepo) -> None:
    data = png(seed=3)
    small.write("assets/characters/a.png", data)
    small.git("add", "assets")
    fill(small, leave=0)
    done = small.git("commit", "-m", "art", check=False)
    assert done.code != 0 and "Traceback" not in done.err
    assert small.read("assets/characters/a.png").startswith(b"\x89PNG")
    make_room(small)
    (small.path / ".git" / "index.lock").unlink(missing_ok=True)
    small.git("add", "assets")
    small.commit("art")
    assert small.status() == [] and len(objects(small)) == 1


def test_recover_on_a_full_disk_loses_nothing_and_works_later(small: GitRepo, tmp_path: Path) -> None:
    view, data = "assets/video/intro.bin", noise(3 << 20)
    small.write(view, data)
    small.git("add", "assets")
    small.commit("intro")
    (tmp_path / "intro.bin").write_bytes(data)
    place = small.object_path(hashlib.sha256(data).hexdigest())
    place.chmod(0o644)
    edit = data[::-1]
    place.write_bytes(edit)
    for room in (1 << 20, 4 << 20):  # for nothing; for the new version, but not for the old bytes
        (small.path / ".git" / BALLAST).unlink(missing_ok=True)
        copy = small.path / "assets/video/.copy.bin"
        copy.write_bytes(data)
        fill(small, leave=room)
        done = small.tool("recover", view, check=False)
        assert done.code == 16 and "no space left" in done.err, done.err
        assert place.read_bytes() == edit and small.read(view) == edit and temporary(small) == []
    make_room(small)
    assert small.tool("recover", view).code == 0
    assert place.read_bytes() == data and small.read(view) == edit


def test_previews_stop_say_why_blame_no_file_and_work_later(small: GitRepo) -> None:
    small.write("assets/art/a.png", png(64, 64, noise=True))
    small.git("add", "assets")
    small.commit("art")
    small.tool("list")
    fill(small, leave=0)
    done = small.tool("previews", check=False)
    assert done.code == 16 and "no space left" in done.err and "Traceback" not in done.err
    make_room(small)
    assert small.tool("status", "--json").json()["preview_failures"] == [] and temporary(small) == []
    assert small.tool("previews", "--json").json() == {"made": 1, "failed": [], "due": 0, "absent": 0, "running": False}
