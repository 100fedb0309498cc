"""`remote`: the places that hold the bytes of a project's art."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from comfyvn_store.cli import output
from comfyvn_store.cli.completing import remote_names

if TYPE_CHECKING:
    from comfyvn_store.vcs.repository import Repository

_json = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
_SET_IN = {"repository": "in .comfyvnconfig", "clone": "only in this clone", "git": "a git remote"}


@click.group("remote", short_help="the places that hold the bytes of your art", invoke_without_command=True)
@_json
@click.pass_context
def remote_command(ctx: click.Context, as_json: bool) -> None:
    """Name the places that hold the bytes of your art, so that a clone finds them.

    \b
      comfyvn-store remote add usb /media/mika/art          a disk, a network share
      comfyvn-store remote add studio s3://our-bucket/game  a bucket (gs:// az:// too)
      comfyvn-store remote add forge lfs:                   the Git LFS of your forge
      comfyvn-store remote add server sftp://mika@host/art  a folder on a server

    They stand in .comfyvnconfig, which you commit; never a password. A git remote that is a folder on this machine needs no
    naming. Without a subcommand, lists them.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_command, as_json=as_json)


@remote_command.command("add", short_help="add a remote")
@click.argument("name")
@click.argument("url")
@click.option(
    "--local", "only_here", is_flag=True, help="Only for this clone: in its git config, not in .comfyvnconfig."
)
@_json
def add_command(name: str, url: str, only_here: bool, as_json: bool) -> None:
    """Add a remote. A folder is made if it is not there (the one above it must be); of other places nothing is asked yet."""
    from comfyvn_store.ops import remotes

    done = remotes.add(_repository(), name, url, only_here=only_here)
    if as_json:
        output.as_json(done._asdict())
        return
    output.line(f"remote {output.strong(output.path(done.name))} is {output.path(done.url)}")
    if done.set_in == remotes.REPOSITORY:
        output.line("  for everybody who clones: git commit -m 'where the art is'")
    output.line("  to send what you have: comfyvn-store push")


@remote_command.command("list", short_help="list the remotes")
@_json
def list_command(as_json: bool) -> None:
    """List the remotes: name, address, where it is set."""
    from comfyvn_store.ops import remotes

    found = remotes.listed(_repository())
    if as_json:
        output.as_json([each._asdict() for each in found])
        return
    rows = []
    for each in found:
        notes = [_SET_IN[each.set_in]]
        if not each.is_writable:
            notes.append(f"only read here; if you trust it: comfyvn-store remote trust {each.name}")
        rows.append((output.strong(output.path(each.name)), output.path(each.url), output.dim("; ".join(notes))))
    output.table(rows)
    if not rows:
        output.line("no remotes yet; `comfyvn-store remote add NAME URL` adds one")


@remote_command.command("remove", short_help="forget a remote")
@click.argument("name", shell_complete=remote_names)
@_json
def remove_command(name: str, as_json: bool) -> None:
    """Forget a remote. What it holds stays there."""
    from comfyvn_store.ops import remotes

    done = remotes.remove(_repository(), name)
    if as_json:
        output.as_json(done._asdict())
        return
    output.line(f"forgot remote {output.path(done.name)}; what it holds is still there: {output.path(done.url)}")
    if done.set_in == remotes.REPOSITORY:
        output.line("  for everybody: git commit")


@remote_command.command("trust", short_help="let this clone write to a remote that came with the repository")
@click.argument("name", shell_complete=remote_names)
@_json
def trust_command(name: str, as_json: bool) -> None:
    """Let this clone write to a remote that came with the repository, and give it your credentials.

    Holds for the address that it has now: if somebody changes it, you are asked again.
    """
    from comfyvn_store.ops import remotes

    done = remotes.trust(_repository(), name)
    if as_json:
        output.as_json(done._asdict())
    else:
        output.line(f"remote {output.path(done.name)} may be written to: {output.path(done.url)}")
        output.line("  now: comfyvn-store pull, or comfyvn-store push")


@remote_command.command("test", short_help="see whether remotes answer")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=remote_names)
@_json
def test_command(names: tuple[str, ...], as_json: bool) -> int:
    """See whether remotes answer, and let you in. Writes nothing. Ends with 15 if one does not."""
    from comfyvn_store.ops import remotes

    tried = remotes.try_out(_repository(), names)
    if as_json:
        output.as_json(
            [
                {
                    "name": each.name,
                    "url": each.place,
                    "error": each.error.slug if each.error else None,
                    "message": each.error.message if each.error else None,
                    "hint": each.error.hint if each.error else None,
                }
                for each in tried
            ]
        )
    else:
        output.table(
            [
                (
                    output.path(each.name),
                    output.good("ok") if each.error is None else output.bad("failed"),
                    output.path(each.place if each.error is None else each.error.message),
                )
                for each in tried
            ]
        )
        for each in tried:
            if each.error and each.error.hint:
                output.hint(f"{output.path(each.name)}: {output.path(each.error.hint)}")
        if not tried:
            output.line("no remotes yet; `comfyvn-store remote add NAME URL` adds one")
    return max((each.error.exit_code for each in tried if each.error), default=0)


def _repository() -> Repository:
    from comfyvn_store.vcs.repository import open_repository

    repository = open_repository()
    repository.require_initialised()
    return repository
