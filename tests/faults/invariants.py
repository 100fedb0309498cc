"""What must hold after any fault, whatever it was and wherever it struck."""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests import oracle
from tests.faults.worlds import World
from tests.gitrepo import GitRepo

SUFFIX = ".asset.json"


def check(world: World, damaged: Mapping[Path, str] | None = None) -> None:
    """All of it. `damaged` are the objects that were that before, with the hashes of their bytes."""
    for place in world.stores:
        check_objects(place, damaged or {})
    check_mine(world)
    check_git(world.repo, () if world.verb.has_raw else world.verb.mine)
    check_sidecars(world.repo)
    if world.verb.holds is not None:
        world.verb.holds(world)


def objects(store: Path) -> Iterator[Path]:
    """The files that stand under objects' names."""
    return (path for path in (store / "objects").glob("*/*") if not path.is_dir())


def wrong(stores: Iterable[Path]) -> dict[Path, str]:
    """The objects that have other bytes than their name says, and the hashes of those."""
    found = {place: hashlib.sha256(place.read_bytes()).hexdigest() for store in stores for place in objects(store)}
    return {place: hash_ for place, hash_ in found.items() if hash_ != place.parent.name + place.name}


def check_objects(store: Path, damaged: Mapping[Path, str]) -> None:
    """What has an object's name has its bytes, all of them, and nobody can write to it."""
    for place in objects(store):
        name = place.parent.name + place.name
        if place in damaged and hashlib.sha256(place.read_bytes()).hexdigest() == damaged[place]:
            continue
        assert len(name) == 64, place
        info = place.lstat()
        assert stat.S_ISREG(info.st_mode) and stat.S_IMODE(info.st_mode) == 0o444, (place, oct(info.st_mode))
        assert hashlib.sha256(place.read_bytes()).hexdigest() == name, (place, info.st_size)


def check_mine(world: World) -> None:
    """The user's bytes are in the work tree, under an object's name, or where the verb takes them from or puts them."""
    wanted = set(world.verb.mine)
    folders = [world.repo.path / "assets", *world.others]
    places = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    places += [path for store in world.stores for path in objects(store)]
    for place in places:
        found = place.read_bytes()
        wanted = {data for data in wanted if not is_of(found, data)}
    assert not wanted, [data[:40] for data in wanted]


def is_of(found: bytes, data: bytes) -> bool:
    """Whether bytes are the user's, perhaps with our marker: before a PNG's last chunk, at a WAV's end."""
    if data.startswith(b"RIFF"):  # its length is another one then
        return found == data or (found[:4] == b"RIFF" and found[8:].startswith(data[8:] + b"id3 "))
    return found == data or (
        data.startswith(b"\x89PNG") and found.startswith(data[:-12]) and found.endswith(data[-12:])
    )


def check_git(repo: GitRepo, mine: Iterable[bytes]) -> None:
    """git finds its repository sound, and no bytes of art in it."""
    done = repo.git("fsck", "--no-dangling", "--no-progress", check=False)
    assert done.code == 0, done.out + done.err
    done = repo.git("-c", "filter.comfyvn.process=", "-c", "filter.comfyvn.required=false", "status", check=False)
    assert done.code == 0, done.err
    shown = [line for line in repo.status() if ".comfyvn-tmp" in line or line.endswith("/.comfyvn")]
    assert not shown, shown
    sizes = {len(data) for data in mine}
    listing = repo.git("cat-file", "--batch-all-objects", "--batch-check").out.splitlines()
    blobs = [line.split(" ")[0] for line in listing if " blob " in line and int(line.split(" ")[2]) in sizes]
    raw = {hashlib.sha256(data).hexdigest() for data in mine}
    for oid, data in oracle.read_blobs(repo, blobs).items():
        assert hashlib.sha256(data).hexdigest() not in raw, oid


def check_sidecars(repo: GitRepo) -> None:
    """No sidecar is half written."""
    for folder, _, names in os.walk(repo.path / "assets"):
        for name in names:
            place = Path(folder, name)
            # One that goes is a link that leads nowhere just before, as any file that is taken away.
            if place.is_symlink() and os.readlink(place).endswith("0" * 62):
                continue
            if name.endswith(SUFFIX):
                assert json.loads(place.read_bytes())["hash"], name


def check_said(said: str, *, fails: bool) -> None:
    """People read one line that says what is wrong, with a hint perhaps, and no traceback."""
    assert "Traceback" not in said and "this is a bug" not in said, said
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 if fails else not errors, said
