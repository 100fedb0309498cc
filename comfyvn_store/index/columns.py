"""What a sidecar gives to the tables, as one flat tuple: cheap to send from process to process, and made once for each text."""

from __future__ import annotations

from typing import Any

from comfyvn_store.asset import sidecar
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import canonical, links
from comfyvn_store.index import ingredients

# The columns of `provenance` that come from the sidecar in which a record came, in the order of `said`.
SAID = (
    *("hash", "source", "workflow_hash", "inputs", "created_at", "parent", "source_hash", "extra"),
    *("bytes", "media", "tags", "license", "seed"),
)
# What stands where in `of`; the columns of `SAID` stand before.
HASH, CREATED, SOURCE_HASH, BYTES, MEDIA, TAGS, LICENSE = 0, 4, 6, 8, 9, 10, 11
ID, PATH, MIME, META, EXTRA, WIDTH, HEIGHT, LABELS, PROMPTS, MODELS, PARTS = range(len(SAID), len(SAID) + 11)

Columns = tuple[Any, ...]


def of(data: bytes) -> Columns:
    """Gives all that the tables hold of a sidecar's text. Raises BrokenSidecar."""
    try:
        found = _quick(canonical.parse(data))
    except canonical.NotCanonical:
        found = None
    return found if found is not None else _of(sidecar.decode(data))


def _of(card: Sidecar) -> Columns:
    record, media = card.provenance, card.media
    mime = media.get("mime")
    return (
        *said(card),
        record.id,
        card.path,
        mime if isinstance(mime, str) else None,
        canonical.dump_line(dict(card.meta)) if card.meta else "{}",
        canonical.dump_line(dict(card.extra)) if card.extra else None,
        pixels(media.get("width")),
        pixels(media.get("height")),
        card.tags,
        *words(record.inputs),
        tuple(map(tuple, ingredients.parts(record.source, record.inputs))),
    )


def _quick(value: Any) -> Columns | None:
    """Gives the same in half of the time of a sidecar with the usual keys, each with a value of its kind; None of others."""
    if type(value) is not dict or not value.keys() <= sidecar.TOP or type(value.get("schema")) is not int:
        return None
    record, media, tags, meta = value.get("provenance"), value.get("media"), value.get("tags"), value.get("meta")
    if not type(record) is type(media) is type(meta) is dict or not record.keys() <= sidecar.RECORD:
        return None
    hash_, path, size, license_ = value.get("hash"), value.get("path"), value.get("bytes"), value.get("license")
    if type(hash_) is not str or not links.is_hash(hash_) or type(path) is not str or type(tags) is not list:
        return None
    if value["schema"] != sidecar.SCHEMA or type(size) is not int or not 0 <= size < 1 << 63:
        return None
    id_, source, inputs = record.get("id"), record.get("source"), record.get("inputs")
    if type(id_) is not str or not id_ or type(inputs) is not dict:
        return None
    texts = (license_, source, *map(record.get, ("workflow_hash", "created_at", "parent", "source_hash")))
    if not _TEXTS.issuperset(map(type, texts)) or (tags and set(map(type, tags)) != {str}):
        return None
    mime, seed = media.get("mime"), inputs.get("seed")
    line = canonical.dump_line
    return (
        *(hash_, source, texts[2], line(inputs), *texts[3:], None, size, line(media) if media else None),
        *(line(tags) if tags else None, license_, str(seed) if type(seed) is int else ingredients.seed(inputs)),
        *(id_, path, mime if type(mime) is str else None, line(meta) if meta else "{}", None),
        *(pixels(media.get("width")), pixels(media.get("height")), tuple(tags), *words(inputs)),
        tuple(map(tuple, ingredients.parts(source, inputs))),
    )


_TEXTS = frozenset((str, type(None)))


def said(card: Sidecar) -> tuple[str | int | None, ...]:
    """Gives the columns of `SAID`."""
    record = card.provenance
    return (
        card.hash,
        record.source,
        record.workflow_hash,
        canonical.dump_line(dict(record.inputs)),
        record.created_at,
        record.parent,
        record.source_hash,
        canonical.dump_line(dict(record.extra)) if record.extra else None,
        card.bytes,
        canonical.dump_line(dict(card.media)) if card.media else None,
        canonical.dump_line(list(card.tags)) if card.tags else None,
        card.license,
        ingredients.seed(record.inputs),
    )


def pixels(value: Any) -> int | None:
    """Gives a width or height as far as SQLite can keep it."""
    return value if type(value) is int and 0 <= value < 1 << 63 else None


def words(inputs: Any) -> tuple[str, str]:
    """Gives prompts and models as texts to be found by their words."""
    loras = inputs.get("loras")
    models = [inputs.get("model")]
    if isinstance(loras, list):
        models += [item.get("name") for item in loras if isinstance(item, dict)]
    prompts = [inputs.get("positive"), inputs.get("negative")]
    return (
        "\n".join(text for text in prompts if isinstance(text, str)),
        "\n".join(text for text in models if isinstance(text, str)),
    )
