"""Times comfyvn-store side by side with plain git, git-lfs, git-annex and DVC: `make bench ARGS='--quick'`.

Each row is the same work on the same files in a hermetic repository of each tool, the tools in turn (A B C, A B C …), after one
round that does not count. Prints medians as Markdown tables; with --page they go into a page, with a plot beside it. A whole
run, with nothing left out or made smaller, writes docs/performance.md. No test depends on a time.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.benchmarks import machine, page, plot, raw, tables
from tests.benchmarks.bench import QUICK, Bench, Options
from tests.benchmarks.measuring import Spent, Starter, WorkFailed
from tests.benchmarks.rows import GROUPS
from tests.benchmarks.rows.row import Row
from tests.benchmarks.tools import TOOLS
from tests.benchmarks.tools.plain import Plain

TOP = Path(__file__).resolve().parents[2]
PAGE = TOP / "docs" / "performance.md"


def all_rows(options: Options) -> list[Row]:
    """Gives the rows of all groups."""
    return [row for group in GROUPS for row in group.rows(options)]


def measure(bench: Bench, keep: Callable[[], None]) -> list[str]:
    """Runs every group that has a row that was asked for, and keeps what it found after each round; gives what did not work.

    Whatever goes wrong in one group costs the rounds of that group that were not whole, and who interrupts it is told the rest.
    """
    failed = []
    for group in GROUPS:
        if not bench.wants(*(row.key for row in group.rows(bench.options))):
            continue
        name = group.__name__.rpartition(".")[2]
        counts = bench.counts()
        try:
            for number in range(bench.options.runs + 1):
                bench.round = number
                bench.say(f"{name}, round {number} of {bench.options.runs}" + ("" if number else " (warming up)"))
                group.run(bench)
                counts = bench.counts()
                keep()
        except (Exception, KeyboardInterrupt) as error:
            bench.say(f"error: {name}: {type(error).__name__}: {error}")
            failed.append(name)
            bench.forget_since(counts)
            keep()
            if isinstance(error, KeyboardInterrupt):
                break
    return failed


def blocks(options: Options, found: tables.Found, facts: Mapping[str, Any]) -> dict[str, str]:
    """Gives the tables by name."""
    middle, rows = tables.medians(found), all_rows(options)
    names = [kind.name for kind in TOOLS]
    told = {
        "machine": tables.machine(facts["machine"]),
        "times": tables.side_by_side(rows, middle, names, "seconds"),
        "processor": tables.side_by_side(rows, middle, names, "processor"),
        "alone": tables.alone(rows, middle, names),
        "targets": tables.targets(rows, found),
        "memory": tables.memory(rows, middle, names, facts["machine"]["least memory told"]),
    }
    if "disk" in facts:
        told["disk"] = tables.disk(facts["disk"])
    if "start-up" in facts:
        told["start-up"] = tables.startup(facts["start-up"])
    return {name: block for name, block in told.items() if block.count("\n") > 1}


def chosen(words: Sequence[str], scratch: Path, starter: Starter) -> tuple[dict[type[Plain], str], list[str]]:
    """Gives the tools that are asked for and work here, with their versions, and a note for each that does not."""
    here, notes = {}, []
    for kind in TOOLS:
        if words and kind.name not in words:
            continue
        if not kind.found():
            notes.append(f"{kind.name} is not installed, so it is left out")
            continue
        try:
            here[kind] = kind(scratch / "versions" / kind.name, starter).version()
        except WorkFailed as error:
            notes.append(f"{kind.name} does not work, so it is left out: {error}")
    return here, notes


def about(bench: Bench, versions: Mapping[type[Plain], str], notes: Sequence[str]) -> dict[str, Any]:
    """Gives what is measured on, and with which versions."""
    left_out = {"left out": "; ".join(notes)} if notes else {}
    return {
        **machine.describe(bench.scratch),
        **{kind.name: version for kind, version in versions.items()},
        **left_out,
        "this project's commit": machine.commit(TOP),
        "least memory told": bench.starter.run(["true"], bench.scratch, {"PATH": os.environ["PATH"]}).memory,
        "runs that count": bench.options.runs,
    }


def parsed(words: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it works")
    for entry in dataclasses.fields(Options):
        if entry.name != "rows":
            parser.add_argument(f"--{entry.name}", type=int, metavar="N", help=f"{entry.default:,} unless told")
    parser.add_argument("--rows", default="", help="only rows with one of these words in their key, as in add,switch")
    parser.add_argument("--tools", default="", help="only these, as in git,git-lfs,comfyvn-store")
    parser.add_argument("--list", action="store_true", help="name the rows, and do nothing")
    parser.add_argument(
        "--raw", type=Path, metavar="DIR", help="keep raw times there, and tell what is there already, too"
    )
    parser.add_argument("--only-tell", action="store_true", help="measure nothing; tell what --raw has")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the tables into this page")
    parser.add_argument(
        "--scratch", type=Path, metavar="DIR", help="where to work (a whole run takes about 40 GB there)"
    )
    asked = parser.parse_args(words)
    if asked.only_tell and not asked.raw:
        parser.error("--only-tell needs --raw")
    if asked.page and not asked.page.is_file():
        parser.error(f"there is no page {asked.page} to write into")
    return asked


def options_of(asked: argparse.Namespace) -> Options:
    """Gives how much of everything is asked for."""
    given = {
        entry.name: value
        for entry in dataclasses.fields(Options)
        if entry.name != "rows" and (value := getattr(asked, entry.name)) is not None
    }
    rows = tuple(word for word in asked.rows.split(",") if word)
    return dataclasses.replace(QUICK if asked.quick else Options(), **given, rows=rows)


def require_room(options: Options, place: Path) -> None:
    """Ends the program where there is too little room, rather than an hour later."""
    pictures = 7 * options.count + 2 * options.many
    wanted = len(TOOLS) * (options.runs + 1) * pictures * options.size + 4 * options.large
    free = shutil.disk_usage(place).free
    if not options.rows and free < wanted:
        raise SystemExit(f"{place} has {tables.amount(free)} free, and {tables.amount(wanted)} are needed (--scratch)")


def sizes(options: Options) -> dict[str, int]:
    """Gives what must be the same in runs that are told together."""
    return {
        name: value for name, value in dataclasses.asdict(options).items() if name not in ("rows", "runs", "repeats")
    }


def is_whole(asked: argparse.Namespace) -> bool:
    """Whether nothing is left out or made smaller, so that the result may go into the documentation."""
    options = options_of(asked)
    return options == Options(runs=options.runs) and not asked.tools


def tell(
    asked: argparse.Namespace, options: Options, found: tables.Found, facts: Mapping[str, Any], *, whole: bool = False
) -> None:
    """Prints the tables and writes what is asked for."""
    if asked.raw:
        found, facts = raw.load(asked.raw)
    told = blocks(options, found, facts)
    for name, block in told.items():
        print(f"\n## {name}\n\n{block}")
    target = asked.page or (PAGE if whole and is_whole(asked) else None)
    if target:
        middle: dict[str, dict[str, Spent]] = tables.medians(found)
        told["plot"] = f"![Times of all tools]({target.stem}.svg)"
        page.write(target, told, plot.draw(all_rows(options), middle, [kind.name for kind in TOOLS]))
        print(f"\nwritten into {target}")


def measured(asked: argparse.Namespace, options: Options, scratch: Path, starter: Starter) -> list[str]:
    """Measures and tells; gives what did not work."""
    kinds, notes = chosen([word for word in asked.tools.split(",") if word], scratch, starter)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    bench = Bench(options, starter, scratch, list(kinds))
    bench.facts |= {"machine": about(bench, kinds, notes), "sizes": sizes(options)}
    before = machine.load()

    def keep() -> None:
        bench.facts["machine"]["waiting processes"] = f"{before} before, {machine.load()} after (1 and 15 min)"
        if asked.raw:
            raw.save(asked.raw, bench.found, bench.facts)

    failed = measure(bench, keep)
    tell(asked, options, bench.found, bench.facts, whole=not failed)
    return failed


def main(words: Sequence[str] | None = None) -> int:
    """Runs the benchmark and tells what it found."""
    asked = parsed(words)
    options = options_of(asked)
    if asked.list:
        print("\n".join(f"{row.key:16}{row.title}" for row in all_rows(options)))
        return 0
    if not asked.raw:
        asked.raw = TOP / "build" / time.strftime("bench-%Y%m%d-%H%M%S")
        print(f"raw times: {asked.raw}", file=sys.stderr)
    kept = raw.load(asked.raw)[1].get("sizes")
    if asked.only_tell:
        tell(asked, dataclasses.replace(options, **(kept or {})), {}, {})
        return 0
    if kept not in (None, sizes(options)):
        raise SystemExit(f"the times in {asked.raw} are of other sizes: {kept}")
    require_room(options, asked.scratch or Path(tempfile.gettempdir()))
    starter = Starter()
    try:
        with tempfile.TemporaryDirectory(
            prefix="comfyvn-bench-", dir=asked.scratch, ignore_cleanup_errors=True
        ) as folder:
            failed = measured(asked, options, Path(folder).resolve(), starter)
    finally:
        starter.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
