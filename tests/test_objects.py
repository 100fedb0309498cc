"""A file visible under an object's name is complete, correct and never changes; and the small parts this rests on."""

import errno
import hashlib
import itertools
import json
import os
import stat
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfyvn_store.base import canonical, durable, files, links, names, pktline, png, swapping
from comfyvn_store.base.uuid7 import uuid7
from comfyvn_store.errors import LockTimeout, NewerStore, ObjectCorrupt, ObjectMissing, Refused
from comfyvn_store.store import adoption
from comfyvn_store.store.lock import locked
from comfyvn_store.store.objects import Store
from tests import media

DATA = b"the bytes of a picture"
HASH = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "store"))
    store.create()
    return store


def keep(store: Store, data: bytes = DATA) -> str:
    hash_ = hashlib.sha256(data).hexdigest()
    with store.temp() as incoming:
        incoming.write(data)
        incoming.keep(hash_)
    store.sync([hash_])
    return hash_


def damage(store: Store, hash_: str, data: bytes, *, quietly: bool = False) -> None:
    """Writes into an object in place, as a program does through a view; `quietly` as a failing disk does."""
    place = Path(store.path(hash_))
    before = place.stat()
    place.chmod(0o644)
    place.write_bytes(data)
    if quietly:
        place.chmod(0o444)
        os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))


def content(folder: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if not path.is_dir())


# -- the store -----------------------------------------------------------------------------------------------------


