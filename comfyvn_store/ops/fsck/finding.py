"""What `fsck` may find: a kind, what is wrong, where, what mends it, and whether `--repair` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

REPAIR = "comfyvn-store fsck --repair"
PULL = "comfyvn-store pull"
# There is nobody to ask.
NO_REMOTE = "no remote is set up: get the file from a colleague's clone or a backup, then comfyvn-store fsck --repair"

CORRUPT, TRUNCATED, WRITTEN = "object-corrupt", "object-truncated", "object-written"
MISSING, MISPLACED, FOREIGN = "object-missing", "object-misplaced", "object-foreign"
MODE, TIME = "object-mode", "object-time"
LINK_DEPTH, LINK_TEXT, LINK_OUTSIDE, LINK_OTHER, VIEW_MISSING = (
    "link-depth",
    "link-text",
    "link-outside",
    "link-other-store",
    "view-missing",
)
CARD_BROKEN, CARD_OTHER, CARD_MISSING, CARD_ORPHAN = (
    "sidecar-broken",
    "sidecar-disagrees",
    "sidecar-missing",
    "sidecar-orphaned",
)
MARKER_OTHER, MARKER_STALE = "marker-disagrees", "marker-stale"
INDEX_DAMAGED, INDEX_DIFFERS = "index-damaged", "index-differs"
STRAY_TEMP, STRAY_PART, STRAY_FILE, STRAY_PREVIEW, STRAY_MIRROR = (
    "stray-temp",
    "stray-part",
    "stray-file",
    "stray-preview",
    "stray-mirror",
)


class Finding(NamedTuple):
    """One thing that is wrong. `paths` are relative to the work tree's top, or absolute where they lie elsewhere; `hash` is
    the object's, where it is about one.

    `remedy` is what a person types; `is_repairable` says that `--repair` does what can be done.
    """

    kind: str
    message: str
    remedy: str
    paths: Sequence[str] = ()
    hash: str | None = None
    is_repairable: bool = False

    @property
    def key(self) -> tuple[str, str | None, tuple[str, ...]]:
        """What tells it from others, before and after a repair."""
        return self.kind, self.hash, () if self.hash else tuple(self.paths)


class Repaired(NamedTuple):
    """One thing that was done about what was found: what it was about, and what became of it."""

    kind: str
    message: str
    paths: Sequence[str] = ()
    hash: str | None = None
