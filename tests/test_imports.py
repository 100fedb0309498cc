"""The hot path: what git starts for every file and commit stays within the standard library and our own modules, and
starts not at all where no art is concerned."""

import os
import stat
import sys
from pathlib import Path

import pytest

from tests import media
from tests.gitrepo import GitRepo

HERO = "assets/characters/hero.png"
HOOKS = ("pre-commit", "pre-merge-commit", "post-commit", "post-checkout", "post-merge", "post-rewrite", "pre-push")

# Stands in the place of Python: notes what it was started for, and has Python list what it had imported at its end
# (the entry leaves through os._exit, which runs no atexit functions).
SPY = """\
#!/bin/sh
for word; do last="$last $word"; done
printf '%s\\n' "$last" >>'{log}.starts'
test "$1 $2 $3 $4" = '-P -X utf8 -c' || exec '{python}' "$@"
shift 4
code=$1
shift
exec '{python}' -P -X utf8 -c "
import os, sys
leave = os._exit
def spy(status):
    with open('{log}.modules', 'a') as stream:
        stream.write(' '.join(sys.argv[1:3]) + '|' + ','.join(sorted(sys.modules)) + chr(10))
    leave(status)
os._exit = spy
$code" "$@"
"""


class Spied:
    """A repository in which a spy runs in Python's place whenever git starts it."""

    def __init__(self, repo: GitRepo, log: Path) -> None:
        self.repo = repo
        self._log = log
        program = log.with_name("python")
        program.write_text(SPY.format(log=log, python=sys.executable))
        program.chmod(0o755)
        place = repo.path / ".git/config"
        text = place.read_text()
        assert sys.executable in text
        place.write_text(text.replace(sys.executable, str(program)))
        self.forget()

    def forget(self) -> None:
        for name in ("starts", "modules"):
            Path(f"{self._log}.{name}").write_text("")

    def starts(self) -> list[str]:
        """What was started, one word each: the driver's or hook's name."""
        lines = Path(f"{self._log}.starts").read_text().splitlines()
        return [line.split("run()")[-1].strip() for line in lines]

    def modules(self) -> dict[str, set[str]]:
        """The modules that each of them had imported at its end."""
        found: dict[str, set[str]] = {}
        for line in Path(f"{self._log}.modules").read_text().splitlines():
            name, _, modules = line.partition("|")
            found.setdefault(name, set()).update(modules.split(","))
        return found