def test_a_store_is_made_once_and_knows_its_format(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    assert not store.exists
    store.check_format()
    store.create()
    store.create()
    assert store.exists and (tmp_path / "store/format").read_text() == "1\n"
    (tmp_path / "store/format").write_text("2\n")
    store.create()
    with pytest.raises(NewerStore):
        store.check_format()
    assert (tmp_path / "store/format").read_text() == "2\n"


def test_an_object_is_read_only_and_dated_to_the_second(store: Store) -> None:
    assert keep(store) == HASH
    info = store.stat(HASH)
    assert info is not None and stat.S_IMODE(info.st_mode) == 0o444 and info.st_mtime_ns % 10**9 == 0
    assert not store.is_touched(info) and store.has(HASH)
    with store.open(HASH) as stream:
        assert stream.read() == DATA
    assert list(store.hashes()) == [HASH]
    assert content(store.root) == ["format", "lock", f"objects/{HASH[:2]}/{HASH[2:]}"]


def test_an_object_is_touched_until_it_is_synced(store: Store) -> None:
    with store.temp() as incoming:
        incoming.write(DATA)
        incoming.keep(HASH)
    info = store.stat(HASH)
    assert info is not None and store.is_touched(info) and stat.S_IMODE(info.st_mode) == 0o444
    store.refresh(HASH)
    info = store.stat(HASH)
    assert info is not None and store.is_touched(info)
    store.sync_new()
    info = store.stat(HASH)
    assert info is not None and not store.is_touched(info)


def test_what_a_power_cut_left_of_an_object_is_never_taken_for_it(store: Store, tmp_path: Path) -> None:
    with store.temp() as incoming:
        incoming.write(DATA)
        incoming.keep(HASH)
    times = os.stat(store.path(HASH))
    os.truncate(store.path(HASH), 0)
    os.utime(store.path(HASH), ns=(times.st_atime_ns, times.st_mtime_ns))  # as the disk has it afterwards
    after = Store(store.root)
    after.sync([HASH])
    info = after.stat(HASH)
    assert info is not None and after.is_touched(info) and not after.is_sound(HASH)
    keep(after)
    after.verify(HASH)


def test_an_object_that_another_process_left_unsynced_is_settled_by_whoever_syncs_it(store: Store) -> None:
    with store.temp() as incoming:
        incoming.write(DATA)
        incoming.keep(HASH)
    after = Store(store.root)
    after.sync([HASH])
    info = after.stat(HASH)
    assert info is not None and not after.is_touched(info)


def test_a_folder_that_cannot_be_synced_is_an_error_only_if_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (errno.EINVAL, errno.EIO):

        def fails(descriptor: int, number: int = number) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", fails)
        if number == errno.EINVAL:
            durable.sync_folder(str(tmp_path))
        else:
            with pytest.raises(OSError):
                durable.sync_folder(str(tmp_path))


def test_what_is_not_kept_leaves_nothing(store: Store) -> None:
    with store.temp() as incoming:
        incoming.write(DATA)
    with pytest.raises(RuntimeError), store.temp() as incoming:
        incoming.write(DATA)
        raise RuntimeError
    assert content(store.root) == ["format", "lock"]


def test_an_object_that_is_there_is_not_written_again(store: Store) -> None:
    keep(store)
    before = os.stat(store.path(HASH))
    os.utime(store.path(HASH), (1000, 1000))
    keep(store)
    after = os.stat(store.path(HASH))
    assert after.st_ino == before.st_ino and abs(after.st_mtime - time.time()) < 5
    assert after.st_mtime_ns % 10**9 == 0


@pytest.mark.parametrize("wrong", [b"", b"short", b"the bytes of another p", DATA + b" and more"])
def test_a_wrong_object_is_moved_aside_when_the_right_bytes_come(store: Store, wrong: bytes) -> None:
    keep(store)
    damage(store, HASH, wrong)
    keep(store)
    store.verify(HASH)
    assert [Path(store.root, name).read_bytes() for name in content(store.root) if name.startswith("bad/")] == [wrong]
    info = store.stat(HASH)
    assert info is not None and not store.is_touched(info)


def test_an_object_that_was_only_touched_is_kept(store: Store) -> None:
    keep(store)
    inode = os.stat(store.path(HASH)).st_ino
    os.chmod(store.path(HASH), 0o644)
    os.utime(store.path(HASH))
    keep(store)
    info = store.stat(HASH)
    assert info is not None and info.st_ino == inode and not store.is_touched(info)
    assert not [name for name in content(store.root) if name.startswith("bad/")]


def test_an_edit_through_a_view_is_noticed_by_one_stat(store: Store) -> None:
    for change in ("mode", "time", "content"):
        hash_ = keep(store, change.encode())
        place = store.path(hash_)
        if change == "mode":
            os.chmod(place, 0o644)
        else:
            os.chmod(place, 0o644)
            if change == "content":
                Path(place).write_bytes(b"CONTENT")
            os.utime(place, ns=(0, 1_700_000_000_123_456_789))
            os.chmod(place, 0o444)
        info = store.stat(hash_)
        assert info is not None and store.is_touched(info), change


def test_verify_tells_right_wrong_and_missing_apart(store: Store) -> None:
    keep(store)
    store.verify(HASH)
    damage(store, HASH, DATA.upper(), quietly=True)
    info = store.stat(HASH)
    assert info is not None and not store.is_touched(info)
    with pytest.raises(ObjectCorrupt):
        store.verify(HASH)
    os.unlink(store.path(HASH))
    for ask in (store.verify, store.open, lambda hash_: store.sync([hash_])):
        with pytest.raises(ObjectMissing):
            ask(HASH)
    assert store.stat(HASH) is None and not store.has(HASH)


@pytest.mark.parametrize("count", [1, 8, 9, 40])
def test_sync_takes_few_and_many(store: Store, count: int) -> None:
    hashes = [keep(store, str(number).encode()) for number in range(count)]
    store.sync(hashes)
    store.sync([])


def adopt(store: Store, place: Path) -> bool:
    info = files.look(str(place))
    assert info is not None
    return adoption.adopt(store, str(place), HASH, files.print_of(info))


def test_a_file_can_become_the_object_itself(store: Store, tmp_path: Path) -> None:
    place = tmp_path / "picture"
    place.write_bytes(DATA)
    assert adopt(store, place)
    assert os.stat(store.path(HASH)).st_ino == place.stat().st_ino
    info = store.stat(HASH)
    assert info is not None and not store.is_touched(info)
    store.verify(HASH)
    other = tmp_path / "copy"
    other.write_bytes(DATA)
    assert adopt(store, other)
    assert os.stat(store.path(HASH)).st_ino != other.stat().st_ino


def test_a_file_that_cannot_be_adopted_keeps_its_mode(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "file"
    place.write_bytes(DATA)
    place.chmod(0o640)
    seen = []

    def elsewhere(source: str, *_: object, **__: object) -> None:
        seen.append(os.stat(source).st_mode & 0o777)
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", elsewhere)
    assert not adopt(store, place)
    assert seen == [0o640] and place.stat().st_mode & 0o777 == 0o640


def test_a_file_that_was_saved_since_it_was_read_is_not_adopted(store: Store, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(DATA)
    place.chmod(0o640)
    seen = files.print_of(os.lstat(place))
    files.write_atomic(str(place), DATA[::-1])
    keep(store)
    for act in (adoption.replace, adoption.adopt):
        if act is adoption.adopt:
            os.unlink(store.path(HASH))
        assert not act(store, str(place), HASH, seen)
        assert place.read_bytes() == DATA[::-1] and place.stat().st_mode & 0o777 == 0o640
    assert not store.has(HASH) and os.listdir(os.path.join(store.root, "tmp")) == []


def test_adopting_replaces_a_wrong_object(store: Store, tmp_path: Path) -> None:
    keep(store)
    damage(store, HASH, b"wrong")
    place = tmp_path / "picture"
    place.write_bytes(DATA)
    assert adopt(store, place)
    store.verify(HASH)


def test_folders_that_vanished_are_made_again(store: Store) -> None:
    for name in ("tmp", "objects"):
        os.rmdir(os.path.join(store.root, name))
    keep(store)
    store.verify(HASH)


def test_readers_see_a_whole_object_or_none(store: Store) -> None:
    """One process writes an object again and again, also over a wrong one, while this one looks."""
    code = (
        "import os, sys; from comfyvn_store.store.objects import Store\n"
        "store, hash_ = Store(sys.argv[1]), sys.argv[2]\n"
        "for n in range(150):\n"
        "    with store.temp() as incoming:\n"
        "        for _ in range(64): incoming.write(b'x' * 4096)\n"
        "        incoming.keep(hash_)\n"
        "    os.chmod(store.path(hash_), 0o644) if n % 3 else os.unlink(store.path(hash_))\n"
    )
    data = b"x" * 4096 * 64
    hash_ = hashlib.sha256(data).hexdigest()
    writers = [subprocess.Popen([sys.executable, "-c", code, store.root, hash_], stderr=subprocess.DEVNULL)]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        try:
            with open(store.path(hash_), "rb") as stream:
                assert stream.read() == data
                seen += 1
        except FileNotFoundError:
            continue
    assert seen and writers[0].returncode == 0


# -- locks ---------------------------------------------------------------------------------------------------------


def test_a_lock_is_waited_for_with_a_bound_and_ends_with_its_process(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    code = (
        "import sys, time; from comfyvn_store.store.lock import locked\n"
        "with locked(sys.argv[1], 1): print('held', flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    begun = time.monotonic()
    for patience in (0.0, 0.2):
        with pytest.raises(LockTimeout), locked(path, patience):
            pass
    assert 0.2 <= time.monotonic() - begun < 5
    holder.kill()
    holder.communicate()
    with locked(path, 1.0), pytest.raises(LockTimeout), locked(path, 0):
        pass


# -- links ---------------------------------------------------------------------------------------------------------

hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
parts = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
paths = st.lists(parts, min_size=1, max_size=8).map("/".join)


@given(paths, hashes)
def test_a_link_gives_its_hash_back(path: str, hash_: str) -> None:
    text = links.link_text(path, hash_)
    assert links.parse_link(text) == hash_ and links.parse_link_bytes(text.encode()) == hash_
    assert text == "../" * path.count("/") + f".comfyvn/objects/{hash_[:2]}/{hash_[2:]}"
    assert links.object_name(hash_) == text.partition(".comfyvn/")[2]


@given(paths, hashes, st.data())
def test_a_changed_link_is_none_or_another_link(path: str, hash_: str, data: st.DataObject) -> None:
    text = links.link_text(path, hash_)
    at = data.draw(st.integers(0, len(text)))
    put = data.draw(st.text(max_size=3))
    changed = text[:at] + put + text[at + data.draw(st.integers(0, 3)) :]
    found = links.parse_link(changed)
    if found is not None:
        assert changed == "../" * changed.count("../") + links.link_text("x", found)
    assert links.parse_link_bytes(changed.encode("utf-8", "surrogatepass")) == found


@given(st.binary(max_size=300))
def test_bytes_that_are_no_link_are_none(data: bytes) -> None:
    assert links.parse_link_bytes(data) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "../.comfyvn/objects/",
        f"/.comfyvn/objects/{HASH[:2]}/{HASH[2:]}",
        f"./.comfyvn/objects/{HASH[:2]}/{HASH[2:]}",
        f"a/../.comfyvn/objects/{HASH[:2]}/{HASH[2:]}",
        f".../.comfyvn/objects/{HASH[:2]}/{HASH[2:]}",
        f"../.comfyvn/objects/{HASH[:2]}/{HASH[2:]}\n",
        f"../.comfyvn/objects/{HASH[:2].upper()}/{HASH[2:].upper()}",
        f"../.comfyvn/objects/{HASH[:3]}/{HASH[3:]}",
        f"../.comfyvn/objects/{HASH}",
        f"../.comfyvn/objects/{HASH[:2]}/{HASH[2:]}0",
        f"../.comfyvn/trash/{HASH[:2]}/{HASH[2:]}",
        f"../.comfyvn/objects/{HASH[:2]}/{'٣' * 62}",
    ],
)
def test_only_the_one_valid_text_is_a_link(text: str) -> None:
    assert links.parse_link(text) is None and links.parse_link_bytes(text.encode()) is None


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "inside", ["a.png", "characters/a.png", "x/y/z", "x/_meta/a.png", "x/Thumbs.db.png", "ü/é.png"]
)
def test_names_that_can_be_assets(inside: str) -> None:
    assert names.is_asset_name(inside) and names.refusal(inside) is None


@pytest.mark.parametrize(
    "inside",
    [
        "_meta/a.png",
        "a.png.asset.json",
        "x/.hidden",
        ".x/a.png",
        "x/Thumbs.db",
        "desktop.ini",
        "x/",
        "",
        "x/\udce9.png",
    ],
)
def test_names_that_cannot_be_assets(inside: str) -> None:
    assert not names.is_asset_name(inside)


def test_a_name_leaves_room_for_its_sidecar() -> None:
    assert names.refusal("x/" + "n" * 244) is None and names.refusal("x" * 300 + "/n") is None
    assert "245 bytes" in (names.refusal("x/" + "n" * 245) or "")
    assert len(os.fsencode(names.sidecar_path("n" * 244))) == 255


@pytest.mark.parametrize(
    "inside", ["/a", "C:a", "../a", "a/../b", "a//b", "./a", "a/", "a\\b", "a\0b", "\udce9", "n" * 245]
)
def test_a_name_that_leaves_the_root_is_refused(inside: str) -> None:
    with pytest.raises(Refused):
        names.check_inside(inside, "name")


def test_mirrors_share_no_name_and_the_first_has_the_short_one() -> None:
    assert names.mirror_names(["hero.png", "hero.jpg", "solo.wav", "plain", ".x"]) == {
        "hero.jpg": "hero.json",
        "hero.png": "hero.png.json",
        "solo.wav": "solo.json",
        "plain": "plain.json",
        ".x": ".x.json",
    }
    assert names.mirror_names(["hero.png", "hero.jpg", "hero.png.png"]) == {
        "hero.jpg": "hero.json",
        "hero.png": "hero.png.json",
        "hero.png.png": "hero.png.png.json",
    }


@given(st.lists(st.lists(st.sampled_from(["a", "b", ".", "json", "png", "é"]), min_size=1, max_size=6).map("".join)))
def test_every_asset_has_a_mirror_of_its_own(found: list[str]) -> None:
    mirrors = names.mirror_names(list(dict.fromkeys(found)))
    assert set(mirrors) == set(found) and len(set(mirrors.values())) == len(mirrors)
    assert mirrors == names.mirror_names(sorted(set(found), reverse=True))


def test_a_terminal_is_safe_from_names() -> None:
    assert names.printable("a\x1b[31m\n\udce9ü") == "a\\x1b[31m\\n\\xe9ü"


# -- ids and texts -------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_ids_have_the_bits_of_rfc_9562(now: int, noise: bytes) -> None:
    value = uuid.UUID(uuid7(now, noise))
    assert value.version == 7 and value.variant == uuid.RFC_4122
    assert value.int >> 80 == now
    assert str(value) == uuid7(now, noise)


def test_ids_ascend() -> None:
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(made) and len(set(made)) == len(made)
    assert abs((uuid.UUID(made[0]).int >> 80) - time.time() * 1000) < 60_000


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_canonical_json_reads_what_it_writes(value: object) -> None:
    for write in (canonical.dump_pretty, canonical.dump_compact):
        assert canonical.parse(write(value)) == value
    assert canonical.dump_pretty(value).endswith(b"\n") and b"\n" not in canonical.dump_compact(value)
    assert json.loads(canonical.dump_line(value)) == value


@given(st.binary(max_size=200))
def test_parsing_raises_one_error_whatever_the_bytes(data: bytes) -> None:
    try:
        canonical.parse(data)
    except canonical.NotCanonical:
        pass


def _read_slowly(data: bytes) -> object:
    """As the reader's page says it: every object's keys compared, every number looked at; an error is one text."""

    def pairs(found: list[tuple[str, object]]) -> dict[str, object]:
        if len({key for key, _ in found}) != len(found):
            raise ValueError
        return dict(found)

    def constant(name: str) -> float:
        raise ValueError(name)

    def number(text: str) -> float:
        if float(text) in (float("inf"), float("-inf")):
            raise ValueError
        return float(text)

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant, parse_float=number)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        return "refused"
    return json.dumps(value)


_SIDECAR = canonical.dump_pretty(
    {
        "schema": 1,
        "path": "a/b: c.png",
        "media": {"mime": "image/png", "width": 1024},
        "tags": ["x:y", ":", '"', "\\"],
        "meta": {"a:b": {"c": [{"d": 1.5}, {"d": -0.0}], "e": {}}, "u": "é\u2028"},
        "provenance": {"id": "1", "inputs": {"seed": 2**64, "cfg": 6.5, "positive": "(a:1.2), b : c"}, "parent": None},
    }
)
_PIECES = (
    *(b'"a":1,', b'"a" : 1,', b'"schema": 1,', b'"schema":1,"schema":2,', b'"d": NaN,', b"1e999", b"-Infinity", b"1E5"),
    *(
        b'"\\u003a"',
        b'"\\ud800"',
        b'{"a:b": 1, "a:b": ""}',
        b'{"a":1,"a":":"}',
        b"\n",
        b"\t:",
        b"\xef\xbb\xbf",
        b"[]",
        b" ",
    ),
)


@settings(max_examples=400)
@given(st.data())
def test_json_is_refused_for_the_same_reasons_however_fast_it_is_read(draw: st.DataObject) -> None:
    data = bytearray(_SIDECAR)
    places = [at for at, byte in enumerate(data) if byte in b'{[,:" ']
    for _ in range(draw.draw(st.integers(0, 3))):
        at = draw.draw(st.sampled_from(places))
        piece = draw.draw(st.sampled_from(_PIECES) | st.binary(max_size=2))
        data[at : at + draw.draw(st.integers(0, 8))] = piece
    try:
        found: object = json.dumps(canonical.parse(bytes(data)))
    except canonical.NotCanonical:
        found = "refused"
    assert found == _read_slowly(bytes(data))


def test_nesting_has_one_limit_and_what_is_read_can_be_written() -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        deepest = opening * canonical.DEEPEST + b"1" + closing * canonical.DEEPEST
        assert canonical.parse(canonical.dump_pretty(canonical.parse(deepest))) == canonical.parse(deepest)
        for more in (1, 500, 100_000):
            with pytest.raises(canonical.NotCanonical):
                canonical.parse(opening * more + deepest + closing * more)
    wide = b"[" + b"[1]," * 5000 + b"{}]"
    assert len(canonical.parse(wide)) == 5001


# -- pkt-line ------------------------------------------------------------------------------------------------------


def reader(data: bytes) -> pktline.PacketReader:
    source, target = os.pipe()

    def write() -> None:
        with os.fdopen(target, "wb") as stream:
            stream.write(data)

    threading.Thread(target=write, daemon=True).start()
    return pktline.PacketReader(source)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.sampled_from([b"", b"a", b"0000", b"x" * 65515, b"y" * 65516]), max_size=5), max_size=4))
