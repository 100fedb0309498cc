"""The lock record and the merge of locks: what is read, what is ignored, who was first."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfyvn_store.errors import UsageError
from comfyvn_store.ops.lockwords import duration
from comfyvn_store.vcs import lockrecord, locks
from comfyvn_store.vcs.lockrecord import Lock
from comfyvn_store.vcs.locks import EMPTY, Book
from tests.lockteam import ALICE, AT, CLUB, NOW, make

KIM, MIKA = "Kim <kim@example.org>", "Mika <mika@example.org>"


def said(**more: object) -> bytes:
    return json.dumps({"schema": 1, **make()._asdict(), **more}).encode()


# -- the record ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lock", [make(), make(branch=None, expires_at=None, note="neue Haare: grün"), make(path="a\tb/c")]
)
def test_a_lock_reads_back_as_it_was(lock: Lock) -> None:
    assert lockrecord.decode(lockrecord.encode(lock), lock.name) == lock


def test_the_encoding_is_this_very_text() -> None:
    assert lockrecord.encode(make(note="bald")) == (
        b'{\n  "schema": 1,\n  "id": "018f0000-0000-7000-8000-00000000000a",\n'
        b'  "path": "assets/characters/alice.png",\n  "branch": "main",\n  "owner": "Mika <mika@example.org>",\n'
        b'  "locked_at": "2027-01-15T07:00:00Z",\n  "expires_at": "2027-01-15T09:00:00Z",\n  "note": "bald"\n}\n'
    )
    # printf 'assets/characters/alice.png\0main' | sha256sum
    assert make().name == "db1617df389b8b74faecaefa80461536cd1e62962efe4b2a1b644c7f38dee308.json"


def test_any_layout_and_unknown_keys_are_read() -> None:
    assert lockrecord.decode(said(color="red"), make().name) == make()


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": True},
        {"schema": None},
        {"id": "018f0000-0000-4000-8000-00000000000a"},
        {"id": 7},
        {"owner": ""},
        {"owner": "x" * 513},
        {"owner": "Mi\x1b[31mka <m@x>"},
        {"owner": None},
        {"owner": ["Mika"]},
        {"locked_at": None},
        {"locked_at": "2027-01-15 07:00:00"},
        {"locked_at": "2027-13-15T07:00:00Z"},
        {"locked_at": "0001-01-01T00:00:00Z"},
        {"expires_at": "2027-02-30T07:00:00Z"},
        {"expires_at": "tomorrow"},
        {"expires_at": 1e300},
        {"note": ""},
        {"note": "two\nlines"},
        {"note": "x" * 501},
        {"note": {"a": 1}},
    ],
    ids=str,
)
def test_what_says_something_impossible_is_no_lock(change: dict[str, object]) -> None:
    assert lockrecord.decode(said(), make().name) is not None
    assert lockrecord.decode(said(**change), make().name) is None


@pytest.mark.parametrize(
    "path",
    [
        *("", "/etc/passwd", "../a.png", "assets/../../a", "assets//a", "assets/", "assets/.", ".git/hooks", ".GIT/x"),
        *("a\0b", "a\x1b]0;x", "x" * 4097, 7, None),
    ],
    ids=repr,
)
def test_a_path_out_of_the_work_tree_is_no_lock(path: object) -> None:
    name = lockrecord.file_name(str(path), "main")
    assert lockrecord.decode(said(path=path), name) is None


@pytest.mark.parametrize("branch", ["", "a b", "a\nb", "x" * 1025, 7, False], ids=repr)
def test_what_is_no_branch_is_no_lock(branch: object) -> None:
    assert lockrecord.decode(said(branch=branch), lockrecord.file_name(ALICE, str(branch))) is None


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe", b"[]", b"null", b"{", b'{"schema":1}', b"[" * 9000, b'{"schema":1,"schema":1}', b"NaN"]
)
def test_what_is_no_json_object_is_no_lock(data: bytes) -> None:
    assert lockrecord.decode(data, make().name) is None


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_no_bytes_break_the_reader(data: bytes) -> None:
    assert lockrecord.decode(data, make().name) is None


def test_a_file_under_another_locks_name_is_no_lock() -> None:
    assert lockrecord.decode(said(), make(path=CLUB).name) is None


# -- who is in whose way -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "is_in_the_way"),
    [
        (make(owner=KIM), True),
        (make(owner=KIM, branch=None), True),
        (make(owner=KIM, branch="side"), False),
        (make(owner=KIM, path="assets/characters"), True),
        (make(owner=KIM, path=f"{ALICE}/x"), True),
        (make(owner=KIM, path="assets/char"), False),
        (make(owner=KIM, path=CLUB), False),
        (make(owner=KIM, expires_at=AT), False),
        (make(owner=KIM, expires_at=None), True),
        (make(owner="M. <MIKA@example.org>"), False),
    ],
)
def test_overlap(other: Lock, is_in_the_way: bool) -> None:
    assert locks.is_in_the_way(other, make(), AT) is is_in_the_way


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Mika <m@x>", "Mika S. <M@X>", True),
        ("Mika <m@x>", "Mika <k@x>", False),
        ("Mika <>", "Kim <>", False),
        ("Mika <>", "Mika <>", True),
        ("Mika", "Mika", True),
    ],
)
def test_people_are_told_apart_by_their_address(one: str, other: str, same: bool) -> None:
    assert lockrecord.is_same_person(one, other) is same


# -- durations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("30m", 1800), ("12h", 43200), ("3d", 259200), ("2w", 1209600), ("never", None), ("3650d", 315360000)],
)
def test_durations(text: str, seconds: int | None) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "3", "d", "0d", "-1d", "1.5h", "3 d", "3651d", "999999999w", "forever", "٣d", "3d\n"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError):
        duration(text)


# -- merging -------------------------------------------------------------------------------------------------------


def book(*found: Lock) -> Book:
    """A book in which the encoding stands for the blob's id."""
    return Book({lock.name: lock for lock in found}, {lock.name: lockrecord.encode(lock).decode() for lock in found})


