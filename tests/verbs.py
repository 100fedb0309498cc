"""The matrix of git verbs: each case is one verb on a repository with art, run with hooks, with hooks skipped, and with our
hooks gone.

A case is a function that gets a `Scene`, runs git, and gives the lines that `git status` shall show then (nothing for a
clean tree; T counts as M). `check` runs it in one mode and holds everything against what git and the disk say: directly
after the verb, after the next command, and after the next commit of art with hooks. What git itself cannot give stands
in the case as a `Limit`, which must be exactly what is found. `python -m tests.verbs` runs the cases of all
`tests/test_verbs_*.py` and prints them as a table.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import media, templates
from tests.gitrepo import GitRepo, Result
from tests.verbs_checks import check_after_a_command, check_after_a_commit, check_bytes, flat

MODES = ("on", "skipped", "absent")
WITHOUT_HOOKS = ("skipped", "absent")
HOOKS = ("pre-commit", "pre-merge-commit", "post-commit", "post-checkout", "post-merge", "post-rewrite")
_IN_TURN = ("on", "skipped", "on", "absent")
# As `git -c core.hooksPath=/dev/null`, and inherited by each git that git starts.
_HOOKS_OFF = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.hooksPath", "GIT_CONFIG_VALUE_0": os.devnull}

HERO = "assets/characters/hero.png"  # repainted on main and, otherwise, on `clash`
RIVAL = "assets/characters/rival.png"  # repainted on `other`
DOOR = "assets/sfx/door.wav"  # tagged on main and on `other`
BELL = "assets/sfx/bell.wav"  # removed on `other`
LAMP = "assets/props/lamp.wav"  # moved to LAMP_MOVED on `other`
LAMP_MOVED = "assets/props/street/night/lamp.wav"
INN = "assets/backgrounds/town/night/inn.png"  # nobody changes it
WIND = "assets/sfx/weather/wind.wav"  # added on `other`
MOON = "assets/cg/moon.png"  # added on `third`
RAIN = "assets/sfx/rain.wav"  # added on `plain`, by a commit without hooks

NO_PRE_COMMIT = (
    "without pre-commit new art is committed as a file and gets no sidecar; the next commit of art does both"
)


class Limit(NamedTuple):
    """What cannot be had in some modes before the next commit of art, and why.

    `unfinished` are the committed assets that are no links or have no sidecar of their bytes, `dangling` the views that
    lead nowhere after a command, `misplaced` the assets whose sidecar says the path that they were moved away from.
    """

    reason: str
    unfinished: tuple[str, ...] = ()
    dangling: tuple[str, ...] = ()
    misplaced: tuple[str, ...] = ()
    modes: tuple[str, ...] = WITHOUT_HOOKS


class Case(NamedTuple):
    """One row of the matrix."""

    verb: str
    act: Callable[["Scene"], Sequence[str] | None]
    limits: tuple[Limit, ...] = ()

    def limit(self, mode: str) -> Limit:
        """What is allowed in a mode; nothing, if no limit is stated for it."""
        return next((limit for limit in self.limits if mode in limit.modes), Limit(""))


class Cases(list[Case]):
    """The cases of one test file."""

    def __call__(self, verb: str, *limits: Limit) -> Callable[[Callable[["Scene"], Sequence[str] | None]], None]:
        """Adds the decorated function as the case of this verb."""

        def add(act: Callable[["Scene"], Sequence[str] | None]) -> None:
            self.append(Case(verb, act, limits))

        return add

    def matrix(self, *, every: int = 1) -> pytest.MarkDecorator:
        """Parametrises a test over `case` and `mode`: all three with TEST_VERBS=all, else one in turn, and that of one case
        in `every` so many."""
        rows = [
            pytest.param(case, mode, id=f"{case.verb}-{mode}")
            for number, case in enumerate(self)
            for mode in _modes(number, every)
        ]
        return pytest.mark.parametrize(("case", "mode"), rows)


def _modes(number: int, every: int) -> Sequence[str]:
    if os.environ.get("TEST_VERBS") == "all":
        return MODES
    turn, rest = divmod(number, every)
    return [] if rest else [_IN_TURN[turn % len(_IN_TURN)]]


class Scene:
    """A repository with art in one mode, and what must survive in it."""

    def __init__(self, repo: GitRepo, mode: str, scratch: Path) -> None:
        self.repo, self.mode, self.scratch = repo, mode, scratch
        self.edits: dict[str, bytes] = {}
        if mode == "absent":
            take_hooks_away(repo)

    def git(
        self, *args: str, check: bool = True, env: Mapping[str, str | None] | None = None, **more: object
    ) -> Result:
        """Runs git as this mode has it."""
        return self.repo.git(*args, check=check, env={**self.env, **(env or {})}, **more)  # type: ignore[arg-type]

    def tool(self, *args: str, **more: object) -> Result:
        return self.repo.tool(*args, **more)  # type: ignore[arg-type]

    @property
    def env(self) -> dict[str, str]:
        return _HOOKS_OFF if self.mode == "skipped" else {}

    def fails(self, *args: str, env: Mapping[str, str | None] | None = None) -> Result:
        """Runs a git command that stops, as one with a conflict does."""
        done = self.git(*args, check=False, env=env)
        assert done.code != 0, f"git {' '.join(args)} did not stop: {done.out}"
        return done

    def write(self, path: str, data: bytes) -> None:
        """Writes a file as programs save it."""
        self.repo.write(path, data)

    def add(self, path: str, data: bytes) -> None:
        """Writes a file and stages it."""
        self.write(path, data)
        self.git("add", path)

    def paint(self, path: str, seed: int) -> bytes:
        """Writes other bytes of the path's kind, not staged, and gives them."""
        data = picture(seed) if path.endswith(".png") else sound(seed)
        self.write(path, data)
        return data

    def keep(self, path: str, data: bytes) -> None:
        """Leaves an edit that is not staged, or an untracked file; nothing may change it from now on."""
        self.write(path, data)
        self.edits[path] = data

    def tag(self, path: str, tag: str) -> None:
        """Tags an asset and stages its sidecar."""
        self.tool("annotate", path, "--tag", tag)

    def commit(self, message: str, *args: str) -> str:
        self.git("commit", "-q", "-m", message, *args)
        return self.repo.head()

    def pause(self, *dirt: str) -> None:
        """Checks what holds even amid a merge or a rebase: git sees exactly this, no byte is lost, and a command that
        reads changes nothing of it."""
        for _ in range(2):
            check_bytes(self.repo, self.edits)
            assert flat(self.repo.status()) == sorted(dirt)
            self.tool("list")


