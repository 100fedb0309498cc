"""What was measured, as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.benchmarks.measuring import Spent, median
from tests.benchmarks.rows.row import OURS, Row

Found = Mapping[str, Mapping[str, Sequence[Spent]]]
NONE = "–"


def table(heads: Sequence[str], lines: Sequence[Sequence[str]], left: int = 1) -> str:
    """Gives a table; the first columns stand to the left, the others, which are numbers, to the right."""
    rule = "|".join("---" if number < left else "--:" for number in range(len(heads)))
    return "\n".join([f"| {' | '.join(heads)} |", f"|{rule}|", *(f"| {' | '.join(line)} |" for line in lines)])


def medians(found: Found) -> dict[str, dict[str, Spent]]:
    """Gives the median of each row and column."""
    return {key: {column: median(runs) for column, runs in columns.items()} for key, columns in found.items()}


def clock(seconds: float) -> str:
    """Gives a time as people read it: three digits, in a unit that fits."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else "1.00 s"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"


def amount(count: float) -> str:
    """Gives bytes as people read them."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}" if count < 999.5 else f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


def side_by_side(rows: Sequence[Row], middle: Mapping[str, Mapping[str, Spent]], tools: Sequence[str], of: str) -> str:
    """Gives the times of all tools, on the clock or of processors."""
    lines = [
        [row.title, *(clock(getattr(middle[row.key][tool], of)) if tool in middle[row.key] else NONE for tool in tools)]
        for row in rows
        if row.key in middle and not row.beside
    ]
    return table(["", *tools], lines)


def alone(rows: Sequence[Row], middle: Mapping[str, Mapping[str, Spent]], tools: Sequence[str]) -> str:
    """Gives the times of comfyvn-store where something else than a tool was measured beside it."""
    lines = []
    for row in rows:
        columns = middle.get(row.key, {})
        others = {name: spent for name, spent in columns.items() if name not in tools}
        if OURS in columns and (others or row.beside):
            beside = "; ".join(
                f"{name}: {clock(spent.seconds)}, processor {clock(spent.processor)}" for name, spent in others.items()
            )
            lines.append([row.title, clock(columns[OURS].seconds), clock(columns[OURS].processor), beside])
    return table(["", "time", "processor", "beside it"], lines)


def targets(rows: Sequence[Row], found: Found) -> str:
    """Gives each target with how much of what it allows was used: by the medians, and the least and the most of the rounds."""
    lines, middle = [], medians(found)
    for row in rows:
        for target in row.targets:
            share = target.share(middle[row.key]) if row.key in middle else None
            if share is not None:
                rounds = [
                    {name: runs[n] for name, runs in found[row.key].items()} for n in range(_rounds(found[row.key]))
                ]
                shares = [each for each in map(target.share, rounds) if each is not None]
                told = [f"{share:.2f}", f"{min(shares):.2f} – {max(shares):.2f}" if len(shares) > 1 else NONE]
                lines.append([row.title, target.text, *told, "met" if share <= 1 else "**missed**"])
            elif row.key in middle:
                lines.append([row.title, target.text, NONE, NONE, "not compared"])
    return table(["", "at most (or at least)", "of what is allowed", "in single rounds", ""], lines, left=2)


def _rounds(columns: Mapping[str, Sequence[Spent]]) -> int:
    return min(map(len, columns.values()))


def memory(rows: Sequence[Row], middle: Mapping[str, Mapping[str, Spent]], tools: Sequence[str], least: int) -> str:
    """Gives the most memory that one process of each tool held; less than `least` cannot be told."""

    def cell(held: int) -> str:
        return f"< {amount(1.05 * least)}" if held < 1.05 * least else amount(held)

    lines = [
        [row.title, *(cell(middle[row.key][tool].memory) if tool in middle[row.key] else NONE for tool in tools)]
        for row in rows
        if row.key in middle
    ]
    return table(["", *tools], lines)


def disk(used: Mapping[str, Mapping[str, int]]) -> str:
    """Gives the space that each tool's repository takes."""
    lines = [
        [tool, *(amount(parts[part]) for part in ("objects", "kept", "tree")), amount(sum(parts.values()))]
        for tool, parts in used.items()
    ]
    return table(["", "git's object database", "what else is kept", "work tree", "together"], lines)


def startup(found: Mapping[str, Sequence[float]]) -> str:
    """Gives what each process imports."""
    lines = [
        [f"`{name}`" if name != "bare Python" else name, f"{modules:.0f}", f"{told:.1f}", f"{processor:.1f}"]
        for name, (modules, told, processor) in found.items()
    ]
    return table(["", "modules", "imports, ms", "start and imports, processor ms"], lines)


def machine(facts: Mapping[str, Any]) -> str:
    """Gives what was measured on, and with what."""
    hidden = ("least memory told",)
    return table(["", ""], [[key, str(value)] for key, value in facts.items() if key not in hidden], left=2)
