"""A place to work at, with an environment that knows nothing of the person who measures."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.benchmarks.measuring import Spent, Starter

BIN = str(Path(sys.executable).parent)
# git packs in the background when there are many loose objects, while others are being measured.
_CONFIG = "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n"
_NOT_OURS = ("GIT_", "COMFYVN_", "DVC_", "AWS_", "XDG_", "PYTHON", "LC_", "LANG")


def environment(home: Path, more: dict[str, str] | None = None) -> dict[str, str]:
    """Gives an environment with a home of its own; git's own configuration of people is in that home."""
    home.mkdir(parents=True, exist_ok=True)
    keep = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_OURS)}
    people = {
        f"GIT_{who}_{what}": "bench@example.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    return {
        **keep,
        **people,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_TERMINAL_PROMPT": "0",
        "COMFYVN_PREVIEWS": "off",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        **(more or {}),
    }


class Desk:
    """A folder with a home, in which commands run and are measured."""

    def __init__(self, folder: Path, starter: Starter, more: dict[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.starter = starter
        self.env = environment(folder / "home", more)
        (folder / "home" / ".gitconfig").write_text(_CONFIG)

    def run(self, *words: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> Spent:
        """Runs a command; gives what it took. Raises WorkFailed."""
        return self.starter.run(words, cwd or self.folder, {**self.env, **(env or {})})

    def ask(self, *words: str, cwd: Path | None = None) -> str:
        """Runs a command; gives the text of its answer. Raises WorkFailed."""
        self.run(*words, cwd=cwd)
        return self.starter.said().strip()
