"""The trash: objects go there and come back whole, whatever happens in between."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from comfyvn_store.base.uuid7 import uuid7
from comfyvn_store.errors import ObjectCorrupt
from comfyvn_store.store import trash
from comfyvn_store.store.objects import Store
from tests import oracle

DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "store"))
    made.create()
    return made


def add(store: Store, data: bytes) -> str:
    hash_ = oracle.digest(data)
    with store.temp() as incoming:
        incoming.write(data)
        incoming.keep(hash_)
    return hash_


def used(store: Store, hash_: str) -> float:
    info = store.stat(hash_)
    assert info is not None
    return store.used_at(hash_, info)


def put(store: Store, hash_: str) -> trash.Trashed:
    item = trash.put(store, hash_, used(store, hash_))
    assert item is not None
    return item


def test_of_several_copies_the_first_good_one_comes_back(store: Store) -> None:
    twice, lost, plain = (add(store, data) for data in (b"twice", b"lost", b"plain"))
    spoilt = [put(store, twice), put(store, lost)]
    items = [*spoilt, put(store, add(store, b"twice")), put(store, plain)]
    for item in spoilt:
        Path(item.path).chmod(0o644)
        Path(item.path).write_bytes(b"rot")
    told: list[int] = []
    done = trash.restore_each(store, items, told.append)
    assert (set(done.back), done.damaged) == ({twice, plain}, [lost])
    assert {item.path for item in trash.listed(store)} == {item.path for item in spoilt}
    assert Path(store.path(twice)).read_bytes() == b"twice" and store.has(plain) and not store.has(lost)
    assert told == [1, 2]


def test_there_and_back(store: Store) -> None:
    hash_ = add(store, b"art")
    before = time.time()
    item = put(store, hash_)
    assert not store.has(hash_)
    (found,) = trash.listed(store)
    assert (found.hash, found.path, found.size) == (hash_, item.path, 3)
    assert before - 1 <= found.at <= time.time() + 1
    trash.restore(store, found)
    assert trash.listed(store) == [] and Path(store.path(hash_)).read_bytes() == b"art"
    info = store.stat(hash_)
    assert info is not None and not store.is_touched(info) and info.st_mode & 0o777 == 0o444
    assert used(store, hash_) >= int(before)


def test_what_is_damaged_there_does_not_come_back(store: Store) -> None:
    item = put(store, add(store, b"art"))
    os.chmod(item.path, 0o644)
    Path(item.path).write_bytes(b"bad")
    with pytest.raises(ObjectCorrupt):
        trash.restore(store, item)
    assert Path(item.path).read_bytes() == b"bad" and not store.has(item.hash)


def test_what_was_added_anew_stays(store: Store) -> None:
    item = put(store, add(store, b"art"))
    add(store, b"art")
    inode = os.stat(store.path(item.hash)).st_ino
    trash.restore(store, item)
    assert os.stat(store.path(item.hash)).st_ino == inode and trash.listed(store) == []


def test_a_damaged_object_makes_room_for_the_good_one(store: Store) -> None:
    item = put(store, add(store, b"art"))
    place = Path(store.path(item.hash))
    place.write_bytes(b"bad")
    trash.restore(store, item)
    assert place.read_bytes() == b"art" and len(store.quarantined(item.hash)) == 1


def test_an_object_that_was_used_since_stays(store: Store) -> None:
    hash_ = add(store, b"art")
    seen = used(store, hash_) - 100
    assert trash.put(store, hash_, seen) is None
    assert store.has(hash_) and trash.listed(store) == []


def test_an_object_that_is_dated_while_it_moves_comes_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever dated it then saw it in its place, and has gone on."""
    hash_ = add(store, b"art")
    os.utime(store.path(hash_), (1, 1))
    real = trash._rename

    def late(store: Store, source: str, target: str) -> None:
        assert store.refresh(hash_)
        real(store, source, target)

    monkeypatch.setattr(trash, "_rename", late)
    assert trash.put(store, hash_, used(store, hash_)) is None
    assert Path(store.path(hash_)).read_bytes() == b"art" and trash.listed(store) == []


