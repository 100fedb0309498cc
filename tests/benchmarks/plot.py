"""One picture of all rows, as SVG: how long each tool takes, as a multiple of one of them, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from tests.benchmarks.measuring import Spent
from tests.benchmarks.rows.row import Row

COLOURS = {"git": "#7a7a7a", "git-lfs": "#d1495b", "git-annex": "#e0a030", "dvc": "#8e6bbf", "comfyvn-store": "#1f7a8c"}
_LEFT, _RIGHT, _TOP, _LINE, _WIDTH = 330, 30, 64, 30, 900


def draw(
    rows: Sequence[Row], middle: Mapping[str, Mapping[str, Spent]], tools: Sequence[str], against: str = "git-lfs"
) -> str:
    """Gives the SVG of the rows in which `against` took part: a dot for each tool, further left being faster."""
    shown = [row for row in rows if not row.beside and against in middle.get(row.key, {})]
    ratios = {
        row.key: {
            tool: middle[row.key][tool].seconds / middle[row.key][against].seconds
            for tool in tools
            if tool in middle[row.key]
        }
        for row in shown
    }
    scale = _Scale([each for line in ratios.values() for each in line.values()])
    height = _TOP + _LINE * len(shown) + 36
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="24" font-size="15">Time of each row, as a multiple of {escape(against)}’s (less is better)</text>',
        *_legend(tools),
        *_grid(scale, height),
    ]
    for number, row in enumerate(shown):
        parts += _row(row.title.replace("`", ""), ratios[row.key], _TOP + _LINE * number + _LINE / 2, scale)
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Scale:
    """Where a ratio is, from left to right."""

    def __init__(self, ratios: Sequence[float]) -> None:
        every = [digit * 10.0**power for power in range(-6, 7) for digit in (1, 2, 5)]
        low = max(mark for mark in every if mark <= min([0.5, *ratios]))
        high = min(mark for mark in every if mark >= max([2.0, *ratios]))
        self.marks = [mark for mark in every if low <= mark <= high]
        self._low, self._span = math.log10(low), math.log10(high) - math.log10(low)

    def at(self, ratio: float) -> float:
        """Gives how far to the right a ratio is."""
        return _LEFT + (math.log10(ratio) - self._low) / self._span * (_WIDTH - _LEFT - _RIGHT)


def _legend(tools: Sequence[str]) -> list[str]:
    parts, x = [], _LEFT
    for tool in tools:
        parts.append(f'<circle cx="{x}" cy="44" r="6" fill="{COLOURS.get(tool, "#000000")}"/>')
        parts.append(f'<text x="{x + 11}" y="48">{escape(tool)}</text>')
        x += 34 + 8 * len(tool)
    return parts


def _grid(scale: _Scale, height: int) -> list[str]:
    parts = []
    for mark in scale.marks:
        x = scale.at(mark)
        colour = "#444444" if mark == 1 else "#dddddd"
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{height - 30}" stroke="{colour}"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 12}" text-anchor="middle" font-size="11">{mark:g}×</text>')
    return parts


def _row(title: str, ratios: Mapping[str, float], y: float, scale: _Scale) -> list[str]:
    first, last = (scale.at(edge(ratios.values())) for edge in (min, max))
    parts = [
        f'<text x="{_LEFT - 14}" y="{y + 4:.1f}" text-anchor="end" font-size="12">{escape(title)}</text>',
        f'<line x1="{first:.1f}" y1="{y:.1f}" x2="{last:.1f}" y2="{y:.1f}" stroke="#bbbbbb" stroke-width="2"/>',
    ]
    for tool, ratio in ratios.items():
        told = f"<title>{escape(tool)}: {ratio:.2f}×</title>"
        colour = COLOURS.get(tool, "#000000")
        parts.append(f'<circle cx="{scale.at(ratio):.1f}" cy="{y:.1f}" r="6" fill="{colour}">{told}</circle>')
    return parts
