"""`strip`: the original bytes of marked files."""

from __future__ import annotations

import os

import click

from comfyvn_store.cli import output
from comfyvn_store.cli.output import count
from comfyvn_store.errors import ComfyvnError, UsageError


@click.command("strip", short_help="give back a file as it was before it was marked")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option(
    "-o",
    "--output",
    "target",
    metavar="F",
    type=click.Path(),
    help="Write it to F, which must not be there, or in folder F.",
)
@click.option("--in-place", is_flag=True, help="Replace FILE by it. Never where FILE is a link or an object.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def strip_command(files: tuple[str, ...], target: str | None, in_place: bool, as_json: bool) -> int:
    """Take the marker out of files, which gives the very bytes that came in: their SHA-256 is the one that the marker names, or
    nothing is written.

    FILE is any file, in a repository or not, or an asset by its path, uid or REV:PATH. Without --output and --in-place
    nothing is written: it only says what would come out, and that it is proven. Ends with 1 if some FILE carries no marker,
    was changed since it was marked, or does not parse; each is named with the reason.
    """
    from comfyvn_store.ops import strip

    if target is not None and in_place:
        raise UsageError("--output and --in-place exclude each other")
    if target is not None and len(files) > 1 and not os.path.isdir(target):
        raise UsageError("with several files --output names a folder that is there")
    rows: list[dict[str, object]] = []
    status = 0
    for name in files:
        place = strip.target_in(target, name) if target is not None and os.path.isdir(target) else target
        try:
            done = strip.strip(name, output=place, in_place=in_place)
        except ComfyvnError as error:
            if not as_json:
                output.error(error.message, error.hint)
            rows.append({"file": name, "stripped": False, "error": error.slug, "message": error.message})
            status = max(status, error.exit_code)
            continue
        rows.append(done.as_dict())
        if not as_json:
            _print(done)
    if as_json:
        output.as_json(rows)
    elif len(files) > 1:
        output.line(f"{count(sum(1 for row in rows if row['stripped']), 'file')} of {len(files)} proven")
    return status


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
