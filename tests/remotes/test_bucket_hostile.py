"""Object storage whose server means no good, and what it is told: named errors in bounded time, and no secrets."""

import os
import time
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler as Handler
from pathlib import Path

import pytest

from comfyvn_store.errors import ComfyvnError, MachineError, ObjectMissing, RemoteDenied, RemoteUnreachable
from comfyvn_store.remotes.address import parse
from comfyvn_store.remotes.bucket import Cloud, access, cloud
from comfyvn_store.remotes.remote import Item
from comfyvn_store.remotes.retry import Patience, Retrying
from tests.remotes.hostile import Hostile, reply, serving
from tests.remotes.objects import Thing

KEY_ID, SECRET, TOKEN = "AKIDNOBODYSEES", "SECRETnobodysees", "TOKENnobodysees"
CUSTOMER = "Q3VzdG9tZXJLZXlOb2JvZHlTZWVzMTIzNDU2Nzg5MDE="
SAS = "sv=2024-01-01&sig=SIGnobodysees"
AWS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
EVERYTHING = {
    **AWS,
    "AWS_SERVER_SIDE_ENCRYPTION": "sse-c",
    "AWS_SSE_CUSTOMER_KEY_BASE64": CUSTOMER,
    "AWS_REQUEST_PAYER": "requester",
    "AZURE_STORAGE_ACCOUNT_NAME": "someone",
    "AZURE_STORAGE_ACCOUNT_KEY": "QWNjb3VudEtleU5vYm9keVNlZXM=",
    "AZURE_STORAGE_SAS_KEY": SAS,
    "AZURE_STORAGE_TOKEN": TOKEN,
    "AZURE_ENCRYPTION_KEY": CUSTOMER,
    "AZURE_STORAGE_CONNECTION_STRING": f"AccountName=someone;SharedAccessSignature={SAS}",
    "GOOGLE_BEARER_TOKEN": TOKEN,
}
SECRETS = (SECRET, TOKEN, CUSTOMER, "nobodysees", "QWNjb3VudEtleU5vYm9keVNlZXM", KEY_ID)
OBJECT = Item("a" * 64)


@pytest.fixture(autouse=True)
def no_clouds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "ANSWER_SECONDS", 2)
    monkeypatch.setattr(access, "SEND_SECONDS", 2)


def s3(server: Hostile, **options: bool) -> Cloud:
    return Cloud("cloud", parse(f"s3://bucket/art?endpoint={server.url}", "/"), environment=AWS, **options)


def told(error: BaseException) -> str:
    """Gives all that an error says to anyone who looks: also what it came from."""
    said = ["".join(traceback.format_exception(error))]
    chain: BaseException | None = error
    while chain is not None:
        said += [repr(chain), str(chain), str(vars(chain))]
        chain = chain.__cause__ or chain.__context__
    return "\n".join(said)


def works(remote: Cloud, thing: Thing) -> dict[str, Callable[[], object]]:
    return {
        "has": lambda: remote.has([OBJECT]),
        "get": lambda: list(remote.get(OBJECT)),
        "get on": lambda: list(remote.get(OBJECT, 10)),
        "put": lambda: remote.put(thing.item, thing.source),
        "list": lambda: list(remote.list()),
        "delete": lambda: remote.delete(OBJECT.hash),
        "test": remote.test,
    }


# -- every status ----------------------------------------------------------------------------------------------------

PASSING = (408, 409, 425, 429, 500, 502, 503, 504)
LASTING = (402, 405, 406, 410, 411, 413, 418, 431, 451, 501, 505)


