"""The process that decodes: it takes one object after another from its parent and tells what became of each.

A file may crash a decoder, or make it eat memory or time: the process dies of it, within bounds that it sets itself, and its
parent goes on with another. It ends with its parent, however that ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from typing import Any, BinaryIO

from comfyvn_store.previews import NeedsRoom, PreviewError

NICENESS = 10
_LARGEST_FILE = 1 << 28


def run(seconds: str, memory: str, room: str) -> None:
    """Works until the parent closes the pipe. `seconds` of computing for each object, `memory` in bytes (0: no bound)."""
    answers = _own_output()
    _lower_priority()
    _bound(int(memory))
    orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    _tell(answers, {"ready": True})
    while True:
        order = orders.get()
        _bound_seconds(int(seconds))
        _tell(answers, _made(order, room == "1"))


def _made(order: dict[str, Any], has_room: bool) -> dict[str, Any]:
    from comfyvn_store.previews import making

    try:
        wants = frozenset(order["wants"])
        return {"made": making.make(order["mime"], order["source"], order["place"], wants, has_room=has_room)}
    except NeedsRoom as error:
        return {"reason": error.reason, "needs_room": True}
    except PreviewError as error:
        return {"reason": error.reason}
    except MemoryError:
        return {"reason": "not enough memory", "needs_room": True}
    except RecursionError:
        return {"reason": "damaged: nested too deeply"}
    except OSError as error:
        return {"errno": error.errno or 0, "text": error.strerror or str(error), "file": error.filename}
    except Exception as error:  # of a decoder, or a mistake of ours: the file is named with it
        return {"reason": f"the decoder failed ({type(error).__name__}: {error})"[:500]}


def _own_output() -> BinaryIO:
    """Gives the pipe to the parent, which no library that prints can write into from now on."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return answers


def _tell(answers: BinaryIO, message: dict[str, Any]) -> None:
    try:
        answers.write(json.dumps(message).encode("ascii") + b"\n")
    except OSError:
        os._exit(0)


def _listen(orders: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin.buffer:
        orders.put(json.loads(line))
    os._exit(0)  # the parent is done, or gone: nobody wants what is being made


def _lower_priority() -> None:
    """Lets everything else on the machine go first, and be spared where memory runs out."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(max(0, NICENESS - os.nice(0)))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as stream:
        stream.write("700")
    with contextlib.suppress(OSError, ValueError, AttributeError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends this process


def _bound(memory: int) -> None:
    """Bounds what this process takes, where the system can; it leaves no core dump."""
    try:
        import resource
    except ImportError:
        return
    wishes = [("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", _LARGEST_FILE)]
    for name, most in [*wishes, ("RLIMIT_AS", memory)] if memory else wishes:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (bound, hard))


def _bound_seconds(seconds: int) -> None:
    """Gives the next object its own time of computing; the system ends the process after that."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        end = int(time.process_time()) + 1 + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (end if hard == resource.RLIM_INFINITY else min(end, hard), hard))
