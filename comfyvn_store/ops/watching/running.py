"""A watch from its beginning to its end: alone, at low priority, ended by a signal."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import cast

from comfyvn_store.base import names
from comfyvn_store.errors import UnknownFile, UsageError
from comfyvn_store.ops import places
from comfyvn_store.ops.importing import choosing, made
from comfyvn_store.ops.importing.carrying import Order
from comfyvn_store.ops.importing.items import Watched
from comfyvn_store.ops.session import open_session
from comfyvn_store.ops.watching import memory, telling
from comfyvn_store.ops.watching.asking import Address
from comfyvn_store.ops.watching.feeding import Feeder
from comfyvn_store.ops.watching.folder import Folder
from comfyvn_store.ops.watching.memory import Memory
from comfyvn_store.ops.watching.server import Server, sweep
from comfyvn_store.ops.watching.telling import Event, Tell

# Adapters that can say of each file by itself what it is.
ADAPTERS = ("comfyui", "automatic1111", "invokeai", "plain")
_NICE = 10


def watch_folder(place: str, order: Order, tell: Tell, *, once: bool = False) -> dict[str, int]:
    """Watches a folder and gives how many files came to what. Raises UnknownFile, UsageError, Refused, MachineError."""
    if not os.path.isdir(place):
        raise UnknownFile(f"there is no folder '{names.printable(place)}'", hint="name the folder that is written to")
    adapter = _adapter(place, order.adapter)
    _require_type(order)
    real = os.path.realpath(place)
    with _repository(real, names.printable(os.path.basename(real)), order) as (feeder, known, _, stop):
        tell(Event(telling.WATCHING, {"folder": names.printable(place), "as": adapter.NAME, "process": os.getpid()}))
        again = (lambda: _adapter(place, None)) if order.adapter is None else None
        Folder(place, adapter, feeder, known, tell, again).run(stop, once=once)
        return _end(feeder, tell)


def watch_server(url: str, order: Order, tell: Tell, *, once: bool = False) -> dict[str, int]:
    """Watches a ComfyUI server, and gives the same. Raises UsageError, Refused, MachineError."""
    address = Address.parse(url)
    _require_type(order)
    with _repository(address.url, f"{address.host}:{address.port}", order) as (feeder, known, own_dir, stop):
        folder = os.path.join(own_dir, memory.FOLDER)
        sweep(folder)
        tell(Event(telling.WATCHING, {"server": address.url, "as": "comfyui", "process": os.getpid()}))
        Server(address, feeder, known, tell, folder).run(stop, once=once)
        return _end(feeder, tell)


def _adapter(place: str, chosen: str | None) -> Watched:
    if chosen is not None and chosen not in ADAPTERS:
        raise UsageError(f"a folder cannot be watched as '{chosen}'", hint=f"choose from {', '.join(ADAPTERS)}")
    found = choosing.find(place, chosen)
    return cast(Watched, found if found.NAME in ADAPTERS else choosing.adapter("plain"))


def _require_type(order: Order) -> None:
    if order.type is None:
        raise UsageError("nothing says of which type new files are", hint="give one: --type characters")
    places.check_type(order.type)


@contextlib.contextmanager
def _repository(what: str, shown: str, order: Order) -> Iterator[tuple[Feeder, Memory, str, threading.Event]]:
    """Opens the repository, keeps other watches out, and steps back behind all other work."""
    with open_session() as session:
        repository = session.repository
    with memory.alone(repository, what) as place, _until_signal() as stop:
        with contextlib.suppress(OSError):
            os.nice(_NICE)
        with closing(Memory(place)) as known:
            feeder = Feeder(repository.top, order, made.Made(repository, shown))
            try:
                yield feeder, known, repository.own_dir, stop
            finally:
                feeder.finish()


@contextlib.contextmanager
def _until_signal() -> Iterator[threading.Event]:
    """Gives what is set when the process is asked to end."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(feeder: Feeder, tell: Tell) -> dict[str, int]:
    tell(Event(telling.ENDED, {"counts": dict(feeder.counts)}))
    return feeder.counts
