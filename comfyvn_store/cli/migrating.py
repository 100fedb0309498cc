"""`migrate`, and the history of `uninstall`."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import Choice, argument, command, option
from comfyvn_store.cli.output import count

if TYPE_CHECKING:
    from comfyvn_store.ops.migrate.outcome import Migrated, Rewrite

_SHOWN = 20
_PUSH = "to publish it: git push --force-with-lease --all && git push --force --tags; everybody else clones again"


@command("migrate", short_help="take over art from Git LFS, git-annex, DVC or git itself")
@argument("kind", type=Choice("lfs", "annex", "dvc", "raw"))
@argument("paths", nargs=-1, metavar="[PATH]...")
@option("--history", is_flag=True, help="Rewrite all branches and tags, too.")
@option("--remove-cache", is_flag=True, help="Remove the other program's own files of what is in the store then.")
@option("--dry-run", is_flag=True, help="Only say what would be done.")
@option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def migrate_command(
    kind: str, paths: tuple[str, ...], history: bool, remove_cache: bool, dry_run: bool, as_json: bool
) -> int:
    """Take over art that Git LFS, git-annex or DVC keeps, or git itself (raw), without a second copy of its bytes.

    Everything at or below the assets root, or PATH, becomes a link with a sidecar: staged, for you to look at and commit.
    What lies elsewhere is named and left. With --history all commits of all branches and tags are made anew; the old ones
    are kept below refs/comfyvn/before-migration/, and a file maps old ids to new ones.

    \b
      comfyvn-store migrate lfs --dry-run     see what there is
      comfyvn-store migrate lfs               the files as they are now
      comfyvn-store migrate raw --history     art out of the whole history
    """
    from comfyvn_store.ops import migrate
    from comfyvn_store.ops.session import open_session

    with open_session() as session:
        output.notes(session.notes)
        with closing(output.Progress()) as progress:
            done = migrate.migrate(
                session,
                kind,
                paths,
                history=history,
                is_trial=dry_run,
                clears_cache=remove_cache,
                progress=progress,
            )
    if as_json:
        output.as_json(done.as_dict())
    else:
        _show(done)
    return 1 if done.left or done.missing or done.kept or done.damaged else 0


def _show(done: Migrated) -> None:
    here = [item for item in done.files if item.how != "missing"]
    verb = "would become" if done.is_trial else "became"
    of = "version" if done.rewrite is not None else "file"
    size = output.size(sum(item.bytes or 0 for item in here))
    output.line(f"{count(len(done.files), of)} {verb} {'an asset' if len(done.files) == 1 else 'assets'} ({size})")
    copied = sum(1 for item in here if item.how == "copied")
    if copied and done.kind != "raw":
        why = "other names lead to them" if copied > 1 else "another name leads to it"
        whose = (
            "they are another user's or on another disk" if copied > 1 else "it is another user's or on another disk"
        )
        output.line(f"  {count(copied, of)} {'would have' if done.is_trial else 'had'} to be copied: {why}, or {whose}")
    _list("adapted", done.adapted)
    _list("edited, so the file stays as it is beside what is staged", done.kept)
    _list(f"the link is made, the bytes are not here (`{done.fetch}`, or `comfyvn-store pull`)", done.missing)
    _list("not what its name says, and not used", done.damaged)
    if done.left:
        output.line(f"left as {'it is' if len(done.left) == 1 else 'they are'}:")
        for left in done.left[:_SHOWN]:
            output.line(f"    {output.path(left.path)}: {output.path(left.reason)}")
        _more(len(done.left))
        for hint in dict.fromkeys(left.hint for left in done.left if left.hint):
            output.hint(hint)
    if done.cache:
        output.line(
            f"{count(done.cache, 'file')} of the other program removed; the store keeps the bytes until "
            f"`comfyvn-store keep --remove 'migrate {done.kind}: cache removed'`"
        )
    if done.rewrite is not None:
        show_rewrite(done.rewrite)
    elif done.files and not done.is_trial:
        output.line("All of it is staged. To keep it: git commit")


def show_rewrite(done: Rewrite) -> None:
    """Prints what became of a history."""
    if done.map is None:
        output.line(f"{count(done.commits, 'commit and tag', 'commits and tags')} in history")
        return
    output.line(f"{done.changed} of {count(done.commits, 'commit and tag', 'commits and tags')} are made anew")
    if done.signatures:
        output.line(f"  {count(done.signatures, 'signature')} dropped: they held for the old bytes")
    output.line(f"  old and new ids: {done.map}")
    output.line(f"  the old history: {done.backup}")
    output.line(_PUSH)


def _list(title: str, paths: list[str]) -> None:
    if not paths:
        return
    output.line(f"{title}:")
    for path in paths[:_SHOWN]:
        output.line(f"    {output.path(path)}")
    _more(len(paths))


def _more(total: int) -> None:
    if total > _SHOWN:
        output.line(f"    ... and {total - _SHOWN} more")
