"""Object storage on real servers: the suite, races, servers that die, credentials."""

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from comfyvn_store.errors import (
    MachineError,
    ObjectMissing,
    Refused,
    RemoteDenied,
    RemoteUnreachable,
    ToolMissing,
    UsageError,
)
from comfyvn_store.remotes.address import parse
from comfyvn_store.remotes.bucket import Cloud, cloud
from comfyvn_store.remotes.bucket.calls import PART
from comfyvn_store.remotes.remote import Item, Remote, Source
from comfyvn_store.remotes.retry import Retrying
from tests.remotes.bucket_servers import (
    AZURITE,
    AZURITE_KEY,
    SWIFT_KEY,
    SWIFT_USER,
    Azurite,
    Moto,
    Server,
    Swift,
    put_key,
)
from tests.remotes.conformance import Conformance
from tests.remotes.objects import Thing

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3cret-of-tests"}
SWIFT_KEYS = {"AWS_ACCESS_KEY_ID": SWIFT_USER, "AWS_SECRET_ACCESS_KEY": SWIFT_KEY}
AZURE_KEYS = {"AZURE_STORAGE_ACCOUNT_NAME": AZURITE, "AZURE_STORAGE_ACCOUNT_KEY": AZURITE_KEY}
numbers = itertools.count()


@pytest.fixture(autouse=True)
def no_clouds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes away what this machine may know of clouds."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)


def running(server: Server) -> Iterator[Server]:
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from running(Moto(tmp_path_factory.mktemp("moto")))


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from running(Swift(tmp_path_factory.mktemp("swift")))


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from running(Azurite(tmp_path_factory.mktemp("azurite")))


def s3(server: Moto | Swift, bucket: str | None = None, prefix: str = "/art/game") -> Cloud:
    """A remote in a bucket that is new, unless it is named."""
    if bucket is None:
        bucket = f"bucket{next(numbers)}"
        server.make(bucket)
    address = parse(f"s3://{bucket}{prefix}?endpoint={server.url}", "/")
    return Cloud("cloud", address, environment=SWIFT_KEYS if isinstance(server, Swift) else KEYS)


def azure(server: Azurite) -> Cloud:
    container = f"container{next(numbers)}"
    server.make(container)
    address = parse(f"az://{container}/art?endpoint={server.endpoint}", "/")
    return Cloud("azure", address, environment=AZURE_KEYS)


class TestS3OnMoto(Conformance):
    @pytest.fixture
    def remote(self, moto: Moto) -> Remote:
        return s3(moto)

    def again(self, remote: Remote) -> Remote:
        return Cloud("cloud", parse(remote.place, "/"), environment=KEYS)


class TestS3OnSwift(Conformance):
    @pytest.fixture
    def remote(self, swift: Swift) -> Remote:
        return s3(swift)

    def again(self, remote: Remote) -> Remote:
        return Cloud("cloud", parse(remote.place, "/"), environment=SWIFT_KEYS)


class TestAzureOnAzurite(Conformance):
    @pytest.fixture
    def remote(self, azurite: Azurite) -> Remote:
        return azure(azurite)

    def again(self, remote: Remote) -> Remote:
        return Cloud("azure", parse(remote.place, "/"), environment=AZURE_KEYS)


class TestGoogleOnAnS3Server(Conformance):
    """Google's XML interface is S3's but for the words of conditions, which this server overlooks."""

    @pytest.fixture
    def remote(self, moto: Moto) -> Remote:
        bucket = f"google{next(numbers)}"
        moto.make(bucket)
        return self.again_at(f"gs://{bucket}?endpoint={moto.url}")

    def again(self, remote: Remote) -> Remote:
        return self.again_at(remote.place)

    def again_at(self, url: str) -> Remote:
        return Cloud("google", parse(url, "/"), environment={"GOOGLE_BEARER_TOKEN": "token-of-tests"})


# -- where the bytes lie, and sizes that take other ways --------------------------------------------------------------


