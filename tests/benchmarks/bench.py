"""One run of the suite: its options, its places, and what it found."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import Spent, Starter
from tests.benchmarks.pictures import Pool
from tests.benchmarks.tools.plain import Plain


@dataclass(frozen=True)
class Options:
    """How much of everything."""

    count: int = 1_000  # pictures where there are few
    many: int = 10_000
    size: int = 32 << 10  # bytes of a picture
    large: int = 1 << 30  # bytes of the large one
    assets: int = 100_000  # in the repository that is asked
    commits: int = 1_000
    pictures: int = 60  # that thumbnails are made of
    runs: int = 5
    repeats: int = 5  # how often in a round what is short
    rows: tuple[str, ...] = ()  # words in the keys of rows; empty: all


QUICK = Options(count=30, many=60, large=4 << 20, assets=1_000, commits=20, pictures=6, runs=1, repeats=2)


@dataclass
class Bench:
    """What a round works with. `found` is by row, then by tool or whatever else is measured; `facts` is what is not a time."""

    options: Options
    starter: Starter
    scratch: Path
    kinds: Sequence[type[Plain]]
    found: dict[str, dict[str, list[Spent]]] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)  # what one round leaves to the next
    round: int = 0  # the first does not count
    syncs: bool = True

    def __post_init__(self) -> None:
        self.pool = Pool(self.scratch / "pool")
        self._begun = time.monotonic()

    def wants(self, *keys: str) -> bool:
        """Whether one of these rows was asked for."""
        return not self.options.rows or any(word in key for key in keys for word in self.options.rows)

    def tools(self, group: str) -> list[Plain]:
        """Gives a new repository of each tool.

        They stay until the run ends: where many files were removed, ext4 makes new ones far slower for some minutes.
        """
        made = [kind(self.scratch / f"{group}-{self.round}" / kind.name, self.starter) for kind in self.kinds]
        for tool in made:
            tool.create()
        return made

    def record(self, key: str, column: str, spent: Spent) -> None:
        """Notes what some work took, unless it was for warming up."""
        if self.round and self.wants(key):
            self.found.setdefault(key, {}).setdefault(column, []).append(spent)

    def forget_since(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Takes back what was noted after `counts` were taken: a round that was not whole."""
        for key, columns in list(self.found.items()):
            for column, runs in list(columns.items()):
                del runs[counts.get((key, column), 0) :]
                if not runs:
                    del columns[column]
            if not columns:
                del self.found[key]

    def counts(self) -> dict[tuple[str, str], int]:
        """Gives how often each row and column was measured."""
        return {(key, column): len(runs) for key, columns in self.found.items() for column, runs in columns.items()}

    def note(self, key: str, column: str, fact: Any) -> None:
        """Notes something that is not a time."""
        if self.wants(key):
            self.facts.setdefault(key, {})[column] = fact

    def in_turn(
        self,
        key: str,
        tools: Sequence[Plain],
        work: Callable[[Plain], Spent],
        *,
        before: Callable[[Plain], object] | None = None,
        often: bool = False,
    ) -> None:
        """Has the tools do the same work one after the other, another one first each time; what is done often goes round
        several times."""
        for turn in range(self.options.repeats if often else 1):
            first = (self.round + turn) % max(1, len(tools))
            for tool in [*tools[first:], *tools[:first]]:
                if before:
                    before(tool)
                self.settle()
                spent = work(tool)
                self.record(key, tool.name, spent)
                if not often:
                    self.say(f"  {key}: {tool.name} {spent.seconds:.3f} s")
        if often:
            self.say(f"  {key}")

    def settle(self) -> None:
        """Writes out what earlier work left unwritten, so that nobody who syncs pays for it."""
        if self.syncs:
            os.sync()

    def say(self, text: str) -> None:
        """Tells the person how far it is."""
        sys.stderr.write(f"{time.monotonic() - self._begun:7.0f} s {text}\n")
        sys.stderr.flush()
