"""A store that cannot be written to, or whose clock is wrong: reads go on, writes fail with one line, nothing is lost."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import oracle
from tests.gitrepo import GitRepo, Result, run
from tests.media import comfy_png, marked, wav

HERO, SONG, NEW = "assets/characters/hero.png", "assets/music/song.wav", "assets/characters/new.png"
STRANGER = 54321
READS = (("list",), ("show", HERO), ("provenance",), ("status",), ("db",), ("workflow", HERO))


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter."""
    place = Path(tempfile.mkdtemp(prefix="comfyvn-"))
    place.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def begin(folder: Path, *, shared: bool) -> tuple[GitRepo, Path]:
    """A repository with two assets on two branches, and its store."""
    repo = GitRepo.create(folder / "repo")
    store = folder / "srv" / "store" if shared else repo.path / ".git" / "comfyvn"
    if shared:
        store.parent.mkdir()
        repo.git("config", "comfyvn.store", str(store))
    repo.tool("init")
    repo.write(HERO, comfy_png(1))
    repo.git("add", "assets")
    repo.commit("hero")
    repo.git("switch", "-q", "-c", "other")
    repo.write(SONG, wav())
    repo.git("add", "assets")
    repo.commit("song")
    repo.git("switch", "-q", "main")
    return repo, store


