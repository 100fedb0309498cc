"""Logging in to an SFTP remote: whose key is trusted, whose is accepted, and what the person's ssh configuration says."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfyvn_store.errors import RemoteDenied, RemoteUnreachable, ToolMissing, UsageError
from comfyvn_store.remotes.address import parse
from comfyvn_store.remotes.sftp import Sftp
from tests.processes import until
from tests.remotes.objects import Thing
from tests.remotes.sshd import Server, make_key

pytest.importorskip("asyncssh", reason="asyncssh is not installed (extra: sftp)")


@pytest.fixture
def server(tmp_path: Path, hermetic: Path) -> Iterator[Server]:
    made = Server(tmp_path / "sshd", hermetic)
    made.know()
    made.start()
    yield made
    made.kill()


@pytest.fixture
def url(server: Server, tmp_path: Path) -> str:
    """The address of a remote that is there."""
    made = Sftp("nas", parse(server.url(tmp_path / "art"), "/"))
    made.create()
    made.close()
    return made.place


def test(url: str) -> None:
    remote = Sftp("nas", parse(url, "/"))
    try:
        remote.test()
    finally:
        remote.close()


def denied(url: str) -> RemoteDenied:
    """Gives the error of a server that is there and not to be used; it says nothing of where keys are."""
    with pytest.raises(RemoteDenied) as caught:
        test(url)
    assert not caught.value.is_passing
    assert "id_ed25519" not in f"{caught.value}{caught.value.hint}"
    return caught.value


def configure(server: Server, text: str) -> None:
    (server.ssh / "config").write_text(text)


@pytest.mark.parametrize("config", ["", "StrictHostKeyChecking no\n", "UserKnownHostsFile none\n"])
def test_a_host_that_is_not_known(server: Server, url: str, config: str) -> None:
    (server.ssh / "known_hosts").unlink()
    configure(server, config)
    error = denied(url)
    assert "not known" in error.message and f"`ssh -p {server.port} {server.user}@127.0.0.1`" in str(error.hint)
    assert not (server.ssh / "known_hosts").exists()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_host_key_that_changed(server: Server, url: str, tmp_path: Path, kind: str) -> None:
    make_key(tmp_path / "former", "-t", kind, "-N", "")
    name, key = (tmp_path / "former.pub").read_text().split()[:2]
    (server.ssh / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {name} {key}\n")
    assert "another host key" in denied(url).message


def test_known_hosts_with_lines_that_nobody_can_read(server: Server, url: str) -> None:
    known = server.ssh / "known_hosts"
    known.write_bytes(b"garbage\n@strange * ssh-ed25519 AAAA\n\xff\xfe\n\nhost ssh-new key\n" + known.read_bytes())
    test(url)


def test_a_revoked_host_key(server: Server, url: str) -> None:
    known = server.ssh / "known_hosts"
    known.write_text(known.read_text() + "@revoked * " + known.read_text().partition(" ")[2])
    denied(url)


def test_a_key_that_is_not_accepted(server: Server, url: str) -> None:
    server.authorized.write_text("")
    error = denied(url)
    assert "none of your keys" in error.message and "ssh-add" in str(error.hint)


def test_more_keys_than_the_server_lets_anybody_try(tmp_path: Path, hermetic: Path) -> None:
    server = Server(tmp_path / "sshd", hermetic, subsystem="internal-sftp\nMaxAuthTries 1")
    server.know()
    server.start()
    make_key(server.ssh / "other")
    configure(server, "IdentityFile ~/.ssh/other\nIdentityFile ~/.ssh/id_ed25519\n")
    try:
        assert "none of your keys" in denied(server.url(tmp_path)).message
    finally:
        server.kill()


def test_no_key_at_all(server: Server, url: str) -> None:
    (server.ssh / "id_ed25519").unlink()
    assert "none of your keys" in denied(url).message


def test_a_passphrase_is_not_asked_for(server: Server, url: str, tmp_path: Path) -> None:
    (server.ssh / "id_ed25519").unlink()
    make_key(server.ssh / "id_ed25519", "-N", "a secret")
    assert "none of your keys" in denied(url).message
    configure(server, "IdentityFile ~/.ssh/id_ed25519\n")
    assert "none of your keys" in denied(url).message


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An agent of the person's, with no key yet."""
    if shutil.which("ssh-agent") is None or shutil.which("ssh-add") is None:
        pytest.skip("no ssh-agent here (Debian: openssh-client)")
    # A socket's path has room for about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="agent-") as folder:
        process = subprocess.Popen(["ssh-agent", "-D", "-a", f"{folder}/socket"], stdout=subprocess.DEVNULL)
        until(lambda: os.path.exists(f"{folder}/socket"))
        monkeypatch.setenv("SSH_AUTH_SOCK", f"{folder}/socket")
        yield
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("config", ["", "IdentitiesOnly yes\nIdentityFile ~/.ssh/studio\n"])
@pytest.mark.usefixtures("agent")
def test_a_key_that_the_agent_holds(server: Server, url: str, config: str) -> None:
    key = server.ssh / "id_ed25519"
    subprocess.run(["ssh-add", "-q", str(key)], check=True)
    key.unlink()
    (server.ssh / "studio.pub").write_text((server.folder / "person.pub").read_text())
    configure(server, config)
    test(url)


