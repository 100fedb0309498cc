"""`import`: many files of other programs, with what is said of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Any

from comfyvn_store.cli import output
from comfyvn_store.cli.assets import pair
from comfyvn_store.cli.declaring import PATH, Choice, Function, argument, command, option
from comfyvn_store.cli.output import count

if TYPE_CHECKING:
    from comfyvn_store.ops.importing.carrying import Import, Order
    from comfyvn_store.ops.importing.scratch import Scratch, Twin

_SHOWN = 20
_OF_ALL = (
    option("--tag", "tags", metavar="T", multiple=True, help="A tag for all; may be given several times."),
    option("--license", "license_", metavar="L", help="The licence of all."),
    option("--meta", metavar="K=V", multiple=True, help="A note for all; may be given several times."),
    option(
        "--on-conflict",
        "conflict",
        type=Choice("skip", "rename", "replace"),
        default="skip",
        help="Where other bytes have the name: leave the file (default), NAME-2, or a new version.",
    ),
)
ADAPTERS = ("manifest", "comfyvn", "renpy", "invokeai", "automatic1111", "comfyui", "plain")


def said_of_all(command: Function) -> Function:
    """Adds the options by which a person says what holds for every file that comes in."""
    for each in reversed(_OF_ALL):
        command = each(command)
    return command


@command("import", short_help="take in folders of other programs, with what they say")
@argument("sources", metavar="DIR|FILE...", nargs=-1, required=True, type=PATH)
@option("--type", "type_", metavar="T", help="The type of all files; without it what the folder or manifest says.")
@option("--as", "adapter", type=Choice(*ADAPTERS), help="How to read it; without it found by looking.")
@said_of_all
@option("--skip-duplicates", is_flag=True, help="Leave out files whose bytes are an asset already, elsewhere.")
@option("--alike/--no-alike", default=None, help="Say which pictures look alike; done for up to 200 files.")
@option("--dry-run", is_flag=True, help="Only say what would be done.")
@option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def import_command(
    sources: tuple[str, ...],
    type_: str | None,
    adapter: str | None,
    tags: tuple[str, ...],
    license_: str | None,
    meta: tuple[str, ...],
    conflict: str,
    skip_duplicates: bool,
    alike: bool | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Take in whole folders, or the files of a manifest, as assets with sidecars, and stage them.

    It knows the folders of ComfyUI, InvokeAI, Automatic1111's web UI and Forge, Ren'Py projects, the older ComfyVN Studio's
    sidecars, and CSV and JSON manifests; any other folder is plain. The files themselves are never touched.

    An import that was ended half-way goes on where it was when it is run again. `comfyvn-store undo` takes it back.

    \b
      comfyvn-store import ~/ComfyUI/output --type characters
      comfyvn-store import ../old-game --dry-run
      comfyvn-store import pack/manifest.csv --license CC-BY-4.0
    """
    from comfyvn_store.ops.importing import carrying, made
    from comfyvn_store.ops.session import open_session

    order = ordered(type_, adapter, tags, license_, meta, conflict)
    order = carrying.adjusted(order, skip_duplicates=skip_duplicates, is_trial=dry_run, alike=alike)
    with open_session() as session:
        output.notes(session.notes)
        made_ = made.Made(session.repository, carrying.described(sources))
        with closing(carrying.Import(session, order, made_)) as work:
            try:
                with closing(output.Progress()) as progress:
                    work.carry(sources, progress)
            except KeyboardInterrupt:
                output.hint("run the same command again to go on, or take back what came: comfyvn-store undo")
                raise
            output.notes(filter(None, [work.note]))
            if as_json:
                _print_json(work, order)
            else:
                _show(work, order)
            return 1 if work.scratch.count("left") else 0


def ordered(
    type_: str | None,
    adapter: str | None,
    tags: tuple[str, ...],
    license_: str | None,
    meta: tuple[str, ...],
    conflict: str,
) -> Order:
    """Gives what a person asked for. Raises UsageError."""
    from comfyvn_store.ops.importing.carrying import Order

    output.require_text(*filter(None, (license_, type_)), *tags, *meta)
    return Order(adapter, type_, tags, license_, dict(map(pair, meta)), conflict)


# -- for people --------------------------------------------------------------------------------------------------------