def merged(base: Book, ours: Book, theirs: Book) -> set[Lock]:
    everything = {text: lock for each in (base, ours, theirs) for lock, text in
                  ((lock, each.oids[name]) for name, lock in each.locks.items())}  # fmt: skip
    return {everything[text] for text in locks.merge(base, ours, theirs, AT).values()}


def test_both_sides_new_locks_stand() -> None:
    mine, other = make(), make(CLUB, KIM)
    assert merged(EMPTY, book(mine), book(other)) == {mine, other}


def test_what_the_remote_had_first_holds_even_if_it_is_younger() -> None:
    mine, other = make(), make("assets/characters", KIM, locked_at=AT)
    assert merged(EMPTY, book(mine), book(other)) == {other}
    assert locks.lost(book(mine), book(other), AT) == [locks.Lost(mine, other)]


def test_an_expired_one_of_the_remotes_is_in_nobodys_way() -> None:
    mine, other = make(), make(owner=KIM, expires_at=AT)
    assert merged(EMPTY, book(mine), book(other)) == {mine}


def test_what_we_gave_up_goes_and_what_they_gave_up_goes() -> None:
    one, two = make(), make(CLUB)
    assert merged(book(one, two), book(one), book(two)) == set()


def test_what_we_gave_up_stays_if_they_renewed_it() -> None:
    old, new = make(), make(expires_at=None)
    assert merged(book(old), EMPTY, book(new)) == {new}


def test_what_they_gave_up_stays_if_we_renewed_it() -> None:
    old, new = make(), make(expires_at=None)
    assert merged(book(old), book(new), EMPTY) == {new}


def test_two_renewals_of_one_person_the_longer_holds() -> None:
    old, one, two = make(), make(expires_at="2027-03-01T00:00:00Z"), make(expires_at="2027-04-01T00:00:00Z")
    assert merged(book(old), book(one), book(two)) == merged(book(old), book(two), book(one)) == {two}


def test_what_was_taken_over_stays_so_unless_its_owner_renewed_it() -> None:
    old, taken, renewed = make(), make(owner=KIM, id="018f0000-0000-7000-8000-00000000000b"), make(expires_at=None)
    assert merged(book(old), book(taken), book(old)) == {taken}
    assert merged(book(old), book(taken), book(renewed)) == {renewed}
    folder = make("assets/characters", KIM)
    assert merged(book(old), book(folder), book(old)) == {folder}
    assert merged(book(old), book(folder), book(renewed)) == {renewed}


def test_what_we_cannot_read_is_kept() -> None:
    later = Book({}, {make().name: "a later version's"}, 1)
    assert locks.merge(EMPTY, later, book(make(CLUB)), AT).keys() == {make().name, make(CLUB).name}
    assert locks.merge(EMPTY, book(make(CLUB)), later, AT).keys() == {make().name, make(CLUB).name}


@dataclass(frozen=True)
class Sides:
    base: Book
    ours: Book
    theirs: Book


_some_locks = st.lists(
    st.builds(
        make,
        st.sampled_from(["assets", "assets/a", "assets/a/x.png", "assets/a/y.png", "assets/b.png"]),
        st.sampled_from([MIKA, KIM]),
        st.sampled_from([None, "main", "side"]),
        id=st.integers(0, 255).map(lambda number: f"018f0000-0000-7000-8000-0000000000{number:02x}"),
        expires_at=st.sampled_from([None, AT, lockrecord.stamp(NOW + 60)]),
    ),
    max_size=6,
)


def free_of_conflict(found: list[Lock]) -> Book:
    """As commands leave them: no two in each other's way."""
    kept: list[Lock] = []
    for lock in found:
        if not any(locks.is_in_the_way(each, lock, AT) for each in kept if lock.is_live(AT)):
            kept = [each for each in kept if each.name != lock.name] + [lock]
    return book(*kept)


@given(*[_some_locks.map(free_of_conflict)] * 3)
@settings(deadline=None, max_examples=300)
def test_no_merge_leaves_two_in_each_others_way_or_takes_a_live_one_from_who_was_first(
    base: Book, ours: Book, theirs: Book
) -> None:
    found = merged(base, ours, theirs)
    live = [lock for lock in found if lock.is_live(AT)]
    assert not [(one, two) for one in live for two in live if locks.is_in_the_way(one, two, AT)]
    for name, lock in theirs.locks.items():
        if lock.is_live(AT) and theirs.oids[name] != base.oids.get(name):
            assert [each for each in found if each.name == name and lockrecord.is_same_person(each.owner, lock.owner)]
