"""Watching a ComfyUI server: its WebSocket says when something ended, its history what that was, `/view` gives the files.

A server tells of a prompt's steps only whoever sent it; everybody hears that the queue changed. So any such message is but a
reason to look into the history, which knows all, also what ended while nobody listened. What a prompt saved is fetched once.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from comfyvn_store.base import ending, media
from comfyvn_store.errors import MachineError
from comfyvn_store.ops.importing import comfyui, scratch
from comfyvn_store.ops.importing.items import Item
from comfyvn_store.ops.watching import asking, outputs, telling
from comfyvn_store.ops.watching.asking import Address, Wrong
from comfyvn_store.ops.watching.feeding import Due, Feeder, portions
from comfyvn_store.ops.watching.folder import described
from comfyvn_store.ops.watching.memory import Memory
from comfyvn_store.ops.watching.outputs import Output
from comfyvn_store.ops.watching.telling import Event, Tell
from comfyvn_store.ops.watching.websocket import Broken, WebSocket

_TIMEOUT = 30.0
_LONGEST_MESSAGE = 16 << 20
_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
# Seconds: how soon after a message the history is read, how often without one, and how often a sign of life is asked for.
_SOON, _LATE, _ALIVE = 0.2, 60.0, 20.0
_FEW = 16
_MOST_ATTEMPTS = 5
_ENDS = frozenset(("status", "executed", "execution_success", "execution_error", "execution_interrupted"))


class Server:
    """A server that is watched."""

    def __init__(self, address: Address, feeder: Feeder, memory: Memory, tell: Tell, own_dir: str) -> None:
        self._address = address
        self._feeder = feeder
        self._memory = memory
        self._tell = tell
        self._own_dir = own_dir
        self._client = uuid.uuid4().hex
        self._attempts: dict[str, int] = {}
        self._is_gone = False
        self._retries = False

    def run(self, stop: threading.Event, *, once: bool) -> None:
        """Watches until it is told to stop; with `once` until all of the history is taken. Raises MachineError then."""
        pause = _SHORTEST_PAUSE
        while not stop.is_set():
            try:
                if once:
                    self._catch_up(stop)
                    return
                with contextlib.closing(self._connected()) as connection:
                    self._catch_up(stop)
                    pause = _SHORTEST_PAUSE
                    self._say_back()
                    self._listen(connection, stop)
            except (Broken, Wrong, OSError, http.client.HTTPException) as error:
                if once:
                    raise MachineError(f"cannot ask the server: {_said(error)}", hint="see that it runs") from None
                self._say_gone(_said(error))
            except MachineError as error:  # git's index is held, or the disk is full: later, then
                self._tell(Event(telling.WAITING, {"reason": error.message}))
                if once:
                    raise
            if not stop.wait(pause):
                pause = min(_LONGEST_PAUSE, 2 * pause)

    def _connected(self) -> WebSocket:
        address = self._address
        path = f"{address.base}/ws?clientId={self._client}"
        return WebSocket(
            address.host, address.port, path, secure=address.secure, timeout=_TIMEOUT, longest=_LONGEST_MESSAGE
        )

    def _listen(self, connection: WebSocket, stop: threading.Event) -> None:
        due, heard, asked = None, time.monotonic(), time.monotonic()
        looked = time.monotonic()
        while not stop.is_set():
            message = connection.receive(_SOON)
            now = time.monotonic()
            if message is None:
                self._feeder.rest()
            if message is not None:
                heard = now
                if message.text is not None and _is_end(message.text):
                    due = due or now + _SOON
            if (due is not None and now >= due) or now - looked >= (_SHORTEST_PAUSE * 5 if self._retries else _LATE):
                due, looked = None, now
                self._catch_up(stop)
            if now - max(heard, asked) >= _ALIVE:
                asked = now
                connection.ping()

    # -- the history ---------------------------------------------------------------------------------------------------

    def _catch_up(self, stop: threading.Event) -> None:
        """Takes what prompts saved that are not known yet, oldest first."""
        self._retries = False
        for prompt, entry in self._unknown():
            if stop.is_set():
                return
            if self._take(prompt, entry, stop):
                self._memory.note_prompt(prompt)
                self._attempts.pop(prompt, None)
            else:
                self._retries = True

    def _unknown(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Gives the prompts that are not known yet. Only the newest are asked for, as long as some of those are known."""
        number = _FEW
        while True:
            found = asking.get_json(self._address, "/history", {"max_items": str(number)})
            if not isinstance(found, dict):
                raise Wrong("its history is no object")
            unknown = [(prompt, entry) for prompt, entry in found.items() if not self._memory.is_done(prompt)]
            if len(unknown) < len(found) or len(found) < number:
                break
            number *= 8
        for prompt, entry in unknown:
            if isinstance(entry, dict):
                yield prompt, entry

    def _take(self, prompt: str, entry: Mapping[str, Any], stop: threading.Event) -> bool:
        """Takes what a prompt saved; tells whether that is done with. Raises MachineError, OSError."""
        origin = outputs.origin(entry)
        is_done = True
        # Beside our other files, so that a disk that is full is the one that the store is on.
        with tempfile.TemporaryDirectory(dir=self._own_dir, prefix="fetched-") as folder:
            due: list[Due] = []
            fetched: dict[str, str] = {}
            for number, output in enumerate(outputs.of_prompt(entry)):
                if stop.is_set():
                    return False
                if output.refusal:
                    self._leave(output, output.refusal)
                    continue
                if output.is_cached and self._memory.took(output.inside):
                    continue
                place = os.path.join(folder, f"{number}{os.path.splitext(output.filename)[1][:16]}")
                try:
                    size = self._fetch(output, place)
                except Wrong as error:
                    is_done &= self._failed(prompt, output, error)
                    continue
                item = Item(
                    place, output.inside, output.inside, tags=comfyui.tags_of(output.inside), hint=lambda: origin
                )
                fetched[output.inside] = prompt
                due.append(Due(item, size))
            for portion in portions(due):
                self._feed(portion, fetched)
        return is_done

    def _fetch(self, output: Output, place: str) -> int:
        """Fetches a file, and looks whether it is one. Raises Wrong, OSError."""
        try:
            with open(place, "w+b") as target:
                size = asking.fetch(self._address, "/view", output.query, target)
                mime = media.describe(target).mime
                if not mime.startswith(("image/", "audio/", "video/")):
                    raise Wrong(f"it is no picture, sound or film, but {mime}", is_final=True)
                if ending.is_cut(target):
                    raise Wrong("its end is missing")
                return size
        except http.client.HTTPException as error:
            raise Wrong(_said(error)) from None

    def _failed(self, prompt: str, output: Output, error: Wrong) -> bool:
        """Notes that a file did not come; tells whether it is given up."""
        self._attempts[prompt] = self._attempts.get(prompt, 0) + 1
        if error.is_final or self._attempts[prompt] >= _MOST_ATTEMPTS:
            self._leave(output, str(error))
            return True
        return False

    def _feed(self, portion: list[Due], fetched: Mapping[str, str]) -> None:
        for outcome in self._feeder.feed(portion):
            if outcome.path is not None:
                self._memory.note(outcome.file, fetched.get(outcome.file, ""), outcome.path)
            self._tell(Event(outcome.what, described(outcome)))

    def _leave(self, output: Output, reason: str) -> None:
        self._feeder.counts[scratch.LEFT] += 1
        self._tell(Event(scratch.LEFT, {"file": output.inside, "reason": reason}))

    def _say_gone(self, reason: str) -> None:
        if not self._is_gone:
            self._is_gone = True
            self._tell(Event(telling.GONE, {"server": self._address.url, "reason": reason}))

    def _say_back(self) -> None:
        if self._is_gone:
            self._is_gone = False
            self._tell(Event(telling.BACK, {"server": self._address.url}))


def sweep(own_dir: str) -> None:
    """Removes what a watch that was killed had fetched and not taken. Nobody else may be watching."""
    for name in os.listdir(own_dir):
        if name.startswith("fetched-"):
            shutil.rmtree(os.path.join(own_dir, name), ignore_errors=True)


def _is_end(text: str) -> bool:
    """Whether a message may mean that something was saved. What is no message of ComfyUI's means nothing."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(said, dict):
        return False
    data = said.get("data")
    if said.get("type") == "executing":
        return isinstance(data, dict) and data.get("node") is None
    return said.get("type") in _ENDS


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
