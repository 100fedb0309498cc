"""Our attributes, and git's attributes as some commit has them, without a work tree: what its own `.gitattributes` say, and
nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable

from comfyvn_store.vcs import staging
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.staging import Entry

NAME = ".gitattributes"
# Our lines in a file that people write into, too, stand between these.
BEGIN = "# comfyvn-store: begin (made by `comfyvn-store init`)"
END = "# comfyvn-store: end"
# The lines of `<assets root>/.gitattributes`.
BLOCK = (
    BEGIN,
    "* filter=comfyvn -text",
    # The text of a link is one line that no merge can make out of two.
    "* merge=binary",
    "*.asset.json filter=comfyvn-sidecar merge=comfyvn-sidecar diff=comfyvn-sidecar text",
    ".* !filter !text !merge",
    "Thumbs.db !filter !text !merge",
    "desktop.ini !filter !text !merge",
    "*.dvc !filter !text !merge",
    END,
)
# The `.gitattributes` of a tree: path and blob of each. Trees with the same ones give every path the same attributes.
State = frozenset[tuple[str, str]]


def is_attributes(path: str) -> bool:
    """Tells whether a path is that of a file with attributes."""
    return path == NAME or path.endswith("/" + NAME)


def state_of(entries: Iterable[Entry]) -> State:
    """Gives the state of a tree out of its entries."""
    return frozenset((entry.path, entry.oid) for entry in entries if is_attributes(entry.path))


def filter_drivers(git: Git, state: State, paths: Iterable[str]) -> dict[str, str]:
    """Gives the `filter` attribute of each path in a tree of that state.

    git 2.39 has no `check-attr --source`, so the blobs stand in an index of their own; it works in bare repositories and on
    objects in quarantine. Attributes of the user and of the machine count for nothing.
    """
    wanted = list(dict.fromkeys(paths))
    if not wanted or not state:
        return dict.fromkeys(wanted, "unspecified")
    import tempfile  # ten milliseconds with all it brings, and hooks need only the names above

    with tempfile.TemporaryDirectory(prefix="comfyvn-check-") as folder:
        own = Git(
            git.folder, {**git.environment, "GIT_INDEX_FILE": os.path.join(folder, "index"), "GIT_ATTR_NOSYSTEM": "1"}
        )
        staging.write_entries(own, [Entry(path, staging.FILE, oid) for path, oid in sorted(state)])
        out = own.run(
            "-c",
            f"core.attributesFile={os.devnull}",
            "check-attr",
            "--cached",
            "--stdin",
            "-z",
            "filter",
            data=b"".join(os.fsencode(path) + b"\0" for path in wanted),
        )
    fields = out.split(b"\0")
    return {os.fsdecode(path): os.fsdecode(value) for path, value in zip(fields[::3], fields[2::3], strict=False)}
