"""`whence`: the asset that a file is, or was made from."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, Range, argument, command, option
from comfyvn_store.cli.output import count

if TYPE_CHECKING:
    from comfyvn_store.ops.whence import Answer

_WORDS: Final = {
    "hash": "the same bytes",
    "source hash": "the same bytes, but for the marker",
    "pixels": "the same decoded pixels",
    "samples": "the same decoded samples",
    "metadata": "it carries the same settings",
    "marker": "its marker names it, but the bytes were changed since",
    "perceptual": "it looks alike",
}
_MOST_LATER: Final = 3


@command("whence", short_help="which asset a file is, or was made from")
@argument("name", metavar="FILE", type=PATH)
@option("--limit", metavar="N", type=Range(1, 100), default=5, help="Show at most so many versions.")
@option("--no-fill", is_flag=True, help="Make no fingerprints that are missing.")
@option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def whence_command(name: str, limit: int, no_fill: bool, as_json: bool) -> int:
    """Say which asset a file is or was made from: a screenshot, a JPEG from a chat, a copy that was painted over, a version of
    last year. FILE is any file, in the repository or not, or - for standard input, or an asset by its names.

    Asked for, from the surest to the least sure: the same bytes, the bytes before they were marked, the same decoded pixels
    (these are facts); the same settings, the same look (these are inferred, and say how far it is). Each match names path,
    commit, author, generator, and versions that came later. All of history is looked at; what was not yet, the first time.

    Ends with 0 if something was found, 1 if nothing was, 2 if FILE cannot be read.
    """
    from comfyvn_store.ops import whence

    with closing(output.Progress()) as progress:
        answer = whence.whence(name, limit=limit, fill=not no_fill, progress=progress)
    output.notes(answer.notes)
    if as_json:
        output.as_json(answer.as_dict())
    elif answer.matches:
        _print(answer)
    else:
        _print_nothing(answer)
    return 0 if answer.matches else 1


def _print(answer: Answer) -> None:
    for number, match in enumerate(answer.matches):
        if number:
            output.line()
        output.line(f"{output.strong(output.path(match['view']))}  {match['uid']}")
        output.table([*_how_rows(match), *_commit_rows(match), *_state_rows(match)], indent="    ")
    if answer.more:
        output.line(f"\n... and {count(answer.more, 'more match', 'more matches')} (--limit)")
    _print_next(answer.matches[0])


def _how_rows(match: Mapping[str, Any]) -> list[tuple[str, str]]:
    words = _WORDS[match["how"]]
    if match.get("equal"):
        shown = [key.replace("workflow_hash", "workflow") for key in match["equal"]]
        words += f" ({', '.join(output.path(key) for key in shown[:6])}{', ...' if len(shown) > 6 else ''})"
    if match.get("flipped"):
        words += ", mirrored"
    if match.get("distance") is not None:
        words += f", distance {match['distance']:.2f}"
    return [(match["basis"], words)]


def _commit_rows(match: Mapping[str, Any]) -> list[tuple[str, str]]:
    from comfyvn_store.cli.reading import inferred_rows, record_rows

    record = match["provenance"]
    line = (match["author"], match["date"], match["subject"] or "") if match["author"] else None
    if record is None:
        return [("commit", output.commit(match["commit"], "unknown")), ("provenance", "no record")]
    return [*record_rows(record, line, set()), *inferred_rows(match.get("inferred"))]


def _state_rows(match: Mapping[str, Any]) -> list[tuple[str, str]]:
    at_head = [output.path(path) for path in match["at_head"]]
    if at_head:
        now = "yes" if at_head == [output.path(match["view"])] else ", ".join(at_head)
    else:
        now = "no, other bytes since" if any(each["at_head"] for each in match["later"]) else "no"
    rows = [("in HEAD", now)]
    if not match["present"]:
        rows.append(("object", output.bad("not in the store") + ": comfyvn-store pull"))
    for each in match["later"][:_MOST_LATER]:
        commit = output.commit(each["commit"], "not committed")
        about = f", {output.path(each['author'])}, {each['date']}" if each["author"] else ""
        rows.append(("later", f"{each['uid']}  {commit}{about}"))
    if len(match["later"]) > _MOST_LATER:
        rows.append(("later", f"... and {len(match['later']) - _MOST_LATER} more"))
    return rows


def _print_next(match: Mapping[str, Any]) -> None:
    path = output.path(match["view"])
    if match["later"] or not match["at_head"]:
        output.line(f"all its versions: comfyvn-store provenance {path}")
    else:
        output.line(f"all about it: comfyvn-store show {path}")


def _print_nothing(answer: Answer) -> None:
    output.line("nothing in this repository's history is that file, or looks like it")
    if answer.why:
        output.line(f"it was not compared: {output.path(answer.why)}")
    elif answer.compared:
        output.line(f"it was compared with {count(answer.compared, 'object')}")
    if answer.unseen:
        output.line(
            f"{count(answer.unseen, 'object')} of history could not be looked at; comfyvn-store pull fetches bytes"
        )
    output.line("what it says of itself: comfyvn-store read FILE")
