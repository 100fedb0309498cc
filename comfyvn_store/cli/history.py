"""`log`, `undo`: what commands of ours took away or replaced, and bringing it back."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from comfyvn_store.cli import output
from comfyvn_store.cli.output import count

if TYPE_CHECKING:
    from comfyvn_store.ops.journal import Entry

_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.command("log", short_help="the operations that undo can reverse")
@click.option("--operations", is_flag=True, help="List operations, newest first.")
@click.option("--limit", metavar="N", type=click.IntRange(1, 1000), help="At most so many.")
@_json
def log_command(operations: bool, limit: int | None, as_json: bool) -> int:
    """List what commands of comfyvn-store took away or replaced: gc --prune, drop, edit, remove, resolve, recover, uninstall,
    register --replace, and annotate of several assets. Commits are git's: see `git log`.
    """
    from comfyvn_store.ops import journal
    from comfyvn_store.vcs.repository import open_repository

    if not operations:
        raise click.UsageError(
            "without --operations there is nothing to list\n"
            "`git log` shows commits; `comfyvn-store log --operations` what can be undone"
        )
    repository = open_repository()
    found = journal.listed(repository)[:limit]
    if as_json:
        output.as_json([entry.as_dict() for entry in found])
        return 0
    for entry in found:
        state = _state(entry)
        output.line(
            f"{entry.id[-12:]}  {entry.at}  {output.path(entry.summary)}" + (f"  {output.dim(state)}" if state else "")
        )
    if not found:
        output.line("no operations")
    return 0


def _state(entry: Entry) -> str:
    if entry.undone_by:
        return "(undone)"
    return "" if entry.is_finished else "(cut short: comfyvn-store undo puts things back)"


@click.command("undo", short_help="reverse an operation")
@click.argument("operation", metavar="[ID]", required=False)
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be done.")
@_json
def undo_command(operation: str | None, dry_run: bool, as_json: bool) -> int:
    """Reverse an operation: the newest that is not reversed yet, or the one with this id (`comfyvn-store log --operations`).

    Commits are never changed, and what was edited or staged since is never touched: undo is refused then, with the reason
    (exit 20). An undo is an operation, too: naming its id does the thing again.
    """
    from comfyvn_store.ops import undo

    with closing(output.Progress()) as progress:
        done = undo.undo(operation, dry_run=dry_run, progress=progress)
    if as_json:
        output.as_json({**done.as_dict(), "dry_run": dry_run})
        return 0
    output.line(f"{'would undo' if dry_run else 'undone'}: {output.path(done.entry.summary)} ({done.entry.at})")
    output.table([(output.path(path),) for path in done.paths[:20]], indent="    ")
    if len(done.paths) > 20:
        output.line(f"    ... and {len(done.paths) - 20} more")
    if done.objects:
        output.line(f"    {count(len(done.objects), 'object')} {'would come' if dry_run else 'came'} back")
    for note in done.notes:
        output.note(note)
    if done.by and done.paths:
        output.line(f"to do it again: comfyvn-store undo {done.by[-12:]}")
    return 0
