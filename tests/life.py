"""The life of some art in a repository, told with every kind of command once, with the invariants after each step."""

import os
from pathlib import Path

from tests import media, oracle
from tests.gitrepo import GitRepo, run

SKY = "assets/bg/sky.png"
HERO = "assets/cast/hero ä.png"


def live(repo: GitRepo, scratch: Path) -> None:
    """init, add, commit, annotate, register, a switch there and back, rebuild; then what each reading says."""
    repo.tool("init")
    repo.write(SKY, media.png(seed=1))
    repo.write(HERO, media.comfy_png(2))
    repo.git("add", "-A")
    first = repo.commit("first")
    assert oracle.raw_blobs(repo) == []
    assert [each["path"] for each in _by_commit(repo, first)] == ["bg/sky.png", "cast/hero ä.png"]
    before = repo.git("symbolic-ref", "--short", "HEAD").out
    repo.git("switch", "--quiet", "-c", "other")
    repo.write(SKY, media.png(seed=3))
    repo.git("add", "-A")
    repo.tool("annotate", HERO, "--tag", "lead")
    source = scratch / "in.png"
    source.write_bytes(media.png(seed=4))
    repo.tool("register", str(source), "--type", "props", "--name", "box.png")
    second = repo.commit("second")
    oracle.check_all(repo)
    repo.git("switch", "--quiet", before)
    oracle.check_all(repo)
    assert repo.tool("show", SKY, "--json").json()["commit"] == first
    repo.git("switch", "--quiet", "other")
    assert repo.tool("rebuild", "--verify", "--no-previews").err == ""
    oracle.check_all(repo)
    assert [each["path"] for each in _by_commit(repo, second)] == ["bg/sky.png", "props/box.png"]
    said = repo.tool("status", "--json").json()
    assert {key: value for key, value in said.items() if isinstance(value, list) and value} == {}
    oracle.check_index(repo, scratch)


def check_clone(repo: GitRepo, scratch: Path) -> None:
    """A clone lists the same assets with the same commits, and is as clean."""
    repo.tool("clone", os.path.realpath(repo.path), str(scratch / "clone"))
    clone = GitRepo(scratch / "clone")
    assert commits(clone) == commits(repo)
    assert clone.status() == []


def commits(repo: GitRepo) -> dict[str, str | None]:
    """The commit that the index names for each asset; each sidecar on disk names the same."""
    listed = {each["view"]: each["commit"] for each in repo.tool("list", "--json").json()}
    assert listed == {path: repo.sidecar(path)["provenance"]["commit"] for path in listed}
    return listed


def in_git_dir(git_dir: Path, *words: str) -> None:
    """Runs git on a git folder, wherever its work tree is."""
    run(["git", f"--git-dir={git_dir}", *words], cwd=git_dir.parent)


def _by_commit(repo: GitRepo, commit: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = repo.tool("provenance", "--commit", commit, "--json").json()
    assert {each["commit"] for each in found} == {commit}
    return sorted(found, key=lambda each: each["path"])
