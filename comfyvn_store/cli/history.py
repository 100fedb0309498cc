"""`log`, `undo`: what commands of ours took away or replaced, and bringing it back."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, Range, argument, command, option
from comfyvn_store.cli.output import count
from comfyvn_store.errors import UsageError

if TYPE_CHECKING:
    from comfyvn_store.ops.journal import Entry
    from comfyvn_store.ops.standing import Standing

_json = option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


_MOST_SKIPPED = 10


@command("log", short_help="what became of an asset; what undo can reverse")
@argument("name", metavar="[PATH|UID]", required=False, type=PATH)
@option("--operations", is_flag=True, help="List operations of comfyvn-store, newest first.")
@option("--limit", metavar="N", type=Range(1), help="At most so many.")
@option("--no-pixels", is_flag=True, help="Do not look at pixels, which takes a moment each.")
@_json
def log_command(name: str | None, operations: bool, limit: int | None, no_pixels: bool, as_json: bool) -> int:
    """Say what became of one asset, commit by commit, newest first: seed 42 to 77, a LoRA stronger, a licence given, how many
    pixels differ. Also of one that was deleted, by its path; earlier names are followed. HEAD, branches and tags are looked at.

    With --operations it lists what commands of comfyvn-store took away or replaced instead: gc --prune, drop, edit, remove,
    resolve, recover, uninstall, register --replace, annotate. Each line has the id for `comfyvn-store undo`, and says whether
    that can be undone (no remote is asked). Commits of the whole project are git's: see `git log`.
    """
    if name is not None and not operations:
        from comfyvn_store.cli.comparing import show_log

        return show_log(name, limit=limit, with_pixels=not no_pixels, as_json=as_json)
    if name is not None or not operations:
        raise UsageError(
            "log needs the path of an asset, or --operations",
            hint="`git log` shows commits; `comfyvn-store log --operations` what can be undone",
        )
    return _show_operations(limit, as_json)


def _show_operations(limit: int | None, as_json: bool) -> int:
    from comfyvn_store.errors import from_os_error
    from comfyvn_store.ops import journal, standing
    from comfyvn_store.vcs.repository import open_repository

    repository = open_repository()
    found = journal.listed(repository)[:limit]
    try:
        stand = standing.judge(repository, found)
    except OSError as error:
        raise from_os_error(error, "look at what can be undone") from error
    if as_json:
        output.as_json([{**entry.as_dict(), **_about(stand[entry.id])} for entry in found])
        return 0
    for entry in found:
        words = output.path(_words(entry, stand[entry.id]))
        output.line(f"{entry.id[-12:]}  {entry.at}  {output.path(entry.summary)}  {output.dim(f'({words})')}")
    if any(each.is_open for each in stand.values()):
        output.line("to undo one: comfyvn-store undo ID; without ID the newest that can be undone")
    if not found:
        output.line("no operations")
    return 0


def _about(stands: Standing) -> dict[str, str | None]:
    return {"standing": stands.kind, "reason": stands.reason}


def _words(entry: Entry, stands: Standing) -> str:
    from comfyvn_store.ops import standing

    if stands.is_open and entry.is_finished:
        return "can be done again" if entry.undoes else "can be undone"
    if stands.is_open:
        return "cut short: comfyvn-store undo puts things back"
    words = {
        standing.UNDONE: "taken back: it holds again" if entry.undoes else "undone",
        standing.FAILED: "failed, not done",
        standing.BLOCKED: f"not now: {stands.reason}",
        standing.PAST: f"cannot be undone any more: {stands.reason}",
    }
    if entry.undoes and not entry.before and not entry.is_finished and stands.kind == standing.PAST:
        return "cut short, not done"
    if entry.undoes and not entry.before and stands.kind == standing.PAST:
        return stands.reason or ""
    return words.get(stands.kind, f"not here: {stands.reason}")


@command("undo", short_help="reverse an operation")
@argument("operation", metavar="[ID]", required=False)
@option("-n", "--dry-run", is_flag=True, help="Only say what would be done.")
@_json
def undo_command(operation: str | None, dry_run: bool, as_json: bool) -> int:
    """Reverse an operation: the newest that can be, or the one with this id (`comfyvn-store log --operations`).

    Commits are never changed, and what was edited or staged since is never touched: undo is refused then, with the reason
    (exit 20); what you committed meanwhile is taken back as a change to be committed. What a later commit changed, or a
    merge settled, is passed over. An undo is an operation, too: naming its id does the
    thing again, but for gc, drop and uninstall: type those again.
    """
    from comfyvn_store.ops import undo

    skipped: list[tuple[Entry, str]] = []
    try:
        with closing(output.Progress()) as progress:
            done = undo.undo(
                operation, dry_run=dry_run, tell=lambda entry, why: skipped.append((entry, why)), progress=progress
            )
    finally:
        _show_skipped(skipped)
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
        output.note(output.path(note))
    if done.by and done.paths:
        # What an import takes in is not kept for an undo: the files are where they were.
        again = "run that import" if done.entry.made else f"comfyvn-store undo {done.by[-12:]}"
        output.line(f"to do it again: {again}")
    return 0


def _show_skipped(skipped: list[tuple[Entry, str]]) -> None:
    for entry, why in skipped[:_MOST_SKIPPED]:
        output.note(f"passed over {entry.id[-12:]}, {output.path(entry.summary)}: {output.path(why)}")
    if len(skipped) > _MOST_SKIPPED:
        output.note(f"passed over {len(skipped) - _MOST_SKIPPED} more that cannot be undone any more")
