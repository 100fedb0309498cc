"""What an answer's status means, as one of our errors. What the server says of it is shown, but no secret with it."""

from __future__ import annotations

import base64
import email.utils
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from comfyvn_store.errors import ComfyvnError, MachineError, RemoteDenied, RemoteUnreachable
from comfyvn_store.remotes.lfs.http import Answer

_LIMIT = 1 << 16
_LONGEST_PAUSE = 3600.0
_SHOWN = 200


def of_answer(answer: Answer, name: str, doing: str, *, wall: Callable[[], float] = time.time) -> ComfyvnError:
    """Gives the error for an answer that is no success; its body is read, up to a limit, for what the server says."""
    said = None
    try:
        body = answer.json(_LIMIT)
        said = body.get("message") if isinstance(body, dict) else None
    except RemoteUnreachable:
        pass
    pause = _pause(answer.headers, wall)
    return of_status(answer.status, name, doing, without_secrets(said, answer.sent), retry_after=pause)


def of_status(status: int, name: str, doing: str, said: str = "", *, retry_after: float | None = None) -> ComfyvnError:
    """Gives the error for a status, of an answer or of one object in it (Git LFS, docs/api/batch.md)."""
    text = f"remote '{name}' {doing}: " + (said or f"status {status}")
    if status in (401, 403):
        return RemoteDenied(text, hint="check that your account may do that, and what its quota is")
    if status == 507 or status == 413:
        return MachineError(
            f"remote '{name}' is full, or takes no object of that size" + (f": {said}" if said else ""),
            hint="see the storage that the forge gives you, and its limit for one file",
        )
    if status in (404, 410):
        return RemoteUnreachable(
            text, hint="is the address right, and is Git LFS switched on there? Without access forges say so, too"
        )
    if status == 429 or status in (408, 500, 502, 503, 504):
        return RemoteUnreachable(text, hint="try again later", is_passing=True, retry_after=retry_after)
    if status == 509:
        return RemoteUnreachable(text, hint="the bandwidth that the forge gives you is used up; see its billing page")
    if status == 501:
        return RemoteUnreachable(text, hint="the server cannot do that")
    if 500 <= status < 600:
        return RemoteUnreachable(text, hint="try again later", is_passing=True, retry_after=retry_after)
    return RemoteUnreachable(text, hint="the server does not understand what was asked; is it a Git LFS server?")


def without_secrets(said: Any, sent: Mapping[str, str]) -> str:
    """Gives a server's message as it may be shown: one short line, no URL's query, nothing that was sent in private."""
    if not isinstance(said, str):
        return ""
    line = " ".join("".join(char if char.isprintable() else " " for char in said[: 4 * _SHOWN]).split())
    line = re.sub(r"(\w+://)[^\s@/]*@", r"\1", line)
    line = re.sub(r"(\w+://[^\s?#]*)[?#]\S*", r"\1", line)
    if any(secret in said or secret in line for secret in _secrets(sent)):
        return ""
    return line[:_SHOWN]


def _secrets(sent: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    for value in sent.values():
        for word in value.split():
            found.add(word)
            try:
                _, colon, password = base64.b64decode(word, validate=True).decode("utf-8").partition(":")
            except ValueError:
                continue
            if colon:
                found.add(password)
    return {word for word in found if len(word) >= 4}


def _pause(headers: Mapping[str, str], wall: Callable[[], float]) -> float | None:
    """Gives the seconds that a server asks us to wait, at most an hour."""
    pause: float | None = None
    after = headers.get("Retry-After", "")
    reset = headers.get("X-RateLimit-Reset", "")
    if re.fullmatch(r"[0-9]{1,9}", after):
        pause = float(after)
    elif after:
        try:
            pause = email.utils.parsedate_to_datetime(after).timestamp() - wall()
        except (ValueError, TypeError, OverflowError):
            pause = None
    elif re.fullmatch(r"[0-9]{1,12}", reset):
        pause = float(reset) - wall()
    return None if pause is None else min(max(pause, 0.0), _LONGEST_PAUSE)
