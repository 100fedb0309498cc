"""pre-push: has the bytes of the art sent that commits name which git is about to send.

The work is done by a process of its own, because remotes need libraries; it gets what git gave this hook.
"""

from __future__ import annotations

import os
import subprocess
import sys

from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.settings import OFF

SENDER = "comfyvn_store.cli.prepush"


def run(repository: Repository, name: str = "", url: str = "") -> int:
    """Sends, or refuses, as `comfyvn.prePush` says; gives the hook's exit status. git's lines stand on standard input."""
    if repository.settings.pre_push == OFF:
        return 0
    start = [sys.executable, "-P", "-X", "utf8", "-c", f"from {SENDER} import run; run()", name, url]
    # What is inherited is right: git's folder, and a terminal for progress and questions.
    return subprocess.run(start, env=dict(os.environ), check=False).returncode
