"""What a Git LFS server says, read without believing it: JSON, actions with their headers, times of expiry."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

# An action is not used in its last seconds: the request has to arrive, too.
_MARGIN = 5.0
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}\Z")
# They frame the message, or say where it goes; that is ours to say.
_FRAMING = frozenset(
    ("host", "content-length", "connection", "te", "trailer", "upgrade", "expect", "range", "accept-encoding",
     "proxy-authorization", "keep-alive", "proxy-connection")
)  # fmt: skip
_LONGEST = 16_384


@dataclass(frozen=True)
class Action:
    """A request that the server wants: where to, with which headers, good until `expires` (on the caller's clock).

    URL and headers are credentials and stay out of what is shown.
    """

    href: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    expires: float | None = None

    def is_over(self, now: float) -> bool:
        """Whether it should not be used any more."""
        return self.expires is not None and now >= self.expires - _MARGIN

    @property
    def is_authorized(self) -> bool:
        """Whether it brings its own credentials."""
        return any(name.lower() == "authorization" for name in self.headers)


def parse_json(data: bytes) -> Any:
    """Reads JSON; None for what is none. The caller has bounded its size."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def parse_action(said: Any, *, is_plain: bool, clock: Callable[[], float], wall: Callable[[], float]) -> Action | None:
    """Reads one action; None for one that must not be followed: anything but HTTPS, or HTTP where `is_plain` allows it."""
    if not isinstance(said, dict):
        return None
    href, headers = said.get("href"), said.get("header") or {}
    if not isinstance(href, str) or not isinstance(headers, dict) or not is_web_url(href, is_plain=is_plain):
        return None
    kept: dict[str, str] = {}
    for name, value in headers.items():
        if not isinstance(value, str) or not _TOKEN.match(name) or not _is_header_value(value):
            return None
        if name.lower() not in _FRAMING:
            kept[name] = value
    return Action(href, kept, _expiry(said, clock, wall))


def is_web_url(url: str, *, is_plain: bool) -> bool:
    """Tells whether a URL is one that may be asked: HTTPS or, where `is_plain`, HTTP; with a host, without credentials."""
    if len(url) > _LONGEST or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    allowed = ("http", "https") if is_plain else ("https",)
    return parts.scheme in allowed and bool(parts.hostname) and "@" not in parts.netloc and "\\" not in parts.netloc


def _is_header_value(value: str) -> bool:
    return len(value) <= _LONGEST and all(" " <= char <= "~" or "\xa0" <= char <= "\xff" for char in value)


def _expiry(said: Mapping[str, Any], clock: Callable[[], float], wall: Callable[[], float]) -> float | None:
    """Gives when an action ends. `expires_in` is preferred (Git LFS, docs/api/batch.md); 0 and year 1 mean not set."""
    seconds = said.get("expires_in")
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds and abs(seconds) < 1e10:
        return clock() + seconds
    text = said.get("expires_at")
    if not isinstance(text, str):
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    if when.year < 1971:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return clock() + when.timestamp() - wall()