@pytest.mark.parametrize("size", [PART - 1, PART, PART + 1, cloud.RANGE, 2 * cloud.RANGE + 1, 40_000_000])
def test_sizes_around_parts_and_ranges(moto: Moto, tmp_path: Path, size: int) -> None:
    remote = s3(moto)
    thing = Thing(tmp_path, size)
    assert remote.put(thing.item, thing.source) is True
    assert remote.put(thing.item, thing.source) is False
    assert b"".join(remote.get(thing.item)) == thing.data
    assert b"".join(remote.get(thing.item, size - 1)) == thing.data[-1:]
    assert list(remote.get(thing.item, size)) == []
    assert remote.has([thing.item]) == {thing.hash: size}


def test_an_object_of_no_bytes(moto: Moto, tmp_path: Path) -> None:
    remote = s3(moto)
    thing = Thing(tmp_path, 0)
    assert remote.put(thing.item, thing.source) is True
    assert list(remote.get(thing.item)) == []


@pytest.mark.parametrize("prefix", ["", "/", "/art", "//art///game/", "/with space/ünicode"])
def test_prefixes(moto: Moto, tmp_path: Path, prefix: str) -> None:
    bucket = f"bucket{next(numbers)}"
    moto.make(bucket)
    address = parse(f"s3://{bucket}?endpoint={moto.url}", "/")._replace(path=prefix)
    remote = Cloud("cloud", address, environment=KEYS)
    thing = Thing(tmp_path, 100)
    remote.put(thing.item, thing.source)
    assert [item.hash for item in remote.list()] == [thing.hash]
    assert remote.has([thing.item]) == {thing.hash: 100}


def test_two_prefixes_are_two_remotes(moto: Moto, tmp_path: Path) -> None:
    bucket = f"bucket{next(numbers)}"
    moto.make(bucket)
    one, other, inner = (s3(moto, bucket, prefix) for prefix in ("/a", "/ab", ""))
    thing = Thing(tmp_path, 100)
    one.put(thing.item, thing.source)
    assert list(other.list()) == list(inner.list()) == [] and other.has([thing.item]) == {}


def test_reading_from_beyond_the_end_is_no_answer(moto: Moto, tmp_path: Path) -> None:
    remote = s3(moto)
    thing = Thing(tmp_path, 100)
    remote.put(thing.item, thing.source)
    with pytest.raises(RemoteUnreachable, match="shorter"):
        list(remote.get(thing.item, 101))


def test_an_object_of_another_size_is_replaced(moto: Moto, tmp_path: Path) -> None:
    remote = s3(moto)
    small, large = Thing(tmp_path, 100), Thing(tmp_path, PART + 1)
    for thing in (small, large):
        put_key(moto, remote.place[5:].split("/")[0], f"art/game/objects/{thing.hash[:2]}/{thing.hash[2:]}", b"cut off")
        assert remote.put(thing.item, thing.source) is True
        assert b"".join(remote.get(thing.item)) == thing.data


def test_bytes_are_read_through_the_source(moto: Moto, tmp_path: Path) -> None:
    class Counted(Source):
        opened = 0

        def open(self):  # type: ignore[no-untyped-def]
            self.opened += 1
            return super().open()

    remote = s3(moto)
    for size in (100, 2 * PART):
        thing = Thing(tmp_path, size)
        source = Counted(str(thing.path))
        remote.put(thing.item, source)
        assert source.opened == 1


def test_large_objects_are_not_held_in_memory(moto: Moto, tmp_path: Path) -> None:
    size = 160 << 20
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.truncate(size)
    remote = s3(moto)
    script = (
        "import sys, resource, os; from comfyvn_store.remotes.bucket import Cloud\n"
        "from comfyvn_store.remotes.address import parse; from comfyvn_store.remotes.remote import Item, Source\n"
        "remote = Cloud('c', parse(sys.argv[1], '/')); item = Item('a' * 64)\n"
        "list(remote.list()); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert remote.put(item, Source(sys.argv[2]))\n"
        "assert sum(map(len, remote.get(item))) == os.stat(sys.argv[2]).st_size\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, remote.place, str(path)],
        env={**os.environ, **KEYS},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) < 80_000, "kilobytes"