@pytest.mark.parametrize("status", [*PASSING, *LASTING, 301, 302, 307, 400, 401, 403, 404, 412, 416, 507, 599, 999])
def test_every_status_gives_a_named_error(status: int, tmp_path: Path) -> None:
    thing = Thing(tmp_path, 10)
    with serving(lambda handler: reply(handler, status, b"" if status < 400 else b"<html>no</html>")) as server:
        for name, work in works(s3(server), thing).items():
            began = time.monotonic()
            try:
                work()
            except ComfyvnError as error:
                caught: ComfyvnError | None = error
            else:
                caught = None
            assert time.monotonic() - began < 15
            assert isinstance(caught, RemoteUnreachable | ObjectMissing | MachineError) or name in (
                "delete",
                "has",
                "test",
            )
            if status in PASSING:
                assert isinstance(caught, RemoteUnreachable) and caught.is_passing, name
            if status in LASTING:
                assert isinstance(caught, RemoteUnreachable) and not caught.is_passing, name
            if status in (401, 403):
                assert isinstance(caught, RemoteDenied) and not caught.is_passing, name
            if status == 507:
                assert isinstance(caught, MachineError), name
            if status == 404 and name.startswith("get"):
                assert isinstance(caught, ObjectMissing)
            if status == 301:
                assert isinstance(caught, RemoteUnreachable) and "region" in str(caught.hint)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("ExpiredToken", RemoteDenied, "expired"),
        ("RequestTimeTooSkewed", RemoteDenied, "time is wrong"),
        ("AuthorizationHeaderMalformed", RemoteUnreachable, "another region"),
        ("NoSuchBucket", RemoteUnreachable, "no bucket 'bucket'"),
        ("QuotaExceeded", MachineError, "full"),
        ("SlowDown", RemoteUnreachable, "SlowDown"),
    ],
)
def test_codes_are_told_also_where_head_has_none(code: str, kind: type, words: str, tmp_path: Path) -> None:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    with serving(lambda handler: reply(handler, 400, body)) as server:
        for name, work in works(s3(server), Thing(tmp_path, 10)).items():
            with pytest.raises(kind, match=words):
                work()
            assert name


# -- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 206, 302, 400, 401, 403, 404, 409, 412, 416, 429, 500, 501, 503, 507])
def test_no_secret_is_told_though_the_server_repeats_it(status: int, tmp_path: Path) -> None:
    def answer(handler: Handler) -> None:
        code = handler.headers.get("x-amz-security-token", "")
        body = (
            f"<Error><Code>{code}</Code><Message>{handler.path} {handler.headers} {SECRET}</Message></Error>".encode()
        )
        reply(handler, status, body, x_amz_request_id=TOKEN, content_range=TOKEN, location="")

    with serving(answer) as server:
        remote = s3(server)
        errors = []
        for work in works(remote, Thing(tmp_path, 10)).values():
            try:
                work()
            except Exception as caught:
                errors.append(caught)
        assert any(TOKEN in request.headers.get("x-amz-security-token", "") for request in server.seen)
        for error in errors:
            assert isinstance(error, ComfyvnError)
            assert not [secret for secret in SECRETS if secret in told(error)]
            assert "Signature=" not in told(error)
        shown = repr(remote) + repr(remote._calls) + repr(access.find(parse("s3://b", "/"), AWS, is_trusted=True))
        assert not [secret for secret in SECRETS if secret in shown]