def test_an_object_that_has_gone_is_written_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Collection takes it after its bytes were compared and before it was dated."""
    hash_ = add(store, b"art")
    real = Store.has_good

    def slow(self: Store, name: str, size: int) -> bool:
        found = real(self, name, size)
        if self.has(name):
            put(self, name)
        return found

    monkeypatch.setattr(Store, "has_good", slow)
    assert add(store, b"art") == hash_
    assert Path(store.path(hash_)).read_bytes() == b"art"


def test_another_users_object_is_marked_as_used(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    hash_ = add(store, b"art")
    os.utime(store.path(hash_), (1, 1))
    assert used(store, hash_) == 1

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "utime", refuse)
        assert store.refresh(hash_)
    assert time.time() - used(store, hash_) < 60
    assert trash.put(store, hash_, 1) is None and store.has(hash_)


@pytest.mark.parametrize(("age", "is_old"), [(13 * DAY, False), (15 * DAY, True), (-DAY, False), (-400 * DAY, False)])
def test_old_is_what_lies_behind_the_grace(age: float, is_old: bool) -> None:
    now = 1_800_000_000.0
    assert trash.is_old(now - age, 14 * DAY, now) is is_old


def test_emptying_deletes_what_it_is_given(store: Store) -> None:
    first, second = put(store, add(store, b"one")), put(store, add(store, b"two"))
    assert trash.empty(store, [first]) == [first]
    assert trash.listed(store) == [second]
    assert trash.empty(store, [first]) == []


def test_strange_names_are_left_alone(store: Store) -> None:
    folder = Path(store.root, "trash")
    for name in ("note", "a" * 64, f"{'g' * 64}-{uuid7()}", f"{'a' * 64}-{uuid7()}.bak"):
        (folder / name).write_text("mine")
    assert trash.listed(store) == []


def test_the_folder_may_be_missing(store: Store) -> None:
    os.rmdir(os.path.join(store.root, "trash"))
    assert trash.listed(store) == []
    put(store, add(store, b"art"))
    assert len(trash.listed(store)) == 1


# -- what stands in an object's place ----------------------------------------------------------------------------------


def _folder(place: Path, outside: Path) -> None:
    place.mkdir()
    (place / "work").write_text("mine")


def _link(place: Path, outside: Path) -> None:
    place.symlink_to(outside)


def _dangling(place: Path, outside: Path) -> None:
    place.symlink_to("nowhere")


def _rotten(place: Path, outside: Path) -> None:
    place.write_bytes(b"aRt")


@pytest.mark.parametrize("has_links", [True, False])
@pytest.mark.parametrize("stand", [_folder, _link, _dangling, _rotten])
def test_what_has_the_name_of_an_object_makes_way_for_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand: Callable[..., None], has_links: bool
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"art")
    outside.chmod(0o600)
    item = put(store, add(store, b"art"))
    place = Path(store.path(item.hash))
    stand(place, outside)
    if not has_links:
        monkeypatch.setattr(os, "link", _refuse)
    trash.restore(store, item)
    assert not place.is_symlink() and place.read_bytes() == b"art" and place.stat().st_mode & 0o777 == 0o444
    (aside,) = Path(store.root, "bad").iterdir()
    assert aside.is_symlink() or aside.is_dir() or aside.read_bytes() == b"aRt"
    assert outside.stat().st_mode & 0o777 == 0o600 and trash.listed(store) == []


def _refuse(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_a_good_object_stays_where_there_are_no_hard_links(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    item = put(store, add(store, b"art"))
    add(store, b"art")
    inode = os.stat(store.path(item.hash)).st_ino
    monkeypatch.setattr(os, "link", _refuse)
    trash.restore(store, item)
    assert os.stat(store.path(item.hash)).st_ino == inode and trash.listed(store) == []


@pytest.mark.parametrize("stand", [_folder, _link])
def test_what_is_no_file_is_not_settled(store: Store, tmp_path: Path, stand: Callable[..., None]) -> None:
    (tmp_path / "outside").write_bytes(b"art")
    (tmp_path / "outside").chmod(0o600)
    place = Path(store.path(oracle.digest(b"art")))
    place.parent.mkdir()
    stand(place, tmp_path / "outside")
    before = place.stat().st_mode
    store.settle(oracle.digest(b"art"))
    assert place.stat().st_mode == before


@pytest.mark.parametrize("stand", [_folder, _link])
def test_what_is_no_file_in_the_trash_is_left_alone(store: Store, tmp_path: Path, stand: Callable[..., None]) -> None:
    (tmp_path / "outside").write_bytes(b"art")
    stand(Path(store.root, "trash", f"{oracle.digest(b'art')}-{uuid7()}"), tmp_path / "outside")
    assert trash.listed(store) == []


def test_what_came_there_while_the_clock_was_behind_is_young(store: Store) -> None:
    item = put(store, add(store, b"art"))
    os.rename(item.path, f"{item.path[:-36]}{uuid7(1_000_000_000_000)}")
    (found,) = trash.listed(store)
    assert time.time() - found.at < 60
