"""Git LFS servers for tests: other people's programs, started on a free port and ended by their id."""

import contextlib
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from comfyvn_store.remotes.lfs.remote import GitLfs
from comfyvn_store.vcs.git import Git
from tests.gitrepo import GitRepo, run

# Seconds that a server has to come up.
PATIENCE = 60.0

DULWICH = """\
import sys
from dulwich.lfs_server import run_lfs_server
server, url = run_lfs_server("127.0.0.1", 0, sys.argv[1])
print(url, flush=True)
server.serve_forever()
"""

# Two first uploads at once would both make the folder, of which giftless answers one with 500.
GIFTLESS = """\
import os, sys
os.makedirs(os.path.join(sys.argv[1], "org/repo"))
from waitress.server import create_server
from giftless.app import init_app
keys = {"algorithm": "HS256", "private_key": "for-tests-only-0123456789abcdefgh"}
auth = "giftless.auth.allow_anon:read_write"
if sys.argv[2] == "login":
    auth = {"factory": "giftless.auth.jwt:factory", "options": keys}
app = init_app(additional_config={
    "LEGACY_ENDPOINTS": False,
    "AUTH_PROVIDERS": [auth],
    "PRE_AUTHORIZED_ACTION_PROVIDER": {"options": keys},
    "TRANSFER_ADAPTERS": {"basic": {"options": {"storage_options": {"path": sys.argv[1]}}}},
})
server = create_server(app, host="127.0.0.1", port=0, threads=8)
print(f"http://127.0.0.1:{server.effective_port}/org/repo.git/info/lfs", flush=True)
server.run()
"""

TOKEN = """\
import datetime, jwt
now = datetime.datetime.now(datetime.timezone.utc)
claims = {"sub": "artist", "iat": now, "exp": now + datetime.timedelta(hours=1), "scopes": "obj:org/repo/*"}
print(jwt.encode(claims, "for-tests-only-0123456789abcdefgh", algorithm="HS256"))
"""


class Server(NamedTuple):
    """A running server: its endpoint, and where it keeps its objects."""

    url: str
    folder: Path


def python_of(name: str) -> str:
    """Gives the Python that has a server's program; the test is skipped where there is none."""
    place = Path(sys.prefix, "servers", name, "bin", "python")
    if not place.exists():
        pytest.skip(f"{name} is not installed (make .venv/.servers)")
    return str(place)


@contextlib.contextmanager
def running(name: str, script: str, folder: Path, *arguments: str) -> Iterator[Server]:
    """Runs a server while the `with` lasts."""
    folder.mkdir(parents=True)
    log = folder.with_suffix(".log")
    with log.open("wb") as said:
        process = subprocess.Popen(
            [python_of(name), "-c", script, str(folder), *arguments],
            stdout=subprocess.PIPE,
            stderr=said,
            stdin=subprocess.DEVNULL,
        )
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
            url = process.stdout.readline().decode().strip() if ready else ""
            assert url, f"{name} did not start: {log.read_text()}"
            yield Server(url, folder)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def token() -> str:
    """Gives a password that giftless with `login` takes."""
    done = subprocess.run([python_of("giftless"), "-c", TOKEN], capture_output=True, check=True)
    return done.stdout.decode().strip()


def repository(tmp_path: Path, url: str, name: str = "work") -> GitRepo:
    """A clone whose git remote is a bare repository on the disk and whose Git LFS server is elsewhere."""
    bare = tmp_path / "server.git"
    if not bare.exists():
        run(["git", "init", "--quiet", "--bare", str(bare)], cwd=tmp_path)
    repo = GitRepo.create(tmp_path / name)
    repo.git("remote", "add", "origin", str(bare))
    repo.git("config", "lfs.url", url)
    return repo


def remote_of(repo: GitRepo, rest: str = "") -> GitLfs:
    return GitLfs("art", rest, Git(str(repo.path)), "sha1")


class Helper:
    """A credential helper that is a shell script; notes what git asked of it and what it was told."""

    def __init__(self, repo: GitRepo, folder: Path, user: str, password: str) -> None:
        self.place = folder / "helper.log"
        self.place.write_text("")
        script = folder / "helper.sh"
        script.write_text(
            f"#!/bin/sh\necho \"[$1]\" >>'{self.place}'\ncat >>'{self.place}'\n"
            f"test $1 = get && printf 'username=%s\\npassword=%s\\n' '{user}' '{password}'\nexit 0\n"
        )
        script.chmod(0o755)
        repo.git("config", "credential.helper", str(script))

    def verbs(self) -> list[str]:
        return [line.strip("[]") for line in self.place.read_text().splitlines() if line.startswith("[")]


def files_with(secret: str, *folders: Path) -> list[Path]:
    """Gives the files below the folders that hold a secret."""
    places = [place for folder in folders for place in folder.rglob("*") if place.is_file()]
    return [place for place in places if secret.encode() in place.read_bytes()]
