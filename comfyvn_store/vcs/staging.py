"""git's index, read and written by plumbing, so that `GIT_INDEX_FILE`, filters and locks mean what they mean to git."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from comfyvn_store.errors import GitFailed, Refused
from comfyvn_store.vcs.git import WITHOUT_FILTERS, Git

LINK = "120000"
FILE = "100644"
EXECUTABLE = "100755"
GITLINK = "160000"
GONE = "000000"
# Of an index with more entries none is looked at: nobody's art is so much, and a clone that means ill would take all memory
# and hours. `comfyvn.mostFiles` says another number.
MOST = 500_000
# Seconds a command of a person's waits for another git to let go of the index.
PATIENCE = 10.0


class Entry(NamedTuple):
    """One entry of an index or a tree."""

    path: str
    mode: str
    oid: str
    stage: int = 0


class Change(NamedTuple):
    """One line of a raw diff; `old_mode` or `new_mode` is GONE for what was added or deleted."""

    path: str
    old_mode: str
    new_mode: str
    old_oid: str
    new_oid: str


def literal(path: str) -> str:
    """Gives a pathspec that means exactly this path and what lies below it."""
    return f":(top,literal){path}"


def entries(git: Git, paths: Sequence[str]) -> list[Entry]:
    """Gives the index entries at and below top-relative paths."""
    return _entries(git, [literal(path) for path in paths])


def entries_at(git: Git, root: str, paths: Sequence[str]) -> list[Entry]:
    """Gives the index entries at exactly these paths, all of them below `root`. Of many, git's whole listing is looked through,
    because git itself compares every entry with every path."""
    if len(paths) <= _FEW:
        listing = git.run("ls-files", "-s", "-z", "--", *map(literal, paths)) if paths else b""
    else:
        listing = git.run("ls-files", "-s", "-z", "--", literal(root))
    return _chosen(_bounded(git, listing), paths)


def all_entries(git: Git) -> list[Entry]:
    """Gives every index entry."""
    return _entries(git, [":/"])


def filtered_entries(git: Git, root: str, *drivers: str) -> list[Entry]:
    """Gives the index entries below `root` whose `filter` attribute is one of `drivers`."""
    return _parsed(filtered_listing(git, root, *drivers))


def filter_drivers(git: Git, paths: Iterable[str]) -> dict[str, str]:
    """Gives the `filter` attribute of top-relative paths, in git or not ("unspecified" where there is none)."""
    data = b"".join(os.fsencode(path) + b"\0" for path in paths)
    said = git.run("check-attr", "-z", "--stdin", "filter", data=data).split(b"\0") if data else []
    return {os.fsdecode(path): os.fsdecode(value) for path, value in zip(said[::3], said[2::3], strict=False)}


def filtered_listing(git: Git, root: str, *drivers: str) -> bytes:
    """Gives those entries as git prints them."""
    # git 2.39 looks attributes up under the path without the pathspecs' common folder; `.git`, which no index has,
    # sees to it that there is none.
    specs = [*(f":(top,literal,attr:filter={driver}){root}" for driver in drivers), literal(".git")]
    return _bounded(git, git.run("ls-files", "-s", "-z", "--", *specs))


def require_bounded(git: Git, index_path: str, root: str) -> None:
    """Raises Refused if git's index has more below `root` than is looked at. Costs nothing where it has less in all."""
    try:
        with open(index_path, "rb") as stream:
            head = stream.read(12)  # the signature, the version, and how many entries there are (gitformat-index)
    except OSError:
        return
    if head[:4] == b"DIRC" and int.from_bytes(head[8:12], "big") > MOST:
        _bounded(git, git.run("ls-files", "-z", "--", literal(root)))


def _bounded(git: Git, listing: bytes) -> bytes:
    number = listing.count(b"\0")
    if number > MOST:
        said = git.text("config", "--type=int", "--get", "comfyvn.mostFiles", check=False)
        if number > int(said or 0):
            raise Refused(
                f"git's index has {number} files here, more than the {MOST} that comfyvn-store looks at",
                hint=f"if they are meant to be there: git config comfyvn.mostFiles {2 * number}",
            )
    return listing


def unmerged(git: Git, root: str) -> set[str]:
    """Gives the paths below `root` that are in conflict."""
    return {entry.path for entry in unmerged_entries(git, root)}


