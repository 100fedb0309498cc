"""Migrating what is in git's index now: staged, shown, and for the person to commit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from comfyvn_store.asset import sidecar, views, worktree
from comfyvn_store.base import files, links, names
from comfyvn_store.base.telling import Progress
from comfyvn_store.errors import Refused
from comfyvn_store.ops import journal
from comfyvn_store.ops.migrate import following, lines, records, rewrite
from comfyvn_store.ops.migrate.choosing import Chosen
from comfyvn_store.ops.migrate.claims import Claim, Found, Kind, Left
from comfyvn_store.ops.migrate.dvc import SUFFIX
from comfyvn_store.ops.migrate.gathering import Gathered
from comfyvn_store.ops.migrate.outcome import Migrated
from comfyvn_store.ops.session import Session
from comfyvn_store.vcs import attributes, blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Change, Entry

_BATCH = 2000


def migrate(
    session: Session, kind: Kind, asked: Sequence[str], *, is_trial: bool, clears_cache: bool, progress: Progress
) -> Migrated:
    """Migrates the index. Raises Refused (a conflict, edits of files that have to change), OSError, LockTimeout."""
    repository = session.repository
    done = Migrated(kind.name, is_trial, kind.fetch)
    with worktree.alone(repository, worktree.PATIENCE):
        if not is_trial:
            rewrite.finish_pending(repository)
        entries = staging.all_entries(repository.git)
        if any(entry.stage for entry in entries):
            raise Refused("files are in conflict here", hint="settle them first: comfyvn-store conflicts")
        chooser = Chosen(repository, kind.name, asked)
        found = read_all(kind, entries)
        chooser.remaining |= {each.path for each in found.left}
        claims = _free(repository, chooser, entries, chooser.choose(found.claims))
        gathered = Gathered(repository, kind, chooser, done)
        gathered.gather(claims, progress)
        done.left += chooser.left + [each for each in found.left if is_asked(each.path, asked)]
        gathered.report(gathered.claims)
        adapted = list(_adapted(repository, kind.name, entries, gathered.claims, chooser.remaining))
        done.adapted = [entry.path for entry, _ in adapted]
        info = lines.info_without_annex(repository, is_needed=bool(chooser.remaining)) if kind.name == "annex" else None
        if info is not None and gathered.claims:
            done.adapted.append(os.path.relpath(lines.info_attributes(repository), repository.top))
        if is_trial:
            return done
        if gathered.claims:
            touched = _touched(gathered.claims, adapted)
            summary = f"migrate {kind.name}: {len(gathered.claims)} {'file' if len(gathered.claims) == 1 else 'files'}"
            with journal.recording(repository, "migrate", touched, summary):
                if info is not None:
                    files.write_atomic(lines.info_attributes(repository), info, sharing=repository.settings.sharing)
                _carry_out(repository, gathered, adapted, entries, done)
        if clears_cache:
            done.cache = gathered.remove_cache(_linked(repository, entries, asked))
    return done


def _linked(repository: Repository, entries: Sequence[Entry], asked: Sequence[str]) -> Iterable[str]:
    """Gives the objects of what is an asset already."""
    oids = [entry.oid for entry in entries if entry.mode != staging.GITLINK and is_asked(entry.path, asked)]
    return blobs.read_links(repository.git, oids).values()


def _touched(claims: Sequence[Claim], adapted: Sequence[tuple[Entry, bytes]]) -> list[str]:
    """Gives the paths that a migration may change."""
    views = [path for claim in claims for path in (claim.path, names.sidecar_path(claim.path), claim.carrier.path)]
    return list(dict.fromkeys([*views, *(entry.path for entry, _ in adapted)]))


def read_all(kind: Kind, entries: Iterable[Entry]) -> Found:
    """Reads any number of entries, some at a time."""
    found = Found([], [])
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) >= _BATCH:
            _read(kind, batch, found)
    _read(kind, batch, found)
    return found


def _read(kind: Kind, batch: list[Entry], found: Found) -> None:
    part = kind.read(batch)
    found.claims.extend(part.claims)
    found.left.extend(part.left)
    batch.clear()


def is_asked(path: str, asked: Sequence[str]) -> bool:
    """Tells whether a path is one of those that people named, or below one; all are where none is named."""
    return not asked or any(wanted in (".", path) or path.startswith(wanted + "/") for wanted in asked)


def _free(repository: Repository, chooser: Chosen, entries: Sequence[Entry], claims: list[Claim]) -> list[Claim]:
    """Gives the claims of `.dvc` files that are as git has them, and whose own files git has not; all other claims."""
    tracked = {entry.path for entry in entries}
    stays: dict[tuple[str, str, str], Left] = {}
    for claim in claims:
        carrier = claim.carrier
        if carrier.path == claim.path:
            continue
        if claim.path in tracked:
            stays[carrier[:3]] = Left(carrier.path, f"git has a file at '{names.printable(claim.path)}' already")
        elif not _is_settled(repository, carrier, claims):
            stays[carrier[:3]] = Left(
                carrier.path, "it was changed or deleted, and that is not staged", "git add it, or git checkout it"
            )
    chooser.left += stays.values()
    chooser.remaining |= {left.path for left in stays.values()}
    return [claim for claim in claims if claim.carrier[:3] not in stays]


def _is_settled(repository: Repository, carrier: Entry, claims: Sequence[Claim]) -> bool:
    """Whether a carrier's file is git's, or was removed by a run that was cut short when its views were in place."""
    if files.lstat(repository.absolute(carrier.path)) is not None:
        return following.is_unchanged(repository, carrier)
    own = (claim for claim in claims if claim.carrier == carrier)
    return all(links.parse_link(files.read_link(repository.absolute(claim.path)) or "") for claim in own)


def _adapted(
    repository: Repository, kind: str, entries: Sequence[Entry], claims: Sequence[Claim], remaining: set[str]
) -> Iterator[tuple[Entry, bytes]]:
    """Gives the files of attributes or of ignored names that have lines which nothing needs any more, with their new text.

    Raises Refused for one that somebody edited without staging it.
    """
    if not claims:
        return
    is_one = {"lfs": attributes.is_attributes, "dvc": _is_ignore}.get(kind)
    wanted = [entry for entry in entries if is_one is not None and is_one(entry.path) and entry.mode == staging.FILE]
    texts = blobs.read_small_blobs(repository.git, (entry.oid for entry in wanted), lines.LONGEST)
    for entry in wanted:
        text = texts.get(entry.oid)
        if text is None:
            continue
        after = adapt(repository, kind, entry.path, text, remaining, ignored_by(claims))
        if after == text:
            continue
        place = repository.absolute(entry.path)
        if not following.is_unchanged(repository, entry) and not _says(place, after):
            raise Refused(
                f"'{names.printable(entry.path)}' has to change, and it has changes that are not staged",
                hint="git add or git stash them, then run the command again",
            )
        yield entry, after


def _is_ignore(path: str) -> bool:
    return os.path.basename(path) == lines.IGNORE


def adapt(repository: Repository, kind: str, path: str, text: bytes, remaining: set[str], ignored: set[str]) -> bytes:
    """Gives a file of attributes or ignored names without what another program needed for files that are assets now."""
    if kind == "lfs":
        return lines.without_lfs(repository.git, repository.object_format, path, text, remaining)
    return lines.without_ignored(path, text, ignored)


def ignored_by(claims: Iterable[Claim]) -> set[str]:
    """Gives the files and folders that DVC has git ignore: each is named as its `.dvc` file."""
    return {claim.carrier.path.removesuffix(SUFFIX) for claim in claims}


def _says(place: str, text: bytes) -> bool:
    if not text and files.lstat(place) is None:
        return True
    try:
        return files.read_small(place, lines.LONGEST) == text
    except OSError:
        return False


def _carry_out(
    repository: Repository,
    gathered: Gathered,
    adapted: list[tuple[Entry, bytes]],
    entries: Sequence[Entry],
    done: Migrated,
) -> None:
    """Writes blobs, work tree and index. All objects are durable."""
    before = {entry.path: entry for entry in entries}
    wanted = [(claim, gathered.hash_of(claim.version) or "") for claim in gathered.claims]
    sizes = [(claim.path, hash_, gathered.size_of(claim.version)) for claim, hash_ in wanted]
    cards = records.for_tree(repository, sizes)
    texts: dict[str, tuple[str, bytes]] = {}
    for claim, hash_ in wanted:
        mode = views.mode_of(repository, before.get(claim.path))
        texts[claim.path] = (mode, links.link_text(claim.path, hash_).encode("ascii"))
        texts[names.sidecar_path(claim.path)] = (staging.FILE, sidecar.encode(cards[claim.path]))
    texts |= {entry.path: (staging.FILE, text) for entry, text in adapted if text}
    oids = blobs.write_blobs(repository.git, repository.object_format, [text for _, text in texts.values()])
    nothing = "0" * len(oids[0])
    changes = [
        _change(before.get(path), path, mode, oid, nothing)
        for (path, (mode, _)), oid in zip(texts.items(), oids, strict=True)
    ]
    gone = {claim.carrier.path for claim in gathered.claims if claim.carrier.path != claim.path}
    gone |= {entry.path for entry, text in adapted if not text}
    changes += [_change(before[path], path, staging.GONE, nothing, nothing) for path in sorted(gone)]
    new = {claim.path for claim in gathered.claims if claim.carrier.path != claim.path}
    done.kept = following.follow(repository, changes, new).kept


def _change(old: Entry | None, path: str, mode: str, oid: str, nothing: str) -> Change:
    return Change(path, old.mode if old else staging.GONE, mode, old.oid if old else nothing, oid)
