"""The Git LFS server of a forge as a remote. Its objects go by SHA-256, as ours do, so nothing is translated."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from comfyvn_store.errors import ComfyvnError, Refused, RemoteDenied, RemoteUnreachable
from comfyvn_store.remotes.lfs import batch, download, failures
from comfyvn_store.remotes.lfs.anchor import Anchor
from comfyvn_store.remotes.lfs.api import DOWNLOAD, MEDIA_TYPE, UPLOAD, Api
from comfyvn_store.remotes.lfs.batch import MOST, Answered, Wanted
from comfyvn_store.remotes.lfs.download import GONE, missing
from comfyvn_store.remotes.lfs.endpoint import find, server_ref
from comfyvn_store.remotes.lfs.http import Answer, Body
from comfyvn_store.remotes.lfs.locking import Locking
from comfyvn_store.remotes.lfs.parsing import Action
from comfyvn_store.remotes.remote import Item, Remote, Source
from comfyvn_store.vcs.git import Git

# Actions that were asked for and not used yet, at most.
_PREPARED = 2000
_REST = 1 << 20


class GitLfs(Remote):
    """The objects of one Git LFS server; `rest` is what follows `lfs:` in its address.

    `finish` sends the ref that keeps the objects from collection, also for those that `has` or `put` found there already.
    Raises UsageError on making where the address leads nowhere. `clock` and `wall` give seconds, since anything and 1970.
    """

    deletes_at_once = False

    def __init__(
        self,
        name: str,
        rest: str,
        repository_git: Git,
        object_format: str,
        *,
        is_writable: bool = True,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.git = repository_git
        self.is_writable = is_writable
        endpoint = find(repository_git, rest)
        self.place = endpoint.url
        self._api = Api(name, endpoint, repository_git, clock=clock, wall=wall)
        self._anchor = Anchor(name, repository_git, object_format, endpoint)
        self._ref = server_ref(repository_git)
        self._lock = threading.Lock()
        self._sent = threading.Condition()
        self._sending: set[str] = set()
        self._prepared: dict[tuple[str, Wanted], Answered] = {}
        # What `finish` puts into the ref, puts there unless it is there, and takes out.
        self._added: dict[str, int] = {}
        self._held: dict[str, int] = {}
        self._removed: set[str] = set()

    # -- what every remote can do -----------------------------------------------------------------------------------

    def has(self, items: Sequence[Item]) -> dict[str, int | None]:
        """Asks the server for each hundred of them."""
        found: dict[str, int | None] = {}
        wanted = [Wanted(item.hash, self._size(item) or 0) for item in items]
        for at in range(0, len(wanted), MOST):
            portion = {each.hash: each.size for each in wanted[at : at + MOST]}
            asked = [Wanted(*each) for each in portion.items()]
            for hash_, answered in batch.ask(self._api, DOWNLOAD, asked, self._ref).items():
                if answered.error in GONE or answered.error == 422:
                    continue
                if answered.error is not None:
                    raise self._error(hash_, answered, "does not tell of")
                if answered.transfer is not None or answered.is_strange:
                    found[hash_] = answered.size or portion[hash_] or (0 if _is_empty(hash_) else None)
            with self._lock:
                # Where the server's word and ours differ, neither is put into a pointer.
                self._held.update((each, size) for each, size in portion.items() if size and found.get(each) == size)
        return found

    def get(self, item: Item, start: int = 0) -> Iterator[bytes]:
        """Gives the bytes as the server sends them."""
        size = self._size(item)
        if size is not None and start and start >= size:
            return
        headers = {"Accept": "application/octet-stream, */*"}
        if start:
            headers["Range"] = f"bytes={start}-"
        for is_last in (False, True):
            answered = self._answered(item.hash, size or 0, DOWNLOAD, is_fresh=is_last)
            action = self._download(item.hash, answered)
            answer = self._api.act("GET", action, headers=headers)
            if answer.status not in (401, 403) or is_last:
                break
            # A token that ran out before its time; the server gives another.
            answer.close()
        # A server that was told 0 for want of knowledge may say 0 itself.
        expected = size if size is not None else answered.size or None
        yield from download.blocks(answer, self.name, item.hash, start, expected, wall=self._api.wall)

    def put(self, item: Item, source: Source) -> bool:
        """Sends an object if the server wants it, and has it verify that if it wants to."""
        self._require_writable()
        size = source.size
        with self._alone(item.hash):
            was_sent = self._put(item.hash, source, size)
        with self._lock:
            self._added[item.hash] = size
            self._removed.discard(item.hash)
        return was_sent

    def list(self) -> Iterator[Item]:
        """Gives what the ref in the git repository names: what was sent by us or by others with this program."""
        known = self._anchor.refresh()
        with self._lock:
            removed = set(self._removed)
        for hash_ in sorted(known):
            if hash_ not in removed:
                yield Item(hash_, known[hash_])

    def delete(self, hash_: str) -> None:
        """Notes that the ref should not keep the object any more; `finish` sends that, and the server collects later."""
        self._require_writable()
        with self._lock:
            self._removed.add(hash_)
            self._added.pop(hash_, None)
            self._held.pop(hash_, None)

    def prepare(self, items: Sequence[Item], *, upload: bool) -> None:
        """Asks for all of them at once where their bytes go or come from."""
        operation = UPLOAD if upload else DOWNLOAD
        # An upload needs the size, which its source knows.
        sizes = {item.hash: item.size if upload else self._size(item) or 0 for item in items}
        wanted = [Wanted(hash_, size) for hash_, size in sizes.items() if size is not None]
        for at in range(0, len(wanted), MOST):
            answers = batch.ask(self._api, operation, wanted[at : at + MOST], self._ref)
            with self._lock:
                for each in wanted[at : at + MOST]:
                    self._prepared[operation, each] = answers[each.hash]
                while len(self._prepared) > _PREPARED:
                    del self._prepared[next(iter(self._prepared))]

    def finish(self) -> None:
        """Sends the ref, if something is new to it."""
        with self._lock:
            added, held, removed = dict(self._added), dict(self._held), set(self._removed)
        if not self.is_writable or not (added or held or removed):
            return
        self._anchor.publish(added, removed, held)
        with self._lock:
            self._added = {hash_: size for hash_, size in self._added.items() if hash_ not in added}
            self._held = {hash_: size for hash_, size in self._held.items() if hash_ not in held}
            self._removed -= removed

    def test(self) -> None:
        """Asks the server for an object that nobody has, and the git remote for its ref."""
        batch.ask(self._api, DOWNLOAD, [Wanted("0" * 64, 1)], self._ref)
        self._anchor.refresh()

    def close(self) -> None:
        """Closes the connections."""
        self._api.close()

    def locking(self) -> Locking:
        """Gives the server's locks, over the same connections and credentials."""
        return Locking(self._api)

    # -- the parts of it --------------------------------------------------------------------------------------------

    def _size(self, item: Item) -> int | None:
        if item.size is not None:
            return item.size
        with self._lock:
            added = self._added.get(item.hash)
        return added if added is not None else self._anchor.size(item.hash)

    def _answered(self, hash_: str, size: int, operation: str, *, is_fresh: bool) -> Answered:
        """Gives what the server said of an object; asks where that is not known, over, or `is_fresh` wants it anew."""
        with self._lock:
            known = self._prepared.pop((operation, Wanted(hash_, size)), None)
        if known is not None and not is_fresh and not known.is_over(self._api.clock()):
            return known
        return batch.ask(self._api, operation, [Wanted(hash_, size)], self._ref)[hash_]

    @contextlib.contextmanager
    def _alone(self, hash_: str) -> Iterator[None]:
        """Lets one thread send an object while others that want to wait; a server may not bear two at once."""
        with self._sent:
            while hash_ in self._sending:
                self._sent.wait()
            self._sending.add(hash_)
        try:
            yield
        finally:
            with self._sent:
                self._sending.discard(hash_)
                self._sent.notify_all()

    def _put(self, hash_: str, source: Source, size: int) -> bool:
        was_sent = False
        for is_last in (False, True):
            answered = self._answered(hash_, size, UPLOAD, is_fresh=is_last)
            if answered.error is not None:
                raise self._error(hash_, answered, "does not take")
            if answered.is_strange:
                raise self._strange()
            if answered.transfer is None:
                break
            refusal = self._upload(answered.transfer, Body(source.open, size))
            if refusal is None:
                was_sent = True
                refusal = self._verify(answered.verify, hash_, size)
            if refusal is None:
                break
            # A token that ran out, perhaps while a large object went: what the server says now tells whether it has it.
            if is_last:
                raise refusal
        return was_sent

    def _download(self, hash_: str, answered: Answered) -> Action:
        if answered.error is not None:
            raise self._error(hash_, answered, "does not give")
        if answered.is_strange:
            raise self._strange()
        if answered.transfer is None:
            raise missing(self.name, hash_)
        return answered.transfer

    def _upload(self, action: Action, body: Body) -> ComfyvnError | None:
        """Sends the bytes; gives the refusal that a fresh action may mend, None where all went well."""
        answer = self._api.act("PUT", action, headers={"Content-Type": "application/octet-stream"}, body=body)
        return self._judged(answer, "does not take an object")

    def _verify(self, action: Action | None, hash_: str, size: int) -> ComfyvnError | None:
        if action is None:
            return None
        text = json.dumps({"oid": hash_, "size": size}).encode()
        headers = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE}
        answer = self._api.act("POST", action, headers=headers, body=Body.of(text))
        if answer.status in (*GONE, 422):
            answer.close()
            raise RemoteUnreachable(
                f"remote '{self.name}' took object {hash_[:16]} and does not find it",
                hint="run the command again",
                is_passing=True,
            )
        return self._judged(answer, "does not verify an object")

    def _judged(self, answer: Answer, doing: str) -> ComfyvnError | None:
        if 200 <= answer.status < 300:
            answer.read(_REST)
            return None
        error = failures.of_answer(answer, self.name, doing, wall=self._api.wall)
        if isinstance(error, RemoteDenied):
            return error
        raise error

    def _error(self, hash_: str, answered: Answered, doing: str) -> ComfyvnError:
        """Gives the error that the server has for one object."""
        assert answered.error is not None
        if doing == "does not give" and (answered.error in GONE or answered.error == 422):
            return missing(self.name, hash_)
        return failures.of_status(answered.error, self.name, f"{doing} object {hash_[:16]}", answered.said)

    def _strange(self) -> RemoteUnreachable:
        return RemoteUnreachable(
            f"remote '{self.name}' names an address for an object that is not HTTPS; it is not followed",
            hint="the server is set up wrong, or is not what it should be",
        )

    def _require_writable(self) -> None:
        if not self.is_writable:
            raise Refused(
                f"remote '{self.name}' is only read here: it came with the repository",
                hint=f"if you trust it: comfyvn-store remote trust {self.name}",
            )


def _is_empty(hash_: str) -> bool:
    """Whether it is the hash of no bytes at all."""
    return hash_.startswith("e3b0c44298fc1c149afbf4c8996fb924")