def unmerged_entries(git: Git, root: str) -> list[Entry]:
    """Gives the entries of the paths below `root` that are in conflict, each with its stage."""
    return _parsed(git.run("ls-files", "-u", "-z", "--", literal(root)))


def skipped(git: Git, root: str) -> set[str]:
    """Gives the paths that a sparse checkout leaves out of the work tree."""
    listing = git.run("ls-files", "-t", "-z", "--", literal(root))
    return {os.fsdecode(item[2:]) for item in listing.split(b"\0") if item[:2] == b"S "}


def _entries(git: Git, pathspecs: list[str]) -> list[Entry]:
    return _parsed(_bounded(git, git.run("ls-files", "-s", "-z", "--", *pathspecs)))


def _chosen(listing: bytes, paths: Iterable[str]) -> list[Entry]:
    """Gives the entries in a listing that have one of the paths."""
    wanted = {os.fsencode(path) for path in paths}
    return _parsed(b"\0".join(item for item in listing.split(b"\0") if item.partition(b"\t")[2] in wanted))


def _parsed(listing: bytes) -> list[Entry]:
    found = []
    for item in listing.split(b"\0"):
        if item:
            head, _, path = item.partition(b"\t")
            mode, oid, stage = head.decode("ascii").split(" ")
            found.append(Entry(os.fsdecode(path), mode, oid, int(stage)))
    return found


def staged_changes(git: Git, base: str, root: str) -> list[Change]:
    """Gives what the index changes against the tree-ish `base`, below `root`."""
    return parse_raw(
        git.run("diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", base, "--", literal(root))
    )


def tree_changes(git: Git, old: str, new: str, root: str) -> list[Change]:
    """Gives what differs between two tree-ishes, below `root`."""
    return parse_raw(
        git.without_index().run(
            "diff-tree", "-r", "--raw", "-z", "--no-renames", "--no-abbrev", old, new, "--", literal(root)
        )
    )


def unstaged_paths(git: Git, paths: Sequence[str]) -> set[str]:
    """Gives those of `paths` that git's cached stat data says may differ in the work tree (none that surely don't)."""
    if not paths:
        return set()
    listing = git.run(
        *WITHOUT_FILTERS,
        "diff-files",
        "--name-only",
        "-z",
        "--ignore-submodules",
        "--",
        *(literal(path) for path in _or_all(paths)),
    )
    wanted = set(paths)
    return {path for item in listing.split(b"\0") if item and (path := os.fsdecode(item)) in wanted}


def tree_entries(git: Git, tree: str, paths: Sequence[str]) -> dict[str, Entry]:
    """Gives the entries of a tree-ish at exactly these paths; {} if there is no such tree-ish."""
    if not paths:
        return {}
    wanted = set(paths)
    done = git.outcome("ls-tree", "-r", "-z", "--full-tree", tree, "--", *_tree_paths(paths), check=False)
    if done.returncode != 0:
        return {}
    found = {}
    for item in done.stdout.split(b"\0"):
        if item:
            head, _, raw = item.partition(b"\t")
            mode, _, oid = head.decode("ascii").split(" ")[:3]
            path = os.fsdecode(raw)
            if path in wanted:
                found[path] = Entry(path, mode, oid)
    return found


# Whatever git is configured to overlook.
_STRICTLY = ("-c", "core.fsmonitor=false", "-c", "core.checkStat=default", "-c", "core.trustctime=true")


def touched_paths(git: Git, root: str) -> frozenset[str]:
    """Gives the paths below `root` whose files have not the size and times that the index noted, or of which git was told
    not to look (`update-index --assume-unchanged`)."""
    words = (*WITHOUT_FILTERS, *_STRICTLY, "diff-files", "--name-only", "-z", "--ignore-submodules")
    listing = git.run(*words, "--", literal(root))
    return frozenset(os.fsdecode(item) for item in listing.split(b"\0") if item) | assumed_paths(git, root)


def assumed_paths(git: Git, root: str) -> frozenset[str]:
    """Gives the paths below `root` of which git was told not to look (`update-index --assume-unchanged`)."""
    tagged = git.run("ls-files", "-v", "-z", "--", literal(root)).split(b"\0")
    return frozenset(os.fsdecode(item[2:]) for item in tagged if item[:1].islower())


