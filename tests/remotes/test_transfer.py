"""Moving many objects: out of remotes that give wrong bytes, stop, drip or never end, and into ones that fail."""

import errno
import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfyvn_store.errors import MachineError, ObjectCorrupt, ObjectMissing, RemoteDenied, RemoteUnreachable
from comfyvn_store.remotes import fetching, transfer
from comfyvn_store.remotes.limit import Bucket, Limited
from comfyvn_store.remotes.outcome import Outcome
from comfyvn_store.remotes.progress import Steps
from comfyvn_store.remotes.remote import Item, Remote
from comfyvn_store.remotes.retry import Patience, Retrying
from comfyvn_store.store import partial
from comfyvn_store.store.objects import Store
from comfyvn_store.store.partial import Part, PartBusy
from tests.remotes.fakes import Held
from tests.remotes.objects import Thing


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "store"))
    made.create()
    return made


@pytest.fixture
def things(tmp_path: Path) -> list[Thing]:
    return [Thing(tmp_path / "local", 5000 + number, number) for number in range(20)]


def held(name: str, *things: Thing) -> Held:
    return Held(name, *((thing.hash, thing.data) for thing in things))


def patient(remote: Remote, **more: float) -> tuple[Retrying, list[float]]:
    """The remote, tried again without waiting; what the waits would have been."""
    pauses: list[float] = []
    return Retrying(remote, Patience(**more), sleep=pauses.append, chance=lambda: 1.0), pauses  # type: ignore[arg-type]


def in_store(store: Store, *things: Thing) -> bool:
    return all(Path(store.path(thing.hash)).read_bytes() == thing.data for thing in things)


def leftovers(store: Store) -> list[str]:
    return sorted(os.listdir(os.path.join(store.root, "tmp")))


def test_each_comes_from_the_first_that_has_it(store: Store, things: list[Thing]) -> None:
    one, other = held("one", *things[:12]), held("other", *things[8:])
    seen: list[Steps] = []
    done = transfer.fetch(store, [one, other], [thing.item for thing in things], tell=seen.append)
    assert in_store(store, *things) and leftovers(store) == []
    assert sorted(done.moved) == sorted(thing.hash for thing in things)
    assert done.bytes == sum(len(thing.data) for thing in things)
    assert {hash_ for hash_, _ in other.asked} == {thing.hash for thing in things[12:]}
    assert seen[-1] == Steps(20, 20, done.bytes, done.bytes)
    again = transfer.fetch(store, [one, other], [thing.item for thing in things])
    assert again.moved == [] and len(again.there) == 20 and len(one.asked) == 12


def test_objects_are_as_ours(store: Store, things: list[Thing]) -> None:
    transfer.fetch(store, [held("one", things[0])], [things[0].item])
    info = os.stat(store.path(things[0].hash))
    assert info.st_mode & 0o777 == 0o444 and not store.is_touched(info)


def test_wrong_bytes_go_to_quarantine_and_the_next_is_asked(store: Store, things: list[Thing]) -> None:
    thing = things[0]
    liar = Held("liar", (thing.hash, b"x" * len(thing.data)))
    done = transfer.fetch(store, [liar, held("honest", thing)], [thing.item])
    assert in_store(store, thing) and done.failed == {} and done.absent == []
    ((hash_, name, path),) = done.quarantined
    assert (hash_, name, Path(path).read_bytes()) == (thing.hash, "liar", b"x" * len(thing.data))
    assert Path(path).parent.name == "bad"


def test_wrong_bytes_and_nobody_else(store: Store, things: list[Thing]) -> None:
    thing = things[0]
    done = transfer.fetch(store, [Held("liar", (thing.hash, b"y"))], [thing.item])
    assert isinstance(done.failed[thing.hash], ObjectCorrupt) and not store.has(thing.hash)
    assert leftovers(store) == []


