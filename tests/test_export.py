"""`export`: a plain tree of a revision, whole or not there."""

import os
import stat
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.gitrepo import GitRepo
from tests.media import comfy_png, wav
from tests.oracle import digest
from tests.templates import copied, shared

ART = ["game/images/mira.png", "game/images/mira happy.png", "game/audio/theme.wav"]


def fill(repo: GitRepo) -> None:
    """A small Ren'Py game whose art is committed as links and, one of it, as a file."""
    repo.git("config", "comfyvn.assetsRoot", "game")
    repo.tool("init")
    repo.write(".gitattributes", "tools/ export-ignore\n")
    repo.write("game/.gitattributes", repo.read("game/.gitattributes") + b"*.rpy -filter text eol=crlf !merge\n")
    repo.write("game/script.rpy", "label start:\n    show mira\n")
    repo.write("gui/version.txt", "1.0\n")
    repo.write("game/images/über/pfad.png", comfy_png(4))
    repo.write("tools/build.sh", "#!/bin/sh\n")
    repo.write("run.sh", "#!/bin/sh\n")
    os.chmod(repo.path / "run.sh", 0o755)
    os.symlink("game/images/mira.png", repo.path / "cover.png")
    for number, path in enumerate(ART[:2]):
        repo.write(path, comfy_png(number))
    repo.write(ART[2], wav())
    repo.git("add", "-A")
    repo.commit("a game")
    repo.tool("annotate", ART[0], "--tag", "heroine")
    repo.write(ART[1], comfy_png(9))
    repo.git("add", "-A")
    repo.commit("another", "-n")


