"""What is due to be deleted: noted by one run, believed by a later one."""

from pathlib import Path

import pytest

from comfyvn_store.base import due

DAY = 86400.0
NOW = 1_800_000_000.0


def look(place: Path, names: list[str], now: float, grace: float = 14 * DAY) -> set[str]:
    """What a run does: it takes what is ripe, and notes what is due."""
    found = due.ripe(due.read(str(place)), names, now, grace)
    due.note(str(place), names, now)
    return found


def test_the_run_that_sees_it_first_takes_nothing(tmp_path: Path) -> None:
    place = tmp_path / "due"
    assert look(place, ["a", "b"], NOW) == set()
    assert look(place, ["a", "b", "c"], NOW + DAY - 1) == set()
    assert look(place, ["a", "b", "c"], NOW + DAY) == {"a", "b"}


def test_a_short_grace_is_all_it_waits(tmp_path: Path) -> None:
    place = tmp_path / "due"
    assert look(place, ["a"], NOW, 0) == set()
    assert look(place, ["a"], NOW, 0) == {"a"}


def test_a_clock_that_was_ahead_is_not_believed(tmp_path: Path) -> None:
    place = tmp_path / "due"
    assert look(place, ["a"], NOW + 365 * DAY) == set()
    assert look(place, ["a"], NOW) == set()
    assert look(place, ["a"], NOW + 1) == set()
    assert look(place, ["a"], NOW + DAY) == {"a"}


def test_what_is_not_due_any_more_is_forgotten(tmp_path: Path) -> None:
    place = tmp_path / "due"
    look(place, ["a", "b"], NOW)
    look(place, ["b"], NOW)
    assert due.read(str(place)) == {"b": NOW}
    assert look(place, ["a"], NOW + 2 * DAY) == set()
    look(place, [], NOW + 2 * DAY)
    assert not place.exists()


@pytest.mark.parametrize("text", ["", "x", "due 2\na 1\n", "due 1\na 1", "due 1\na -1\n", "\xff"])
def test_a_file_that_is_damaged_notes_nothing(tmp_path: Path, text: str) -> None:
    place = tmp_path / "due"
    place.write_text(text, "latin-1")
    assert due.read(str(place)) == {} and look(place, ["a"], NOW) == set()
    assert due.read(str(place)) == {"a": NOW}
