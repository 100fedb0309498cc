"""Times push and pull through a folder, object storage and a Git LFS server on loopback: `make transfers`.

The same objects each time, the ways in turn, after one round that does not count; beside them `cp` with a sync, and git-lfs
against the same server. Prints medians as a Markdown table. No test depends on a time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.benchmarks.desk import Desk
from tests.benchmarks.measuring import Starter
from tests.remotes.bucket_servers import Moto

TOP = Path(__file__).resolve().parents[2]
SERVE = "from tests.servers.lfs import LfsServer; s = LfsServer(); print(s.url, flush=True); s.serve_forever()"


class Place(Desk):
    """A desk at which repositories of noise are made."""

    def __init__(self, folder: Path, starter: Starter) -> None:
        super().__init__(folder, starter, {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"})

    def timed(self, *words: str, cwd: Path) -> float:
        """Gives the seconds that a program takes."""
        return self.run(*words, cwd=cwd).seconds

    def repository(self, name: str, count: int, size: int) -> Path:
        """Makes a repository with so many objects of noise."""
        path = self.folder / name
        self.run("git", "init", "-q", "-b", "main", str(path))
        (path / "assets").mkdir()
        for number in range(count):
            with open(path / "assets" / f"{number:06}.bin", "wb") as stream:
                for at in range(0, size, 1 << 24):
                    stream.write(os.urandom(min(1 << 24, size - at)))
        return path


def ours(desk: Place, count: int, size: int, url: str, name: str) -> tuple[float, float]:
    """Push, and pull into a clone that has nothing."""
    path = desk.repository(name, count, size)
    desk.run("comfyvn-store", "init", cwd=path)
    desk.run("git", "add", "-A", cwd=path)
    desk.run("git", "commit", "-qm", "art", cwd=path)
    desk.run("comfyvn-store", "remote", "add", "--local", "art", url, cwd=path)
    push = desk.timed("comfyvn-store", "push", "--remote", "art", cwd=path)
    other = desk.folder / f"{name}-other"
    desk.run("git", "clone", "-q", str(path), str(other))
    desk.run("comfyvn-store", "init", cwd=other)
    desk.run("comfyvn-store", "remote", "add", "--local", "art", url, cwd=other)
    pull = desk.timed("comfyvn-store", "pull", "--remote", "art", cwd=other)
    return push, pull


def copying(desk: Place, count: int, size: int) -> tuple[float, float]:
    """cp to another folder and back, each with a sync."""
    path = desk.repository("plain", count, size)
    command = ["sh", "-c", 'cp -r "$1" "$2" && sync -f "$2"', "sh"]
    there = desk.timed(*command, str(path / "assets"), str(desk.folder / "there"), cwd=path)
    back = desk.timed(*command, str(desk.folder / "there"), str(desk.folder / "back"), cwd=path)
    return there, back


def git_lfs(desk: Place, count: int, size: int, url: str) -> tuple[float, float]:
    """git lfs push and git lfs pull against the same server."""
    path = desk.repository("lfs", count, size)
    hub = desk.folder / "lfs-hub.git"
    desk.run("git", "init", "-q", "--bare", str(hub))
    desk.run("git", "lfs", "install", "--local", cwd=path)
    (path / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    for words in (("add", "-A"), ("commit", "-qm", "art"), ("remote", "add", "origin", str(hub))):
        desk.run("git", *words, cwd=path)
    for key, value in (("lfs.url", url), ("lfs.locksverify", "false")):
        desk.run("git", "config", key, value, cwd=path)
    push = desk.timed("git", "lfs", "push", "origin", "main", cwd=path)
    desk.run("git", "push", "-q", "--no-verify", "origin", "main", cwd=path)
    other = desk.folder / "lfs-other"
    desk.run("git", "clone", "-q", "-b", "main", str(hub), str(other), env={"GIT_LFS_SKIP_SMUDGE": "1"})
    desk.run("git", "lfs", "install", "--local", cwd=other)
    desk.run("git", "config", "lfs.url", url, cwd=other)
    return push, desk.timed("git", "lfs", "pull", cwd=other)


@contextmanager
def lfs_server() -> Iterator[str]:
    """Runs a Git LFS server in a process of its own; gives its endpoint."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE], cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().decode().strip()
    finally:
        process.terminate()
        process.wait()


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    """Runs an S3 server in memory; gives the address of a bucket."""
    folder.mkdir()
    server = Moto(folder)
    server.start()
    try:
        server.make("bench")
        yield f"s3://bench/art?endpoint={server.url}&region=us-east-1"
    finally:
        server.kill()


def ways() -> dict[str, Callable[[Place, int, int], tuple[float, float]]]:
    """Gives what is timed, by name. Servers are started anew each time: they keep what they get."""
    found: dict[str, Callable[[Place, int, int], tuple[float, float]]] = {"cp, sync": copying}

    def folder(desk: Place, count: int, size: int) -> tuple[float, float]:
        return ours(desk, count, size, str(desk.folder / "usb"), "by-folder")

    def bucket(desk: Place, count: int, size: int) -> tuple[float, float]:
        with moto(desk.folder / "moto") as url:
            return ours(desk, count, size, url, "by-bucket")

    def lfs(desk: Place, count: int, size: int) -> tuple[float, float]:
        with lfs_server() as url:
            return ours(desk, count, size, f"lfs:{url}", "by-lfs")

    def their_lfs(desk: Place, count: int, size: int) -> tuple[float, float]:
        with lfs_server() as url:
            return git_lfs(desk, count, size, url)

    found["folder"] = folder
    if (Path(sys.prefix) / "servers/moto/bin/moto_server").exists():
        found["S3 (moto)"] = bucket
    found["Git LFS"] = lfs
    if shutil.which("git-lfs"):
        found["git-lfs itself, same server"] = their_lfs
    return found


def main() -> int:
    """Runs the benchmark and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="small objects")
    parser.add_argument("--size", type=int, default=32 * 1024, help="bytes of a small one")
    parser.add_argument("--large", type=int, default=1 << 30, help="bytes of the one large object")
    parser.add_argument("--runs", type=int, default=3, help="runs that count")
    options = parser.parse_args()
    loads = {f"{options.count} x {options.size // 1024} KiB": (options.count, options.size)}
    loads[f"1 x {options.large // (1 << 20)} MiB"] = (1, options.large)
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="comfyvn-bench-") as folder:
        scratch, starter = Path(folder), Starter()
        for run in range(options.runs + 1):
            for load, (count, size) in loads.items():
                for way, work in ways().items():
                    name = f"{run}-{len(times)}-{load}-{way}".replace(" ", "-").replace(",", "")
                    desk = Place(scratch / name, starter)
                    spent = work(desk, count, size)
                    subprocess.run(["rm", "-rf", str(desk.folder)], check=True)
                    if run:
                        times.setdefault((load, way), []).append(spent)
        starter.close()
    print(f"| medians of {options.runs} | | push | pull |\n|---|---|--:|--:|")
    for (load, way), found in times.items():
        push, pull = (statistics.median(each[side] for each in found) for side in (0, 1))
        print(f"| {load} | {way} | {push:.2f} s | {pull:.2f} s |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
