"""git is started by programs that give it next to nothing: a bare PATH, no HOME, another locale, closed streams; and the
Python that `init` found may be gone. Filters and hooks work all the same, or say once what is wrong."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from comfyvn_store.base import files
from tests import media, oracle
from tests.gitrepo import GitRepo, run
from tests.templates import copied

ALICE, ODD = "assets/characters/alice.png", "assets/characters/zoë “the fox”.png"
BARE = {"PATH": "/usr/bin:/bin"}
GONE = "warning: comfyvn-store is not installed any more; run 'pipx install comfyvn-store', then 'comfyvn-store init'"
Environment = Mapping[str, str | None]


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def make_branches(repo: GitRepo) -> None:
    """`main` and `other` with different art, `words` with none of its own."""
    repo.write(ALICE, media.png(seed=1))
    repo.write("readme.txt", b"one\n")
    repo.git("add", "-A")
    repo.commit("art")
    repo.git("branch", "words")
    repo.git("switch", "-qc", "other")
    repo.write(ALICE, media.png(seed=2))
    repo.git("add", "-A")
    repo.commit("other art")
    repo.git("switch", "-q", "main")
    repo.write(ODD, media.png(seed=3))
    repo.git("add", "-A")
    repo.commit("odd art")


@pytest.fixture
def art(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> GitRepo:
    return copied(tmp_path_factory, make_branches, tmp_path / "repo")


@pytest.fixture
def latin(tmp_path: Path) -> Environment:
    """A locale whose names are not UTF-8, made here if the machine can."""
    if shutil.which("localedef") is None:
        pytest.skip("localedef is not here")
    place = tmp_path / "locales/xx_XX.ISO-8859-1"
    place.parent.mkdir()
    subprocess.run(["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(place)], capture_output=True, check=False)
    env = {"LOCPATH": str(place.parent), "LC_ALL": place.name}
    code = "import sys; print(sys.getfilesystemencoding())"
    if run([sys.executable, "-c", code], cwd=tmp_path, env=env).out != "iso8859-1":
        pytest.skip("no locale of ISO-8859-1 could be made")
    return env


def use_everything(repo: GitRepo, env: Environment, closed: str = "") -> None:
    """Both filters, the merge driver and each hook, started by a git that has just this environment."""
    new = "assets/voice/größe.wav"
    repo.write(new, media.wav())

    def git(words: str) -> None:
        done = run(["sh", "-c", f"git {words} {closed}"], cwd=repo.path, env=env, check=False)
        assert done.code == 0, (words, done.err)
        assert done.err == "", (words, done.err)

    git("add -A")
    git("commit -qm new")
    assert repo.staged(new)[0] == "120000" and repo.sidecar(new)["path"] == "voice/größe.wav"  # type: ignore[index]
    git("commit -q --amend -m again")
    git("switch -q other")
    git("switch -q -c side words")
    git("checkout -q main -- assets")
    git("commit -qm taken")
    git("merge -q --no-edit other")
    git("rebase -q --force-rebase words")
    git("switch -q main")
    oracle.check_all(repo)
    listed = repo.tool("list", "--json", env=env, check=False)
    assert listed.code == 0, listed.err
    assert {each["view"] for each in listed.json()} == {ALICE, ODD, new}


@pytest.mark.parametrize("kind", ["bare path, no HOME", "C", "POSIX", "streams"])
def test_git_from_a_program_that_gives_it_little(art: GitRepo, kind: str) -> None:
    nothing: Environment = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "LC_ALL", "TZ", "GIT_EDITOR")) | BARE
    env: Environment = {"bare path, no HOME": nothing, "streams": {}}.get(kind, {"LC_ALL": kind})
    use_everything(art, env, "<&- >&-" if kind == "streams" else "")


def test_a_locale_that_is_not_utf_8(art: GitRepo, latin: Environment) -> None:
    env = {**latin, "PYTHONUTF8": None, "PYTHONIOENCODING": None}
    use_everything(art, env)
    # the terminal of such a locale gets its own bytes, and what has none as a code
    out = run([sys.executable, "-P", "-m", "comfyvn_store", "list"], cwd=art.path, env=env).stdout
    assert b"gr\xf6\xdfe.wav" in out and b"zo\xeb \\u201cthe fox" in out
    hook = Path(sys.executable).with_name("comfyvn-store-hook")
    if not hook.exists():
        pytest.skip("comfyvn-store-hook is not installed beside this Python")
    art.git("config", "comfyvn.python", "/nowhere")
    art.write(ODD, media.png(seed=9))
    art.git("commit", "-qam", "by the program on the PATH", env={**env, "PATH": f"{hook.parent}:/usr/bin:/bin"})
    oracle.check_all(art)


def test_commands_without_any_stream(art: GitRepo) -> None:
    for command in ("status", "list", "doctor", "check", "init"):
        for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            words = f"'{sys.executable}' -P -m comfyvn_store {command} {closed}"
            done = run(["sh", "-c", words], cwd=art.path, check=False)
            assert (command, closed, done.code, done.err) == (command, closed, 0, "")


# -- the Python that init found is gone ----------------------------------------------------------------------------


@pytest.fixture
def gone(art: GitRepo, tmp_path: Path) -> GitRepo:
    """`init` was run by a Python in `tool`, which was deleted since."""
    env = tmp_path / "tool"
    env.symlink_to(sys.prefix, target_is_directory=True)
    run([str(env / "bin/python"), "-P", "-m", "comfyvn_store", "init"], cwd=art.path)
    assert str(env) in art.git("config", "comfyvn.python").out
    env.unlink()
    return art


def said(repo: GitRepo, *words: str) -> list[str]:
    done = repo.git(*words, env=BARE)
    return [line for line in done.err.splitlines() if "comfyvn" in line]


def test_each_verb_that_touches_art_warns_once_and_goes_through(gone: GitRepo) -> None:
    assert said(gone, "switch", "-q", "other") == [GONE]
    assert said(gone, "switch", "-q", "-c", "side") == []
    gone.git("rm", "-q", ALICE, env=BARE)
    assert said(gone, "commit", "-qm", "removed") == [GONE]
    assert said(gone, "revert", "--no-edit", "HEAD") == [GONE]
    assert said(gone, "merge", "-q", "--no-edit", "main") == [GONE]
    assert said(gone, "rebase", "-q", "--force-rebase", "words") == [GONE]
    gone.write("readme.txt", b"two\n")
    assert said(gone, "commit", "-qam", "words") == []
    assert gone.git("status", "--porcelain", env=BARE).out == ""


def test_new_art_is_refused_with_the_way_out_and_nothing_is_lost(gone: GitRepo) -> None:
    data = media.png(seed=5)
    gone.write("assets/new.png", data)
    # Were it as young as git's index, `git commit` itself would ask the filter, and fail before any hook.
    files.settle(str(gone.path / "assets/new.png"))
    done = gone.git("add", "-A", env=BARE, check=False)
    assert done.code != 0 and "hint: install it again (pipx install comfyvn-store)" in done.err
    assert gone.read("assets/new.png") == data and gone.staged("assets/new.png") is None
    # art that was added while the tool was there
    gone.git("add", "-A", env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"})
    done = gone.git("commit", "-qm", "new", env=BARE, check=False)
    # 128 where git itself asks the filter about a file as young as its index
    assert done.code in (1, 128) and "hint: install it again" in done.err
    assert gone.staged("assets/new.png") is not None and gone.git("log", "-1", "--format=%s").out != "new"
    assert gone.read("assets/new.png") == data


def test_a_python_elsewhere_takes_over_and_all_is_caught_up(gone: GitRepo, tmp_path: Path) -> None:
    gone.git("merge", "-q", "--no-edit", "other", env=BARE)
    gone.git("rm", "-q", ODD, env=BARE)
    gone.git("commit", "-qm", "removed", env=BARE)
    found = gone.tool("doctor", "--json", check=False).json()["findings"]
    assert "interpreter" in [each["kind"] for each in found]
    oracle.check_all(gone)  # commands need no hook
    elsewhere = tmp_path / "new tool"
    elsewhere.symlink_to(sys.prefix, target_is_directory=True)
    run([str(elsewhere / "bin/python"), "-P", "-m", "comfyvn_store", "doctor", "--fix"], cwd=gone.path)
    assert gone.git("config", "comfyvn.python").out == str(elsewhere / "bin/python")
    data = media.png(seed=6)
    gone.write("assets/new.png", data)
    gone.git("add", "-A", env=BARE)
    assert said(gone, "commit", "-qm", "new") == []
    assert gone.sidecar("assets/new.png")["provenance"]["source_hash"] == hashlib.sha256(data).hexdigest()
    oracle.check_all(gone)
    assert not os.path.exists(gone.path / f"{ODD}.asset.json")
