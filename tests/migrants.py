"""Repositories whose art another program keeps: the real git-lfs, git-annex and dvc, and what must hold of a migration."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.gitrepo import GitRepo, run
from tests.oracle import check_all, digest, linked_hash

DVC = Path(sys.prefix, "servers", "dvc", "bin", "dvc")

needs_lfs = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")
needs_annex = pytest.mark.skipif(shutil.which("git-annex") is None, reason="git-annex is not installed")
needs_dvc = pytest.mark.skipif(not DVC.exists(), reason="dvc is not installed (make .venv/.servers)")


def lfs_repository(path: Path, *patterns: str) -> GitRepo:
    repo = GitRepo.create(path)
    repo.git("lfs", "install", "--local")
    repo.git("lfs", "track", *(patterns or ("*.png", "*.wav")))
    repo.git("add", ".gitattributes")
    repo.commit("track")
    return repo


def write_pointers(repo: GitRepo, art: Mapping[str, bytes]) -> None:
    """Commits art as a clone with Git LFS has it whose objects were fetched and not checked out."""
    for path, data in art.items():
        repo.write(path, f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest(data)}\nsize {len(data)}\n")
        place = lfs_object(repo, data)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    suffixes = sorted({os.path.splitext(path)[1] for path in art})
    repo.write(".gitattributes", "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in suffixes))
    repo.git("add", "-A")
    repo.commit("art")


def annex_repository(path: Path) -> GitRepo:
    repo = GitRepo.create(path)
    repo.git("annex", "init", "test")
    return repo


def dvc_repository(path: Path) -> GitRepo:
    repo = GitRepo.create(path)
    dvc(repo, "init", "--quiet")
    repo.commit("dvc")
    return repo


def dvc(repo: GitRepo, *words: str) -> None:
    quiet = {"DVC_NO_ANALYTICS": "1", "CI": "1"}
    run([str(DVC), *words], cwd=repo.path, env=quiet)


def init(repo: GitRepo) -> None:
    """Sets the repository up and commits what that staged."""
    repo.tool("init")
    repo.commit("init")


def space(repo: GitRepo) -> int:
    """Bytes on the disk, each inode once."""
    done = subprocess.run(["du", "-s", "--block-size=1", str(repo.path)], capture_output=True, check=True)
    return int(done.stdout.split()[0])


def lfs_object(repo: GitRepo, data: bytes) -> Path:
    oid = digest(data)
    return repo.path / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid


def lfs_text(data: bytes) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest(data)}\nsize {len(data)}\n".encode()


def annex_text(data: bytes) -> bytes:
    return f"/annex/objects/SHA256E-s{len(data)}--{digest(data)}.png\n".encode()


def put_lfs_object(repo: GitRepo, data: bytes) -> None:
    """Lets Git LFS have the bytes of a pointer."""
    oid = digest(data)
    place = repo.path / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid
    place.parent.mkdir(parents=True)
    place.write_bytes(data)


def commit_raw(repo: GitRepo, path: str, data: bytes) -> None:
    """Commits a file as it is, as it came to be before comfyvn-store; the file in the work tree has the same text."""
    repo.write(path, data)
    oid = repo.git("hash-object", "-w", "--no-filters", path).out
    repo.git("update-index", "--add", "--cacheinfo", f"100644,{oid},{path}")
    repo.git("commit", "--quiet", "--no-verify", "-m", path)


def inode(path: Path) -> int:
    return path.stat().st_ino


def check_migrated(repo: GitRepo, expected: Mapping[str, bytes], scratch: Path) -> None:
    """Each path is a committed view of exactly these bytes, and everything else holds that must."""
    for path, data in expected.items():
        assert linked_hash(repo.link(path)) == digest(data), path
        assert repo.read(path) == data, path
        assert repo.object_path(digest(data)).stat().st_mode & 0o222 == 0, path
        assert repo.sidecar(path)["hash"] == digest(data)
    check_all(repo)
    verified = repo.tool("rebuild", "--verify", "--no-previews", "--db-path", str(scratch / "x.db"), check=False)
    assert "damaged" not in verified.out, verified.out


def ids(repo: GitRepo) -> dict[str, str]:
    """The newest map of old to new ids."""
    maps = sorted((repo.path / ".git/comfyvn/migrations").glob("*.map"), key=lambda path: path.stat().st_mtime_ns)
    pairs = [line.split(" ") for line in maps[-1].read_text().splitlines()]
    assert all(re.fullmatch("[0-9a-f]{40,64}", each) for pair in pairs for each in pair)
    return {pair[0]: pair[1] for pair in pairs}


def exported(repo: GitRepo, revision: str, folder: Path) -> dict[str, bytes]:
    """The files of a revision as a game gets them."""
    repo.tool("export", str(folder), "--rev", revision)
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def trees(repo: GitRepo, *revisions: str) -> list[str]:
    return [repo.git("rev-parse", f"{revision}^{{tree}}").out for revision in revisions]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
