"""Repositories made to harm whoever clones them (`tests/hostile_clones.py`): everything works or is refused by name, and
nothing outside the clone is read or written."""

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from comfyvn_store.errors import Refused
from comfyvn_store.ops import fsck, init
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.repository import open_repository
from tests import hostile_clones, media
from tests.fsckrepo import snapshot
from tests.gitrepo import GitRepo, Result, run
from tests.hostile_clones import ALICE, CORPUS, Hostile
from tests.templates import shared

# What a command may end with: done, findings, usage, and every error that has a name (`errors.py`). 70 is a bug of ours.
NAMED = {0, 1, 2, 10, 12, 13, 15, 16, 20}
OWN = "assets/own/mine.png"
ROOT = Path(__file__).resolve().parent.parent
_OPENED = re.compile(r"\bopen(?:at|at2)?\(.*?, (?:\{flags=)?(O_[A-Z_|]+).* = \d+<(.*?)>$")
_WRITES = ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND")


class Ground:
    """A clone, the folder beside it that nobody may touch, and everything that was opened meanwhile."""

    def __init__(self, folder: Path, home: Path, upstream: GitRepo) -> None:
        self.folder = folder
        self.home = home
        self.upstream = upstream
        self.outside = folder / "outside"
        self.clone = GitRepo(folder / "clone")
        self.is_watched = shutil.which("strace") is not None
        self._trace = home / "trace"
        (home / "tmp").mkdir()

    def fill_outside(self) -> None:
        for name in ("thumbs", "hooks", "store", "objects", "remote"):
            (self.outside / name).mkdir(parents=True)
        for name in (
            "secret.png",
            "gitconfig",
            "attributes",
            "format",
            "card.asset.json",
            "thumbs/x.webp",
            "alice.png",
        ):
            (self.outside / name).write_bytes(media.png(seed=len(name)))
        (self.outside / "attributes").write_text("* filter=evil\n")
        (self.outside / "gitconfig").write_text("[comfyvn]\n\tassetsRoot = pwned\n")
        (self.outside / "format").write_text("1\n")

    def run(self, *command: str, cwd: str = "clone", limit: int = 300) -> Result:
        """Runs a command, watched by strace where that is here; it must end in time and in a gigabyte of memory."""
        watch = [
            "strace",
            "-f",
            "--seccomp-bpf",
            "-y",
            "-qq",
            "-s",
            "4096",
            "-e",
            "trace=openat,openat2,open,creat",
            "-A",
            "-o",
        ]
        watched = [*watch, str(self._trace), *command] if self.is_watched else command
        env = {"TMPDIR": str(self.home / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
        bounded = ["sh", "-c", 'ulimit -v 1048576; exec "$@"', "sh", "timeout", str(limit), *watched]
        done = run(bounded, cwd=self.folder / cwd, check=False, env=env)
        assert done.code != 124, f"{command} did not end"
        return done

    def tool(self, *words: str) -> Result:
        done = self.run(sys.executable, "-P", "-m", "comfyvn_store", *words)
        assert done.code in NAMED, (words, done.code, done.out, done.err)
        assert "Traceback" not in done.err, (words, done.err)
        assert "\x1b" not in done.out + done.err, words
        return done

    def opened(self) -> tuple[set[str], set[str]]:
        """The real paths of what was opened, and of what was opened for writing."""
        seen, written = set(), set()
        text = self._trace.read_text("utf-8", "replace") if self._trace.exists() else ""
        for line in text.splitlines():
            found = _OPENED.search(line)
            if found:
                seen.add(found[2])
                if any(flag in found[1].split("|") for flag in _WRITES):
                    written.add(found[2].removesuffix(" (deleted)").removesuffix("<char"))
        return seen, written

    def check_opened(self) -> None:
        seen, written = self.opened()
        assert not [path for path in seen if path.startswith(str(self.outside))]
        allowed = (f"{self.clone.path}/", f"{self.home}/", "/dev/", "/proc/", f"{ROOT}/comfyvn_store/")
        assert not [path for path in sorted(written) if path.startswith("/") and not path.startswith(allowed)]


def live_through(ground: Ground) -> bool:
    """Clones, sets up, looks, fetches, rebuilds, checks, repairs, and commits a picture; tells whether that worked."""
    cloned = ground.run("git", "clone", "-q", "--no-hardlinks", str(ground.upstream.path), "clone", cwd=".")
    if not (ground.clone.path / ".git").is_dir():
        assert cloned.code != 0
        return False
    first = ground.tool("init")
    for words in (["list"], ["status"], ["pull"], ["rebuild"], ["fsck"], ["fsck", "--json", "--full"], ["doctor"]):
        ground.tool(*words)
    if first.code:
        return False
    mine = media.comfy_png(77)
    place = ground.clone.path / OWN
    if not any(each.is_symlink() or each.is_file() for each in (place.parent, place.parent.parent)):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(mine)
        added = ground.run("git", "add", OWN)
        committed = ground.run("git", "commit", "-q", "-m", "my own art")
        assert "Traceback" not in added.err + committed.err
        assert mine[:40] == place.read_bytes()[:40]  # as it was, or with its marker
    ground.tool("status", "--json")
    ground.tool("fsck", "--repair", "--json")
    ground.tool("rebuild")
    return True


@pytest.fixture
def ground(tmp_path: Path, hermetic: Path, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    plain = shared(tmp_path_factory, hostile_clones.make_art)
    upstream = GitRepo(tmp_path / "upstream")
    shutil.copytree(plain.path, upstream.path, symlinks=True)
    made = Ground(tmp_path / "people", hermetic, upstream)
    made.folder.mkdir()
    made.fill_outside()
    return made


@pytest.mark.parametrize("hostile", CORPUS, ids=[each.name for each in CORPUS])
def test_nothing_outside_a_hostile_clone_is_touched(ground: Ground, hostile: Hostile) -> None:
    hostile_clones.spoil(ground.upstream, hostile.make(ground.outside))
    before = snapshot(ground.outside)
    upstream = snapshot(ground.upstream.path)
    git_config = None
    live_through(ground)
    assert snapshot(ground.outside) == before
    assert snapshot(ground.upstream.path) == upstream
    assert sorted(os.listdir(ground.folder)) in (["clone", "outside"], ["outside"])
    ground.check_opened()
    assert not list(ground.folder.rglob("pwned*"))
    config = ground.clone.path / ".git/config"
    if config.exists():
        git_config = ground.clone.git("config", "--local", "--list").out
        assert str(ground.outside) not in git_config
    for place in (ground.clone.path / ".git/comfyvn/objects").glob("??/*"):
        assert hashlib.sha256(place.read_bytes()).hexdigest() == place.parent.name + place.name


@pytest.mark.parametrize(
    "name", ["links", "sidecars", "names", "mirror-files", "hooks", "gitlinks", "cache-link", "thumbs-link"]
)
def test_the_good_art_of_a_hostile_clone_works(ground: Ground, name: str) -> None:
    (hostile,) = [each for each in CORPUS if each.name == name]
    hostile_clones.spoil(ground.upstream, hostile.make(ground.outside))
    assert live_through(ground)
    assert ground.clone.read(ALICE) == ground.upstream.read(ALICE)
    assert ground.clone.staged(OWN) is not None
    mode, _ = ground.clone.staged(OWN) or ("", "")
    assert mode == "120000"
    assert ground.clone.sidecar(OWN)["provenance"]["commit"] == ground.clone.head()


def test_a_folder_with_very_many_files_is_lived_through(ground: Ground) -> None:
    hostile_clones.spoil(ground.upstream, hostile_clones.crowd(hostile_clones.CROWD)(ground.outside))
    ground.is_watched = False
    assert live_through(ground)
    assert ground.clone.staged(OWN) is not None
    listed = json.loads(ground.tool("list", "--json").out)
    assert len(listed) == hostile_clones.CROWD + 3
    found = json.loads(ground.tool("fsck", "--json").out)["findings"]
    assert {each["kind"] for each in found} == {"object-missing"}  # the commit brought their sidecars along


def test_more_files_than_are_looked_at_are_refused(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        store_repo.write(f"assets/bg/{number}.png", media.png(seed=number))
    store_repo.git("add", "-A")
    store_repo.commit("three")
    monkeypatch.setattr(staging, "MOST", 5)
    repository = open_repository(str(store_repo.path))
    for asked in (init.init, fsck.fsck):
        with pytest.raises(Refused, match="more than the 5 that comfyvn-store looks at") as caught:
            asked(repository)
        assert "git config comfyvn.mostFiles" in (caught.value.hint or "")
    store_repo.git("config", "comfyvn.mostFiles", "7")
    assert fsck.fsck(repository).findings == []


def test_the_watch_would_see_a_file_that_is_read_or_written_outside(ground: Ground) -> None:
    if not shutil.which("strace"):
        pytest.skip("strace is not here")
    ground.folder.joinpath("clone").mkdir()
    ground.run("cat", "../outside/secret.png")
    with pytest.raises(AssertionError):
        ground.check_opened()
    ground._trace.unlink()
    ground.check_opened()
    ground.run("sh", "-c", "echo x > ../beside")
    with pytest.raises(AssertionError):
        ground.check_opened()
