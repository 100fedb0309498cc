"""The matrix of git verbs as a table, from the results of its cases."""

import importlib
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.verbs import MODES, Case, Cases


class Table:
    """A pytest plugin that gathers the results of all cases, also from workers of xdist."""

    def __init__(self) -> None:
        self.found: dict[str, dict[tuple[str, str], str]] = {}  # by test file: verb and mode to outcome

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file, _, name = report.nodeid.partition("::")
        verb, _, mode = name.partition("[")[2].removesuffix("]").rpartition("-")
        if mode in MODES and (report.when == "call" or report.outcome == "failed"):
            self.found.setdefault(Path(file).stem, {})[verb, mode] = report.outcome

    def text(self) -> str:
        """The table in Markdown, and its limits below."""
        lines = ["| verb | hooks on | skipped | absent |", "|---|---|---|---|"]
        reasons: list[str] = []
        for module, found in sorted(self.found.items()):
            for case in cases_of(module):
                cells = [_cell(found.get((case.verb, mode), ""), case.limit(mode).reason, reasons) for mode in MODES]
                if any(cells):
                    lines.append("| " + " | ".join([f"`{case.verb}`", *cells]) + " |")
        return "\n".join([*lines, "", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))])


def cases_of(module: str) -> list[Case]:
    """The cases of a test file."""
    found = vars(importlib.import_module(f"tests.{module}")).values()
    return [case for each in found if isinstance(each, Cases) for case in each]


def _cell(outcome: str, reason: str, reasons: list[str]) -> str:
    if outcome != "passed" or not reason:
        return "ok" if outcome == "passed" else outcome
    if reason not in reasons:
        reasons.append(reason)
    return f"limit {reasons.index(reason) + 1}"


def main(words: Sequence[str]) -> int:
    """Runs the cases (those of the files and options given, else all) and prints the table."""
    os.environ["TEST_VERBS"] = "all"
    table = Table()
    here = Path(__file__).parent
    files = [str(each) for each in sorted(here.glob("test_verbs_*.py"))]
    given = [word for word in words if word.endswith(".py")]
    options = [word for word in words if word not in given]
    status = pytest.main(
        ["-q", "-W", "ignore::pytest.PytestAssertRewriteWarning", *options, *(given or files)], plugins=[table]
    )
    print(table.text())
    return int(status)