def test_packets_come_back(lists: list[list[bytes]]) -> None:
    found = reader(b"".join(b"".join(map(pktline.packet, each)) + pktline.FLUSH for each in lists))
    assert [list(found.packets()) for _ in lists] == lists
    with pytest.raises(EOFError):
        found.packet()


@pytest.mark.parametrize("data", [b"zzzz", b"0001", b"0003", b"-001", b"00", b"0009abc", b"0009abcd"])
def test_what_is_no_packet_is_an_error(data: bytes) -> None:
    with pytest.raises(pktline.PacketError):
        reader(data).packet()


def test_a_list_that_breaks_off_is_told_from_the_end() -> None:
    with pytest.raises(EOFError):
        list(reader(b"").packets())
    with pytest.raises(pktline.StreamEnded):
        list(reader(b"0005a").packets())


# -- files ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def view(tmp_path: Path) -> Path:
    place = tmp_path / "assets" / "a.png"
    place.parent.mkdir()
    place.write_bytes(b"one")
    return place


def only(view: Path) -> bool:
    return [path.name for path in view.parent.iterdir()] == [view.name]


def fingerprint(view: Path) -> files.Print:
    return files.print_of(os.lstat(view))


def test_a_file_changes_places_with_its_link(view: Path) -> None:
    assert swapping.swap_for_link(str(view), "target", fingerprint(view))
    assert os.readlink(view) == "target" and only(view)
    assert not swapping.swap_for_link(str(view), "target", fingerprint(view)) and only(view)


