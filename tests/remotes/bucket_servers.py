"""Servers of object storage, run on loopback for tests: moto (S3), OpenStack Swift (S3), azurite (Azure).

Each is ended by the process that was started; one that is not installed skips the tests of it.
"""

import base64
import datetime
import hashlib
import hmac
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from email.utils import formatdate
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PLACE = Path(sys.prefix)
PATIENCE = 60
# The account that every azurite has, and its key, which are no secret.
AZURITE = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
SWIFT_USER, SWIFT_KEY = "test:artist", "swift-secret-of-tests"


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


class Server:
    """A program that listens on a port of its own, and does so again on the same port after `start`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)}

    def start(self) -> None:
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                self.command(), cwd=self.folder, env=self.environment(), stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        self.kill()
        raise AssertionError((self.folder / "log").read_text(errors="replace")[-2000:])

    def kill(self) -> None:
        """Ends it at once, with what it started: they are a session of their own."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def _require(program: Path, name: str) -> str:
    if not program.exists():
        pytest.skip(f"{name} is not installed (make .venv/.servers)")
    return str(program)


class Moto(Server):
    """S3 in memory. After `unchecked` requests it wants to know who asks, where that is not None."""

    unchecked: int | None = None

    def command(self) -> list[str]:
        program = _require(PLACE / "servers/moto/bin/moto_server", "moto")
        return [program, "-H", "127.0.0.1", "-p", str(self.port)]

    def environment(self) -> dict[str, str]:
        count = {} if self.unchecked is None else {"INITIAL_NO_AUTH_ACTION_COUNT": str(self.unchecked)}
        return {**super().environment(), **count}

    def make(self, bucket: str) -> None:
        _send("PUT", f"{self.url}/{bucket}", {})


class Swift(Server):
    """The S3 interface of OpenStack Swift, which keeps what it is given in `folder`."""

    def command(self) -> list[str]:
        program = _require(PLACE / "servers/swift/bin/swift-proxy-server", "swift").replace(
            "swift-proxy-server", "python"
        )
        try:
            os.setxattr(self.folder, "user.trial", b"1")
        except OSError:
            pytest.skip("swift needs a file system with extended attributes")
        return [program, "-W", "ignore", str(TOP / "tests/servers/swift_server.py"), str(self.folder), str(self.port)]

    def make(self, bucket: str) -> None:
        _send("PUT", f"{self.url}/{bucket}", self._signed("PUT", f"/{bucket}"))

    def _signed(self, method: str, path: str) -> dict[str, str]:
        """Signs a request without a body (AWS Signature Version 4)."""
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        nothing = hashlib.sha256(b"").hexdigest()
        headers = {"host": f"127.0.0.1:{self.port}", "x-amz-content-sha256": nothing, "x-amz-date": now}
        listed = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = f"{method}\n{path}\n\n{listed}\n{';'.join(headers)}\n{nothing}"
        scope = f"{now[:8]}/us-east-1/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{SWIFT_KEY}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        whose = f"Credential={SWIFT_USER}/{scope}, SignedHeaders={';'.join(headers)}, Signature={signature}"
        return {**headers, "Authorization": f"AWS4-HMAC-SHA256 {whose}"}


class Azurite(Server):
    """Azure's Blob service, which keeps what it is given in `folder`."""

    def command(self) -> list[str]:
        program = _require(PLACE / "node_modules/.bin/azurite-blob", "azurite")
        where = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--location", str(self.folder / "data")]
        return [program, *where, "--silent", "--skipApiVersionCheck", "--disableTelemetry"]

    @property
    def endpoint(self) -> str:
        return f"{self.url}/{AZURITE}"

    def make(self, container: str) -> None:
        """Makes a container, with a request signed by Shared Key."""
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
        listed = "".join(f"{name}:{value}\n" for name, value in headers.items())
        text = "PUT" + "\n" * 12 + f"{listed}/{AZURITE}/{AZURITE}/{container}\nrestype:container"
        signature = hmac.new(base64.b64decode(AZURITE_KEY), text.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {AZURITE}:{base64.b64encode(signature).decode()}"
        _send("PUT", f"{self.endpoint}/{container}?restype=container", headers)


def _send(method: str, url: str, headers: dict[str, str], data: bytes = b"") -> bytes:
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "", **headers})
    with urllib.request.urlopen(request, timeout=30) as answer:
        body: bytes = answer.read()
        return body


def put_key(server: Moto, bucket: str, key: str, data: bytes) -> None:
    """Puts anything anywhere, as anybody who may write to a bucket can."""
    _send("PUT", f"{server.url}/{bucket}/{key}", {}, data)
