"""A commit where nobody may write bytecode, and nothing was compiled when `init` ran, beside one where all is compiled."""

from __future__ import annotations

import shutil
import sys
import venv
from pathlib import Path
from typing import ClassVar

from tests.benchmarks.bench import Bench, Options
from tests.benchmarks.measuring import WorkFailed
from tests.benchmarks.pictures import lay
from tests.benchmarks.rows.row import OURS, Row, times
from tests.benchmarks.tools.ours import Ours

TOP = Path(__file__).resolve().parents[3]
COMPILED = "compiled, variable not set"


def rows(options: Options) -> list[Row]:
    """Names the rows."""
    title = "add + commit of one, freshly installed, with PYTHONDONTWRITEBYTECODE"
    return [Row("uncompiled", title, (times(2.0, COMPILED),), beside=True)]


def run(bench: Bench) -> None:
    """One round."""
    key = "uncompiled"
    if not bench.wants(key):
        return
    if key not in bench.kept:
        bench.kept[key] = [
            (OURS, _installed(bench, "never", {"PYTHONDONTWRITEBYTECODE": "1"})),
            (COMPILED, _installed(bench, "compiled", {})),
        ]
    for number in range(bench.options.repeats):
        for column, tool in bench.kept[key]:
            lay(
                bench.pool.pictures(1, 8192, 3_000_000 + bench.round * 100 + number),
                tool.path,
                bench.round * 100 + number,
            )
            bench.settle()
            bench.record(key, column, tool.commit_art("one"))
    bench.say("  uncompiled")


def _installed(bench: Bench, name: str, more: dict[str, str]) -> Ours:
    """Gives a repository that a copy of this checkout, in a virtual environment of its own, was tied to."""
    folder = bench.scratch / f"installed-{name}"
    copy = folder / "copy"
    for part in ("comfyvn_store", "hooks", "docs/formats"):
        shutil.copytree(TOP / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    packages = next((folder / "venv").glob("lib/python*/site-packages"))
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "copy.pth").write_text("\n".join([str(copy), *ours]) + "\n")

    class Copy(Ours):
        environment: ClassVar[dict[str, str]] = more

        def set_up(self, path: Path) -> None:
            python = str(folder / "venv" / "bin" / "python")
            self.desk.run(python, "-P", "-m", "comfyvn_store", "init", cwd=path)
            if python not in (path / ".git" / "config").read_text():
                raise WorkFailed(f"init did not note {python}, so another installation would be measured")

    tool = Copy(folder / "tool", bench.starter)
    tool.create()
    return tool
