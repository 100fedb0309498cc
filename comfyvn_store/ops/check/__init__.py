"""`check`: whether commits hold what they should, for servers and CI. Needs git and nothing else of ours; where there is a
store, its objects tell of pointers of other programs that became art."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from comfyvn_store.asset import sidecar
from comfyvn_store.base import canonical, links, names, pointers
from comfyvn_store.errors import ComfyvnError, NotInitialised
from comfyvn_store.ops import stored, wiring
from comfyvn_store.ops.check import scope
from comfyvn_store.ops.check.scope import Scene
from comfyvn_store.store.objects import Store
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.repository import open_repository

_MEND = "comfyvn-store doctor --fix && git commit"
# kind → what mends it, in a clone that has the tool; in a range "git commit" is with --amend, because each of its commits
# is looked at by itself and a later one mends none
REMEDIES: Mapping[str, str] = {
    "raw": "git add --renormalize PATH && git commit",
    "foreign": "comfyvn-store migrate PROGRAM && git commit",
    "stored-pointer": "comfyvn-store migrate PROGRAM && git commit",
    "unflipped": _MEND,
    "misplaced": _MEND,
    "no-sidecar": _MEND,
    "broken-sidecar": "git log -- SIDECAR, then git checkout COMMIT -- SIDECAR && git commit",
    "other-sidecar": _MEND,
    "unreadable": "git fsck",
}


class Finding(NamedTuple):
    """What is wrong with one path of one commit."""

    commit: str
    path: str
    kind: str
    message: str
    remedy: str


@dataclass
class Checked:
    """What was looked at, and what was found; `range` is what the caller asked for."""

    range: str
    commits: int = 0
    assets: int = 0
    findings: list[Finding] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        return {**asdict(self), "findings": [finding._asdict() for finding in self.findings]}


def check(words: Sequence[str], folder: str | None = None, environment: Mapping[str, str] | None = None) -> Checked:
    """Checks the whole tree of one revision, or what each commit of a range changed.

    `words` are what git understands: `main`, `main..topic`, `topic ^main`; none means HEAD, and nothing at all is found
    before the first commit. Works in bare repositories and inside a server's hook. Raises UnknownRevision,
    NotInitialised where there is no repository.
    """
    git = Git(folder or os.getcwd(), environment)
    if not git.succeeds("rev-parse", "--git-dir"):
        raise NotInitialised("this is not a git repository", hint="go to the one whose commits you want to check")
    result = Checked(" ".join(words) or "HEAD")
    if not words and blobs.resolve(git, "HEAD") is None and git.succeeds("symbolic-ref", "--quiet", "HEAD"):
        return result
    asked = list(words) or ["HEAD"]
    commit = scope.single(git, asked)
    if commit is not None:
        result.commits = 1
        scenes = [scope.of_tree(git, commit)]
    else:
        result.commits = scope.commits_in(git, asked)
        scenes = list(scope.of_range(git, asked))
    contents = _Contents(git, scenes, _store_of(git))
    for scene in scenes:
        result.assets += len(scene.views)
        for path in sorted(scene.views, key=names.os_bytes):
            result.findings += _judge(scene, path, contents)
    if commit is None:
        result.findings = [
            finding._replace(remedy=finding.remedy.replace("git commit", "git commit --amend"))
            for finding in result.findings
        ]
    return result


def _store_of(git: Git) -> Store | None:
    """Gives the store of a clone that has one: its objects tell more than git does."""
    try:
        repository = open_repository(git.folder, environment=git.environment)
        return repository.store if repository.is_initialised else None
    except (ComfyvnError, OSError):
        return None


class _Contents:
    """The small blobs of all scenes, read in few processes."""

    def __init__(self, git: Git, scenes: Sequence[Scene], store: Store | None) -> None:
        self._store = store
        views = [oid for scene in scenes for _, oid in scene.views.values()]
        cards = [oid for scene in scenes for path, oid in scene.cards.items() if oid and path in scene.views]
        self.sizes = blobs.sizes(git, [*views, *cards])
        small = [oid for oid in views if oid in self.sizes and self.sizes[oid].size <= pointers.LONGEST]
        self._texts = {oid: data for oid, data in blobs.read_blobs(git, small) if data is not None}
        self._cards = dict(_hashes(blobs.read_blobs(git, self._readable(cards))))

    def _readable(self, oids: Iterable[str]) -> list[str]:
        return [oid for oid in oids if oid in self.sizes and self.sizes[oid].size <= canonical.LONGEST_JSON]

    def link(self, oid: str) -> tuple[str, str] | None:
        """Gives a link's text and hash; None if the blob is no link."""
        data = self._texts.get(oid, b"")
        hash_ = links.parse_link_bytes(data)
        return (data.decode("ascii"), hash_) if hash_ is not None else None

    def program(self, oid: str) -> str | None:
        """Gives the program whose pointer a blob is."""
        found = pointers.parse(self._texts.get(oid, b""))
        return found.program if found is not None else None

    def stored_program(self, hash_: str) -> str | None:
        """Gives the program whose pointer an object of this clone's store is, where there is one."""
        found = stored.pointer_in(self._store, hash_) if self._store is not None else None
        return found.program if found is not None else None

    def card(self, oid: str) -> tuple[str | None, str | None]:
        """Gives the hash that a sidecar names, or why it cannot be read."""
        return self._cards.get(oid, (None, "it is too large, or git does not have it"))


