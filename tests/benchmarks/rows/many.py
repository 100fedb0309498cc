"""Ten thousand pictures: added, and then what people do every day in such a repository."""

from __future__ import annotations

import time

from tests.benchmarks.bench import Bench, Options
from tests.benchmarks.measuring import Spent
from tests.benchmarks.pictures import lay
from tests.benchmarks.rows.row import Row, plus, times
from tests.benchmarks.tools.plain import Plain


def rows(options: Options) -> list[Row]:
    """Names the rows."""
    many = f"{options.many:,}"
    return [
        Row("add-many", f"add + commit of {many} × {options.size >> 10} KiB"),
        Row("add-one", f"add + commit of one into {many}", (times(1.0, "git-lfs"),)),
        Row("status", f"`git status` with {many}", (times(2.0, "git"),)),
        Row("commit-text", f"a commit that touches no art, with {many}", (plus("git", 10),)),
        Row("switch-text", f"a switch that touches no art, with {many}", (plus("git", 10),)),
        Row("disk", f"disk used by {many}"),
    ]


def run(bench: Bench) -> None:
    """One round."""
    if not bench.wants(*(row.key for row in rows(bench.options))):
        return
    pictures = bench.pool.pictures(bench.options.many, bench.options.size)
    tools = bench.tools("many")
    bench.in_turn("add-many", tools, lambda tool: tool.commit_art("art"), before=lambda tool: lay(pictures, tool.path))
    for tool in tools:
        bench.note("disk", tool.name, tool.disk())
    if bench.wants("add-one"):
        more = bench.pool.pictures(bench.options.repeats, bench.options.size, 2_000_000)
        for number, picture in enumerate(more, len(pictures)):

            def lay_one(tool: Plain, number: int = number) -> None:
                lay([more[number - len(pictures)]], tool.path, number)

            assert picture.exists()
            bench.in_turn("add-one", tools, lambda tool: tool.commit_art("one"), before=lay_one)
    bench.in_turn("status", tools, lambda tool: tool.status(), often=True)
    bench.in_turn("commit-text", tools, lambda tool: tool.commit_text("text"), before=_write, often=True)
    if bench.wants("switch-text"):
        for tool in tools:
            tool.git("switch", "-q", "-c", "words")
            _write(tool)
            tool.commit_text("words")

        def switch(tool: Plain) -> Spent:
            return tool.switch_text("main")

        bench.in_turn("switch-text", tools, switch, before=lambda tool: tool.git("switch", "-q", "words"), often=True)


def _write(tool: Plain) -> None:
    (tool.path / "readme.txt").write_text(f"{time.time_ns()}\n")
