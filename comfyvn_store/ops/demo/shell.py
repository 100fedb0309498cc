"""Runs the demo's commands for real, away from the settings of whoever runs it, and tells what they say."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

from comfyvn_store.errors import ComfyvnError, GitFailed, MachineError
from comfyvn_store.vcs.git import scrubbed_environment


class Heading(NamedTuple):
    """A chapter begins."""

    text: str


class Remark(NamedTuple):
    """What happened or what to look at, in a line."""

    text: str


class Command(NamedTuple):
    """A command is about to run; `line` is what one would type."""

    line: str


class Output(NamedTuple):
    """What the command printed, without the newline at the end."""

    text: str


Event = Heading | Remark | Command | Output
Tell = Callable[[Event], object]


class Shell:
    """Runs programs in one folder with one environment."""

    def __init__(self, folder: str, environment: Mapping[str, str], tell: Tell) -> None:
        self.folder = folder
        self.environment = dict(environment)
        self.tell = tell

    def run(self, *words: str) -> None:
        """Tells a command, runs it, and tells what it printed. Raises GitFailed, ComfyvnError, MachineError."""
        self.tell(Command(shlex.join(words)))
        said = self._said(words)
        if said:
            self.tell(Output(said))

    def query(self, *words: str) -> str:
        """Runs a command that is not part of the story and gives what it printed."""
        return self._said(words)

    def setting_of(self, key: str, environment: Mapping[str, str] | None) -> str:
        """Gives what the person's own git settings (system and global) say of a key; empty if nothing."""
        outcome = self._outcome(["git", "config", "--get", key], scrubbed_environment(environment))
        return outcome.stdout.decode("utf-8", "replace").strip()

    def _said(self, words: tuple[str, ...]) -> str:
        program = [sys.executable, "-P", "-m", "comfyvn_store"] if words[0] == "comfyvn-store" else [words[0]]
        outcome = self._outcome([*program, *words[1:]], self.environment)
        said = outcome.stdout.decode("utf-8", "replace").rstrip("\n")
        if outcome.returncode == 0:
            return said
        if words[0] == "git":
            raise GitFailed(shlex.join(words), outcome.returncode, said)
        errors = [line for line in said.splitlines() if line.startswith("error: ")] or said.splitlines()[-1:]
        reason = errors[0].removeprefix("error: ") if errors else f"exit status {outcome.returncode}"
        raise ComfyvnError(f"{shlex.join(words)}: {reason}", hint=f"what was made so far is in '{self.folder}'")

    def _outcome(self, command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                command,
                cwd=self.folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except FileNotFoundError as error:
            if error.filename != command[0]:
                raise
            raise MachineError(
                f"{command[0]} is not installed, or not on the PATH", hint=f"install {command[0]}"
            ) from None


def quiet_environment(top: str, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Gives an environment in which only the repository at `top` and its own settings speak.

    A person's git settings could sign commits, run hooks of their own, ignore pictures or colour the output; `GIT_*` and
    `COMFYVN_*` could name another author, repository or index. Git before 2.32 knows no GIT_CONFIG_GLOBAL; there the
    repository's settings must do.
    """
    source = scrubbed_environment(environment)
    kept = {key: value for key, value in source.items() if not key.startswith(("GIT_", "COMFYVN_"))}
    if "GIT_EXEC_PATH" in source:
        kept["GIT_EXEC_PATH"] = source["GIT_EXEC_PATH"]
    # excludesFile has a default in the person's home that is read without any setting; the owner of a folder on a
    # mounted disk may seem to be somebody else.
    settings = {"core.excludesFile": os.devnull, "core.attributesFile": os.devnull, "safe.directory": top}
    kept |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TEMPLATE_DIR": "",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for number, (key, value) in enumerate(settings.items()):
        kept[f"GIT_CONFIG_KEY_{number}"] = key
        kept[f"GIT_CONFIG_VALUE_{number}"] = value
    return kept
