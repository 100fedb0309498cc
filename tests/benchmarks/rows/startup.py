"""Start-up: what each command and each program that git starts imports, and what that costs.

The processes are those that really run: where git starts them, the interpreter that `init` noted is one that tells its imports.
What a process imported is then imported once more, by a Python that does nothing else, for the time that processors need.
"""

from __future__ import annotations

import re
import statistics
import sys
from typing import NamedTuple

from comfyvn_store.cli.main import COMMANDS
from tests.benchmarks.bench import Bench, Options
from tests.benchmarks.desk import Desk
from tests.benchmarks.measuring import Spent
from tests.benchmarks.pictures import lay, place
from tests.benchmarks.rows.row import Row
from tests.benchmarks.tools.ours import Ours

BARE = "bare Python"
ENTRIES = (
    *("filter comfyvn", "filter comfyvn-sidecar", "pre-commit", "post-commit", "post-checkout", "post-merge"),
    *("post-rewrite", "pre-push", "merge-sidecar", "textconv"),
)
_TELLING = """#!/bin/sh
printf '%s\\n' "$@" >'{folder}/'$$.words
exec '{python}' -X importtime "$@" 2>'{folder}/'$$.times
"""
_ASSET = place(0)
# Commands that can be run in a small repository to their end, with what they are asked; the others only say their help.
_ASKED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("list", "status", "diff", "conflicts", "locks", "db", "disclose", "credits", "usage"), ()),
    **dict.fromkeys(("check", "fsck", "doctor", "gc", "remote"), ()),
    **dict.fromkeys(("show", "provenance", "workflow", "lineage", "log", "why", "read", "whence"), (_ASSET,)),
    "search": ("heroine",),
    "impact": ("linework",),
    "annotate": (_ASSET, "--tag", "bench"),
    "rebuild": ("--no-previews",),
    "edit": (place(1),),
    "keep": (_ASSET,),
    "export": ("../exported",),
    **dict.fromkeys(("pull", "previews"), ()),
    "completion": ("bash",),
    "undo": ("--dry-run",),
}


class Told(NamedTuple):
    """What a process told of its imports: the modules, and the milliseconds they took."""

    modules: tuple[str, ...]
    milliseconds: float


def rows(options: Options) -> list[Row]:
    """Names the rows."""
    return [Row("start-up", "what is imported")]


def run(bench: Bench) -> None:
    """One round."""
    if bench.wants("start-up"):
        found = started_by_git(bench) | _commands(bench)
        history = bench.kept.setdefault("start-up", {})
        for name, (told, spent) in found.items():
            if bench.round:
                history.setdefault(name, []).append((len(told.modules), told.milliseconds, spent.processor * 1000))
                bench.note("start-up", name, [statistics.median(column) for column in zip(*history[name], strict=True)])
        bench.say("  start-up")


def parse(text: str) -> Told:
    """Reads what `-X importtime` wrote."""
    found = re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)$", text, re.MULTILINE)
    return Told(tuple(name for _, name in found), sum(int(each) for each, _ in found) / 1000)


def _importing(desk: Desk, modules: tuple[str, ...]) -> Spent:
    """Gives what starting Python and importing these takes."""
    code = "import sys\nfor name in sys.argv[1:]:\n try: __import__(name)\n except ImportError: pass"
    return desk.run(sys.executable, "-P", "-X", "utf8", "-c", code, *modules)


# -- what git starts


def started_by_git(bench: Bench) -> dict[str, tuple[Told, Spent]]:
    """Gives what each program told that git started."""
    tool = Ours(bench.scratch / "started", bench.starter)
    tool.create()
    told = tool.desk.folder / "told"
    told.mkdir()
    telling = tool.desk.folder / "telling"
    telling.write_text(_TELLING.format(folder=told, python=sys.executable))
    telling.chmod(0o755)
    config = tool.path / ".git" / "config"
    config.write_text(config.read_text().replace(sys.executable, str(telling)))
    _do_everything(bench, tool)
    found: dict[str, Told] = {}
    for words in told.glob("*.words"):
        text = " ".join(words.read_text().split("\n"))
        name = next((each for each in ENTRIES if re.search(rf"(^| ){each}( |$)", text)), None)
        said = parse(words.with_suffix(".times").read_text())
        if name and len(said.modules) >= len(found.get(name, Told((), 0.0)).modules):
            found[name] = said  # of those that had least to do less is imported
    ordered = {name: found[name] for name in ENTRIES if name in found}
    answer = {f"git starts: {name}": (each, _importing(tool.desk, each.modules)) for name, each in ordered.items()}
    tool.remove()
    return answer


def _do_everything(bench: Bench, tool: Ours) -> None:
    """Has git start each of the entries: commits, switches, a merge of one sidecar, a rebase, a diff, a push."""
    pictures = bench.pool.pictures(4, 8192)
    lay(pictures[:1], tool.path)
    tool.commit_art("one")
    for number, branch in enumerate(("left", "right"), 1):
        tool.git("switch", "-q", "-c", branch, "main")
        lay(pictures[number : number + 1], tool.path, number)
        tool.desk.run("comfyvn-store", "annotate", _ASSET, "--tag", branch, cwd=tool.path)
        tool.commit_art(branch)
    tool.git("merge", "-q", "-m", "both", "left")
    tool.git("diff", "main", "HEAD")
    tool.git("switch", "-q", "left")
    tool.git("switch", "-q", "-c", "third", "main")
    lay(pictures[3:4], tool.path, 3)
    tool.commit_art("third")
    tool.git("rebase", "-q", "left")
    hub = tool.desk.folder / "hub"
    tool.git("init", "-q", "--bare", str(hub))
    tool.git("remote", "add", "hub", str(hub))
    tool.git("push", "-q", "hub", "third")


# -- commands


def _commands(bench: Bench) -> dict[str, tuple[Told, Spent]]:
    tool = Ours(bench.scratch / "commands", bench.starter)
    tool.create()
    lay(bench.pool.pictures(3, 8192), tool.path)
    tool.commit_art("art")
    start = (sys.executable, "-P", "-X", "utf8", "-X", "importtime")
    found = {BARE: _told(tool, (*start, "-c", "pass"))}
    for name in COMMANDS:
        asked = _ASKED.get(name)
        words = (name, "--help") if asked is None else (name, *asked)
        shown = f"{name} --help" if asked is None else name
        found[shown] = _told(tool, (*start, "-m", "comfyvn_store", *words))
    tool.remove()
    return found


def _told(tool: Ours, words: tuple[str, ...]) -> tuple[Told, Spent]:
    tool.desk.starter.run(words, tool.path, tool.desk.env, okay=(0, 1))
    told = parse(tool.desk.starter.complained())
    return told, _importing(tool.desk, told.modules)
