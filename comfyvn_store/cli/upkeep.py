"""`rebuild`, `previews`, `completion`."""

from __future__ import annotations

from contextlib import closing

from comfyvn_store.cli import output
from comfyvn_store.cli.declaring import PATH, Choice, Range, argument, command, option
from comfyvn_store.cli.output import count


@command("rebuild", short_help="make the index anew")
@option("--assets-dir", metavar="D", type=PATH, help="Another assets root than the configured one.")
@option("--db-path", metavar="P", type=PATH, help="Another place for the index.")
@option("--verify", is_flag=True, help="Hash every object, too.")
@option("--no-previews", is_flag=True, help="Make no previews.")
@option("--register", "take_in", is_flag=True, help="Take in the files and edits that git does not know yet.")
@option("--verbose", is_flag=True, help="Name every asset.")
@option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def rebuild_command(
    assets_dir: str | None,
    db_path: str | None,
    verify: bool,
    no_previews: bool,
    take_in: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """Make the index anew from git and the store: assets, history, sidecars missing on disk, previews.

    Everything else reads this index and keeps it up to date by itself; after a crash, a disk repair or plain doubt,
    rebuild it. Ends with 1 if something was wrong; each such thing is named.
    """
    import os

    from comfyvn_store.index import questions
    from comfyvn_store.ops import rebuild
    from comfyvn_store.ops.session import open_session

    here = os.getcwd()
    with open_session(
        assets_root=os.path.join(here, assets_dir) if assets_dir else None,
        db_path=os.path.join(here, db_path) if db_path else None,
        fresh=False,
    ) as session:
        output.notes(session.notes)
        with closing(output.Progress()) as progress:
            done = rebuild.rebuild(session, verify=verify, previews=not no_previews, take_in=take_in, progress=progress)
        lacking = len(questions.preview_failures(session.index))
    if as_json:
        output.as_json(done.as_dict())
        return 1 if done.problems else 0
    if verbose:
        output.table([(hash_[:16], output.path(path)) for path, hash_ in done.rows])
    output.line(
        f"{count(done.assets, 'asset')}, {count(done.records, 'provenance record')}, {count(done.commits, 'commit')}"
        + (f", {count(done.previews, 'preview')} made" if done.previews else "")
        + (f", {count(done.verified, 'object')} verified" if done.verified else "")
        + (f", {count(done.removed, 'row')} of vanished files removed" if done.removed else "")
    )
    for path in done.registered:
        output.line(f"registered {output.path(path)}")
    if done.untracked:
        output.line(f"{count(len(done.untracked), 'file')} not in git yet (git add them, or rebuild --register):")
        output.table([(output.path(path),) for path in done.untracked[:20]], indent="    ")
        if len(done.untracked) > 20:
            output.line(f"    ... and {len(done.untracked) - 20} more")
    if lacking:
        output.line(f"{count(lacking, 'asset')} without a preview (comfyvn-store previews names each)")
    for path, reason in done.problems:
        output.line(f"{output.bad('problem:')} {output.path(path)}: {reason}")
    return 1 if done.problems else 0


@command("previews", short_help="make the previews that are missing")
@option("--wait", is_flag=True, help="Where a worker makes them already, wait until it is done.")
@option("--jobs", metavar="N", type=Range(1, 256), help="How many at a time; else one for each core.")
@option("--retry", is_flag=True, help="Try again what could not be made before.")
@option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def previews_command(wait: bool, jobs: int | None, retry: bool, as_json: bool) -> int:
    """Make the previews that are missing, now: thumbnails, filmstrips, waveforms.

    A worker in the background does the same after each commit. Ends with 1 if a preview could not be made, now or
    before; each is named with its reason.
    """
    from comfyvn_store.ops import previewing
    from comfyvn_store.ops.session import open_session

    with open_session() as session:
        output.notes(session.notes)
        with closing(output.Progress()) as progress:
            done = previewing.make(session, wait=wait, jobs=jobs, retry=retry, progress=progress)
    if as_json:
        output.as_json(done.as_dict())
        return 1 if done.failed else 0
    if done.running:
        output.line(f"a worker is making them: {count(done.due, 'preview')} still due (--wait waits for it)")
    else:
        output.line(f"{count(done.made, 'preview')} made")
    if done.absent:
        output.line(f"{count(done.absent, 'preview')} can be made when the bytes are here: comfyvn-store pull")
    for path, reason in done.failed:
        output.line(f"{output.bad('no preview:')} {output.path(path)}: {output.path(reason)}")
    return 1 if done.failed else 0


@command("completion", short_help="print shell completion")
@argument("shell", type=Choice("bash", "zsh", "fish"))
def completion_command(shell: str) -> None:
    """Print completion for your shell.

    \b
      bash: eval "$(comfyvn-store completion bash)"    in ~/.bashrc
      zsh:  eval "$(comfyvn-store completion zsh)"     in ~/.zshrc
      fish: comfyvn-store completion fish > ~/.config/fish/completions/comfyvn-store.fish
    """
    from click.shell_completion import get_completion_class

    from comfyvn_store.cli.clicked import main

    completion = get_completion_class(shell)
    assert completion is not None
    output.line(completion(main, {}, "comfyvn-store", "_COMFYVN_STORE_COMPLETE").source())
