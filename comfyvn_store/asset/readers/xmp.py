"""XMP: title, author, rights, licence, program, date and keywords, as the packet states them."""

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.entries import Entries
from comfyvn_store.asset.readers.reading import Reading
from comfyvn_store.base.containers import xmp

_DC = "http://purl.org/dc/elements/1.1/ "
_XMP = "http://ns.adobe.com/xap/1.0/ "
_RIGHTS = "http://ns.adobe.com/xap/1.0/rights/ "
_CC = "http://creativecommons.org/ns# "
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/ "


def read(entries: Entries) -> Reading | None:
    """Reads the packet; None if it says nothing of this."""
    found = xmp.read(entries.xmp) if entries.xmp else {}

    def first(*names: str) -> str | None:
        return next((found[name][0] for name in names if name in found), None)

    said = reading.embedded(
        title=first(f"{_DC}title", f"{_PHOTOSHOP}Headline"),
        author="; ".join(found.get(f"{_DC}creator", ())),
        copyright=first(f"{_DC}rights"),
        license=first(f"{_CC}license", f"{_RIGHTS}WebStatement", f"{_RIGHTS}UsageTerms"),
        software=first(f"{_XMP}CreatorTool"),
        created=first(f"{_XMP}CreateDate", f"{_PHOTOSHOP}DateCreated", f"{_DC}date"),
        description=first(f"{_DC}description"),
        tags=found.get(f"{_DC}subject"),
        url=first(f"{_DC}source", f"{_CC}attributionURL"),
    )
    return Reading(None, None, {}, embedded=said) if said else None
