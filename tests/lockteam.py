"""People who share locks: a bare remote with some art, and a clone for each, with a name of their own."""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from comfyvn_store.vcs import lockrecord
from comfyvn_store.vcs.lockrecord import Lock
from tests import media
from tests.gitrepo import GitRepo

ALICE, CLUB, HERO = "assets/characters/alice.png", "assets/bg/club.png", "assets/characters/hero.png"
REF, THEIRS = "refs/comfyvn/locks", "refs/comfyvn/remotes/origin/locks"
NOW = 1_800_000_000.0
AT = lockrecord.stamp(NOW)


_made: dict[tuple[str, ...], Path] = {}


class Team:
    """The remote `hub`, and the clones that were made of it. `options` are those of `git init`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        if options not in _made:
            _made[options] = Path(tempfile.mkdtemp(dir=folder.parent))
            _make(_made[options], options)
        self._template = _made[options]
        shutil.copytree(self._template / "hub.git", folder / "hub.git")
        self.hub = GitRepo(folder / "hub.git")

    def clone(self, name: str, *options: str) -> GitRepo:
        """A clone of the hub (with options of `git clone`), set up, for somebody of that name."""
        if options:
            repo = _clone(self.hub, self.folder / name, self._template, options)
        else:
            shutil.copytree(self._template / "clone", self.folder / name, symlinks=True)
            repo = GitRepo(self.folder / name)
            repo.git("remote", "set-url", "origin", self.hub.path.as_uri())
            repo.git("update-index", "-q", "--refresh")
        repo.git("config", "user.name", name.capitalize())
        repo.git("config", "user.email", f"{name}@example.org")
        return repo

    def disconnect(self) -> None:
        """Takes the hub away."""
        self.hub.path.rename(self.folder / "elsewhere.git")

    def connect(self) -> None:
        """Brings it back."""
        (self.folder / "elsewhere.git").rename(self.hub.path)

    def held(self) -> dict[str, str]:
        """Who holds what on the hub: path to name."""
        return holders(self.hub)


def _make(folder: Path, options: Sequence[str]) -> None:
    hub = GitRepo.create(folder / "hub.git", "--bare", *options)
    first = GitRepo.create(folder / "first", *options)
    first.tool("init")
    for seed, path in enumerate((ALICE, CLUB, HERO)):
        first.write(path, media.png(seed=seed))
    first.git("add", "-A")
    first.commit("art")
    first.git("push", "-q", str(hub.path), "main")
    _clone(hub, folder / "clone", folder, ())


def _clone(hub: GitRepo, place: Path, template: Path, options: Sequence[str]) -> GitRepo:
    hub.git("clone", "-q", *options, hub.path.as_uri(), str(place))
    repo = GitRepo(place)
    repo.tool("init")
    # Bytes come another way than git; here all have them.
    store = template / "first/.git/comfyvn/objects"
    shutil.copytree(store, repo.path / ".git/comfyvn/objects", dirs_exist_ok=True)
    return repo


def holders(repo: GitRepo, ref: str = REF) -> dict[str, str]:
    """The locks of a ref: path to the owner's first name."""
    return {lock.path: lock.owner.partition(" ")[0] for lock in locks_in(repo, ref)}


def locks_in(repo: GitRepo, ref: str = REF) -> list[Lock]:
    """The locks of a ref, each read strictly and in its one encoding."""
    listing = repo.git("ls-tree", ref, check=False)
    found = []
    for line in listing.out.splitlines() if listing.code == 0 else []:
        about, _, name = line.partition("\t")
        assert about.startswith("100644 blob "), line
        data = repo.blob(about.split(" ")[2])
        lock = lockrecord.decode(data, name)
        assert lock is not None and lockrecord.encode(lock) == data, data
        found.append(lock)
    return found


def rows(repo: GitRepo, *words: str) -> list[dict[str, Any]]:
    """What `locks --json` lists."""
    found: list[dict[str, Any]] = repo.tool("locks", "--json", *words).json()["locks"]
    return found


def make(path: str = ALICE, owner: str = "Mika <mika@example.org>", branch: str | None = "main", **more: Any) -> Lock:
    """A lock that holds at NOW."""
    values: dict[str, Any] = {
        "id": "018f0000-0000-7000-8000-00000000000a",
        "path": path,
        "branch": branch,
        "owner": owner,
        "locked_at": lockrecord.stamp(NOW - 3600),
        "expires_at": lockrecord.stamp(NOW + 3600),
        "note": None,
        **more,
    }
    return Lock(**values)


def put(repo: GitRepo, files: dict[str, bytes | str], ref: str = REF, modes: Iterable[tuple[str, str]] = ()) -> str:
    """Makes a ref hold exactly these files, whatever they say; gives the commit."""
    mode = dict(modes)
    lines = []
    for name, data in files.items():
        oid = repo.git("hash-object", "-w", "--stdin", input=data).out
        lines.append(f"{mode.get(name, '100644')} blob {oid}\t{name}")
    tree = repo.git("mktree", input="".join(f"{line}\n" for line in lines)).out
    commit = repo.git("-c", "user.name=x", "-c", "user.email=x@y", "commit-tree", tree, "-m", "by hand").out
    repo.git("update-ref", ref, commit)
    return commit


def put_locks(repo: GitRepo, *locks: Lock, ref: str = REF) -> str:
    """Makes a ref hold exactly these locks."""
    return put(repo, {lock.name: lockrecord.encode(lock) for lock in locks}, ref)
