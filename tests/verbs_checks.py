"""What is held against git and the disk after each verb of the matrix."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tests import media, oracle
from tests.gitrepo import GitRepo

if TYPE_CHECKING:
    from tests.verbs import Limit, Scene

LAST = "assets/sfx/last.wav"  # added by the commit that ends each case


def check_bytes(repo: GitRepo, edits: Mapping[str, bytes]) -> None:
    """No raw bytes are in any commit, each link that git has in a commit or its index has its whole object, and what the
    user did not stage is as it was, the marker of a sound apart."""
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
    for path, data in edits.items():
        assert not (repo.path / path).is_symlink(), path
        found = repo.read(path)
        # A sound that a stash gave back, be it git's own amid a verb, has passed the filters and carries its marker.
        assert found == data or (data.startswith(b"RIFF") and found == media.marked(data)), f"the edit of {path}"


def check_after_a_command(scene: "Scene", dirt: list[str], limit: "Limit") -> None:
    """A command has healed: sidecars name the right commit, views lead somewhere, another command changes nothing."""
    repo = scene.repo
    unfinished = oracle.unfinished(repo)
    staged = {line[3:].rpartition(" -> ")[2] for line in dirt if line[0] not in " ?"}
    assert unfinished - staged == set(limit.unfinished)
    deleted = _deleted(dirt)
    oracle.check_commits(repo, without_record=unfinished, deleted=deleted, misplaced=limit.misplaced)
    assert flat(repo.status()) == dirt, "after a command"
    assert _dangling(scene, staged) == set(limit.dangling)
    check_mirrors(repo)
    _grow_old(repo, scene.edits)
    before = contents(repo.path)
    oracle.check_index(repo, scene.scratch)  # reads, and makes another index
    assert _differences(before, contents(repo.path)) == []
    check_bytes(repo, scene.edits)


def _grow_old(repo: GitRepo, edits: Mapping[str, bytes]) -> None:
    """Dates files back and lets git note it: git asks the filter about files as young as its index, and notes that."""
    for path, _ in oracle.index_entries(repo):
        place = repo.path / path
        if path not in edits and place.is_file() and not place.is_symlink():
            then = place.stat().st_mtime_ns - 10_000_000_000
            os.utime(place, ns=(then, then))
    repo.git("update-index", "-q", "--refresh", check=False)
    repo.git("status")


def check_after_a_commit(scene: "Scene", dirt: list[str]) -> None:
    """The next commit of art, with hooks, has made everything a link with its sidecar; the one after takes in the edits."""
    repo = scene.repo
    if scene.mode == "absent":
        repo.tool("init")
        assert flat(repo.status()) == dirt, "after init"
    repo.write(LAST, media.wav(0.05, frequency=50.0))
    repo.git("add", LAST)
    repo.commit("the last")
    left = sorted(line if line[0] == "?" else " " + line[1:] for line in dirt if line[1] != " ")
    assert flat(repo.status()) == left, "after a commit of art"
    if left:
        oracle.check_views(repo, edited={*scene.edits, *_deleted(left)})
        oracle.check_commits(repo, deleted=_deleted(left))
        check_mirrors(repo)
        check_bytes(repo, scene.edits)
        repo.git("add", "-A")
        repo.commit("the edits")
        _check_taken_in(scene)
    oracle.check_all(repo)
    check_bytes(repo, {})


def _check_taken_in(scene: "Scene") -> None:
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


def _dangling(scene: "Scene", staged: set[str]) -> set[str]:
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


def flat(status: Iterable[str]) -> list[str]:
    """Status lines in order; whether a change of bytes is also one of mode depends on the mode of the matrix."""
    return sorted(line[:2].replace("T", "M") + line[2:] for line in status)