def test_a_source_that_fails_leaves_nothing(moto: Moto, tmp_path: Path) -> None:
    class Broken(Source):
        @property
        def size(self) -> int:
            return super().size + 1

    remote = s3(moto)
    for size in (100, 3 * PART):
        thing = Thing(tmp_path, size)
        with pytest.raises(MachineError, match="written to"):
            remote.put(thing.item, Broken(str(thing.path)))
        gone = Source(str(tmp_path / "gone"))
        with pytest.raises(MachineError, match="gone"):
            remote.put(thing.item, gone)
    assert list(remote.list()) == []


# -- many ------------------------------------------------------------------------------------------------------------


def test_many_are_found_through_a_listing_or_by_asking(
    moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = s3(moto)
    things = [Thing(tmp_path, 10, number) for number in range(30)]
    for thing in things:
        remote.put(thing.item, thing.source)
    asked = [*(thing.item for thing in things[:20]), Item("e" * 64)]
    expected = {thing.hash: 10 for thing in things[:20]}
    for few, listed in ((100, 20), (5, 20), (5, 0)):
        monkeypatch.setattr(cloud, "FEW", few)
        monkeypatch.setattr(cloud, "_LISTED", listed)
        assert remote.has(asked) == expected


def test_more_objects_than_a_page_of_a_listing_holds(moto: Moto) -> None:
    remote = s3(moto)
    bucket = remote.place[5:].split("/")[0]
    hashes = [f"{number % 256:02x}{number:062x}" for number in range(1100)]

    def put(hash_: str) -> None:
        put_key(moto, bucket, f"art/game/objects/{hash_[:2]}/{hash_[2:]}", b"x")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, hashes))
    assert sorted(remote.list()) == sorted(Item(hash_, 1) for hash_ in hashes)
    assert remote.has([Item(hash_) for hash_ in hashes[:1050]]) == dict.fromkeys(hashes[:1050], 1)


def test_keys_that_are_no_objects_are_left_out(moto: Moto, tmp_path: Path) -> None:
    remote = s3(moto)
    thing = Thing(tmp_path, 10)
    remote.put(thing.item, thing.source)
    bucket = remote.place[5:].split("/")[0]
    tail = "0" * 62
    names = (f"AB/{tail}", f"ab/{tail}0", f"ab/{tail[1:]}", f"ab/x/{tail}", f"abc/{tail[1:]}", f"ab/{tail[:-1]}G")
    for key in ("note.txt", "ab/note", *names):
        put_key(moto, bucket, f"art/game/objects/{key}", b"x")
    put_key(moto, bucket, f"art/game/other/ab/{tail}", b"x")
    assert [item.hash for item in remote.list()] == [thing.hash]


def test_keys_that_are_tricks_with_paths_are_left_out(moto: Moto, tmp_path: Path) -> None:
    remote = s3(moto)
    things = [Thing(tmp_path, 10, number) for number in range(5)]
    for thing in things:
        remote.put(thing.item, thing.source)
    bucket = remote.place[5:].split("/")[0]
    for key in (
        "../../etc/passwd",
        "..",
        "./x",
        f"{things[0].hash[:2]}/..",
        f"{things[0].hash[:2]}/../x",
        f"/{'0' * 62}",
    ):
        put_key(moto, bucket, f"art/game/objects/{key}", b"x")
    assert sorted(item.hash for item in remote.list()) == sorted(thing.hash for thing in things)
    remote.test()


