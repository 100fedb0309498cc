"""What differs between two versions of an asset, field by field, in the words that artists use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

from comfyvn_store.asset import portrait
from comfyvn_store.asset.sidecar import Sidecar

ARROW: Final = "\N{RIGHTWARDS ARROW}"
_LONGEST: Final = 100  # letters of a value in a line


class _Without(Enum):
    """What stands where a version has no such thing, or where nobody knows whether it has."""

    ABSENT = "absent"
    UNKNOWN = "unknown"


ABSENT, UNKNOWN = _Without.ABSENT, _Without.UNKNOWN


class Difference(NamedTuple):
    """One field that differs. `field` is its name in the sidecar (`seed`, `meta.route`), of a LoRA `lora`, of tags `tag`; there
    `name` says which one. ABSENT stands for what a version does not have."""

    field: str
    before: Any
    after: Any
    name: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Gives it as `--json` prints it: null is what is absent or unknown."""
        named = {"name": self.name} if self.name is not None else {}
        return {
            "field": self.field,
            **named,
            "before": None if isinstance(self.before, _Without) else self.before,
            "after": None if isinstance(self.after, _Without) else self.after,
        }


def between(before: Sidecar, after: Sidecar) -> list[Difference]:
    """Gives what differs, the bytes first. Ids, previews and times of records are no difference."""
    found: list[Difference] = []
    if before.hash != after.hash:
        found.append(Difference("hash", before.hash, after.hash))
    if before.path != after.path:
        found.append(Difference("path", before.path, after.path))
    if before.bytes != after.bytes:
        found.append(Difference("bytes", _known(before.bytes), _known(after.bytes)))
    found += _fields("media.", _shape(before.media), _shape(after.media))
    found += _of_sets("tag", before.tags, after.tags)
    found += _fields("", {"license": before.license}, {"license": after.license})
    found += _fields("meta.", before.meta, after.meta)
    one, other = before.provenance, after.provenance
    found += _fields("", {"source": one.source}, {"source": other.source})
    found += _fields("", {"workflow_hash": one.workflow_hash}, {"workflow_hash": other.workflow_hash})
    found += list(_inputs(one.inputs, other.inputs))
    found += _fields("file says ", _said(one.extra), _said(other.extra))
    return found


def words(difference: Difference) -> str:
    """Gives a difference as a person reads it: `seed 42 → 77`, `LoRA add_detail 0.6 → 0.8`, `tag heroine added`."""
    field, before, after, name = difference
    if field == "hash":
        return f"bytes {before[:16]} {ARROW} {after[:16]}"
    if field == "workflow_hash":
        return _change("workflow", _cut(before), _cut(after))
    if field in ("positive", "negative"):
        return _prompt_change(field, before, after)
    if field == "lora":
        return _change(f"LoRA {name}", before, after, is_thing=True)
    if field in ("image", "other model") and ABSENT in (before, after):
        return f"{field} {name} {'removed' if after is ABSENT else 'added'}"
    if field == "tag":
        return f"tag {name} {'removed' if after is ABSENT else 'added'}"
    if field == "bytes":
        return _change("size in bytes", before, after)
    label = {"license": "licence", "media.size": "size", "media.mime": "format"}.get(
        field, field.removeprefix("media.")
    )
    return _change(label, before, after, is_thing=field == "license")


def _change(label: str, before: Any, after: Any, *, is_thing: bool = False) -> str:
    """Gives the words for a value that came, went or changed; things are added and removed, values get known."""
    if is_thing and before is ABSENT:
        return f"{label} {_value(after)} added" if after is not None else f"{label} added"
    if is_thing and after is ABSENT:
        return f"{label} removed (was {_value(before)})" if before is not None else f"{label} removed"
    return f"{label} {_value(before)} {ARROW} {_value(after)}"


def _cut(hash_: Any) -> Any:
    return hash_[:16] if isinstance(hash_, str) else hash_


def _value(value: Any) -> str:
    if isinstance(value, _Without) or value is None:
        return "unknown"
    text = portrait.plain(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _prompt_change(field: str, before: Any, after: Any) -> str:
    """Gives what a prompt gained and lost, part by part; of prompts that share nothing, both."""
    if not isinstance(before, str) or not isinstance(after, str):
        return _change(field, before, after)
    old, new = portrait.prompt_parts(before), portrait.prompt_parts(after)
    gained = [part for part in new if part not in old]
    lost = [part for part in old if part not in new]
    if len(lost) == len(old) and len(gained) == len(new) and len(old) > 1:
        return _change(field, before, after)
    said = [*(f"+{_value(part)}" for part in gained), *(f"-{_value(part)}" for part in lost)]
    return f"{field}: {', '.join(said)}" if said else f"{field}: the same parts in another order"


def _inputs(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for key in dict.fromkeys([*before, *after]):
        one, other = before.get(key), after.get(key)
        if one == other and type(one) is type(other):
            continue
        if key == "loras":
            yield from _of_loras(one, other)
        elif key in ("images", "other_models"):
            yield from _of_sets(key.removesuffix("s").replace("_", " "), _names(one), _names(other))
        else:
            yield from _fields("", {key: one}, {key: other})


def _of_loras(before: Any, after: Any) -> Iterator[Difference]:
    old, new = portrait.loras(before), portrait.loras(after)
    for name in dict.fromkeys([*old, *new]):
        # Where a side does not tell its LoRAs, none was added or removed.
        one = old.get(name, UNKNOWN if before is None else ABSENT)
        other = new.get(name, UNKNOWN if after is None else ABSENT)
        if one != other:
            yield Difference("lora", one, other, name)


def _of_sets(field: str, before: Any, after: Any) -> Iterator[Difference]:
    """The names that only one side has; a side that is None does not tell which it has."""
    for name in after or ():
        if name not in (before or ()):
            yield Difference(field, UNKNOWN if before is None else ABSENT, name, name)
    for name in before or ():
        if name not in (after or ()):
            yield Difference(field, name, UNKNOWN if after is None else ABSENT, name)


def _names(value: Any) -> list[str] | None:
    return [str(item) for item in value] if isinstance(value, list) else None


def _fields(prefix: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for key in dict.fromkeys([*before, *after]):
        one, other = _known(before.get(key)), _known(after.get(key))
        if one != other or (type(one) is not type(other) and bool in (type(one), type(other))):
            yield Difference(f"{prefix}{key}", one, other)


def _known(value: Any) -> Any:
    return ABSENT if value is None else value


def _shape(media: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the facts with width and height as one."""
    rest = {key: value for key, value in media.items() if key not in ("width", "height")}
    size = portrait.size(media)
    return {**rest, "size": size} if size else rest


def _said(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    embedded = extra.get("embedded")
    return embedded if isinstance(embedded, dict) else {}
