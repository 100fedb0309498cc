"""The whole way on a real disk without symlinks, hard links and permissions: exFAT, mounted from a file."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gitrepo import GitRepo
from tests.media import comfy_png, wav
from tests.oracle import check_index, digest
from tests.templates import shared
from tests.test_copies import SOUND, A, B, check_copies, digest_at, fill

TOOLS = ("mkfs.exfat", "mount.exfat-fuse", "losetup", "umount")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and {', '.join(missing or TOOLS)} to mount an exFAT disk")
    image, place = tmp_path / "image", tmp_path / "disk"
    with open(image, "wb") as stream:
        stream.truncate(64 << 20)
    place.mkdir()
    subprocess.run(["mkfs.exfat", str(image)], check=True, capture_output=True)
    loop = subprocess.run(["losetup", "-f", "--show", str(image)], capture_output=True, text=True)
    if loop.returncode != 0:
        pytest.skip(f"no loop device: {loop.stderr.strip()}")
    device = loop.stdout.strip()
    try:
        if subprocess.run(["mount.exfat-fuse", device, str(place)], capture_output=True).returncode != 0:
            pytest.skip("cannot mount exFAT here")
        try:
            yield place
        finally:
            subprocess.run(["umount", str(place)], check=True)
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


def test_everything_works_there(disk: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    colleague = shared(tmp_path_factory, fill)
    colleague.tool("clone", str(colleague.path), str(disk / "game"))
    repo = GitRepo(disk / "game")
    assert (repo.status(), (repo.path / ".comfyvn").exists()) == ([], False)
    shutil.copytree(colleague.path / ".git/comfyvn/objects", repo.path / ".git/comfyvn/objects", dirs_exist_ok=True)
    repo.tool("list")
    check_copies(repo)
    # Disks without exact times: what is new shows by its size.
    repo.write(A, comfy_png(3, width=40))
    repo.write("assets/new/c.png", comfy_png(4))
    repo.git("add", "assets")
    repo.commit("there", "-m", "two lines")
    check_copies(repo)
    (tmp_path / "x.wav").write_bytes(wav())
    repo.tool("register", str(tmp_path / "x.wav"), "--type", "sounds", "--tag", "t")
    repo.write("assets/sounds/y.wav", wav(seconds=2))
    repo.tool("register", str(repo.path / "assets/sounds/y.wav"), "--type", "sounds", "--no-copy")
    repo.commit("registered")
    repo.git("switch", "-q", "-c", "side", "HEAD~2")
    assert digest(repo.read(A)) == digest_at(repo, "HEAD", A)
    repo.tool("annotate", B, "--tag", "late")
    repo.commit("tag")
    repo.git("merge", "-q", "--no-edit", "main")
    check_copies(repo)
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.tool("status")
    check_copies(repo)
    status = repo.tool("status", "--json").json()
    assert (status["damaged"], status["edited"], status["missing"]) == ([], [], [])
    assert repo.tool("rebuild", "--verify").code == 0
    check_index(repo, tmp_path)
    # Only where links can be made the mode can be left.
    repo.git("config", "comfyvn.views", "link")
    repo.tool("init")
    check_copies(repo)
    repo.tool("export", str(disk / "build"))
    assert digest((disk / "build" / SOUND).read_bytes()) == digest_at(repo, "HEAD", SOUND)
    repo.tool("uninstall")
    assert digest(repo.read(A)) == digest_at(repo, "HEAD", A)
