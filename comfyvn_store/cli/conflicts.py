"""`conflicts` and `resolve`: art that two branches changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfyvn_store.base import canonical
from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, argument, command, option

_SAID = {
    "both-changed": "both sides changed the file",
    "both-added": "both sides added a file of this name",
    "both-annotated": "both sides changed what is said of it",
    "both-renamed": "both sides renamed it",
    "both-deleted": "both sides took it away",
    "deleted-by-ours": "deleted by {ours}, changed by {theirs}",
    "deleted-by-theirs": "changed by {ours}, deleted by {theirs}",
    "added-by-ours": "added by {ours}; git put it here because {theirs} moved the folder",
    "added-by-theirs": "added by {theirs}; git put it here because {ours} moved the folder",
}
# Shown of every version, whether or not it differs.
_ALWAYS = ("provenance.source", "provenance.inputs.seed", "provenance.inputs.model", "provenance.inputs.sampler")
_OF_BYTES = ("media.", "provenance.")
# Told in other words, or only of use to programs (`--json`).
_HIDDEN = ("hash", "bytes", "provenance.id", "provenance.parent", "provenance.source_hash")
_WIDEST = 40


@command("conflicts", short_help="show art in conflict, side by side")
@option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def conflicts_command(as_json: bool) -> None:
    """Show every asset in conflict as a pair, ours and theirs, with what differs and what to type next.

    In a rebase, ours is the branch that you rebase onto and theirs is your own commit, as everywhere in git; the names
    in brackets say who is who.
    """
    from comfyvn_store.ops import conflicts
    from comfyvn_store.ops.session import open_session

    with open_session() as session:
        output.notes(session.notes)
        found = conflicts.conflicts(session)
    if as_json:
        output.as_json(found)
        return
    words = {side: f"{side} ({output.path(found[side]['words'])})" for side in ("ours", "theirs")}
    if found["conflicts"]:
        output.line(f"{found['operation'] or 'in conflict'}: {words['ours']}, {words['theirs']}")
    for item in found["conflicts"]:
        output.line()
        _show(item, words)
    if found["others"]:
        output.line()
        output.line(f"{output.count(len(found['others']), 'other file')} in conflict: see `git status`")
    if not found["conflicts"]:
        output.line("no art is in conflict" if found["others"] else "nothing is in conflict")


def _show(item: Mapping[str, Any], words: Mapping[str, str]) -> None:
    output.line(f"{output.strong(output.path(item['view']))}  {_SAID[item['kind']].format(**words)}")
    if item["settled"]:
        output.line(f"  the link is settled ({item['settled']}), the sidecar is not")
    rows = [("", *(_cell(words[side]) for side in ("ours", "theirs")))]
    rows += [
        (label, _own(item["ours"], label), _own(item["theirs"], label))
        for label in ("path", "file", "commit", "author")
    ]
    if item["kind"] != "both-renamed":
        rows = [row for row in rows if row[0] != "path"]
    differing = {each["field"]: each for each in item["differs"]}
    for key in [*_ALWAYS, *(key for key in differing if key not in _ALWAYS)]:
        label = "" if key in _HIDDEN else key.removeprefix("provenance.").removeprefix("inputs.")
        cells = [_value(item[side], key) for side in ("ours", "theirs")]
        if label and any(cell not in ("-", "") for cell in cells):
            rows.append((label, *cells))
    output.table(rows, indent="  ")
    marked = [
        key for key, each in differing.items() if each["conflict"] and not key.startswith(("hash", "bytes", *_OF_BYTES))
    ]
    if marked:
        # Where the bytes are in conflict, too, a line that left them out would read as if they were not.
        marked[:0] = ["file"] if any(each["conflict"] for key, each in differing.items() if key == "hash") else []
        output.line(f"  in conflict: {', '.join(output.path(key) for key in marked)}")
    for typed in item["next"]:
        output.line(f"  {output.dim(typed)}")


def _own(side: Mapping[str, Any] | None, label: str) -> str:
    if side is None:
        return {"file": "not there"}.get(label, "")
    if label == "path":
        return _cell(side["view"])
    if label == "file":
        media = side.get("media") or {}
        pixels = f"{media['width']}x{media['height']}" if media.get("width") and media.get("height") else ""
        if not side["uid"]:
            return "no art"
        state = "" if side["present"] else "not in the store"
        return ", ".join(filter(None, [side["uid"], pixels, output.size(side.get("bytes")), state]))
    if label == "commit":
        return _cell(f"{side['commit'][:10]}  {side['subject']}") if side.get("commit") else "not committed"
    return _cell(side.get(label) or "-")


def _value(side: Mapping[str, Any] | None, key: str) -> str:
    if side is None:
        return ""
    value: Any = side
    for part in _parts(side, key):
        value = value.get(part) if isinstance(value, dict) else None
    if value in (None, [], ""):
        return "-"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return _cell(", ".join(value))
    return _cell(value if isinstance(value, str) else canonical.dump_line(value))


def _parts(side: Mapping[str, Any], key: str) -> list[str]:
    """Splits a dotted name where the data does; keys may have dots themselves."""
    value: Any = side
    parts: list[str] = []
    words = key.split(".")
    while words:
        taken = next(
            (n for n in range(len(words), 0, -1) if isinstance(value, dict) and ".".join(words[:n]) in value),
            len(words),
        )
        parts.append(".".join(words[:taken]))
        value = value.get(parts[-1]) if isinstance(value, dict) else None
        words = words[taken:]
    return parts


def _cell(text: str) -> str:
    short = " ".join(output.path(text.replace("\n", " ")).split())
    return short if len(short) <= _WIDEST else short[: _WIDEST - 3] + "..."


@command("resolve", short_help="settle art in conflict: ours, theirs or both")
@argument("paths", metavar="PATH...", nargs=-1, required=True, type=PATH)
@option("--ours", "choice", flag_value="ours", help="Take our version.")
@option("--theirs", "choice", flag_value="theirs", help="Take their version.")
@option("--both", "choice", flag_value="both", help="Keep ours at its name and theirs beside it, as NAME.variant-HASH.")
@option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def resolve_command(paths: tuple[str, ...], choice: str | None, as_json: bool) -> None:
    """Settle art in conflict, link and sidecar together, and stage that; a folder means all conflicts in it.

    --ours and --theirs decide what is in conflict: the file, a licence, a note. Whatever else both sides said is merged;
    tags of both stay. If a side deleted the asset, taking that side deletes it. To see the conflict again:
    git checkout -m -- PATH PATH.asset.json
    """
    from typing import cast

    from comfyvn_store.errors import UsageError
    from comfyvn_store.ops import resolve
    from comfyvn_store.ops.session import open_session

    if choice is None:
        raise UsageError("which side?", hint="give --ours, --theirs or --both; `comfyvn-store conflicts` shows them")
    with open_session() as session:
        output.notes(session.notes)
        done = resolve.resolve(session, paths, cast(resolve.Choice, choice))
    if as_json:
        output.as_json(
            {"resolved": [item.as_dict() for item in done.resolved], "left": done.left, "next": done.proceed}
        )
        return
    for item in done.resolved:
        for view in item.views:
            output.line(f"{output.good(item.choice)} {output.path(view)}")
        if not item.views:
            output.line(f"{output.good(item.choice)} {output.path(item.view)} (deleted)")
        for kept in item.kept:
            output.note(f"{kept['path']} was neither side's; its bytes are kept in {kept['object']}")
    if done.left:
        output.line(f"{output.count(len(done.left), 'file')} still in conflict: comfyvn-store conflicts, git status")
    else:
        output.line(f"nothing is in conflict any more; now: {done.proceed}")
