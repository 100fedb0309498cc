"""C2PA manifests (Content Credentials): what the active manifest claims, and whose certificate it carries.

All of it is as stated: the signature is not checked here. That takes a library, and happens in a command
(`comfyvn_store.ops.credentials`).
"""

from typing import Any

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.entries import Entries
from comfyvn_store.asset.readers.reading import Reading
from comfyvn_store.base.containers import cbor, certificate, jumbf
from comfyvn_store.base.containers.jumbf import Box

_MOST_ACTIONS = 50
_CHAIN, _TEXT_CHAIN = 33, "x5chain"


def read(entries: Entries) -> Reading | None:
    """Reads the manifest store; None if there is none that makes sense."""
    store = jumbf.read(entries.c2pa) if entries.c2pa else None
    if store is None or store.label != "c2pa" or not store.inner:
        return None
    manifest = store.inner[-1]  # the last one is the active one
    claim = _decoded(manifest.find("c2pa.claim"))
    if not isinstance(claim, dict):
        return None
    title = reading.words(claim.get("dc:title"))
    signer = _signer(_decoded(manifest.find("c2pa.signature")))
    actions, kinds = _actions(manifest.find("c2pa.assertions"))
    stated = {
        "generator": _generator(claim),
        "title": title,
        "actions": actions,
        "source_types": kinds,
        "signer": reading.words(signer.subject),
        "issuer": reading.words(signer.issuer),
    }
    said = {key: value for key, value in stated.items() if value}
    return Reading(None, None, {}, embedded=reading.embedded(c2pa={**said, "signature": "not checked"}))


def _decoded(box: Box | None) -> Any:
    data = box.content(b"cbor") if box else None
    if data is None:
        return None
    try:
        return cbor.decode(data)
    except cbor.BrokenCbor:
        return None


def _generator(claim: dict[Any, Any]) -> str | None:
    info = claim.get("claim_generator_info")
    if isinstance(info, list):
        info = info[0] if info else None
    if isinstance(info, dict) and isinstance(info.get("name"), str):
        version = info.get("version")
        return reading.words(f"{info['name']} {version}" if isinstance(version, str) else info["name"])
    return reading.words(claim.get("claim_generator"))


def _actions(assertions: Box | None) -> tuple[list[str], list[str]]:
    """What was done, and the kinds of source, by the last part of their addresses (`trainedAlgorithmicMedia`)."""
    value = _decoded(assertions.find("c2pa.actions")) if assertions else None
    rows = value.get("actions") if isinstance(value, dict) else None
    done, kinds = [], []
    for row in rows[:_MOST_ACTIONS] if isinstance(rows, list) else ():
        if isinstance(row, dict):
            done.append(reading.words(row.get("action")))
            kind = reading.words(row.get("digitalSourceType"))
            kinds.append(kind.rstrip("/").rpartition("/")[2] if kind else None)
    return [each for each in dict.fromkeys(done) if each], [each for each in dict.fromkeys(kinds) if each]


def _signer(signature: Any) -> certificate.Names:
    """Whose certificate comes with the signature: COSE's list is protected header, header, payload, signature."""
    if not isinstance(signature, list) or len(signature) != 4:
        return certificate.Names(None, None)
    protected, header = signature[0], signature[1]
    headers = [header]
    if isinstance(protected, bytes) and protected:
        try:
            headers.insert(0, cbor.decode(protected))
        except cbor.BrokenCbor:
            pass
    for each in headers:
        chain = each.get(_CHAIN, each.get(_TEXT_CHAIN)) if isinstance(each, dict) else None
        first = chain[0] if isinstance(chain, list) and chain else chain
        if isinstance(first, bytes):
            return certificate.read(first)
    return certificate.Names(None, None)
