"""The objects that git still needs, by what names them: refs, reflogs, indexes, and the files in which git notes what it
stopped amid, of all work trees.

Everything errs on the side of too much: each blob that holds the name of an object counts, whatever its mode and whatever
stands around that name, and each word in git's notes that some git object answers to. What git cannot list is an error,
never "nothing".
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from comfyvn_store.base import files, links, names
from comfyvn_store.errors import GitFailed, Refused
from comfyvn_store.vcs import blobs, foreign
from comfyvn_store.vcs.git import Git

# How a link, or what a merge or an editor made of one, names an object.
NAMED = re.compile(rb"objects/([0-9a-f]{2})/([0-9a-f]{62})(?![0-9a-f])")
_OID = re.compile(rb"[0-9a-f]{40,64}")
# What git itself (gitrevisions, "pseudorefs") and its verbs leave at the top of a git dir.
_HEADS = (
    "HEAD",
    "ORIG_HEAD",
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "BISECT_HEAD",
    "BISECT_START",
    "BISECT_LOG",
    "NOTES_MERGE_PARTIAL",
    "AUTO_MERGE",
    "MERGE_AUTOSTASH",
    "FETCH_HEAD",
    "SQUASH_MSG",
)
_SEQUENCES = ("rebase-merge", "rebase-apply", "sequencer")
_LONGEST_NOTE = 64 << 20
# So many git objects are looked at at a time.
_BATCH = 20_000
# The mode of a submodule's commit in an index: no object of this repository.
_SUBMODULE = b"160000"
# The empty blob, which `git add -N` puts into an index without there being one.
_EMPTY = tuple(blobs.blob_id(b"", name) for name in ("sha1", "sha256"))
_FORMATS = {40: "sha1", 64: "sha256"}


def linked_hashes(git: Git) -> set[str]:
    """Gives the hashes of all of them. What a partial clone left out is not fetched. Raises GitFailed."""
    return _linked(git, "--all", "--reflog", "--indexed-objects")


def staged_hashes(git: Git) -> set[str]:
    """Gives the hashes of those that the index of some work tree has. Raises GitFailed."""
    return _linked(git, "--indexed-objects")


def _linked(git: Git, *where: str) -> set[str]:
    # Without `--single-worktree` these mean the HEADs, reflogs and indexes of all work trees (git-rev-list).
    out = git.run(
        "rev-list",
        "--objects",
        "--no-object-names",
        "--filter=object:type=blob",
        "--missing=print",
        *where,
    )
    oids = [oid.decode("ascii") for oid in out.split() if re.fullmatch(rb"[0-9a-f]{40,64}", oid)]
    return set(blobs.read_links(git, oids).values())


class Ref(NamedTuple):
    """A ref of some work tree, and the git object it names."""

    name: str
    oid: str


class Note(NamedTuple):
    """A file in a git dir in which git notes what it is about; `oids` are the git objects that it names, `hashes` objects
    of ours (in a patch that is to be applied)."""

    path: str
    oids: tuple[str, ...]
    hashes: frozenset[str]


class Reach:
    """What a repository's git names, seen from its common git folder, whoever's environment we run in."""

    def __init__(self, common_dir: str, known: dict[str, frozenset[str]] | None = None) -> None:
        """`known` is what blobs name that were read before, which is added to: a blob never changes."""
        self.common_dir = common_dir
        # With replacements and grafts in effect git would not show what stands behind them; the replacing commits are
        # named by refs of their own, those of grafts are read from their file.
        self._environment = {
            **foreign.environment(),
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_GRAFT_FILE": os.devnull,
        }
        self.git = self.git_of(common_dir)
        self._hashes: dict[str, frozenset[str]] = {} if known is None else known

    def git_of(self, git_dir: str, **more: str) -> Git:
        """Gives git for the git dir of one work tree."""
        return Git(self.common_dir, {**self._environment, "GIT_DIR": git_dir, **more})

    def git_dirs(self) -> list[str]:
        """Gives the common folder and the git dirs of all linked work trees, also of those that are not there just now.

        Raises OSError.
        """
        top = os.path.join(self.common_dir, "worktrees")
        linked = [os.path.join(top, name) for name in sorted(os.listdir(top))] if os.path.isdir(top) else []
        return [self.common_dir, *(folder for folder in linked if os.path.exists(os.path.join(folder, "gitdir")))]

    def refs(self) -> list[Ref]:
        """Gives all refs, those that only some work tree has (bisect, rewritten, worktree) too. Raises Refused."""
        packed = files.lstat(os.path.join(self.common_dir, "packed-refs"))
        if packed is not None and not packed.st_size:  # git's own always has a first line
            raise Refused(
                f"'{names.printable(self.common_dir)}/packed-refs' is empty, and which refs stood in it nobody can tell",
                hint="look whether branches are missing, and get them back; then remove the empty file",
            )
        found: dict[Ref, None] = {}
        for git_dir in self.git_dirs():
            done = self._asked(self.git_of(git_dir), "for-each-ref", "--format=%(objectname) %(refname)")
            for line in done.splitlines():
                oid, _, name = os.fsdecode(line).partition(" ")
                found[Ref(name, oid)] = None
        return list(found)

    def reflog_hashes(self) -> set[str]:
        """Gives the hashes that all reflogs of all work trees reach. Raises Refused."""
        return self.hashes_from("--reflog")

    def index_hashes(self) -> set[str]:
        """Gives the hashes that the indexes of all work trees hold: all stages, resolved conflicts, and what a commit
        under way has put together. Raises Refused."""
        found = self.hashes_from("--indexed-objects")
        for path in self.index_files():
            git = self.git_of(os.path.dirname(path), GIT_INDEX_FILE=path)
            done = git.outcome("ls-files", "-s", "-z", check=False)
            if done.returncode == 0:  # else git is writing it just now, and what it gets was added just now
                entries = [item.split(b" ", 2) for item in done.stdout.split(b"\0") if item]
                found |= self.hashes_in(entry[1].decode("ascii") for entry in entries if entry[0] != _SUBMODULE)
        return found

    def index_files(self) -> list[str]:
        """Gives the files beside the indexes in which git puts the next one together."""
        found = []
        for git_dir in self.git_dirs():
            for name in sorted(os.listdir(git_dir)):
                if name == "index.lock" or re.fullmatch(r"next-index-\d+\.lock|index\.stash\.\d+(\.lock)?", name):
                    found.append(os.path.join(git_dir, name))
        return found

    def notes(self) -> list[Note]:
        """Gives what git noted of merges, picks, rebases, bisections and fetches that are not finished, or were last.

        Raises OSError where one cannot be read.
        """
        found = []
        for git_dir in self.git_dirs():
            for path in _note_files(git_dir):
                text = _decoded(path, files.read_small(path, _LONGEST_NOTE))
                words = {word.decode("ascii") for word in re.findall(rb"\b[0-9a-f]{4,64}\b", text)}
                found.append(Note(path, self._known(self.git, words), named(text)))
            # Where refs are no files (reftable) neither are those of these that git counts among them.
            oids = self._known(self.git_of(git_dir), _HEADS)
            found.append(Note(os.path.join(git_dir, "HEAD"), oids, frozenset()))
        grafts = os.path.join(self.common_dir, "info", "grafts")
        if os.path.exists(grafts):
            words = {word.decode("ascii") for word in _OID.findall(files.read_small(grafts, _LONGEST_NOTE))}
            found.append(Note(grafts, self._known(self.git, words), frozenset()))
        return found

    def hashes_from(self, *where: str, oids: Iterable[str] = ()) -> set[str]:
        """Gives the hashes of our objects that git objects lead to. Raises Refused where git cannot follow to the end."""
        data = "".join(f"{oid}\n" for oid in oids).encode()
        if not where and not data:
            return set()
        # Not with `--filter=object:type=blob`, which passes over trees that are missing in silence (git 2.39).
        out = self._asked(
            self.git,
            "rev-list",
            "--objects",
            "--no-object-names",
            "--missing=print",
            "--stdin",
            *where,
            data=data,
        )
        listed = out.split()
        absent = (oid[1:].decode("ascii") for oid in listed if oid.startswith(b"?"))
        self._require(next((oid for oid in absent if oid not in _EMPTY), None))
        return self.hashes_in(oid.decode("ascii") for oid in listed if not oid.startswith(b"?"))

    def hashes_in(self, oids: Iterable[str]) -> set[str]:
        """Gives the hashes of our objects that blobs name; what is no blob is passed over. Raises Refused where git has
        one of them no more, or only damaged: nobody knows what it named."""
        wanted = list(dict.fromkeys(oids))
        new = [oid for oid in wanted if oid not in self._hashes]
        try:
            for start in range(0, len(new), _BATCH):
                self._hashes |= self._read(new[start : start + _BATCH])
        except GitFailed as error:
            raise _unlisted(self.common_dir, error.message) from None
        return {hash_ for oid in wanted for hash_ in self._hashes[oid]}

    def _read(self, oids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Gives what git objects name: nothing, if they are no small blobs, and so no links nor what a merge made of one."""
        found = blobs.sizes(self.git, oids)
        self._require(next((oid for oid in oids if oid not in found and oid not in _EMPTY), None))
        small = [oid for oid, each in found.items() if each.kind == "blob" and each.size <= links.LONGEST_BENT]
        read = dict.fromkeys(oids, frozenset[str]())
        for oid, text in blobs.read_blobs(self.git, small):
            if text is None or blobs.blob_id(text, _FORMATS[len(oid)]) != oid:
                raise _damaged(oid)
            read[oid] = named(text)
        return read

    def blobs_of(self, hashes: Iterable[str]) -> dict[str, frozenset[str]]:
        """Gives those blobs seen so far that name one of the hashes, with what they name."""
        wanted = set(hashes)
        return {oid: found & wanted for oid, found in self._hashes.items() if found & wanted}

    def _known(self, git: Git, words: Collection[str]) -> tuple[str, ...]:
        """Gives the git objects that words are names of in a work tree."""
        data = "".join(f"{word}\n" for word in sorted(words)).encode()
        if not data:
            return ()
        out = self._asked(git, "cat-file", "--batch-check", data=data)
        lines = (line.split(b" ") for line in out.splitlines())
        kinds = (b"commit", b"tree", b"blob", b"tag")
        found = dict.fromkeys(parts[0].decode("ascii") for parts in lines if len(parts) == 3 and parts[1] in kinds)
        # git often notes what it has let go of since; what is there and cannot be read is another matter.
        for word in words:
            if len(word) in _FORMATS and word not in found and os.path.lexists(self._loose(word)):
                raise _damaged(word)
        return tuple(found)

    def _require(self, absent: str | None) -> None:
        """Raises Refused for a git object that git says it has not got."""
        if absent is not None:
            raise _damaged(absent) if os.path.lexists(self._loose(absent)) else _not_here(absent)

    def _loose(self, oid: str) -> str:
        return os.path.join(self.common_dir, "objects", oid[:2], oid[2:])

    def _asked(self, git: Git, *words: str, data: bytes | None = None) -> bytes:
        try:
            done = git.outcome(*words, data=data)
        except GitFailed as error:
            raise _unlisted(self.common_dir, error.message) from None
        if b"ignoring broken ref" in done.stderr or b"ignoring ref with broken name" in done.stderr:
            raise _unlisted(self.common_dir, os.fsdecode(done.stderr).strip().splitlines()[0])
        return done.stdout


