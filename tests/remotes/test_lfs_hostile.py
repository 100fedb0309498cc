"""A Git LFS server that lies, stalls, wanders off or asks for more: a named error, soon, and no secret given away."""

import base64
import contextlib
import gzip
import json
import logging
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from urllib3.util import Timeout

from comfyvn_store.errors import ComfyvnError, MachineError, ObjectMissing, RemoteDenied, RemoteUnreachable
from comfyvn_store.remotes.lfs import connections, http
from comfyvn_store.remotes.lfs.remote import GitLfs
from comfyvn_store.remotes.remote import Item
from comfyvn_store.remotes.retry import Patience, Retrying
from tests.gitrepo import GitRepo
from tests.remotes.lfs_servers import Helper, files_with, remote_of, repository
from tests.remotes.objects import Thing

SECRET = "sesame-5e3f0a"
SIGNATURE = "Signature-9b1c7d"
Behaviour = Callable[["Handler"], None]


class Hostile(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.root = f"http://127.0.0.1:{self.server_address[1]}"
        self.behaviours: dict[tuple[str, str], Behaviour] = {}
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    def on(self, method: str, path: str, behaviour: Behaviour) -> None:
        self.behaviours[method, path] = behaviour

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that leaves is what is tested


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hostile
    body = b""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        self.server.behaviours[self.command, self.path.partition("?")[0]](self)

    do_GET = do_POST = do_PUT = answer

    def say(self, status: int, data: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def raw(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()
        self.close_connection = True


@contextlib.contextmanager
def served() -> Iterator[Hostile]:
    server = Hostile()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server() -> Iterator[Hostile]:
    with served() as server:
        yield server


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits a second where a person would wait for a minute."""
    monkeypatch.setattr(http, "WAITING", Timeout(connect=1.0, read=1.0))
    monkeypatch.setattr(http, "BODY_WITHIN", 1.0)
    monkeypatch.setattr(connections, "_HEAD_WITHIN", 1.5)


@pytest.fixture
def repo(tmp_path: Path, server: Hostile) -> GitRepo:
    return repository(tmp_path, f"{server.root}/lfs")


@pytest.fixture
def remote(repo: GitRepo) -> Iterator[GitLfs]:
    made = remote_of(repo)
    yield made
    made.close()


@pytest.fixture
def thing(tmp_path: Path) -> Thing:
    return Thing(tmp_path / "local", 10_000)


def offers(server: Hostile, href: str | None = None, **action: Any) -> Behaviour:
    """A batch answer that offers one action for each object."""

    def behave(handler: Handler) -> None:
        asked = json.loads(handler.body)
        objects = [
            {
                "oid": each["oid"],
                "size": each["size"],
                "actions": {
                    asked["operation"]: {"href": href or f"{server.root}/bytes?X-{SIGNATURE}", **action},
                },
            }
            for each in asked["objects"]
        ]
        handler.say(200, json.dumps({"objects": objects}).encode())

    return behave


def says(data: bytes | object, status: int = 200) -> Behaviour:
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return lambda handler: handler.say(status, text)


def get(remote: GitLfs, item: Item, start: int = 0) -> bytes:
    return b"".join(remote.get(item, start))


@contextlib.contextmanager
def fails(
    kind: type[ComfyvnError] = RemoteUnreachable, *, within: float = 20.0, match: str | None = None
) -> Iterator[pytest.ExceptionInfo[ComfyvnError]]:
    """Expects a named error, soon, without a secret in it."""
    since = time.monotonic()
    with pytest.raises(kind, match=match) as caught:
        yield caught
    assert time.monotonic() - since < within
    shown = f"{caught.value!r} {caught.value.message} {caught.value.hint} {caught.value.__cause__!r}"
    assert SECRET not in shown and SIGNATURE not in shown
    assert caught.value.__cause__ is None or isinstance(caught.value.__cause__, ComfyvnError)


def forever(start: bytes, more: bytes, *, pause: float = 0.0) -> Behaviour:
    def behave(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.write(start)
            while True:
                handler.wfile.write(more)
                time.sleep(pause)
        handler.close_connection = True

    return behave


# -- the Batch API ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>welcome</html>",
        b"",
        b"[" * 200_000,
        b'{"objects": ' + b"[" * 100_000,
        b'{"objects": 9' + b"9" * 10_000 + b"}",
        b"\xff\xfe\x00",
        [],
        {"objects": None},
        {"objects": {}},
        {"message": "hello"},
        {"objects": [], "transfer": "lfs-standalone-file"},
        {"objects": [], "hash_algo": "md5"},
    ],
    ids=lambda answer: repr(answer)[:20],
)
def test_a_batch_answer_that_makes_no_sense(server: Hostile, remote: GitLfs, thing: Thing, answer: Any) -> None:
    server.on("POST", "/lfs/objects/batch", says(answer))
    with fails():
        remote.has([thing.item])
    with fails():
        get(remote, thing.item)
    with fails():
        remote.put(thing.item, thing.source)


@pytest.mark.parametrize("pause", [0.0, 0.2])
def test_a_batch_answer_without_an_end(server: Hostile, remote: GitLfs, thing: Thing, pause: float) -> None:
    server.on("POST", "/lfs/objects/batch", forever(b'{"objects": [', b" " * (65_536 if not pause else 1), pause=pause))
    tracemalloc.start()
    with fails():
        remote.has([thing.item])
    assert tracemalloc.get_traced_memory()[1] < 40 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "objects",
    [
        [],
        [{"oid": "f" * 64, "size": 3, "actions": {"download": {"href": "http://x/"}}}],
        [None, 1, "x", [], {"oid": 7}, {"oid": None, "actions": 3}],
    ],
)
def test_an_answer_of_other_objects(server: Hostile, remote: GitLfs, thing: Thing, objects: object) -> None:
    server.on("POST", "/lfs/objects/batch", says({"objects": objects}))
    with fails():
        remote.has([thing.item])
    with fails():
        get(remote, thing.item)


@pytest.mark.parametrize("size", [-1, 10**30, "7", None, True, 1.5])
def test_sizes_that_are_none(server: Hostile, remote: GitLfs, thing: Thing, size: object) -> None:
    action = {"download": {"href": f"{server.root}/bytes"}}
    server.on("POST", "/lfs/objects/batch", says({"objects": [{"oid": thing.hash, "size": size, "actions": action}]}))
    server.on("GET", "/bytes", lambda handler: handler.say(200, thing.data))
    assert get(remote, thing.item) == thing.data


@pytest.mark.parametrize(
    "href",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "javascript:alert(1)",
        "/bytes",
        "//127.0.0.1/bytes",
        "http:///bytes",
        "http://user:pw@127.0.0.1/bytes",
        "http://127.0.0.1:99999/bytes",
        "http://127.0.0.1/by\ntes",
        "http://127.0.0.1/by tes",
        "http://[::1/bytes",
        "http://127.0.0.1\\@evil/",
        "x" * 20_000,
        7,
        None,
    ],
    ids=lambda href: repr(href)[:24],
)
def test_addresses_that_are_not_followed(server: Hostile, remote: GitLfs, thing: Thing, href: object) -> None:
    def behave(handler: Handler) -> None:
        actions = {json.loads(handler.body)["operation"]: {"href": href}}
        handler.say(200, json.dumps({"objects": [{"oid": thing.hash, "size": 10_000, "actions": actions}]}).encode())

    server.on("POST", "/lfs/objects/batch", behave)
    with fails(match="not followed"):
        get(remote, thing.item)
    with fails(match="not followed"):
        remote.put(thing.item, thing.source)


@pytest.mark.parametrize("header", [{"X": "a\r\nY: b"}, {"X\r\nY": "a"}, {"": "a"}, {"X": 7}, ["X"], {"X": "\u20ac"}])
def test_headers_that_are_none(server: Hostile, remote: GitLfs, thing: Thing, header: object) -> None:
    server.on("POST", "/lfs/objects/batch", offers(server, header=header))
    with fails():
        get(remote, thing.item)
    assert [method for method, _, _ in server.seen] == ["POST"]


def test_headers_that_frame_the_message_stay_ours(server: Hostile, remote: GitLfs, thing: Thing) -> None:
    framing = {"Host": "evil", "Content-Length": "3", "Connection": "close", "Range": "bytes=5-", "X-Own": "kept"}
    server.on("POST", "/lfs/objects/batch", offers(server, header=framing))
    server.on("GET", "/bytes", lambda handler: handler.say(200, thing.data))
    assert get(remote, thing.item) == thing.data
    headers = server.seen[-1][2]
    assert headers["Host"] == server.root.removeprefix("http://") and headers["X-Own"] == "kept"
    assert "Range" not in headers and "Content-Length" not in headers


def test_a_server_that_wants_chunks(server: Hostile, remote: GitLfs, thing: Thing) -> None:
    came = bytearray()

    def chunks(handler: Handler) -> None:
        while size := int(handler.rfile.readline(), 16):
            came.extend(handler.rfile.read(size))
            handler.rfile.readline()
        handler.rfile.readline()
        handler.say(200)

    server.on("POST", "/lfs/objects/batch", offers(server, header={"Transfer-Encoding": "chunked"}))
    server.on("PUT", "/bytes", chunks)
    assert remote.put(thing.item, thing.source) is True
    assert came == thing.data and "Content-Length" not in server.seen[-1][2]


def test_pieces_of_a_body_are_gathered_for_a_moment(server: Hostile, remote: GitLfs, thing: Thing) -> None:
    def crumbs(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for at in range(0, 10_000, 10):
            handler.wfile.write(b"a\r\n" + thing.data[at : at + 10] + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    server.on("POST", "/lfs/objects/batch", offers(server))
    server.on("GET", "/bytes", crumbs)
    blocks = list(remote.get(thing.item))
    assert b"".join(blocks) == thing.data and len(blocks) < 50


def test_what_came_before_a_break_is_given(server: Hostile, remote: GitLfs, thing: Thing) -> None:
    server.on("POST", "/lfs/objects/batch", offers(server))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"
    server.on("GET", "/bytes", sends(lambda thing: head + thing.data[:5000], thing))
    came = b""
    with fails():
        for block in remote.get(thing.item):
            came += block
    assert came == thing.data[:5000]


# -- statuses -----------------------------------------------------------------------------------------------------------

KINDS = {401: RemoteDenied, 403: RemoteDenied, 413: MachineError, 507: MachineError}
STATUSES = [*range(400, 419), 421, 422, 423, 429, 431, 451, 500, 501, 502, 503, 504, 507, 508, 509, 511, 599]
PASSING = {408, 429, 500, 502, 503, 504, 508, 511, 599}


@pytest.mark.parametrize("status", STATUSES)
def test_every_status(server: Hostile, remote: GitLfs, thing: Thing, status: int) -> None:
    kind = KINDS.get(status, RemoteUnreachable)
    refusal = says({"message": f"no. see http://x/?{SIGNATURE}"}, status)
    server.on("POST", "/lfs/objects/batch", refusal)
    for work in (lambda: remote.has([thing.item]), lambda: remote.prepare([thing.item], upload=True), remote.test):
        with fails(kind) as caught:
            work()
        if isinstance(caught.value, RemoteUnreachable):
            assert caught.value.is_passing == (status in PASSING)
    server.on("POST", "/lfs/objects/batch", offers(server))
    server.on("GET", "/bytes", refusal)
    server.on("PUT", "/bytes", refusal)
    gone = (404, 410)
    with fails(ObjectMissing if status in gone else kind):
        get(remote, thing.item)
    with fails(kind):
        remote.put(thing.item, thing.source)
    if status != 416:
        with fails(ObjectMissing if status in gone else kind):
            get(remote, thing.item, 5)
    assert len(server.seen) <= 16


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_of_one_object(server: Hostile, remote: GitLfs, thing: Thing, status: int) -> None:
    error = {"code": status, "message": f"no: {SIGNATURE}"[:3]}
    server.on("POST", "/lfs/objects/batch", says({"objects": [{"oid": thing.hash, "size": 10_000, "error": error}]}))
    kind = KINDS.get(status, RemoteUnreachable)
    is_missing = status in (404, 410, 422)
    with fails(ObjectMissing if is_missing else kind):
        get(remote, thing.item)
    with fails(kind):
        remote.put(thing.item, thing.source)
    if is_missing:
        assert remote.has([thing.item]) == {}
    else:
        with fails(kind):
            remote.has([thing.item])


@pytest.mark.parametrize("error", [7, [], {"code": "x"}, {"code": 10**9}, {"code": 200}, {"message": ["x"]}])
def test_errors_that_are_none(server: Hostile, remote: GitLfs, thing: Thing, error: object) -> None:
    server.on("POST", "/lfs/objects/batch", says({"objects": [{"oid": thing.hash, "error": error or "x"}]}))
    with fails(ComfyvnError):
        remote.put(thing.item, thing.source)


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"Retry-After": "7"}, 7, 7),
        ({"Retry-After": "999999999"}, 3600, 3600),
        ({"Retry-After": "-5"}, None, None),
        ({"Retry-After": "soon"}, None, None),
        ({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0, 0),
        ({"X-RateLimit-Reset": str(int(time.time()) + 100)}, 1, 100),
        ({"X-RateLimit-Reset": "9" * 12}, 3600, 3600),
        ({"X-RateLimit-Reset": "x"}, None, None),
    ],
)
def test_how_long_to_wait(
    server: Hostile, remote: GitLfs, thing: Thing, headers: dict[str, str], least: int | None, most: int | None
) -> None:
    server.on("POST", "/lfs/objects/batch", lambda handler: handler.say(429, b"{}", **headers))
    with fails() as caught:
        remote.has([thing.item])
    assert isinstance(caught.value, RemoteUnreachable)
    after = caught.value.retry_after
    assert after is None if least is None or most is None else after is not None and least <= after <= most


def test_no_git_lfs_there_says_so(server: Hostile, remote: GitLfs, thing: Thing) -> None:
    server.on("POST", "/lfs/objects/batch", says(b"<html>not found</html>", 404))
    with fails(match="there is no Git LFS at http") as caught:
        remote.test()
    assert "switched on" in str(caught.value.hint)


def test_what_the_server_says_is_shown_in_one_line(server: Hostile, remote: GitLfs, thing: Thing) -> None:
    server.on("POST", "/lfs/objects/batch", says({"message": "over\n\x1b[31m quota " + "x" * 9999}, 403))
    with fails(RemoteDenied) as caught:
        remote.has([thing.item])
    assert "over" in caught.value.message and "\x1b" not in caught.value.message and "\n" not in caught.value.message
    assert len(caught.value.message) < 300


# -- who gets credentials -----------------------------------------------------------------------------------------------


@pytest.fixture
def helper(repo: GitRepo, tmp_path: Path) -> Helper:
    return Helper(repo, tmp_path, "artist", SECRET)


def wants_password(then: Behaviour) -> Behaviour:
    return lambda handler: then(handler) if "Authorization" in handler.headers else handler.say(401, b"{}")


def test_401_for_ever(server: Hostile, remote: GitLfs, helper: Helper, thing: Thing) -> None:
    server.on("POST", "/lfs/objects/batch", says({"message": "no"}, 401))
    with fails(RemoteDenied):
        Retrying(remote).has([thing.item])
    assert len(server.seen) == 2 and helper.verbs() == ["get", "erase"]


def test_401_for_ever_from_an_action(server: Hostile, remote: GitLfs, helper: Helper, thing: Thing) -> None:
    server.on("POST", "/lfs/objects/batch", offers(server))
    server.on("GET", "/bytes", says({"message": "no"}, 401))
    server.on("PUT", "/bytes", says({"message": "no"}, 401))
    with fails(RemoteDenied):
        get(remote, thing.item)
    with fails(RemoteDenied):
        remote.put(thing.item, thing.source)
    assert len(server.seen) <= 8 and helper.verbs() == ["get", "erase"]


def test_a_server_that_echoes_what_it_was_told(
    server: Hostile, remote: GitLfs, helper: Helper, thing: Thing, repo: GitRepo
) -> None:
    def told(handler: Handler) -> str:
        word = handler.headers["Authorization"].split(" ")[1]
        return f"no object. {word} is {base64.b64decode(word).decode()}"

    def of_all(status: int) -> Behaviour:
        return wants_password(lambda handler: handler.say(status, json.dumps({"message": told(handler)}).encode()))

    def of_one(handler: Handler) -> None:
        error = {"code": 409, "message": told(handler)}
        handler.say(200, json.dumps({"objects": [{"oid": thing.hash, "error": error}]}).encode())

    def of_lock(handler: Handler) -> None:
        lock = {"id": "1", "path": "a", "owner": {"name": told(handler)}}
        handler.say(409, json.dumps({"lock": lock, "message": told(handler)}).encode())

    for behaviour in (*map(of_all, (403, 404, 413, 422, 500)), wants_password(of_one)):
        server.on("POST", "/lfs/objects/batch", behaviour)
        for work in (lambda: get(remote, thing.item), lambda: remote.put(thing.item, thing.source)):
            with fails(ComfyvnError):
                work()
    server.on("POST", "/lfs/locks", wants_password(of_lock))
    with fails(ComfyvnError):
        remote.locking().create("a")
    assert files_with(SECRET, repo.path) == []


def test_a_redirect_to_another_host_takes_no_credentials_along(
    server: Hostile, remote: GitLfs, helper: Helper, thing: Thing
) -> None:
    with served() as other:
        there = f"{other.root}/lfs/objects/batch"
        server.on("POST", "/lfs/objects/batch", wants_password(lambda handler: handler.say(307, Location=there)))
        other.on("POST", "/lfs/objects/batch", offers(other, header={"X-Token": SECRET}))
        assert set(remote.has([thing.item])) == {thing.hash}
        assert [method for method, _, _ in other.seen] == ["POST"]
        assert "Authorization" not in other.seen[0][2]
        other.on("POST", "/lfs/objects/batch", says({}, 401))
        with fails(RemoteDenied, match="redirects to"):
            remote.has([thing.item])
        assert all(SECRET not in str(headers) and "Basic" not in str(headers) for _, _, headers in other.seen)


def test_an_action_s_headers_stay_with_its_host(server: Hostile, remote: GitLfs, thing: Thing) -> None:
    with served() as other:
        secret = {"Authorization": f"Bearer {SECRET}", "X-Token": SECRET}
        server.on("POST", "/lfs/objects/batch", offers(server, header=secret))
        server.on("GET", "/bytes", lambda handler: handler.say(302, Location=f"{other.root}/there?{SIGNATURE}"))
        server.on("PUT", "/bytes", lambda handler: handler.say(307, Location=f"{other.root}/there?{SIGNATURE}"))
        other.on("GET", "/there", lambda handler: handler.say(200, thing.data))
        other.on("PUT", "/there", lambda handler: handler.say(200, b"" if handler.body == thing.data else b"wrong"))
        assert get(remote, thing.item) == thing.data
        assert remote.put(thing.item, thing.source) is True
        assert len(other.seen) == 2 and SECRET not in str(other.seen)
        other.on("GET", "/there", lambda handler: handler.say(302, Location=f"{server.root}/back"))
        server.on("GET", "/back", lambda handler: handler.say(200, thing.data))
        assert get(remote, thing.item) == thing.data
        assert SECRET not in str(server.seen[-1][2])


def test_an_action_on_another_host_gets_no_password(
    server: Hostile, remote: GitLfs, helper: Helper, thing: Thing
) -> None:
    with served() as other:
        server.on("POST", "/lfs/objects/batch", wants_password(offers(server, f"{other.root}/bytes")))
        other.on("GET", "/bytes", says({}, 401))
        other.on("PUT", "/bytes", says({}, 401))
        with fails(RemoteDenied):
            get(remote, thing.item)
        with fails(RemoteDenied):
            remote.put(thing.item, thing.source)
        assert all("Authorization" not in headers for _, _, headers in other.seen)
        assert helper.verbs() == ["get", "store"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_redirects_in_a_circle(server: Hostile, remote: GitLfs, thing: Thing, status: int, method: str) -> None:
    def around(handler: Handler) -> None:
        handler.say(status, Location=handler.path)

    server.on("POST", "/lfs/objects/batch", around if method == "POST" else offers(server))
    server.on("GET", "/bytes", around)
    server.on("PUT", "/bytes", around)
    with fails(match="leads nowhere"):
        if method == "PUT":
            remote.put(thing.item, thing.source)
        else:
            get(remote, thing.item)
    assert len(server.seen) <= 7


@pytest.mark.parametrize(
    "place", ["file:///etc/passwd", "ftp://x/", "http://[", "http://u:p@127.0.0.1/", "javascript:1"]
)
def test_redirects_that_are_not_followed(server: Hostile, remote: GitLfs, thing: Thing, place: str) -> None:
    server.on("POST", "/lfs/objects/batch", offers(server))
    server.on("GET", "/bytes", lambda handler: handler.say(302, Location=place))
    with fails(match="not followed"):
        get(remote, thing.item)


# -- bodies -------------------------------------------------------------------------------------------------------------


def sends(raw: Callable[[Thing], bytes], thing: Thing) -> Behaviour:
    return lambda handler: handler.raw(raw(thing))


@pytest.mark.parametrize(
    ("raw", "is_passing"),
    [
        (lambda thing: b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + thing.data, True),
        (lambda thing: b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + thing.data[:5000], True),
        (lambda thing: b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + thing.data[:5000], True),
        (lambda thing: b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", True),
        (lambda thing: b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n" + thing.data[:5000], True),
        (lambda thing: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", True),
        (lambda thing: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", True),
        (lambda thing: b"HTTP/1.1 200 OK\r\nContent-Length: 15000\r\n\r\n" + thing.data + b"x" * 5000, False),
        (lambda thing: b"HTTP/1.1 206 OK\r\nContent-Length: 10000\r\n\r\n" + thing.data, False),
        (lambda thing: b"HTTP/1.1 204 No Content\r\n\r\n", False),
        (lambda thing: b"HTTP/9.9 banana\r\n\r\n", True),
        (lambda thing: b"SSH-2.0-OpenSSH\r\n", True),
        (lambda thing: b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", True),
        (lambda thing: b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n", True),
        (lambda thing: b"", True),
    ],
)
def test_bodies_that_are_wrong(
    server: Hostile, remote: GitLfs, thing: Thing, raw: Callable[[Thing], bytes], is_passing: bool
) -> None:
    server.on("POST", "/lfs/objects/batch", offers(server))
    server.on("GET", "/bytes", sends(raw, thing))
    with fails() as caught:
        get(remote, thing.item)
    assert isinstance(caught.value, RemoteUnreachable) and caught.value.is_passing == is_passing


@pytest.mark.parametrize(
    "content",
    ["bytes 4-9999/10000", "bytes 6-9999/10000", "bytes */10000", "5-9999", "", "bytes 5-x/y", "bytes -5-9/10"],
)
def test_a_206_of_another_range(server: Hostile, remote: GitLfs, thing: Thing, content: str) -> None:
    server.on("POST", "/lfs/objects/batch", offers(server))
    server.on("GET", "/bytes", lambda handler: handler.say(206, thing.data[5:], Content_Range=content))
    with fails(match="makes no sense"):
        get(remote, thing.item, 5)


def test_an_endless_body_ends_with_the_object(server: Hostile, remote: GitLfs, thing: Thing) -> None:
    server.on("POST", "/lfs/objects/batch", offers(server))
    server.on("GET", "/bytes", forever(thing.data, b"x" * 65_536))
    with fails(match="sends more"):
        get(remote, thing.item)
    with fails(match="makes no sense"):  # of unknown size, and the server does not tell it either
        get(remote, Item(thing.hash), 0)


def test_a_416_for_bytes_that_are_there(server: Hostile, remote: GitLfs, thing: Thing) -> None:
    server.on("POST", "/lfs/objects/batch", offers(server))
    server.on("GET", "/bytes", says({}, 416))
    with fails(match="makes no sense"):
        get(remote, thing.item, 5)


def test_a_drip_is_seen_as_it_comes(server: Hostile, remote: GitLfs, thing: Thing) -> None:
    server.on("POST", "/lfs/objects/batch", offers(server))
    server.on("GET", "/bytes", forever(b"", b"x", pause=0.02))
    patience = Patience(attempts=2, pause=0.01, slowest=5000, window=0.5)
    with fails(match="hardly sends"):
        list(Retrying(remote, patience).get(thing.item))


@pytest.mark.parametrize("drip", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 20", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_head_that_drips(server: Hostile, remote: GitLfs, thing: Thing, drip: bytes) -> None:
    def behave(handler: Handler) -> None:
        with contextlib.suppress(OSError):
            handler.wfile.write(drip)
            while True:
                handler.wfile.write(drip if b"100" in drip else b"0")
                time.sleep(0.05)
        handler.close_connection = True

    server.on("POST", "/lfs/objects/batch", behave)
    with fails():
        remote.has([thing.item])


def test_silence(server: Hostile, remote: GitLfs, thing: Thing) -> None:
    server.on("POST", "/lfs/objects/batch", lambda handler: time.sleep(3))
    with fails(match="in time") as caught:
        remote.has([thing.item])
    assert isinstance(caught.value, RemoteUnreachable) and caught.value.is_passing


def test_a_stalling_body(server: Hostile, remote: GitLfs, thing: Thing) -> None:
    def behave(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "10000")
        handler.end_headers()
        handler.wfile.write(thing.data[:100])
        handler.wfile.flush()
        time.sleep(3)

    server.on("POST", "/lfs/objects/batch", offers(server))
    server.on("GET", "/bytes", behave)
    with fails(match="in time"):
        get(remote, thing.item)


def test_a_compressed_body_is_not_unpacked(server: Hostile, remote: GitLfs, thing: Thing) -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    server.on("POST", "/lfs/objects/batch", lambda handler: handler.say(200, bomb, Content_Encoding="gzip"))
    with fails():
        remote.has([thing.item])
    assert server.seen[0][2]["Accept-Encoding"] == "identity"


def test_an_upload_that_is_refused_halfway(server: Hostile, remote: GitLfs, tmp_path: Path) -> None:
    large = Thing(tmp_path / "local", 20_000_000)

    class Closing(Handler):
        def answer(self) -> None:
            if self.command == "PUT":
                self.say(507, b"{}")
                self.close_connection = True
            else:
                super().answer()

        do_PUT = answer

    server.RequestHandlerClass = Closing
    server.on("POST", "/lfs/objects/batch", offers(server))
    with fails(ComfyvnError):
        remote.put(large.item, large.source)


def test_a_connection_that_was_closed_meanwhile_is_made_again(server: Hostile, remote: GitLfs, thing: Thing) -> None:
    def once(handler: Handler) -> None:
        offers(server)(handler)
        handler.close_connection = True  # without having said so

    server.on("POST", "/lfs/objects/batch", once)
    server.on("GET", "/bytes", lambda handler: handler.say(200, thing.data))
    for _ in range(5):
        assert get(remote, thing.item) == thing.data


def test_nothing_of_it_is_logged(
    server: Hostile, remote: GitLfs, thing: Thing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.on("POST", "/lfs/objects/batch", offers(server))
    strange = b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n: nothing\r\nno colon\r\n\r\n"
    server.on("GET", "/bytes", sends(lambda thing: strange + thing.data, thing))
    with contextlib.suppress(ComfyvnError):
        get(remote, thing.item)
    assert any(SIGNATURE in path for _, path, _ in server.seen)
    assert SIGNATURE not in caplog.text and "bytes" not in caplog.text


def test_nobody_listens(repo: GitRepo, thing: Thing) -> None:
    repo.git("config", "lfs.url", "http://127.0.0.1:9/lfs")
    with fails(match="cannot reach") as caught:
        remote_of(repo).test()
    assert isinstance(caught.value, RemoteUnreachable) and caught.value.is_passing
