"""Repositories in the state before a verb, and the verb: what it runs, what of it is ours, how it is completed."""

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import media
from tests.gitrepo import GitRepo

HERO, NEW = media.comfy_png(1), media.comfy_png(2)
THEME = media.wav()
FILM = random.Random(8).randbytes((1 << 20) + 300_000)
ROOM = media.png(40, 40, seed=3, noise=True)
HERO_PATH, THEME_PATH, FILM_PATH, ROOM_PATH = (
    "assets/characters/hero.png",
    "assets/music/theme.wav",
    "assets/video/film.bin",
    "assets/rooms/room.png",
)
TOOL = ["-P", "-m", "comfyvn_store"]
STORE = "repo/.git/comfyvn"


@dataclass(frozen=True)
class Verb:
    """A verb and what it needs. `role` is a shell pattern for the arguments of the traced process, "" where that is the
    command itself; `codes` are the exit codes with which it may say that the machine failed."""

    name: str
    make: Callable[[Path], None]
    command: tuple[str, ...]
    mine: tuple[bytes, ...]
    role: str = ""
    again: tuple[tuple[str, ...], ...] = ()
    stores: tuple[str, ...] = (STORE,)
    codes: tuple[int, ...] = (16,)

    def words(self) -> list[str]:
        """The command as the tracer runs it."""
        return ["git", *self.command] if self.role else [*TOOL, *self.command]

    def complete(self, repo: GitRepo) -> None:
        """Runs the verb again, without faults, and commits what it left to commit."""
        if self.role:
            for words in self.again or (self.command,):
                repo.git(*words, check=words[0] != "commit")
        else:
            repo.tool(*self.command)
        repo.git("add", "assets")
        repo.git("commit", "-qm", "completed", check=False)


class World:
    """The folder in which one verb is tried again and again, each time from the same state."""

    def __init__(self, folder: Path, verb: Verb) -> None:
        self.verb = verb
        self.folder = folder / "world"
        self._pristine = folder / "pristine"
        self.repo = GitRepo(self.folder / "repo")
        self.stores = [self.folder / name for name in verb.stores]

    def make(self) -> None:
        """Makes the state before the verb."""
        self.folder.mkdir()
        GitRepo.create(self.repo.path)
        # The copies have other inodes and other times of change than git noted; nothing else is different.
        self.repo.git("config", "core.checkStat", "minimal")
        self.repo.git("config", "core.trustctime", "false")
        self.verb.make(self.folder)

    def keep(self) -> None:
        """Remembers the state as it is now."""
        shutil.copytree(self.folder, self._pristine, symlinks=True)

    def reset(self) -> None:
        """Goes back to it."""
        remove(self.folder)
        shutil.copytree(self._pristine, self.folder, symlinks=True)
        for folder, names, files in os.walk(self._pristine):
            for name in (*names, *files):
                place = Path(folder, name)
                info = place.lstat()
                target = self.folder / place.relative_to(self._pristine)
                os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)


def remove(folder: Path) -> None:
    """Removes a world, whatever modes its files have."""
    shutil.rmtree(folder, ignore_errors=True)


# -- the states --------------------------------------------------------------------------------------------------------


def _sources(world: Path) -> GitRepo:
    repo = _initialised(world)
    (world / "src").mkdir()
    for name, data in (("hero.png", HERO), ("new.png", NEW), ("theme.wav", THEME), ("film.bin", FILM)):
        (world / "src" / name).write_bytes(data)
    return repo


def _initialised(world: Path) -> GitRepo:
    repo = GitRepo(world / "repo")
    repo.tool("init")
    return repo


def _raw(world: Path) -> None:
    repo = GitRepo(world / "repo")
    repo.write(HERO_PATH, HERO)
    repo.write(THEME_PATH, THEME)
    repo.write("readme", "a game")
    repo.git("add", "readme")
    repo.git("commit", "-qm", "begin")


