"""How people name assets: by path (as git does, from where they stand), by uid, or by the beginning of a hash."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from comfyvn_store.asset import sidecar
from comfyvn_store.base import canonical, names
from comfyvn_store.errors import UnknownAsset, UnknownRevision
from comfyvn_store.index import questions
from comfyvn_store.ops.session import Session
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository


class Version(NamedTuple):
    """One version of an asset: its place relative to the assets root, its bytes' hash, its record."""

    inside: str
    hash: str
    record: Mapping[str, Any]


def resolve(session: Session, name: str) -> str:
    """Gives the asset's path relative to the assets root. Raises UnknownAsset, AmbiguousAsset."""
    if not is_text(name):
        raise questions.unknown(name)
    inside = to_inside(session.repository, name)
    # Records give paths relative to the assets root and to the top: both serve as names from anywhere.
    for candidate in dict.fromkeys(filter(None, (inside, name, session.repository.inside(name)))):
        if questions.asset_at(session.index, session.repository, candidate) is not None:
            return candidate
    if inside is not None and names.is_sidecar(inside):
        return resolve(session, name[: -len(names.SIDECAR_SUFFIX)])
    return questions.find(session.index, session.repository, name)


def is_text(name: str) -> bool:
    """Tells whether an asset could go by that name at all: asset names are UTF-8 without NUL."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in name


def to_inside(repository: Repository, name: str) -> str | None:
    """Gives a path as typed, relative to the assets root, or None if it lies elsewhere."""
    path = to_top(repository, name)
    return repository.inside(path) if path is not None else None


def to_top(repository: Repository, name: str) -> str | None:
    """Gives a path as typed, relative to the work tree's top, or None if it lies outside."""
    here = os.path.realpath(os.getcwd())
    typed = os.path.join(here, name)
    folder, last = os.path.split(os.path.normpath(typed))
    # The last part may be a view, which must not be followed; the folders may be reached through links.
    absolute = os.path.join(os.path.realpath(folder), last)
    relative = os.path.relpath(absolute, os.path.realpath(repository.top)).replace(os.sep, "/")
    return None if relative.startswith("../") or relative == ".." else relative


def version(session: Session, name: str) -> Version:
    """Gives the version that `PATH`, a uid or `REV:PATH` names. Raises UnknownAsset, UnknownRevision, AmbiguousAsset."""
    if is_text(name) and _is_revision_path(session, name):
        revision, _, path = name.partition(":")
        return _at_revision(session, revision, path)
    inside = resolve(session, name)
    found = questions.asset_at(session.index, session.repository, inside)
    if found is None:
        raise questions.unknown(name)
    return Version(inside, found["hash"], found)


def _is_revision_path(session: Session, name: str) -> bool:
    """Whether a name with a colon is REV:PATH: there is no asset of that very name."""
    revision, colon, _ = name.partition(":")
    if not colon or not revision:
        return False
    inside = to_inside(session.repository, name)
    return inside is None or questions.asset_at(session.index, session.repository, inside) is None


def commit(repository: Repository, revision: str) -> str:
    """Gives the commit that a revision means. Raises UnknownRevision."""
    found = blobs.resolve(repository.git, revision)
    if found is None:
        raise UnknownRevision(
            f"git knows no revision '{names.printable(revision)}'", hint="`git log --oneline` lists commits"
        )
    return found


def _at_revision(session: Session, revision: str, typed: str) -> Version:
    repository = session.repository
    commit_id = commit(repository, revision)
    # As in git, a path after a colon is relative to the top, and to where one stands only with a leading `./`.
    path = to_top(repository, typed) if typed.startswith(("./", "../")) else os.path.normpath(typed)
    candidates = [path] if path else []
    if path and repository.inside(path) is None:
        candidates.append(repository.full(path))
    for candidate in candidates:
        card = names.sidecar_path(candidate)
        entries = staging.tree_entries(repository.git, commit_id, [candidate, card])
        if candidate not in entries:
            continue
        link = entries[candidate].oid
        hash_ = blobs.read_links(repository.git, [link]).get(link)
        inside = repository.inside(candidate)
        if hash_ is not None and inside is not None:
            oid = entries[card].oid if card in entries else None
            return Version(inside, hash_, _record_at(session, inside, hash_, oid))
    raise UnknownAsset(
        f"'{names.printable(typed)}' is no asset in {revision}",
        hint=f"`git ls-tree -r --name-only {revision} -- {repository.root}` lists what is there",
    )


def _record_at(session: Session, inside: str, hash_: str, card_oid: str | None) -> dict[str, Any]:
    """Gives the record of a version in history, in the same form as of a present one."""
    from comfyvn_store.asset.known import parse_all
    from comfyvn_store.index import rows

    repository = session.repository
    texts = blobs.read_small_blobs(repository.git, [card_oid] if card_oid else [], canonical.LONGEST_JSON)
    said = parse_all(texts).get(card_oid or "")
    stored = repository.store.stat(hash_)
    commit = None
    if said is not None and said.hash == hash_:
        row = session.index.db.execute(
            "SELECT commit_hash FROM provenance WHERE id = ?", (said.provenance.id,)
        ).fetchone()
        commit = row[0] if row else None
        result = sidecar.as_dict(said.moved(inside), commit=commit, on_disk=True)
    else:
        size = stored.st_size if stored else None
        empty = sidecar.Sidecar(hash_, inside, size, {}, sidecar.Record(""))
        result = {**sidecar.as_dict(empty), "provenance": None}
    full = repository.full(inside)
    mime = result["media"].get("mime")
    return {
        **result,
        "view": full,
        "sidecar": names.sidecar_path(full),
        "thumb": rows.thumb_path(repository, mime, hash_),
        "present": stored is not None,
        "commit": commit,
    }
