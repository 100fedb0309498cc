"""What tests of collection are made of: objects that nothing names, git objects that name them, and time that passes."""

import os
import time
from pathlib import Path

from comfyvn_store.ops import gc
from comfyvn_store.ops.gc import Collected
from comfyvn_store.vcs.repository import open_repository
from tests import media, oracle
from tests.gitrepo import GitRepo

HERO = "assets/characters/hero.png"


def begun(repo: GitRepo) -> None:
    """One commit of art, and no reflogs."""
    repo.git("config", "core.logAllRefUpdates", "false")
    repo.write(HERO, media.png(seed=1))
    repo.git("add", "assets")
    repo.commit("first")


def home(repo: GitRepo) -> Path:
    return Path(repo.git("rev-parse", "--path-format=absolute", "--git-common-dir").out, "comfyvn")


def age(store: Path, seconds: float = 3600) -> None:
    """Lets all objects have been added so long ago."""
    then = (int(time.time()) - int(seconds)) * 1_000_000_000
    for place in store.glob("objects/??/*"):
        os.utime(place, ns=(then, then))


def objects(store: Path) -> set[str]:
    """The hashes of the objects in a store; each is whole."""
    found = set()
    for place in store.glob("objects/??/*"):
        assert oracle.digest(place.read_bytes()) == place.parent.name + place.name
        found.add(place.parent.name + place.name)
    return found


def trashed(store: Path) -> set[str]:
    return {place.name[:64] for place in (store / "trash").iterdir()}


def collect(repo: GitRepo, *, grace: float = 0, prune: bool = True) -> Collected:
    """Collects in this process."""
    return gc.collect(open_repository(str(repo.path)), prune=prune, grace=grace)


class Loose:
    """An object that nothing names, and git objects that do: a blob, a tree, a commit on top of HEAD. None is named by git."""

    def __init__(self, repo: GitRepo, seed: int = 7) -> None:
        self.repo = repo
        self.store = home(repo)
        path = "assets/loose.png"
        repo.write(path, media.png(seed=seed))
        repo.git("add", path)
        self.blob = repo.staged(path)[1]  # type: ignore[index]
        self.text = repo.blob(f":{path}").decode()
        self.hash = oracle.linked_hash(self.text) or ""
        repo.git("rm", "-q", "-f", path)
        self.tree = repo.git("mktree", input=f"120000 blob {self.blob}\tloose.png\n").out
        self.commit = repo.git("commit-tree", self.tree, "-p", "HEAD", "-m", "loose").out
        assert self.hash in objects(self.store)

    @property
    def is_there(self) -> bool:
        return self.hash in objects(self.store)


def pair(art: GitRepo, folder: Path) -> GitRepo:
    """Lets a repository use the store `folder/shared`, and gives a clone of it that does, too."""
    other = GitRepo(folder / "other")
    art.git("clone", "-q", str(art.path), str(other.path))
    other.git("config", "core.logAllRefUpdates", "false")
    for repo in (art, other):
        repo.git("config", "comfyvn.store", str(folder / "shared"))
        repo.tool("init")
    return other


def loose_in(repo: GitRepo, store: Path, seed: int = 7) -> Loose:
    """Gives such an object of a repository whose store is elsewhere."""
    loose = Loose.__new__(Loose)
    loose.repo, loose.store = repo, store
    path = "assets/loose.png"
    repo.write(path, media.png(seed=seed))
    repo.git("add", path)
    loose.blob, loose.text = (repo.staged(path) or ("", ""))[1], repo.blob(f":{path}").decode()
    loose.hash = oracle.linked_hash(loose.text) or ""
    repo.git("rm", "-q", "-f", path)
    loose.tree = repo.git("mktree", input=f"120000 blob {loose.blob}\tloose.png\n").out
    loose.commit = repo.git("commit-tree", loose.tree, "-p", "HEAD", "-m", "loose").out
    return loose
