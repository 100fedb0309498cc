"""Object storage as a remote: `<prefix>/objects/ab/<62 hex>`, laid out as in a folder.

Objects are fetched in ranges, so that no request takes long and memory is bounded, and sent whole or, large ones, in parts.
An object becomes visible when all of it is there: object storage promises that of both ways. Parts that a broken upload
left are deleted by the bucket's lifecycle rules.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from comfyvn_store.base import links
from comfyvn_store.errors import MachineError, Refused, RemoteUnreachable, from_os_error
from comfyvn_store.remotes.address import Address, without_secrets
from comfyvn_store.remotes.bucket import access, faults
from comfyvn_store.remotes.bucket.calls import PART, Calls, NoRanges, OddNames
from comfyvn_store.remotes.remote import BLOCK, Item, Remote, Source

# Bytes that one request fetches. Of an object that is longer, the next range is on its way while this one is used.
RANGE = 8 << 20
# Requests that only ask, and ranges that are fetched ahead, at once.
_AT_ONCE = 16
# So many objects are asked for one by one; for more it is tried whether a listing, 1,000 to a request, answers faster.
FEW = 100
# A listing is given up for single questions when it brought so many times as many names as are looked for.
_LISTED = 20


class Cloud(Remote):
    """Objects in a bucket. `is_trusted` false: no credential is sent, because the endpoint came with the repository.

    Credentials are found in `environment` (the process's own, if none is given) and in the files of the cloud's tools; the
    library reads rarer settings from the process's environment itself. Raises ToolMissing, UsageError, RemoteUnreachable.
    """

    jobs = 8

    def __init__(
        self,
        name: str,
        address: Address,
        *,
        is_writable: bool = True,
        is_trusted: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.place = without_secrets(address.url)
        self.is_writable = is_writable and is_trusted
        access.library()
        found = access.find(address, os.environ if environment is None else environment, is_trusted=is_trusted)
        names = faults.Names(name, self.place, address.scheme, address.host, found.standing)
        self._calls = Calls(found, names)
        self._prefix = "".join(f"{part}/" for part in address.path.split("/") if part)
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="bucket")
        # Whether the storage heeds "only where there is none". The clouds themselves do; of others it is found out.
        self._heeds: bool | None = True if found.endpoint is None else None
        self._finding_out = threading.Lock()
        self._has_bucket = False

    def has(self, items: Sequence[Item]) -> dict[str, int | None]:
        """Asks for each, or looks through a listing where they are many."""
        wanted = {item.hash for item in items}
        found: dict[str, int | None] = {}
        if len(wanted) > FEW and self._look_through(wanted, found):
            return found
        rest = sorted(wanted - found.keys())
        sizes = self._pool.map(self._size, rest)
        found.update((hash_, size) for hash_, size in zip(rest, sizes, strict=True) if size is not None)
        if rest and not found and not self._has_bucket:
            # Asked for an object, a bucket that is not there answers as if only the object were missing.
            self._calls.first_page(self._prefix + "objects")
        self._has_bucket = self._has_bucket or bool(items)
        return found

    def get(self, item: Item, start: int = 0) -> Iterator[bytes]:
        """Gives an object's bytes, range by range, the next one on its way."""
        key = self._key(item.hash)
        is_all = start == 0 and item.size is not None and item.size <= RANGE
        try:
            data, total, failure = self._calls.range(key, item.hash, start, RANGE, is_all=is_all)
        except NoRanges:
            yield from _without(self._calls.whole(key, item.hash), start)
            return
        while True:
            start += len(data)
            more = failure is None and start < total
            following = self._pool.submit(self._calls.range, key, item.hash, start, RANGE) if more else None
            for at in range(0, len(data), BLOCK):
                yield bytes(memoryview(data)[at : at + BLOCK])
            if failure is not None:
                raise failure
            if following is None:
                return
            try:
                data, total, failure = following.result()
            except NoRanges:
                raise RemoteUnreachable(f"remote '{self.name}' gives ranges at one time and not at another") from None

    def put(self, item: Item, source: Source) -> bool:
        """Sends an object: whole, on the condition that there is none, or in parts after asking.

        One of another size than it should have cannot be the object, and is replaced.
        """
        self._require_writable()
        key = self._key(item.hash)
        size = _size(source)
        if size > PART or self._heeds is False:
            if self._size(item.hash) == size:
                return False
            return self._calls.write(key, _read(source, size), size) or self._require_whole(item, size)
        data = b"".join(_read(source, size))
        is_new = self._calls.create(key, data)
        if is_new is None:
            self._heeds = False
            return self.put(item, source)
        if is_new:
            self._find_out(key, data)
            return True
        there = self._size(item.hash)
        if there is not None and there != size:
            return self._calls.write(key, iter((data,)), size)
        return self._require_whole(item, size)

    def list(self) -> Iterator[Item]:
        """Gives all objects, as the bucket lists them."""
        top = self._prefix + "objects"
        given = 0
        try:
            for item in self._items(top):
                given += 1
                yield item
            return
        except OddNames:
            pass
        # Folder by folder, and from the first hex digit on, most names that are no paths are not met with. Listed in
        # order, so what was given comes first again.
        for number in range(256):
            folder = f"{top}/{number:02x}"
            for item in self._items(folder, after=f"{folder}/0"):
                given -= 1
                if given < 0:
                    yield item

    def delete(self, hash_: str) -> None:
        """Deletes the object."""
        self._require_writable()
        self._calls.delete(self._key(hash_))

    def test(self) -> None:
        """Lists, and asks for one object."""
        self._calls.first_page(self._prefix + "objects")
        self._size("0" * 64)

    def close(self) -> None:
        """Ends what is under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _look_through(self, wanted: set[str], found: dict[str, int | None]) -> bool:
        """Looks for objects in a listing; gives False where it was given up before its end."""
        seen = 0
        try:
            for page in self._calls.pages(self._prefix + "objects"):
                found.update((item.hash, item.size) for item in self._objects(page) if item.hash in wanted)
                seen += len(page)
                if seen > _LISTED * len(wanted):
                    return False
        except OddNames:
            return False
        return True

    def _size(self, hash_: str) -> int | None:
        return self._calls.size(self._key(hash_), hash_)

    def _require_whole(self, item: Item, size: int) -> bool:
        """Gives False, which says that the object is there; raises RemoteUnreachable where it is not, or not yet."""
        if self._size(item.hash) != size:
            # Another one is sending it just now, and whether it arrives is not known.
            raise RemoteUnreachable(f"remote '{self.name}' answers with a conflict", is_passing=True)
        return False

    def _find_out(self, key: str, data: bytes) -> None:
        """Sends, once, what is there now, to learn whether the storage overlooks the condition."""
        if self._heeds is None and self._finding_out.acquire(blocking=False):
            try:
                self._heeds = self._calls.create(key, data) is False
            except (RemoteUnreachable, MachineError):
                return
            finally:
                self._finding_out.release()

    def _items(self, prefix: str, after: str | None = None) -> Iterator[Item]:
        for page in self._calls.pages(prefix, after):
            yield from self._objects(page)

    def _objects(self, page: Sequence[Any]) -> Iterator[Item]:
        """Gives what of a page are objects."""
        for each in page:
            hash_ = self._hash(each["path"])
            if hash_ is not None:
                yield Item(hash_, int(each["size"]))

    def _key(self, hash_: str) -> str:
        return self._prefix + links.object_name(hash_)

    def _hash(self, key: str) -> str | None:
        """Gives the hash in a key, or None where the key is none of ours."""
        hash_ = key[len(self._prefix) + len("objects/") :].replace("/", "", 1)
        return hash_ if links.is_hash(hash_) and key == self._key(hash_) else None

    def _require_writable(self) -> None:
        if not self.is_writable:
            raise Refused(
                f"remote '{self.name}' is only read here: it came with the repository",
                hint=f"if you trust it: comfyvn-store remote trust {self.name}",
            )


def _without(blocks: Iterator[bytes], skip: int) -> Iterator[bytes]:
    """Leaves out the first bytes."""
    for block in blocks:
        if len(block) > skip:
            yield block[skip:]
        skip = max(0, skip - len(block))


def _size(source: Source) -> int:
    try:
        return source.size
    except OSError as error:
        raise from_os_error(error, f"read '{source.path}'") from error


def _read(source: Source, size: int) -> Iterator[bytes]:
    """Gives a local object's bytes. Raises MachineError, also where they are not as many as they were."""
    passed = 0
    try:
        with source.open() as stream:
            while block := stream.read(BLOCK):
                passed += len(block)
                yield block
    except OSError as error:
        raise from_os_error(error, f"read '{source.path}'") from error
    if passed != size:
        raise MachineError(f"'{source.path}' was written to while it was sent", hint="run the command again")
