"""The filter process: bytes become exactly the link, PNGs carry one marker, sidecars pass without their commit."""

import errno
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comfyvn_store.hot.artdriver import Art
from tests import media
from tests.filterclient import LONGEST, Answer, FilterClient, leftovers, objects
from tests.gitrepo import GitRepo, run

PATH = "assets/characters/alice.png"
KEYWORD = b"comfyvn_provenance"


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def client(store_repo: GitRepo) -> Iterator[FilterClient]:
    with FilterClient(store_repo) as client:
        yield client


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GitRepo, FilterClient]]:
    """One repository and process for the many examples of a property."""
    repo = GitRepo.create(tmp_path_factory.mktemp("shared") / "repo")
    repo.tool("init")
    with FilterClient(repo) as client:
        yield repo, client


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def link(path: str, data: bytes) -> bytes:
    hash_ = sha(data)
    return (path.count("/") * "../" + f".comfyvn/objects/{hash_[:2]}/{hash_[2:]}").encode()


def stored(repo: GitRepo, answer: Answer) -> bytes:
    """The bytes of the object that an answer links to; its name is true, it is read-only, and settled once it is synced,
    which is at the filter's end."""
    assert answer.status == "status=success" and answer.last == ""
    text = answer.data.decode("ascii")
    place = repo.object_path(text[-65:].replace("/", ""))
    data = place.read_bytes()
    assert sha(data) == text[-65:].replace("/", "")
    info = place.stat()
    assert info.st_mode & 0o777 == 0o444 and info.st_mtime_ns % 10**9 in (0, 500_000_000)
    return data


def marker_of(png: bytes) -> tuple[int, bytes, dict[str, object]]:
    """Offset, bytes and payload of the only marker chunk of a PNG."""
    assert png.count(KEYWORD) == 1
    start = png.index(b"iTXt" + KEYWORD) - 4
    length = int.from_bytes(png[start : start + 4], "big") + 12
    data = png[start + 8 : start + length - 4]
    assert data.startswith(KEYWORD + b"\0\0\0\0\0")
    return start, png[start : start + length], json.loads(data[len(KEYWORD) + 5 :])


def without_marker(png: bytes) -> bytes:
    start, chunk, _ = marker_of(png)
    return png[:start] + png[start + len(chunk) :]