def _hashes(read: Iterable[tuple[str, bytes | None]]) -> Iterable[tuple[str, tuple[str | None, str | None]]]:
    for oid, data in read:
        try:
            yield oid, (sidecar.decode(data or b"").hash, None)
        except sidecar.BrokenSidecar as error:
            yield oid, (None, str(error))


def _judge(scene: Scene, path: str, contents: _Contents) -> Iterable[Finding]:
    mode, oid = scene.views[path]
    if oid not in contents.sizes:
        yield _finding(scene, path, "unreadable", f"git does not have its blob {oid[:10]}")
        return
    found = contents.link(oid)
    if found is None:
        program = contents.program(oid) if mode != staging.LINK else None
        if program is not None and mode is not None:
            message = f"kept by {pointers.PROGRAMS[program]}, not in the store"
            yield _finding(scene, path, "foreign", message, program)
        elif mode in (staging.FILE, staging.EXECUTABLE) and contents.sizes[oid].size:
            yield _finding(scene, path, "raw", "the bytes themselves are in git, not a link to the store")
        return
    text, hash_ = found
    if mode in (staging.FILE, staging.EXECUTABLE) and not scene.copies:
        yield _finding(scene, path, "unflipped", f"a link committed as an ordinary file (mode {mode})")
    if mode is not None and text != links.link_text(path, hash_):
        yield _finding(scene, path, "misplaced", "its link has the depth of another folder and leads nowhere")
    program = contents.stored_program(hash_)
    if program is not None and mode is not None:
        message = f"the text of a pointer of {pointers.PROGRAMS[program]} was stored as if it were art"
        yield _finding(scene, path, "stored-pointer", message, program)
    card = scene.cards.get(path)
    if card is None:
        yield _finding(scene, path, "no-sidecar", "it has no sidecar")
        return
    said, why = contents.card(card)
    if why is not None:
        yield _finding(scene, path, "broken-sidecar", f"its sidecar is broken: {why}")
    elif said != hash_:
        yield _finding(scene, path, "other-sidecar", f"its sidecar speaks of other bytes ({(said or '')[:16]})")


def _finding(scene: Scene, path: str, kind: str, message: str, program: str = "") -> Finding:
    shown = names.printable(path)
    card = wiring.typed(names.sidecar_path(shown))
    remedy = REMEDIES[kind].replace("PROGRAM", program).replace("SIDECAR", card).replace("PATH", wiring.typed(shown))
    return Finding(scene.commit, path, kind, message, remedy)
