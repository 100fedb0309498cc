"""The world that a test sees: real git, and nothing of the person or the machine that runs it."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gitrepo import GitRepo

# Their asserts say what differs, as those of a test do.
pytest.register_assert_rewrite("tests.oracle", "tests.verbs", "tests.verbs_checks", "tests.faults.invariants")

GIT_CONFIG = """\
[user]
\tname = Test Artist
\temail = artist@example.com
[init]
\tdefaultBranch = main
\ttemplateDir =
[commit]
\tgpgSign = false
[protocol "file"]
\tallow = always
"""

# What would let the machine's settings, a terminal or a person into a test.
SCRUBBED_PREFIXES = ("GIT_", "COMFYVN_", "LC_", "XDG_")
SCRUBBED = ("COLUMNS", "FORCE_COLOR", "LANG", "LANGUAGE", "NO_COLOR", "PAGER", "SSH_ASKPASS")


@pytest.fixture(autouse=True)
def hermetic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Gives each test a home of its own and no settings but those above; yields that home."""
    home = tmp_path_factory.mktemp("home")
    config = home / "gitconfig"
    config.write_text(GIT_CONFIG)
    settings = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_EDITOR": "true",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        # `git comfyvn` and the hooks find the programs that are installed beside this Python
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)]),
    }
    mask = os.umask(0o022)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(SCRUBBED_PREFIXES) or name in SCRUBBED:
                patch.delenv(name)
        for name, value in settings.items():
            patch.setenv(name, value)
        time.tzset()
        yield home
    time.tzset()
    os.umask(mask)


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    """An empty git repository."""
    return GitRepo.create(tmp_path / "repo")


@pytest.fixture
def store_repo(repo: GitRepo) -> GitRepo:
    """An empty git repository in which `comfyvn-store init` has run."""
    repo.tool("init")
    return repo
