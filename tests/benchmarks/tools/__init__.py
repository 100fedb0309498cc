"""The tools that are measured side by side, one module each, in the order in which they take turns."""

from __future__ import annotations

from tests.benchmarks.tools.annex import Annex
from tests.benchmarks.tools.dvc import Dvc
from tests.benchmarks.tools.lfs import Lfs
from tests.benchmarks.tools.ours import Ours
from tests.benchmarks.tools.plain import Plain

TOOLS: tuple[type[Plain], ...] = (Plain, Lfs, Annex, Dvc, Ours)