def _show(work: Import, order: Order) -> None:
    found = work.scratch
    for source, name in work.adapters:
        output.line(f"{output.path(source)}: read as {name}")
    came = found.count("added", "replaced")
    verb = "would import" if order.is_trial else "imported"
    total = output.size(sum(size for _, _, size in found.types()))
    output.line(f"{output.good(verb)} {count(came, 'file')}{f' ({total})' if came else ''}")
    output.table(
        [(output.path(type_), count(number, "file"), output.size(size)) for type_, number, size in found.types()],
        indent="  ",
    )
    _list(
        "a new version of", found.count("replaced"), (_arrow(each.file, each.path) for each in _some(found, "replaced"))
    )
    renamed = list(found.renamed(_SHOWN))
    _list("under another name", found.count_renamed(), (_arrow(each.file, each.path) for each in renamed))
    if found.count("known"):
        output.line(f"{count(found.count('known'), 'file is an asset', 'files are assets')} already")
    _show_twins(found, order)
    if found.count("passed"):
        output.line(f"passed over: {count(found.count('passed'), 'file')}")
        for reason, number in found.reasons("passed")[:_SHOWN]:
            output.line(f"  {number}  {output.path(reason or '')}")
    _list("left", found.count("left"), (_left(each.file, each.line, each.reason) for each in _some(found, "left")))
    _show_next(work, order, came)


def _show_next(work: Import, order: Order, came: int) -> None:
    found = work.scratch
    if found.count("left"):
        clashes = sum(number for reason, number in found.reasons("left") if reason and reason.endswith("has that name"))
        if clashes:
            output.hint(
                "a name that other bytes have: --on-conflict rename, or --on-conflict replace for a new version"
            )
    if order.is_trial:
        output.line("nothing was written; without --dry-run it is")
    elif came:
        output.line(f"{count(came, 'asset')} staged; now: git commit (or take it back: comfyvn-store undo)")
    elif found.count("known"):
        output.line("nothing new; `git status` shows what is staged")


def _show_twins(found: Scratch, order: Order) -> None:
    exact = (f"{output.path(twin.file)} is {output.path(twin.other)}" for twin in found.twins(exact=True, limit=_SHOWN))
    left_out = ", left out" if order.skip_duplicates else ", taken in all the same"
    _list(f"the same bytes as another asset or file{left_out}", found.count_twins(exact=True), exact)
    near = map(_alike, found.twins(exact=False, limit=_SHOWN))
    _list("looks like another, taken in all the same", found.count_twins(exact=False), near, "pair")


def _alike(twin: Twin) -> str:
    both = f"{output.path(twin.file)}", f"{output.path(twin.other)}"
    if twin.how == "pixels":
        return f"{both[0]} has the pixels of {both[1]}"
    return f"{both[0]} looks like {both[1]} (inferred, distance {twin.distance})"


def _some(found: Scratch, what: str) -> Iterator[Any]:
    return found.outcomes(what, limit=_SHOWN)


def _arrow(file: str, path: str | None) -> str:
    return f"{output.path(file)} → {output.path(path or '')}"


def _left(file: str, line: int | None, reason: str | None) -> str:
    where = f", line {line}" if line is not None else ""
    return f"{output.path(file)}{where}: {output.path(reason or '')}"


def _list(what: str, number: int, lines: Iterable[str], one: str = "file") -> None:
    if not number:
        return
    output.line(f"{what}: {count(number, one)}")
    for line in lines:
        output.line(f"  {line}")
    if number > _SHOWN:
        output.line(f"  … and {number - _SHOWN} more; --json lists all")


# -- for programs ------------------------------------------------------------------------------------------------------


def _print_json(work: Import, order: Order) -> None:
    """Prints the report piece by piece: it may name very many files."""
    found = work.scratch
    head = {
        "dry_run": order.is_trial,
        "sources": [{"path": source, "as": name} for source, name in work.adapters],
        "operation": work.operation,
        "counts": {what: found.count(what) for what in ("added", "replaced", "known", "left", "passed")},
        "types": {type_: {"files": number, "bytes": size} for type_, number, size in found.types()},
    }
    exact = (
        {"file": each.file, "path": each.path, "other": each.other, **_basis(each)} for each in found.twins(exact=True)
    )
    near = (
        {"file": each.file, "path": each.path, "other": each.other, **_basis(each), "distance": each.distance}
        for each in found.twins(exact=False)
    )
    came = (
        {
            "file": each.file,
            "line": each.line,
            "path": each.path,
            "what": each.what,
            "bytes": each.bytes,
            "hash": each.hash,
        }
        for each in found.outcomes("added", "replaced", "known")
    )
    left = (
        {"file": each.file, "line": each.line, "what": each.what, "reason": each.reason, "path": each.wanted}
        for each in chain(found.outcomes("left"), found.outcomes("passed"))
    )
    out = sys.stdout
    out.write(_dumped(head)[:-2])
    for name, items in (("files", came), ("left", left), ("duplicates", exact), ("alike", near)):
        out.write(f',\n  "{name}": [')
        for number, item in enumerate(items):
            out.write(f"{',' if number else ''}\n    {json.dumps(item)}")
        out.write("]")
    out.write("\n}\n")


def _basis(twin: Twin) -> dict[str, str]:
    return {"basis": "inferred" if twin.how == "perceptual" else "fact", "how": twin.how}


def _dumped(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2)
