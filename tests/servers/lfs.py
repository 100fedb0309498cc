"""A Git LFS server for tests of what others' small servers lack: ranges, passwords, tokens that run out, locks.

Batch API, basic transfers and File Locking API as Git LFS documents them (docs/api). It runs in a thread, keeps its objects
in memory, and notes each request that it saw.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

MEDIA_TYPE = "application/vnd.git-lfs+json"


class Seen(NamedTuple):
    """A request that arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class LfsServer(ThreadingHTTPServer):
    """The server; its attributes may be changed while it runs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/org/repo.git/info/lfs"
        self.objects: dict[str, bytes] = {}
        self.seen: list[Seen] = []
        # User name and password of each person; with none, everybody is let in.
        self.people: dict[str, str] = {}
        # What an action's token is worth: seconds, and those that the client is told.
        self.lifetime, self.said_lifetime = 3600.0, 3600.0
        self.has_ranges = True
        self.has_locks = True
        self.wants_verify = True
        self.most = 100
        self.page = 3
        self.tokens: dict[str, float] = {}
        self.locks: dict[str, dict[str, Any]] = {}
        self.guard = threading.Lock()

    def batches(self) -> list[dict[str, Any]]:
        """What was asked of the Batch API."""
        return [json.loads(each.body) for each in self.seen if each.path.endswith("/objects/batch")]

    def methods(self, method: str) -> list[Seen]:
        return [each for each in self.seen if each.method == method]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LfsServer
    # Head and body are two packets, of which the second would wait for the first to be acknowledged.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def do_PUT(self) -> None:
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body: bytes) -> None:
        server = self.server
        parts = urlsplit(self.path)
        server.seen.append(Seen(self.command, self.path, dict(self.headers), body if self.command == "POST" else b""))
        inside = parts.path.removeprefix("/org/repo.git/info/lfs")
        if inside == parts.path:
            return self.say(404, {"message": "Not found"})
        if inside.startswith("/store/"):
            return self.stored(inside.removeprefix("/store/"), body)
        person = self.person()
        if person is None:
            return self.say(401, {"message": "Credentials needed"}, {"LFS-Authenticate": 'Basic realm="Git LFS"'})
        if inside == "/objects/batch":
            return self.batch(json.loads(body))
        if inside.startswith("/locks") and server.has_locks:
            return self.locked(inside, parse_qs(parts.query), json.loads(body or b"{}"), person)
        return self.say(404, {"message": "Not found"})

    def person(self) -> str | None:
        if not self.server.people:
            return "anybody"
        scheme, _, text = self.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(text).decode().partition(":") if scheme == "Basic" else ("", "", "")
        return user if user and self.server.people.get(user) == password else None

    def batch(self, asked: dict[str, Any]) -> None:
        if len(asked["objects"]) > self.server.most:
            return self.say(413, {"message": "too many objects"})
        found = []
        for each in asked["objects"]:
            oid, held = each["oid"], self.server.objects.get(each["oid"])
            one: dict[str, Any] = {"oid": oid, "size": each["size"] if held is None else len(held)}
            if asked["operation"] == "download" and held is None:
                one["error"] = {"code": 404, "message": "Object does not exist"}
            elif asked["operation"] == "download":
                one["actions"] = {"download": self.action(f"/store/{oid}")}
            elif held is None:
                one["actions"] = {"upload": self.action(f"/store/{oid}")}
                if self.server.wants_verify:
                    one["actions"]["verify"] = self.action(f"/store/{oid}/verify")
            found.append(one)
        return self.say(200, {"transfer": "basic", "hash_algo": "sha256", "objects": found})

    def action(self, path: str) -> dict[str, Any]:
        token = secrets.token_hex(8)
        self.server.tokens[token] = time.monotonic() + self.server.lifetime
        return {
            "href": self.server.url + path,
            "header": {"Authorization": f"Bearer {token}"},
            "expires_in": int(self.server.said_lifetime),
        }

    def stored(self, name: str, body: bytes) -> None:
        oid = name.partition("/")[0]
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.server.tokens.get(token, 0.0) < time.monotonic():
            return self.say(403, {"message": f"the token {token} has run out"})
        held = self.server.objects.get(oid)
        if self.command == "PUT":
            if hashlib.sha256(body).hexdigest() != oid:
                return self.say(422, {"message": "wrong bytes"})
            self.server.objects[oid] = body
            return self.say(200, {})
        if self.command == "POST":
            is_right = held is not None and json.loads(body) == {"oid": oid, "size": len(held)}
            return self.say(200 if is_right else 404, {})
        if held is None:
            return self.say(404, {"message": "Object does not exist"})
        return self.send_object(held)

    def send_object(self, held: bytes) -> None:
        range_ = self.headers.get("Range", "")
        start = int(range_.removeprefix("bytes=").removesuffix("-")) if range_ and self.server.has_ranges else 0
        if start and start >= len(held):
            return self.say(416, {}, {"Content-Range": f"bytes */{len(held)}"})
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(held) - 1}/{len(held)}")
        self.send_header("Content-Length", str(len(held) - start))
        self.end_headers()
        self.wfile.write(held[start:])
        return None

    def locked(self, path: str, query: dict[str, list[str]], asked: dict[str, Any], person: str) -> None:
        server = self.server
        with server.guard:
            if path == "/locks" and self.command == "POST":
                for lock in server.locks.values():
                    if lock["path"] == asked["path"]:
                        return self.say(409, {"lock": lock, "message": "already created lock"})
                lock = {
                    "id": secrets.token_hex(4) + "/ü",
                    "path": asked["path"],
                    "locked_at": "2026-01-01T00:00:00+00:00",
                    "owner": {"name": person},
                }
                server.locks[lock["id"]] = lock
                return self.say(201, {"lock": lock})
            every = sorted(server.locks.values(), key=lambda each: str(each["path"]))
            if path == "/locks":
                for key in ("path", "id"):
                    every = [lock for lock in every if key not in query or lock[key] == query[key][0]]
                return self.say(200, self.paged("locks", every, int(query.get("cursor", ["0"])[0])))
            if path == "/locks/verify":
                said = self.paged("ours", every, int(asked.get("cursor", "0")))
                page = said["ours"]
                said["ours"] = [lock for lock in page if lock["owner"]["name"] == person]
                said["theirs"] = [lock for lock in page if lock["owner"]["name"] != person]
                return self.say(200, said)
            return self.unlock(path, asked, person)

    def unlock(self, path: str, asked: dict[str, Any], person: str) -> None:
        id_ = unquote(path.removeprefix("/locks/").removesuffix("/unlock"))
        lock = self.server.locks.get(id_)
        if lock is None:
            return self.say(404, {"message": "no such lock"})
        if lock["owner"]["name"] != person and not asked.get("force"):
            return self.say(403, {"message": "it is another person's"})
        del self.server.locks[id_]
        return self.say(200, {"lock": lock})

    def paged(self, name: str, every: list[dict[str, Any]], start: int) -> dict[str, Any]:
        end = start + self.server.page
        more = {"next_cursor": str(end)} if end < len(every) else {}
        return {name: every[start:end], **more}

    def say(self, status: int, said: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", MEDIA_TYPE)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving(server: LfsServer) -> Iterator[LfsServer]:
    """Serves while the `with` lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