def write_entries(git: Git, changes: Iterable[Entry], *, patience: float = 0.0, stages: bool = False) -> None:
    """Sets index entries (mode GONE removes) without looking at the work tree; their stat data becomes zero. They are
    settled ones, but for `stages`, with which each gets the stage it names.

    Raises GitFailed if another process holds the index; with `patience` (seconds) LockTimeout, after waiting so long.
    """
    lines = []
    for entry in changes:
        stage = entry.stage if stages else 0
        lines.append(f"{entry.mode} {entry.oid} {stage}\t".encode("ascii") + os.fsencode(entry.path) + b"\0")
    if lines:
        _update(git, [*WITHOUT_FILTERS, "update-index", "-z", "--index-info"], b"".join(lines), patience)


def refresh(git: Git, paths: Iterable[str], *, filters: bool, patience: float = 0.0) -> None:
    """Adds files that are in the index again, so that git notes their size and times.

    With `filters` the drivers run as in `git add`; without, what lies on the disk must be what is in the index.
    Raises as `write_entries`.
    """
    data = b"".join(os.fsencode(path) + b"\0" for path in paths)
    if data:
        # With `core.safecrlf` git refuses lines that end in LF where it would check them out with CRLF; ours do.
        drivers = ("-c", "core.safecrlf=false", *(() if filters else WITHOUT_FILTERS))
        _update(git, [*drivers, "update-index", "-z", "--stdin"], data, patience, is_long=filters)


def look_again(git: Git, paths: Sequence[str], *, filters: bool = True, patience: float = 0.0) -> None:
    """Lets git read those files again and note their size and times where they are what is in the index.

    Without `filters` that is meant to the byte, as for art that git itself holds. Other than `refresh` this never stages an
    edit. Raises as `write_entries`.
    """
    if not paths:
        return
    drivers = () if filters else WITHOUT_FILTERS
    if len(paths) > _MANY:  # git compares every entry with every path
        _update(git, [*drivers, "update-index", "-q", "--refresh"], b"", patience, is_refresh=True, is_long=True)
        return
    data = b"".join(os.fsencode(path) + b"\0" for path in paths)
    words = [*drivers, "--literal-pathspecs", "add", "--refresh", "--pathspec-from-file=-", "--pathspec-file-nul"]
    _update(git, words, data, patience, is_long=True)


def _update(
    git: Git, words: list[str], data: bytes, patience: float, *, is_refresh: bool = False, is_long: bool = False
) -> None:
    """Runs update-index, again and again while another git holds the index; git itself does not wait for it.

    What is long, because filters run, holds the index no longer than the rest (see `aside`).
    """
    from comfyvn_store.vcs import aside, holders

    deadline = time.monotonic() + patience
    while True:
        try:
            if is_long:
                aside.run(git, words, data)
            else:
                git.run(*words, data=data)
            return
        except GitFailed as error:
            if is_refresh and "index.lock" not in error.stderr:
                return  # its status only says that some file differs
            if "index.lock" in error.stderr and aside.release_abandoned(git):
                continue
            if not patience or "index.lock" not in error.stderr:
                raise
            if time.monotonic() >= deadline:
                raise holders.timeout(git) from None
        time.sleep(0.02)


def parse_raw(listing: bytes) -> list[Change]:
    """Parses `--raw -z --no-renames` output."""
    items = listing.split(b"\0")
    changes = []
    for meta, path in zip(items[::2], items[1::2], strict=False):
        old_mode, new_mode, old_oid, new_oid, _ = meta.decode("ascii").removeprefix(":").split(" ")
        changes.append(Change(os.fsdecode(path), old_mode, new_mode, old_oid, new_oid))
    return changes


def empty_tree(git: Git) -> str:
    """Gives the id of the empty tree in the repository's object format, which git knows without having it written."""
    return git.run("hash-object", "-t", "tree", "--stdin", data=b"").decode("ascii").strip()


# Up to so many paths git compares with its entries itself.
_FEW = 60
# Arguments have a limit (ARG_MAX); beyond this many paths git lists everything and we choose.
_MANY = 500


def _or_all(paths: Sequence[str]) -> Sequence[str]:
    return paths if len(paths) <= _MANY else [_common_folder(paths)]


def _tree_paths(paths: Sequence[str]) -> Sequence[str]:
    return paths if len(paths) <= _MANY else [_common_folder(paths) + "/"]


def _common_folder(paths: Sequence[str]) -> str:
    return os.path.commonpath([os.path.dirname(path) for path in paths]).replace(os.sep, "/")