@pytest.fixture
def game(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> GitRepo:
    return copied(tmp_path_factory, fill, tmp_path / "repo")


def tree(folder: Path) -> dict[str, bytes | str]:
    """All files below a folder: the bytes of ordinary ones, the text of symlinks."""
    found: dict[str, bytes | str] = {}
    for here, folders, entries in os.walk(folder):
        for name in [*entries, *(each for each in folders if os.path.islink(os.path.join(here, each)))]:
            place = Path(here, name)
            found[str(place.relative_to(folder))] = os.readlink(place) if place.is_symlink() else place.read_bytes()
    return found


def archived(repo: GitRepo, revision: str) -> dict[str, bytes | str]:
    """What `git archive` says of the files that are no art, sidecars or ours."""
    found: dict[str, bytes | str] = {}
    with tarfile.open(fileobj=BytesIO(repo.git("archive", revision).stdout)) as archive:
        for member in archive:
            if member.issym():
                found[member.name] = member.linkname
            elif (stream := archive.extractfile(member)) is not None:
                found[member.name] = stream.read()
    ours = (".comfyvnconfig", "game/.gitattributes")
    return {path: data for path, data in found.items() if not path.endswith((".asset.json", ".png", ".wav", *ours))}


@pytest.mark.parametrize("revision", ["HEAD", "HEAD~1"])
def test_a_revision_is_written_as_plain_files(game: GitRepo, tmp_path: Path, revision: str) -> None:
    said = game.tool("export", str(tmp_path / "out/build"), "--rev", revision, "--json").json()
    found = tree(tmp_path / "out/build")
    art = {*ART, "game/images/über/pfad.png"}
    listed = game.git("-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", revision).out.splitlines()
    assert art <= set(listed)
    for path in art:
        data = found.pop(path)
        assert isinstance(data, bytes)
        assert game.blob(f"{revision}:{path}").decode()[-62:] == digest(data)[2:], path
    assert found.pop("cover.png") == "game/images/mira.png"
    assert found == archived(game, revision)
    assert found["game/script.rpy"] == b"label start:\r\n    show mira\r\n"
    assert "tools/build.sh" not in found
    assert (said["files"], said["assets"], said["commit"]) == (
        len(found) + 5,
        4,
        game.git("rev-parse", revision).out,
    )
    modes = {path: stat.S_IMODE(os.lstat(tmp_path / "out/build" / path).st_mode) for path in ("run.sh", ART[0])}
    assert modes == {"run.sh": 0o755, ART[0]: 0o644}
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["build"]
    assert game.status() == []


def test_sidecars_come_along_when_asked_for(game: GitRepo, tmp_path: Path) -> None:
    game.tool("export", str(tmp_path / "build"), "--sidecars", "--rev", "HEAD~1")
    assert (tmp_path / "build" / f"{ART[1]}.asset.json").exists()
    game.git("checkout", "-q", "HEAD~1")
    for path in ART:
        assert (tmp_path / "build" / f"{path}.asset.json").read_bytes() == game.read(f"{path}.asset.json")
    assert not (tmp_path / "build/game/.gitattributes").exists()


def test_it_does_not_touch_what_is_there(game: GitRepo, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/save").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    for name in ("full", "file"):
        assert game.tool("export", str(tmp_path / name), check=False).code == 20
    for inside in ("game/build", ".git/build", "."):
        assert game.tool("export", inside, check=False).code == 20
    assert (tmp_path / "full/save").read_text() == (tmp_path / "file").read_text() == "mine"
    assert game.tool("export", str(tmp_path / "none"), "--rev", "nonesuch", check=False).code == 2
    game.tool("export", str(tmp_path / "empty"))
    assert (tmp_path / "empty" / ART[0]).exists()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["empty", "file", "full", "repo"]


def test_missing_and_damaged_bytes_are_named_and_nothing_is_written(game: GitRepo, tmp_path: Path) -> None:
    lost = [game.object_path(linked(game, path)) for path in ART[:2]]
    kept = [place.read_bytes() for place in lost]
    times = os.stat(lost[0])
    os.chmod(lost[0], 0o644)
    lost[0].write_bytes(kept[0][:-1] + b"?")  # as a rotten disk does it: no time tells
    os.utime(lost[0], ns=(times.st_atime_ns, times.st_mtime_ns))
    os.chmod(lost[0], 0o444)
    damaged = game.tool("export", str(tmp_path / "build"), check=False)
    assert (damaged.code, ART[0] in damaged.err, ART[1] in damaged.err) == (13, True, False)
    for place in lost:
        place.unlink()
    missing = game.tool("export", str(tmp_path / "build"), "--json", check=False)
    assert (missing.code, missing.json()["error"]) == (12, "object-missing")
    assert all(path in missing.err for path in ART[:2])
    assert [each.name for each in tmp_path.iterdir()] == ["repo"]


def linked(repo: GitRepo, path: str) -> str:
    text = repo.blob(f"HEAD:{path}").decode()
    return text[-65:-63] + text[-62:]


def commit_of_tree(repo: GitRepo, *lines: tuple[str, str, bytes]) -> str:
    """A commit whose tree has these entries (mode, path, bytes), made without an index, as an attacker can."""
    listing = []
    for mode, path, data in lines:
        oid = repo.git("hash-object", "-w", "--stdin", input=data).out
        listing.append(f"{mode} blob {oid}\t{path}")
    made = repo.git("mktree", input="\n".join(listing) + "\n").out
    return repo.git("commit-tree", "-m", "hostile", made).out


@pytest.mark.parametrize("text", [b"/etc/passwd", b"../../outside", b"here/.."])
def test_a_symlink_that_leads_out_is_refused(game: GitRepo, tmp_path: Path, text: bytes) -> None:
    # The last one stays inside by its words, and leads outside by way of another symlink.
    lines = [("120000", "astray", text), ("120000", "here", b".")]
    hostile = commit_of_tree(game, *lines)
    done = game.tool("export", str(tmp_path / "build"), "--rev", hostile, check=False)
    assert (done.code, "astray" in done.err) == (20, True)
    assert [each.name for each in tmp_path.iterdir()] == ["repo"]


def test_a_path_that_leads_out_is_refused(game: GitRepo, tmp_path: Path) -> None:
    blob = game.git("hash-object", "-w", "--stdin", input=b"x").out
    entry = b"100644 ..\0" + bytes.fromhex(blob)
    outer = game.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", input=entry).out
    hostile = game.git("commit-tree", "-m", "hostile", outer).out
    done = game.tool("export", str(tmp_path / "build"), "--rev", hostile, check=False)
    assert done.code in (1, 20)
    assert [each.name for each in tmp_path.iterdir()] == ["repo"]


def test_it_works_from_linked_and_sparse_work_trees_and_with_copies(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    repo = shared(tmp_path_factory, fill)
    repo.tool("export", str(tmp_path / "plain"))
    other = GitRepo(tmp_path / "clone")
    subprocess.run(["cp", "-a", str(repo.path), str(other.path)], check=True)
    other.git("worktree", "add", "-q", str(tmp_path / "tree"))
    sparse = GitRepo(tmp_path / "tree")
    sparse.git("sparse-checkout", "set", "tools")
    sparse.tool("export", str(tmp_path / "from tree"))
    other.git("config", "comfyvn.views", "copy")
    other.tool("init")
    other.tool("export", str(tmp_path / "from copies"))
    assert tree(tmp_path / "plain") == tree(tmp_path / "from tree") == tree(tmp_path / "from copies")
