"""A thousand pictures: added, sent, fetched, cloned, and exchanged for others by a switch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.bench import Bench, Options
from tests.benchmarks.measuring import Spent, WorkFailed
from tests.benchmarks.pictures import differing, lay, place
from tests.benchmarks.rows.row import Row, times
from tests.benchmarks.tools.plain import Plain

OTHERS = 1_000_000  # the seed of pictures that all differ from the first ones


def rows(options: Options) -> list[Row]:
    """Names the rows."""
    what = f"{options.count:,} × {options.size >> 10} KiB"
    limits = times(1.0, "git-lfs"), times(0.3, "git-annex"), times(0.5, "dvc")
    return [
        Row("add-few", f"add + commit of {what}", limits),
        Row("push", f"push of {options.count:,} to a folder"),
        Row("pull", f"pull of {options.count:,} from a folder"),
        Row("clone", f"clone with the bytes of {options.count:,}, same disk", (times(0.7, "git-lfs"),)),
        Row(
            "switch-art",
            f"switch, all of {options.count:,} differ, there and back",
            (times(0.6, "git-lfs"), times(0.8, "git-annex")),
        ),
    ]


def run(bench: Bench) -> None:
    """One round."""
    keys = ("add-few", "push", "pull", "clone", "switch-art")
    if not bench.wants(*keys):
        return
    pictures = bench.pool.pictures(bench.options.count, bench.options.size)
    tools = bench.tools("few")
    bench.in_turn("add-few", tools, lambda tool: tool.commit_art("art"), before=lambda tool: lay(pictures, tool.path))
    if bench.wants("push", "pull", "clone"):
        _exchange(bench, tools, len(pictures))
    if bench.wants("switch-art"):
        _switch(bench, tools, pictures)


def _exchange(bench: Bench, tools: Sequence[Plain], count: int) -> None:
    def receiver(tool: Plain) -> Path:
        return tool.desk.folder / "receiver"

    def clone(tool: Plain) -> Path:
        return tool.desk.folder / "clone"

    bench.in_turn("push", tools, lambda tool: tool.push(), before=lambda tool: tool.share(tool.desk.folder / "hub"))
    bench.in_turn(
        "pull", tools, lambda tool: tool.pull(receiver(tool)), before=lambda tool: tool.receiver(receiver(tool))
    )
    bench.in_turn("clone", tools, lambda tool: tool.clone(clone(tool)))
    for tool in tools:
        for copy in (receiver(tool), clone(tool)):
            require_same(tool, tool.path, copy, count)


def require_same(tool: Plain, one: Path, other: Path, count: int) -> None:
    """Fails unless every picture can be read in both work trees and is the same."""
    sides = ([top / place(number) for number in range(count)] for top in (one, other))
    wrong = list(differing(*sides))
    if wrong:
        raise WorkFailed(f"{tool.name}: {len(wrong)} of {count} pictures in {other} are not those of {one}")


def _switch(bench: Bench, tools: Sequence[Plain], pictures: list[Path]) -> None:
    others = bench.pool.pictures(len(pictures), bench.options.size, OTHERS)
    if len(list(differing(pictures, others))) != len(pictures):
        raise WorkFailed("some pictures of the two branches are the same, so a switch would be measured too fast")
    mine = {}
    for tool in tools:
        mine[tool.name] = _bytes(tool, len(pictures))  # as the tool has committed them: one puts markers in
        base = tool.desk.ask("git", "rev-list", "--max-parents=0", "main", cwd=tool.path)
        tool.branch("other", base)
        lay(others, tool.path)
        tool.commit_art("others")

    bench.in_turn("switch-art", tools, lambda tool: _there_and_back(tool, mine[tool.name]))


def _bytes(tool: Plain, count: int) -> list[bytes]:
    """Gives what can be read of each picture, as a hash."""
    return [hashlib.sha256((tool.path / place(number)).read_bytes()).digest() for number in range(count)]


def _there_and_back(tool: Plain, mine: list[bytes]) -> Spent:
    """Switches to main and back, and looks whether that brought main's pictures and then the others, all of them."""
    others = _bytes(tool, len(mine))
    there = tool.switch("main")
    right = sum(one == other for one, other in zip(mine, _bytes(tool, len(mine)), strict=True))
    back = tool.switch("other")
    if right != len(mine) or others != _bytes(tool, len(mine)):
        raise WorkFailed(f"{tool.name}: a switch brought {right} of {len(mine)} pictures, or not the others back")
    return there.plus(back)