def test_a_key_that_is_none(server: Server, url: str) -> None:
    (server.ssh / "id_ed25519").write_text(
        "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n"
    )
    denied(url)


def test_the_configuration_names_host_port_and_key(server: Server, url: str, tmp_path: Path) -> None:
    (server.ssh / "id_ed25519").rename(server.ssh / "studio")
    lines = ["Host nas", "HostName 127.0.0.1", f"Port {server.port}", f"User {server.user}"]
    lines += ["IdentityFile ~/.ssh/absent", "IdentityFile ~/.ssh/studio", "IdentitiesOnly yes"]
    configure(server, "\n".join(lines) + "\n")
    test(f"sftp://nas{tmp_path / 'art'}")


@pytest.mark.parametrize("jump", ["{user}@127.0.0.1:{port}", "gate", "ssh://{user}@127.0.0.1:{port}", "gate,gate2"])
def test_the_configuration_names_machines_to_jump_over(server: Server, url: str, tmp_path: Path, jump: str) -> None:
    gate = f"HostName 127.0.0.1\nPort {server.port}\nUser {server.user}\n"
    there = jump.format(user=server.user, port=server.port)
    configure(server, f"Host gate gate2\n{gate}\nHost nas\n{gate}ProxyJump {there}\n")
    test(f"sftp://nas{tmp_path / 'art'}")
    said = (server.folder / "log").read_text()
    assert said.count("Accepted publickey") >= 3


def test_the_host_to_jump_over_must_be_known_too(server: Server, url: str, tmp_path: Path) -> None:
    lines = ["Host gate", "HostName localhost", f"Port {server.port}", "UserKnownHostsFile none"]
    lines += ["HostKeyAlias gate.example"]
    lines += ["Host nas", "HostName 127.0.0.1", f"Port {server.port}", "ProxyJump gate"]
    configure(server, "\n".join(lines) + "\n")
    assert "'gate' is not known" in denied(f"sftp://nas{tmp_path / 'art'}").message


def test_jumps_in_a_circle(server: Server, url: str, tmp_path: Path) -> None:
    configure(server, "Host a\nProxyJump b\nHost b\nProxyJump a\n")
    with pytest.raises(RemoteUnreachable, match="circle"):
        test(f"sftp://a{tmp_path / 'art'}")


@pytest.mark.parametrize("config", ["Port many\n", "Host nas 'x\n", "Match strange\n", "Ciphers nothing\n"])
def test_a_configuration_that_cannot_be_read(server: Server, url: str, config: str) -> None:
    configure(server, config)
    for _ in range(5):  # of a server that closes at once, the end may be heard before what it had to say of ciphers
        with pytest.raises(RemoteUnreachable) as caught:
            test(url)
        if not caught.value.is_passing:
            break
    assert not caught.value.is_passing


def test_a_folder_of_the_home_there(tmp_path: Path, hermetic: Path) -> None:
    home = tmp_path / "home-there"
    home.mkdir()
    server = Server(tmp_path / "sshd", hermetic, subsystem=f"internal-sftp -d {home}")
    server.know()
    server.start()
    remote = Sftp("nas", parse(server.url("/~/art"), "/"))
    try:
        remote.create()
        thing = Thing(tmp_path / "local", 10)
        remote.put(thing.item, thing.source)
        assert (home / "art/objects" / thing.hash[:2] / thing.hash[2:]).read_bytes() == thing.data
    finally:
        remote.close()
        server.kill()


def test_a_machine_without_sftp(tmp_path: Path, hermetic: Path) -> None:
    server = Server(tmp_path / "sshd", hermetic, subsystem="/nowhere/sftp-server")
    server.know()
    server.start()
    try:
        with pytest.raises(RemoteUnreachable):
            test(server.url(tmp_path))
    finally:
        server.kill()


@pytest.mark.parametrize(
    "url",
    [
        "sftp://host",
        "sftp://host/",
        "sftp://host/~",
        "sftp://host/~/",
        "sftp://-oProxyCommand=x/art",
        "sftp://-l@host/art",
        "sftp://ho;st/art",
        "sftp://us%20er@host/art",
    ],
)
def test_addresses_that_name_no_folder_on_a_machine(url: str) -> None:
    with pytest.raises(UsageError):
        Sftp("nas", parse(url, "/"))


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    remote = Sftp("nas", parse("sftp://host/art", "/"))
    with pytest.raises(ToolMissing) as caught:
        remote.test()
    assert "asyncssh" in str(caught.value.hint)
    remote.close()
