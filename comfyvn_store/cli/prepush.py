"""What the pre-push hook starts: it reads what git gives hooks, and speaks on standard error, where git's own words are."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing

from comfyvn_store.base import names
from comfyvn_store.cli import output
from comfyvn_store.cli.bars import TransferBar
from comfyvn_store.cli.locks import say_lost
from comfyvn_store.cli.output import count
from comfyvn_store.cli.transfers import said_of
from comfyvn_store.errors import ComfyvnError, from_os_error


def run(arguments: Sequence[str] | None = None) -> None:
    """Does the hook's work and ends the process with its status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _run(words, os.environ)
    except ComfyvnError as error:
        status = _fail(error)
    except OSError as error:
        status = _fail(from_os_error(error, "send the bytes of art"))
    except KeyboardInterrupt:
        status = 130
    except Exception as error:  # the border: people get one line, not a traceback
        output.error(f"{type(error).__name__}: {error}", "this is a bug; git push --no-verify goes ahead without us")
        status = 70
    sys.stderr.flush()
    sys.exit(status)


def _run(words: Sequence[str], environment: Mapping[str, str]) -> int:
    from comfyvn_store.ops import prepush
    from comfyvn_store.vcs.repository import open_repository

    repository = open_repository()
    name, url = (*words, "", "")[:2]
    # The pre-commit framework hands over in its environment what git gives as words and as input.
    name = name or environment.get("PRE_COMMIT_REMOTE_NAME", "")
    url = url or environment.get("PRE_COMMIT_REMOTE_URL", "")
    text = "" if sys.stdin is None or sys.stdin.isatty() else os.fsdecode(sys.stdin.buffer.read())
    if not text.strip("\n") and environment.get("PRE_COMMIT_TO_REF"):
        text = f"HEAD {environment['PRE_COMMIT_TO_REF']} HEAD 0"
    updates = prepush.parse(text)
    repository = prepush.with_remotes_of(repository, updates)
    say_lost(prepush.heed_locks(repository, name, updates))
    with closing(TransferBar("sending")) as bar:
        try:
            done = prepush.before_push(repository, name, url, updates, tell=bar)
        except KeyboardInterrupt:
            bar.abandon()  # git has ended, and the shell asks for the next command
            raise
    for remote, outcome in done.outcomes.items() if done else ():
        if outcome.moved:
            amount = f"{count(len(outcome.moved), 'object')}, {output.size(outcome.bytes)}"
            sys.stderr.write(f"comfyvn-store: sent {amount} to {names.printable(remote)}\n")
        for error in [*outcome.down.values(), *list(outcome.failed.values())[:1]]:
            sys.stderr.write(f"warning: remote '{names.printable(remote)}': {said_of(remote, error)}\n")
    return 0


def _fail(error: ComfyvnError) -> int:
    output.error(names.printable(error.message), names.printable(error.hint) if error.hint else None)
    return error.exit_code
