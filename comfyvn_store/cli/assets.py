"""`register`, `annotate`, `edit`: what changes assets."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, argument, command, option
from comfyvn_store.cli.output import count

if TYPE_CHECKING:
    from comfyvn_store.vcs.repository import Repository


@command("register", short_help="take files from anywhere into the store")
@argument("files", metavar="FILE...", nargs=-1, required=True, type=PATH)
@option(
    "--type",
    "type_",
    metavar="T",
    required=True,
    help="The type, a folder name: characters, backgrounds, voice.",
)
@option("--name", metavar="N", help="Another name for the (one) file; may have folders below the type.")
@option("--no-copy", is_flag=True, help="Adopt a file that lies below the assets root, untouched.")
@option("--source", metavar="S", help="What made it, where the file itself does not say.")
@option("--workflow", metavar="F.json", type=PATH, help="The ComfyUI graph it was made with.")
@option("--input", "inputs", metavar="K=V", multiple=True, help="An input of its making: --input seed=42.")
@option("--tag", "tags", metavar="T", multiple=True, help="A tag; may be given several times.")
@option("--license", "license_", metavar="L", help="Its licence, such as CC-BY-4.0.")
@option("--replace", is_flag=True, help="Take the place of other bytes of that name.")
@option("--no-stage", is_flag=True, help="Leave git's index alone.")
@option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
def register_command(
    files: tuple[str, ...],
    type_: str,
    name: str | None,
    no_copy: bool,
    source: str | None,
    workflow: str | None,
    inputs: tuple[str, ...],
    tags: tuple[str, ...],
    license_: str | None,
    replace: bool,
    no_stage: bool,
    as_json: bool,
) -> None:
    """Take files from anywhere into the store, as assets/T/NAME, and stage them.

    The file itself stays where it is. ComfyUI's own metadata is read out of it; what you state here is added
    to that and wins over it.
    """
    from comfyvn_store.asset import record
    from comfyvn_store.errors import UsageError
    from comfyvn_store.ops import places, register, taking
    from comfyvn_store.ops.session import open_session

    if name is not None and len(files) > 1:
        raise UsageError("--name is for one file", hint="register the files one by one to rename them")
    output.require_text(*filter(None, (source, license_)), *inputs, *tags)
    origin = record.Origin(default_source=record.MANUAL, source=source, inputs=dict(map(pair, inputs)))
    if workflow is not None:
        origin = register.with_workflow(origin, register.read_graph(workflow))
    with open_session() as session:
        output.notes(session.notes)
        wishes = []
        for file in files:
            absolute = os.path.abspath(file)
            register.check_source(absolute, file)
            inside = places.place_for(session.repository, absolute, type_, name, copy=not no_copy)
            wishes.append(
                taking.Wish(
                    absolute,
                    inside,
                    copy=not no_copy,
                    replace=replace,
                    stage=not no_stage,
                    tags=tags,
                    license=license_,
                    origin=origin,
                )
            )
        found = register.register(session, wishes)
        _warn_of_locks(session.repository, [item["view"] for item in found])
    if as_json:
        output.as_json(found)
        return
    for item in found:
        output.line(f"{output.good('registered')} {output.path(item['view'])}  {item['uid']}  {described(item)}")
    if not no_stage:
        output.line(f"{count(len(found), 'asset')} staged; now: git commit")


@command("annotate", short_help="set tags, licence and notes")
@argument("paths", metavar="PATH...", nargs=-1, required=True, type=PATH)
@option("--tag", "tags", metavar="T", multiple=True, help="Add a tag.")
@option("--untag", "untags", metavar="T", multiple=True, help="Take a tag away.")
@option("--license", "license_", metavar="L", help="Set the licence; '' takes it away.")
@option("--meta", metavar="K=V", multiple=True, help="Set a note; K= takes it away.")
@option("--no-stage", is_flag=True, help="Leave git's index alone.")
@option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
def annotate_command(
    paths: tuple[str, ...],
    tags: tuple[str, ...],
    untags: tuple[str, ...],
    license_: str | None,
    meta: tuple[str, ...],
    no_stage: bool,
    as_json: bool,
) -> None:
    """Set tags, licence and notes in the sidecars of assets, and stage that. Provenance is not touched."""
    from comfyvn_store.errors import UsageError
    from comfyvn_store.ops import annotate
    from comfyvn_store.ops.session import open_session

    if not (tags or untags or license_ is not None or meta):
        raise UsageError("nothing to change", hint="give --tag, --untag, --license or --meta")
    output.require_text(*tags, *untags, license_ or "", *meta)
    changes = {key: (None if value == "" else value) for key, value in map(pair, meta)}
    with open_session() as session:
        output.notes(session.notes)
        found = annotate.annotate(
            session, paths, tags=tags, untags=untags, license_=license_, meta=changes, stage=not no_stage
        )
    if as_json:
        output.as_json(found)
        return
    for item in found:
        said = [
            f"tags: {', '.join(item['tags'])}" if item["tags"] else "no tags",
            item["license"] or "no licence",
            *(
                f"{output.path(key)}: {output.path(json.dumps(item['meta'].get(key), ensure_ascii=False))}"
                for key in changes
            ),
        ]
        output.line(f"{output.path(item['view'])}  {'; '.join(said)}")
    if not no_stage:
        output.line(f"{count(len(found), 'sidecar')} staged; now: git commit")


@command("edit", short_help="put a writable copy in place of a link")
@argument("paths", metavar="PATH...", nargs=-1, required=True, type=PATH)
@option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def edit_command(paths: tuple[str, ...], as_json: bool) -> None:
    """Put a writable copy in place of the link, so that any program can change it.

    When you are done, git add takes the new version in. To give the edit up: git checkout -- PATH.
    """
    from comfyvn_store.ops import edit
    from comfyvn_store.ops.session import open_session

    with open_session() as session:
        output.notes(session.notes)
        found = [edit.edit(session, target) for target in paths]
        _warn_of_locks(session.repository, [item.view for item in found])
    if as_json:
        output.as_json([{"view": item.view, "was_link": item.was_link} for item in found])
        return
    for item in found:
        state = "is a writable file now" if item.was_link else "is a writable file already"
        output.line(f"{output.path(item.view)} {state}")
    output.line("when you have saved your changes: git add, git commit")


def _warn_of_locks(repository: Repository, paths: list[str]) -> None:
    from comfyvn_store.ops import locks

    lines = locks.warnings(repository, paths)
    for line in lines:
        output.warning(line)
    if lines:
        output.hint("ask them first; `comfyvn-store locks` lists all")


def pair(text: str) -> tuple[str, Any]:
    """Splits K=V; a value that is JSON (a number, true, a list) is that, anything else is text. Raises UsageError."""
    from comfyvn_store.errors import UsageError

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"'{text}' is not of the form KEY=VALUE")
    try:
        parsed = json.loads(value, parse_constant=lambda name: name)
        json.dumps(parsed, allow_nan=False)
        return key, parsed
    except (ValueError, RecursionError):
        return key, value


def described(item: dict[str, Any]) -> str:
    """Gives what an asset is in a few words: size, generator, seed."""
    media, record = item["media"], item["provenance"] or {}
    words = []
    if media.get("width") and media.get("height"):
        words.append(f"{media['width']}x{media['height']}")
    words.append(output.size(item["bytes"]))
    inputs = record.get("inputs") or {}
    if record.get("source"):
        words.append(str(record["source"]))
    if inputs.get("seed") is not None:
        words.append(f"seed {inputs['seed']}")
    return ", ".join(words)
