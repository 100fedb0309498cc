"""The `comfyvn-store` command (also `git comfyvn`): commands that are imported when used, and the one place where errors
become lines and exit codes.
"""

from __future__ import annotations

import io
import os
import sqlite3
import sys
import time
from importlib import import_module

import click

from comfyvn_store import __version__
from comfyvn_store.base import names
from comfyvn_store.errors import ComfyvnError, from_os_error

# command → the module that has it
COMMANDS = {
    "init": "setup",
    "uninstall": "setup",
    "migrate": "migrating",
    "clone": "setup",
    "demo": "demo",
    "register": "assets",
    "annotate": "assets",
    "edit": "assets",
    "recover": "mending",
    "list": "reading",
    "search": "searching",
    "show": "reading",
    "provenance": "reading",
    "lineage": "lineage",
    "impact": "lineage",
    "whence": "whence",
    "workflow": "reading",
    "read": "reading",
    "strip": "stripping",
    "status": "reading",
    "remote": "remotes",
    "push": "transfers",
    "pull": "transfers",
    "sync": "transfers",
    "drop": "transfers",
    "gc": "space",
    "keep": "space",
    "why": "space",
    "usage": "space",
    "log": "history",
    "undo": "history",
    "conflicts": "conflicts",
    "resolve": "conflicts",
    "lock": "locks",
    "unlock": "locks",
    "locks": "locks",
    "db": "reading",
    "export": "build",
    "disclose": "disclosing",
    "credits": "disclosing",
    "rebuild": "upkeep",
    "previews": "upkeep",
    "doctor": "health",
    "check": "health",
    "fsck": "integrity",
    "completion": "upkeep",
}


class Commands(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Gives the names in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Gives a command by name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"comfyvn_store.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command, or says which one was perhaps meant."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            import difflib

            close = difflib.get_close_matches(name, COMMANDS, 1)
            hint = f"did you mean `{close[0]}`? " if close else ""
            raise click.UsageError(
                f"there is no command '{names.printable(name)}'\n{hint}`comfyvn-store --help` lists them"
            )
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="comfyvn-store", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Keep a project's art in git, and know where every picture came from.

    You work as always: git add, git commit, git switch. The pictures and sounds go into a store inside .git; git itself
    keeps small links. Beside each file lies a sidecar (NAME.asset.json) that says what it is, how it was made and which
    commit brought it.

    \b
    Start here:
      comfyvn-store init              in a git repository, once
      comfyvn-store demo              a small sample project to look at
      comfyvn-store provenance FILE   where a picture came from
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run(arguments: list[str] | None = None) -> None:
    """Runs the command line and ends the process with the documented exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if arguments is None and sys.getfilesystemencoding() != "utf-8":
        _start_in_utf8(words)
    started = time.perf_counter()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a letter of a file's name shows its code instead.
            stream.reconfigure(errors="backslashreplace")
    status = _run(words)
    if _is_tracing():
        sys.stderr.write(f"trace: {time.perf_counter() - started:.3f} s, exit {status}\n")
    sys.exit(_flushed(status))


def _start_in_utf8(words: list[str]) -> None:
    """Starts over where the locale is not UTF-8, because names in sidecars are; answers keep the locale's encoding."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    environment = {"PYTHONIOENCODING": f"{encoding}:backslashreplace", **os.environ}
    os.execve(sys.executable, [sys.executable, "-P", "-X", "utf8", "-m", "comfyvn_store", *words], environment)


def _flushed(status: int) -> int:
    """Gives the exit code after everything was written; a reader who went away is no error, a full disk is."""
    if sys.stdout is None:
        return status
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        found = from_os_error(error, "write the answer")
        return _fail([], found.slug, found.exit_code, found.message, found.hint)
    return status


def _start_over(error: sqlite3.DatabaseError) -> bool:
    """Puts an empty index in the place of one whose content proved damaged while it was read; tells whether it did."""
    from comfyvn_store.cli import output
    from comfyvn_store.ops.session import start_over

    try:
        output.notes(start_over(error))
    except ComfyvnError:
        return False
    return True


def _choices(listing: str) -> str:
    """Gives in one line what click lists below an error that ends with "Choose from:"."""
    return "choose from " + " ".join(listing.split()) if listing.startswith("\t") else listing


def _run(words: list[str], *, is_again: bool = False) -> int:
    try:
        if not words:
            main.main(args=["--help"], prog_name="comfyvn-store", standalone_mode=False)
            return 2
        result = main.main(args=words, prog_name="comfyvn-store", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        sys.stderr.write("\ninterrupted\n")
        return 130
    except click.ClickException as error:
        message, _, hint = error.format_message().partition("\n")
        command = getattr(getattr(error, "ctx", None), "command_path", None)
        return _fail(
            words,
            "usage",
            2,
            _lowered(message.removesuffix(". Choose from:")),
            _choices(hint) or (f"`{command} --help` shows how" if command else None),
        )
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except ComfyvnError as error:
        return _fail(words, error.slug, error.exit_code, error.message, error.hint)
    except OSError as error:
        found = from_os_error(error, "read or write")
        return _fail(words, found.slug, found.exit_code, found.message, found.hint)
    except sqlite3.DatabaseError as error:
        if not is_again and _start_over(error):
            return _run(words, is_again=True)
        return _fail(words, "machine", 16, f"the index failed: {error}", "run `comfyvn-store rebuild`")
    except Exception as error:
        if _is_tracing():
            raise
        return _fail(
            words,
            "bug",
            70,
            f"{type(error).__name__}: {error}",
            "this is a bug; COMFYVN_TRACE=1 shows where it happened",
        )


def _fail(words: list[str], slug: str, code: int, message: str, hint: str | None) -> int:
    from comfyvn_store.cli import output

    message = names.printable(" ".join(message.split("\n")))
    hint = names.printable(" ".join(hint.split("\n"))) if hint else None
    if "--json" in words:
        try:
            output.as_json({"error": slug, "message": message, "hint": hint})
        except OSError:  # nowhere to write it; the line below goes elsewhere
            pass
    try:
        output.error(message, hint)
    except OSError:  # the file that messages go to is on the full disk, too; the exit code still says it
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    if _is_tracing():
        import traceback

        traceback.print_exc()
    return code


def _lowered(message: str) -> str:
    """Gives a message of click's in git's voice."""
    return message[:1].lower() + message[1:].rstrip(".")


def _is_tracing() -> bool:
    return os.environ.get("COMFYVN_TRACE") == "1"
