"""`lock`, `unlock`, `locks`: who is changing which picture."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, argument, command, option
from comfyvn_store.cli.output import count

if TYPE_CHECKING:
    from comfyvn_store.errors import ComfyvnError
    from comfyvn_store.ops.locks import Answer, Listing, Result, Row
    from comfyvn_store.vcs.lockrecord import Lock
    from comfyvn_store.vcs.locks import Lost

_json = option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
_remote = option("--remote", metavar="NAME", help="The git remote to exchange locks with (default: the upstream's).")


@command("lock", short_help="say that you are changing a picture")
@argument("paths", metavar="PATH...", nargs=-1, required=True, type=PATH)
@option("--for", "for_", metavar="TIME", default="7d", help="How long: 30m, 12h, 3d, 2w, never (default: 7d).")
@option("--all-branches", is_flag=True, help="On every branch, not only on the one you are on.")
@option("--note", metavar="TEXT", help="A line for the others: why, or when you are done.")
@option("--force", is_flag=True, help="Take over what others have locked.")
@_remote
@_json
def lock_command(
    paths: tuple[str, ...],
    for_: str,
    all_branches: bool,
    note: str | None,
    force: bool,
    remote: str | None,
    as_json: bool,
) -> int:
    """Say that you are changing a picture, so that nobody else does meanwhile: two versions cannot be merged.

    PATH is an asset, a file that is still to be made, or a folder with all that is in it. A lock is advice: others are
    warned when they edit, register, commit or push it on this branch. Ends with 1 if somebody else has one of them locked.
    """
    from comfyvn_store.ops import lfslocks, locks, lockwords
    from comfyvn_store.ops.session import open_session

    seconds = lockwords.duration(for_)
    output.require_text(*filter(None, (note,)))
    with open_session() as session, lfslocks.of(session.repository) as server:
        output.notes(session.notes)
        done = locks.lock(
            session.repository,
            lockwords.targets(session, paths),
            seconds=seconds,
            all_branches=all_branches,
            note=note,
            force=force,
            remote=remote,
            server=server,
        )
    return _answer(done, as_json, "take it over")


@command("unlock", short_help="give up a lock")
@argument("paths", metavar="PATH...", nargs=-1, required=True, type=PATH)
@option("--branch", metavar="NAME", help="On this branch, not on the one you are on.")
@option("--all-branches", is_flag=True, help="On every branch.")
@option("--force", is_flag=True, help="Take away what others have locked, too.")
@_remote
@_json
def unlock_command(
    paths: tuple[str, ...], branch: str | None, all_branches: bool, force: bool, remote: str | None, as_json: bool
) -> int:
    """Give up your locks of pictures, and of all that is in a folder. Ends with 1 if a lock is not yours, or elsewhere."""
    from comfyvn_store.errors import UsageError
    from comfyvn_store.ops import lfslocks, locks, lockwords
    from comfyvn_store.ops.session import open_session

    if branch is not None and all_branches:
        raise UsageError("--branch and --all-branches exclude each other")
    with open_session() as session, lfslocks.of(session.repository) as server:
        output.notes(session.notes)
        done = locks.unlock(
            session.repository,
            lockwords.targets(session, paths),
            branch=branch,
            all_branches=all_branches,
            force=force,
            remote=remote,
            server=server,
        )
    return _answer(done, as_json, "take it away")


@command("locks", short_help="list who is changing what")
@option("--all", "expired", is_flag=True, help="Show locks that have expired, too.")
@option("--offline", is_flag=True, help="Ask no remote; show what is known here.")
@_remote
@_json
def locks_command(expired: bool, offline: bool, remote: str | None, as_json: bool) -> None:
    """List the locks, one a line: path, branch, whose, since when, until when, and the note.

    Asks the git remote first, and tells it of locks that were made while it could not be reached.
    """
    from comfyvn_store.ops import lfslocks, locks
    from comfyvn_store.vcs.repository import open_repository

    repository = open_repository()
    repository.require_initialised()
    with lfslocks.of(repository) as server:
        found = locks.listing(repository, expired=expired, offline=offline, remote=remote, server=server)
    if as_json:
        output.as_json(_listing_dict(found))
    else:
        _print_listing(found)
    say_lost(found.lost)
    output.notes(found.notes)
    if found.ignored:
        output.note(f"{count(found.ignored, 'file')} in refs/comfyvn/locks cannot be read as locks")
    _say_problem(found.remote, found.problem, "the list may be old")


# -- answers of lock and unlock ------------------------------------------------------------------------------------


def _answer(done: Result, as_json: bool, by_force: str) -> int:
    """Prints what became of each path; gives the exit status."""
    refused = [answer for answer in done.answers if answer.state in ("held", "elsewhere")]
    if as_json:
        output.as_json(_result_dict(done))
    else:
        output.table([_row(answer) for answer in done.answers if answer not in refused])
    say_lost(done.lost)
    for answer in refused:
        _refuse(answer, by_force)
    output.notes(done.notes)
    if done.unshared:
        if done.remote is None:
            output.note("not shared: there is no git remote to exchange locks with")
        else:
            _say_problem(done.remote, done.problem, "not shared yet")
            output.hint("the next `comfyvn-store locks` shares it")
    return 1 if refused or done.lost else 0


def _row(answer: Answer) -> tuple[str, ...]:
    from comfyvn_store.vcs.lockrecord import described, moment

    state = output.good(answer.state) if answer.state not in ("kept", "not locked") else answer.state
    lock = answer.lock
    if lock is None:
        said = ", ".join(f"was {described(each)}" for each in answer.others[:3]) if answer.others else ""
        return (state, output.path(answer.path), said)
    until = f"until {moment(lock.expires_at)}" if lock.expires_at else "for good"
    where = f"on {output.path(lock.branch)}" if lock.branch else "on all branches"
    said = f"{where} {until}"
    if answer.state == "kept":
        said += ", as before"
    if answer.state == "taken over":
        said += "".join(f", from {described(each)}" for each in answer.others)
    return (state, output.path(answer.path), said)


def _refuse(answer: Answer, by_force: str) -> None:
    """Says why a path was left as it is, and what can be done."""
    from comfyvn_store.vcs.lockrecord import described, is_within

    for lock in answer.others:
        if is_within(lock.path, answer.path):
            words = f"'{output.path(lock.path)}' is locked by {described(lock)}"
        else:
            words = (
                f"'{output.path(answer.path)}' is locked with all of '{output.path(lock.path)}' by {described(lock)}"
            )
        if answer.state == "held":
            output.error(words, f"ask them; --force would {by_force}")
        elif lock.path == answer.path and lock.branch is not None:
            command = f"comfyvn-store unlock --branch {shlex.quote(lock.branch)} {shlex.quote(lock.path)}"
            output.error(words, f"for that branch: {output.path(command)}")
        else:
            output.error(words, f"unlock what was locked: comfyvn-store unlock {output.path(shlex.quote(lock.path))}")


def say_lost(lost: Iterable[Lost]) -> None:
    """Warns of locks of one's own that somebody else's put out of force."""
    from comfyvn_store.vcs.lockrecord import described

    for each in lost:
        output.warning(
            f"your lock of '{output.path(each.lock.path)}' is void: '{output.path(each.winner.path)}' is locked by "
            f"{described(each.winner)}"
        )
        output.hint("ask them before you go on; two versions of a picture cannot be merged")


def _say_problem(remote: str | None, problem: ComfyvnError | None, effect: str) -> None:
    if problem is not None:
        output.note(f"{effect}: {output.path(problem.message)}")
        if problem.hint:
            output.hint(output.path(problem.hint))


# -- the list ------------------------------------------------------------------------------------------------------


def _print_listing(found: Listing) -> None:
    has_server = any(row.server for row in found.rows) or bool(found.only_on_server)
    rows = [_listed(row, found.remote is not None, has_server) for row in found.rows]
    for each in found.only_on_server:
        cells = (each.path, each.branch or "*", each.owner, each.locked_at, "")
        rows.append((*map(output.path, cells), "on the server only", ""))
    output.table(rows)
    if not rows:
        output.line("no locks")


def _listed(row: Row, has_remote: bool, has_server: bool) -> tuple[str, ...]:
    from comfyvn_store.vcs.lockrecord import moment

    lock = row.lock
    until = f"until {moment(lock.expires_at)}" if lock.expires_at else "for good"
    marks = [] if row.is_live else ["expired"]
    if has_remote and not row.is_shared:
        marks.append("not shared yet")
    cells = (
        output.path(lock.path),
        output.path(lock.branch) if lock.branch else "*",
        output.good("you") if row.is_mine else output.path(lock.owner),
        moment(lock.locked_at),
        until,
    )
    server = (f"server: {output.path(row.server)}" if row.server else "",) if has_server else ()
    said = "  ".join(filter(None, (output.bad(", ".join(marks)) if marks else "", output.path(lock.note or ""))))
    return (*cells, *server, said)


# -- JSON ----------------------------------------------------------------------------------------------------------


def _result_dict(done: Result) -> dict[str, Any]:
    return {
        "paths": [
            {
                "path": answer.path,
                "state": answer.state,
                "lock": _lock_dict(answer.lock),
                "others": [_lock_dict(each) for each in answer.others],
            }
            for answer in done.answers
        ],
        "remote": done.remote,
        "shared": not done.unshared,
        "lost": _lost_dicts(done.lost),
        "problem": done.problem.message if done.problem else None,
        "notes": list(done.notes),
    }


def _listing_dict(found: Listing) -> dict[str, Any]:
    rows = [
        {
            **(_lock_dict(row.lock) or {}),
            "mine": row.is_mine,
            "expired": not row.is_live,
            "shared": row.is_shared,
            "server": row.server,
        }
        for row in found.rows
    ]
    return {
        "locks": rows,
        "only_on_server": [each._asdict() for each in found.only_on_server],
        "ignored": found.ignored,
        "remote": found.remote,
        "lost": _lost_dicts(found.lost),
        "problem": found.problem.message if found.problem else None,
        "notes": list(found.notes),
    }


def _lock_dict(lock: Lock | None) -> dict[str, Any] | None:
    return lock._asdict() if lock is not None else None


def _lost_dicts(lost: Iterable[Lost]) -> list[dict[str, Any]]:
    return [{"lock": _lock_dict(each.lock), "winner": _lock_dict(each.winner)} for each in lost]
