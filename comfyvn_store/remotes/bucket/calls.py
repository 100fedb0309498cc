"""The calls of the library that we need, with every failure told in our words.

An error of the library never leaves this module, not even as the cause of another: its text may quote signatures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from comfyvn_store.errors import ComfyvnError, RemoteUnreachable
from comfyvn_store.remotes.bucket import access, faults
from comfyvn_store.remotes.bucket.faults import Fault

# Bytes of a part, the least that S3 takes, so that one is sent in its time over a slow line too; and the most of an object
# that is sent whole. S3 takes 10,000 parts.
PART = 5 << 20
_MOST_PARTS = 9000
# Parts of one object on their way at once; many objects are sent at once as well.
_PARTS_AT_ONCE = 2
# So many bytes are sent as fast as a question is answered, over a slow line too.
_QUICK = 256 << 10
# What is read at once of an answer, and lost if it breaks off there.
_CHUNK = 64 << 10


class OddNames(RemoteUnreachable):
    """A listing holds names that are no paths, such as `..`, at which the library gives it up."""


class NoRanges(Exception):
    """The storage answers with a whole object where a part was asked for."""


class Calls:
    """One bucket. Raises what `faults.explain` gives, MachineError for our own disk; nothing else unless it says so."""

    def __init__(self, found: access.Access, names: faults.Names) -> None:
        self._library = access.library()
        self._names = names
        # The library reads answers that are no objects into memory whatever their length, so only time bounds them.
        most = access.UNTRUSTED_SECONDS if names.standing == access.UNTRUSTED else access.SEND_SECONDS
        self._answering = self._opened(found, min(access.ANSWER_SECONDS, most))
        self._sending = self._opened(found, most)

    def size(self, key: str, hash_: str) -> int | None:
        """Gives the size of an object, or None where there is none (or no bucket: the answer has no body)."""
        got = self._ask(lambda: self._library.head(self._answering, key))
        if not isinstance(got, Fault):
            return int(got["size"])
        if got.is_object_missing:
            return None
        if got.is_vague:
            # An answer to HEAD has no body that would tell why.
            self.first_page(key.rpartition("/")[0])
        raise self.explain(got, hash_)

    def pages(self, prefix: str, after: str | None = None) -> Iterator[Any]:
        """Gives what lies below a folder, page by page, behind the key `after`. Raises OddNames."""
        stream = self._ask(lambda: self._library.list(self._answering, prefix, offset=after, chunk_size=1000))
        first = None
        while True:
            page = stream if isinstance(stream, Fault) else self._ask(lambda: _next_page(stream))
            if isinstance(page, Fault):
                if page.kind == "InvalidPathError":
                    raise OddNames(
                        f"remote '{self._names.name}' cannot be listed: somebody put names there that are no paths",
                        hint="delete them with the cloud's own tools",
                    )
                raise self.explain(page)
            if page is None:
                return
            if page and page[0]["path"] == first:
                raise RemoteUnreachable(f"the list of remote '{self._names.name}' goes round in circles")
            first = page[0]["path"] if page else first
            yield page

    def first_page(self, prefix: str) -> None:
        """Lists a little, for the errors that it brings to light."""
        try:
            next(self.pages(prefix), None)
        except OddNames:
            return

    def range(
        self, key: str, hash_: str, start: int, length: int, *, is_all: bool = False
    ) -> tuple[bytearray, int, ComfyvnError | None]:
        """Fetches bytes of an object: those that came, its whole size, and what went wrong before all came.

        `is_all` says that there should be no more than these. Raises what was wrong before the first one came, NoRanges.
        """
        options = None if is_all else {"range": (start, start + length)}
        got = self._ask(lambda: self._library.get(self._answering, key, options=options))
        if isinstance(got, Fault):
            if got.has_no_ranges:
                raise NoRanges
            if not got.is_beyond:
                raise self.explain(got, hash_)
            if self.size(key, hash_) != start:
                name = self._names.name
                raise RemoteUnreachable(
                    f"object {hash_[:16]} on remote '{name}' is shorter than what was fetched of it"
                )
            return bytearray(), start, None
        total = int(got.meta["size"])
        wanted = min(total - start, length)
        data = bytearray()
        stream = got.stream(min_chunk_size=_CHUNK)
        while len(data) < wanted:
            chunk = self._ask(lambda: next(stream, None))
            if chunk is None or isinstance(chunk, Fault):
                return data, total, self.explain(chunk or faults.BROKEN)
            data += memoryview(chunk)[: wanted - len(data)]
        return data, total, None

    def whole(self, key: str, hash_: str) -> Iterator[bytes]:
        """Gives all bytes of an object as they come, from a storage that knows no ranges."""
        got = self._ask(lambda: self._library.get(self._sending, key))
        if isinstance(got, Fault):
            raise self.explain(got, hash_)
        stream = got.stream(min_chunk_size=_CHUNK)
        while True:
            chunk = self._ask(lambda: next(stream, None))
            if isinstance(chunk, Fault):
                raise self.explain(chunk)
            if chunk is None:
                return
            yield bytes(chunk)

    def create(self, key: str, data: bytes) -> bool | None:
        """Sends an object where there is none; False where there is, None where the storage knows no such condition."""
        store = self._answering if len(data) <= _QUICK else self._sending
        got = self._ask(lambda: self._library.put(store, key, data, mode="create", use_multipart=False))
        if not isinstance(got, Fault):
            return True
        if got.kind in ("AlreadyExistsError", "PreconditionError") and not got.is_denial:
            return False
        if got.knows_no_condition:
            return None
        raise self.explain(got)

    def write(self, key: str, blocks: Iterator[bytes], size: int) -> bool:
        """Sends an object whatever is there: in parts if it is large, of which nobody sees any before the last.

        Gives False where another upload of the same object came first, and the storage threw away these parts.
        """
        part = max(PART, -(-size // _MOST_PARTS))
        got = self._ask(
            lambda: self._library.put(
                self._sending,
                key,
                blocks if size > PART else b"".join(blocks),
                mode="overwrite",
                use_multipart=size > PART,
                chunk_size=part,
                max_concurrency=_PARTS_AT_ONCE,
            )
        )
        if isinstance(got, Fault):
            if got.is_overtaken:
                return False
            raise self.explain(got)
        return True

    def delete(self, key: str) -> None:
        """Deletes an object; one that is not there is no error."""
        got = self._ask(lambda: self._library.delete(self._answering, key))
        if isinstance(got, Fault) and not got.is_object_missing:
            raise self.explain(got)

    def explain(self, fault: Fault, hash_: str | None = None) -> ComfyvnError:
        """Gives the error to raise."""
        return faults.explain(fault, self._names, hash_=hash_)

    def _ask(self, work: Callable[[], Any]) -> Any:
        """Gives what a call gives, or the Fault that is left of what it raises. Our own errors pass through."""
        try:
            return work()
        except ComfyvnError:
            raise
        except Exception as error:  # the library raises FileNotFoundError and ValueError too
            return faults.read(error)

    def _opened(self, found: access.Access, seconds: int) -> Any:
        store = self._ask(lambda: found.open(seconds))
        if isinstance(store, Fault):
            raise RemoteUnreachable(
                f"'{self._names.place}' (remote '{self._names.name}') cannot be opened",
                hint="a setting in the environment, or in the files it names, is not what the cloud's libraries expect",
            )
        return store


def _next_page(stream: Any) -> Any:
    """Gives the next page of a listing, or None. Raises TimeoutError.

    A page may be many answers, all of them empty, so that a bound for each answer is none for the page.
    """

    async def bounded() -> Any:
        async with asyncio.timeout(access.ANSWER_SECONDS):
            return await anext(stream, None)

    return asyncio.run(bounded())
