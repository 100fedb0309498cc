"""Watching hooks: which of ours started Python, and which of others ran, while git is used on art."""

import itertools
import sys
from pathlib import Path

from tests import media, oracle
from tests.gitrepo import GitRepo

ALICE, CLUB = "assets/characters/alice.png", "assets/bg/club.png"
SH = '#!/bin/sh\necho {name} >>"$(git rev-parse --git-dir)/theirs.log"\n'
LOGGED = 'echo {name} >>"$(git rev-parse --git-dir)/theirs.log"'


def spy(repo: GitRepo) -> None:
    """Notes each hook for which our Python is started."""
    log, place = repo.path / ".git/ours.log", repo.path / ".git/spy"
    place.write_text(f"""#!/bin/sh\necho "$6" >>'{log}'\nexec '{sys.executable}' "$@"\n""")
    place.chmod(0o755)
    repo.git("config", "comfyvn.python", str(place))


def said(repo: GitRepo, whose: str) -> list[str]:
    """What ran since the last time."""
    log = repo.path / f".git/{whose}.log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


SEEDS = itertools.count()
STEPS = (
    (["commit", "-qm", "art"], ["pre-commit", "post-commit"], ["post-commit", "pre-commit"]),
    # a text is staged, so that pre-commit of ours leaves without Python; post-rewrite does after every amend
    (["commit", "-q", "--amend", "-m", "again"], ["post-commit"], ["post-commit", "post-rewrite", "pre-commit"]),
    (["switch", "-qc", "side", "HEAD~"], ["post-checkout"], ["post-checkout"]),
    (["switch", "-q", "main"], ["post-checkout"], ["post-checkout"]),
)


def commit_art(repo: GitRepo) -> None:
    """One commit of art, with a text: both ran once."""
    spy(repo)
    repo.write(ALICE, media.png(seed=next(SEEDS)))
    repo.write("readme.txt", f"{next(SEEDS)}")
    repo.git("add", "-A")
    said(repo, "ours"), said(repo, "theirs")
    repo.commit("art")
    assert said(repo, "ours") == ["pre-commit", "post-commit"]
    assert sorted(said(repo, "theirs")) == ["post-commit", "pre-commit"]
    assert repo.status() == []
    repo.tool("init")


def use_git(repo: GitRepo) -> None:
    """Adds, commits, amends, switches and rebases art; after each everything is as it should be, and ran once."""
    spy(repo)
    repo.write(ALICE, media.png(seed=next(SEEDS)))
    repo.git("add", "-A")
    said(repo, "ours"), said(repo, "theirs")
    for words, ours, theirs in STEPS:
        if "commit" in words:  # lefthook runs no pre-commit of a commit in which files only change their type
            repo.write("readme.txt", f"{next(SEEDS)}")
            repo.git("add", "-A")
        repo.git(*words)
        assert (words, said(repo, "ours"), sorted(said(repo, "theirs"))) == (words, ours, theirs)
        assert repo.status() == [], words
    repo.git("switch", "-q", "side")
    repo.write(CLUB, media.png(seed=next(SEEDS)))
    repo.git("add", "-A")
    repo.commit("club")
    said(repo, "ours"), said(repo, "theirs")
    repo.git("rebase", "-q", "main")
    assert said(repo, "ours") == ["post-rewrite"] and said(repo, "theirs").count("post-rewrite") == 1
    repo.git("switch", "-q", "main")
    repo.git("merge", "-q", "--ff-only", "side")
    repo.git("branch", "-qd", "side")
    oracle.check_all(repo)
    repo.tool("init")


def theirs_alone(repo: GitRepo) -> None:
    """After `uninstall` theirs run as before, and nothing of ours is among them."""
    repo.tool("uninstall")
    said(repo, "theirs"), said(repo, "ours")
    repo.write("readme.txt", f"{next(SEEDS)}")
    repo.git("commit", "-qm", "plain", "--", "readme.txt")
    assert sorted(said(repo, "theirs")) == ["post-commit", "pre-commit"] and said(repo, "ours") == []
    folder = Path(repo.git("rev-parse", "--path-format=absolute", "--git-path", "hooks").out)
    for place in folder.iterdir():
        assert "comfyvn" not in place.name and b"# comfyvn-store hook" not in place.read_bytes()


def begin(repo: GitRepo) -> None:
    repo.write("readme.txt", b"x")
    repo.git("add", "-A")
    repo.git("-c", "core.hooksPath=/dev/null", "commit", "-qm", "first")
