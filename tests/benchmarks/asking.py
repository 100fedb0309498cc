"""Times what people ask of a large repository: `python -m tests.benchmarks.asking --count 100000`.

The repository is that of `histories`, a hundred assets a commit; the bytes behind the links are not there. Each question is one
run of the command, from its start to its end. Prints a Markdown table. No test depends on a time.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.benchmarks.desk import environment
from tests.benchmarks.histories import make

QUESTIONS: dict[str, tuple[str, ...]] = {
    "nothing but Python": (),
    "list --limit 20": ("list", "--limit", "20"),
    "a word": ("search", "lighthouse"),
    "a word that all have": ("search", "1girl"),
    "one letter": ("search", "s"),
    "three words": ("search", "rain", "window", "cat"),
    "a phrase": ("search", '"old clock"'),
    "type:": ("search", "type:cg"),
    "tag:": ("search", "tag:fox"),
    "license:": ("search", "license:CC0-1.0"),
    "model:": ("search", "model:animaginexlv3_v30"),
    "lora:": ("search", "lora:add_detail"),
    "lora: with a glob": ("search", "lora:vn_style_1*"),
    "seed:": ("search", "seed:1234567"),
    "sampler:": ("search", "sampler:euler"),
    "author:": ("search", "author:artist3"),
    "commit:": ("search", "commit:HEAD~5"),
    "commit: of a range": ("search", "commit:HEAD~500..HEAD"),
    "since:": ("search", 'since:"2 weeks ago"'),
    "size>": ("search", "size>3M"),
    "width>=": ("search", "width>=1024"),
    "path: with a glob": ("search", "path:*/cat_*"),
    "-tag: alone": ("search", "-tag:fox"),
    "all of it at once": ("search", "rain", "type:cg", "model:sdxl_03", "-tag:fox", "size>1M", "since:2020-01-01"),
    "OR": ("search", "(tag:fox OR lora:add_detail) -license:*"),
    "--history": ("search", "--history", "lighthouse", "model:sdxl_03"),
    "lineage": ("lineage", "assets/sketches/sketch_00008.png"),
    "impact, a LoRA": ("impact", "add_detail", "--limit", "20"),
    "impact, a model": ("impact", "sdxl_03", "--limit", "20"),
    "disclose": ("disclose", "--format", "csv"),
}


def cpu() -> float:
    """Gives the seconds that the processes started here have kept processors busy."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> int:
    """Makes the repository unless it is there, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="assets")
    parser.add_argument("--folder", type=Path, required=True, help="where the repository is, or is to be made")
    parser.add_argument("--runs", type=int, default=9, help="runs of each question")
    parser.add_argument("--only", default="", help="only questions with this in their name")
    options = parser.parse_args()
    if not options.folder.exists():
        make(options.folder, options.count, max(1, options.count // 100))
    env = environment(options.folder.parent / "home")
    print(f"| question, of {options.runs} runs | median, ms | fastest | processor |\n|---|--:|--:|--:|")
    for name, words in QUESTIONS.items():
        if options.only not in name:
            continue
        command = [sys.executable, "-P", "-m", "comfyvn_store", *words] if words else [sys.executable, "-c", "pass"]
        spent, busy = [], []
        for run in range((1 if name == "disclose" else options.runs) + 1):
            begun, worked = time.perf_counter(), cpu()
            subprocess.run(command, cwd=options.folder, env=env, stdout=subprocess.DEVNULL, check=True)
            if run:
                spent.append((time.perf_counter() - begun) * 1000)
                busy.append((cpu() - worked) * 1000)
        print(
            f"| {name} | {statistics.median(spent):.0f} | {min(spent):.0f} | {statistics.median(busy):.0f} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
