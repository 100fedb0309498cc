"""Repositories in the state before a verb."""

import functools
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from tests import collecting, media, migrants
from tests.faults.worlds import STORE, copy, remove
from tests.fsckrepo import flipped, overwrite
from tests.gitrepo import GitRepo, run
from tests.oracle import digest

HERO, NEW, NEWER = (media.comfy_png(seed) for seed in (1, 2, 3))
THEME = media.wav()
FILM = random.Random(8).randbytes((1 << 20) + 300_000)
ROOM = media.png(40, 40, seed=3, noise=True)
# Objects that nothing names, and one that lies in the trash for so long that it goes.
LOOSE = tuple(random.Random(seed).randbytes(5_000) for seed in (21, 22))
OLD = random.Random(23).randbytes(5_000)
HERO_PATH, THEME_PATH, FILM_PATH, ROOM_PATH = (
    "assets/characters/hero.png",
    "assets/music/theme.wav",
    "assets/video/film.bin",
    "assets/rooms/room.png",
)
SUFFIX = ".asset.json"


def kept(make: Callable[[Path], None]) -> Callable[[Path], None]:
    """Makes a state once for each folder that worlds are made in; from then on it is copied."""

    @functools.wraps(make)
    def made(world: Path) -> None:
        copied = world.parent / "states" / make.__name__
        if not copied.exists():
            make(world)
            copy(world, copied)
        else:
            remove(world)
            copy(copied, world)

    return made


@kept
def begun(world: Path) -> None:
    """A repository and nothing in it."""
    repo = GitRepo.create(world / "repo")
    # The copies have other inodes and other times of change than git noted; nothing else is different.
    repo.git("config", "core.checkStat", "minimal")
    repo.git("config", "core.trustctime", "false")


@kept
def sources(world: Path) -> None:
    initialised(world)
    (world / "src").mkdir()
    for name, data in (("hero.png", HERO), ("new.png", NEW), ("theme.wav", THEME), ("film.bin", FILM)):
        (world / "src" / name).write_bytes(data)


@kept
def imported(world: Path) -> None:
    sources(world)
    GitRepo(world / "repo").tool("import", "../src", "--type", "characters", "--no-alike")


@kept
def initialised(world: Path) -> None:
    begun(world)
    GitRepo(world / "repo").tool("init")


@kept
def raw(world: Path) -> None:
    begun(world)
    repo = GitRepo(world / "repo")
    repo.write(HERO_PATH, HERO)
    repo.write(THEME_PATH, THEME)
    repo.write("readme", "a game")
    repo.git("add", "readme")
    repo.git("commit", "-qm", "begin")


@kept
def files(world: Path) -> None:
    initialised(world)
    repo = GitRepo(world / "repo")
    for path, data in ((HERO_PATH, HERO), (THEME_PATH, THEME), (FILM_PATH, FILM), (ROOM_PATH, ROOM)):
        repo.write(path, data)


@kept
def staged(world: Path) -> None:
    files(world)
    GitRepo(world / "repo").git("add", "assets")


@kept
def committed(world: Path) -> None:
    staged(world)
    GitRepo(world / "repo").commit("art")


@kept
def edited(world: Path) -> None:
    committed(world)
    GitRepo(world / "repo").write(HERO_PATH, NEW)


@kept
def branches(world: Path) -> None:
    edited(world)
    repo = GitRepo(world / "repo")
    repo.git("switch", "-qc", "other")
    repo.git("add", "assets")
    repo.commit("new hero")
    repo.git("rm", "-q", THEME_PATH, THEME_PATH + SUFFIX)
    repo.commit("no theme")
    repo.git("switch", "-q", "main")


@kept
def conflict(world: Path) -> None:
    """A merge that stopped: both sides have a hero of their own."""
    branches(world)
    repo = GitRepo(world / "repo")
    repo.write(HERO_PATH, NEWER)
    repo.commit("newer hero", "-a")
    assert repo.git("merge", "-q", "other", check=False).code == 1


@kept
def taken(world: Path) -> None:
    sources(world)
    repo = GitRepo(world / "repo")
    repo.write(HERO_PATH, HERO)
    repo.git("add", "assets")
    repo.commit("hero")


@kept
def annotated(world: Path) -> None:
    committed(world)
    GitRepo(world / "repo").tool("annotate", HERO_PATH, THEME_PATH, "--tag", "new")


# -- remotes -----------------------------------------------------------------------------------------------------------


@kept
def with_remote(world: Path) -> None:
    committed(world)
    GitRepo(world / "repo").tool("remote", "add", "disk", str(world / "disk"))


