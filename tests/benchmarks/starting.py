"""What it costs to start: for each command that only asks, and for what git starts, the modules that are imported, how long
importing them takes, how many git processes are run, and the processor's time beside that of Python alone. Prints a Markdown
table. No test depends on a time.

    python tests/benchmarks/starting.py [--runs 15]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from comfyvn_store.base import compiled
from tests import media
from tests.benchmarks.asking import environment

HERO = "assets/characters/hero.png"
COMMANDS = (
    "--version",
    "list",
    f"show {HERO}",
    f"provenance {HERO}",
    "provenance --commit HEAD",
    "search hero",
    "status",
)
OTHERS = (f"whence {HERO}", "--help", "list --limit x")
# What a filter or hook imports before it knows what there is to do.
HOT = ("filter", "precommit", "postcommit", "follow", "mergedriver", "textconv")


def spent() -> float:
    """Gives the seconds that the processes started here have kept processors busy."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def imports(said: str) -> dict[str, int]:
    """Reads what `-X importtime` says: modules, and the microseconds each took by itself."""
    rows = [
        line.removeprefix("import time:").split("|") for line in said.splitlines() if line.startswith("import time:")
    ]
    return {row[2].strip(): int(row[0]) for row in rows if row[0].strip().isdigit()}


class Bench:
    """A small repository, in which each line is run again and again, in turn with Python alone."""

    def __init__(self, top: Path, runs: int) -> None:
        self._path = top / "repo"
        self._env = environment(top)
        self._runs = runs
        self._path.mkdir()
        self._run("git", "init", "-q", "-b", "main")
        self._run("comfyvn-store", "init")
        (self._path / HERO).parent.mkdir(parents=True, exist_ok=True)
        (self._path / HERO).write_bytes(media.comfy_png(1))
        self._run("git", "add", "-A")
        self._run("git", "commit", "-qm", "art")
        self._run("comfyvn-store", "list")
        self._bare = imports(self._said("-c", "pass"))

    def _run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=self._path, env=self._env, check=check, capture_output=True, text=True)

    def _said(self, *words: str) -> str:
        return self._run(sys.executable, "-X", "importtime", "-P", *words, check=False).stderr

    def row(self, name: str, words: Sequence[str]) -> str:
        """Measures one line; gives it as a row."""
        new = {module: time for module, time in imports(self._said(*words)).items() if module not in self._bare}
        trace = self._path.parent / "trace"
        trace.write_text("")
        subprocess.run(
            [sys.executable, "-P", *words],
            cwd=self._path,
            env=self._env | {"GIT_TRACE": str(trace)},
            check=False,
            capture_output=True,
        )
        processes = trace.read_text().count("trace: built-in: ")
        bare, ours = [], []
        for _ in range(self._runs):
            for found, line in ((bare, ["-c", "pass"]), (ours, words)):
                before = spent()
                self._run(sys.executable, "-P", *line, check=False)
                found.append((spent() - before) * 1000)
        took, without = statistics.median(ours), statistics.median(bare)
        return f"| {name} | {len(new)} | {sum(new.values()) / 1000:.1f} | {processes} | {took:.0f} | {took - without:.0f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    compiled.compile_all()
    with tempfile.TemporaryDirectory(prefix="comfyvn-starting-") as folder:
        bench = Bench(Path(folder), runs)
        print(f"median of {runs} runs\n")
        print("| | modules | importing, ms | git processes | processor, ms | more than Python alone |")
        print("|---|--:|--:|--:|--:|--:|")
        for line in (*COMMANDS, *OTHERS):
            print(bench.row(f"`{line}`", ["-m", "comfyvn_store", *line.split()]), flush=True)
        for name in HOT:
            code = f"import comfyvn_store.hot.main, comfyvn_store.hot.{name}"
            print(bench.row(f"what git starts: {name}", ["-c", code]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
