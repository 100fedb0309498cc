"""Whether the signature of a C2PA manifest holds. Takes the extra `c2pa`; without it the answer says so."""

from __future__ import annotations

import json
from typing import Any, BinaryIO

MISSING = "not checked: needs c2pa-python: pipx inject comfyvn-store c2pa-python, or pip install 'comfyvn-store[c2pa]'"
NOTHING = "nothing to check: there is no C2PA manifest"
BROKEN = "does not hold"
# A file must not make this machine ask anything of the network.
_SETTINGS = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
_LONGEST = 1 << 30  # the library holds the whole file

_HOLDS = {"Valid": "holds, by a signer this machine does not know", "Trusted": "holds, by a signer this machine trusts"}
# What says nothing against the signature: whether somebody vouches for the signer.
_NO_FAULT = frozenset(("signingCredential.untrusted",))


def check(stream: BinaryIO, mime: str) -> str:
    """Says in a few words whether the manifest in a file is signed over these very bytes. Never raises but for the stream."""
    try:
        import c2pa  # type: ignore[import-untyped]
    except ImportError:
        return MISSING
    if stream.seek(0, 2) > _LONGEST:
        return "not checked: the file is larger than 1 GiB"
    stream.seek(0)
    try:
        with c2pa.Context.from_dict(_SETTINGS) as context, c2pa.Reader(mime, stream, context=context) as reader:
            report = json.loads(reader.json())
    except Exception as error:  # whatever the library makes of a hostile file
        return f"could not be checked: {' '.join(str(error).split())[:200]}"
    return _verdict(report)


def _verdict(report: dict[str, Any]) -> str:
    faults = [each.get("code", "unknown") for each in report.get("validation_status") or () if isinstance(each, dict)]
    faults = [code for code in faults if code not in _NO_FAULT]
    if faults:
        return f"{BROKEN}: {', '.join(dict.fromkeys(faults))[:200]}"
    return _HOLDS.get(str(report.get("validation_state")), BROKEN)