@pytest.mark.parametrize("way", ["inside", "rename", "removed", "folder"])
def test_an_edit_of_before_stays(view: Path, way: str) -> None:
    seen = fingerprint(view)
    if way == "inside":
        view.write_bytes(b"two!")
    elif way == "rename":
        files.write_atomic(str(view), b"two")
    else:
        view.unlink()
        if way == "folder":
            view.mkdir()
    assert not swapping.swap_for_link(str(view), "target", seen)
    if way in ("inside", "rename"):
        assert view.read_bytes().startswith(b"two") and only(view)


@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("way", ["inside", "rename", "removed"])
def test_an_edit_amid_the_swap_stays(view: Path, monkeypatch: pytest.MonkeyPatch, way: str, exchanges: bool) -> None:
    """The edit comes right after the file was looked at: the moment before the link is made."""
    if not exchanges:
        monkeypatch.setattr(swapping, "_exchange", lambda one, other: False)
    make, edited = os.symlink, []

    def edit_and_make(text: str, place: str) -> None:
        if not edited:
            edited.append(True)
            if way == "inside":
                view.write_bytes(b"two!")
            elif way == "rename":
                files.write_atomic(str(view), b"two")
            else:
                view.unlink()
        make(text, place)

    monkeypatch.setattr(os, "symlink", edit_and_make)
    assert not swapping.swap_for_link(str(view), "target", fingerprint(view))
    if way == "removed":
        assert list(view.parent.iterdir()) == []
    else:
        assert view.read_bytes().startswith(b"two") and only(view)


