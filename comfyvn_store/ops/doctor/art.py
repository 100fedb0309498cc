"""Findings about art: what git's index holds otherwise than a commit with hooks would have left it, and the objects.

What is staged and not committed yet is the next commit's business; only what HEAD has as well is judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from comfyvn_store.asset import sidecar
from comfyvn_store.base import canonical, links, names, pointers
from comfyvn_store.ops import stored, wiring
from comfyvn_store.ops.doctor.finding import FIX, Finding
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

# So many sidecars are held in memory at a time.
_BATCH = 2000


@dataclass
class Art:
    """The art in git's index: the hash of each link, and what is wrong, by kind; `foreign` are the files that another program
    keeps, by program."""

    hashes: dict[str, str] = field(default_factory=dict)
    raw: list[str] = field(default_factory=list)
    foreign: dict[str, list[str]] = field(default_factory=dict)
    unflipped: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    no_sidecar: list[str] = field(default_factory=list)
    other_sidecar: list[str] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)

    @property
    def mendable(self) -> set[str]:
        """The paths that `--fix` stages anew."""
        return {*self.raw, *self.unflipped, *self.misplaced, *self.no_sidecar, *self.other_sidecar}


def look(repository: Repository) -> Art:
    """Reads git's index; conflicts are left out."""
    git = repository.git
    found = Art()
    entries = [
        entry
        for entry in staging.filtered_entries(git, repository.root, "comfyvn")
        if not entry.stage and entry.mode != staging.GITLINK and repository.is_asset_path(entry.path)
    ]
    head = blobs.resolve(git, "HEAD") or staging.empty_tree(git)
    staged = {change.path for change in staging.staged_changes(git, head, repository.root)}
    apart = staging.unmerged(git, repository.root)
    sizes = blobs.sizes(git, (entry.oid for entry in entries))
    texts = blobs.read_small_blobs(git, (entry.oid for entry in entries), pointers.LONGEST)
    linked = []
    for entry in entries:
        text = texts.get(entry.oid, b"")
        hash_ = links.parse_link_bytes(text)
        if hash_ is not None:
            found.hashes[entry.path] = hash_
            linked.append(entry)
        if entry.path in staged:
            continue
        if hash_ is None:
            pointer = pointers.parse(text) if entry.mode != staging.LINK else None
            if pointer is not None:
                found.foreign.setdefault(pointer.program, []).append(entry.path)
            elif entry.mode != staging.LINK and entry.oid in sizes and sizes[entry.oid].size:
                found.raw.append(entry.path)
            continue
        if entry.mode != staging.LINK and not repository.copies_views:
            found.unflipped.append(entry.path)
        if text.decode("ascii") != links.link_text(entry.path, hash_):
            found.misplaced.append(entry.path)
    _look_at_sidecars(repository, found, linked, staged, apart)
    return found


def _look_at_sidecars(
    repository: Repository, found: Art, linked: list[Entry], staged: set[str], apart: set[str]
) -> None:
    git = repository.git
    cards = {entry.path: entry.oid for entry in staging.entries(git, [repository.root]) if names.is_sidecar(entry.path)}
    found.no_sidecar = [
        entry.path
        for entry in linked
        if (path := names.sidecar_path(entry.path)) not in apart and path not in cards and entry.path not in staged
    ]
    carded = [entry for entry in linked if (path := names.sidecar_path(entry.path)) not in apart and path in cards]
    for start in range(0, len(carded), _BATCH):
        _read_sidecars(repository, found, carded[start : start + _BATCH], cards, staged)


def _read_sidecars(
    repository: Repository, found: Art, carded: list[Entry], cards: dict[str, str], staged: set[str]
) -> None:
    wanted = [cards[names.sidecar_path(entry.path)] for entry in carded]
    texts = blobs.read_small_blobs(repository.git, wanted, canonical.LONGEST_JSON)
    for entry in carded:
        path = names.sidecar_path(entry.path)
        try:
            said = sidecar.decode(texts.get(cards[path], b""))
        except sidecar.BrokenSidecar as error:
            found.broken.append((path, str(error)))
            continue
        if said.hash != found.hashes[entry.path] and entry.path not in staged:
            found.other_sidecar.append(entry.path)


