"""`export`: what is needed to build a game out of a repository."""

from __future__ import annotations

from contextlib import closing

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, argument, command, option
from comfyvn_store.cli.output import count


@command("export", short_help="write a plain tree, for a build of the game")
@argument("folder", metavar="DIR", type=PATH)
@option("--rev", "revision", metavar="REV", default="HEAD", show_default=True, help="The revision to write.")
@option("--sidecars", is_flag=True, help="Write the sidecars, too.")
@option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def export_command(folder: str, revision: str, sidecars: bool, as_json: bool) -> None:
    """Write a revision as a plain tree, for a build of the game.

    Art is ordinary files there, whose bytes were checked; sidecars, .comfyvnconfig and the attributes of the assets root are
    left out. Everything else is as git archive gives it, line ends and export-ignore included. DIR must not be there, or
    be empty; it is whole or not there. Ends with 12 or 13, naming the files, if bytes are missing or damaged.
    """
    from comfyvn_store.ops import export
    from comfyvn_store.ops.session import open_session

    output.require_text(revision)
    with open_session() as session:
        output.notes(session.notes)
        with closing(output.Progress()) as progress:
            done = export.export(session, folder, revision=revision, sidecars=sidecars, progress=progress)
    if as_json:
        output.as_json(done._asdict())
        return
    output.line(
        f"{output.good('exported')} {done.commit[:10]} to {output.path(folder)}: {count(done.files, 'file')}, "
        f"{done.assets} of them art, {output.size(done.bytes)}"
    )