@pytest.mark.parametrize("size", [None, 5000])
def test_a_body_that_never_ends(
    store: Store, things: list[Thing], size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cut off behind the size that is known; else before it fills our disk."""
    thing = things[0]
    came = 0

    def endless(item: Item, start: int) -> Iterator[bytes]:
        nonlocal came
        while True:
            came += 1 << 16
            yield b"z" * (1 << 16)

    remote = Held("endless", (thing.hash, thing.data), body=endless)
    monkeypatch.setattr(remote, "has", lambda items: {item.hash: size for item in items})
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: fetching.shutil._ntuple_diskusage(9, 9, 6 << 20))
    done = transfer.fetch(store, [remote], [Item(thing.hash, size)])
    assert isinstance(done.failed[thing.hash], ObjectCorrupt)
    assert came <= (4 << 20 if size is None else 1 << 17)


def test_a_size_that_a_sidecar_has_wrong_costs_nothing(store: Store, things: list[Thing]) -> None:
    thing = things[0]
    assert transfer.fetch(store, [held("one", thing)], [Item(thing.hash, 3)]).moved == [thing.hash]


def test_a_body_that_breaks_off_goes_on_where_it_stopped(store: Store, things: list[Thing]) -> None:
    thing = things[0]
    breaks = itertools.count()

    def broken(item: Item, start: int) -> Iterator[bytes]:
        yield thing.data[start : start + 2000]
        if start + 2000 < len(thing.data):
            next(breaks)
            raise RemoteUnreachable("connection reset", is_passing=True)

    remote = Held("shaky", (thing.hash, thing.data), body=broken)
    steady, pauses = patient(remote)
    done = transfer.fetch(store, [steady], [thing.item])
    assert in_store(store, thing) and done.moved == [thing.hash]
    assert remote.asked == [(thing.hash, 0), (thing.hash, 2000), (thing.hash, 4000)]
    assert pauses == [0.5, 1.0]


def test_what_an_earlier_run_left_is_taken_up(store: Store, things: list[Thing]) -> None:
    thing = things[0]
    Path(store.part_path(thing.hash)).write_bytes(thing.data[:3000])
    remote = held("one", thing)
    done = transfer.fetch(store, [remote], [thing.item])
    assert in_store(store, thing) and remote.asked == [(thing.hash, 3000)] and done.bytes == 2000


def test_what_an_earlier_run_left_complete_needs_no_remote(store: Store, things: list[Thing]) -> None:
    thing = things[0]
    Path(store.part_path(thing.hash)).write_bytes(thing.data)
    remote = held("one", thing)
    transfer.fetch(store, [remote], [thing.item])
    assert in_store(store, thing) and remote.asked == []


@pytest.mark.parametrize("left", [b"wrong" * 400, b"w" * 9000])
def test_what_an_earlier_run_left_wrong_is_fetched_anew(store: Store, things: list[Thing], left: bytes) -> None:
    thing = things[0]
    Path(store.part_path(thing.hash)).write_bytes(left)
    done = transfer.fetch(store, [held("one", thing)], [thing.item])
    assert in_store(store, thing) and done.quarantined == [] and leftovers(store) == []


def test_a_run_that_stops_leaves_what_has_come(store: Store, things: list[Thing]) -> None:
    thing = things[0]

    def stops(item: Item, start: int) -> Iterator[bytes]:
        yield thing.data[start:4000]
        raise RemoteUnreachable("gone")

    remote = Held("one", (thing.hash, thing.data), body=stops)
    done = transfer.fetch(store, [remote], [thing.item])
    assert isinstance(done.failed[thing.hash], RemoteUnreachable)
    assert Path(store.part_path(thing.hash)).read_bytes() == thing.data[:4000]
    assert not store.has(thing.hash)


def test_a_remote_that_is_down_is_not_asked_for_each_object(store: Store, things: list[Thing]) -> None:
    def dead(item: Item, start: int) -> Iterator[bytes]:
        raise RemoteUnreachable("gone")
        yield b""

    remote = Held("dead", *((thing.hash, thing.data) for thing in things), body=dead)
    backup = held("backup", *things)
    done = transfer.fetch(store, [remote, backup], [thing.item for thing in things], jobs=1)
    assert len(remote.asked) == 3 and set(done.down) == {"dead"}
    assert in_store(store, *things) and done.failed == {}


def test_a_remote_that_lets_nobody_in(store: Store, things: list[Thing], monkeypatch: pytest.MonkeyPatch) -> None:
    remote = held("closed", *things)

    def closed(items: object) -> dict[str, int | None]:
        raise RemoteDenied("no credentials")

    monkeypatch.setattr(remote, "has", closed)
    done = transfer.fetch(store, [remote], [thing.item for thing in things])
    assert isinstance(done.down["closed"], RemoteDenied) and len(done.absent) == 20 and remote.asked == []


def test_an_object_that_vanished_between_asking_and_fetching(
    store: Store, things: list[Thing], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = held("one", *things[:1])
    monkeypatch.setattr(remote, "has", lambda items: dict.fromkeys([item.hash for item in items], 5))
    done = transfer.fetch(store, [remote], [thing.item for thing in things[:2]])
    assert done.moved == [things[0].hash] and isinstance(done.failed[things[1].hash], ObjectMissing)


def test_our_disk_is_full(store: Store, things: list[Thing], monkeypatch: pytest.MonkeyPatch) -> None:
    write = Part.write
    left = 30_000

    def full(self: Part, data: bytes | memoryview) -> None:
        nonlocal left
        left -= len(data)
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
        write(self, data)

    monkeypatch.setattr(Part, "write", full)
    with pytest.raises(MachineError) as caught:
        transfer.fetch(store, [held("one", *things)], [thing.item for thing in things])
    assert "no space" in caught.value.message
    complete = [thing for thing in things if store.has(thing.hash)]
    assert 0 < len(complete) < 20 and in_store(store, *complete)
    monkeypatch.undo()
    assert len(transfer.fetch(store, [held("one", *things)], [thing.item for thing in things]).moved) == 20 - len(
        complete
    )
    assert in_store(store, *things) and leftovers(store) == []


def test_two_at_once_bring_each_object_once(store: Store, things: list[Thing]) -> None:
    remotes = [held("one", *things), held("one", *things)]
    results: list[Outcome] = []

    def work(remote: Held) -> None:
        results.append(transfer.fetch(store, [remote], [thing.item for thing in things]))

    threads = [threading.Thread(target=work, args=(remote,)) for remote in remotes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert in_store(store, *things) and leftovers(store) == []
    assert [result.failed or result.absent for result in results] == [[], []]


def test_who_holds_the_part_file_is_waited_for(store: Store, things: list[Thing]) -> None:
    thing = things[0]
    remote = held("one", thing)
    with Part(store, thing.hash) as part:
        with pytest.raises(PartBusy):
            Part(store, thing.hash)
        waiting = threading.Thread(target=transfer.fetch, args=(store, [remote], [thing.item]))
        waiting.start()
        time.sleep(0.3)
        assert remote.asked == []
        part.write(thing.data)
        partial.keep([part])
    waiting.join(10)
    assert not waiting.is_alive() and remote.asked == [] and in_store(store, thing)


def test_two_that_wait_for_each_other_both_go_on(store: Store, things: list[Thing]) -> None:
    """Each has brought one object, not named yet, and wants the other's."""
    wanted = [thing.item for thing in things[:2]]
    orders = [wanted, wanted[::-1]]
    met = threading.Barrier(2)
    done: list[Outcome] = []

    class Meeting(Held):
        def get(self, item: Item, start: int = 0) -> Iterator[bytes]:
            met.wait(10)
            return super().get(item, start)

    def work(order: list[Item]) -> None:
        remote = Meeting("one", *((thing.hash, thing.data) for thing in things[:2]))
        done.append(transfer.fetch(store, [remote], order, jobs=1))

    waiting = [threading.Thread(target=work, args=(order,), daemon=True) for order in orders]
    for each in waiting:
        each.start()
    for each in waiting:
        each.join(30)
    assert not any(each.is_alive() for each in waiting)
    assert in_store(store, *things[:2]) and leftovers(store) == [] and not any(each.failed for each in done)


def test_a_drip_is_given_up(store: Store, things: list[Thing]) -> None:
    thing = things[0]
    now = 0.0

    def drip(item: Item, start: int) -> Iterator[bytes]:
        nonlocal now
        for at in range(start, len(thing.data)):
            now += 5.0
            yield thing.data[at : at + 1]

    remote = Held("drip", (thing.hash, thing.data), body=drip)
    steady = Retrying(remote, sleep=lambda _: None, clock=lambda: now)
    done = transfer.fetch(store, [steady], [thing.item])
    assert "hardly sends" in done.failed[thing.hash].message
    assert len(remote.asked) == 4 and now < 300


# -- sending -----------------------------------------------------------------------------------------------------------


def filled(store: Store, *things: Thing) -> Store:
    transfer.fetch(store, [held("all", *things)], [thing.item for thing in things])
    return store


def test_only_what_is_not_there_is_sent(store: Store, things: list[Thing]) -> None:
    filled(store, *things[:15])
    remote = held("one", *things[:5], *things[15:17])
    seen: list[Steps] = []
    done = transfer.send(store, remote, [thing.item for thing in things], tell=seen.append)
    assert sorted(done.moved) == sorted(remote.sent) == sorted(thing.hash for thing in things[5:15])
    assert sorted(done.absent) == sorted(thing.hash for thing in things[17:])
    assert len(done.there) == 7 and seen[-1].objects == 10
    assert all(remote.objects[thing.hash] == thing.data for thing in things[:15])


def test_a_damaged_object_is_not_sent(store: Store, things: list[Thing]) -> None:
    filled(store, *things)
    os.chmod(store.path(things[3].hash), 0o644)
    Path(store.path(things[3].hash)).write_bytes(b"painted over")
    remote = held("one")
    done = transfer.send(store, remote, [thing.item for thing in things])
    assert isinstance(done.failed[things[3].hash], ObjectCorrupt) and len(done.moved) == 19
    assert things[3].hash not in remote.objects


def test_what_could_not_be_finished_was_not_sent(
    store: Store, things: list[Thing], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = held("one")

    def fails() -> None:
        raise RemoteUnreachable("the ref was refused")

    monkeypatch.setattr(remote, "finish", fails)
    filled(store, *things)
    done = transfer.send(store, remote, [thing.item for thing in things])
    assert done.moved == [] and len(done.failed) == 20 and "one" in done.down


# -- trying again, and limits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failures", "passing", "retry_after", "pauses"),
    [
        (2, True, None, [0.5, 1.0]),
        (9, True, None, [0.5, 1.0, 2.0]),
        (9, False, None, []),
        (1, True, 7.0, [7.0]),
        (1, True, 3600.0, []),
    ],
)
def test_trying_again(
    things: list[Thing],
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
    passing: bool,
    retry_after: float | None,
    pauses: list[float],
) -> None:
    remote = held("one", things[0])
    left = failures

    def has(items: object) -> dict[str, int | None]:
        nonlocal left
        left -= 1
        if left >= 0:
            raise RemoteUnreachable("busy", is_passing=passing, retry_after=retry_after)
        return {things[0].hash: 1}

    monkeypatch.setattr(remote, "has", has)
    steady, waited = patient(remote)
    if len(pauses) == failures:
        assert steady.has([things[0].item]) == {things[0].hash: 1}
    else:
        with pytest.raises(RemoteUnreachable):
            steady.has([things[0].item])
    assert waited == pauses


def test_a_listing_goes_on_without_repeating(things: list[Thing], monkeypatch: pytest.MonkeyPatch) -> None:
    remote = held("one", *things)
    whole = list(remote.list())
    breaks = itertools.count()

    def broken() -> Iterator[Item]:
        yield from whole[: 7 * (next(breaks) + 1)]
        if next(breaks) < 5:
            raise RemoteUnreachable("reset", is_passing=True)

    monkeypatch.setattr(remote, "list", broken)
    steady, _ = patient(remote)
    assert list(steady.list()) == whole


def test_a_limit_holds_over_all_threads(store: Store, things: list[Thing]) -> None:
    now, lock = 0.0, threading.Lock()
    waited = 0.0

    def sleep(seconds: float) -> None:
        nonlocal waited
        with lock:
            waited = max(waited, seconds)

    slow = Limited(held("one", *things), Bucket(10_000, sleep=sleep, clock=lambda: now))
    transfer.fetch(store, [slow], [thing.item for thing in things])
    total = sum(len(thing.data) for thing in things)
    # The clock stands still, so the last byte had to wait for all before it.
    assert in_store(store, *things) and total / 10_000 - 0.3 < waited <= total / 10_000
