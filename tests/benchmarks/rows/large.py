"""One large picture, beside one hash and one write of the same bytes."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.benchmarks import bare
from tests.benchmarks.bench import Bench, Options
from tests.benchmarks.desk import Desk
from tests.benchmarks.rows.row import Row, slower_of, times

HASH, WRITE = "SHA-256 pass", "one write"


def rows(options: Options) -> list[Row]:
    """Names the rows."""
    targets = times(0.6, "git-lfs"), times(1.0, "git-annex"), slower_of(1.3, HASH, WRITE)
    return [Row("add-large", f"add + commit of 1 × {options.large >> 20:,} MiB", targets)]


def run(bench: Bench) -> None:
    """One round. Each tool's repository is removed before the next begins: together they would take much room."""
    if not bench.wants("add-large"):
        return
    source = bench.pool.large(bench.options.large)
    desk = Desk(bench.scratch / "large" / "bare", bench.starter)
    target = desk.folder / "copy.png"
    for column, words in ((HASH, ["hash", str(source)]), (WRITE, ["write", str(source), str(target)])):
        bench.settle()
        bench.record("add-large", column, desk.run(sys.executable, "-I", "-S", str(Path(bare.__file__)), *words))
    target.unlink()
    for kind in bench.kinds:
        tool = kind(bench.scratch / "large" / kind.name, bench.starter)
        tool.create()
        folder = tool.path / "assets" / "cg"
        folder.mkdir(parents=True)
        shutil.copyfile(source, folder / "large.png")
        bench.in_turn("add-large", [tool], lambda each: each.commit_art("large"))
        tool.remove()