def _files(world: Path) -> None:
    repo = _initialised(world)
    for path, data in ((HERO_PATH, HERO), (THEME_PATH, THEME), (FILM_PATH, FILM), (ROOM_PATH, ROOM)):
        repo.write(path, data)


def _staged(world: Path) -> None:
    _files(world)
    GitRepo(world / "repo").git("add", "assets")


def _committed(world: Path) -> None:
    _staged(world)
    GitRepo(world / "repo").commit("art")


def _edited(world: Path) -> None:
    _committed(world)
    GitRepo(world / "repo").write(HERO_PATH, NEW)


def _branches(world: Path) -> None:
    _edited(world)
    repo = GitRepo(world / "repo")
    repo.git("switch", "-qc", "other")
    repo.git("add", "assets")
    repo.commit("new hero")
    repo.git("rm", "-q", THEME_PATH, THEME_PATH + ".asset.json")
    repo.commit("no theme")
    repo.git("switch", "-q", "main")


def _taken(world: Path) -> None:
    repo = _sources(world)
    repo.write(HERO_PATH, HERO)
    repo.git("add", "assets")
    repo.commit("hero")


def _with_remote(world: Path) -> None:
    _committed(world)
    GitRepo(world / "repo").tool("remote", "add", "disk", str(world / "disk"))


def _pushed(world: Path) -> None:
    _with_remote(world)
    GitRepo(world / "repo").tool("push")


def _dropped(world: Path) -> None:
    _pushed(world)
    GitRepo(world / "repo").tool("drop", "assets")


def _unindexed(world: Path) -> None:
    _branches(world)
    for place in (world / STORE).glob("index.db*"):
        place.unlink()


def _written_through(world: Path) -> None:
    _pushed(world)
    place = (world / "repo" / HERO_PATH).resolve()
    place.chmod(0o644)
    place.write_bytes(NEW)


ALL = (HERO, THEME, FILM, ROOM)
_PRE_COMMIT, _POST_COMMIT, _FILTER = "*' pre-commit'", "*' post-commit'", "*'filter comfyvn'"
VERBS = (
    Verb("init", _raw, ("init",), (HERO, THEME)),
    Verb(
        "register",
        _sources,
        ("register", "../src/hero.png", "../src/theme.wav", "../src/film.bin", "--type", "characters"),
        (),
    ),
    Verb("adopt", _files, ("register", HERO_PATH, "--type", "characters", "--no-copy"), ALL),
    Verb(
        "replace",
        _taken,
        ("register", "../src/new.png", "--type", "characters", "--name", "hero.png", "--replace"),
        (HERO,),
    ),
    Verb("add", _files, ("add", "assets"), ALL, _FILTER),
    Verb("commit", _staged, ("commit", "-qm", "art"), ALL, _PRE_COMMIT),
    Verb("committed", _staged, ("commit", "-qm", "art"), ALL, _POST_COMMIT),
    Verb("commit-all", _edited, ("commit", "-qam", "art"), (*ALL, NEW), _FILTER),
    Verb(
        "switch",
        _branches,
        ("switch", "-q", "other"),
        (*ALL, NEW),
        "*' post-checkout '*",
    ),
    Verb("annotate", _committed, ("annotate", HERO_PATH, THEME_PATH, "--tag", "new", "--license", "CC0"), ALL),
    Verb("rebuild", _unindexed, ("rebuild",), (*ALL, NEW), codes=(1, 16)),
    Verb("recover", _written_through, ("recover", HERO_PATH), (NEW, THEME, FILM, ROOM), stores=(STORE, "disk")),
    Verb("push", _with_remote, ("push",), ALL, stores=(STORE, "disk"), codes=(15, 16)),
    Verb("pull", _dropped, ("pull", "--jobs", "2"), ALL, stores=(STORE, "disk")),
    Verb("drop", _pushed, ("drop", "assets"), ALL, stores=(STORE, "disk")),
)