def test_no_save_is_lost_while_files_are_swapped(tmp_path: Path) -> None:
    """One process saves by rename as fast as it can; whatever a link takes the place of is what was looked at."""
    place = str(tmp_path / "a.png")
    code = (
        "import sys, time; from comfyvn_store.base import files\n"
        "for n in range(4000):\n"
        "    files.write_atomic(sys.argv[1], str(n).encode())\n"
        "    if n % 100 == 50: time.sleep(0.05)\n"
    )
    files.write_atomic(place, b"-1")
    saving = subprocess.Popen([sys.executable, "-c", code, place])
    seen, swapped = -1, 0
    while saving.poll() is None:
        try:
            info = files.look(place)
            if info is None or stat.S_ISLNK(info.st_mode):
                continue
            before = files.print_of(info)
            number = int(Path(place).read_bytes())
        except (FileNotFoundError, ValueError):
            continue
        assert number >= seen, "an older save came back"
        seen = number
        swapped += swapping.swap_for_link(place, "target", before)
    assert swapped
    if os.path.islink(place):
        assert seen == 3999, "the last save was lost"
    else:
        assert Path(place).read_bytes() == b"3999"
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_file_takes_the_place_of_the_link_that_was_expected_only(view: Path) -> None:
    view.unlink()
    view.symlink_to("expected")

    def temp() -> str:
        name = files.temp_beside(str(view))
        Path(name).write_bytes(b"bytes")
        return name

    assert not swapping.swap_for_file(str(view), temp(), "another")
    assert os.readlink(view) == "expected" and only(view)
    assert swapping.swap_for_file(str(view), temp(), "expected")
    assert view.read_bytes() == b"bytes" and only(view)
    assert not swapping.swap_for_file(str(view), temp(), None) and only(view)
    assert swapping.swap_for_file(str(view), temp(), None, fingerprint(view)) and only(view)
    view.unlink()
    assert swapping.swap_for_file(str(view), temp(), None) and only(view)


