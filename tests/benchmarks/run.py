"""Times comfyvn-store side by side with plain git (and git-lfs where it is installed): `make bench`.

Each row is the same work in a fresh hermetic repository per tool, the tools in turn (A B C, A B C …), after one round that
does not count. Prints medians and their ratio to plain git as a Markdown table. No test depends on a time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.media import comfy_prompt, comfy_workflow, png

BIN = str(Path(sys.executable).parent)


class Bench:
    """One tool's repository."""

    def __init__(self, tool: str, folder: Path) -> None:
        self.tool = tool
        self.path = folder
        folder.mkdir(parents=True)
        home = folder.parent / "home"
        home.mkdir(exist_ok=True)
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "COMFYVN_"))}
        self.env = keep | {
            "HOME": str(home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "COMFYVN_PREVIEWS": "off",
            "PATH": f"{BIN}:{os.environ['PATH']}",
            **{
                f"GIT_{who}_{what}": "bench@example.invalid"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
        }
        self.git("init", "-q", "-b", "main")
        if tool == "comfyvn-store":
            self.run("comfyvn-store", "init")
        elif tool == "git-lfs":
            self.git("lfs", "install", "--local")
            (folder / ".gitattributes").write_text("*.png filter=lfs diff=lfs merge=lfs -text\n")
        (folder / "readme.txt").write_text("bench\n")
        self.commit_all("base")

    def run(self, *words: str) -> None:
        """Runs a program in the repository."""
        subprocess.run(
            words, cwd=self.path, env=self.env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def git(self, *words: str) -> None:
        """Runs git in the repository."""
        self.run("git", *words)

    def commit_all(self, message: str) -> None:
        """Adds and commits everything."""
        self.git("add", "-A")
        self.git("commit", "-qm", message)

    def put(self, start: int, count: int, size: int) -> None:
        """Writes pictures with ComfyUI graphs, padded to about `size` bytes."""
        folder = self.path / "assets" / "characters"
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(start, start + count):
            (folder / f"p{number:06}.png").write_bytes(picture(number, size))


def picture(seed: int, size: int) -> bytes:
    """Gives a PNG with a ComfyUI graph and noise enough to be about `size` bytes."""
    edge = max(8, int((size / 3) ** 0.5))
    prompt = comfy_prompt(seed)
    texts = {"prompt": json.dumps(prompt), "workflow": json.dumps(comfy_workflow(prompt))}
    return png(edge, edge, seed, texts, noise=True)


def timed(work: Callable[[], None]) -> float:
    """Gives how long some work takes, in seconds."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def rows(count: int, size: int) -> dict[str, Callable[[Bench], float]]:
    """Gives the work by name; each starts from the base commit."""

    def add_commit(bench: Bench) -> float:
        bench.put(0, count, size)
        return timed(lambda: bench.commit_all("art"))

    def one_more(bench: Bench) -> float:
        bench.put(count, 1, size)
        return timed(lambda: bench.commit_all("one"))

    def status(bench: Bench) -> float:
        return timed(lambda: bench.git("status", "--short"))

    def switch(bench: Bench) -> float:
        bench.git("switch", "-qc", "other", "main~3")
        bench.put(0, count, size + 999)
        bench.commit_all("other")

        def there_and_back() -> None:
            bench.git("switch", "-q", "main")
            bench.git("switch", "-q", "other")

        return timed(there_and_back)

    def untouched_commit(bench: Bench) -> float:
        (bench.path / "readme.txt").write_text(f"{time.time_ns()}\n")
        return timed(lambda: bench.git("commit", "-qam", "text"))

    return {
        f"add + commit of {count} x {size // 1024} KiB": add_commit,
        f"add + commit of one more into {count}": one_more,
        f"git status with {count}": status,
        "a commit that touches no art": untouched_commit,
        f"switch, all of {count} differ, there and back": switch,
    }


def main() -> int:
    """Runs the benchmark and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="pictures a repository")
    parser.add_argument("--size", type=int, default=32 * 1024, help="bytes a picture, about")
    parser.add_argument("--runs", type=int, default=5, help="runs that count")
    options = parser.parse_args()
    tools = ["git", "comfyvn-store", *(["git-lfs"] if shutil.which("git-lfs") else [])]
    times: dict[str, dict[str, list[float]]] = {}
    for run in range(options.runs + 1):
        with tempfile.TemporaryDirectory(prefix="comfyvn-bench-") as folder:
            benches = [Bench(tool, Path(folder) / tool) for tool in tools]
            for name, work in rows(options.count, options.size).items():
                for bench in benches:
                    spent = work(bench)
                    if run:
                        times.setdefault(name, {}).setdefault(bench.tool, []).append(spent)
    print(
        f"| median of {options.runs} runs | "
        + " | ".join(tools)
        + " | "
        + " | ".join(f"{t} / git" for t in tools[1:])
        + " |"
    )
    print("|---|" + "--:|" * (2 * len(tools) - 1))
    for name, by_tool in times.items():
        medians = [statistics.median(by_tool[tool]) for tool in tools]
        cells = [f"{value * 1000:.0f} ms" for value in medians] + [f"{value / medians[0]:.2f}" for value in medians[1:]]
        print(f"| {name} | " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
