"""The sidecar: its one valid encoding, a reader that is strict in form and lenient in content, and its parts.

`docs/formats/sidecar.md` specifies the format. In git a sidecar has no `provenance.commit`; on disk it has one.
"""

# No `from __future__ import annotations`: a named tuple compiles each annotation that is a text, 30 µs for each start.

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from comfyvn_store.base import canonical, links, names

SCHEMA = 1
_TOP = (
    "schema",
    "uid",
    "hash",
    "type",
    "path",
    "bytes",
    "media",
    "tags",
    "license",
    "meta",
    "preview",
    "provenance",
)
_RECORD = ("id", "source", "workflow_hash", "inputs", "source_hash", "created_at", "parent", "commit")
_MEDIA = ("mime", "width", "height", "channels", "sample_rate", "duration")
_INPUTS = (
    "seed",
    "model",
    "loras",
    "sampler",
    "scheduler",
    "steps",
    "cfg",
    "denoise",
    "positive",
    "negative",
    "images",
    "graph",
)
_PREVIEW = ("kind", "path")
# All keys that are known, for who reads a sidecar past this module.
TOP, RECORD = frozenset(_TOP), frozenset(_RECORD)
_LORA = ("name", "strength")
THUMBNAILS = "cache/thumbs"
# Of which a thumbnail is made, and of which a waveform; some of them only where a library of an extra is there.
_PICTURES = frozenset(
    [
        *("image/png", "image/apng", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/tiff"),
        *("image/avif", "image/vnd.adobe.photoshop"),
        *("video/mp4", "video/webm", "video/quicktime", "video/x-matroska"),
    ]
)
_SOUNDS = frozenset(("audio/wav", "audio/mpeg", "audio/ogg", "audio/opus", "audio/flac"))


# What a record or a sidecar holds where nothing was said; shared by all, which nobody writes into.
_NOTHING: Mapping[str, Any] = {}


class BrokenSidecar(ValueError):
    """The text is no sidecar; the message says why."""


class Record(NamedTuple):
    """A provenance record: how these bytes came to be. What is unknown is None."""

    id: str
    source: str | None = None
    workflow_hash: str | None = None
    inputs: Mapping[str, Any] = _NOTHING
    source_hash: str | None = None
    created_at: str | None = None
    parent: str | None = None
    extra: Mapping[str, Any] = _NOTHING


class Sidecar(NamedTuple):
    """What a sidecar says. `path` is relative to the assets root; `extra` holds keys that this version does not know."""

    hash: str
    path: str
    bytes: int | None
    media: Mapping[str, Any]
    provenance: Record
    tags: tuple[str, ...] = ()
    license: str | None = None
    meta: Mapping[str, Any] = _NOTHING
    extra: Mapping[str, Any] = _NOTHING

    @property
    def uid(self) -> str:
        """The first 16 hex digits of the hash."""
        return self.hash[:16]

    @property
    def type(self) -> str:
        """The type, which follows the path."""
        return names.asset_type(self.path)

    def moved(self, path: str) -> "Sidecar":
        """Gives the same sidecar for another place."""
        return self._replace(path=path)


def preview_for(mime: str | None, hash_: str) -> dict[str, str] | None:
    """Gives where the preview of such an object belongs, or None for media without one."""
    if mime in _PICTURES:
        return {"kind": "thumbnail", "path": f"{THUMBNAILS}/{hash_}.webp"}
    if mime in _SOUNDS:
        return {"kind": "waveform", "path": f"{THUMBNAILS}/{hash_}.waveform.json"}
    return None


def previewable() -> frozenset[str]:
    """Gives the media types that have a preview."""
    return _PICTURES | _SOUNDS


def encode(sidecar: Sidecar, *, commit: str | None = None, on_disk: bool = False) -> bytes:
    """Gives the sidecar's text: git's form, or with `on_disk` the one that names the commit (null if unknown)."""
    return canonical.dump_pretty(as_dict(sidecar, commit=commit, on_disk=on_disk))


def as_dict(sidecar: Sidecar, *, commit: str | None = None, on_disk: bool = False) -> dict[str, Any]:
    """Gives the sidecar as plain data, keys in their canonical order."""
    record = record_dict(sidecar.provenance)
    if on_disk:
        record["commit"] = commit
    mime = sidecar.media.get("mime")
    value = {
        **sidecar.extra,
        "schema": SCHEMA,
        "uid": sidecar.uid,
        "hash": sidecar.hash,
        "type": sidecar.type,
        "path": sidecar.path,
        "bytes": sidecar.bytes,
        "media": dict(sidecar.media),
        "tags": list(sidecar.tags),
        "license": sidecar.license,
        "meta": dict(sidecar.meta),
        "preview": preview_for(mime if isinstance(mime, str) else None, sidecar.hash),
        "provenance": record,
    }
    return arrange(value)


def record_dict(record: Record) -> dict[str, Any]:
    """Gives a provenance record as plain data, without the commit."""
    return {
        **record.extra,
        "id": record.id,
        "source": record.source,
        "workflow_hash": record.workflow_hash,
        "inputs": dict(record.inputs),
        "source_hash": record.source_hash,
        "created_at": record.created_at,
        "parent": record.parent,
    }


def decode(data: bytes) -> Sidecar:
    """Parses a sidecar's text. Raises BrokenSidecar."""
    try:
        value = canonical.parse(data)
    except canonical.NotCanonical as error:
        if b"<<<<<<< " in data[: canonical.LONGEST_JSON]:
            raise BrokenSidecar("it holds merge markers") from None
        raise BrokenSidecar(f"it does not parse as JSON ({error})") from None
    return from_dict(value)


def decode_if_whole(data: bytes | None) -> Sidecar | None:
    """Gives the sidecar in a text, or None where there is none that parses."""
    try:
        return decode(data) if data is not None else None
    except BrokenSidecar:
        return None


def from_dict(value: Any) -> Sidecar:
    """Reads a sidecar out of plain data. Raises BrokenSidecar."""
    if not isinstance(value, Mapping):
        raise BrokenSidecar(f"it holds a {type(value).__name__}, not an object")
    schema = value.get("schema")
    if schema != SCHEMA or isinstance(schema, bool):
        raise BrokenSidecar(f"it has schema {schema!r}, and this version knows {SCHEMA}")
    hash_ = value.get("hash")
    if not isinstance(hash_, str) or not links.is_hash(hash_):
        raise BrokenSidecar("its hash is no SHA-256")
    size = value.get("bytes")
    media = _typed(value, "media", dict, {})
    tags = _typed(value, "tags", list, [])
    if not all(isinstance(tag, str) for tag in tags):
        raise BrokenSidecar("its tags are not all text")
    # No file is larger (off_t), and SQLite keeps no larger number.
    is_size = isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 1 << 63
    if size is not None and not is_size:
        raise BrokenSidecar("its bytes are no size of a file")
    return Sidecar(
        hash=hash_,
        path=_typed(value, "path", str, ""),
        bytes=size,
        media=media,
        tags=tuple(tags),
        license=_typed(value, "license", str, None),
        meta=_typed(value, "meta", dict, {}),
        provenance=_record(_typed(value, "provenance", dict, {})),
        extra={key: item for key, item in value.items() if key not in _TOP},
    )


def _record(value: Mapping[str, Any]) -> Record:
    id_ = value.get("id")
    if not isinstance(id_, str) or not id_:
        raise BrokenSidecar("its provenance has no id")
    return Record(
        id=id_,
        source=_typed(value, "source", str, None),
        workflow_hash=_typed(value, "workflow_hash", str, None),
        inputs=_typed(value, "inputs", dict, {}),
        source_hash=_typed(value, "source_hash", str, None),
        created_at=_typed(value, "created_at", str, None),
        parent=_typed(value, "parent", str, None),
        extra={key: item for key, item in value.items() if key not in _RECORD},
    )


def _typed(value: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:
    found = value.get(key)
    if found is None:
        return default
    if not isinstance(found, kind):
        raise BrokenSidecar(f"its {key} is a {type(found).__name__}")
    return found


# -- the text as it passes git's filters ---------------------------------------------------------------------------


def strip_commit(data: bytes) -> bytes:
    """Gives a sidecar's text as git keeps it: canonical, without `provenance.commit`. Other text passes unchanged."""
    value = _filterable(data)
    if value is None:
        return data
    value["provenance"].pop("commit", None)
    return canonical.dump_pretty(arrange(value))


# How the commit stands in a sidecar on disk: as the last of its provenance, which is the last of it all.
_COMMIT = re.compile(rb',\n    "commit": (null|"[0-9a-f]{40,64}")(?=\n  }\n}\n\Z)')


def is_same(data: bytes, text: bytes) -> bool:
    """Tells whether the text on disk, `data`, is git's but for the commit, as `strip_commit(data) == text` does."""
    at = data.find(b'\n  "provenance": {\n')
    found = _COMMIT.search(data, max(0, len(data) - 100)) if at >= 0 and data.rfind(b'\n  "') == at else None
    if found and data[: found.start()] + data[found.end() :] == text and b'    "commit": ' not in text[at:]:
        return True
    return strip_commit(data) == text


def is_filled(data: bytes, text: bytes, commit: str | None) -> bool:
    """Tells whether the text on disk, `data`, is plainly git's with this commit; False also where that takes a closer look."""
    found = _COMMIT.search(data, max(0, len(data) - 100))
    if found is None or found[1] != (b"null" if commit is None else b'"%s"' % commit.encode("ascii", "replace")):
        return False
    return data[: found.start()] + data[found.end() :] == text


def fill_commit(data: bytes, commit: str | None) -> bytes:
    """Gives a sidecar's text as it lies on disk; text that `strip_commit` would not give back unchanged stays as it is.

    git may have given its lines other ends on the way out (`core.autocrlf`, `eol=crlf`); on disk they end in LF everywhere.
    """
    value = _filterable(data)
    return data if value is None else _filled(data, value, commit)


def fill_commit_of(data: bytes, commit_of: Callable[[str], str | None]) -> bytes:
    """Does the same with the commit that `commit_of` gives for the record's id; a text without one stays as it is."""
    value = _filterable(data)
    id_ = value["provenance"].get("id") if value else None
    return _filled(data, value, commit_of(id_)) if value and isinstance(id_, str) else data


def _filled(data: bytes, value: dict[str, Any], commit: str | None) -> bytes:
    value["provenance"]["commit"] = commit
    value = arrange(value)
    filled = canonical.dump_pretty(value)
    del value["provenance"]["commit"]
    is_git_form = canonical.dump_pretty(value) == data.replace(b"\r\n", b"\n")
    return filled if is_git_form else data


def record_id(data: bytes) -> str | None:
    """Gives the provenance record's id in a sidecar's text, or None if it is none."""
    value = _filterable(data)
    id_ = value["provenance"].get("id") if value else None
    return id_ if isinstance(id_, str) else None


def _filterable(data: bytes) -> dict[str, Any] | None:
    try:
        value = canonical.parse(data)
    except canonical.NotCanonical:
        return None
    if not isinstance(value, dict) or "schema" not in value or not isinstance(value.get("provenance"), dict):
        return None
    return value


def arrange(value: Mapping[str, Any]) -> dict[str, Any]:
    """Gives a sidecar's data with every key in its canonical place: known keys in their order, then others sorted."""
    top = _ordered(value, _TOP)
    for key, order in (("media", _MEDIA), ("preview", _PREVIEW), ("provenance", _RECORD)):
        if isinstance(top.get(key), dict):
            top[key] = _ordered(top[key], order)
    record = top.get("provenance")
    if isinstance(record, dict) and isinstance(record.get("inputs"), dict):
        inputs = _ordered(record["inputs"], _INPUTS)
        if isinstance(inputs.get("loras"), list):
            inputs["loras"] = [_ordered(item, _LORA) if isinstance(item, dict) else item for item in inputs["loras"]]
        record["inputs"] = inputs
    return top


def _ordered(value: Mapping[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    known = {key: value[key] for key in order if key in value}
    return {
        **known,
        **{key: _sorted(value[key]) for key in sorted(value) if key not in known},
        **_meta(value),
    }


def _meta(value: Mapping[str, Any]) -> dict[str, Any]:
    # `meta` belongs to people and programs: its keys are sorted at every depth, in its own place.
    return {"meta": _sorted(value["meta"])} if isinstance(value.get("meta"), dict) else {}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
