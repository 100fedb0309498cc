"""The SFTP remote, on the suite against OpenSSH and others, and on what can happen to the bytes there."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from comfyvn_store.errors import (
    MachineError,
    NewerStore,
    ObjectCorrupt,
    ObjectMissing,
    RemoteDenied,
    RemoteUnreachable,
    UsageError,
)
from comfyvn_store.remotes.address import parse
from comfyvn_store.remotes.remote import Item, Remote
from comfyvn_store.remotes.sftp import Sftp, reading
from tests.processes import until
from tests.remotes.conformance import Conformance
from tests.remotes.objects import Thing
from tests.remotes.sshd import Server

pytest.importorskip("asyncssh", reason="asyncssh is not installed (extra: sftp)")

from tests.remotes import sftpd

# Sends one object as fast as its second word says (bytes a second), after a line came in.
SEND = """
import sys
from comfyvn_store.remotes.address import parse
from comfyvn_store.remotes.limit import Bucket, Limited
from comfyvn_store.remotes.remote import Item, Source
from comfyvn_store.remotes.sftp import Sftp
url, rate, path, hash_ = sys.argv[1:]
remote = Sftp("nas", parse(url, "/"))
remote.test()
print("ready", flush=True)
sys.stdin.readline()
print(Limited(remote, Bucket(float(rate))).put(Item(hash_), Source(path)), flush=True)
remote.finish()
remote.close()
"""


def opened(url: str, name: str = "nas", *, is_writable: bool = True) -> Sftp:
    return Sftp(name, parse(url, "/"), is_writable=is_writable)


@pytest.fixture
def server(tmp_path: Path, hermetic: Path) -> Iterator[Server]:
    made = Server(tmp_path / "sshd", hermetic)
    made.know()
    made.start()
    yield made
    made.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "art"


@pytest.fixture
def sftp(server: Server, folder: Path) -> Iterator[Sftp]:
    made = opened(server.url(folder))
    made.create()
    yield made
    made.close()


@pytest.fixture
def other(hermetic: Path, folder: Path) -> Iterator[Callable[[type[sftpd.asyncssh.SFTPServer]], Sftp]]:
    """Starts a server that is not OpenSSH, and gives the folder there as a remote."""
    ends: list[Callable[[], None]] = []

    def start(kind: type[sftpd.asyncssh.SFTPServer]) -> Sftp:
        server = sftpd.AsyncsshServer(kind, hermetic)
        remote = opened(server.url(folder))
        ends.extend((server.end, remote.close))
        return remote

    yield start
    for end in reversed(ends):
        end()


def sender(remote: Sftp, thing: Thing, rate: float = 1e9) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", "-c", SEND, remote.place, str(rate), str(thing.path), thing.hash]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    return process


def place_of(folder: Path, thing: Thing) -> Path:
    return folder / "objects" / thing.hash[:2] / thing.hash[2:]


class TestOpenSSH(Conformance):
    @pytest.fixture
    def remote(self, sftp: Sftp) -> Remote:
        return sftp

    def again(self, remote: Remote) -> Remote:
        return opened(remote.place)


class TestAsyncssh(Conformance):
    @pytest.fixture
    def remote(self, other: Callable[..., Sftp]) -> Remote:
        made = other(sftpd.asyncssh.SFTPServer)
        made.create()
        return made

    def again(self, remote: Remote) -> Remote:
        return opened(remote.place)


class TestServerWithoutExtensions(Conformance):
    @pytest.fixture
    def remote(self, other: Callable[..., Sftp]) -> Remote:
        made = other(sftpd.Plain)
        made.create()
        return made


class TestServerThatGivesLess(Conformance):
    @pytest.fixture
    def remote(self, other: Callable[..., Sftp]) -> Remote:
        made = other(sftpd.Stingy)
        made.create()
        return made


def test_objects_lie_there_as_in_a_store(sftp: Sftp, folder: Path, tmp_path: Path) -> None:
    for thing in (Thing(tmp_path / "local", 100), Thing(tmp_path / "local", 3_000_000)):
        sftp.put(thing.item, thing.source)
        info = place_of(folder, thing).stat()
        assert place_of(folder, thing).read_bytes() == thing.data
        assert info.st_mode & 0o777 == 0o444 and info.st_mtime_ns % 1_000_000_000 == 0
        assert abs(info.st_mtime - time.time()) < 60
    assert (folder / "format").read_text() == "1\n"
    assert list((folder / "tmp").iterdir()) == []


def test_creating_again_changes_nothing(sftp: Sftp, folder: Path, tmp_path: Path) -> None:
    thing = Thing(tmp_path / "local", 100)
    sftp.put(thing.item, thing.source)
    before = (folder / "format").stat().st_mtime_ns
    sftp.create()
    assert (folder / "format").stat().st_mtime_ns == before
    assert [item.hash for item in sftp.list()] == [thing.hash]


def test_a_folder_is_not_made_in_one_that_is_not_there(server: Server, tmp_path: Path) -> None:
    remote = opened(server.url(tmp_path / "unmounted" / "art"))
    with pytest.raises(RemoteUnreachable, match="unmounted"):
        remote.create()
    remote.close()
    assert not (tmp_path / "unmounted").exists()


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_a_damaged_object_is_not_sent(sftp: Sftp, folder: Path, tmp_path: Path, size: int) -> None:
    thing = Thing(tmp_path / "local", size)
    thing.path.write_bytes(b"x" * size)
    with pytest.raises(ObjectCorrupt):
        sftp.put(thing.item, thing.source)
    assert list(sftp.list()) == [] and list((folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("kind", [sftpd.asyncssh.SFTPServer, sftpd.Plain])
def test_an_object_of_another_size_there_is_replaced(
    other: Callable[..., Sftp], folder: Path, tmp_path: Path, kind: type[sftpd.asyncssh.SFTPServer]
) -> None:
    remote = other(kind)
    remote.create()
    thing = Thing(tmp_path / "local", 100)
    place_of(folder, thing).parent.mkdir()
    place_of(folder, thing).write_bytes(b"x" * 99)
    assert remote.put(thing.item, thing.source) is True
    assert place_of(folder, thing).read_bytes() == thing.data
    assert list((folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("gone", ["all", "format"])
@pytest.mark.parametrize("is_connected", [True, False])
def test_a_disk_that_is_not_mounted(sftp: Sftp, folder: Path, tmp_path: Path, gone: str, is_connected: bool) -> None:
    thing, large = Thing(tmp_path / "local", 100), Thing(tmp_path / "local", 2_000_000)
    remote = sftp if is_connected else opened(sftp.place)
    if gone == "all":
        folder.rename(tmp_path / "unmounted")
    else:
        (folder / "format").unlink()
    for work in (
        lambda: remote.has([thing.item]),
        lambda: list(remote.get(thing.item)),
        lambda: remote.put(thing.item, thing.source),
        lambda: remote.put(large.item, large.source),
        lambda: list(remote.list()),
        lambda: remote.delete(thing.hash),
        remote.test,
    ):
        with pytest.raises(RemoteUnreachable) as caught:
            work()
        assert "mounted" in str(caught.value.hint) and not caught.value.is_passing
    remote.close()
    left = tmp_path / "unmounted" if gone == "all" else folder
    assert [*(left / "objects").iterdir(), *(left / "tmp").iterdir()] == []


def test_a_later_format(sftp: Sftp, folder: Path) -> None:
    (folder / "format").write_text("2\n")
    remote = opened(sftp.place)
    with pytest.raises(NewerStore):
        remote.test()
    remote.close()


def test_strangers_in_the_folder_are_no_objects(sftp: Sftp, folder: Path, tmp_path: Path) -> None:
    objects = folder / "objects"
    (objects / "ab").mkdir()
    (objects / "ab" / "note.txt").write_text("hello")
    (objects / "ab" / ("1" * 62)).mkdir()
    (objects / "readme").write_text("hello")
    (objects / "ab" / ("0" * 62)).symlink_to("/etc/passwd")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ("0" * 62)).write_text("hello")
    (objects / "cd").symlink_to(tmp_path / "elsewhere")
    (objects / "ef").write_text("hello")
    assert list(sftp.list()) == []
    assert sftp.has([Item("ab" + "0" * 62), Item("ab" + "1" * 62), Item("ef" + "0" * 62)]) == {}
    for hash_ in ("ab" + "0" * 62, "ab" + "1" * 62):
        with pytest.raises(ObjectMissing):
            list(sftp.get(Item(hash_)))


def test_a_symlink_in_the_place_of_an_object_is_replaced(sftp: Sftp, folder: Path, tmp_path: Path) -> None:
    thing = Thing(tmp_path / "local", 100)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"x" * 100)
    place_of(folder, thing).parent.mkdir()
    place_of(folder, thing).symlink_to(elsewhere)
    assert sftp.put(thing.item, thing.source) is True
    assert not place_of(folder, thing).is_symlink() and place_of(folder, thing).read_bytes() == thing.data
    assert elsewhere.read_bytes() == b"x" * 100


def test_names_that_lead_elsewhere_are_no_objects(other: Callable[..., Sftp], folder: Path) -> None:
    made = other(sftpd.asyncssh.SFTPServer)
    made.create()
    (folder / "objects" / "ab").mkdir()
    assert list(other(sftpd.Lying).list()) == []


@pytest.mark.parametrize("hash_", ["../../etc/passwd", "ab/../" + "0" * 58, "AB" + "0" * 62, ""])
def test_what_is_no_hash_is_no_path(sftp: Sftp, hash_: str, tmp_path: Path) -> None:
    for work in (
        lambda: sftp.has([Item(hash_)]),
        lambda: list(sftp.get(Item(hash_))),
        lambda: sftp.delete(hash_),
    ):
        with pytest.raises(UsageError):
            work()


def test_a_server_that_sends_more_than_it_was_asked_for(other: Callable[..., Sftp], tmp_path: Path) -> None:
    remote = other(sftpd.Talkative)
    remote.create()
    thing = Thing(tmp_path / "local", 2_000_000)
    remote.put(thing.item, thing.source)
    with pytest.raises(RemoteUnreachable, match="more than it was asked for"):
        list(remote.get(thing.item))


def test_what_a_server_says_is_bounded_and_printable(other: Callable[..., Sftp], tmp_path: Path) -> None:
    remote = other(sftpd.Broken)
    remote.create()
    thing = Thing(tmp_path / "local", 100)
    with pytest.raises(RemoteUnreachable, match="out of order") as caught:
        remote.put(thing.item, thing.source)
    assert caught.value.message.isprintable() and len(caught.value.message) < 400


def test_a_server_that_lets_nobody_write(other: Callable[..., Sftp], tmp_path: Path) -> None:
    other(sftpd.asyncssh.SFTPServer).create()
    remote = other(sftpd.Forbidding)
    for size in (100, 3_000_000):
        thing = Thing(tmp_path / "local", size)
        with pytest.raises(RemoteDenied) as caught:
            remote.put(thing.item, thing.source)
        assert not caught.value.is_passing
    assert list(remote.list()) == []


def test_a_disk_that_knows_no_modes(other: Callable[..., Sftp], folder: Path, tmp_path: Path) -> None:
    remote = other(sftpd.Unchangeable)
    remote.create()
    thing = Thing(tmp_path / "local", 100)
    assert remote.put(thing.item, thing.source) is True
    assert place_of(folder, thing).read_bytes() == thing.data


def test_a_trickle_is_given_out_as_it_comes(
    other: Callable[..., Sftp], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_PATIENCE", 0.2)
    other(sftpd.asyncssh.SFTPServer).create()
    remote = other(sftpd.Trickling)
    thing = Thing(tmp_path / "local", 100_000)
    remote.put(thing.item, thing.source)
    before = time.monotonic()
    blocks = remote.get(thing.item)
    assert thing.data.startswith(next(blocks) + next(blocks))
    blocks.close()
    assert time.monotonic() - before < 10


def test_closing_while_somebody_waits(other: Callable[..., Sftp], tmp_path: Path) -> None:
    other(sftpd.asyncssh.SFTPServer).create()
    remote = other(sftpd.Trickling)
    thing = Thing(tmp_path / "local", 100_000)
    remote.put(thing.item, thing.source)
    said: list[BaseException] = []

    def wait() -> None:
        try:
            list(remote.get(thing.item))
        except BaseException as error:
            said.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.3)
    remote.close()
    thread.join(10)
    assert [type(error) for error in said] == [RemoteUnreachable]


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_a_server_that_says_in_words_that_its_disk_is_full(
    other: Callable[..., Sftp], folder: Path, tmp_path: Path, size: int
) -> None:
    other(sftpd.asyncssh.SFTPServer).create()
    thing = Thing(tmp_path / "local", size)
    with pytest.raises(MachineError, match="full"):
        other(sftpd.Full).put(thing.item, thing.source)
    assert [*(folder / "tmp").iterdir(), *(folder / "objects").iterdir()] == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to(sftp: Sftp, folder: Path, tmp_path: Path) -> None:
    thing = Thing(tmp_path / "local", 100)
    (folder / "tmp").chmod(0o555)
    with pytest.raises(RemoteDenied) as caught:
        sftp.put(thing.item, thing.source)
    (folder / "tmp").chmod(0o755)
    assert not caught.value.is_passing


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("only root can mount a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_is_full(server: Server, small_disk: Path, tmp_path: Path) -> None:
    folder = small_disk / "art"
    remote = opened(server.url(folder))
    remote.create()
    large, small = Thing(tmp_path / "local", 6_000_000), Thing(tmp_path / "local", 100_000)
    with pytest.raises(MachineError, match="full"):
        remote.put(large.item, large.source)
    assert list((folder / "tmp").iterdir()) == [] and list(remote.list()) == []
    assert remote.put(small.item, small.source) is True
    remote.close()


def test_a_disk_that_is_read_only(server: Server, small_disk: Path, tmp_path: Path) -> None:
    remote = opened(server.url(small_disk / "art"))
    remote.create()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    thing = Thing(tmp_path / "local", 100)
    with pytest.raises(RemoteDenied, match="read-only"):
        remote.put(thing.item, thing.source)
    assert list(remote.list()) == []
    remote.close()


@pytest.mark.parametrize("size", [1000, 8_000_000])
def test_two_processes_send_one_object(sftp: Sftp, folder: Path, tmp_path: Path, size: int) -> None:
    thing = Thing(tmp_path / "local", size)
    senders = [sender(sftp, thing), sender(sftp, thing)]
    for process in senders:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0] for process in senders]
    assert [process.returncode for process in senders] == [0, 0]
    assert b"True\n" in said and set(said) <= {b"True\n", b"False\n"}
    assert place_of(folder, thing).read_bytes() == thing.data
    assert list((folder / "tmp").iterdir()) == []


def test_a_sender_that_is_killed_leaves_nothing_under_the_name(sftp: Sftp, folder: Path, tmp_path: Path) -> None:
    thing, next_ = Thing(tmp_path / "local", 20_000_000), Thing(tmp_path / "local", 100)
    process = sender(sftp, thing, 4e6)
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    until(lambda: any(path.stat().st_size > 2_000_000 for path in (folder / "tmp").iterdir()))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    (left,) = (folder / "tmp").iterdir()
    assert not place_of(folder, thing).exists() and sftp.has([thing.item]) == {}

    assert sftp.put(thing.item, thing.source) is True
    assert place_of(folder, thing).read_bytes() == thing.data
    assert left.exists(), "it could be another sender's"

    old = time.time() - 2 * 86400
    os.utime(left, (old, old))
    (folder / "tmp" / "notes").write_text("a stranger's")
    os.utime(folder / "tmp" / "notes", (old, old))
    later = opened(sftp.place)
    assert later.put(next_.item, next_.source) is True
    later.close()
    assert [path.name for path in (folder / "tmp").iterdir()] == ["notes"]


def test_closing_ends_the_thread_and_the_next_call_begins_anew(sftp: Sftp, tmp_path: Path) -> None:
    thing = Thing(tmp_path / "local", 5_000_000)
    sftp.put(thing.item, thing.source)
    blocks = sftp.get(thing.item)
    next(blocks)
    sftp.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "sftp-nas"]
    blocks.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "sftp-nas"]
    assert list(sftp.has([thing.item])) == [thing.hash]


def test_the_library_is_imported_when_it_is_used() -> None:
    program = "import sys, comfyvn_store.remotes.sftp; sys.exit('asyncssh' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", program]).returncode == 0
