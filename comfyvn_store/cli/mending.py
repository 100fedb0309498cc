"""`recover`: what puts things right after somebody wrote where nobody should."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, argument, command, option
from comfyvn_store.cli.output import count

if TYPE_CHECKING:
    from comfyvn_store.ops import recover


@command("recover", short_help="undo a program's writing through a link, keeping what it wrote")
@argument("paths", metavar="PATH...", nargs=-1, required=True, type=PATH)
@option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def recover_command(paths: tuple[str, ...], as_json: bool) -> int:
    """Make what a program wrote through a link a new version, and bring the old bytes back; a folder means all art in it
    that is damaged or missing.

    The edited bytes are staged as a new version of PATH, but not what is merely cut short: that is damage, and is kept in
    quarantine. The old ones are looked for beside the object, in the store's
    quarantine and trash, in all work trees, in the stores of git remotes that are folders and of repositories that git
    borrows from, and in git itself. An object that is merely missing is brought back in the same way. Ends with 12 if
    no copy of the old bytes was found.
    """
    from comfyvn_store.errors import ObjectMissing
    from comfyvn_store.ops import recover
    from comfyvn_store.ops.session import open_session

    with open_session() as session:
        output.notes(session.notes)
        found = recover.recover(session, paths)
    lost = [item for item in found if item.state == recover.LOST]
    if as_json:
        output.as_json([item.as_dict() for item in found])
    else:
        for item in found:
            _print(item)
        if not found:
            output.line("nothing there is damaged or missing")
        if any(item.new for item in found):
            output.line(f"{count(sum(1 for item in found if item.new), 'new version')} staged; now: git commit")
    if not lost:
        return 0
    uids = list(dict.fromkeys(item.hash[:16] for item in lost))
    which = ", ".join(uids) if len(uids) <= 4 else f"{len(uids)} objects"
    output.error(
        f"no copy of {which} was found anywhere",
        f"copy {'it' if len(uids) == 1 else 'them'} from a colleague's store into yours",
    )
    return ObjectMissing.exit_code


def _print(item: recover.Recovered) -> None:
    from comfyvn_store.ops import recover

    view, uid = output.path(item.view), item.hash[:16]
    if item.state == recover.WHOLE:
        output.line(f"{view} is not damaged")
        for note in item.notes:
            output.line(f"    {note}")
        if item.quarantine:
            output.line(f"    what was once written through it is kept in {output.path(item.quarantine)}")
        return
    if item.new:
        output.line(f"{output.good('kept')} {view}: what was written is the new version {item.new[:16]}")
    if item.state == recover.RECOVERED:
        output.line(f"{output.good('recovered')} {view}: {uid} is back, from {output.path(item.copy or '')}")
    else:
        output.line(f"{output.bad('lost')} {view}: {uid} is nowhere to be found")
    for note in item.notes:
        output.line(f"    {note}")
    if item.quarantine:
        output.line(f"    the damaged object is kept in {output.path(item.quarantine)}")
    if item.others:
        output.line(f"    the same bytes are at {', '.join(map(output.path, item.others))}")
    if item.state == recover.LOST and item.commits:
        output.line(
            f"    they stand in {count(len(item.commits), 'commit')}: {', '.join(c[:10] for c in item.commits[:8])}"
        )
