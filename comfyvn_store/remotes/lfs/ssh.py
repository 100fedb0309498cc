"""`git-lfs-authenticate`, run through SSH: where a server that is reached by SSH has its Git LFS, and a token for it.

Git LFS, docs/api/server-discovery.md. Which program is SSH is git's decision (GIT_SSH_COMMAND, core.sshCommand, GIT_SSH); it
may ask a person for a passphrase on the terminal.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import threading
from collections.abc import Callable

from comfyvn_store.remotes.lfs.endpoint import SshPlace
from comfyvn_store.remotes.lfs.parsing import Action, parse_action, parse_json
from comfyvn_store.vcs.git import Git

# Seconds for all of it, a person's passphrase included, and bytes of an answer.
_PATIENCE = 120.0
_LIMIT = 1 << 16


def authenticate(
    git: Git, place: SshPlace, operation: str, usual: str, *, clock: Callable[[], float], wall: Callable[[], float]
) -> Action | None:
    """Asks for the endpoint and the headers of `upload` or `download`; None where the server has no such program.

    `usual` is the endpoint where it names none.
    """
    command = [*_program(git, place), f"git-lfs-authenticate {shlex.quote(place.path)} {operation}"]
    try:
        process = subprocess.Popen(
            command,
            cwd=git.folder,
            env=git.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None
    assert process.stdout is not None
    timer = threading.Timer(_PATIENCE, process.kill)
    timer.daemon = True
    timer.start()
    try:
        said = process.stdout.read(_LIMIT + 1)
        if len(said) > _LIMIT:
            process.kill()
    finally:
        process.stdout.close()
        with contextlib.suppress(OSError):
            process.wait()
        timer.cancel()
    if process.returncode != 0:
        return None
    answer = parse_json(said)
    if isinstance(answer, dict) and not answer.get("href"):
        answer["href"] = usual
    return parse_action(answer, is_plain=True, clock=clock, wall=wall)


def _program(git: Git, place: SshPlace) -> list[str]:
    """Gives SSH with its options and the host, as git would start it (git-config, `ssh.variant`)."""
    environment = git.environment
    shell = environment.get("GIT_SSH_COMMAND") or git.text("config", "--get", "core.sshCommand", check=False)
    plain = environment.get("GIT_SSH") or "ssh"
    try:
        first = shlex.split(shell)[0] if shell else plain
    except (ValueError, IndexError):
        first = "ssh"
    words = ["sh", "-c", f'{shell} "$@"', shell] if shell else [plain]
    variant = environment.get("GIT_SSH_VARIANT") or git.text("config", "--get", "ssh.variant", check=False)
    if variant in ("", "auto"):
        variant = os.path.basename(first).lower().removesuffix(".exe")
    if variant == "tortoiseplink":
        words.append("-batch")
    if place.port is not None and variant != "simple":
        words += ["-P" if variant in ("plink", "putty", "tortoiseplink") else "-p", str(place.port)]
    return [*words, place.login]