def named(text: bytes) -> frozenset[str]:
    """Gives the hashes of the objects that a text names as links do."""
    return frozenset((found[1] + found[2]).decode("ascii") for found in NAMED.finditer(text))


def _note_files(git_dir: str) -> Iterator[str]:
    for name in _HEADS:
        path = os.path.join(git_dir, name)
        if os.path.isfile(path) and not os.path.islink(path):
            yield path
    for name in _SEQUENCES:
        for folder, _, found in os.walk(os.path.join(git_dir, name)):
            yield from (os.path.join(folder, each) for each in sorted(found))


def _decoded(path: str, text: bytes) -> bytes:
    """Gives a note; a mail that `git am` has still to apply with what its encoding hides behind it."""
    folder, name = os.path.split(path)
    if os.path.basename(folder) != "rebase-apply" or not name.isdigit():
        return text
    import email  # rarely needed, and slow

    parts = (part.get_payload(decode=True) for part in email.message_from_bytes(text).walk())
    return b"\n".join([text, *(part for part in parts if isinstance(part, bytes))])


def _not_here(oid: str) -> Refused:
    return Refused(
        f"git's object {oid[:10]} is not here, so nobody can tell which art it names",
        hint="in a partial clone: git config --unset remote.origin.partialclonefilter && git fetch --refetch; "
        "else look at `git fsck`",
    )


def _damaged(oid: str) -> Refused:
    return Refused(
        f"git's object {oid[:10]} is damaged, so nobody can tell which art it names",
        hint="`git fsck` says more; get it from another clone (git fetch --refetch), or from a backup",
    )


def _unlisted(common_dir: str, why: str) -> Refused:
    return Refused(f"git cannot list what '{common_dir}' still names: {why}", hint="see `git fsck` there")


def kind_of_ref(name: str) -> str:
    """Gives what people call a ref: "branch", "tag", "remote branch", "stash", "note", "journal" or "ref"."""
    for prefix, kind in _REF_KINDS:
        if name == prefix or (prefix.endswith("/") and name.startswith(prefix)):
            return kind
    return "ref"


JOURNAL_REFS = "refs/comfyvn/operations/"
_REF_KINDS: Sequence[tuple[str, str]] = (
    ("refs/heads/", "branch"),
    ("refs/tags/", "tag"),
    ("refs/remotes/", "remote branch"),
    ("refs/stash", "stash"),
    ("refs/notes/", "note"),
    (JOURNAL_REFS, "journal"),
)
