"""The SFTP remote, on the suite against OpenSSH, and on what can happen on the way to a server and there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from comfyvn_store.remotes.address import parse
from comfyvn_store.remotes.remote import Remote
from comfyvn_store.remotes.sftp import Sftp
from tests.remotes.conformance import Conformance
from tests.remotes.sshd import Server

pytest.importorskip("asyncssh", reason="asyncssh is not installed (extra: sftp)")


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
def sftp(server: Server, tmp_path: Path) -> Iterator[Sftp]:
    made = opened(server.url(tmp_path / "art"))
    made.create()
    yield made
    made.close()


class TestOpenSSH(Conformance):
    @pytest.fixture
    def remote(self, sftp: Sftp) -> Remote:
        return sftp

    def again(self, remote: Remote) -> Remote:
        return opened(remote.place)
