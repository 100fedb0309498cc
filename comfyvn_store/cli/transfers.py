"""`push`, `pull`, `drop`, `sync`: moving the bytes of art to and from remotes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from comfyvn_store.base import names
from comfyvn_store.cli import output
from comfyvn_store.cli.bars import TransferBar
from comfyvn_store.cli.declaring import PATH, Range, argument, command, option
from comfyvn_store.cli.output import count
from comfyvn_store.errors import ComfyvnError

if TYPE_CHECKING:
    from comfyvn_store.ops.pull import Pulled
    from comfyvn_store.ops.push import Pushed
    from comfyvn_store.ops.session import Session
    from comfyvn_store.remotes.outcome import Outcome

# Of what is listed, so many lines.
_SHOWN = 20
_json = option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_jobs = option("--jobs", metavar="N", type=Range(1, 256), help="Move so many objects at once.")
_rate = option("--limit-rate", "rate", metavar="RATE", help="At most so many bytes a second, as in 500k or 2m.")
_dry_run = option("-n", "--dry-run", is_flag=True, help="Only say what would be done.")


_only = option("--remote", "remotes", metavar="NAME", multiple=True, help="Only this remote; several may be given.")


@command("push", short_help="send the bytes of art to remotes")
@argument("revisions", metavar="[REV]...", nargs=-1)
@_only
@_jobs
@_rate
@_dry_run
@_json
def push_command(
    revisions: tuple[str, ...],
    remotes: tuple[str, ...],
    jobs: int | None,
    rate: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Send the bytes of art to every remote that may be written to: all versions in the history of HEAD, or of what you name.

    \b
      comfyvn-store push                     everything that HEAD's history holds
      comfyvn-store push v1.0                everything that led to v1.0
      comfyvn-store push origin/main..HEAD   what your new commits brought

    What a remote holds already is not sent again. After `git push` this has been done: the pre-push hook does it.
    """
    from comfyvn_store.ops import push
    from comfyvn_store.vcs.repository import open_repository

    repository = open_repository()
    repository.require_initialised()
    opened = push.to_writable(repository, remotes, bytes_a_second(rate))
    with closing(TransferBar("sending")) as bar:
        chosen = push.wanted(repository, revisions)
        done = push.push(repository, chosen, opened, jobs=jobs, dry_run=dry_run, tell=bar)
    error = push.error_of(done)
    if as_json:
        return _answer({**done.as_dict(), "dry_run": dry_run}, error)
    if dry_run and not done.paths:
        output.line("no art to send")
    _show_pushed(done, dry_run)
    return ending(error)


def _show_pushed(done: Pushed, dry_run: bool) -> None:
    verb = "would send" if dry_run else "sent"
    for name, outcome in done.outcomes.items():
        if outcome.moved:
            there = f"; {len(outcome.there)} were there" if outcome.there else ""
            output.line(f"{name}: {verb} {_amount(outcome, dry_run)}{there}")
        elif not outcome.failed and not outcome.down:
            output.line(f"{name}: up to date ({count(len(outcome.there), 'object')})")
        for error in [*outcome.down.values(), *list(outcome.failed.values())[:1]]:
            output.line(f"{output.path(name)}: {output.bad(said_of(name, error))}")
        if outcome.absent:
            output.line(f"{name}: {count(len(outcome.absent), 'object')} neither here nor there")


