"""`previews`: what is missing is made now, in the foreground; what cannot be made is named."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.errors import LockTimeout
from comfyvn_store.index import questions
from comfyvn_store.index.prints import open_prints
from comfyvn_store.ops.session import Session
from comfyvn_store.previews import worker

_PAUSE = 0.2


@dataclass
class Previewed:
    """`failed` pairs a path with a reason; `due` could be made and is not yet, `absent` waits for its bytes."""

    made: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    due: int = 0
    absent: int = 0
    running: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data for JSON."""
        return {
            "made": self.made,
            "failed": [{"path": path, "reason": reason} for path, reason in self.failed],
            "due": self.due,
            "absent": self.absent,
            "running": self.running,
        }


def make(
    session: Session,
    *,
    wait: bool = False,
    jobs: int | None = None,
    retry: bool = False,
    progress: Progress | None = None,
) -> Previewed:
    """Makes what is missing. Where a worker is at it already, `wait` waits for it; else that is said.

    `retry` tries again what failed before; `jobs` is how many at a time. Raises MachineError, OSError.
    """
    result, tell = Previewed(), progress or quietly
    if retry:
        worker.retry(session.index)
        with open_prints(session.repository) as prints:
            prints.forget_failures()
    total = 0
    while True:
        try:
            result.made += worker.work(
                session.repository,
                patience=0.0,
                jobs=jobs,
                progress=lambda done, of: tell("making previews", done, of),
                looking=tell,
            )
            break
        except LockTimeout:
            if not wait:
                result.running = True
                break
        due = len(_due(session)[0])
        total = max(total, due)
        tell("waiting for the worker", total - due, total)
        time.sleep(_PAUSE)
    due_now, absent = _due(session)
    result.due, result.absent = len(due_now), len(absent)
    failures = questions.preview_failures(session.index)
    result.failed = [(session.repository.full(path), reason) for path, reason in failures]
    return result


def _due(session: Session) -> tuple[list[str], list[str]]:
    """The objects whose previews are missing: those that are here, and those that are not, or not sound."""
    here: list[str] = []
    absent: list[str] = []
    due = [hash_ for hash_, _ in questions.previews_due(session.index)]
    for hash_ in dict.fromkeys([*due, *worker.gone(session.index, session.repository)]):
        (here if session.repository.store.is_sound(hash_) else absent).append(hash_)
    return here, absent
