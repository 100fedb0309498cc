"""What people type about locks: how long, and what."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from comfyvn_store.base import names
from comfyvn_store.errors import UnknownAsset, UsageError
from comfyvn_store.ops import naming
from comfyvn_store.ops.session import Session
from comfyvn_store.vcs.lockrecord import is_path, is_within

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LONGEST = 3650 * 86400


def duration(text: str) -> int | None:
    """Gives a duration (`30m`, `12h`, `3d`, `2w`) in seconds, None for `never`. Raises UsageError."""
    if text == "never":
        return None
    found = re.fullmatch(r"([0-9]{1,9})([smhdw])", text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < seconds <= _LONGEST:
        raise UsageError(
            f"'{names.printable(text)}' is no duration", hint="give a number with s, m, h, d or w, as in 3d, or never"
        )
    return seconds


def targets(session: Session, words: Sequence[str]) -> list[str]:
    """Gives the top-relative paths that people name: assets, folders, and files that are still to be made.

    Raises UnknownAsset, AmbiguousAsset, UsageError.
    """
    return list(dict.fromkeys(_target(session, word) for word in words))


def _target(session: Session, word: str) -> str:
    repository = session.repository
    top = naming.to_top(repository, word) if naming.is_text(word) else None
    if top is not None and is_within(top, repository.root) and os.path.isdir(repository.absolute(top)):
        return top
    try:
        return repository.full(naming.resolve(session, word))
    except UnknownAsset:
        inside = repository.inside(top) if top is not None else None
        if inside is None:
            raise
    inside = inside.removesuffix(names.SIDECAR_SUFFIX)
    names.check_inside(inside, "path")
    full = repository.full(inside)
    if not names.is_asset_name(inside) or not is_path(full):
        raise UsageError(f"'{names.printable(full)}' cannot be an asset", hint="lock what is one, or will be")
    return full
