"""The `comfyvn-store` command (also `git comfyvn`): commands that are imported when used, and the one place where errors
become lines and exit codes. A command line that is plainly right is read here; any other is click's.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from comfyvn_store import __version__
from comfyvn_store.base import names
from comfyvn_store.errors import ComfyvnError, from_os_error

if TYPE_CHECKING:
    import sqlite3
    from typing import TypeGuard

PROGRAM = "comfyvn-store"
VERSION = f"{PROGRAM} {__version__}"
# New objects until Python looks for garbage; its 700 are reached dozens of times by importing alone.
_GARBAGE = 50_000
# Set by the shell that asks what can stand at the cursor.
_COMPLETING = "_COMFYVN_STORE_COMPLETE"

# command → the module that has it
COMMANDS = {
    "init": "setup",
    "uninstall": "setup",
    "migrate": "migrating",
    "clone": "setup",
    "demo": "demo",
    "register": "assets",
    "import": "importing",
    "watch": "watching",
    "annotate": "assets",
    "edit": "assets",
    "recover": "mending",
    "list": "reading",
    "search": "searching",
    "show": "reading",
    "provenance": "reading",
    "workflow": "graphs",
    "lineage": "lineage",
    "impact": "lineage",
    "whence": "whence",
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
    "diff": "comparing",
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


def run(arguments: list[str] | None = None) -> None:
    """Runs the command line and ends the process with the documented exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if arguments is None and sys.getfilesystemencoding() != "utf-8":
        _start_in_utf8(words)
    started = time.perf_counter()
    gc.set_threshold(_GARBAGE)
    if sys.dont_write_bytecode:
        from comfyvn_store.base import compiled

        compiled.ensure()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a letter of a file's name shows its code instead.
            stream.reconfigure(errors="backslashreplace")
    status = _run(words)
    if _is_tracing():
        sys.stderr.write(f"trace: {time.perf_counter() - started:.3f} s, exit {status}\n")
    if arguments is None and not _has_threads():
        _leave(status)
    sys.exit(_flushed(status))


def _leave(status: int) -> None:
    """Ends the process without taking the interpreter apart, which takes 4 ms; what was asked for at exit is done."""
    atexit._run_exitfuncs()
    status = _flushed(status)
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
    os._exit(status)


def _has_threads() -> bool:
    threading = sys.modules.get("threading")
    return threading is not None and threading.active_count() > 1


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


def _run(words: list[str], *, is_again: bool = False) -> int:
    try:
        result = _answer(words)
        return result if isinstance(result, int) else 0
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except ComfyvnError as error:
        return _fail(words, error.slug, error.exit_code, error.message, error.hint)
    except OSError as error:
        found = from_os_error(error, "read or write")
        return _fail(words, found.slug, found.exit_code, found.message, found.hint)
    except Exception as error:
        if _is_of_the_index(error):
            if not is_again and _start_over(error):
                return _run(words, is_again=True)
            return _fail(words, "machine", 16, f"the index failed: {error}", "run `comfyvn-store rebuild`")
        if _is_tracing():
            raise
        return _fail(
            words,
            "bug",
            70,
            f"{type(error).__name__}: {error}",
            "this is a bug; COMFYVN_TRACE=1 shows where it happened",
        )


def _answer(words: list[str]) -> Any:
    """Does what the command line asks for; gives what the command gave. Raises whatever goes wrong."""
    if words == ["--version"]:
        from comfyvn_store.cli import output

        return output.line(VERSION)
    if words and words[0] in COMMANDS and not os.environ.get(_COMPLETING):
        from comfyvn_store.cli.declaring import Command, Unclear

        command = getattr(import_module(f"comfyvn_store.cli.{COMMANDS[words[0]]}"), f"{words[0]}_command")
        if isinstance(command, Command):
            try:
                said = command.read(words[1:])
            except Unclear:
                pass
            else:
                return command.function(**said)
    from comfyvn_store.cli import clicked

    if not words:
        clicked.run(["--help"])
        return 2
    return clicked.run(words)


def _is_of_the_index(error: Exception) -> TypeGuard[sqlite3.DatabaseError]:
    import sqlite3

    return isinstance(error, sqlite3.DatabaseError)


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


def _is_tracing() -> bool:
    return os.environ.get("COMFYVN_TRACE") == "1"
