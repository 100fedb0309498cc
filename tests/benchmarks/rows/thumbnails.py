"""Thumbnails, beside a loop that does nothing but decode, shrink and encode."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.benchmarks import bare
from tests.benchmarks.bench import Bench, Options
from tests.benchmarks.measuring import WorkFailed
from tests.benchmarks.pictures import painted
from tests.benchmarks.rows.row import OURS, Row, Target
from tests.benchmarks.tools.ours import Ours

ONE, ALL = "bare loop, one core", "bare loop, all cores"


def cores() -> int:
    """Gives how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def rows(options: Options) -> list[Row]:
    """Names the rows."""
    target = Target(
        f"0.9 × {cores()} cores × the bare loop's pictures a second",
        lambda medians: medians[ONE].seconds / (0.9 * cores()),
    )
    return [
        Row("thumbnails", f"thumbnails of {options.pictures} pictures of 1 to 2 megapixels", (target,), beside=True)
    ]


def run(bench: Bench) -> None:
    """One round. The repository stays; its thumbnails and its index go, so that all are due again."""
    if not bench.wants("thumbnails"):
        return
    if "thumbnails" not in bench.kept:
        bench.kept["thumbnails"] = _make(bench)
    tool: Ours = bench.kept["thumbnails"]
    target = tool.desk.folder / "bare"
    for column, jobs in ((ONE, 1), (ALL, cores())):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        bench.settle()
        words = ("thumbnails", str(tool.desk.folder / "pictures"), str(target), str(jobs))
        bench.record("thumbnails", column, tool.desk.run(sys.executable, str(Path(bare.__file__)), *words))
    cache = tool.path / "cache" / "thumbs"
    shutil.rmtree(cache, ignore_errors=True)
    Path(tool.desk.ask("comfyvn-store", "db", cwd=tool.path)).unlink(missing_ok=True)
    tool.desk.run("comfyvn-store", "list", cwd=tool.path)
    bench.settle()
    spent = tool.desk.run("comfyvn-store", "previews", cwd=tool.path, env={"COMFYVN_PREVIEWS": "on"})
    made, wanted = len(list(cache.iterdir())), len(list(target.iterdir()))
    if made != wanted:
        raise WorkFailed(f"{made} thumbnails were made of {wanted} pictures")
    bench.record("thumbnails", OURS, spent)
    bench.say(f"  thumbnails: {spent.seconds:.2f} s")


def _make(bench: Bench) -> Ours:
    tool = Ours(bench.scratch / "thumbnails", bench.starter)
    tool.create()
    folder = tool.desk.folder / "pictures"
    folder.mkdir()
    for number in range(bench.options.pictures):
        (folder / f"p{number:04}.png").write_bytes(painted(number))
    shutil.copytree(folder, tool.path / "assets" / "cg")
    tool.commit_art("art")
    return tool