@pytest.fixture
def spied(store_repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spied:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    store_repo.write(HERO, media.comfy_png(1))
    store_repo.write("story.txt", "Once upon a time\n")
    store_repo.git("add", ".")
    store_repo.commit("first")
    store_repo.write("story.txt", "Once upon a time there was\n")
    store_repo.commit("a text", "-a")
    return Spied(store_repo, tmp_path / "spy")


def make_history(repo: GitRepo) -> None:
    """Has git start every driver and hook."""
    repo.git("switch", "-q", "-c", "side")
    repo.write(HERO, media.comfy_png(2))
    repo.commit("repainted", "-a")
    repo.tool("annotate", HERO, "--tag", "side")
    repo.commit("tags")
    repo.git("switch", "-q", "main")
    repo.tool("annotate", HERO, "--tag", "main")
    repo.commit("tags")
    repo.write("assets/sfx/door.wav", media.wav())
    repo.git("add", ".")
    repo.git("switch", "-q", "-c", "third", "side")
    repo.commit("sound", "-n")  # a file in place of a link, so that a merge has something to say of it
    repo.git("switch", "-q", "main")
    repo.git("merge", "-q", "--no-edit", "third")
    repo.git("switch", "-q", "-c", "fourth", "side~1")
    repo.write(HERO, media.comfy_png(3))
    repo.commit("repainted", "-a")
    repo.git("rebase", "-q", "--onto", "side", "HEAD^")
    repo.git("init", "-q", "--bare", "../hub.git")
    repo.git("push", "-q", "../hub.git", "HEAD")


def foreign(modules: set[str]) -> set[str]:
    """The top-level names that are neither Python's own nor ours."""
    return {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names) - {"comfyvn_store", "__main__"}


def test_what_git_starts_imports_nothing_of_others(spied: Spied) -> None:
    make_history(spied.repo)
    modules = spied.modules()
    names = {name.removesuffix(" 0").removesuffix(" 1").split(" .")[0] for name in modules}
    started = {name.split(" ")[0] if not name.startswith("filter") else name for name in names}
    # The preview worker is off; the filters end when git closes their pipe.
    assert started >= {"merge-sidecar", *HOOKS}
    assert any(start.startswith("filter comfyvn-sidecar") for start in spied.starts())
    for name, imported in modules.items():
        assert foreign(imported) <= _at_start(), name
        assert imported.isdisjoint({"click", "PIL", "pygit2", "git", "importlib.metadata"}), name


def _at_start() -> set[str]:
    """What the interpreter's own site hooks import before any of our code (an editable install, coverage)."""
    done = os.popen(f"{sys.executable} -P -c 'import sys; print(*sys.modules)'").read().split()
    return {name.partition(".")[0] for name in done} - set(sys.stdlib_module_names)


def test_each_driver_imports_nothing_of_others(spied: Spied) -> None:
    """Both filters, by hand, to their end."""
    make_history(spied.repo)
    filters = {name: found for name, found in spied.modules().items() if name.startswith("filter")}
    assert set(filters) == {"filter comfyvn", "filter comfyvn-sidecar"}
    for name, imported in filters.items():
        assert foreign(imported) <= _at_start(), name
    assert "sqlite3" not in filters["filter comfyvn"]


@pytest.mark.parametrize(
    "verb",
    [
        ["commit", "-q", "-a", "-m", "a text"],
        ["commit", "-q", "--allow-empty", "-m", "nothing"],
        ["commit", "-q", "-m", "a text", "story.txt"],
        ["commit", "-q", "-a", "--amend", "--no-edit"],
        ["switch", "-q", "-m", "-c", "other"],
        ["checkout", "-q", "-m", "HEAD^"],
        ["checkout", "--", "story.txt"],
        ["stash"],
        ["log", "-p", "--", "story.txt"],
        ["push", "-q", "ssh://nowhere/hub.git", "HEAD"],
    ],
    ids=" ".join,
)
def test_what_touches_no_art_starts_no_python(spied: Spied, verb: list[str]) -> None:
    repo = spied.repo
    # What git noted a moment ago it would compare once more, whatever the verb.
    for folder in ("assets", "assets/characters"):
        for each in (repo.path / folder).iterdir():
            if stat.S_ISREG(each.lstat().st_mode):
                os.utime(each, (1_700_000_000, 1_700_000_000))
    repo.git("update-index", "-q", "--refresh", check=False)
    repo.git("status")
    repo.write("story.txt", "Once upon a time there was a queen\n")
    spied.forget()
    # There is no such host, which git says after our hook has left.
    repo.git(*verb, check="push" not in verb)
    assert spied.starts() == []


def test_merges_and_rebases_of_texts_start_no_python(spied: Spied) -> None:
    repo = spied.repo
    repo.git("switch", "-q", "-c", "other", "HEAD^")
    repo.write("notes.txt", "notes\n")
    repo.git("add", "notes.txt")
    repo.commit("notes")
    spied.forget()
    repo.git("switch", "-q", "main")
    repo.git("merge", "-q", "--no-edit", "other")
    repo.git("switch", "-q", "other")
    repo.git("rebase", "-q", "main")
    repo.git("cherry-pick", "--allow-empty", "--keep-redundant-commits", "main~1")
    assert spied.starts() == []


def test_one_process_serves_all_files_of_a_command(spied: Spied) -> None:
    for number in range(20):
        spied.repo.write(f"assets/sfx/{number}.wav", media.wav(0.02, frequency=100.0 + number))
    spied.repo.git("add", ".")
    assert spied.starts() == ["filter comfyvn"]


def test_a_folder_in_the_repository_shadows_no_module(spied: Spied) -> None:
    for name in ("json.py", "comfyvn_store/__init__.py", "hashlib.py"):
        spied.repo.write(name, "raise SystemExit('a module of the repository was imported')\n")
    spied.repo.write(HERO, media.comfy_png(5))
    spied.repo.git("add", ".")
    done = spied.repo.git("commit", "-m", "modules")
    assert "a module of the repository" not in done.err
    assert spied.repo.sidecar(HERO)["provenance"]["inputs"]["seed"] == 5
