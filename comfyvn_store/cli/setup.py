"""`init`, `uninstall`, `clone`."""

from __future__ import annotations

import os
import shlex
from contextlib import closing
from typing import TYPE_CHECKING

from comfyvn_store.base import pointers
from comfyvn_store.cli import output
from comfyvn_store.cli.bars import TransferBar
from comfyvn_store.cli.declaring import argument, command, option
from comfyvn_store.cli.output import count
from comfyvn_store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from comfyvn_store.ops.init import Initialised
    from comfyvn_store.ops.migrate import Recognised
    from comfyvn_store.ops.session import Session


@command("init", short_help="set this git repository up")
@option("--print", "is_print", is_flag=True, help="Only show what would be written, and write nothing.")
@option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def init_command(is_print: bool, as_json: bool) -> int:
    """Set this git repository up, once. Running it again changes nothing.

    Art goes below assets/, in a folder for each type: assets/characters/alice.png. Hooks of yours are kept and called;
    where a hook manager is in use, --print shows what to write into its file so that it calls ours. With comfyvn.fetch=auto
    bytes that are not here are fetched at once.
    """
    from comfyvn_store.ops import init, migrate
    from comfyvn_store.vcs.repository import open_repository

    if is_print:
        _print_intention(as_json)
        return 0
    done = init.init(open_repository())
    others = migrate.recognised(done.repository)
    fetches = done.missing_objects > 0 and done.repository.settings.fetch == "auto"
    if as_json:
        kept = {name: found.files for name, found in others.items()}
        about = {**done._asdict(), "repository": done.repository.top, "others": kept}
        output.as_json({"store": done.repository.store.root, **about})
    else:
        _show_initialised(done, others, fetches)
    return _fetch_now(as_json) if fetches else 0


def _fetch_now(is_silent: bool) -> int:
    """Pulls; gives the exit status."""
    from comfyvn_store.cli import transfers
    from comfyvn_store.ops.session import open_session

    with open_session() as session:
        done = transfers.pull_with_bar(session)
    if not is_silent:
        transfers.show_pulled(done)
    return transfers.ending(transfers.pull_error(done))


def _show_initialised(done: Initialised, others: Mapping[str, Recognised], fetches: bool) -> None:
    repository = done.repository
    word = "Reinitialized existing" if done.was_there else "Initialized"
    output.line(f"{word} comfyvn-store in {repository.store.root}/")
    if done.moved_from is not None:
        output.line(
            f"  {count(done.moved_objects, 'object')} ({output.size(done.moved_bytes)}) came from {done.moved_from}/"
        )
    if done.damaged_objects:
        output.line(
            f"  {count(done.damaged_objects, 'object')} did not come along, being damaged; `comfyvn-store status` names "
            "the files, `comfyvn-store recover` looks for whole copies"
        )
    if done.stays_in is not None:
        output.line(
            f"  not all that this clone names was there and whole; {output.path(done.stays_in)}/ goes on keeping what it has "
            "of that"
        )
    for name in done.kept_hooks:
        output.line(f"  your {name} hook is kept and runs first")
    for name, found in others.items():
        number = found.files
        output.line(
            f"  {count(number, 'file')} below {repository.root}/ {'is' if number == 1 else 'are'} kept by "
            f"{pointers.PROGRAMS[name]}; to take {'it' if number == 1 else 'them'} over:"
        )
        output.line(f"      comfyvn-store migrate {name}")
    raw = done.raw_art - sum(found.pointers for found in others.values())
    if raw > 0:
        output.line(
            f"  {count(raw, 'file')} below {repository.root}/ came into git before; to bring "
            f"{'it' if raw == 1 else 'them'} into the store:"
        )
        if others:  # as for the rest
            output.line("      comfyvn-store migrate raw && git commit -m 'art into the store'")
        else:
            output.line(
                f"      git add --renormalize {_pathspec(repository.root)} && git commit -m 'art into the store'"
            )
    if done.missing_objects and not fetches:
        output.line(
            f"  the bytes of {count(done.missing_objects, 'file')} of {done.assets} are not here yet; to fetch them:"
        )
        output.line("      comfyvn-store pull")
    if done.were_views_switched:
        output.line(
            "  views are links now"
            if done.views == "link"
            else "  views are ordinary files now; to change art, save over them: no need to `comfyvn-store edit`"
        )
    if not done.was_there and not done.assets:
        output.line("\nNow put art below a folder for its type, and use git as always:")
        output.line(f"      {repository.root}/characters/alice.png")
        output.line(f"      git add {repository.root} && git commit -m 'first art'")


