"""The page that tells the results: what stands between its marks is written anew, what people wrote around them stays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path


class NoPlace(Exception):
    """The page has no marks for something."""


def filled(text: str, blocks: Mapping[str, str]) -> str:
    """Gives the page with the blocks between `<!-- bench: NAME -->` and `<!-- bench end -->`. Raises NoPlace."""
    for name, block in blocks.items():
        marks = re.compile(rf"(<!-- bench: {re.escape(name)} -->\n).*?(<!-- bench end -->)", re.DOTALL)
        if len(marks.findall(text)) != 1:
            raise NoPlace(f"there must be one '<!-- bench: {name} -->', with an end, in the page")
        text = marks.sub(lambda found, block=block: f"{found[1]}\n{block.strip()}\n\n{found[2]}", text)
    return text


def write(page: Path, blocks: Mapping[str, str], plot: str) -> None:
    """Writes the blocks into the page, and the plot beside it."""
    text = filled(page.read_text(encoding="utf-8"), blocks)
    page.write_text(text, encoding="utf-8")
    page.with_suffix(".svg").write_text(plot, encoding="utf-8")
