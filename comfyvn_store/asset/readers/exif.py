"""EXIF: description, artist, copyright, program and date, as the file states them. Places are not read."""

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.entries import Entries
from comfyvn_store.asset.readers.reading import Reading

# Programs that generate pictures write graphs into these fields; those are no descriptions.
_NO_WORDS = ("prompt:", "workflow:", "parameters:", "{")


def read(entries: Entries) -> Reading | None:
    """Reads the fields; None if they say nothing of this."""
    exif = entries.exif

    def words(*tags: int) -> str | None:
        values = (exif.get(tag) for tag in tags)
        return next(
            (
                each
                for each in values
                if isinstance(each, str) and not each.lower().startswith(_NO_WORDS) and each.strip()
            ),
            None,
        )

    said = reading.embedded(
        title=words(0x9C9B),
        author=words(0x013B, 0x9C9D),
        copyright=words(0x8298),
        software=words(0x0131),
        created=words(0x9003, 0x9004, 0x0132),
        description=words(0x010E, 0x9C9F, 0x9C9C),
        tags=words(0x9C9E),
    )
    return Reading(None, None, {}, embedded=said) if said else None