@kept
def pushed(world: Path) -> None:
    with_remote(world)
    GitRepo(world / "repo").tool("push")


@kept
def dropped(world: Path) -> None:
    pushed(world)
    GitRepo(world / "repo").tool("drop", "assets")


@kept
def apart(world: Path) -> None:
    """A colleague has pushed another hero; here is a room that nobody else has."""
    initialised(world)
    repo, hub = GitRepo(world / "repo"), world / "hub.git"
    run(["git", "init", "-q", "--bare", str(hub)], cwd=world)
    repo.git("remote", "add", "origin", str(hub))
    repo.tool("remote", "add", "disk", str(world / "disk"))
    repo.write(HERO_PATH, HERO)
    repo.write(THEME_PATH, THEME)
    repo.git("add", "-A")
    repo.commit("art")
    repo.git("push", "-qu", "origin", "main")
    run(["git", "clone", "-q", str(hub), "noor"], cwd=world)
    other = GitRepo(world / "noor")
    other.tool("init")
    other.tool("remote", "trust", "disk")
    other.write(HERO_PATH, NEW)
    other.commit("new hero", "-a")
    other.git("push", "-q")
    repo.write(ROOM_PATH, ROOM)
    repo.git("add", "assets")
    repo.commit("room")


# -- the store ---------------------------------------------------------------------------------------------------------


@kept
def unindexed(world: Path) -> None:
    branches(world)
    for place in (world / STORE).glob("index.db*"):
        place.unlink()


@kept
def written_through(world: Path) -> None:
    pushed(world)
    place = (world / "repo" / HERO_PATH).resolve()
    place.chmod(0o644)
    place.write_bytes(NEW)


@kept
def damaged(world: Path) -> None:
    """A rotten object and a missing one; a sidecar is gone."""
    pushed(world)
    repo = GitRepo(world / "repo")
    overwrite((repo.path / FILM_PATH).resolve(), flipped(FILM))
    (repo.path / ROOM_PATH).resolve().unlink()
    (repo.path / (THEME_PATH + SUFFIX)).unlink()


@kept
def collectable(world: Path) -> None:
    """Two objects that nothing names; the theme lies in the trash, though it is named, and so does what is old."""
    edited_twice(world)
    repo, store = GitRepo(world / "repo"), world / STORE
    for number, data in enumerate((*LOOSE, OLD)):
        path = f"assets/loose/{number}.bin"
        repo.write(path, data)
        repo.git("add", path)
        repo.git("rm", "-qf", path)
    to_trash(store, digest(OLD), time.time() - 90 * 86400)
    to_trash(store, digest(media.marked(THEME)), time.time() - 60)
    collecting.age(store)


@kept
def edited_twice(world: Path) -> None:
    edited(world)
    repo = GitRepo(world / "repo")
    repo.git("add", "assets")
    repo.commit("new hero")


def to_trash(store: Path, hash_: str, at: float) -> None:
    """Moves an object to the trash, as if that had been done at some time (RFC 9562, section 5.7)."""
    moment = f"{int(at * 1000):012x}"
    name = f"{hash_}-{moment[:8]}-{moment[8:]}-7000-8000-{hash_[:12]}"
    os.rename(store / "objects" / hash_[:2] / hash_[2:], store / "trash" / name)


@kept
def collected(world: Path) -> None:
    collectable(world)
    GitRepo(world / "repo").tool("gc", "--prune", "--grace", "0")
    collecting.age(world / STORE)


# -- other programs ----------------------------------------------------------------------------------------------------


@kept
def pointers(world: Path) -> None:
    """A clone of a repository with Git LFS whose objects were fetched and not checked out."""
    begun(world)
    repo = GitRepo(world / "repo")
    migrants.write_pointers(repo, {HERO_PATH: HERO, FILM_PATH: FILM, ROOM_PATH: ROOM})
    repo.tool("init")
    repo.commit("init")


@kept
def raw_committed(world: Path) -> None:
    """git itself has the art: two heroes in the history, a theme and a room."""
    begun(world)
    repo = GitRepo(world / "repo")
    for message, path, data in (("one", HERO_PATH, NEW), ("two", HERO_PATH, HERO), ("three", THEME_PATH, THEME)):
        repo.write(path, data)
        repo.write(ROOM_PATH, ROOM)
        repo.git("add", "-A")
        repo.commit(message)
    repo.git("branch", "other", "HEAD~1")
    repo.tool("init")
    repo.commit("init")
