"""TLS and proxies: as git's config and the environment say, and never less safe than that."""

import datetime
import ipaddress
import json
import select
import socket
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from comfyvn_store.errors import RemoteUnreachable, UsageError
from tests.gitrepo import GitRepo
from tests.remotes.lfs_servers import remote_of, repository
from tests.remotes.objects import Thing
from tests.servers.lfs import Handler, LfsServer, serving

x509 = pytest.importorskip("cryptography.x509")


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "for tests")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert, private


@pytest.fixture
def cert(tmp_path: Path) -> Path:
    return certificate(tmp_path)[0]


@pytest.fixture
def server(tmp_path: Path, cert: Path) -> Iterator[LfsServer]:
    server = LfsServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.url = server.url.replace("http:", "https:")
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    with serving(server):
        yield server


@pytest.fixture
def repo(tmp_path: Path, server: LfsServer) -> GitRepo:
    return repository(tmp_path, server.url)


def test_a_certificate_that_nobody_trusts(repo: GitRepo) -> None:
    with pytest.raises(RemoteUnreachable, match="not trusted") as caught:
        remote_of(repo).test()
    assert "sslCAInfo" in str(caught.value.hint) and not caught.value.is_passing


@pytest.mark.parametrize("way", ["http.sslCAInfo", "http.URL.sslCAInfo", "GIT_SSL_CAINFO", "SSL_CERT_FILE"])
def test_an_authority_of_one_s_own(
    repo: GitRepo, server: LfsServer, cert: Path, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way.startswith("http."):
        repo.git("config", way.replace("URL", server.url.partition("/org")[0]), str(cert))
    else:
        monkeypatch.setenv(way, str(cert))
    thing = Thing(tmp_path / "local", 100_000)
    remote = remote_of(repo)
    assert remote.put(thing.item, thing.source) is True
    assert b"".join(remote.get(thing.item)) == thing.data


def test_certificates_that_cannot_be_read(repo: GitRepo, tmp_path: Path) -> None:
    repo.git("config", "http.sslCAInfo", str(tmp_path / "nothing.pem"))
    with pytest.raises(UsageError, match="cannot be read"):
        remote_of(repo).test()


def test_unchecked_only_where_git_s_config_says_so(
    repo: GitRepo, server: LfsServer, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")
    with pytest.raises(RemoteUnreachable):
        remote_of(repo).test()
    repo.git("config", "http.https://other/.sslVerify", "false")
    with pytest.raises(RemoteUnreachable):
        remote_of(repo).test()
    repo.git("config", f"http.{server.url.partition('/org')[0]}/.sslVerify", "false")
    remote_of(repo).test()
    assert len(recwarn) == 0


def test_nothing_leads_from_tls_to_without(repo: GitRepo, server: LfsServer, cert: Path, tmp_path: Path) -> None:
    repo.git("config", "http.sslCAInfo", str(cert))
    thing = Thing(tmp_path / "local", 100)
    with serving(LfsServer()) as plain:
        plain.objects = server.objects = {thing.hash: thing.data}
        own = server.url
        server.url = plain.url  # the addresses that it names lead there
        with pytest.raises(RemoteUnreachable, match="not HTTPS; it is not followed"):
            list(remote_of(repo).get(thing.item))
        server.url = own

        class Redirecting(Handler):
            def send_object(self, held: bytes) -> None:
                self.say(302, {}, {"Location": f"{plain.url}/store/{thing.hash}"})

        server.RequestHandlerClass = Redirecting
        with pytest.raises(RemoteUnreachable, match="redirects to what is not HTTPS"):
            list(remote_of(repo).get(thing.item))
        assert plain.seen == []


class Proxy(BaseHTTPRequestHandler):
    """Answers itself, in the place of whoever is asked for."""

    protocol_version = "HTTP/1.1"
    server: LfsServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.tokens[f"{self.path} {self.headers.get('Proxy-Authorization')}"] = 0.0
        objects = [
            {"oid": each["oid"], "size": 1, "actions": {"download": {"href": "http://x/"}}} for each in asked["objects"]
        ]
        data = json.dumps({"objects": objects}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Tunnel(BaseHTTPRequestHandler):
    """Connects to whoever is asked for, and passes bytes on."""

    protocol_version = "HTTP/1.1"
    server: LfsServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        self.server.tokens[f"{self.path} {self.headers.get('Proxy-Authorization')}"] = 0.0
        host, _, port = self.path.partition(":")
        with socket.create_connection((host, int(port))) as other:
            self.send_response(200)
            self.end_headers()
            pair = {self.connection: other, other: self.connection}
            while True:
                for ready in select.select(list(pair), [], [], 10)[0]:
                    if not (data := ready.recv(65_536)):
                        self.close_connection = True
                        return
                    pair[ready].sendall(data)


def test_tls_through_a_proxy(repo: GitRepo, server: LfsServer, cert: Path, tmp_path: Path) -> None:
    repo.git("config", "http.sslCAInfo", str(cert))
    tunnel = LfsServer()
    tunnel.RequestHandlerClass = Tunnel
    with serving(tunnel):
        repo.git("config", "http.proxy", f"ann:sesame@127.0.0.1:{tunnel.server_address[1]}")
        thing = Thing(tmp_path / "local", 100_000)
        remote = remote_of(repo)
        assert remote.put(thing.item, thing.source) is True
        assert b"".join(remote.get(thing.item)) == thing.data
        remote.close()
        assert list(tunnel.tokens) == [f"127.0.0.1:{server.server_address[1]} Basic YW5uOnNlc2FtZQ=="]
        assert all("Proxy-Authorization" not in seen.headers for seen in server.seen)


@pytest.fixture
def proxy() -> Iterator[LfsServer]:
    server = LfsServer()
    server.RequestHandlerClass = Proxy
    with serving(server):
        yield server


@pytest.mark.parametrize("way", ["http.proxy", "http.URL.proxy", "http_proxy", "all_proxy"])
def test_through_a_proxy(tmp_path: Path, proxy: LfsServer, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = repository(tmp_path, "http://forge.invalid/lfs")
    address = f"http://ann:sesame@127.0.0.1:{proxy.server_address[1]}"
    if "." in way:
        repo.git("config", way.replace("URL", "http://forge.invalid"), address)
    else:
        monkeypatch.setenv(way, address)
    thing = Thing(tmp_path / "local", 10)
    assert set(remote_of(repo).has([thing.item])) == {thing.hash}
    assert list(proxy.tokens) == ["http://forge.invalid/lfs/objects/batch Basic YW5uOnNlc2FtZQ=="]


def test_past_a_proxy(tmp_path: Path, proxy: LfsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(LfsServer()) as server:
        repo = repository(tmp_path, server.url)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # not heeded in capitals
        remote_of(repo).test()
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        with pytest.raises(RemoteUnreachable):
            remote_of(repo).test()
        monkeypatch.setenv("no_proxy", "x.example, 127.0.0.1")
        remote_of(repo).test()
        monkeypatch.delenv("no_proxy")
        repo.git("config", "http.proxy", "")  # git's way of saying none
        remote_of(repo).test()


@pytest.mark.parametrize(
    "address", ["http://ann:sesame@127.0.0.1:9", "socks5://ann:sesame@127.0.0.1:9", "http://[::sesame"]
)
def test_a_proxy_that_is_none(tmp_path: Path, address: str) -> None:
    repo = repository(tmp_path, "https://forge.invalid/lfs")
    repo.git("config", "http.proxy", address)
    with pytest.raises((RemoteUnreachable, UsageError)) as caught:
        remote_of(repo).test()
    assert "sesame" not in caught.value.message and "prox" in caught.value.message
