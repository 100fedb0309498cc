"""The rows by group. A group is a module with `rows(options)`, which names them, and `run(bench)`, one round of them."""

from __future__ import annotations

from types import ModuleType

from tests.benchmarks.rows import few, index, large, many, startup, thumbnails, uncompiled

GROUPS: tuple[ModuleType, ...] = (few, many, large, index, thumbnails, uncompiled, startup)
