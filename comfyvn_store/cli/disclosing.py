"""`disclose`, also called `credits`: what ships, and what of it is not known."""

from __future__ import annotations

import os
import shlex
from contextlib import closing
from typing import TYPE_CHECKING

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, Choice, argument, command, option
from comfyvn_store.cli.output import count

if TYPE_CHECKING:
    from comfyvn_store.ops.disclosing import Report

_FORMATS = ("markdown", "json", "csv")
_WORDS = {
    "license": ("no licence is given for", "comfyvn-store annotate {} --license NAME"),
    "origin": (
        "nobody says whether it was generated:",
        "comfyvn-store annotate {} --meta generated=true|false",
    ),
    "contradiction": (
        "a person says it was not generated, its own metadata say it was:",
        "comfyvn-store annotate {} --meta generated=",
    ),
    "origin only inferred": (
        "only inferred to be generated, from a version before it:",
        "comfyvn-store annotate {} --meta generated=true|false",
    ),
    "no asset": ("not in the store, so nothing is known of", "git add --renormalize {}"),
}


@command("disclose", short_help="what ships in a revision: generated or not, with what, whose, under which licence")
@argument("revision", metavar="[REV]", default="HEAD")
@option("--format", "form", type=Choice(*_FORMATS), default="markdown", show_default=True, help="The form.")
@option("-o", "--output", "place", metavar="FILE", type=PATH, help="Write it to a file.")
@option("--strict", is_flag=True, help="End with 1 if licence or origin of anything is not known; says what.")
@option("--json", "as_json", is_flag=True, help="The same as --format json.")
def disclose_command(revision: str, form: str, place: str | None, strict: bool, as_json: bool) -> int:
    """Report what ships in a revision (HEAD, a tag, any commit), from its own tree: each asset, whether it was generated, with
    which program, model and LoRAs, its licence, who brought it and who changed it, and what the file states of itself.

    Something counts as generated where its own metadata or its C2PA manifest say so, or a person; as not generated only where
    a person says so: comfyvn-store annotate FILE --meta generated=false. All else is "not stated".

    A file that is there is replaced only if it is a report, too.
    """
    from comfyvn_store.ops import disclosing
    from comfyvn_store.ops.disclosing import writing
    from comfyvn_store.ops.session import open_session

    output.require_text(revision)
    with open_session() as session:
        output.notes(session.notes)
        with closing(output.Progress()) as progress:
            report = disclosing.disclose(session, revision, progress)
    form = "json" if as_json else form
    if place is not None:
        writing.write(place, writing.text(report, form).encode("utf-8", "backslashreplace"))
        output.note(f"{count(len(report.assets), 'asset')} of {report.commit[:10]} in {output.path(place)}")
    elif form == "json":
        output.as_json(report.as_dict())
    else:
        output.raw(writing.text(report, form))
    if strict or form == "markdown":
        _show_missing(report, strict)
    return 1 if strict and report.unknown else 0


credits_command = disclose_command._replace(name="credits", short_help="the same as disclose")


def _show_missing(report: Report, strict: bool) -> None:
    """Says on standard error what is not known, and what to type about it."""
    from comfyvn_store.ops.disclosing import missing

    for what, paths in missing(report).items():
        words, command = _WORDS[what]
        shown = paths[:20] if strict else paths[:1]
        listed = ", ".join(f"'{output.path(path)}'" for path in shown)
        more = f" and {len(paths) - len(shown)} more" if len(paths) > len(shown) else ""
        text = f"{words} {listed}{more}"
        if strict:
            output.error(text, command.format(_typed(paths[0])))
        else:
            output.note(f"{text}; {command.format(_typed(paths[0]))}")


def _typed(path: str) -> str:
    """Gives a path as it can be typed in a shell, from the folder where one stands."""
    return shlex.quote(output.path(path)) if path.isprintable() or os.sep != "/" else "FILE"
