"""What must hold after a fault in some verbs, and what must be possible once they were completed."""

import json
from collections.abc import Iterable

from PIL import Image

from tests import collecting, oracle
from tests.faults import states
from tests.faults.worlds import STORE, World
from tests.gitrepo import GitRepo
from tests.oracle import digest

_PRUNE = ("gc", "--prune", "--grace", "0")
LOOSE = {digest(data) for data in states.LOOSE}


def pull(world: World) -> None:
    """What was dropped comes back."""
    world.repo.tool("pull")


def follow(world: World) -> None:
    world.repo.tool("status")


# -- collection --------------------------------------------------------------------------------------------------------


def nothing_lost(world: World) -> None:
    """What was under its name or in the trash still is, whole, but for what was old there."""
    before = {place.name[:64] for place in (world.pristine / STORE / "trash").iterdir()}
    before |= {place.parent.name + place.name for place in (world.pristine / STORE / "objects").glob("??/*")}
    trash = list((world.folder / STORE / "trash").iterdir())
    for place in trash:
        assert digest(place.read_bytes()) == place.name[:64], place
    found = collecting.objects(world.folder / STORE) | {place.name[:64] for place in trash}
    assert before - found <= {digest(states.OLD)}, before - found


def collected(world: World) -> None:
    """Collecting again leaves what is named under its name, all else in the trash; and all of it can be undone."""
    store = world.folder / STORE
    collecting.age(store)
    world.repo.tool(*_PRUNE)
    assert named(world.repo) <= collecting.objects(store)
    trash, objects = collecting.trashed(store), collecting.objects(store)
    # What came back just before the fault may be in both; what was old in the trash goes only once two runs saw that.
    assert trash >= LOOSE and objects >= trash - LOOSE - {digest(states.OLD)} and not objects & LOOSE, (trash, objects)
    nothing_lost(world)
    undo_all(world.repo)
    assert named(world.repo) | LOOSE <= collecting.objects(store)
    nothing_lost(world)


def brought_back(world: World) -> None:
    """What the undo brought back is there, and nothing else is left to undo."""
    undo_all(world.repo)
    assert named(world.repo) | LOOSE <= collecting.objects(world.folder / STORE)


def kept(world: World) -> None:
    """What is kept is there, though nothing else names it."""
    store = world.folder / STORE
    assert digest(states.LOOSE[0]) in world.repo.tool("keep", "--list", "--json").out
    collecting.age(store)
    world.repo.tool(*_PRUNE)
    assert collecting.objects(store) & LOOSE == {digest(states.LOOSE[0])}
    nothing_lost(world)


def named(repo: GitRepo) -> set[str]:
    """The hashes of all links in all commits."""
    oids = [line.split(" ")[0] for line in repo.git("rev-list", "--objects", "--all").out.splitlines()]
    texts = (data.decode("utf-8", "replace") for data in oracle.read_blobs(repo, oids).values())
    return {hash_ for text in texts if (hash_ := oracle.linked_hash(text))}


def undo_all(repo: GitRepo, most: int = 4) -> None:
    """Reverses operation after operation until none is left."""
    for _ in range(most):
        done = repo.tool("undo", check=False)
        if done.code == 2 and "nothing to undo" in done.err:
            return
        if done.code == 20 and "nothing of what was done can be undone any more" in done.err:
            return
        assert done.code == 0, (done.out, done.err)
    raise AssertionError("there is always something left to undo")


# -- the work tree -----------------------------------------------------------------------------------------------------


def undone(world: World) -> None:
    """Nothing of it remains when it is undone."""
    undo_all(world.repo)


def resolved(world: World) -> None:
    """The merge is committed, with both heroes in it."""
    assert world.repo.git("rev-parse", "--verify", "HEAD^2").code == 0
    heroes = oracle.digest(world.repo.read(states.HERO_PATH)), *_variants(world.repo)
    assert len(heroes) == 2, heroes


def _variants(repo: GitRepo) -> Iterable[str]:
    return [oracle.digest(place.read_bytes()) for place in (repo.path / "assets").rglob("hero.variant-*.png")]


def set_up_again(world: World) -> None:
    """Files are files, nothing of ours is left in git's config; and undo sets it all up again."""
    repo = world.repo
    places = [states.HERO_PATH, states.THEME_PATH, states.FILM_PATH, states.ROOM_PATH]
    assert not any((repo.path / path).is_symlink() for path in places)
    assert repo.read(states.FILM_PATH) == states.FILM and not (repo.path / ".comfyvn").is_symlink()
    assert "filter.comfyvn" not in repo.git("config", "--list", "--local").out
    repo.tool("undo")
    assert repo.tool("doctor", "--json").json()["findings"] == []


def previews(world: World) -> None:
    """Each preview is there and whole."""
    check_previews(world)
    thumbs = {each["view"]: each["thumb"] for each in world.repo.tool("list", "--json").json()}
    for path in (states.HERO_PATH, states.THEME_PATH, states.ROOM_PATH):
        assert thumbs[path] and (world.repo.path / thumbs[path]).is_file(), (path, thumbs[path])


def check_previews(world: World) -> None:
    """No preview is half written."""
    for place in sorted(world.repo.path.glob("cache/thumbs/*")):
        if place.suffix == ".json":
            assert json.loads(place.read_bytes()), place
        else:
            with Image.open(place) as picture:
                picture.load()


# -- other programs, other people --------------------------------------------------------------------------------------


def migrated(world: World) -> None:
    """All art is ours now, and no pointer and no bytes of it are left in what is checked out."""
    assert oracle.raw_blobs(world.repo) == []
    assert "filter=lfs" not in world.repo.git("show", "HEAD:.gitattributes", check=False).out
    assert not (world.repo.path / ".git/lfs/objects").is_dir() or not any(
        place.is_file() for place in (world.repo.path / ".git/lfs/objects").rglob("*")
    )


def rewritten(world: World) -> None:
    """No commit of a branch holds art."""
    for commit in world.repo.git("rev-list", "--branches").out.splitlines():
        assert oracle.raw_blobs(world.repo, commit) == [], commit
    assert world.repo.git("rev-list", "--count", "--branches").out == "4"


def exchanged(world: World) -> None:
    """Both sides' commits and bytes are here, with git's remote and with ours."""
    repo, hub = world.repo, GitRepo(world.folder / "hub.git")
    assert hub.git("rev-parse", "main").out == repo.head()
    assert named(repo) <= collecting.objects(world.folder / "disk")
    assert len(named(repo)) == 4
