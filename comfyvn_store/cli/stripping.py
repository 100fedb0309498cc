"""`strip`: the original bytes of marked files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from comfyvn_store.base import names
from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, argument, command, option
from comfyvn_store.cli.output import count
from comfyvn_store.errors import ComfyvnError, UsageError


class _Wanted(NamedTuple):
    """A file that is to be stripped; where its bytes go, if anywhere; whether a folder brought it, so that nobody says that it
    carries a marker."""

    name: str
    place: str | None
    from_folder: bool


@command("strip", short_help="give back a file as it was before it was marked")
@argument("files", metavar="FILE...", nargs=-1, required=True, type=PATH)
@option(
    "-o",
    "--output",
    "target",
    metavar="F",
    type=PATH,
    help="Write it to F, which must not be there, or in folder F.",
)
@option("--in-place", is_flag=True, help="Replace FILE by it. Never where FILE is a link or an object.")
@option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def strip_command(files: tuple[str, ...], target: str | None, in_place: bool, as_json: bool) -> int:
    """Take the marker out of files, which gives the very bytes that came in.

    `git add` writes a short note, the marker, into pictures and sounds: which file this was, so that a copy of it can be
    traced back. What comes out has the SHA-256 that the marker names, or nothing is written.

    FILE is any file, in a repository or not, an asset by its path, uid or REV:PATH, or a folder, whose marked files are meant.
    Without --output and --in-place nothing is written: it only says what would come out, and that it is proven. Ends with 1
    if some FILE carries no marker or was changed since it was marked; each is named with the reason.
    """
    from comfyvn_store.ops import strip

    if target is not None and in_place:
        raise UsageError("--output and --in-place exclude each other")
    if target == "-":
        raise UsageError("--output writes a file and not to standard output", hint="name a file: --output original.png")
    if target is not None and (len(files) > 1 or os.path.isdir(files[0])) and not os.path.isdir(target):
        raise UsageError("with several files --output names a folder that is there", hint=f"mkdir '{target}'")
    rows: list[dict[str, object]] = []
    status = passed = 0
    for wanted in _wanted(files, target, in_place):
        try:
            done = strip.strip(wanted.name, output=wanted.place, in_place=in_place)
        except strip.Unmarked as error:
            if wanted.from_folder:
                passed += 1
                continue
            status = max(status, _failed(error, wanted.name, rows, as_json))
            continue
        except ComfyvnError as error:
            status = max(status, _failed(error, wanted.name, rows, as_json))
            continue
        rows.append(done.as_dict())
        if not as_json:
            _print(done)
    if as_json:
        output.as_json(rows)
    elif len(rows) + passed != 1:
        _sum_up(rows, passed, is_written=in_place or target is not None)
    return status


def _wanted(files: tuple[str, ...], target: str | None, in_place: bool) -> Iterator[_Wanted]:
    """Gives what is meant; of several names sidecars are left out, which a shell's `*` brings along."""
    from comfyvn_store.ops import strip

    for name in files:
        if os.path.isdir(name):
            for path in strip.files_in(name):
                if in_place and os.path.islink(path):
                    continue  # a view: its object never changes
                place = os.path.join(target, os.path.relpath(path, name)) if target is not None else None
                if place is not None:
                    os.makedirs(os.path.dirname(place), exist_ok=True)
                yield _Wanted(path, place, True)
        elif len(files) == 1 or not names.is_sidecar(name):
            place = strip.target_in(target, name) if target is not None and os.path.isdir(target) else target
            yield _Wanted(name, place, False)


def _failed(error: ComfyvnError, name: str, rows: list[dict[str, object]], as_json: bool) -> int:
    if not as_json:
        output.error(error.message, error.hint)
    rows.append({"file": name, "stripped": False, "error": error.slug, "message": error.message})
    return error.exit_code


def _sum_up(rows: list[dict[str, object]], passed: int, *, is_written: bool) -> None:
    good = sum(1 for row in rows if row["stripped"])
    words = f"{good} of {count(len(rows), 'file')} {'stripped' if is_written else 'proven'}"
    output.line(words + (f", {passed} without a marker passed over" if passed else ""))


def _print(done: object) -> None:
    from comfyvn_store.ops.strip import Stripped

    assert isinstance(done, Stripped)
    proof = f"{output.size(done.size)}, sha256 {done.source_hash}, as its marker says"
    if done.output is None:
        output.line(f"{output.path(done.file)}: would be {proof}")
    elif done.output == done.file:
        output.line(f"{output.good('stripped')} {output.path(done.file)}: {proof}")
    else:
        output.line(f"{output.good('stripped')} {output.path(done.file)} to {output.path(done.output)}: {proof}")
