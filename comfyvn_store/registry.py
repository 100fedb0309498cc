"""AssetRegistry: the Python entry, for scripts and for ComfyVN Studio."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from typing import Any

from comfyvn_store.asset import record
from comfyvn_store.base import canonical, links, names
from comfyvn_store.errors import LockTimeout, Refused, UsageError
from comfyvn_store.index import questions
from comfyvn_store.ops import inference, naming, places, register, remove
from comfyvn_store.ops import rebuild as rebuilding
from comfyvn_store.ops.session import Session, open_session
from comfyvn_store.previews import worker

_STATED = ("source", "workflow", "workflow_hash", "inputs", "user", "parent")
_RESERVED = ("id", "commit", "created_at", "source_hash")


class AssetRegistry:
    """The assets of the repository around the current folder, or around `assets_root`.

    `db_path`, `assets_root` and `thumb_root` win over the environment and git config. Raises NotInitialised where
    `comfyvn-store init` was not run. Every record is a plain dict that `json.dumps` takes.
    """

    def __init__(
        self,
        db_path: str | os.PathLike[str] | None = None,
        *,
        assets_root: str | os.PathLike[str] | None = None,
        thumb_root: str | os.PathLike[str] | None = None,
    ) -> None:
        here = os.getcwd()
        self._db_path = os.path.join(here, os.fspath(db_path)) if db_path is not None else None
        self._thumbs = os.path.join(here, os.fspath(thumb_root)) if thumb_root is not None else None
        self._root = os.path.join(here, os.fspath(assets_root)) if assets_root is not None else None
        self._folder = here
        if self._root is not None:
            folder = self._root
            while not os.path.isdir(folder):
                folder = os.path.dirname(folder)
            self._folder = folder
        with self._open() as session:
            self._folder = session.repository.top

    def register_file(
        self,
        source_path: str | os.PathLike[str],
        asset_type: str,
        *,
        dest_relative: str | os.PathLike[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        copy_file: bool = True,
        copy: bool | None = None,
        provenance: Mapping[str, Any] | None = None,
        license_tag: str | None = None,
        replace: bool = False,
        stage: bool = True,
    ) -> dict[str, Any]:
        """Registers a file and gives its record.

        `dest_relative` is relative to the assets root. `metadata` becomes `meta`; its `tags` (a list of text) become
        tags. `provenance` may state `source`, `workflow` (a ComfyUI graph), `workflow_hash`, `inputs`, `user`, `parent`.
        `copy` is the older name of `copy_file`. Raises UnknownFile, Refused, UsageError, MachineError.
        """
        if copy is not None and copy != copy_file and copy_file is not True:
            raise UsageError("copy and copy_file contradict each other", hint="give copy_file alone")
        copying = copy_file if copy is None else copy
        source = os.path.abspath(os.fspath(source_path))
        meta = dict(metadata or {})
        tags = meta.pop("tags", ())
        if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
            raise UsageError("metadata['tags'] is no list of text")
        if not isinstance(license_tag, str | None):
            raise UsageError("license_tag is no text")
        _require_json({"meta": meta, "tags": list(tags), "license": license_tag})
        with self._open() as session:
            inside = self._place(session, source, asset_type, dest_relative, copying)
            wish = register.Wish(
                source,
                inside,
                copy=copying,
                replace=replace,
                stage=stage,
                tags=tuple(tags),
                license=license_tag,
                meta=meta,
                origin=_origin(provenance or {}),
            )
            return register.register(session, [wish])[0]

    def list_assets(
        self,
        asset_type: str | None = None,
        *,
        tags: tuple[str, ...] | list[str] = (),
        license_tag: str | None = None,
        text: str | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Gives the records of the assets for which every condition holds, in path order."""
        with self._open() as session:
            return list(
                questions.assets(
                    session.index,
                    session.repository,
                    type_=asset_type,
                    tags=tags,
                    license_=license_tag,
                    text=text,
                    limit=limit,
                )
            )

    def get_asset(self, name: str) -> dict[str, Any]:
        """Gives the record of the asset called by path, uid or hash prefix, or of a version `REV:PATH`.

        Raises UnknownAsset, AmbiguousAsset, UnknownRevision.
        """
        with self._open() as session:
            item = dict(naming.version(session, name).record)
            inference.add_to_asset(session, item)
            return item

    def resolve_path(self, name: str) -> str:
        """Gives the absolute path of the view of an asset. Raises UnknownAsset, AmbiguousAsset."""
        with self._open() as session:
            return session.repository.absolute(session.repository.full(naming.resolve(session, name)))

    def remove_asset(self, name: str) -> dict[str, Any]:
        """Takes an asset out of the work tree and git's index; gives its last record. Its bytes stay in the store.

        Raises UnknownAsset, AmbiguousAsset, Refused for a view with unstaged edits.
        """
        with self._open() as session:
            return remove.remove(session, name)

    def provenance_for(self, name: str | None = None, *, commit: str | None = None) -> list[dict[str, Any]]:
        """Gives provenance records, newest first: of an asset, of a commit or range, or all.

        Raises UnknownAsset, AmbiguousAsset, UnknownRevision.
        """
        from comfyvn_store.ops import provenance

        with self._open() as session:
            found = provenance.provenance(session, name, commit)
            inference.add(session, found)
            return found

    def rebuild(self, *, verify: bool = False, previews: bool = True) -> dict[str, Any]:
        """Makes the index from nothing; gives counts and the problems found."""
        with self._open(fresh=False) as session:
            return rebuilding.rebuild(session, verify=verify, previews=previews).as_dict()

    def wait_for_previews(self, timeout: float | None = None) -> bool:
        """Waits (seconds; None without end) until no preview is missing; tells whether that is so.

        Where no worker runs, the previews are made here.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._open() as session:
                due = any(
                    session.repository.store.is_sound(hash_) for hash_, _ in questions.previews_due(session.index)
                )
                if not due and not worker.is_running(session.repository):
                    return True
                if due and not worker.is_running(session.repository):
                    with contextlib.suppress(LockTimeout):  # a worker began between the question and now
                        worker.work(session.repository, patience=0.0)
                    continue
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(0.05)

    def _open(self, *, fresh: bool = True) -> Session:
        return open_session(
            self._folder, assets_root=self._root, db_path=self._db_path, thumbs_root=self._thumbs, fresh=fresh
        )

    def _place(
        self,
        session: Session,
        source: str,
        asset_type: str,
        dest: str | os.PathLike[str] | None,
        copying: bool,
    ) -> str:
        if dest is None:
            return places.place_for(session.repository, source, asset_type, None, copy=copying)
        inside = os.fspath(dest).replace(os.sep, "/")
        names.check_inside(inside, "name")
        if names.asset_type(inside) != asset_type:
            raise UsageError(
                f"dest_relative '{names.printable(inside)}' lies in the type '{names.asset_type(inside)}', not "
                f"'{names.printable(asset_type)}'",
                hint=f"it is relative to the assets root: '{names.printable(asset_type)}/{names.printable(inside)}'?",
            )
        if not copying:
            stays = places.place_for(session.repository, source, asset_type, None, copy=False)
            if stays != inside:
                raise Refused("a file that is not copied keeps its name", hint="leave dest_relative out, or copy it")
        places.check_place(session.repository, inside)
        return inside


def _origin(stated: Mapping[str, Any]) -> record.Origin:
    """Reads what the caller states of a file's provenance. Raises UsageError for what only the program knows."""
    reserved = [key for key in _RESERVED if key in stated]
    if reserved:
        raise UsageError(f"provenance cannot state {', '.join(reserved)}", hint="these are found out, not stated")
    hash_ = stated.get("workflow_hash")
    if hash_ is not None and not (isinstance(hash_, str) and links.is_hash(hash_)):
        raise UsageError("provenance['workflow_hash'] is no SHA-256 in lower-case hex")
    for key in ("source", "user", "parent"):
        if not isinstance(stated.get(key), str | None):
            raise UsageError(f"provenance['{key}'] is no text")
    if not isinstance(stated.get("inputs"), Mapping | None):
        raise UsageError("provenance['inputs'] is no mapping")
    extra = {key: value for key, value in stated.items() if key not in _STATED}
    origin = record.Origin(
        default_source=record.MANUAL,
        source=stated.get("source"),
        workflow_hash=hash_,
        inputs=stated.get("inputs") or {},
        user=stated.get("user"),
        parent=stated.get("parent"),
        extra=extra,
    )
    _require_json({**extra, "inputs": dict(origin.inputs or {})})
    return register.with_workflow(origin, stated["workflow"]) if stated.get("workflow") is not None else origin


def _require_json(value: Mapping[str, Any]) -> None:
    try:
        canonical.parse(canonical.dump_pretty(dict(value)))
    except (TypeError, ValueError) as error:
        raise UsageError(f"this cannot be written as JSON: {error}") from None
