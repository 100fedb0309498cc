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
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import media, oracle, templates
from tests.gitrepo import GitRepo, Result

MODES = ("on", "skipped", "absent")
WITHOUT_HOOKS = ("skipped", "absent")
HOOKS = ("pre-commit", "pre-merge-commit", "post-commit", "post-checkout", "post-merge", "post-rewrite")
_IN_TURN = (("on",), ("on", "skipped"), ("on",), ("on", "absent"))
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
LAST = "assets/sfx/last.wav"  # added by the commit that ends each case

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

    def matrix(self) -> pytest.MarkDecorator:
        """Parametrises a test over `case` and `mode`: all three with TEST_VERBS=all, else `on` and, in turn, another."""
        rows = [
            pytest.param(case, mode, id=f"{case.verb}-{mode}")
            for number, case in enumerate(self)
            for mode in (MODES if os.environ.get("TEST_VERBS") == "all" else _IN_TURN[number % len(_IN_TURN)])
        ]
        return pytest.mark.parametrize(("case", "mode"), rows)


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
            check_bytes(self)
            assert _flat(self.repo.status()) == sorted(dirt)
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
    assert _flat(scene.repo.status()) == dirt, "directly after the verb"
    check_bytes(scene)
    check_after_a_command(scene, dirt, limit)
    check_after_a_commit(scene, dirt)


def check_bytes(scene: Scene) -> None:
    """No raw bytes are in any commit, each link that git has in a commit or its index has its whole object, and what the
    user did not stage is as it was."""
    repo = scene.repo
    head = ["HEAD"] if repo.git("rev-parse", "-q", "--verify", "HEAD", check=False).out else []
    listed = repo.git("rev-list", "--objects", "--all", "--reflog", *head).out.splitlines()
    blobs = {oid: path for oid, _, path in (line.partition(" ") for line in listed) if path.startswith("assets/")}
    blobs |= {about[1]: path for path, about in oracle.index_entries(repo)}
    empty = repo.git("hash-object", "-t", "blob", "--stdin", input=b"").out  # what `git add -N` puts into the index
    blobs.pop(empty, None)
    seen = set()
    objects = repo.object_path("0" * 64).parent.parent
    for oid, data in oracle.read_blobs(repo, blobs).items():
        if blobs[oid].endswith((oracle.SUFFIX, ".gitattributes")):
            continue
        hash_ = oracle.linked_hash(data.decode("utf-8", "replace"))
        assert hash_ is not None, f"raw bytes of {blobs[oid]} are in git"
        if hash_ not in seen:
            seen.add(hash_)
            assert oracle.digest((objects / hash_[:2] / hash_[2:]).read_bytes()) == hash_, blobs[oid]
    for path, data in scene.edits.items():
        assert not (repo.path / path).is_symlink(), path
        assert repo.read(path) == data, f"the edit of {path}"


def check_after_a_command(scene: Scene, dirt: list[str], limit: Limit) -> None:
    """A command has healed: sidecars name the right commit, views lead somewhere, another command changes nothing."""
    repo = scene.repo
    unfinished = oracle.unfinished(repo)
    staged = {line[3:].rpartition(" -> ")[2] for line in dirt if line[0] not in " ?"}
    assert unfinished - staged == set(limit.unfinished)
    deleted = _deleted(dirt)
    oracle.check_commits(repo, without_record=unfinished, deleted=deleted, misplaced=limit.misplaced)
    assert _flat(repo.status()) == dirt, "after a command"
    assert _dangling(scene, staged) == set(limit.dangling)
    check_mirrors(repo)
    repo.git("status")
    before = contents(repo.path)
    oracle.check_index(repo, scene.scratch)  # reads, and makes another index
    assert _differences(before, contents(repo.path)) == []
    check_bytes(scene)


def check_after_a_commit(scene: Scene, dirt: list[str]) -> None:
    """The next commit of art, with hooks, has made everything a link with its sidecar; the one after takes in the edits."""
    repo = scene.repo
    if scene.mode == "absent":
        repo.tool("init")
        assert _flat(repo.status()) == dirt, "after init"
    repo.write(LAST, sound(99))
    repo.git("add", LAST)
    repo.commit("the last")
    left = sorted(line if line[0] == "?" else " " + line[1:] for line in dirt if line[1] != " ")
    assert _flat(repo.status()) == left, "after a commit of art"
    if left:
        oracle.check_views(repo, edited={*scene.edits, *_deleted(left)})
        oracle.check_commits(repo, deleted=_deleted(left))
        check_mirrors(repo)
        check_bytes(scene)
        repo.git("add", "-A")
        repo.commit("the edits")
        _check_taken_in(scene)
    oracle.check_all(repo)
    check_bytes(Scene(repo, "on", scene.scratch))


