"""What counts as a copy of an object before the one here is dropped."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfyvn_store.ops import drop, proof
from comfyvn_store.ops.session import open_session
from comfyvn_store.remotes.folder import Folder
from comfyvn_store.store.objects import Store
from tests.gitrepo import GitRepo
from tests.remotes.sshd import Server as Sshd
from tests.team import ALICE, Team, present


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


@pytest.mark.parametrize("way", ["git remote", "store", "shared"])
def test_the_store_of_a_repository_that_names_it_nowhere_is_no_copy(team: Team, way: str) -> None:
    mika = team.begin()
    if way == "shared":
        noor = team.clone("noor")
        noor.git("config", "comfyvn.store", str(team.folder / "shared"))
        noor.tool("init")
        mika.tool("remote", "add", "--local", "art", str(team.folder / "shared"))
        mika.git("remote", "set-url", "origin", str(noor.path))
    elif way == "store":
        mika.tool("push")
        mika.tool("remote", "add", "--local", "art", str(team.hub / "comfyvn"))
    mika.tool("push")
    with open_session(str(mika.path)) as session:
        done = drop.drop(session, [ALICE])
        assert done.dropped == [] and "nothing there names it" in str(done.kept), done.kept
        assert "git push" in str(drop.error_of(done).hint)  # type: ignore[union-attr]
        mika.git("push", "-q", "origin", "HEAD:refs/heads/art")
        assert len(drop.drop(session, [ALICE]).dropped) == 1
    assert ALICE not in present(mika)


def test_a_backup_of_nobody_is_a_copy(team: Team) -> None:
    mika = team.begin()
    mika.git("remote", "remove", "origin")
    (team.folder / "usb").mkdir()
    mika.tool("remote", "add", "--local", "usb", str(team.folder / "usb"))
    mika.tool("push")
    mika.tool("drop", ALICE)


def test_two_folders_with_one_file_are_one_copy(team: Team) -> None:
    mika = team.begin()
    mika.git("remote", "remove", "origin")
    for name in ("usb", "disk"):
        (team.folder / name).mkdir()
        mika.tool("remote", "add", "--local", name, str(team.folder / name))
    mika.tool("push")
    for place in (team.folder / "usb/objects").glob("??/*"):
        twin = team.folder / "disk/objects" / place.parent.name / place.name
        twin.unlink()
        os.link(place, twin)
    with open_session(str(mika.path)) as session:
        done = drop.drop(session, [ALICE], copies=2)
        assert done.dropped == [] and "one copy between them" in str(done.kept)
        assert len(drop.drop(session, [ALICE]).dropped) == 1


def test_what_is_written_here_and_seen_there_tells_one_store(tmp_path: Path) -> None:
    store, second = Store(str(tmp_path / "one")), Store(str(tmp_path / "two"))
    store.create()
    second.create()
    (tmp_path / "alias").symlink_to(tmp_path / "one")
    (tmp_path / "half").mkdir()
    (tmp_path / "half/objects").symlink_to(tmp_path / "one/objects")
    seen = {name: proof._is_seen_in(store, Folder("x", str(tmp_path / name))) for name in ("alias", "half", "two")}
    assert seen == {"alias": True, "half": True, "two": False}
    assert list((tmp_path / "one/tmp").iterdir()) == list((tmp_path / "one/objects").iterdir()) == []


@pytest.fixture
def overlaid(team: Team) -> Iterator[tuple[Path, Path]]:
    """A folder, and where it shows once more through an overlay: with other inodes, on another device."""
    upper, shown = team.folder / "upper", team.folder / "shown"
    for folder in (upper, shown):
        folder.mkdir()
    store = team.begin().path / ".git/comfyvn"
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(upper)], capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        for name in ("u", "w"):
            (upper / name).mkdir()
        options = f"lowerdir={store},upperdir={upper}/u,workdir={upper}/w"
        command = ["mount", "-t", "overlay", "none", "-o", options, str(shown)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("there is no overlay here")
        try:
            yield store, shown
        finally:
            subprocess.run(["umount", str(shown)], check=True)
    finally:
        subprocess.run(["umount", str(upper)], check=True)


def test_an_overlay_of_our_own_store_is_no_copy(team: Team, overlaid: tuple[Path, Path]) -> None:
    top = overlaid[0].parent.parent
    mika = GitRepo(top)
    mika.tool("remote", "add", "--local", "again", str(overlaid[1]))
    done = mika.tool("drop", ALICE, "--remote", "again", check=False)
    assert done.code == 20 and "leads to this very store" in done.out and ALICE in present(mika)


def test_our_own_store_behind_a_server_is_no_copy(team: Team, tmp_path: Path, hermetic: Path) -> None:
    pytest.importorskip("asyncssh", reason="asyncssh is not installed (extra: sftp)")
    mika = team.begin()
    server = Sshd(tmp_path / "sshd", hermetic)
    server.know()
    server.start()
    try:
        mika.tool("remote", "add", "--local", "art", server.url(mika.path / ".git/comfyvn"))
        done = mika.tool("drop", ALICE, "--remote", "art", check=False)
        assert done.code == 20 and "leads to this very store" in done.out, (done.out, done.err)
        assert list((mika.path / ".git/comfyvn/tmp").iterdir()) == [] and ALICE in present(mika)
    finally:
        server.kill()