@command("pull", short_help="fetch the bytes of art that are not here")
@argument("targets", metavar="[PATH]...", nargs=-1, type=PATH)
@option("--rev", "revision", metavar="REV", help="What a revision holds, or every version that a range A..B brought.")
@option("--all", "whole", is_flag=True, help="Every version in the history of HEAD (or of --rev), for a backup.")
@option("--type", "type_", metavar="T", help="Only this type.")
@_only
@_jobs
@_rate
@_dry_run
@_json
def pull_command(
    targets: tuple[str, ...],
    revision: str | None,
    whole: bool,
    type_: str | None,
    remotes: tuple[str, ...],
    jobs: int | None,
    rate: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Fetch the bytes of art that are not here: of everything you see, of the files and folders you name, or of another
    revision.

    An interrupted pull goes on where it stopped. Every byte is checked; what a remote gives wrongly is put aside and
    asked of the next one.
    """
    from comfyvn_store.ops.session import open_session

    if type_ is not None:
        output.require_text(type_)
    with open_session() as session:
        output.notes(session.notes)
        done = pull_with_bar(
            session,
            targets,
            revision=revision,
            whole=whole,
            type_=type_,
            names=remotes,
            jobs=jobs,
            rate=bytes_a_second(rate),
            dry_run=dry_run,
        )
    error = pull_error(done)
    if as_json:
        return _answer({**done.as_dict(), "dry_run": dry_run}, error)
    show_pulled(done)
    return ending(error)


def pull_with_bar(session: Session, targets: tuple[str, ...] = (), **options: Any) -> Pulled:
    """Pulls and draws how far it is."""
    from comfyvn_store.ops import pull

    with closing(TransferBar("fetching")) as bar:
        return pull.pull(session, targets, tell=bar, **options)


def pull_error(done: Pulled) -> ComfyvnError | None:
    """Gives the error that a pull ends with."""
    from comfyvn_store.ops import moving

    return moving.fetch_error(done.outcome, done.paths, done.asked)


def show_pulled(done: Pulled) -> None:
    """Says what a pull did."""
    outcome = done.outcome
    if done.plan is not None:
        by_remote: dict[str, int] = {}
        for name in done.plan.values():
            by_remote[name] = by_remote.get(name, 0) + 1
        for name, number in by_remote.items():
            output.line(f"would fetch {count(number, 'object')} from {output.path(name)}")
        if done.plan:
            output.line(f"{output.size(outcome.bytes)} in all")
    elif outcome.moved:
        output.line(f"fetched {_amount(outcome, False)}")
    for each in outcome.quarantined:
        output.line(f"{output.bad('wrong bytes')} from {output.path(each.remote)}, put aside: {output.path(each.path)}")
    for name, error in outcome.down.items():
        if not done.missing:
            output.note(f"remote '{name}' was not reached: {names.printable(error.message)}")
    if not outcome.moved and not done.missing and not done.plan:
        output.line(f"everything is here ({count(len(outcome.there), 'object')})")


@command("drop", short_help="remove bytes from here that remotes hold")
@argument("targets", metavar="PATH...", nargs=-1, required=True, type=PATH)
@option("--copies", metavar="N", type=Range(1, 64), default=1, help="Only what so many remotes hold (1).")
@_only
@option("--verify", is_flag=True, help="Read every byte from the remotes; of folders that is done anyway.")
@option("-f", "--force", is_flag=True, help="In a shared store: also what other clones have checked out.")
@_dry_run
@_json
def drop_command(
    targets: tuple[str, ...],
    copies: int,
    remotes: tuple[str, ...],
    verify: bool,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Remove the bytes of files or folders from this store to free space, once remotes have proved that they hold them.

    The links and sidecars stay, and `comfyvn-store pull PATH` brings the bytes back. What is not committed, not on enough
    remotes, or was written to stays, and is named; the command ends with 20 then.
    """
    from comfyvn_store.ops import drop
    from comfyvn_store.ops.session import open_session

    with open_session() as session:
        output.notes(session.notes)
        done = drop.drop(session, targets, copies=copies, only=remotes, verify=verify, force=force, dry_run=dry_run)
    error = drop.error_of(done)
    if as_json:
        return _answer({**done.as_dict(), "dry_run": dry_run}, error)
    verb = "would drop" if dry_run else "dropped"
    if done.dropped:
        output.line(f"{verb} {count(len(done.dropped), 'object')}, {output.size(done.bytes)}")
    elif not done.kept:
        output.line("nothing to drop: the bytes are not here")
    rows = [
        (output.bad("kept"), output.path(done.paths[hash_][0]), names.printable(why))
        for hash_, why in done.kept.items()
    ]
    output.table(rows[:_SHOWN])
    if len(rows) > _SHOWN:
        output.line(f"... and {len(rows) - _SHOWN} more")
    return ending(error)


@command("sync", short_help="git pull, pull, push, git push")
@_jobs
@_rate
@_json
def sync_command(jobs: int | None, rate: str | None, as_json: bool) -> int:
    """Bring yourself and your team to the same state: git pull, pull, push, git push.

    Stops where git stops, and can then be run again. Without a git remote it only exchanges the bytes of art.
    """
    from comfyvn_store.cli.locks import say_lost
    from comfyvn_store.ops import locks, push, sync
    from comfyvn_store.ops.session import open_session
    from comfyvn_store.vcs.repository import open_repository

    repository = open_repository()
    repository.require_initialised()
    has_git = sync.git_remote(repository) is not None
    speed = bytes_a_second(rate)
    if has_git:
        sync.git_pull(repository, quiet=as_json)
        say_lost(locks.contact(repository).lost)
    with open_session() as session:
        output.notes(session.notes)
        pulled = pull_with_bar(session, jobs=jobs, rate=speed)
    error = pull_error(pulled)
    if not as_json:
        show_pulled(pulled)
    opened = push.to_writable(open_repository(), (), speed)
    pushed = None
    if opened:
        with closing(TransferBar("sending")) as bar:
            pushed = push.push(repository, push.wanted(repository, ()), opened, jobs=jobs, tell=bar)
        # Old versions that are nowhere are no reason to keep new commits back; the pre-push hook sees to those.
        error = push.error_of(pushed, needs_all=False) or error
        if not as_json:
            _show_pushed(pushed, False)
    if has_git:
        sync.git_push(repository, quiet=as_json)
    if as_json:
        return _answer({"pull": pulled.as_dict(), "push": pushed.as_dict() if pushed else None}, error)
    return ending(error)


def bytes_a_second(text: str | None) -> int | None:
    """Reads a rate as people type it. Raises UsageError."""
    from comfyvn_store.vcs import settings

    return settings.number("--limit-rate", text, 1, 1 << 50)


def said_of(name: str, error: ComfyvnError) -> str:
    """Gives what a remote's error says, without naming the remote twice."""
    return names.printable(error.message.replace(f" (remote '{name}')", "").removeprefix(f"remote '{name}': "))


def _amount(outcome: Outcome, is_plan: bool) -> str:
    what = f"{count(len(outcome.moved), 'object')}, {output.size(outcome.bytes)}"
    if is_plan or outcome.seconds < 0.05:
        return what
    return f"{what} in {outcome.seconds:.1f} s ({output.size(int(outcome.bytes / outcome.seconds))}/s)"


def _answer(found: Mapping[str, Any], error: ComfyvnError | None) -> int:
    """Prints the result as JSON, with what went wrong in it; gives the exit code."""
    said = {"error": error.slug, "message": error.message, "hint": error.hint} if error else {"error": None}
    output.as_json({**found, **said})
    if error:
        output.error(names.printable(error.message), error.hint)
    return error.exit_code if error else 0


def ending(error: ComfyvnError | None) -> int:
    """Says what went wrong after the result; gives the exit code."""
    if error is None:
        return 0
    sys.stdout.flush()
    output.error(names.printable(error.message), names.printable(error.hint) if error.hint else None)
    return error.exit_code
