"""git's side of the long-running filter process (gitattributes, protocol version 2), spoken by hand."""

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tests.gitrepo import GitRepo

LONGEST = 65516
FLUSH = b"0000"


class Answer(NamedTuple):
    """What the filter said of one file: its first status, the bytes, and the status behind them ("" if none)."""

    status: str
    data: bytes
    last: str = ""


class FilterClient:
    """One filter process, started as git's config says."""

    def __init__(self, repo: GitRepo, driver: str = "comfyvn", env: Mapping[str, str] | None = None) -> None:
        command = repo.git("config", f"filter.{driver}.process").out
        self.process = subprocess.Popen(
            ["sh", "-c", command],
            cwd=repo.path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self._in, self._out = self.process.stdin, self.process.stdout
        self._send(_lines("git-filter-client", "version=2"))
        assert self._list() == ["git-filter-server", "version=2"]
        self._send(_lines("capability=clean", "capability=smudge", "capability=delay"))
        assert self._list() == ["capability=clean", "capability=smudge"]

    def clean(self, path: str, data: bytes, cuts: Sequence[int] = ()) -> Answer:
        """Asks what git would keep; `cuts` are the places where the bytes are parted into packets."""
        edges = [0, *sorted(cuts), len(data)]
        return self.ask("clean", path, (data[a:b] for a, b in pairwise(edges)))

    def smudge(self, path: str, data: bytes, **words: str) -> Answer:
        """Asks what git would write into the work tree."""
        return self.ask("smudge", path, [data], words)

    def ask(self, command: str, path: str, blocks: Iterable[bytes], words: Mapping[str, str] | None = None) -> Answer:
        """Sends one request, whole, as git does, and then reads the answer."""
        more = [f"{key}={value}" for key, value in (words or {}).items()]
        self._send(_lines(f"command={command}", f"pathname={path}", *more))
        for block in blocks:
            for at in range(0, len(block), LONGEST):
                self._send(_packet(block[at : at + LONGEST]))
        self._send(FLUSH)
        status = "".join(self._list())
        if status != "status=success":
            return Answer(status, b"")
        data = b"".join(self._packets())
        return Answer(status, data, "".join(self._list()))

    def close(self) -> str:
        """Ends the process as git does; gives what it said to people. It must end well."""
        _, said = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, said
        return os.fsdecode(said)

    def __enter__(self) -> "FilterClient":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def _send(self, data: bytes) -> None:
        self._in.write(data)
        self._in.flush()

    def _list(self) -> list[str]:
        return [os.fsdecode(packet).removesuffix("\n") for packet in self._packets()]

    def _packets(self) -> Iterable[bytes]:
        while length := int(self._read(4), 16):
            yield self._read(length - 4)

    def _read(self, count: int) -> bytes:
        data = self._out.read(count)
        if len(data) != count:
            raise AssertionError(f"the filter ended early: {os.fsdecode(self.process.communicate()[1])}")
        return data


def leftovers(repo: GitRepo) -> list[Path]:
    """What lies in the store's `tmp/`."""
    return list((repo.path / ".git/comfyvn/tmp").iterdir())


def objects(repo: GitRepo) -> list[str]:
    """The hashes of the objects in the store."""
    top = repo.path / ".git/comfyvn/objects"
    return sorted(path.parent.name + path.name for path in top.glob("*/*"))


def _packet(data: bytes) -> bytes:
    return b"%04x" % (len(data) + 4) + data


def _lines(*lines: str) -> bytes:
    return b"".join(_packet(os.fsencode(line) + b"\n") for line in lines) + FLUSH
