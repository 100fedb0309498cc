"""`edit` on file systems that share blocks: a writable copy costs no space, and is a copy all the same."""

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gitrepo import GitRepo


@pytest.fixture(params=["btrfs", "xfs"])
def sharing_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A mounted file system that can share blocks between files."""
    make = shutil.which(f"mkfs.{request.param}")
    if os.geteuid() != 0 or make is None:
        pytest.skip(f"needs root and mkfs.{request.param}")
    image, folder = tmp_path / "disk", tmp_path / "mounted"
    folder.mkdir()
    with open(image, "wb") as stream:
        stream.truncate(320 << 20)
    if subprocess.run([make, "-q", str(image)], capture_output=True).returncode:
        pytest.skip(f"mkfs.{request.param} does not work here")
    if subprocess.run(["mount", "-o", "loop", str(image), str(folder)], capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def shared_bytes(place: Path) -> int:
    """How many bytes of a file share their blocks with another (FS_IOC_FIEMAP, FIEMAP_EXTENT_SHARED)."""
    with open(place, "rb") as stream:
        request = bytearray(struct.pack("=QQIIII", 0, 1 << 62, 1, 0, 64, 0) + bytes(56 * 64))
        fcntl.ioctl(stream, 0xC020660B, request)
    extents = [
        struct.unpack_from("=QQQQQI", request, 32 + 56 * n) for n in range(struct.unpack_from("=I", request, 20)[0])
    ]
    return sum(each[2] for each in extents if each[5] & 0x2000)


def test_edit_shares_the_blocks_of_the_object(sharing_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    repo = GitRepo.create(sharing_disk / "repo")
    repo.tool("init")
    data = os.urandom(4 << 20)
    repo.write("assets/video/intro.bin", data)
    repo.git("add", "assets")
    repo.commit("intro")
    place = (repo.path / "assets/video/intro.bin").resolve()
    assert shared_bytes(place) == 0
    repo.tool("edit", "assets/video/intro.bin")
    assert shared_bytes(repo.path / "assets/video/intro.bin") == shared_bytes(place) == len(data)
    with open(repo.path / "assets/video/intro.bin", "r+b") as stream:
        stream.write(b"painted")
    assert place.read_bytes() == data and repo.read("assets/video/intro.bin") == b"painted" + data[7:]
