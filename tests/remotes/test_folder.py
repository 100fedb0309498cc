"""The folder remote, on the suite and on what can happen to a disk."""

from pathlib import Path

import pytest

from comfyvn_store.errors import ObjectCorrupt, RemoteUnreachable
from comfyvn_store.remotes.folder import Folder
from comfyvn_store.remotes.remote import Item, Remote
from tests.remotes.conformance import Conformance
from tests.remotes.objects import Thing


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder("usb", str(tmp_path / "usb"))
    made.create()
    return made


class TestFolder(Conformance):
    @pytest.fixture
    def remote(self, folder: Folder) -> Remote:
        return folder

    def again(self, remote: Remote) -> Remote:
        return Folder("usb", remote.place)


class TestStoreOfAnotherRepository(Conformance):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> Remote:
        (tmp_path / "other.git").mkdir()
        return Folder("origin", str(tmp_path / "other.git/comfyvn"), is_store=True)


def test_objects_lie_there_as_in_a_store(folder: Folder, tmp_path: Path) -> None:
    thing = Thing(tmp_path / "local", 100)
    folder.put(thing.item, thing.source)
    place = Path(folder.place, "objects", thing.hash[:2], thing.hash[2:])
    assert place.read_bytes() == thing.data and place.stat().st_mode & 0o777 == 0o444
    assert Path(folder.place, "format").read_text() == "1\n"
    assert list(Path(folder.place, "tmp").iterdir()) == []


def test_a_damaged_object_is_not_sent(folder: Folder, tmp_path: Path) -> None:
    thing = Thing(tmp_path / "local", 100)
    thing.path.write_bytes(b"x" * 100)
    with pytest.raises(ObjectCorrupt):
        folder.put(thing.item, thing.source)
    assert list(folder.list()) == [] and list(Path(folder.place, "tmp").iterdir()) == []


def test_a_damaged_object_there_is_replaced(folder: Folder, tmp_path: Path) -> None:
    thing = Thing(tmp_path / "local", 100)
    folder.put(thing.item, thing.source)
    place = Path(folder.place, "objects", thing.hash[:2], thing.hash[2:])
    place.chmod(0o644)
    place.write_bytes(b"x" * 99)
    assert folder.put(thing.item, thing.source) is True
    assert place.read_bytes() == thing.data
    assert [each.read_bytes() for each in Path(folder.place, "bad").iterdir()] == [b"x" * 99]


@pytest.mark.parametrize("gone", ["all", "format"])
def test_an_unplugged_disk(folder: Folder, tmp_path: Path, gone: str) -> None:
    thing = Thing(tmp_path / "local", 100)
    if gone == "all":
        Path(folder.place).rename(tmp_path / "unplugged")
    else:
        (Path(folder.place) / "format").unlink()
    for work in (
        lambda: folder.has([thing.item]),
        lambda: list(folder.get(thing.item)),
        lambda: folder.put(thing.item, thing.source),
        lambda: list(folder.list()),
        lambda: folder.delete(thing.hash),
        folder.test,
    ):
        with pytest.raises(RemoteUnreachable) as caught:
            work()
        assert "plugged" in str(caught.value.hint)
    assert not Path(folder.place, "objects", thing.hash[:2]).exists()


def test_strangers_in_the_folder_are_no_objects(folder: Folder, tmp_path: Path) -> None:
    objects = Path(folder.place, "objects")
    (objects / "ab").mkdir()
    (objects / "ab" / "note.txt").write_text("hello")
    (objects / "readme").write_text("hello")
    (objects / "ab" / ("0" * 62)).symlink_to("/etc/passwd")
    assert list(folder.list()) == []
    assert folder.has([Item("ab" + "0" * 62)]) == {}
