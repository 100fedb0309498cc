"""`search`: one line of text finds assets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfyvn_store.base import names
from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import Choice, Range, argument, command, option
from comfyvn_store.cli.output import count

if TYPE_CHECKING:
    from comfyvn_store.ops.searching import Results
    from comfyvn_store.ops.searching.grammar import BadQuery

_ORDERS = ("best", "newest", "oldest", "path", "largest", "smallest")


@command("search", short_help="find assets by words and by what is known of them", takes_dashes=True)
@argument("query", metavar="QUERY...", nargs=-1, required=True)
@option("--history", "with_past", is_flag=True, help="Also versions that no asset has now.")
@option("--sort", "order", type=Choice(*_ORDERS), default="best", show_default=True, help="What comes first.")
@option("--limit", metavar="N", type=Range(0, 1 << 62), default=50, show_default=True, help="Show at most so many.")
@option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def search_command(query: tuple[str, ...], with_past: bool, order: str, limit: int, as_json: bool) -> None:
    """Find assets. Words are looked for in paths, tags, prompts, models and licences; all must be there, as beginnings of
    words.

    \b
      "red scarf"                     these words in this order
      type:characters  tag:heroine    license:CC-BY-4.0   source:comfyui
      model:animagine*  lora:detail   sampler:euler       scheduler:karras
      seed:1041                       image:sketch.png    workflow:2469b5fb
      author:mika  commit:v1.0..main  since:"2 weeks ago" before:2026-01-31
      size>1M  width>=1024  height:1216                   path:*/mira*.png
      -tag:sketch                     leaves out what matches
      (tag:a OR tag:b) rain           one of several

    Names of models need no folder and no extension; * stands for anything. docs/answers.md says more.
    """
    from comfyvn_store.ops.searching import search
    from comfyvn_store.ops.searching.grammar import BadQuery
    from comfyvn_store.ops.session import open_session

    output.require_text(*query)
    with open_session() as session:
        output.notes(session.notes)
        try:
            results = search(session, " ".join(query), limit=limit, order=order, with_past=with_past)
        except BadQuery as error:
            _point(error)
            raise
    if as_json:
        output.as_json({"total": results.total, "past": results.past, "found": results.found})
        return
    _show(results, with_past)


def _point(error: BadQuery) -> None:
    """Shows where in the query something is wrong."""
    line = " ".join(error.query.split("\n"))
    before = names.printable(line[: error.at])[-60:]
    behind = names.printable(line[error.at :])[:40]
    output.message(f"  {before}{behind}\n  {' ' * sum(map(_columns, before))}^")


def _columns(letter: str) -> int:
    import unicodedata

    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _show(results: Results, with_past: bool) -> None:
    from comfyvn_store.cli.reading import list_row

    output.table([_row(list_row(item), item) for item in results.found])
    if not results.total:
        output.line("nothing matches")
        if not with_past:
            output.hint("--history looks at versions of before as well")
        return
    shown = len(results.found)
    if shown < results.total:
        output.line(f"{shown} of {results.total} shown; --limit {results.total} shows all")
    else:
        output.line(f"{count(results.total, 'version' if with_past else 'asset')}")
    if shown:
        first = results.found[0]
        version = "" if first["current"] else f"{(first['commit'] or 'REV')[:10]}:"
        output.line(f"more of one: comfyvn-store show {version}{output.path(first['view'])}")


def _row(cells: tuple[str, ...], item: dict[str, Any]) -> tuple[str, ...]:
    if item["current"]:
        return cells
    commit = f", came with {item['commit'][:10]}" if item["commit"] else ""
    return (*cells[:-1], f"{output.path(item['view'])}  {output.dim(f'(not here now{commit})')}")
