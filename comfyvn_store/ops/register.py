"""`register`: takes a file from anywhere into the store and gives it a place among the assets, with its sidecar."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from typing import Any

from comfyvn_store.asset import record, worktree
from comfyvn_store.asset.readers import comfyui
from comfyvn_store.base import canonical, links, names, pointers
from comfyvn_store.errors import ComfyvnError, Refused, UnknownFile, UsageError, from_os_error
from comfyvn_store.ops import cards, journal, taking
from comfyvn_store.ops.session import Session
from comfyvn_store.ops.taking import Wish


def register(
    session: Session, wishes: Sequence[Wish], *, failed: Callable[[Wish, ComfyvnError], None] | None = None
) -> list[dict[str, Any]]:
    """Registers files and gives their records, in order.

    All of them are checked before anything is kept or taken in. Raises UnknownFile, Refused, MachineError; a file that was
    registered before a later one failed stays registered. With `failed` a file that fails is told to it and left out.
    """
    _check_twice(wishes)
    wishes = _checked(wishes, failed)
    # One at a time: of two that register the same bytes at one place the second finds the record of the first.
    replaced = [session.repository.full(wish.inside) for wish in wishes if wish.replace]
    noted = [path for full in replaced for path in (full, names.sidecar_path(full))]
    more = f" and {len(replaced) - 1} more" if len(replaced) > 1 else ""
    with (
        worktree.alone(session.repository, worktree.PATIENCE),
        journal.recording(session.repository, "register", noted, f"replace {replaced[0] if replaced else ''}{more}"),
    ):
        done = taking.take(session, wishes, failed, check=check_source)
    session.catch_up_if_free()
    session.make_previews_later()
    return [cards.printed(session, item.card) for item in done]


def _checked(wishes: Sequence[Wish], failed: Callable[[Wish, ComfyvnError], None] | None) -> list[Wish]:
    fit: list[Wish] = []
    for wish in wishes:
        try:
            check_source(wish.source)
        except ComfyvnError as error:
            if failed is None:
                raise
            failed(wish, error)
        else:
            fit.append(wish)
    return fit


def with_workflow(origin: record.Origin, graph: Any) -> record.Origin:
    """Gives an origin that also states a ComfyUI graph: its hash, what it says of the inputs, and the graph itself.

    Raises UsageError if it is no ComfyUI graph.
    """
    is_api = comfyui.is_api_graph(graph)
    found = comfyui.from_graphs(graph if is_api else None, None if is_api else graph)
    if found is None or found.workflow_hash is None:
        raise UsageError("this is no ComfyUI graph", hint="save it from ComfyUI with 'Save' or 'Export (API)'")
    return origin._replace(
        source=origin.source or found.source,
        workflow_hash=origin.workflow_hash or found.workflow_hash,
        inputs={**found.inputs, **(origin.inputs or {})},
        extra={**(origin.extra or {}), "workflow": graph},
    )


def read_graph(place: str) -> Any:
    """Reads a graph from a file that the caller names. Raises UnknownFile, UsageError."""
    try:
        with open(place, "rb") as stream:
            data = stream.read(canonical.LONGEST_JSON + 1)
        return canonical.parse(data)
    except OSError as error:
        raise UnknownFile(f"cannot read the workflow '{names.printable(place)}': {error.strerror}") from None
    except canonical.NotCanonical as error:
        raise UsageError(f"the workflow '{names.printable(place)}' is no JSON: {error}") from None


def check_source(source: str, typed: str | None = None) -> None:
    """Refuses what is no readable ordinary file with bytes of its own. Raises UnknownFile, Refused, MachineError."""
    shown = names.printable(typed if typed is not None else source)
    try:
        info = os.stat(source)
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) or error.errno in (
            errno.ELOOP,
            errno.ENAMETOOLONG,
        ):
            hint = "check the spelling and the folder you are in"
            raise UnknownFile(f"there is no file '{shown}'", hint=hint) from None
        raise from_os_error(error, "look at the file") from None
    if stat.S_ISDIR(info.st_mode):
        raise UnknownFile(f"'{shown}' is a folder", hint=f"name the files in it, as in '{shown}/*.png'")
    if not stat.S_ISREG(info.st_mode):
        raise UnknownFile(f"'{shown}' is no ordinary file (a pipe, socket or device)")
    if info.st_size == 0:
        raise Refused(f"'{shown}' is empty", hint="an empty file holds no art")
    if not os.access(source, os.R_OK):
        raise from_os_error(PermissionError(errno.EACCES, "Permission denied", source), "read")
    try:
        with open(source, "rb") as stream:
            head = stream.read(max(links.LONGEST_BENT, pointers.LONGEST) + 1)
    except OSError as error:
        raise from_os_error(error, "read") from None
    _refuse_stand_in(head, shown)


def _refuse_stand_in(head: bytes, shown: str) -> None:
    """Refuses the text of a pointer or of a link: it stands for bytes that are elsewhere."""
    pointer = pointers.parse(head)
    if pointer is not None:
        program = pointers.PROGRAMS[pointer.program]
        raise Refused(
            f"'{shown}' is a pointer of {program}, not the bytes it stands for",
            hint=f"get the bytes with {program}, or take over what it keeps in this repository: "
            f"comfyvn-store migrate {pointer.program}",
        )
    if links.is_bent(head) or links.parse_written(head) is not None:
        raise Refused(
            f"'{shown}' holds the text of a link, not the bytes it stands for",
            hint="get the bytes from whoever has them; `comfyvn-store list` shows what is missing here",
        )


def _check_twice(wishes: Sequence[Wish]) -> None:
    seen: dict[str, str] = {}
    for wish in wishes:
        other = seen.setdefault(wish.inside, wish.source)
        if other != wish.source:
            raise Refused(
                f"'{names.printable(other)}' and '{names.printable(wish.source)}' would share the name "
                f"'{names.printable(wish.inside)}'",
                hint="register them one by one with --name",
            )