def _print_intention(as_json: bool) -> None:
    from comfyvn_store.ops import intention
    from comfyvn_store.vcs.repository import open_repository

    found = intention.intention(open_repository())
    if as_json:
        output.as_json(found.as_dict())
        return
    if found.is_store_new:
        _title("the store", found.store + "/")
    if found.moved_from:
        _title("the objects, in another store from then on", f"{found.moved_from}/ -> {found.store}/")
    if found.link:
        _title("a link to it, which git does not see", f"{found.link[0]} -> {found.link[1]}")
    if found.tracked_settings:
        _title("the assets root, for clones, staged", f"{found.tracked_settings[0]}: {found.tracked_settings[1]}")
    if found.config:
        _title(
            "git config, of this repository", *(_shortened(f"{key} = {value}") for key, value in found.config.items())
        )
    if found.hooks:
        _title(
            "hooks" + (" (git tracks files in that folder: commit them)" if found.are_hooks_tracked else ""),
            *(
                f"{hook.path}: {hook.action}" + (f", kept as {hook.kept_as}" if hook.kept_as else "")
                for hook in found.hooks
            ),
        )
    if found.attributes:
        _title(f"attributes, at the top of {found.attributes[0]}, staged", *found.attributes[1])
    if found.excludes:
        _title(f"what git shall not see, in {found.excludes[0]}", *found.excludes[1])
    for manager in found.managers:
        if not manager.calls_all:
            lacking = "calls only some of ours" if manager.called else "is in use"
            _title(
                f"{manager.name} {lacking}; so that it calls ours by itself, add to {manager.file}",
                *manager.snippet.split("\n"),
            )
    if not (
        found.is_store_new
        or found.moved_from
        or found.config
        or found.hooks
        or found.link
        or found.attributes
        or found.excludes
    ):
        output.line("nothing to write: this repository is set up")


def _shortened(line: str) -> str:
    return line if len(line) <= 120 else line[:100] + " ...  (--json shows all of it)"


def _title(title: str, *lines: str) -> None:
    output.line(output.strong(title))
    for line in lines:
        output.line(f"    {output.path(line) if not line.startswith(' ') else line}")


def _pathspec(root: str) -> str:
    """Gives what means the assets root on a shell's command line, wherever that stands in the work tree."""
    from comfyvn_store.ops import wiring

    return f":/{root}" if wiring.is_plain(root) else shlex.quote(f":(top,literal){root}")


@command("uninstall", short_help="give back ordinary files and the previous hooks")
@option("--history", is_flag=True, help="Rewrite all branches and tags, too, so that git itself holds the art.")
@option("--dry-run", is_flag=True, help="With --history: only see whether all bytes are here.")
def uninstall_command(history: bool, dry_run: bool) -> None:
    """Give back ordinary files and the previous hooks.

    The store stays where it is, because old versions of your art live only there. With --history every commit of every
    branch and tag is made anew, with the bytes in place of links and without sidecars; the old ones are kept below
    refs/comfyvn/before-migration/.
    """
    from comfyvn_store.errors import ObjectMissing
    from comfyvn_store.ops import uninstall
    from comfyvn_store.ops.session import open_session

    if dry_run and not history:
        raise UsageError("--dry-run goes with --history", hint="`comfyvn-store uninstall --help` shows how")
    with open_session() as session:
        output.notes(session.notes)
        if history:
            _give_history_back(session, dry_run)
        if dry_run:
            return
        done = uninstall.uninstall(session, is_history_rewritten=history)
    if done.restored:
        output.line(f"{count(done.restored, 'view is an ordinary file', 'views are ordinary files')} again")
    for name in done.hooks:
        output.line(f"your {name} hook is back")
    if done.hooks_are_shared:
        output.line("the hooks stay: other repositories share their folder, and here they do nothing any more")
    if done.store_is_shared:
        output.line(f"The store is left as it is, for others who use it: {done.store}")
        if done.is_noted:
            output.line("  (it goes on keeping what this clone's history names)")
    else:
        output.line(
            f"The store is kept: {done.store}\n  (old versions live only there; remove it when you need none of them)"
        )
    if done.restored:
        output.line("To let git have the files: git add -A && git commit")
    output.line("To set it up again, with links in place of files: comfyvn-store undo")
    if done.missing:
        listed = ", ".join(f"'{output.path(path)}'" for path in done.missing[:5])
        more = f" and {len(done.missing) - 5} more" if len(done.missing) > 5 else ""
        raise ObjectMissing(
            f"these stay links, because their bytes are not in the store: {listed}{more}",
            hint="run `comfyvn-store init`, `comfyvn-store pull`, then `comfyvn-store uninstall` again",
        )


def _give_history_back(session: Session, is_trial: bool) -> None:
    from comfyvn_store.cli.migrating import show_rewrite
    from comfyvn_store.ops.migrate.reversal import restore_history

    with closing(output.Progress()) as progress:
        show_rewrite(restore_history(session, is_trial=is_trial, progress=progress))
    session.catch_up_if_free()


@command("clone", short_help="git clone, init and pull in one")
@argument("url")
@argument("folder", metavar="[DIR]", required=False)
@option("--no-pull", is_flag=True, help="Leave the bytes where they are; `comfyvn-store pull` fetches them later.")
@option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def clone_command(url: str, folder: str | None, no_pull: bool, as_json: bool) -> int:
    """Clone a repository and see its art: git clone, init and pull in one."""
    from comfyvn_store.cli import transfers
    from comfyvn_store.ops import clone

    with closing(output.Progress()) as progress, closing(TransferBar("fetching")) as bar:
        done = clone.clone(url, folder, pulls=not no_pull, progress=progress, tell=bar)
    error = transfers.pull_error(done.pulled) if done.pulled is not None else None
    if as_json:
        pulled = done.pulled.as_dict() if done.pulled is not None else None
        output.as_json({"folder": done.folder, "assets": done.assets, "missing": done.missing, "pull": pulled})
        return error.exit_code if error else 0
    output.line(f"Cloned into {os.path.relpath(done.folder)}: {count(done.assets, 'asset')}")
    if done.pulled is not None and done.pulled.paths:
        transfers.show_pulled(done.pulled)
    if done.missing and no_pull:
        output.line(f"  the bytes of {count(done.missing, 'file')} are not here; to fetch them: comfyvn-store pull")
    return transfers.ending(error)