@contextlib.contextmanager
def mounted(*words: str, place: Path) -> Iterator[None]:
    """Mounts something at a place; skips the test where that is not permitted."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("only root on Linux can mount")
    done = subprocess.run(["mount", *words, str(place)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextlib.contextmanager
def read_only(store: Path) -> Iterator[None]:
    with mounted("--bind", str(store), place=store):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(store)], check=True)
        yield


def check_reads(repo: GitRepo, tool: list[str] | None = None) -> None:
    """Everything that only reads answers, and git goes where it likes."""
    for words in READS:
        done = run([*(tool or ours()), *words, "--json"], cwd=repo.path, check=False)
        assert done.code == 0, (words, done.err)
        assert "Traceback" not in done.err
    assert HERO in run([*(tool or ours()), "list"], cwd=repo.path).out
    assert repo.read(HERO).startswith(b"\x89PNG")


def ours() -> list[str]:
    return [sys.executable, "-P", "-m", "comfyvn_store"]


def check_refused(done: Result) -> None:
    """The machine said no, in one line."""
    assert done.code == 16, (done.code, done.err)
    assert len([line for line in done.err.splitlines() if line.startswith("error: ")]) == 1, done.err
    assert "Traceback" not in done.err and done.json()["error"] in ("machine", "lock-timeout")


def check_writes_fail(repo: GitRepo, source: Path) -> None:
    """Neither a command nor git takes in new art, and the files stay what they are."""
    data = comfy_png(7)
    source.write_bytes(data)
    check_refused(repo.tool("register", str(source), "--type", "characters", "--json", check=False))
    repo.write(NEW, data)
    done = repo.git("add", NEW, check=False)
    assert done.code != 0 and "Traceback" not in done.err and "bug" not in done.err, done.err
    assert len([line for line in done.err.splitlines() if line.startswith("error: ")]) == 1, done.err
    assert repo.read(NEW) == data == source.read_bytes() and repo.staged(NEW) is None
    assert not (repo.path / NEW).is_symlink()


def check_later(repo: GitRepo) -> None:
    """It works once the store can be written to."""
    data = repo.read(NEW)
    repo.git("add", "assets")
    repo.commit("new")
    assert repo.read(NEW)[: len(data) - 12] == data[:-12]
    oracle.check_all(repo)


@pytest.mark.parametrize("shared", [True, False])
def test_a_read_only_store(folder: Path, shared: bool) -> None:
    repo, store = begin(folder, shared=shared)
    with read_only(store):
        check_reads(repo)
        check_writes_fail(repo, folder / "new.png")
        done = repo.git("switch", "-q", "other", check=False)
        assert "Traceback" not in done.err and done.code == 0, done.err
        assert repo.read(SONG) == marked(wav())
        assert repo.tool("show", SONG).code == 0
        repo.git("switch", "-q", "main")
    check_later(repo)


def test_a_read_only_store_keeps_what_git_would_commit(folder: Path) -> None:
    repo, store = begin(folder, shared=True)
    repo.write(NEW, comfy_png(7))
    repo.git("add", "assets")
    with read_only(store):
        # The bytes are there, durable, and everything else is git's.
        repo.git("commit", "-q", "-m", "new", check=False)
    repo.git("commit", "-q", "-m", "new", check=False)
    oracle.check_all(repo)


def test_a_store_on_a_full_disk_of_its_own(folder: Path) -> None:
    (folder / "srv").mkdir()
    with mounted("-t", "tmpfs", "-o", "size=4m", "tmpfs", place=folder / "srv"):
        (folder / "srv" / "ballast").write_bytes(b"\0" * (1 << 20))
        repo = GitRepo.create(folder / "repo")
        repo.git("config", "comfyvn.store", str(folder / "srv" / "store"))
        repo.tool("init")
        repo.write(HERO, comfy_png(1))
        repo.git("add", "assets")
        repo.commit("hero")
        with open(folder / "srv" / "ballast", "ab") as stream, contextlib.suppress(OSError):
            while True:
                stream.write(b"\0" * 65536)
                stream.flush()
        check_reads(repo)
        check_writes_fail(repo, folder / "new.png")
        (folder / "srv" / "ballast").unlink()
        check_later(repo)


def test_a_store_of_somebody_else(folder: Path) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can give files away")
    repo, store = begin(folder, shared=True)
    subprocess.run(["chown", "-R", f"{STRANGER}:{STRANGER}", str(store)], check=True)
    # Root without its powers is somebody like any other, and may enter the home that this Python perhaps lies in.
    become = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner,-chown"]
    if run([*become, "touch", str(store / "tmp" / "mine")], cwd=folder, check=False).code == 0:
        pytest.skip("setpriv cannot take root's power from it here")
    check_reads(repo, [*become, *ours()])
    assert run([*become, "git", "switch", "-q", "other"], cwd=repo.path).code == 0
    assert repo.read(SONG) == marked(wav())
    before = {path: path.lstat().st_mtime_ns for path in store.rglob("*")}
    source = folder / "new.png"
    source.write_bytes(comfy_png(7))
    words = [*become, *ours(), "register", str(source), "--type", "characters", "--json"]
    check_refused(run(words, cwd=repo.path, check=False))
    repo.write(NEW, comfy_png(7))
    done = run([*become, "git", "add", NEW], cwd=repo.path, check=False)
    assert done.code != 0 and "permission denied" in done.err and "Traceback" not in done.err, done.err
    assert repo.read(NEW) == comfy_png(7) and repo.staged(NEW) is None
    assert {path: path.lstat().st_mtime_ns for path in store.rglob("*")} == before


@pytest.mark.parametrize("jump", ["-400d", "+4000d"])
def test_a_clock_that_jumps(folder: Path, jump: str) -> None:
    if shutil.which("faketime") is None:
        pytest.skip("faketime is not installed")
    found = run(["faketime", "-f", "+0d", "sh", "-c", 'printf %s "$LD_PRELOAD"'], cwd=folder).out
    repo, _ = begin(folder, shared=False)
    repo.write(NEW, comfy_png(7))
    repo.git("add", "assets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_PRELOAD", found)
        patch.setenv("FAKETIME", jump)
        patch.setenv("NO_FAKE_STAT", "1")  # files have the times that the disk says
        repo.commit("new")
        repo.write(SONG, wav(0.5))
        repo.git("add", "assets")
        repo.commit("song")
        oracle.check_all(repo)
        repo.tool("annotate", NEW, "--tag", "later")
        repo.commit("tag")
        oracle.check_all(repo)
    oracle.check_all(repo)
    (folder / "more.wav").write_bytes(wav(0.75))
    repo.tool("register", str(folder / "more.wav"), "--type", "music")
    repo.commit("more")
    oracle.check_all(repo)
    oracle.check_index(repo, folder)
    assert repo.tool("doctor", check=False).code == 0
