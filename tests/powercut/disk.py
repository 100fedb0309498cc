"""A disk in a file, and copies of it as a power cut would leave it.

The file system lies on a loop device, and that on a file of an XFS that shares blocks. What the file system has not handed to
its disk is in no copy, and one `FICLONE` of the file is one moment: nothing that came later is in it. Mounting a copy
replays its journal, as a machine does that starts again.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

MAKERS = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q"), "btrfs": ("mkfs.btrfs", "-q")}
_SIZES = {"ext4": 160, "xfs": 320, "btrfs": 160}


class Disk:
    """One file system on a disk of its own, mounted at `place`."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.place = folder / "disk"
        self._outer = folder / "outer"
        self._image = self._outer / "image"
        self.kind = kind

    def copy(self) -> Path:
        """What the disk holds at this moment."""
        target = self._outer / f"copy-{os.urandom(4).hex()}"
        _run("cp", "--reflink=always", str(self._image), str(target))
        return target

    @contextlib.contextmanager
    def after(self, copy: Path) -> Iterator[None]:
        """The machine started again with a copy: it is mounted in the place of the disk."""
        _run("umount", str(self.place))
        options = "loop,nouuid" if self.kind == "xfs" else "loop"
        try:
            _run("mount", "-t", self.kind, "-o", options, str(copy), str(self.place))
            try:
                yield
            finally:
                _run("umount", str(self.place))
        finally:
            copy.unlink()
            self._mount()

    def _mount(self) -> None:
        _run("mount", "-t", self.kind, "-o", "loop", str(self._image), str(self.place))


@contextlib.contextmanager
def made(folder: Path, kind: str) -> Iterator[Disk]:
    """Makes a disk, and takes it away at the end; skips the test where that cannot be done."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    for program in ("mkfs.xfs", MAKERS[kind][0], "losetup"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"{program} is not here")
    disk = Disk(folder, kind)
    outer = folder / "outer.img"
    disk.place.mkdir()
    disk._outer.mkdir()
    with contextlib.ExitStack() as stack:
        try:
            _sized(outer, 1500)
            _run("mkfs.xfs", "-q", "-m", "reflink=1", str(outer))
            _run("mount", "-o", "loop", str(outer), str(disk._outer))
            stack.callback(_run, "umount", "--lazy", str(disk._outer))
            _sized(disk._image, _SIZES[kind])
            _run(*MAKERS[kind], str(disk._image))
            disk._mount()
            stack.callback(_run, "umount", "--lazy", str(disk.place))
        except subprocess.CalledProcessError as error:
            pytest.skip(f"a file system in a file cannot be mounted here: {error.stderr.strip()}")
        yield disk


def _sized(path: Path, mib: int) -> None:
    with open(path, "wb") as stream:
        stream.truncate(mib << 20)


def _run(*words: str) -> None:
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
