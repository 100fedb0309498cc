"""Readers of other packages: found, asked, and their answers made fit for a sidecar.

They are found through the entry-point group `comfyvn_store.readers`, by commands only. What such a package does, at its
import or when it is asked, ends neither the command nor its output: it counts as silent.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from comfyvn_store.asset import marker
from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.entries import Entries
from comfyvn_store.asset.readers.reading import EMBEDDED, LONGEST_INPUTS, LONGEST_STATED, Reading
from comfyvn_store.base import canonical, links

GROUP = "comfyvn_store.readers"
_DEEPEST = canonical.DEEPEST - 10  # an answer stands within a sidecar
_OWN = "comfyvn_store."


@cache
def installed() -> tuple[tuple[str, Callable[[Entries], Reading | None]], ...]:
    """Gives the readers of other packages by name. Slow, and it imports what others wrote."""
    from importlib.metadata import entry_points

    found = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        if point.value.startswith(_OWN):
            continue
        try:
            with _aside():
                found.append((point.name, point.load()))
        except (Exception, SystemExit):
            continue  # what somebody else's package does at its import is no reason to fail
    return tuple(found)


def ask(reader: Callable[[Entries], Reading | None], entries: Entries) -> Reading | None:
    """Gives what a reader says, as far as it can stand in a sidecar; None if nothing of it can, or it raises. It is given a
    copy, which is its own."""
    copy = entries._replace(texts=dict(entries.texts), exif=dict(entries.exif))
    try:
        with _aside():
            found = reader(copy)
            return cleaned(found) if isinstance(found, Reading) else None
    except (Exception, SystemExit):
        return None


@contextlib.contextmanager
def _aside() -> Iterator[None]:
    """Lets what is written to standard output, by Python or by a program that it starts, go to standard error: the output is
    the command's answer."""
    with contextlib.ExitStack() as undo:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            answer = os.dup(1)
            undo.callback(os.close, answer)
            os.dup2(2, 1)
            undo.callback(os.dup2, answer, 1)
            undo.callback(sys.stdout.flush)
        with contextlib.redirect_stdout(sys.stderr):
            yield


def cleaned(found: Reading) -> Reading | None:
    """Gives what a reader says, as far as it can stand in a sidecar; None if nothing of it can."""
    source = found.source if isinstance(found.source, str) and marker.is_source(found.source) else None
    said = _stated(found.embedded)
    if source is None:
        return Reading(None, None, {}, embedded=said) if said else None
    digest = found.workflow_hash
    is_digest = isinstance(digest, str) and links.is_hash(digest)
    inputs = _plain(found.inputs, LONGEST_INPUTS)
    return Reading(source, digest if is_digest else None, inputs or {}, embedded=said)


def _stated(embedded: Any) -> dict[str, Any]:
    """What a file states, by keys that are ours. Nobody checks a signature here."""
    said = {key: embedded[key] for key in EMBEDDED if key in embedded} if isinstance(embedded, Mapping) else {}
    manifest = _plain(said.pop("c2pa", None), LONGEST_STATED)
    if manifest:
        said["c2pa"] = {**manifest, "signature": "not checked"}
    return reading.embedded(**said)


def _plain(value: Any, longest: int) -> dict[str, Any] | None:
    """Gives an object as plain JSON; None if it is none, or one that a sidecar cannot hold."""
    if not isinstance(value, dict):
        return None
    try:
        written = json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
        plain = json.loads(written) if len(written) <= longest else None
    except (TypeError, ValueError, RecursionError):
        return None
    return plain if isinstance(plain, dict) and not reading.is_deep(plain, _DEEPEST) else None
