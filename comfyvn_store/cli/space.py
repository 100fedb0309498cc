"""`gc`, `keep`, `why`, `usage`: what takes space, what keeps it, and what can go."""

from __future__ import annotations

import os
import time
from contextlib import closing
from typing import TYPE_CHECKING

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import Choice, argument, command, option
from comfyvn_store.cli.output import count, size
from comfyvn_store.errors import UsageError

if TYPE_CHECKING:
    from comfyvn_store.ops.gc import Amount, Collected
    from comfyvn_store.ops.keep import Keeping
    from comfyvn_store.ops.usage import Usage
    from comfyvn_store.ops.why import Why

_GRACE = "14d"
_json = option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@command("gc", short_help="free the space of art that nothing names any more")
@option("--prune", is_flag=True, help="Do it: move to the trash, and empty that of what lay there long enough.")
@option(
    "--grace",
    metavar="SPAN",
    default=_GRACE,
    help="Keep what was added within this time: a number with s, m, h, d or w (seconds to weeks), 0 for none; 14d if not said.",
)
@option(
    "--forget-clone",
    metavar="PATH",
    multiple=True,
    help="A clone that shared the store is gone for good: do not ask it any more.",
)
@_json
def gc_command(prune: bool, grace: str, forget_clone: tuple[str, ...], as_json: bool) -> int:
    """Say which objects nothing names any more, and what freed them would bring; with --prune move them to the trash.

    Kept is what any branch, tag, stash or other ref, any reflog (git's list of where a branch was before), index or link
    of any work tree, a merge or rebase under way, `comfyvn-store keep` or the journal (what `undo` needs) names, here and
    in every clone that shares the store, and what was added lately. The trash is a folder in the store. Objects leave it
    for good with later runs, after comfyvn.trashGrace (14 days); until then `comfyvn-store undo` brings them back.
    A clone that cannot be asked stops it.
    """
    from comfyvn_store.ops import clones, gc
    from comfyvn_store.vcs.repository import open_repository
    from comfyvn_store.vcs.settings import span

    if not grace:
        raise UsageError("--grace is empty", hint="use a number with s, m, h, d or w, as in 14d, or 0")
    repository = open_repository()
    repository.require_initialised()
    for clone in forget_clone:
        output.note(f"'{output.path(clones.forget(repository, clone))}' is not asked any more")
    seconds = span("--grace", grace, gc.GRACE)
    with closing(output.Progress()) as progress:
        done = gc.collect(repository, prune=prune, grace=seconds, progress=progress)
    if as_json:
        output.as_json(done.as_dict())
        return 0
    _show_collected(done, "" if grace == _GRACE else f" --grace {grace}")
    return 0


def _show_collected(done: Collected, words: str) -> None:
    from comfyvn_store.ops import gc, roots

    would = "" if done.is_pruned else "would be "
    if done.freed:
        output.line(f"{count(len(done.freed), 'object')}, {size(done.bytes)}: {would}moved to the trash")
    else:
        output.line("nothing to collect")
    keepers = {
        **roots.WORDS,
        gc.YOUNG: f"being added in the last {_span(done.grace)}" if done.grace else "being added just now",
        gc.WRITTEN: "having been written to (comfyvn-store recover)",
        gc.USED: "being used while this ran",
    }
    kept = [(word, done.kept[kind]) for kind, word in keepers.items() if kind in done.kept]
    if kept:
        output.line("kept by")
        output.table([(word, str(amount.objects), size(amount.bytes)) for word, amount in kept], indent="    ")
    if done.back:
        output.line(f"{count(len(done.back), 'object')} {would}brought back from the trash: something names them")
    for hash_ in done.damaged:
        output.line(f"{output.bad('damaged')} in the trash, or not to be read there: {hash_[:16]}")
    if done.emptied.objects:
        output.line(f"trash: {would}emptied of {_amount(done.emptied)}")
    if done.waiting.objects:
        output.line(f"trash: {_amount(done.waiting)} {'stays' if done.waiting.objects == 1 else 'stay'} for now")
    if done.due.objects:
        output.line(
            f"    {_amount(done.due)} of that long enough; a later gc --prune deletes what one of a day before saw so"
        )
    if done.operation:
        output.line(f"to bring them back: comfyvn-store undo {done.operation}")
    elif not done.is_pruned and (done.freed or done.back or done.emptied.objects):
        output.line(f"nothing was changed; to do it: comfyvn-store gc --prune{words}")


