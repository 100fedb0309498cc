"""`watch`: what is saved becomes an asset as it is saved."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, Choice, argument, command, option
from comfyvn_store.cli.importing import ordered, said_of_all
from comfyvn_store.cli.output import count

if TYPE_CHECKING:
    from comfyvn_store.ops.watching.telling import Event


@command("watch", short_help="register what ComfyUI or another program saves, as it saves")
@argument("folder", metavar="[DIR]", required=False, type=PATH)
@option("--comfyui", "server", metavar="URL", help="Listen to a ComfyUI server instead, and fetch what it made.")
@option("--type", "type_", metavar="T", help="The type of what is saved: characters, backgrounds.")
@option(
    "--as",
    "adapter",
    type=Choice("comfyui", "automatic1111", "invokeai", "plain"),
    help="Whose folder it is; without it found by looking.",
)
@said_of_all
@option("--once", is_flag=True, help="Take what is there now, and end.")
@option("--json", "as_json", is_flag=True, help="Print each event as one line of JSON.")
def watch_command(
    folder: str | None,
    server: str | None,
    type_: str | None,
    adapter: str | None,
    tags: tuple[str, ...],
    license_: str | None,
    meta: tuple[str, ...],
    conflict: str,
    once: bool,
    as_json: bool,
) -> int:
    """Register and stage files as a program saves them: those in DIR once they are complete, or a ComfyUI server's.

    You commit. Files are only read, one at a time and at low priority. A file that is saved anew becomes a new version of its
    asset. End it with Ctrl-C.

    \b
      comfyvn-store watch ~/ComfyUI/output --type characters
      comfyvn-store watch --comfyui http://127.0.0.1:8188 --type characters
    """
    from comfyvn_store.errors import UsageError
    from comfyvn_store.ops.watching import running

    if (folder is None) == (server is None):
        raise UsageError("name a folder, or a server", hint="comfyvn-store watch DIR, or watch --comfyui URL")
    if server is not None and adapter is not None:
        raise UsageError("--as is for folders", hint="leave it out")
    order = ordered(type_, adapter, tags, license_, meta, conflict)
    tell = _print_json if as_json else _print
    if server is not None:
        counts = running.watch_server(server, order, tell, once=once)
    else:
        counts = running.watch_folder(folder or "", order, tell, once=once)
    return 1 if counts["left"] else 0


def _print_json(event: Event) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    output.line(json.dumps({"event": event.kind, "at": at, **event.said}))


def _print(event: Event) -> None:
    said: dict[str, Any] = event.said
    where = output.path(said.get("folder") or said.get("server") or "")
    if event.kind == "watching":
        output.line(f"watching {where} as {said['as']}; Ctrl-C ends it")
    elif event.kind in ("added", "replaced"):
        verb = "registered" if event.kind == "added" else "new version"
        output.line(f"{output.good(verb)} {output.path(said['path'])}  {output.size(said.get('bytes'))}")
    elif event.kind == "left":
        output.line(f"{output.bad('left')} {output.path(said['file'])}: {output.path(said['reason'])}")
    elif event.kind == "waiting":
        output.line(f"waiting: {output.path(said['reason'])}")
    elif event.kind == "gone":
        output.line(f"{where} is gone ({output.path(said['reason'])}); waiting for it to come back")
    elif event.kind == "back":
        output.line(f"{where} is back")
    elif event.kind == "ended":
        _summary(said["counts"])


def _summary(counts: dict[str, int]) -> None:
    came = counts["added"] + counts["replaced"]
    parts = [count(counts["added"], "new asset"), count(counts["replaced"], "new version")]
    parts += [f"{counts['known']} known already"] if counts["known"] else []
    parts += [f"{counts['left']} left"] if counts["left"] else []
    output.line("; ".join(parts))
    if came:
        output.line("staged; now: git commit (or take it back: comfyvn-store undo)")