# -- two at once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["moto", "swift", "azurite"])
def test_two_processes_send_the_same(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(kind)
    remote = azure(server) if kind == "azurite" else s3(server)
    things = [Thing(tmp_path, size, number) for number, size in enumerate([50_000] * 12 + [2 * PART])]
    script = (
        "import sys; from comfyvn_store.remotes.bucket import Cloud; from comfyvn_store.remotes.address import parse\n"
        "from comfyvn_store.remotes.remote import Item, Source\n"
        "remote = Cloud('c', parse(sys.argv[1], '/')); print('ready', flush=True)\n"
        "for line in sys.stdin:\n"
        "    path = line.strip(); print(remote.put(Item(path[-64:]), Source(path)), flush=True)"
    )
    keys = {"moto": KEYS, "swift": SWIFT_KEYS, "azurite": AZURE_KEYS}[kind]
    pair = [
        subprocess.Popen(
            [sys.executable, "-c", script, remote.place],
            env={**os.environ, **keys},
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = []
    for each in pair:
        assert each.stdout is not None and each.stdout.readline() == "ready\n"
    for thing in things:
        for each in pair:
            assert each.stdin is not None
            each.stdin.write(f"{thing.path}\n")
            each.stdin.flush()
        said.append([each.stdout.readline().strip() for each in pair if each.stdout is not None])
    for each in pair:
        each.communicate(timeout=60)
        assert each.returncode == 0
    assert all("True" in pair_said and set(pair_said) <= {"True", "False"} for pair_said in said)
    assert any("False" in pair_said for pair_said in said), "the condition was never met"
    assert [b"".join(remote.get(thing.item)) == thing.data for thing in things] == [True] * len(things)


# -- what goes wrong with a server -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["moto", "swift", "azurite"])
def test_a_bucket_that_is_not_there(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(kind)
    if kind == "azurite":
        address = parse(f"az://nowhere/art?endpoint={server.endpoint}", "/")
        remote = Cloud("cloud", address, environment=AZURE_KEYS)
    else:
        remote = s3(server, "nowhere")
    small, large = Thing(tmp_path, 10), Thing(tmp_path, PART + 1)
    for work in (
        lambda: remote.has([small.item]),
        lambda: list(remote.get(small.item)),
        lambda: remote.put(small.item, small.source),
        lambda: remote.put(large.item, large.source),
        lambda: list(remote.list()),
        remote.test,
    ):
        with pytest.raises(RemoteUnreachable, match=r"no bucket 'nowhere'.*remote 'cloud'") as caught:
            work()
        assert not caught.value.is_passing and "spelt" in str(caught.value.hint)


def test_nobody_listens(moto: Moto, tmp_path: Path) -> None:
    gone = Moto(tmp_path)
    remote = s3(gone, "bucket")
    for work in (lambda: remote.has([Item("a" * 64)]), lambda: list(remote.get(Item("a" * 64))), remote.test):
        with pytest.raises(RemoteUnreachable, match="cannot be connected to") as caught:
            work()
        assert caught.value.is_passing


def test_a_server_that_dies_amid_a_download(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    server = Swift(tmp_path / "server")
    server.start()
    try:
        remote = s3(server)
        thing = Thing(tmp_path / "local", 5 * cloud.RANGE)
        remote.put(thing.item, thing.source)
        got = bytearray()
        with pytest.raises(RemoteUnreachable) as caught:
            for block in remote.get(thing.item):
                got += block
                server.kill()
        assert caught.value.is_passing and 0 < len(got) < len(thing.data) and thing.data.startswith(got)

        server.start()
        restarts: list[int] = []

        def sleep(_: float) -> None:
            if not restarts:
                server.start()
            restarts.append(1)

        got = bytearray()
        for block in Retrying(remote, sleep=sleep).get(thing.item):
            got += block
            if len(got) < 2 << 20:
                server.kill()
        assert got == thing.data and restarts
    finally:
        server.kill()


# -- credentials -----------------------------------------------------------------------------------------------------


def test_wrong_credentials(swift: Swift, tmp_path: Path) -> None:
    good = s3(swift)
    thing = Thing(tmp_path, 10)
    good.put(thing.item, thing.source)
    wrong = {**SWIFT_KEYS, "AWS_SECRET_ACCESS_KEY": "wrong-secret"}
    remote = Cloud("cloud", parse(good.place, "/"), environment=wrong)
    for work in (
        lambda: remote.has([thing.item]),
        lambda: list(remote.get(thing.item)),
        lambda: remote.put(thing.item, thing.source),
        lambda: remote.delete(thing.hash),
        lambda: list(remote.list()),
        remote.test,
    ):
        with pytest.raises(RemoteDenied, match="refuses the credentials") as caught:
            work()
        assert not caught.value.is_passing and "wrong-secret" not in str(caught.value)
    with pytest.raises(RemoteDenied, match="SignatureDoesNotMatch"):
        remote.has([thing.item])


def test_no_credentials_where_some_are_needed(swift: Swift) -> None:
    good = s3(swift)
    remote = Cloud("cloud", parse(good.place, "/"), environment={"HOME": "/nowhere"})
    with pytest.raises(RemoteDenied, match="none were found") as caught:
        remote.test()
    assert "AWS_ACCESS_KEY_ID" in str(caught.value.hint)


def test_keys_that_the_server_does_not_know(tmp_path: Path) -> None:
    server = Moto(tmp_path)
    server.unchecked = 1
    server.start()
    try:
        remote = s3(server)
        with pytest.raises(RemoteDenied, match="InvalidAccessKeyId"):
            remote.test()
        with pytest.raises(RemoteDenied):
            remote.has([Item("a" * 64)])
    finally:
        server.kill()


def test_keys_of_a_profile(swift: Swift, tmp_path: Path) -> None:
    good = s3(swift)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        f"[studio]\naws_access_key_id = {SWIFT_USER}\naws_secret_access_key = {SWIFT_KEY}\n"
    )
    (tmp_path / ".aws/config").write_text(f"[profile studio]\nregion = us-east-1\nendpoint_url = {swift.url}\n")
    plain = parse(good.place.partition("?")[0], "/")
    home = {"HOME": str(tmp_path)}
    Cloud("cloud", plain, environment={**home, "AWS_PROFILE": "studio"}).test()
    with pytest.raises(RemoteDenied, match="no AWS profile 'other'"):
        Cloud("cloud", plain, environment={**home, "AWS_PROFILE": "other"})
    (tmp_path / ".aws/credentials").write_text("[default]\nsecret without sign\n")
    with pytest.raises(RemoteDenied, match="cannot be read") as caught:
        Cloud("cloud", plain, environment=home)
    assert "secret" not in str(caught.value) and caught.value.__context__ is None


def test_keys_that_a_program_prints(swift: Swift, tmp_path: Path) -> None:
    """With boto3, which is among what moto needs."""
    libraries = list((Path(sys.prefix) / "servers/moto/lib").glob("python*/site-packages"))
    if not libraries or not (libraries[0] / "boto3").exists():
        pytest.skip("boto3 is not installed (make .venv/.servers)")
    good = s3(swift)
    (tmp_path / ".aws").mkdir()
    printed = json.dumps({"Version": 1, "AccessKeyId": SWIFT_USER, "SecretAccessKey": SWIFT_KEY})
    (tmp_path / "printed").write_text(printed)
    config = tmp_path / ".aws/config"
    config.write_text(f"[default]\nregion = us-east-1\ncredential_process = cat {tmp_path}/printed\n")
    script = (
        "import sys; from comfyvn_store.remotes.bucket import Cloud; from comfyvn_store.remotes.address import parse\n"
        "from comfyvn_store.errors import RemoteDenied\n"
        "try: Cloud('c', parse(sys.argv[1], '/')).test()\n"
        "except RemoteDenied as error: print(error.message, error.hint)\n"
        "else: print('in')"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(libraries[0])}
    program = [sys.executable, "-c", script, good.place]
    for expected in ("in", "gives no credentials"):
        done = subprocess.run(
            program, env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60
        )
        assert expected in done.stdout, done.stderr
        assert SWIFT_KEY not in done.stdout + done.stderr
        (tmp_path / "printed").unlink(missing_ok=True)


def test_a_profile_whose_keys_must_be_asked_for(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text("[default]\nsso_session = studio\nregion = eu-central-1\n")
    with pytest.raises(RemoteDenied) as caught:
        Cloud("cloud", parse("s3://bucket/art", "/"), environment={"HOME": str(tmp_path)})
    assert "boto3" in str(caught.value.hint) or "sts" in str(caught.value.hint)


def test_an_endpoint_of_the_environment(moto: Moto, tmp_path: Path) -> None:
    moto.make("theirs")
    remote = Cloud("cloud", parse("s3://theirs", "/"), environment={**KEYS, "AWS_ENDPOINT_URL": moto.url})
    thing = Thing(tmp_path, 10)
    assert remote.put(thing.item, thing.source) is True


def test_a_connection_string(azurite: Azurite, tmp_path: Path) -> None:
    good = azure(azurite)
    text = f"AccountName={AZURITE};AccountKey={AZURITE_KEY};BlobEndpoint={azurite.endpoint};EndpointSuffix=x"
    remote = Cloud(
        "azure", parse(good.place.partition("?")[0], "/"), environment={"AZURE_STORAGE_CONNECTION_STRING": text}
    )
    thing = Thing(tmp_path, 10)
    assert remote.put(thing.item, thing.source) is True
    assert good.has([thing.item]) == {thing.hash: 10}


def test_an_account_that_nobody_names() -> None:
    with pytest.raises(RemoteDenied, match="account") as caught:
        Cloud("azure", parse("az://container/art", "/"), environment={})
    assert "AZURE_STORAGE_ACCOUNT_NAME" in str(caught.value.hint)


@pytest.mark.parametrize(
    "endpoint", ["ftp://host", "https%3A%2F%2Fuser%3Asecret%40host", "host", "https://host/?x%3Dsecret"]
)
def test_endpoints_that_are_none(endpoint: str) -> None:
    with pytest.raises(UsageError) as caught:
        Cloud("cloud", parse(f"s3://bucket/art?endpoint={endpoint}", "/"), environment=KEYS)
    assert "secret" not in str(caught.value)


def test_what_came_with_the_repository_is_only_read(moto: Moto, tmp_path: Path) -> None:
    bucket = f"bucket{next(numbers)}"
    moto.make(bucket)
    address = parse(f"s3://{bucket}?endpoint={moto.url}", "/")
    remote = Cloud("cloud", address, is_trusted=False, environment=KEYS)
    thing = Thing(tmp_path, 10)
    with pytest.raises(Refused) as caught:
        remote.put(thing.item, thing.source)
    assert caught.value.hint == "if you trust it: comfyvn-store remote trust cloud"


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ToolMissing) as caught:
        Cloud("cloud", parse("s3://bucket/art", "/"), environment=KEYS)
    assert "pipx inject comfyvn-store obstore" in str(caught.value.hint)


def test_the_library_is_only_imported_for_a_bucket() -> None:
    script = "import sys, comfyvn_store.remotes.bucket, comfyvn_store.remotes.folder; print('obstore' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True, timeout=60
    )
    assert done.stdout.strip() == b"False"


def test_threads_that_read_one_object(moto: Moto, tmp_path: Path) -> None:
    remote = s3(moto)
    thing = Thing(tmp_path, 3 * cloud.RANGE)
    remote.put(thing.item, thing.source)
    right = []
    threads = [
        threading.Thread(target=lambda: right.append(b"".join(remote.get(thing.item)) == thing.data)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert right == [True] * 20


def test_missing_is_not_unreachable(azurite: Azurite) -> None:
    remote = azure(azurite)
    with pytest.raises(ObjectMissing):
        list(remote.get(Item("a" * 64)))
