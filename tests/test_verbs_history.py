"""Rewriting all of history, searching it and tidying it up, with hooks, without them, and with the hooks gone: cases of
`tests/verbs.py`."""

import stat
import sys
from pathlib import Path

import pytest

from tests import verbs
from tests.gitrepo import run
from tests.verbs import BELL, DOOR, HERO, RIVAL, WIND, Cases, Limit, Scene, picture

CARD = ".asset.json"
MOVED = (
    "a rewritten history moves views and sidecars without pre-commit; the next commit of art sets their depth and path"
)

case = Cases()


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def filter_repo(scene: Scene, *words: str) -> None:
    """Runs git-filter-repo; every commit must be another one afterwards."""
    pytest.importorskip("git_filter_repo", reason="git-filter-repo is not installed")
    before = set(scene.repo.git("rev-list", "--all").out.split())
    command = [sys.executable, "-P", "-m", "git_filter_repo", "--force", "--quiet", *words]
    run(command, cwd=scene.repo.path, env=scene.env)
    assert not before & set(scene.repo.git("rev-list", "--all").out.split())


def filter_branch(scene: Scene, *words: str) -> None:
    before = set(scene.repo.git("rev-list", "--branches").out.split())
    scene.git("filter-branch", *words, "--", "--branches", "--tags", env={"FILTER_BRANCH_SQUELCH_WARNING": "1"})
    assert not before & set(scene.repo.git("rev-list", "--branches").out.split())


def objects(scene: Scene) -> dict[str, tuple[int, int, int]]:
    """What the store holds: each object's inode, time and mode."""
    folder = scene.repo.object_path("0" * 64).parent.parent
    found = {}
    for place in folder.rglob("*"):
        info = place.stat()
        if stat.S_ISREG(info.st_mode):
            found[place.parent.name + place.name] = (info.st_ino, info.st_mtime_ns, info.st_mode)
    return found


# -- rewriting -----------------------------------------------------------------------------------------------------


@case("filter-repo --message-callback")
def filter_messages(scene: Scene) -> None:
    filter_repo(scene, "--message-callback", "return b'art: ' + message")


@case(
    "filter-repo --path-rename",
    Limit(MOVED, misplaced=("assets/cast/hero.png", "assets/cast/rival.png"), modes=verbs.MODES),
)
def filter_rename(scene: Scene) -> None:
    filter_repo(scene, "--path-rename", "assets/characters/:assets/cast/")


@case(
    "filter-repo --path-rename, deeper",
    Limit(MOVED, misplaced=("assets/all/cast/hero.png", "assets/all/cast/rival.png"), modes=verbs.MODES),
)
def filter_deeper(scene: Scene) -> None:
    filter_repo(scene, "--path-rename", "assets/characters/:assets/all/cast/")


@case(
    "filter-repo --path-rename, shallower",
    Limit(MOVED, misplaced=("assets/town/inn.png",), dangling=("assets/town/inn.png",), modes=verbs.MODES),
)
def filter_shallower(scene: Scene) -> None:
    filter_repo(scene, "--path-rename", "assets/backgrounds/town/night/:assets/town/")


@case("filter-repo, dropping paths")
def filter_drop(scene: Scene) -> None:
    filter_repo(scene, "--path", "assets/characters/", "--path", "notes.txt", "--invert-paths", "--prune-empty=never")
    assert scene.repo.staged(HERO) is None and scene.repo.staged(DOOR) is not None


@case("filter-repo, keeping one folder")
def filter_keep(scene: Scene) -> None:
    filter_repo(scene, "--path", "assets/sfx/", "--path", "assets/.gitattributes")
    assert scene.repo.git("ls-files", "assets/characters").out == ""


@case("filter-branch --index-filter")
def branch_index(scene: Scene) -> None:
    filter_branch(scene, "--index-filter", f"git rm -q --cached --ignore-unmatch {BELL} {BELL}{CARD}")


@case("filter-branch --tree-filter", Limit(verbs.NO_PRE_COMMIT, unfinished=(HERO, RIVAL), modes=verbs.MODES))
def branch_tree(scene: Scene) -> None:
    for number, path in enumerate((HERO, RIVAL)):
        (scene.scratch / str(number)).write_bytes(picture(50 + number))
        script = f"echo more >> notes.txt; rm -f {path}; cp {scene.scratch / str(number)} {path}"
        filter_branch(scene, "-f", "--tree-filter", script)
    assert ".comfyvn" not in scene.repo.git("log", "--all", "--name-only", "--format=").out