# -- bytes become links --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 4, LONGEST - 1, LONGEST, LONGEST + 1, 2 * LONGEST, 5 * 1024 * 1024 + 7])
def test_bytes_become_exactly_the_link(store_repo: GitRepo, client: FilterClient, size: int) -> None:
    data = (b"some noise \x00\xff\n" * (size // 14 + 1))[:size]
    answer = client.clean("assets/sounds/deep/a.bin", data)
    assert answer == Answer("status=success", link("assets/sounds/deep/a.bin", data))
    assert stored(store_repo, answer) == data
    assert client.smudge("assets/sounds/deep/a.bin", answer.data) == Answer("status=success", data)
    assert leftovers(store_repo) == []
    assert client.close() == ""


def test_what_came_in_is_on_the_disk_when_git_has_done_its_work(store_repo: GitRepo, client: FilterClient) -> None:
    place = store_repo.object_path(sha(b"some noise"))
    for data in (b"some noise", b"some noise", b"more noise"):
        client.clean("assets/sounds/a.bin", data)
    assert place.stat().st_mtime_ns % 10**9 == 500_000_000
    assert client.close() == ""
    assert {store_repo.object_path(each).stat().st_mtime_ns % 10**9 for each in objects(store_repo)} == {0}


def test_nothing_stays_nothing(store_repo: GitRepo, client: FilterClient) -> None:
    assert client.ask("clean", PATH, []) == Answer("status=success", b"")
    assert client.ask("smudge", PATH, []) == Answer("status=success", b"")
    assert objects(store_repo) == []


def test_a_link_passes_unchanged_whatever_its_depth(store_repo: GitRepo, client: FilterClient) -> None:
    for path in ("a.png", "assets/a.png", "assets/a/b/c.png"):
        text = link(path, b"never seen")
        assert client.clean(PATH, text).data == text
        assert client.smudge(PATH, text).data == text
    assert objects(store_repo) == []


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n"])
def test_a_link_with_line_ends_is_the_link(store_repo: GitRepo, client: FilterClient, end: bytes) -> None:
    text = link(PATH, b"never seen")
    assert client.clean(PATH, text + end).data == client.clean(PATH, end + text).data == text
    assert objects(store_repo) == []


@pytest.mark.parametrize("bent", [b"cut", b"cut early", b"two", b"CR"])
def test_what_became_of_links_is_refused(store_repo: GitRepo, client: FilterClient, bent: bytes) -> None:
    one, other = link(PATH, b"x"), link(PATH, b"y")
    data = {
        b"cut": one[:-1],
        b"cut early": one[:7],
        b"two": one + b"\r\n" + other,
        b"CR": one + b"\r" + one,
    }[bent]
    assert client.clean(PATH, data).status == "status=error"
    assert objects(store_repo) == []
    text = b"../../notes about links, and the word .comfyvn/objects/ in them"
    assert stored(store_repo, client.clean(PATH, text)) == text


@pytest.mark.parametrize("change", [b" ", b"\0", b"/"])
def test_what_is_almost_a_link_is_bytes(store_repo: GitRepo, client: FilterClient, change: bytes) -> None:
    for data in (
        link(PATH, b"x") + change,
        change + link(PATH, b"x"),
        link(PATH, b"x").upper(),
        b"./" + link("a", b"x"),
    ):
        assert stored(store_repo, client.clean(PATH, data)) == data


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_same_bytes_give_the_same_object_however_they_are_parted(
    shared: tuple[GitRepo, FilterClient], data: st.DataObject
) -> None:
    _, client = shared
    png = media.png(16, 16, seed=3, trailer=data.draw(st.sampled_from([b"", b"after the end"])))
    plain = data.draw(st.sampled_from([png, png[: len(png) // 2], b"no picture" * 40]))
    cuts = data.draw(st.lists(st.integers(0, len(plain)), max_size=12))
    assert client.clean(PATH, plain, cuts) == client.clean(PATH, plain)


def test_one_process_serves_all_files_of_a_command(store_repo: GitRepo) -> None:
    for number in range(120):
        store_repo.write(f"assets/faces/{number}.bin", f"face {number}".encode())
    done = store_repo.git("add", "assets", env={"GIT_TRACE": "1"})
    starts = [line for line in done.err.splitlines() if "run_command" in line and "filter comfyvn" in line]
    assert len([line for line in starts if "filter comfyvn;" in line.replace("'", "")]) == 1, starts
    assert len(objects(store_repo)) == 120
    assert store_repo.blob(":assets/faces/7.bin") == link("assets/faces/7.bin", b"face 7")


def test_outside_the_root_and_names_that_are_no_assets_pass(store_repo: GitRepo, client: FilterClient) -> None:
    big = os.urandom(5 * 1024 * 1024)
    paths = (
        "a.png",
        "other/a.png",
        "assets2/a.png",
        "assets",
        "assets/_meta/x/a.json",
        "assets/x/.hidden",
        "assets/.x/a",
    )
    for path in paths:
        assert client.clean(path, big) == Answer("status=success", big), path
    assert objects(store_repo) == []


def test_a_missing_object_leaves_the_link_text(store_repo: GitRepo, client: FilterClient) -> None:
    answer = client.clean(PATH, b"picture")
    store_repo.object_path(sha(b"picture")).unlink()
    assert client.smudge(PATH, answer.data) == answer


def test_an_unknown_command_is_an_error_of_that_file_only(store_repo: GitRepo, client: FilterClient) -> None:
    assert client.ask("polish", PATH, [b"x"]) == Answer("status=error", b"")
    assert client.clean(PATH, b"x").data == link(PATH, b"x")


def test_an_error_amid_the_bytes_is_told_behind_them(capfd: pytest.CaptureFixture[str]) -> None:
    def failing() -> Iterator[bytes]:
        yield b"begin"
        raise OSError(errno.EIO, "Input/output error")

    source, target = os.pipe()
    Art(target)._stream("assets/a.png", failing())
    os.close(target)
    with os.fdopen(source, "rb") as stream:
        assert stream.read() == b"0013status=success\n0000" + b"0009begin" + b"0000" + b"0011status=error\n0000"
    assert capfd.readouterr().err.startswith("error: cannot store 'assets/a.png'")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("n" * 241 + ".png", "its name has 245 bytes, and at most 244"),
        ("ü" * 121 + ".png", "its name has 246 bytes, and at most 244"),
        ("caf\udce9.png", "its name is not UTF-8"),
    ],
)
def test_names_that_leave_no_room_for_a_sidecar_are_refused(
    store_repo: GitRepo, client: FilterClient, name: str, reason: str
) -> None:
    assert client.clean(f"assets/x/{name}", b"bytes") == Answer("status=error", b"")
    assert client.clean(PATH, b"bytes").status == "status=success"
    assert reason in client.close()
    store_repo.write(f"assets/x/{name}", b"bytes")
    done = store_repo.git("add", "assets", check=False)
    assert done.code != 0
    assert "error: 'assets/x/" in done.err and reason in done.err and "Traceback" not in done.err
    assert store_repo.staged(f"assets/x/{name}") is None


def test_the_longest_name_is_taken(store_repo: GitRepo) -> None:
    name = "assets/x/" + "ü" * 120 + ".png"
    store_repo.write(name, b"bytes")
    store_repo.git("add", "assets")
    store_repo.commit("long")
    assert store_repo.sidecar(name)["path"] == name.removeprefix("assets/")
    assert store_repo.status() == []


def test_a_retired_store_takes_nothing(store_repo: GitRepo, client: FilterClient) -> None:
    (store_repo.path / ".git/comfyvn/uninstalled").touch()
    assert client.clean(PATH, b"x").status == "status=error"
    assert "comfyvn-store init" in client.close()


# -- the marker ----------------------------------------------------------------------------------------------------


def test_a_png_gets_its_marker_right_before_iend(store_repo: GitRepo, client: FilterClient) -> None:
    png = media.comfy_png(seed=7)
    marked = stored(store_repo, client.clean(PATH, png))
    start, chunk, payload = marker_of(marked)
    assert marked[start + len(chunk) :] == media.chunk(b"IEND", b"")
    assert without_marker(marked) == png
    assert list(payload) == ["v", "source", "source_hash", "workflow_hash"]
    assert payload["source_hash"] == sha(png) and payload["source"] == "comfyui" and len(payload["workflow_hash"]) == 64
    plain = marker_of(stored(store_repo, client.clean(PATH, media.png())))[2]
    assert plain == {"v": 1, "source": None, "source_hash": sha(media.png()), "workflow_hash": None}


def test_marked_bytes_are_not_marked_again(store_repo: GitRepo, client: FilterClient) -> None:
    marked = stored(store_repo, client.clean(PATH, media.png()))
    assert client.clean("assets/other.png", marked).data == link("assets/other.png", marked)
    assert client.clean(PATH, marked, range(0, len(marked), 5)).data == link(PATH, marked)


@pytest.mark.parametrize("size", [1, 100, 200_000, (1 << 20) + 500_000])
def test_what_follows_iend_stays(store_repo: GitRepo, client: FilterClient, size: int) -> None:
    trailer = (b"not a chunk at all" * (size // 18 + 1))[:size]
    png = media.png(32, 32, trailer=trailer)
    marked = stored(store_repo, client.clean(PATH, png))
    start, chunk, payload = marker_of(marked)
    assert marked[start + len(chunk) :] == media.chunk(b"IEND", b"") + trailer
    assert without_marker(marked) == png and payload["source_hash"] == sha(png)
    assert client.clean(PATH, marked).data == link(PATH, marked)
    assert leftovers(store_repo) == []


def test_iend_may_straddle_packets(store_repo: GitRepo, client: FilterClient) -> None:
    png = media.png(200, 200, seed=5, noise=True, trailer=b"tail")
    whole = client.clean(PATH, png)
    end = png.rindex(b"IEND")
    for cut in range(end - 6, end + 10):
        assert client.clean(PATH, png, [cut]) == whole
    assert client.clean(PATH, png, range(end - 6, end + 10)) == whole


def test_a_large_png_is_marked(store_repo: GitRepo, client: FilterClient) -> None:
    png = media.png(1200, 900, seed=2, noise=True)
    assert len(png) > 3_000_000
    marked = stored(store_repo, client.clean(PATH, png))
    assert without_marker(marked) == png and marker_of(marked)[2]["source_hash"] == sha(png)


def test_a_stale_marker_is_replaced(store_repo: GitRepo, client: FilterClient) -> None:
    first = stored(store_repo, client.clean(PATH, media.png(seed=1)))
    chunk = marker_of(first)[1]
    edited = media.png(seed=2)
    iend = edited.rindex(b"IEND") - 4
    # as editors write it: the chunk is kept, before the pixels or behind
    for place in (33, iend):
        saved = edited[:place] + chunk + edited[place:]
        assert stored(store_repo, client.clean(PATH, saved)) == stored(store_repo, client.clean(PATH, edited))


@pytest.mark.parametrize(
    "entry",
    [
        media.text_chunk("comfyvn_provenance", "my own notes"),
        media.international_chunk("comfyvn_provenance", '{"id": 3, "source": "comfyui"}'),
        media.international_chunk("comfyvn_provenance", '{"v":2,"source_hash":"x"}'),
        media.international_chunk("comfyvn_provenance", "notes", compressed=True),
    ],
)
def test_what_others_wrote_under_that_name_is_kept(store_repo: GitRepo, client: FilterClient, entry: bytes) -> None:
    png = media.png(seed=3)
    noted = png[:33] + entry + png[33:]
    assert stored(store_repo, client.clean(PATH, noted)) == noted


def test_two_markers_become_one(store_repo: GitRepo, client: FilterClient) -> None:
    png = media.png(seed=4)
    marked = stored(store_repo, client.clean(PATH, png))
    start, chunk, _ = marker_of(marked)
    for place in (33, start, start + len(chunk)):
        doubled = marked[:place] + chunk + marked[place:]
        assert stored(store_repo, client.clean(PATH, doubled)) == marked


def test_a_valid_marker_somewhere_else_is_kept(store_repo: GitRepo, client: FilterClient) -> None:
    png = media.png(seed=4)
    _, chunk, _ = marker_of(stored(store_repo, client.clean(PATH, png)))
    early = png[:33] + chunk + png[33:]
    assert client.clean(PATH, early).data == link(PATH, early)


def test_a_file_that_must_not_or_cannot_be_marked_is_stored_as_it_is(store_repo: GitRepo, client: FilterClient) -> None:
    png = media.png(seed=6)
    broken_crc = bytearray(png)
    broken_crc[29] ^= 1  # IHDR's
    bad_end = png[:-1] + bytes([png[-1] ^ 1])
    files = {
        "signed": media.png(before=[(b"caBX", b"manifest")]),
        "crc": bytes(broken_crc),
        "end crc": bad_end,
        "truncated": png[:-12],
        "no end of the end": png[:-2],
        "jpeg called png": b"\xff\xd8\xff\xe0" + bytes(100),
        "text": b"hello",
        "signature only": media.PNG_SIGNATURE,
        "no IHDR": media.PNG_SIGNATURE + media.chunk(b"IDAT", b"x") + media.chunk(b"IEND", b""),
        "two headers": png[:33] + png[8:],
    }
    for what, data in files.items():
        assert client.clean(PATH, data).data == link(PATH, data), what


def test_png_bytes_are_marked_whatever_the_name(store_repo: GitRepo, client: FilterClient) -> None:
    assert KEYWORD in stored(store_repo, client.clean("assets/x/picture.dat", media.png()))


def test_marking_can_be_turned_off(store_repo: GitRepo) -> None:
    store_repo.git("config", "comfyvn.marker", "false")
    with FilterClient(store_repo) as client:
        assert client.clean(PATH, media.png()).data == link(PATH, media.png())


# -- sidecars ------------------------------------------------------------------------------------------------------


SIDECAR = f"{PATH}.asset.json"


@pytest.fixture
def committed(store_repo: GitRepo) -> GitRepo:
    store_repo.write(PATH, media.comfy_png())
    store_repo.git("add", PATH)
    store_repo.commit("art")
    return store_repo


def test_clean_takes_the_commit_out_and_smudge_fills_it_in(committed: GitRepo) -> None:
    blob = committed.blob(f"HEAD:{SIDECAR}")
    assert b'"commit"' not in blob
    with FilterClient(committed, "comfyvn-sidecar") as client:
        full = client.smudge(SIDECAR, blob, treeish=committed.head(), blob="0" * 40).data
        assert json.loads(full)["provenance"]["commit"] == committed.head()
        assert full == committed.read(SIDECAR)
        assert client.clean(SIDECAR, full).data == blob
        assert client.clean(SIDECAR, full, range(0, len(full), 7)).data == blob


def test_clean_makes_the_text_canonical(committed: GitRepo) -> None:
    blob = committed.blob(f"HEAD:{SIDECAR}")
    value = json.loads(blob)
    record = {**value["provenance"], "commit": "not a commit at all"}
    untidy = {**{key: value[key] for key in reversed(value)}, "provenance": record}
    with FilterClient(committed, "comfyvn-sidecar") as client:
        for text in (json.dumps(untidy), json.dumps(untidy, indent=8).replace("\n", "\r\n")):
            assert client.clean(SIDECAR, text.encode()).data == blob
        value["zebra"], value["ape"] = 1, {"b": 1, "a": 2}
        kept = client.clean(SIDECAR, json.dumps(value).encode()).data
        assert json.loads(kept) == value
        assert kept.index(b'"ape"') < kept.index(b'"zebra"') and kept.index(b'"a"') < kept.index(b'"b"')
        assert client.clean(SIDECAR, kept).data == kept


def test_text_that_is_no_sidecar_passes_unchanged(committed: GitRepo) -> None:
    texts = {
        "nothing": b"",
        "no JSON": b"<<<<<<< ours\n{}\n",
        "a key twice": b'{"schema": 1, "provenance": {"id": "a", "id": "b"}}',
        "NaN": b'{"schema": 1, "provenance": {"id": "a", "x": NaN}}',
        "a number beyond all": b'{"schema": 1, "provenance": {"id": "a", "x": 1e999}}',
        "a list": b"[1,  2]",
        "no provenance": b'{"schema":   1}',
        "another's JSON": b'{"a":   1}',
        "not UTF-8": b'{"schema": 1, "provenance": {"id": "\xff"}}',
        "a byte order mark": b'\xef\xbb\xbf{"schema": 1, "provenance": {"id": "a"}}',
        "a lone surrogate": b'{"schema": 1, "provenance": {"id": "\\ud800"}}',
        "deep": b'{"schema": 1, "provenance": {"id": "a"}, "meta": ' + b"[" * 500 + b"]" * 500 + b"}",
        "very deep": b'{"schema": 1, "provenance": {"id": "a"}, "meta": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "a link": link(SIDECAR, b"x"),
        "50 MB": b'{"schema": 1, "provenance": {"id": "a"}, "x": "' + b"y" * 50_000_000 + b'"}',
    }
    with FilterClient(committed, "comfyvn-sidecar") as client:
        for what, text in texts.items():
            assert client.clean(SIDECAR, text) == Answer("status=success", text), what
            assert client.smudge(SIDECAR, text) == Answer("status=success", text), what
        client.close()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.dictionaries(st.sampled_from(["meta", "tags", "inputs", "zz", "path", "media", "preview"]), json_values),
    record=st.dictionaries(st.sampled_from(["id", "commit", "inputs", "zz", "source"]), json_values),
)
def test_what_smudge_gives_cleans_to_what_it_got(
    shared_sidecars: FilterClient, value: dict[str, object], record: dict[str, object]
) -> None:
    text = json.dumps({**value, "schema": 1, "provenance": record}, ensure_ascii=False).encode("utf-8")
    kept = shared_sidecars.clean(SIDECAR, text).data
    assert shared_sidecars.clean(SIDECAR, kept).data == kept
    assert shared_sidecars.clean(SIDECAR, shared_sidecars.smudge(SIDECAR, kept).data).data == kept
    assert shared_sidecars.clean(SIDECAR, shared_sidecars.smudge(SIDECAR, text).data).data == kept


@pytest.fixture(scope="module")
def shared_sidecars(shared: tuple[GitRepo, FilterClient]) -> Iterator[FilterClient]:
    with FilterClient(shared[0], "comfyvn-sidecar") as client:
        yield client


# -- large, stopped, at once ---------------------------------------------------------------------------------------


def test_memory_stays_flat_whatever_the_size(store_repo: GitRepo) -> None:
    place = store_repo.write("assets/video/long.bin", b"")
    with place.open("r+b") as stream:
        stream.truncate(1 << 30)
        stream.write(b"begin")
        stream.seek(-3, os.SEEK_END)
        stream.write(b"end")
    log = store_repo.path.parent / "rss"
    driver = store_repo.git("config", "filter.comfyvn.process").out
    measured = (
        f"{driver.split('; then exec ')[1].split('; elif')[0].split(' -P ')[0]} -P -c 'import os, resource, sys; "
        'from comfyvn_store.hot import filter; code = filter.run("comfyvn"); '
        f'open("{log}", "w").write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)); os._exit(code)\''
    )
    store_repo.git("-c", f"filter.comfyvn.process={measured}", "add", "assets")
    kilobytes = int(log.read_text()) // (1024 if sys.platform == "darwin" else 1)
    assert kilobytes < 100 * 1024
    assert len(objects(store_repo)) == 1
    assert store_repo.object_path(objects(store_repo)[0]).stat().st_size == 1 << 30


def test_a_killed_add_leaves_no_object_and_can_be_repeated(store_repo: GitRepo) -> None:
    data = os.urandom(1 << 20) * 150
    store_repo.write("assets/video/long.bin", data)
    adding = subprocess.Popen(
        ["git", "add", "assets"], cwd=store_repo.path, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 20
    while not any(path.stat().st_size > 1 << 20 for path in leftovers(store_repo)):
        assert adding.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(adding.pid, signal.SIGKILL)
    adding.wait()
    assert objects(store_repo) == []
    (store_repo.path / ".git/index.lock").unlink(missing_ok=True)
    assert len(leftovers(store_repo)) == 1
    store_repo.git("add", "assets")
    assert objects(store_repo) == [sha(data)]
    store_repo.commit("again")
    assert store_repo.status() == []
    assert store_repo.read("assets/video/long.bin") == data


@pytest.mark.parametrize(
    "said",
    [
        b"0012command=clean\n001epathname=assets/ch",
        b"0012command=clean\n",
        b"0012command=clean\n0016pathname=assets/a\n0000",
        b"0012command=clean\n0016pathname=assets/a\n00000008abcd",
    ],
)
def test_a_filter_whose_git_is_gone_ends_quietly(store_repo: GitRepo, said: bytes) -> None:
    client = FilterClient(store_repo)
    _, heard = client.process.communicate(said, timeout=20)
    assert (client.process.returncode, heard) == (1, b"")
    assert objects(store_repo) == [] and leftovers(store_repo) == []


def test_many_processes_may_store_the_same_bytes_at_once(store_repo: GitRepo, tmp_path: Path) -> None:
    png = media.png(400, 400, seed=8, noise=True)
    repos = []
    for number in range(8):
        linked = GitRepo(tmp_path / f"linked-{number}")
        if number == 0:
            store_repo.git("commit", "-qm", "first")
        store_repo.git("worktree", "add", "-q", "--detach", str(linked.path))
        linked.write("assets/same.png", png)
        linked.write("assets/own.bin", str(number).encode())
        repos.append(linked)
    adding = [subprocess.Popen(["git", "add", "assets"], cwd=repo.path, stderr=subprocess.PIPE) for repo in repos]
    for process in adding:
        _, said = process.communicate()
        assert (process.returncode, said) == (0, b"")
    assert len(objects(store_repo)) == 9
    assert leftovers(store_repo) == []
    for hash_ in objects(store_repo):
        assert sha(store_repo.object_path(hash_).read_bytes()) == hash_
    assert len({repo.blob(":assets/same.png") for repo in repos}) == 1
    assert list((store_repo.path / ".git/comfyvn/bad").iterdir()) == []


def test_a_full_disk_refuses_the_file_and_says_so(store_repo: GitRepo) -> None:
    store_repo.write("assets/large.bin", os.urandom(3 << 20))

    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    done = subprocess.run(["git", "add", "assets"], cwd=store_repo.path, capture_output=True, preexec_fn=no_room)
    assert done.returncode != 0
    assert b"error: cannot store 'assets/large.bin'" in done.stderr and b"Traceback" not in done.stderr
    assert store_repo.staged("assets/large.bin") is None
    assert objects(store_repo) == [] and leftovers(store_repo) == []


def test_import_of_the_filter_stays_light(store_repo: GitRepo) -> None:
    code = (
        "import sys; import comfyvn_store.hot.main, comfyvn_store.hot.filter; "
        "import comfyvn_store.hot.artdriver, comfyvn_store.hot.sidecardriver; "
        "print(sorted(set(sys.modules) & {'click', 'PIL', 'pygit2', 'git', 'sqlite3', 'importlib.metadata'}))"
    )
    assert run([sys.executable, "-P", "-c", code], cwd=store_repo.path).out == "[]"