def _check_taken_in(scene: Scene) -> None:
    """The edits are versions now, and what their views show is them, with a marker if they are PNGs."""
    for path, data in scene.edits.items():
        if scene.repo.staged(path) is not None and (scene.repo.path / path).is_symlink():
            said = scene.repo.sidecar(path)
            assert oracle.digest(data) in (said["hash"], said["provenance"]["source_hash"]), path


def check_mirrors(repo: GitRepo) -> None:
    """`_meta` holds the sidecars on disk, and nothing else."""
    expected = {}
    for path in oracle.assets(repo):
        place = repo.path / f"{path}{oracle.SUFFIX}"
        if place.exists() and os.path.lexists(repo.path / path):
            expected[os.path.splitext(path.removeprefix("assets/"))[0] + ".json"] = place.read_bytes()
    base = repo.path / "assets/_meta"
    found = {str(each.relative_to(base)): each.read_bytes() for each in base.rglob("*") if each.is_file()}
    assert found == expected


def _dangling(scene: Scene, staged: set[str]) -> set[str]:
    """The views that do not show the bytes of their object; edits, what was taken off the disk, and files that are only
    staged, which have no marker yet, apart."""
    found = set()
    for path, (_, text, _) in oracle.assets(scene.repo).items():
        place = scene.repo.path / path
        if path in scene.edits or not os.path.lexists(place) or (path in staged and not place.is_symlink()):
            continue
        if not place.exists() or oracle.digest(place.read_bytes()) != oracle.linked_hash(text):
            found.add(path)
    return found


def contents(top: Path) -> dict[str, tuple[int, bytes]]:
    """Time and bytes (or link text) of every file below a folder, the index's own files apart."""
    found = {}
    for folder, _, files in os.walk(top):
        for name in files:
            place = os.path.join(folder, name)
            if name.startswith("index.db"):
                continue
            data = os.fsencode(os.readlink(place)) if os.path.islink(place) else Path(place).read_bytes()
            found[os.path.relpath(place, top)] = (os.lstat(place).st_mtime_ns, data)
    return found


def _differences(before: dict[str, tuple[int, bytes]], after: dict[str, tuple[int, bytes]]) -> list[str]:
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def _deleted(status: Iterable[str]) -> set[str]:
    """What is gone from the disk alone."""
    return {line[3:] for line in status if line[1] == "D"}


def _flat(status: Iterable[str]) -> list[str]:
    """Status lines in order; whether a change of bytes is also one of mode depends on the mode of the matrix."""
    return sorted(line[:2].replace("T", "M") + line[2:] for line in status)


# -- the table -----------------------------------------------------------------------------------------------------


class Table:
    """A pytest plugin that gathers the results of all cases."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, str]] = {}
        self.reasons: list[str] = []

    def pytest_runtest_call(self, item: pytest.Item) -> None:
        if (params := self._params(item)) is not None:
            case, mode = params
            item.user_properties.append(("verb", case.verb))
            item.user_properties.append(("mode", mode))
            item.user_properties.append(("reason", case.limit(mode).reason))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        said = dict(report.user_properties)
        if report.when == "call" and "verb" in said:
            row = self.rows.setdefault(str(said["verb"]), {})
            row[str(said["mode"])] = self._cell(report.outcome, str(said["reason"]))

    def _params(self, item: pytest.Item) -> tuple[Case, str] | None:
        params = getattr(getattr(item, "callspec", None), "params", {})
        case, mode = params.get("case"), params.get("mode")
        return (case, mode) if isinstance(case, Case) and isinstance(mode, str) else None

    def _cell(self, outcome: str, reason: str) -> str:
        if outcome != "passed":
            return outcome
        if not reason:
            return "ok"
        if reason not in self.reasons:
            self.reasons.append(reason)
        return f"limit {self.reasons.index(reason) + 1}"

    def text(self) -> str:
        """The table in Markdown, and its limits below."""
        lines = ["| verb | hooks on | skipped | absent |", "|---|---|---|---|"]
        for verb, row in self.rows.items():
            lines.append("| " + " | ".join([f"`{verb}`", *(row.get(mode, "") for mode in MODES)]) + " |")
        return "\n".join([*lines, "", *(f"{number}. {reason}" for number, reason in enumerate(self.reasons, 1))])


def main(words: Sequence[str]) -> int:
    """Runs the cases (those of the files and options given, else all) and prints the table."""
    os.environ["TEST_VERBS"] = "all"
    table = Table()
    here = Path(__file__).parent
    files = [str(each) for each in sorted(here.glob("test_verbs_*.py"))]
    given = [word for word in words if word.endswith(".py")]
    options = [word for word in words if word not in given]
    status = pytest.main(["-q", *options, *(given or files)], plugins=[table])
    print(table.text())
    return int(status)


if __name__ == "__main__":
    # The module that the cases were made of, not this second copy of it under another name.
    from tests import verbs

    sys.exit(verbs.main(sys.argv[1:]))
