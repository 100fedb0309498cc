"""How commands and hooks start: compiled, and without what they do not need."""

import re
import shutil
import sys
from pathlib import Path

import pytest

import comfyvn_store
from comfyvn_store.base import compiled
from tests import media
from tests.gitrepo import GitRepo, run

OURS = str(Path(comfyvn_store.__file__).parent)
HERO = "assets/characters/hero.png"
# What takes long to import, or brings with it what does, and is of no use to who only asks.
HEAVY = {
    *("click", "dataclasses", "inspect", "subprocess", "threading", "locale", "hashlib", "_hashlib", "urllib.parse"),
    *("importlib.metadata", "ipaddress", "tempfile", "shutil", "logging", "pygit2", "git", "PIL", "urllib3"),
}
# Ours, of which the same is true.
UNASKED = {
    *(
        "cli.clicked",
        "asset.ingest",
        "asset.marking",
        "asset.readers",
        "asset.worktree",
        "base.media",
        "index.attribution",
    ),
    *(
        "index.ledger",
        "index.rows",
        "index.texts",
        "ops.copies",
        "ops.journal",
        "ops.relocation",
        "ops.roots",
        "store.moving",
        "store.trash",
    ),
    *("hot", "previews", "remotes"),
}


@pytest.fixture
def repo(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    store_repo.write(HERO, media.comfy_png(1))
    store_repo.git("add", ".")
    store_repo.commit("first")
    store_repo.tool("list")
    return store_repo


@pytest.mark.parametrize(
    "line",
    [
        "list",
        "list --type characters --limit 20 --json",
        f"show {HERO}",
        f"show {HERO} --json",
        "provenance",
        f"provenance {HERO}",
        "provenance --commit HEAD",
        "provenance --commit HEAD --json",
        "search hero",
        "search seed:1 -tag:x --json",
        "--version",
    ],
)
def test_who_only_asks_imports_nothing_heavy(repo: GitRepo, line: str) -> None:
    imported = imported_by(repo, line)
    assert imported.isdisjoint(HEAVY), imported & HEAVY
    ours = {name.removeprefix("comfyvn_store.") for name in imported}
    assert ours.isdisjoint(UNASKED), ours & UNASKED


@pytest.mark.parametrize(("words", "code"), [(["list"], 0), (["show", "nothing"], 2)])
def test_what_was_asked_for_at_the_end_is_done(repo: GitRepo, words: list[str], code: int) -> None:
    """A command ends without taking the interpreter apart; what it printed and what waits for its end is not lost."""
    script = (
        "import atexit, sys; from comfyvn_store.cli.main import run; sys.argv = ['comfyvn-store', *sys.argv[1:]]; "
        "atexit.register(print, 'bye'); atexit.register(print, 'farewell', file=sys.stderr); run()"
    )
    plain = repo.tool(*words, check=False)
    done = run([sys.executable, "-P", "-c", script, *words], cwd=repo.path, check=False)
    assert (done.code, plain.code) == (code, code)
    assert done.out.splitlines() == [*plain.out.splitlines(), "bye"]
    assert done.err.splitlines() == [*plain.err.splitlines(), "farewell"]


@pytest.mark.parametrize("closed", ["2>&-", "<&-", "<&- 2>&-"])
def test_streams_that_are_closed_change_no_exit_code(repo: GitRepo, closed: str) -> None:
    script = f'"$0" -P -m comfyvn_store list {closed}'
    done = run(["sh", "-c", script, sys.executable], cwd=repo.path)
    assert done.out == repo.tool("list").out


def test_bytes_that_are_known_are_found_without_decoding(repo: GitRepo) -> None:
    imported = imported_by(repo, f"whence {HERO}")
    assert imported.isdisjoint({"click", "dataclasses", "subprocess", "PIL", "comfyvn_store.previews"})


def imported_by(repo: GitRepo, line: str) -> set[str]:
    """The modules that a command imported."""
    code = (
        "import sys\nbefore = set(sys.modules)\nfrom comfyvn_store.cli.main import run\n"
        "try:\n    run(sys.argv[1:])\n"
        "except SystemExit as end:\n    print('\\n', *set(sys.modules) - before, file=sys.stderr)\n    raise\n"
    )
    done = run([sys.executable, "-P", "-c", code, *line.split()], cwd=repo.path)
    imported = set(done.err.splitlines()[-1].split())
    assert "comfyvn_store.cli.main" in imported
    return imported


# -- compiled ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of its own for what is compiled, in which nothing is yet; Python is told to write nothing by itself."""
    place = tmp_path / "compiled"
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(place))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return place


def compiled_anew(said: str) -> set[str]:
    """The modules of ours that a program compiled as it ran, as Python says it where it is asked to (PYTHONVERBOSE)."""
    assert "comfyvn_store" in said
    return set(re.findall(rf"# code object from '?({re.escape(OURS)}/\S+?\.py)'?$", said, re.MULTILINE))


def verbs(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> str:
    """Has git start filters, hooks and drivers; gives what they said."""
    number = len(repo.git("log", "--format=%h").out.split())
    said = []
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONVERBOSE", "1")
        repo.write(HERO, media.comfy_png(number + 1))
        repo.write("assets/sfx/door.wav", media.wav(0.01, frequency=100.0 + number))
        for words in (["add", "."], ["commit", "-m", "more"], ["checkout", "-q", "HEAD^"], ["switch", "-q", "main"]):
            said.append(repo.git(*words).err)
        said.append(repo.tool("list").err)
        said.append(repo.tool("status").err)
    return "".join(said)


def test_after_init_nothing_of_ours_is_compiled_by_who_runs(
    repo: GitRepo, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.tool("init")
    assert compiled_anew(verbs(repo, monkeypatch)) == set()


def test_after_an_upgrade_the_first_that_runs_compiles_for_all(
    repo: GitRepo, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.tool("init")
    shutil.rmtree(cache)  # what an installer leaves that compiles nothing
    repo.write("assets/a.png", media.png(seed=9))
    repo.git("add", ".")
    assert compiled_anew(verbs(repo, monkeypatch)) == set()
    stale = next(cache.rglob("comfyvn_store/__init__.*.pyc"))
    stale.write_bytes(stale.read_bytes()[:8] + bytes(8) + stale.read_bytes()[16:])
    repo.tool("--version")
    assert compiled_anew(verbs(repo, monkeypatch)) == set()


def test_a_place_that_cannot_be_written_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(compiled, "compile_all", lambda: asked.append("all"))
    monkeypatch.setattr(comfyvn_store, "__cached__", str(tmp_path / "none/x.pyc"))
    compiled.ensure()
    assert asked == ["all"]
    monkeypatch.setattr(comfyvn_store, "__cached__", "/proc/none/x.pyc" if Path("/proc/1").exists() else "/none/x.pyc")
    monkeypatch.setattr("os.access", lambda *_: False)
    compiled.ensure()
    assert asked == ["all"]