def staged_art(repository: Repository, art: Art) -> Iterator[Finding]:
    """What commits without hooks, or colleagues without the tool, left behind."""
    if art.raw:
        yield Finding("raw", "art is in git itself, not in the store", FIX, art.raw, True)
    for program, paths in art.foreign.items():
        yield Finding(
            "foreign",
            f"kept by {pointers.PROGRAMS[program]}, not in the store",
            f"comfyvn-store migrate {program}",
            paths,
        )
    if art.unflipped:
        yield Finding("unflipped", "links were committed as ordinary files", FIX, art.unflipped, True)
    if art.misplaced:
        yield Finding("misplaced", "links have the depth of another folder and lead nowhere", FIX, art.misplaced, True)
    if art.no_sidecar:
        yield Finding("no-sidecar", "assets have no sidecar", FIX, art.no_sidecar, True)
    if art.other_sidecar:
        yield Finding("other-sidecar", "sidecars speak of other bytes than their asset's", FIX, art.other_sidecar, True)
    for path, reason in art.broken:
        yield Finding("broken-sidecar", f"a sidecar is broken: {reason}", _older(repository, path), [path])


def stored_pointers(repository: Repository, art: Art) -> Iterator[Finding]:
    """Assets whose bytes are no more than the text of another program's pointer. Reads only objects as short as those."""
    found: dict[str, list[str]] = {}
    seen: dict[str, str | None] = {}
    for path, hash_ in art.hashes.items():
        if hash_ not in seen:
            pointer = stored.pointer_in(repository.store, hash_)
            seen[hash_] = pointer.program if pointer is not None else None
        program = seen[hash_]
        if program is not None:
            found.setdefault(program, []).append(path)
    for program, paths in found.items():
        message = f"the text of a pointer of {pointers.PROGRAMS[program]} was stored as if it were art"
        yield Finding("stored-pointer", message, f"comfyvn-store migrate {program}", paths)


def _older(repository: Repository, path: str) -> str:
    """Gives the command that takes the newest whole version of a sidecar, or that makes one anew."""
    quoted = wiring.quoted(path)
    log = repository.git.text("log", "-n", "50", "--format=%H", "HEAD", "--", staging.literal(path), check=False)
    for commit in log.split():
        entry = staging.tree_entries(repository.git, commit, [path]).get(path)
        texts = blobs.read_small_blobs(repository.git, [entry.oid] if entry else [], canonical.LONGEST_JSON)
        if entry and sidecar.decode_if_whole(texts.get(entry.oid)) is not None:
            return f"git checkout {commit[:10]} -- {quoted}"
    return f"git rm --cached -- {quoted} && rm {quoted} && {FIX}"


def objects(repository: Repository, art: Art) -> Iterator[Finding]:
    """Objects that are not here, damaged, or only touched. Reads none but those that somebody wrote to."""
    store = repository.store
    missing, damaged, touched = [], [], []
    state: dict[str, str] = {}
    for path, hash_ in art.hashes.items():
        if hash_ not in state:
            info = store.stat(hash_)
            if info is None:
                state[hash_] = "missing"
            elif store.is_touched(info):
                state[hash_] = "touched" if store.is_sound(hash_) else "damaged"
            else:
                state[hash_] = "whole"
        if state[hash_] == "missing":
            missing.append(path)
        elif state[hash_] == "damaged":
            damaged.append(path)
        elif state[hash_] == "touched":
            touched.append(hash_)
    if missing:
        yield Finding(
            "missing",
            "the bytes are not in this store",
            "comfyvn-store pull",
            missing,
        )
    if damaged:
        quoted = " ".join(map(wiring.quoted, damaged[:20]))
        yield Finding("damaged", "a program wrote through a link", f"comfyvn-store recover {quoted}", damaged)
    if touched:
        paths = [store.path(hash_) for hash_ in dict.fromkeys(touched)]
        yield Finding("touched", "objects have another mode or time than when they were stored", FIX, paths, True)
