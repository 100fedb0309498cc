"""The entry that git starts: `python -P -X utf8 -c "from comfyvn_store.hot.main import run; run()" NAME ARGUMENTS`.

`NAME` is a filter driver, a hook, the merge driver or the diff driver. Everything else is imported only when its name comes.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

FILTERS = ("comfyvn", "comfyvn-sidecar")
MERGES = ("merge-sidecar", "merge-ancestor")
TEXTCONV = "textconv"


def run(arguments: Sequence[str] | None = None) -> None:
    """Runs what git asks for and ends the process with its status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if sys.getfilesystemencoding() != "utf-8":
        # A locale that is not UTF-8: names in sidecars would be misread. The shims ask for UTF-8 themselves.
        os.execv(
            sys.executable, [sys.executable, "-P", "-X", "utf8", "-c", f"from {__name__} import run; run()", *words]
        )
    if sys.dont_write_bytecode:
        from comfyvn_store.base import compiled

        compiled.ensure()
    try:
        status = _dispatch(words)
    except KeyboardInterrupt:
        status = 130
    except Exception as error:  # the border: people get one line, not a traceback
        status = _status_of(error)
        with contextlib.suppress(OSError):  # the file that messages go to is on the full disk, too
            _explain(words, error)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(status)


def _dispatch(words: Sequence[str]) -> int:
    name, rest = (words[0], words[1:]) if words else ("", [])
    if name == "filter" and rest and rest[0] in FILTERS:
        from comfyvn_store.hot import filter

        return filter.run(rest[0])
    if name in MERGES and len(rest) == 4:
        from comfyvn_store.hot import mergedriver

        return mergedriver.run(*rest, makes_ancestor=name == "merge-ancestor")
    if name == TEXTCONV and len(rest) == 1:
        from comfyvn_store.hot import textconv

        return textconv.run(rest[0])
    from comfyvn_store.hot import hooks

    return hooks.run(name, rest)


def _status_of(error: Exception) -> int:
    from comfyvn_store.errors import ComfyvnError, MachineError

    if isinstance(error, ComfyvnError):
        return error.exit_code
    return MachineError.exit_code if isinstance(error, OSError) else 70


def _explain(words: Sequence[str], error: Exception) -> None:
    from comfyvn_store.errors import ComfyvnError, from_os_error

    if os.environ.get("COMFYVN_TRACE") == "1":
        import traceback

        traceback.print_exc()
    if isinstance(error, OSError) and not isinstance(error, ComfyvnError):
        error = from_os_error(error, f"run {' '.join(words[:2])}")
    if isinstance(error, ComfyvnError):
        sys.stderr.write(f"error: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"hint: {error.hint}\n")
        return
    what = " ".join(words[:2])
    sys.stderr.write(f"error: comfyvn-store {what} failed: {type(error).__name__}: {error}\n")
    sys.stderr.write("hint: this is a bug; COMFYVN_TRACE=1 shows where it happened\n")
