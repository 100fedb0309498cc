"""What the two filter drivers have in common: requests are answered one after another, and an error is that of one file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from comfyvn_store.base import names, pktline
from comfyvn_store.base.pktline import FLUSH, LONGEST_PAYLOAD, PacketReader, packet, text_packets, write_all
from comfyvn_store.errors import ComfyvnError, from_os_error

if TYPE_CHECKING:
    from comfyvn_store.vcs.repository import Repository


class Refusal(Exception):
    """This file cannot be taken; the message says why."""


class Driver:
    """Answers one request after another."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._repository: Repository | None = None

    @property
    def repository(self) -> Repository:
        """Where git is at work."""
        if self._repository is None:
            from comfyvn_store.vcs.repository import open_repository  # sidecars are stripped without it

            self._repository = open_repository()
        return self._repository

    def answer(self, words: dict[str, str], reader: PacketReader) -> None:
        """Answers a request; whatever goes wrong with one file is an error of that file."""
        blocks = reader.packets()
        path = words.get("pathname", "")
        try:
            command = words.get("command")
            if command == "clean":
                self._clean(path, blocks)
            elif command == "smudge":
                self._smudge(path, blocks, words)
            else:
                raise Refusal(f"git asks for '{command}', which this filter does not know")
        except BrokenPipeError:
            raise
        except (Refusal, ComfyvnError, OSError) as error:
            self._fail(path, error, blocks)
        except EOFError:
            raise pktline.StreamEnded("git ended before a file did") from None

    def rest(self, reader: PacketReader) -> None:
        """Does what can wait while git is at work with an answer."""

    def end(self) -> None:
        """Does what is left when git has done its work."""

    def _clean(self, path: str, blocks: Iterator[bytes]) -> None:
        raise AssertionError("a driver of its own")

    def _smudge(self, path: str, blocks: Iterator[bytes], words: dict[str, str]) -> None:
        raise AssertionError("a driver of its own")

    def _fail(self, path: str, error: Exception, blocks: Iterator[bytes]) -> None:
        for _ in blocks:
            pass
        say(path, error)
        write_all(self._target, text_packets(["status=error"]))

    def _give(self, data: bytes) -> None:
        parts = [text_packets(["status=success"])]
        parts += [packet(data[at : at + LONGEST_PAYLOAD]) for at in range(0, len(data), LONGEST_PAYLOAD)]
        write_all(self._target, b"".join([*parts, FLUSH, FLUSH]))

    def _stream(self, path: str, blocks: Iterator[bytes]) -> None:
        """Gives bytes as they come. An error on the way is told to git behind them, as the protocol allows."""
        write_all(self._target, text_packets(["status=success"]))
        last = FLUSH
        while True:
            try:
                block = next(blocks, b"")
            except OSError as error:
                say(path, error)
                last = text_packets(["status=error"])
                break
            if not block:
                break
            for at in range(0, len(block), LONGEST_PAYLOAD):
                write_all(self._target, packet(block[at : at + LONGEST_PAYLOAD]))
        write_all(self._target, FLUSH + last)


def say(path: str, error: Exception) -> None:
    """Tells people about one file; git itself only says that the filter failed."""
    if isinstance(error, OSError):
        error = from_os_error(error, f"store '{names.printable(path)}'")
        message = error.message
    else:
        message = f"'{names.printable(path)}': {error}"
    sys.stderr.write(f"error: {message}\n")
    hint = getattr(error, "hint", None)
    if hint:
        sys.stderr.write(f"hint: {hint}\n")
    sys.stderr.flush()
