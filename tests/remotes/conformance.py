"""What every kind of remote must do. A kind's test class inherits `Conformance` and gives the fixture `remote`."""

import threading
from pathlib import Path

import pytest

from comfyvn_store.errors import ComfyvnError, ObjectMissing, Refused
from comfyvn_store.remotes.limit import Bucket, Limited
from comfyvn_store.remotes.remote import Item, Remote
from comfyvn_store.remotes.retry import Retrying
from tests.remotes.objects import Thing

ABSENT = Item("f" * 64, 5)
# Sizes around what protocols and libraries cut at: packets, blocks, parts of uploads.
SIZES = (1, 2, 1023, 65_536, 65_537, 1_048_576, 6_000_001)


class Conformance:
    """The suite. `remote` is new and empty, and may be written to."""

    @pytest.fixture
    def remote(self) -> Remote:
        raise NotImplementedError

    def again(self, remote: Remote) -> Remote | None:
        """Gives another instance for the same place, if the kind can do that."""
        return None

    def things(self, tmp_path: Path, *sizes: int) -> list[Thing]:
        return [Thing(tmp_path / "local", size, number) for number, size in enumerate(sizes)]

    def put(self, remote: Remote, *things: Thing) -> None:
        remote.prepare([thing.item for thing in things], upload=True)
        for thing in things:
            assert remote.put(thing.item, thing.source) is True
        remote.finish()

    def read(self, remote: Remote, item: Item, start: int = 0) -> bytes:
        remote.prepare([item], upload=False)
        return b"".join(remote.get(item, start))

    def test_an_empty_remote_holds_nothing(self, remote: Remote) -> None:
        remote.test()
        assert remote.has([ABSENT]) == {}
        assert remote.has([]) == {}
        assert list(remote.list()) == []

    def test_what_is_put_comes_back(self, remote: Remote, tmp_path: Path) -> None:
        things = self.things(tmp_path, *SIZES)
        self.put(remote, *things)
        for thing in things:
            assert self.read(remote, thing.item) == thing.data
        held = remote.has([*(thing.item for thing in things), ABSENT])
        assert set(held) == {thing.hash for thing in things}
        assert all(held[thing.hash] in (None, len(thing.data)) for thing in things)
        assert sorted(item.hash for item in remote.list()) == sorted(thing.hash for thing in things)

    def test_the_size_need_not_be_known(self, remote: Remote, tmp_path: Path) -> None:
        (thing,) = self.things(tmp_path, 70_000)
        self.put(remote, thing)
        assert set(remote.has([Item(thing.hash)])) == {thing.hash}
        assert self.read(remote, Item(thing.hash)) == thing.data

    @pytest.mark.parametrize("start", [1, 65_536, 99_999, 100_000])
    def test_bytes_from_an_offset_on(self, remote: Remote, tmp_path: Path, start: int) -> None:
        (thing,) = self.things(tmp_path, 100_000)
        self.put(remote, thing)
        assert self.read(remote, thing.item, start) == thing.data[start:]

    def test_bytes_come_in_blocks(self, remote: Remote, tmp_path: Path) -> None:
        (thing,) = self.things(tmp_path, 20_000_000)
        self.put(remote, thing)
        remote.prepare([thing.item], upload=False)
        sizes = [len(block) for block in remote.get(thing.item)]
        assert sum(sizes) == 20_000_000 and max(sizes) <= 8 << 20 and min(sizes) > 0

    def test_a_reader_may_leave_early(self, remote: Remote, tmp_path: Path) -> None:
        (thing,) = self.things(tmp_path, 20_000_000)
        self.put(remote, thing)
        remote.prepare([thing.item], upload=False)
        blocks = remote.get(thing.item)
        assert thing.data.startswith(next(iter(blocks)))
        del blocks
        assert self.read(remote, thing.item) == thing.data

    def test_what_is_there_is_not_sent_again(self, remote: Remote, tmp_path: Path) -> None:
        (thing,) = self.things(tmp_path, 1000)
        self.put(remote, thing)
        remote.prepare([thing.item], upload=True)
        assert remote.put(thing.item, thing.source) is False
        remote.finish()
        assert self.read(remote, thing.item) == thing.data

    def test_an_absent_object_is_missing(self, remote: Remote) -> None:
        with pytest.raises(ObjectMissing) as caught:
            self.read(remote, ABSENT)
        assert remote.name in caught.value.message

    def test_delete(self, remote: Remote, tmp_path: Path) -> None:
        one, other = self.things(tmp_path, 1000, 2000)
        self.put(remote, one, other)
        remote.delete(one.hash)
        remote.finish()
        remote.delete(ABSENT.hash)
        assert [item.hash for item in remote.list()] == [other.hash]
        assert self.read(remote, other.item) == other.data
        if remote.deletes_at_once:
            assert set(remote.has([one.item, other.item])) == {other.hash}
            with pytest.raises(ObjectMissing):
                self.read(remote, one.item)

    def test_many(self, remote: Remote, tmp_path: Path) -> None:
        things = self.things(tmp_path, *([300] * 120))
        for at in range(0, 120, 100):
            self.put(remote, *things[at : at + 100])
        assert len(remote.has([*(thing.item for thing in things), ABSENT])) == 120
        assert len(list(remote.list())) == 120

    def test_several_threads_at_once(self, remote: Remote, tmp_path: Path) -> None:
        things = self.things(tmp_path, *range(1000, 1024))
        remote.prepare([thing.item for thing in things], upload=True)
        wrong: list[object] = []

        def work(mine: list[Thing]) -> None:
            try:
                for thing in mine:
                    remote.put(thing.item, thing.source)
            except ComfyvnError as error:
                wrong.append(error)

        # Each object is sent by two threads.
        threads = [threading.Thread(target=work, args=(things[n % 4 :: 4],)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        remote.finish()
        assert wrong == []
        assert [self.read(remote, thing.item) == thing.data for thing in things] == [True] * 24

    def test_another_instance_sees_it(self, remote: Remote, tmp_path: Path) -> None:
        other = self.again(remote)
        if other is None:
            pytest.skip("the kind has one instance a place")
        (thing,) = self.things(tmp_path, 5000)
        self.put(remote, thing)
        assert self.read(other, thing.item) == thing.data
        assert [item.hash for item in other.list()] == [thing.hash]
        other.close()

    def test_wrapped_in_retry_and_limit_it_is_the_same(self, remote: Remote, tmp_path: Path) -> None:
        wrapped = Limited(Retrying(remote), Bucket(50_000_000))
        things = self.things(tmp_path, 1, 3_000_000)
        self.put(wrapped, *things)
        for thing in things:
            assert self.read(wrapped, thing.item, 1) == thing.data[1:]
        assert len(wrapped.has([thing.item for thing in things])) == 2
        assert len(list(wrapped.list())) == 2
        wrapped.delete(things[0].hash)
        wrapped.finish()
        assert len(list(wrapped.list())) == 1

    def test_read_only(self, remote: Remote, tmp_path: Path) -> None:
        (thing,) = self.things(tmp_path, 100)
        remote.is_writable = False
        with pytest.raises(Refused):
            remote.put(thing.item, thing.source)
        with pytest.raises(Refused):
            remote.delete(thing.hash)