def picture(seed: int) -> bytes:
    return media.comfy_png(seed, width=16, height=16)


def sound(seed: int) -> bytes:
    return media.wav(0.05, frequency=100.0 + 10 * seed)


def take_hooks_away(repo: GitRepo) -> None:
    for name in HOOKS:
        (repo.path / ".git/hooks" / name).unlink()


def template(repo: GitRepo) -> None:
    """Fills a repository: main, and branches that left it at the tag `first`; see the paths above."""
    for path, seed in ((HERO, 1), (RIVAL, 2), (INN, 3)):
        repo.write(path, picture(seed))
    for path, seed in ((DOOR, 1), (BELL, 2), (LAMP, 3)):
        repo.write(path, sound(seed))
    repo.write("notes.txt", "notes\n")
    repo.git("add", ".")
    repo.commit("first art")
    repo.git("tag", "first")
    repo.git("branch", "behind")
    repo.git("switch", "-q", "-c", "third")
    _commit_new(repo, MOON, picture(4))
    repo.git("switch", "-q", "-c", "clash", "first")
    _commit_new(repo, HERO, picture(13))
    repo.git("switch", "-q", "-c", "plain", "first")
    repo.write(RAIN, sound(14))
    repo.git("add", ".")
    repo.git("commit", "-q", "-m", "without hooks", env=_HOOKS_OFF)
    repo.git("switch", "-q", "-c", "other", "first")
    repo.write(RIVAL, picture(12))
    _commit_new(repo, WIND, sound(15), "-a")
    (repo.path / LAMP_MOVED).parent.mkdir(parents=True)
    repo.git("mv", LAMP, LAMP_MOVED)
    repo.git("rm", "-q", BELL)
    repo.tool("annotate", DOOR, "--tag", "wood")
    repo.commit("other art")
    repo.git("switch", "-q", "main")
    _commit_new(repo, HERO, picture(11))
    repo.tool("annotate", DOOR, "--tag", "loud")
    repo.commit("a loud door")
    repo.tool("list")


def _commit_new(repo: GitRepo, path: str, data: bytes, *args: str) -> None:
    repo.write(path, data)
    repo.git("add", path)
    repo.commit(f"{os.path.basename(path)}", *args)


def begin(factory: pytest.TempPathFactory, mode: str, scratch: Path) -> Scene:
    """Gives a scene of its own in this mode."""
    scene = Scene(templates.copied(factory, template, scratch / "repo"), mode, scratch)
    scene.tool("list")  # the index of a repository that moved starts from nothing; the cases shall go on from one
    return scene


def check(case: Case, mode: str, factory: pytest.TempPathFactory, scratch: Path) -> None:
    """Runs a case in a mode and checks everything that is promised of it."""
    scene = begin(factory, mode, scratch)
    dirt = sorted(case.act(scene) or ())
    limit = case.limit(mode)
    assert flat(scene.repo.status()) == dirt, "directly after the verb"
    check_bytes(scene.repo, scene.edits)
    check_after_a_command(scene, dirt, limit)
    check_after_a_commit(scene, dirt)


if __name__ == "__main__":
    from tests import verbs_table

    sys.exit(verbs_table.main(sys.argv[1:]))