def test_a_signature_in_a_url_is_not_told(tmp_path: Path) -> None:
    environment = {"AZURE_STORAGE_SAS_KEY": SAS}
    with serving(lambda handler: reply(handler, 403, handler.path.encode())) as server:
        remote = Cloud("azure", parse(f"az://container?endpoint={server.url}/someone", "/"), environment=environment)
        for work in works(remote, Thing(tmp_path, 10)).values():
            with pytest.raises(RemoteDenied) as caught:
                work()
            assert "nobodysees" not in told(caught.value)
        assert all("sig=SIGnobodysees" in request.path for request in server.seen)


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_an_endpoint_that_is_not_trusted_gets_no_credential(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in EVERYTHING.items():
        # The library reads the process's environment itself.
        monkeypatch.setenv(name, value)
    with serving(lambda handler: reply(handler, 403, b"")) as server:
        address = parse(f"{scheme}://bucket/art?endpoint={server.url}/someone", "/")
        remote = Cloud("theirs", address, is_trusted=False)
        for name, work in works(remote, Thing(tmp_path, 10)).items():
            with pytest.raises(ComfyvnError) as caught:
                work()
            assert caught.value.hint == "if you trust it: comfyvn-store remote trust theirs", name
        assert len(server.seen) >= 5
        for request in server.seen:
            everything = f"{request.path} {request.headers}"
            assert not [secret for secret in SECRETS if secret in everything]
            assert "authorization" not in request.headers and "x-amz-security-token" not in request.headers
            assert not any("customer" in name or "encryption-key" in name for name in request.headers)
            assert request.method in ("GET", "HEAD")


@pytest.mark.parametrize(
    ("scheme", "word"), [("s3", "aws configure"), ("gs", "gcloud"), ("az", "AZURE_STORAGE_CONNECTION_STRING")]
)
def test_without_any_credential_it_is_asked_without_one(scheme: str, word: str) -> None:
    with serving(lambda handler: reply(handler, 403)) as server:
        address = parse(f"{scheme}://bucket/art?endpoint={server.url}/someone", "/")
        began = time.monotonic()
        with pytest.raises(RemoteDenied, match="none were found") as caught:
            Cloud("cloud", address, environment={"HOME": "/nowhere"}).test()
        assert word in str(caught.value.hint) and time.monotonic() - began < 15
        assert server.seen and not any("authorization" in request.headers for request in server.seen)


def test_credentials_that_cannot_be_fetched() -> None:
    """An identity that signs in at a server of Azure's, which is not to be had here."""
    with serving(lambda handler: reply(handler, 400, b'{"error": "invalid_client"}')) as server:
        environment = {
            "AZURE_STORAGE_CLIENT_ID": "client",
            "AZURE_STORAGE_CLIENT_SECRET": SECRET,
            "AZURE_STORAGE_TENANT_ID": "tenant",
            "AZURE_AUTHORITY_HOST": server.url,
        }
        address = parse(f"az://bucket/art?endpoint={server.url}/someone", "/")
        with pytest.raises(RemoteDenied, match="cannot be fetched") as caught:
            Cloud("cloud", address, environment=environment).test()
        assert "az login" in str(caught.value.hint) and SECRET not in told(caught.value)
        assert [request.method for request in server.seen] == ["POST"]


def test_the_environments_endpoint_does_not_take_the_place_of_the_addressed_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with serving(lambda handler: reply(handler, 403, b"")) as server:
        with pytest.raises(RemoteDenied):
            Cloud("cloud", parse(f"s3://bucket?endpoint={server.url}", "/")).test()
        assert server.seen


def test_a_redirect_to_another_host_takes_no_signature_along(tmp_path: Path) -> None:
    with serving(lambda handler: reply(handler, 404)) as other:

        def answer(handler: Handler) -> None:
            reply(handler, 302, location=f"http://localhost:{other.server_port}/stolen")

        with serving(answer) as server:
            for work in works(s3(server), Thing(tmp_path, 10)).values():
                with pytest.raises(ComfyvnError):
                    work()
                    raise RemoteUnreachable("an object that is not there may be deleted")
        assert other.seen
        assert not any("authorization" in request.headers for request in other.seen)
        assert not any(SECRET in str(request) for request in other.seen)


def test_a_redirect_that_never_ends() -> None:
    with serving(lambda handler: reply(handler, 302, location=handler.path + "x")) as server:
        with pytest.raises(RemoteUnreachable):
            list(s3(server).get(OBJECT))
        assert len(server.seen) < 50


# -- bodies ----------------------------------------------------------------------------------------------------------


def test_an_object_that_is_larger_than_it_should_be() -> None:
    data = os.urandom(2 * cloud.RANGE)

    def answer(handler: Handler) -> None:
        if "range" in handler.headers:
            first, last = ranged(handler, len(data))
            reply(handler, 206, data[first:last], content_range=f"bytes {first}-{last - 1}/{len(data)}")
        else:
            reply(handler, 200, data)

    with serving(answer) as server:
        assert b"".join(s3(server).get(Item(OBJECT.hash, 1000))) == data


def ranged(handler: Handler, total: int) -> tuple[int, int]:
    """Gives what was asked for, with the end behind the last byte."""
    if "range" not in handler.headers:
        return 0, total
    first, _, last = handler.headers["range"].removeprefix("bytes=").partition("-")
    return int(first), min(total, int(last) + 1)


def test_a_body_without_end_of_unknown_length(tmp_path: Path) -> None:
    def answer(handler: Handler) -> None:
        handler.send_response(206)
        handler.send_header("transfer-encoding", "chunked")
        handler.send_header("content-range", "bytes 0-999/1000")
        handler.end_headers()
        while True:
            handler.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    with serving(answer) as server:
        began = time.monotonic()
        try:
            got = b"".join(s3(server).get(OBJECT))
        except RemoteUnreachable:
            got = b""
        assert len(got) <= cloud.RANGE and time.monotonic() - began < 15


def test_a_body_that_is_longer_than_asked_for() -> None:
    def answer(handler: Handler) -> None:
        reply(handler, 206, b"x" * 1_000_000, content_range="bytes 0-999/1000")

    with serving(answer) as server:
        assert b"".join(s3(server).get(OBJECT)) == b"x" * 1000


@pytest.mark.parametrize("sent", [0, 300_000])
def test_a_body_that_breaks_off_gives_what_came(sent: int) -> None:
    def answer(handler: Handler) -> None:
        reply(handler, 206, b"x" * sent, content_range="bytes 0-999999/1000000", content_length="1000000")
        handler.close_connection = True

    with serving(answer) as server:
        got = 0
        with pytest.raises(RemoteUnreachable, match="connection broke") as caught:
            for block in s3(server).get(OBJECT):
                got += len(block)
        assert caught.value.is_passing and sent - 65_536 <= got <= sent


def test_bodies_that_break_off_are_put_together_by_trying_again() -> None:
    data = os.urandom(1_000_000)

    def answer(handler: Handler) -> None:
        first, last = ranged(handler, len(data))
        asked = data[first:last]
        reply(
            handler,
            206 if "range" in handler.headers else 200,
            asked[:200_000],
            content_range=f"bytes {first}-{last - 1}/{len(data)}",
            content_length=str(len(asked)),
        )
        handler.close_connection = True

    with serving(answer) as server:
        got = b"".join(Retrying(s3(server), sleep=lambda _: None).get(Item(OBJECT.hash, len(data))))
        assert got == data and len(server.seen) >= 5


def test_a_drip_ends_in_time() -> None:
    def answer(handler: Handler) -> None:
        reply(handler, 206, b"", content_range="bytes 0-999/1000", content_length="1000")
        for _ in range(100):
            handler.wfile.write(b"x")
            time.sleep(0.2)

    with serving(answer) as server:
        began = time.monotonic()
        with pytest.raises(RemoteUnreachable) as caught:
            list(s3(server).get(OBJECT))
        assert caught.value.is_passing and time.monotonic() - began < 15


def test_no_answer_ends_in_time(tmp_path: Path) -> None:
    with serving(lambda handler: time.sleep(20)) as server:
        for name, work in works(s3(server), Thing(tmp_path, 10)).items():
            began = time.monotonic()
            with pytest.raises(RemoteUnreachable, match="in time") as caught:
                work()
            assert caught.value.is_passing and time.monotonic() - began < 15, name


@pytest.mark.parametrize("said", ["bytes 5-999/1000", "bytes 0-99/1000000", "bytes */1000", "nonsense", ""])
def test_ranges_that_were_not_asked_for(said: str) -> None:
    with serving(lambda handler: reply(handler, 206, b"x" * 1000, content_range=said)) as server:
        try:
            got = b"".join(s3(server).get(OBJECT, 10))
        except RemoteUnreachable:
            got = b""
        assert len(got) <= 1000


def test_a_storage_that_knows_no_ranges() -> None:
    data = os.urandom(1_000_000)
    with serving(lambda handler: reply(handler, 200, data)) as server:
        remote = s3(server)
        assert b"".join(remote.get(OBJECT)) == b"".join(remote.get(Item(OBJECT.hash, len(data)))) == data
        assert b"".join(remote.get(OBJECT, 123_456)) == data[123_456:]
        assert b"".join(remote.get(OBJECT, len(data))) == b""


def test_it_has_what_it_does_not_give() -> None:
    def answer(handler: Handler) -> None:
        reply(handler, 200 if handler.command == "HEAD" else 500, b"x" * 1000)

    with serving(answer) as server:
        remote = s3(server)
        assert remote.has([OBJECT]) == {OBJECT.hash: 1000}
        with pytest.raises(RemoteUnreachable):
            list(Retrying(remote, Patience(attempts=3), sleep=lambda _: None).get(OBJECT))
        assert len([request for request in server.seen if request.method == "GET"]) == 3


# -- listings --------------------------------------------------------------------------------------------------------

PAGE = "<ListBucketResult><IsTruncated>{more}</IsTruncated>{token}{contents}</ListBucketResult>"


@pytest.mark.parametrize(
    "body", [b"", b"<", b"{}", b"\xff\xfe", b"<ListBucketResult>", b"<html></html>", b"<a>" * 50_000]
)
def test_listings_that_are_none(body: bytes) -> None:
    with serving(lambda handler: reply(handler, 200, body)) as server:
        try:
            assert list(s3(server).list()) == []
        except RemoteUnreachable as error:
            assert not error.is_passing


ENTRY = (
    "<Contents><Key>art/objects/x</Key><Size>1</Size><ETag>x</ETag>"
    "<LastModified>2025-01-01T00:00:00.000Z</LastModified></Contents>"
)


@pytest.mark.parametrize("contents", ["", ENTRY, ENTRY * 2000])
def test_a_listing_that_never_ends(contents: str) -> None:
    page = PAGE.format(more="true", token="<NextContinuationToken>again</NextContinuationToken>", contents=contents)
    with serving(lambda handler: reply(handler, 200, page.encode())) as server:
        for work in (lambda: list(s3(server).list()), lambda: s3(server).has([Item(f"{n:064x}") for n in range(500)])):
            began = time.monotonic()
            with pytest.raises(RemoteUnreachable):
                work()
            assert time.monotonic() - began < 20


def test_a_listing_whose_body_never_ends() -> None:
    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        while True:
            handler.wfile.write(b"5\r\n<a>b \r\n")
            time.sleep(0.01)

    with serving(answer) as server:
        began = time.monotonic()
        with pytest.raises(RemoteUnreachable):
            list(s3(server).list())
        assert time.monotonic() - began < 15


# -- conditions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [(501, "NotImplemented"), (400, "InvalidArgument")])
def test_a_storage_that_knows_no_conditions_is_asked_first(status: int, code: str, tmp_path: Path) -> None:
    held: dict[str, int] = {}

    def answer(handler: Handler) -> None:
        if handler.command == "PUT" and "if-none-match" in handler.headers:
            reply(handler, status, f"<Error><Code>{code}</Code></Error>".encode())
        elif handler.command == "PUT":
            held[handler.path] = int(handler.headers["content-length"])
            reply(handler, 200)
        else:
            there = held.get(handler.path)
            reply(handler, 404 if there is None else 200, content_length=str(there or 0))

    with serving(answer) as server:
        remote = s3(server)
        one, other = Thing(tmp_path, 10), Thing(tmp_path, 20)
        assert [remote.put(each.item, each.source) for each in (one, one, other, other)] == [True, False, True, False]
        assert len([request for request in server.seen if "if-none-match" in request.headers]) == 1


def test_a_storage_that_overlooks_conditions_is_found_out(tmp_path: Path) -> None:
    held: dict[str, int] = {}

    def answer(handler: Handler) -> None:
        if handler.command == "PUT":
            held[handler.path] = int(handler.headers["content-length"])
        there = held.get(handler.path)
        reply(
            handler, 404 if there is None else 200, content_length="0" if handler.command == "PUT" else str(there or 0)
        )

    with serving(answer) as server:
        remote = s3(server)
        one, other = Thing(tmp_path, 10), Thing(tmp_path, 20)
        assert [remote.put(each.item, each.source) for each in (one, one, other, other)] == [True, False, True, False]
        assert len([request for request in server.seen if request.method == "PUT"]) == 3


def test_a_conflict_with_an_upload_that_never_arrives(tmp_path: Path) -> None:
    def answer(handler: Handler) -> None:
        reply(
            handler, 409 if handler.command == "PUT" else 404, b"<Error><Code>ConditionalRequestConflict</Code></Error>"
        )

    with serving(answer) as server:
        thing = Thing(tmp_path, 10)
        with pytest.raises(RemoteUnreachable, match="conflict") as caught:
            s3(server).put(thing.item, thing.source)
        assert caught.value.is_passing