@command("keep", short_help="keep objects, whatever git says")
@argument("targets", metavar="[REV|PATH|HASH]...", nargs=-1)
@option("--remove", is_flag=True, help="Do not keep them any longer, nor what was put there under that name.")
@option("--list", "show_list", is_flag=True, help="List what is kept.")
@_json
def keep_command(targets: tuple[str, ...], remove: bool, show_list: bool, as_json: bool) -> int:
    """Keep the objects that a path, a revision (all art in it) or a hash means now, though git may come to forget them.

    \b
      comfyvn-store keep assets/characters/mira.png   the present version
      comfyvn-store keep v1.0                         all art of that release
      comfyvn-store keep --list

    It holds for this clone and its work trees. An object that is in the trash comes back.
    """
    from comfyvn_store.ops import keep
    from comfyvn_store.ops.session import open_session

    if not targets and not show_list:
        what, typed = ("taken off the list", "keep --remove") if remove else ("kept", "keep")
        raise UsageError(
            f"nothing was named to be {what}",
            hint=f"comfyvn-store {typed} PATH, REV or HASH; --list shows what is kept",
        )
    if targets and show_list:
        raise UsageError("--list takes no names", hint="`comfyvn-store keep --help` shows how")
    with open_session() as session:
        output.notes(session.notes)
        done = keep.keep(session, targets, remove=remove) if targets else keep.listed(session.repository)
    if as_json:
        output.as_json(done.as_dict())
        return 0
    _show_keeping(done, show_list, remove)
    return 0


def _show_keeping(done: Keeping, show_list: bool, remove: bool) -> None:
    if show_list:
        missing = set(done.missing)
        rows = [
            (each.hash[:16], each.at, output.bad("not here") if each.hash in missing else "", output.path(each.words))
            for each in done.kept
        ]
        output.table(rows)
        if not rows:
            output.line("nothing is kept beyond what git names")
        return
    if remove:
        output.line(f"{count(len(done.removed), 'object')} not kept any longer")
    else:
        output.line(f"{count(len(done.added), 'object')} kept from now on")
    for hash_ in done.missing:
        output.note(f"{hash_[:16]} is kept, but is not here: comfyvn-store pull --rev REV fetches it")


@command("why", short_help="why an object is kept")
@argument("target", metavar="OBJECT|PATH")
@_json
def why_command(target: str, as_json: bool) -> int:
    """Say every reason why an object is kept, or that nothing keeps it and from when on gc may take it.

    Name it by a path, a hash or its first digits, or REV:PATH. Ends with 1 if nothing keeps it.
    """
    from comfyvn_store.ops import why
    from comfyvn_store.ops.session import open_session

    with open_session() as session:
        output.notes(session.notes)
        found = why.why(session, target)
    if as_json:
        output.as_json([each.as_dict() for each in found])
    else:
        for each in found:
            _show_why(each)
    return 0 if all(any(reason.kind != "age" for reason in each.reasons) for each in found) else 1


