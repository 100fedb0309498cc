"""A command line that is read without click means what click says it means."""

import os
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from comfyvn_store.cli.clicked import as_click, main
from comfyvn_store.cli.declaring import PATH, Choice, Command, Range, Unclear, argument, command, option
from comfyvn_store.cli.main import COMMANDS

TOP = click.Context(main, info_name="comfyvn-store")


def declared(name: str) -> Command | None:
    """A command of ours; None for one that click has always."""
    module = __import__(f"comfyvn_store.cli.{COMMANDS[name]}", fromlist=["_"])
    found = getattr(module, f"{name}_command")
    return found if isinstance(found, Command) else None


DECLARED = {name: found for name in COMMANDS if (found := declared(name)) is not None}


def by_click(found: Command, words: list[str]) -> dict[str, Any] | None:
    """What click hands to the function; None where it does not call it."""
    try:
        context = as_click(found).make_context(found.name, list(words), parent=TOP)
    except (click.ClickException, click.exceptions.Exit):
        return None
    return context.params


def plainly(found: Command, words: list[str]) -> dict[str, Any] | None:
    try:
        return found.read(words)
    except Unclear:
        return None


@command("odd", short_help="what commands of ours have, and more")
@argument("first")
@argument("second", required=False, type=PATH)
@argument("others", nargs=-1, type=Choice("a", "b"))
@option("-n", "--dry-run", is_flag=True)
@option("--yes/--no")
@option("--ours", "choice", flag_value="ours")
@option("--theirs", "choice", flag_value="theirs")
@option("--number", "-k", type=Range(1, 20), default=3)
@option("--name", "named", multiple=True)
@option("--must", required=True)
def odd_command() -> None:
    """Nothing."""


EVERY = [*DECLARED.values(), odd_command]


def words_for(found: Command) -> st.SearchStrategy[list[str]]:
    """Command lines of the words that a command knows, and of others."""
    known = [word for each in found.options for word in (*each.words, each.opposite) if word]
    plain = [
        "x",
        "a",
        "b",
        "-",
        "",
        "3",
        "07",
        "-1",
        "+4",
        "٣",
        "99999999999999999999",
        "csv",
        "1.5",
        "tests",
        "--",
        "-tag:x",
        "é",
    ]
    odd = ["--help", "-h", "--nothing", "-z", "-nk", "-k5", "--number=4", "--name=", "--dry-run=x", "---"]
    glued = [f"{word}={value}" for word in known[:4] for value in ("3", "x", "")]
    return st.lists(st.sampled_from([*known, *known, *plain, *plain, *odd, *glued]), max_size=7)


@given(st.sampled_from(EVERY).flatmap(lambda found: st.tuples(st.just(found), words_for(found))))
@settings(max_examples=1500, deadline=None)
@example((odd_command, ["--must", "x", "1", "--name", "-n", "--name=2", "--no", "tests", "a", "b"]))
@example((odd_command, ["--must", "x", "--theirs", "1", "--", "-", "-n"]))
def test_what_is_read_plainly_is_what_click_reads(case: tuple[Command, list[str]]) -> None:
    found, words = case
    said = plainly(found, words)
    if said is not None:
        assert said == by_click(found, words)


@pytest.mark.parametrize(
    "line",
    [
        "list",
        "list --type characters --tag a --tag=b --limit 20 --json",
        "show assets/a.png",
        "provenance --commit HEAD~3..HEAD",
        "provenance assets/a.png --json",
        "search rain -tag:fox type:cg --limit 3 --sort newest",
        "search --history -- --odd",
        "status --json",
        "whence 0123abcd",
        "disclose --format csv -o ships.csv v1.0",
        "resolve --ours assets/a.png",
        "import pack --type cg --no-alike --tag x",
        "pull --jobs 4 --dry-run",
    ],
)
def test_ordinary_command_lines_need_no_click(line: str) -> None:
    name, *words = line.split()
    said = plainly(DECLARED[name], words)
    assert said is not None and said == by_click(DECLARED[name], words)


@pytest.mark.parametrize("name", DECLARED)
def test_a_function_takes_what_its_command_declares(name: str) -> None:
    found = DECLARED[name]
    code = found.function.__code__
    assert {each.name for each in found.parameters} == set(code.co_varnames[: code.co_argcount])
    assert [each.name for each in as_click(found).params] == [each.name for each in found.parameters]


def test_a_path_that_may_not_be_read_is_told_by_click(tmp_path: Path) -> None:
    if not os.geteuid():
        pytest.skip("root may read everything")
    place = tmp_path / "secret.png"
    place.write_bytes(b"x")
    place.chmod(0)
    assert plainly(DECLARED["show"], [str(place)]) is None and by_click(DECLARED["show"], [str(place)]) is None


def test_what_is_not_plainly_right_is_left_to_click() -> None:
    for words in (
        ["--help"],
        ["--limit"],
        ["--limit", "x"],
        ["--limit", "-1"],
        ["extra"],
        ["--json=1"],
        ["--lim", "3"],
    ):
        assert plainly(DECLARED["list"], words) is None, words
    assert plainly(DECLARED["show"], []) is None
    with pytest.raises(Unclear):
        DECLARED["search"].read(["--sort", "odd", "x"])
