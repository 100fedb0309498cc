"""One server's API: where it is (by SSH or not), credentials when it asks for them, JSON in and out."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from comfyvn_store.errors import RemoteDenied, RemoteUnreachable
from comfyvn_store.remotes.lfs import failures, ssh
from comfyvn_store.remotes.lfs.credentials import Credentials
from comfyvn_store.remotes.lfs.endpoint import Endpoint, origin
from comfyvn_store.remotes.lfs.http import Answer, Body, Web
from comfyvn_store.remotes.lfs.parsing import Action
from comfyvn_store.vcs.git import Git

MEDIA_TYPE = "application/vnd.git-lfs+json"
DOWNLOAD, UPLOAD = "download", "upload"
# Of one answer: a hundred objects with signed URLs and long headers.
_LIMIT = 4 << 20
_TEXT = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE}


@dataclass(frozen=True)
class Reply:
    """What the API said: its status, and its JSON if it is an object ({} for anything else)."""

    status: int
    said: Mapping[str, Any]
    sent: Mapping[str, str] = field(repr=False)

    def shown(self, text: Any) -> str:
        """Gives some text out of it as it may be shown: nothing in it is what was sent in private."""
        return failures.without_secrets(text, self.sent)


class Api:
    """The API of one endpoint, for all threads together."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        git: Git,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.endpoint = endpoint
        self.clock = clock
        self.wall = wall
        self._git = git
        self._web = Web(name, git)
        self._credentials = Credentials(name, endpoint, git)
        self._lock = threading.Lock()
        # What SSH answered for each operation; None where it has no such program.
        self._by_ssh: dict[str, Action | None] = {}
        self.is_plain = endpoint.is_plain

    def call(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        data: Mapping[str, Any] | None = None,
        doing: str,
        expected: tuple[int, ...] = (),
    ) -> Reply:
        """Asks, as `operation` allows it, and gives the reply if it is a success or its status is one of `expected`.

        Raises RemoteUnreachable, RemoteDenied, MachineError; `doing` completes "remote 'NAME' …" in their message.
        """
        answer = self._ask(method, path, operation, data)
        if 200 <= answer.status < 300 or answer.status in expected:
            said = answer.json(_LIMIT)
            if isinstance(said, dict):
                return Reply(answer.status, said, answer.sent)
            if answer.status in expected:
                return Reply(answer.status, {}, answer.sent)
            raise RemoteUnreachable(
                f"remote '{self.name}': what {answer.host} answers is not the answer of a Git LFS server",
                hint="is the address right? `git config lfs.url` and `git remote -v` show it",
            )
        raise failures.of_answer(answer, self.name, doing, wall=self.wall)

    def act(self, method: str, action: Action, *, headers: Mapping[str, str], body: Body | None = None) -> Answer:
        """Does what an action says. Our credentials go with it only to the endpoint's own host, and only if it has none.

        A 401 that remains is the caller's to judge. Raises RemoteUnreachable, RemoteDenied.
        """
        here = origin(action.href)
        is_ours = not action.is_authorized and self._is_at_home(here)
        given = {name.lower() for name in action.headers}
        ours = {name: value for name, value in headers.items() if name.lower() not in given}
        chunked = [value for name, value in action.headers.items() if name.lower() == "transfer-encoding"]
        private = {name: value for name, value in action.headers.items() if name.lower() != "transfer-encoding"}
        login = self._credentials.header(here) if is_ours else None
        while True:
            answer = self._web.request(
                method,
                action.href,
                headers=ours,
                private={**private, "Authorization": login} if login else private,
                body=body,
                is_plain=self.is_plain,
                is_chunked=body is not None and chunked == ["chunked"],
            )
            if answer.status != 401 or not is_ours or answer.origin != here:
                if login and answer.status < 400:
                    self._credentials.accepted(here, login)
                return answer
            answer.close()
            login = self._credentials.after_refusal(here, login)

    def close(self) -> None:
        """Closes the connections."""
        self._web.close()

    def _ask(self, method: str, path: str, operation: str, data: Mapping[str, Any] | None) -> Answer:
        """Asks until the server takes who we are, or no other way is left."""
        body = None if data is None else Body.of(json.dumps(data).encode())
        refused_token = False
        login: str | None = None
        while True:
            url, token = self._base(operation)
            here = origin(url)
            has_token = any(name.lower() == "authorization" for name in token)
            if not has_token:
                login = login or self._credentials.header(here)
            answer = self._web.request(
                method,
                url + path,
                headers=_TEXT if body is not None else {"Accept": MEDIA_TYPE},
                private={**token, "Authorization": login} if login and not has_token else token,
                body=body,
                is_plain=self.is_plain,
            )
            if answer.status != 401:
                if login and not has_token and answer.status < 400 and answer.origin == here:
                    self._credentials.accepted(here, login)
                return answer
            answer.close()
            if has_token:
                if refused_token:
                    raise RemoteDenied(
                        f"remote '{self.name}': {answer.host} does not take the token that it gave by SSH"
                    )
                refused_token = True
                with self._lock:
                    self._by_ssh.pop(operation, None)
            elif answer.origin == here:
                login = self._credentials.after_refusal(here, login)
            else:
                raise RemoteDenied(
                    f"remote '{self.name}': {urlsplit(here).netloc} redirects to {answer.host}, which wants a password",
                    hint="set lfs.url to the address that it redirects to, if you trust it",
                )

    def _base(self, operation: str) -> tuple[str, Mapping[str, str]]:
        """Gives the endpoint's URL and headers for an operation; asked by SSH anew when they have expired."""
        place = self.endpoint.ssh
        if place is None:
            return self.endpoint.url, {}
        with self._lock:
            known = self._by_ssh.get(operation)
            if operation not in self._by_ssh or (known is not None and known.is_over(self.clock())):
                usual = self.endpoint.url
                known = ssh.authenticate(self._git, place, operation, usual, clock=self.clock, wall=self.wall)
                self._by_ssh[operation] = known
            if known is None:
                return self.endpoint.url, {}
            # A server without TLS that SSH vouches for, as in a house's own network, may stay with that.
            self.is_plain = known.href.startswith("http:")
            return known.href.rstrip("/"), known.headers

    def _is_at_home(self, here: str) -> bool:
        """Whether an origin is the API's own."""
        known = [self.endpoint.url, *(action.href for action in tuple(self._by_ssh.values()) if action)]
        return any(origin(url) == here for url in known)