def _show_why(found: Why) -> None:
    places = {"here": size(found.size), "trash": f"in the trash, {size(found.size)}", "missing": "not here"}
    output.line(f"{found.hash[:16]} ({places[found.state]})")
    rows = [
        (reason.kind, output.path(reason.name), output.commit(reason.commit, ""), output.path(reason.path or ""))
        for reason in found.reasons
    ]
    output.table(rows, indent="    ")
    day = time.strftime("%Y-%m-%d", time.gmtime(found.until)) if found.until is not None else None
    if found.state == "trash":
        output.line(f"    the trash may be emptied of it from {day} on; comfyvn-store keep brings it back")
    elif day is not None:
        output.line(f"    nothing names it: gc --prune takes it to the trash from {day} on")
    elif not found.reasons:
        output.line("    nothing names it")


@command("usage", short_help="what the art costs in space")
@option(
    "--by",
    metavar="GROUP",
    default="type",
    type=Choice("type", "character", "branch", "version", "author"),
    help="type (default), character, branch, version or author.",
)
@option("--remotes", "ask", is_flag=True, help="Ask the remotes which objects they hold.")
@_json
def usage_command(by: str, ask: bool, as_json: bool) -> int:
    """Say what takes space: art by type, character, branch, version or author, what is old, on no remote, in quarantine and
    trash, and what can be freed now, with the command to type.

    An object is counted once however often it is used; what belongs to several groups stands under (shared).
    """
    from comfyvn_store.ops import usage
    from comfyvn_store.ops.session import open_session

    with open_session() as session:
        output.notes(session.notes)
        found = usage.usage(session, by=by, ask_remotes=ask)
        quarantine = os.path.join(session.repository.store.root, "bad")
    if as_json:
        output.as_json(found.as_dict())
    else:
        _show_usage(found, output.path(quarantine))
    return 0


def _show_usage(found: Usage, folder: str) -> None:
    output.line(
        f"{output.strong(size(found.objects.bytes))} in {count(found.objects.objects, 'object')}, each counted once"
    )
    if found.missing:
        output.line(f"{count(found.missing, 'object')} of the checkout not here (comfyvn-store pull)")
    rows = [(output.path(name), str(amount.objects), size(amount.bytes)) for name, amount in found.groups.items()]
    output.line(f"by {found.by}{' (what only that branch has)' if found.by == 'branch' else ''}")
    output.table(rows, indent="    ")
    unsent = "not asked (--remotes)" if found.unsent is None else _amount(found.unsent)
    if found.unsent_unnamed.objects:
        unsent += f" ({found.unsent_unnamed.objects} of them in no commit and not staged, which push does not send)"
    output.table(
        [
            ("current versions", _amount(found.current)),
            ("old versions", _amount(found.old)),
            ("in no commit and not staged", _amount(found.unnamed)),
            ("named by nothing, added lately", _until(found.young, found.young_until, "gc --prune may take")),
            ("on no remote", unsent),
            ("quarantine", _amount(found.quarantine) + (f" in {folder}" if found.quarantine.objects else "")),
            ("trash", _until(found.trash, found.trash_until, "gc --prune may empty it of")),
            ("unfinished files", _amount(found.unfinished)),
            ("previews", _amount(found.previews)),
            ("git's own database", size(found.git)),
        ]
    )
    for name, why in found.down.items():
        output.note(f"remote '{name}' did not say what it holds: {output.path(why)}")
    if found.unlisted:
        output.note(f"what gc could free is not known: {output.path(found.unlisted)}")
    for each in found.freeable:
        output.line(f"can be freed: {_amount(each.amount)}, {each.what}: {output.strong(output.path(each.command))}")


def _until(amount: Amount, moment: float | None, what: str) -> str:
    if not amount.objects or moment is None:
        return _amount(amount)
    return f"{_amount(amount)} ({what} the first from {time.strftime('%Y-%m-%d', time.gmtime(moment))} on)"


def _amount(amount: Amount) -> str:
    return f"{count(amount.objects, 'file')}, {size(amount.bytes)}" if amount.objects else "nothing"


def _span(seconds: float) -> str:
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length and not seconds % length:
            return count(int(seconds // length), unit)
    return count(int(seconds), "second")
