"""A real OpenSSH server on the loopback, with keys of its own, for whoever's home the test runs in."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

PROGRAM = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


def require_sshd() -> str:
    """Gives the path of the program; skips the test where it is not here."""
    if PROGRAM is None or shutil.which("ssh-keygen") is None:
        pytest.skip("no sshd here (Debian: openssh-server)")
    if os.geteuid() == 0:
        # It takes rights away from itself there before anybody has logged in.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    return PROGRAM


def make_key(path: Path, *options: str) -> Path:
    """Makes a pair of keys; the public one lies beside."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-C", "", "-f", str(path), *(options or ("-N", ""))]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


class Server:
    """An sshd that lets the person who runs the tests in with one key. Everything of it lies below `folder`."""

    def __init__(self, folder: Path, home: Path, *, subsystem: str = "internal-sftp") -> None:
        self._program = require_sshd()
        self.folder = folder
        folder.mkdir()
        self.user = getpass.getuser()
        self.host_key = make_key(folder / "host")
        self.key = make_key(folder / "person")
        self.authorized = folder / "authorized"
        self.authorized.write_text((folder / "person.pub").read_text())
        self.ssh = home / ".ssh"
        self.ssh.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(self.key, self.ssh / "id_ed25519")
        self._subsystem = subsystem
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def know(self) -> None:
        """Writes the server's key among those that the person knows."""
        kind, key = (self.folder / "host.pub").read_text().split()[:2]
        (self.ssh / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def start(self) -> None:
        """Starts the server, or fails the test within bounded time."""
        config = self.folder / "config"
        lines = [
            f"HostKey {self.host_key}",
            f"AuthorizedKeysFile {self.authorized}",
            "ListenAddress 127.0.0.1",
            f"PidFile {self.folder / 'pid'}",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            f"Subsystem sftp {self._subsystem}",
        ]
        config.write_text("\n".join(lines) + "\n")
        with (self.folder / "log").open("ab") as log:
            command = [self._program, "-D", "-e", "-f", str(config), "-p", str(self.port)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True)
        for _ in range(200):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"sshd did not start: {(self.folder / 'log').read_text()}")

    def kill(self) -> None:
        """Kills the server and what serves its connections, all at once and without farewell."""
        if self._process is None:
            return
        for pid in [*self.workers(), self._process.pid]:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        self._process.wait(10)
        self._process = None

    def workers(self) -> list[int]:
        """Gives the processes that serve its connections now."""
        return _descendants(self._process.pid) if self._process is not None else []

    @property
    def is_dead(self) -> bool:
        """Whether it was killed, and not started again."""
        return self._process is None

    def url(self, path: str | Path) -> str:
        """Gives the address of a folder there."""
        return f"sftp://{self.user}@127.0.0.1:{self.port}{path}"


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _descendants(pid: int) -> list[int]:
    """The processes that a process started, and those that they did, the youngest first."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    children: dict[int, list[int]] = {}
    for line in listed.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found, look = [], [pid]
    while look:
        mine = children.get(look.pop(), [])
        found += mine
        look += mine
    return found[::-1]
