"""Connections of an SFTP remote that are lost, or never were: told in bounded time, and made again."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from comfyvn_store.errors import RemoteUnreachable
from comfyvn_store.remotes.address import parse
from comfyvn_store.remotes.limit import Reading
from comfyvn_store.remotes.remote import Source
from comfyvn_store.remotes.retry import Retrying
from comfyvn_store.remotes.sftp import Sftp, link, login
from tests.remotes.objects import Thing
from tests.remotes.sshd import Server

pytest.importorskip("asyncssh", reason="asyncssh is not installed (extra: sftp)")

LARGE = 40_000_000


@pytest.fixture
def server(tmp_path: Path, hermetic: Path) -> Iterator[Server]:
    made = Server(tmp_path / "sshd", hermetic)
    made.know()
    made.start()
    yield made
    made.kill()


@pytest.fixture
def sftp(server: Server, tmp_path: Path) -> Iterator[Sftp]:
    made = Sftp("nas", parse(server.url(tmp_path / "art"), "/"))
    made.create()
    yield made
    made.close()


class Interrupted(Source):
    """An object during whose sending something happens, once, after some of it was read."""

    def __init__(self, thing: Thing, after: int, work: Callable[[], object]) -> None:
        super().__init__(str(thing.path))
        self._left: int | None = after
        self._work = work

    def open(self) -> BinaryIO:
        return Reading(super().open(), before=self._count)

    def _count(self, size: int) -> None:
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                self._left = None
                self._work()


def test_a_server_that_ends_amid_an_object(server: Server, sftp: Sftp, tmp_path: Path) -> None:
    thing = Thing(tmp_path / "local", LARGE)
    sftp.put(thing.item, thing.source)
    blocks = sftp.get(thing.item)
    next(blocks)
    server.kill()
    with pytest.raises(RemoteUnreachable) as caught:
        list(blocks)
    assert caught.value.is_passing
    with pytest.raises(RemoteUnreachable) as caught:
        sftp.test()
    assert caught.value.is_passing, "it may be starting again"
    server.start()
    assert list(sftp.has([thing.item])) == [thing.hash]


def test_reading_goes_on_where_it_stopped(server: Server, sftp: Sftp, tmp_path: Path) -> None:
    thing = Thing(tmp_path / "local", LARGE)
    sftp.put(thing.item, thing.source)
    starts: list[float] = []

    def restart(pause: float) -> None:
        starts.append(pause)
        server.start()

    data = bytearray()
    for number, block in enumerate(Retrying(sftp, sleep=restart).get(thing.item)):
        data += block
        if number == 4:
            server.kill()
    assert bytes(data) == thing.data and len(starts) == 1


def test_sending_begins_again(server: Server, sftp: Sftp, tmp_path: Path) -> None:
    thing = Thing(tmp_path / "local", LARGE)
    starts: list[float] = []

    def restart(pause: float) -> None:
        starts.append(pause)
        server.start()

    source = Interrupted(thing, 10_000_000, server.kill)
    assert Retrying(sftp, sleep=restart).put(thing.item, source) is True
    assert len(starts) == 1
    place = tmp_path / "art/objects" / thing.hash[:2] / thing.hash[2:]
    assert place.read_bytes() == thing.data


def test_a_failure_of_our_own_disk_ends_the_sending(sftp: Sftp, tmp_path: Path) -> None:
    thing = Thing(tmp_path / "local", LARGE)

    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sftp.put(thing.item, Interrupted(thing, 10_000_000, fail))
    assert list((tmp_path / "art/tmp").iterdir()) == [] and list(sftp.list()) == []


def test_many_threads_lose_it_and_find_it_again(server: Server, sftp: Sftp, tmp_path: Path) -> None:
    things = [Thing(tmp_path / "local", 50_000, number) for number in range(100)]
    guard = threading.Lock()
    wrong: list[BaseException] = []

    def restart(pause: float) -> None:
        with guard:
            if server.is_dead:
                server.start()
        time.sleep(0.01)

    def work(mine: list[Thing]) -> None:
        remote = Retrying(sftp, sleep=restart)
        try:
            for thing in mine:
                remote.put(thing.item, thing.source)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(things[n::8],)) for n in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    with guard:
        server.kill()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert sorted(item.hash for item in sftp.list()) == sorted(thing.hash for thing in things)


def test_a_server_that_falls_silent(
    server: Server, sftp: Sftp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "QUIET", 1.0)
    thing = Thing(tmp_path / "local", 1000)
    sftp.close()
    sftp.test()
    stopped = server.workers()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        before = time.monotonic()
        with pytest.raises(RemoteUnreachable) as caught:
            sftp.has([thing.item])
        assert caught.value.is_passing and time.monotonic() - before < 20
        sftp.put(thing.item, thing.source)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b"a" * 100_000])
def test_what_answers_is_no_ssh_server(hermetic: Path, monkeypatch: pytest.MonkeyPatch, says: bytes) -> None:
    monkeypatch.setattr(login, "CONNECTING", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        held: list[socket.socket] = []

        def answer() -> None:
            try:
                while True:
                    held.append(listening.accept()[0])
                    held[-1].sendall(says)
            except OSError:
                return

        threading.Thread(target=answer, daemon=True).start()
        remote = Sftp("nas", parse(f"sftp://artist@127.0.0.1:{port}/art", "/"))
        before = time.monotonic()
        with pytest.raises(RemoteUnreachable):
            remote.test()
        assert time.monotonic() - before < 20
        remote.close()
        for each in held:
            each.close()


def test_nothing_listens_there(hermetic: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        remote = Sftp("nas", parse(f"sftp://artist@127.0.0.1:{taken.getsockname()[1]}/art", "/"))
        with pytest.raises(RemoteUnreachable) as caught:
            remote.test()
        assert caught.value.is_passing
        remote.close()