def test_an_atomic_write_keeps_the_mode_and_leaves_nothing_behind(view: Path) -> None:
    view.chmod(0o640)
    files.write_atomic(str(view), b"new", durable=True)
    assert view.read_bytes() == b"new" and stat.S_IMODE(view.stat().st_mode) == 0o640
    (view.parent / "folder").mkdir()
    with pytest.raises(OSError):
        files.write_atomic(str(view.parent / "folder"), b"new")
    view.unlink()
    view.symlink_to("nowhere")
    files.write_atomic(str(view), b"new")
    assert stat.S_IMODE(view.lstat().st_mode) == 0o644
    assert sorted(path.name for path in view.parent.iterdir()) == ["a.png", "folder"]


def test_a_small_file_is_read_and_nothing_else(view: Path) -> None:
    assert files.read_small(str(view), 3) == b"one"
    with pytest.raises(OSError) as raised:
        files.read_small(str(view), 2)
    assert raised.value.errno == errno.EFBIG
    link = view.with_name("link")
    link.symlink_to(view)
    fifo = view.with_name("fifo")
    os.mkfifo(fifo)
    for place in (link, fifo, view.parent):
        with pytest.raises(OSError):
            files.read_small(str(place), 100)


def test_empty_folders_go_up_to_the_stop(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/keep").write_bytes(b"")
    files.remove_empty_folders(str(tmp_path / "a/b/c"), str(tmp_path))
    assert (tmp_path / "a").is_dir() and not (tmp_path / "a/b").exists()


# -- PNG -----------------------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(st.data())
def test_the_scanner_never_raises_and_does_not_depend_on_the_parting(data: st.DataObject) -> None:
    whole = bytearray(media.png(3, 3, texts={"prompt": "{}", "title": "ü"}, before=[(b"zTXt", b"a\0\0junk")]))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=8))
        if not whole:
            whole += b"\x89"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    seen = []
    for edges in ([0, len(whole)], [0, *cuts, len(whole)]):
        scanner = png.PngScanner()
        for start, end in itertools.pairwise(edges):
            scanner.feed(bytes(whole[start:end]))
        seen.append((scanner.broken, scanner.iend, scanner.texts, scanner.markers, scanner.width, scanner.is_whole))
    assert seen[0] == seen[1]


@given(st.binary(max_size=100))
def test_the_scanner_takes_anything_behind_a_signature(data: bytes) -> None:
    scanner = png.PngScanner()
    scanner.feed(png.SIGNATURE + data)
    assert not scanner.is_whole


def test_the_scanner_finds_iend_and_text() -> None:
    data = media.png(5, 7, texts={"prompt": "{}", "who": "zoë"}, trailer=b"IEND and so on")
    scanner = png.PngScanner()
    scanner.feed(data)
    assert (scanner.width, scanner.height) == (5, 7)
    assert scanner.texts == {"prompt": "{}", "who": "zoë"}
    assert scanner.is_whole and data[scanner.iend or 0 :] == png.IEND + b"IEND and so on"


def test_text_that_inflates_without_end_is_left_out() -> None:
    import zlib

    bomb = b"prompt\0\0" + zlib.compress(bytes(png.LONGEST_TEXT + 1), 9)
    scanner = png.PngScanner()
    scanner.feed(media.png(before=[(b"zTXt", bomb)]))
    assert scanner.is_whole and scanner.texts == {}
