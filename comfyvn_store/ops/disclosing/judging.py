"""What can be said of one asset: whether it was generated, by what, and what is not known. Nothing is guessed.

`generated` is true where the file's own metadata say so, or a person; false only where a person says so (`meta.generated`);
null where nobody says anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from comfyvn_store.asset import record
from comfyvn_store.asset.readers.reading import INPUTS
from comfyvn_store.asset.sidecar import Record, Sidecar

FACT, INFERRED = "fact", "inferred"
METADATA, C2PA, STATED = "metadata", "c2pa", "stated"
LICENSE, ORIGIN, CONTRADICTION, NO_ASSET = "license", "origin", "contradiction", "no asset"
# Known, but only as inferred.
ONLY_INFERRED = "origin only inferred"
# The note by which a person says whether something was generated.
KEY = "generated"

_HOW_IT_CAME = frozenset((record.MANUAL, record.GIT, record.IMPORT))
_GENERATORS = frozenset(
    ("comfyui", "invokeai", "novelai", "fooocus", "swarmui", "automatic1111", "forge", "sdnext", "civitai")
)
# Kinds of source of which C2PA says that a model made them, or parts of them (IPTC's digital source types).
_BY_MODEL = frozenset(("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"))
_YES, _NO = frozenset(("true", "yes", "1")), frozenset(("false", "no", "0"))


@dataclass
class Disclosed:
    """What is said of one asset. `author` brought the first version, `edited_by` those that came after it; `says` is what the
    file states of itself, unchecked; `unknown` what a release may want to know and nobody says."""

    path: str
    hash: str | None = None
    uid: str | None = None
    type: str | None = None
    bytes: int | None = None
    mime: str | None = None
    generated: bool | None = None
    basis: str | None = None
    how: str | None = None
    inferred_from: dict[str, Any] | None = None
    stated: bool | None = None
    program: str | None = None
    model: str | None = None
    refiner: str | None = None
    loras: list[dict[str, Any]] = field(default_factory=list)
    license: str | None = None
    author: str | None = None
    edited_by: list[str] = field(default_factory=list)
    commit: str | None = None
    says: dict[str, Any] = field(default_factory=dict)
    c2pa: dict[str, Any] | None = None
    unknown: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Gives it as plain data."""
        return asdict(self)


def judge(path: str, card: Sidecar | None, hash_: str | None) -> Disclosed:
    """Says of an asset what its sidecar says; None is one without, or with one that speaks of other bytes."""
    found = Disclosed(path, hash_, hash_[:16] if hash_ else None)
    if card is None:
        found.unknown = [NO_ASSET] if hash_ is None else [LICENSE, ORIGIN]
        return found
    found.license, found.stated = card.license, stated(card.meta)
    if card.hash == hash_:
        made = card.provenance
        found.type, found.bytes = card.type, card.bytes
        mime = card.media.get("mime")
        found.mime = mime if isinstance(mime, str) else None
        embedded = made.extra.get("embedded")
        if isinstance(embedded, dict):
            found.c2pa = embedded["c2pa"] if isinstance(embedded.get("c2pa"), dict) else None
            found.says = {key: value for key, value in embedded.items() if key != "c2pa" and isinstance(value, str)}
        if made.source is not None and made.source not in _HOW_IT_CAME:
            found.program = made.source
        _tell_ingredients(found, made.inputs)
        evidence = evidence_of(made)
        if evidence is not None:
            found.generated, found.basis, found.how = True, FACT, evidence
    if found.generated is None and found.stated is not None:
        found.generated, found.basis, found.how = found.stated, FACT, STATED
    settle(found)
    return found


def settle(found: Disclosed) -> None:
    """Says anew what is not known of an asset."""
    found.unknown = [] if found.license else [LICENSE]
    if found.generated is None:
        found.unknown.append(ORIGIN)
    elif found.basis == INFERRED:
        found.unknown.append(ONLY_INFERRED)
    elif found.generated and found.stated is False:
        found.unknown.append(CONTRADICTION)


def inherit(found: Disclosed, inherited: Mapping[str, Any]) -> None:
    """Says of an asset of which nobody says anything what it inherits from a version before it (`ops.inference`)."""
    source, inputs = inherited["source"], inherited["inputs"] or {}
    if evidence_of(Record("", source, None, inputs)) is None:
        return
    found.generated, found.basis, found.how = True, INFERRED, inherited["how"]
    found.inferred_from = {**inherited["from"], "distance": inherited["distance"]}
    found.program = source if source not in _HOW_IT_CAME else None
    _tell_ingredients(found, inputs)
    settle(found)


def evidence_of(made: Record) -> str | None:
    """Says by what a file tells that it was generated; None if by nothing. A program that also opens photographs is no sign."""
    if made.source in _GENERATORS or set(INPUTS) <= made.inputs.keys():
        return METADATA
    embedded = made.extra.get("embedded")
    manifest = embedded.get("c2pa") if isinstance(embedded, dict) else None
    kinds = manifest.get("source_types") if isinstance(manifest, dict) else None
    return (
        C2PA if isinstance(kinds, list) and any(kind in _BY_MODEL for kind in kinds if isinstance(kind, str)) else None
    )


def stated(meta: Mapping[str, Any]) -> bool | None:
    """Gives what a person says in the note `generated`; None for nothing, or for what is neither yes nor no."""
    said = meta.get(KEY)
    if isinstance(said, bool):
        return said
    word = str(said).strip().casefold() if isinstance(said, str | int) else ""
    return True if word in _YES else False if word in _NO else None


def _tell_ingredients(found: Disclosed, inputs: Mapping[str, Any]) -> None:
    model, refiner, loras = inputs.get("model"), inputs.get("refiner"), inputs.get("loras")
    found.model = model if isinstance(model, str) else None
    found.refiner = refiner if isinstance(refiner, str) else None
    for lora in loras if isinstance(loras, list) else ():
        if isinstance(lora, dict):
            name, strength = lora.get("name"), lora.get("strength")
            is_number = isinstance(strength, int | float) and not isinstance(strength, bool)
            found.loras.append(
                {"name": name if isinstance(name, str) else None, "strength": strength if is_number else None}
            )