@case("filter-branch --msg-filter")
def branch_messages(scene: Scene) -> None:
    filter_branch(scene, "--msg-filter", "sed s/^/art:\\ /")


# -- searching -----------------------------------------------------------------------------------------------------


def lengthen(scene: Scene) -> None:
    """Adds commits with art, made with hooks in every mode: what is tried is the search, not the commits."""
    if scene.mode == "absent":
        scene.tool("init")
    for seed in range(60, 66):
        scene.repo.write(HERO, picture(seed))
        scene.repo.git("add", HERO)
        scene.repo.commit(f"hero {seed}")
    if scene.mode == "absent":
        verbs.take_hooks_away(scene.repo)


@case("bisect run, reset")
def bisect_run(scene: Scene) -> None:
    lengthen(scene)
    scene.git("bisect", "start")
    scene.git("bisect", "bad")
    scene.git("bisect", "good", "first")
    script = 'comfyvn-store list >/dev/null && test -z "$(git status --porcelain)" || exit 255\n'
    script += 'test "$(comfyvn-store show --json assets/characters/hero.png | grep -c \'"seed": 6[3-9]\')" = 0\n'
    (scene.scratch / "test.sh").write_text(script)
    scene.git("bisect", "run", "sh", str(scene.scratch / "test.sh"))
    assert scene.repo.git("log", "-1", "--format=%s", "refs/bisect/bad").out == "hero 63"
    scene.git("bisect", "reset")


@case("bisect by hand")
def bisect(scene: Scene) -> None:
    lengthen(scene)
    scene.git("bisect", "start", "HEAD", "first")
    for word in ("good", "skip"):
        scene.git("bisect", word)
        scene.pause()


# -- tidying up ----------------------------------------------------------------------------------------------------


@case("gc, repack, pack-refs, prune, reflog expire")
def collect(scene: Scene) -> None:
    scene.git("branch", "-q", "-D", "clash", "plain")
    scene.tool("list")
    before = objects(scene)
    scene.git("reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all")
    scene.git("gc", "-q", "--aggressive", "--prune=now")
    scene.git("repack", "-q", "-a", "-d")
    scene.git("pack-refs", "--all", "--prune")
    scene.git("prune", "--expire=now")
    assert objects(scene) == before


@case("notes")
def notes(scene: Scene) -> None:
    scene.git("notes", "add", "-m", "good light", "HEAD")
    scene.git("notes", "append", "-m", "and shadow", "HEAD")
    scene.git("notes", "--ref", "review", "add", "-m", "approved", "first")
    scene.git("notes", "remove", "HEAD")


@case("tag, tag -d, branch -m, branch -D")
def names(scene: Scene) -> None:
    scene.git("tag", "-a", "-m", "a version", "v1", "other")
    scene.git("branch", "-q", "-D", "other")
    scene.pause()
    assert WIND in {each["path"] for each in provenance(scene)}
    scene.git("tag", "-d", "v1")
    scene.git("tag", "-d", "first")
    scene.git("branch", "-m", "clash", "elsewhere")
    scene.git("branch", "-m", "trunk")
    assert WIND not in {each["path"] for each in provenance(scene)}


def provenance(scene: Scene) -> list[dict[str, str]]:
    return [each | {"path": f"assets/{each['path']}"} for each in scene.tool("provenance", "--json").json()]


@case("replace --graft")
def replace(scene: Scene) -> None:
    scene.git("replace", "--graft", "HEAD")
    assert scene.repo.git("rev-list", "--count", "HEAD").out == "1"


@case("replace, replace -d")
def replace_back(scene: Scene) -> None:
    old = scene.repo.git("rev-parse", "HEAD~1").out
    tree = scene.repo.git("rev-parse", f"{old}^{{tree}}").out
    scene.git("replace", old, scene.repo.git("commit-tree", "-m", "another", tree).out)
    scene.pause()
    scene.git("replace", "-d", old)


@case.matrix(every=4)
def test_history(case: verbs.Case, mode: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    verbs.check(case, mode, tmp_path_factory, tmp_path)
