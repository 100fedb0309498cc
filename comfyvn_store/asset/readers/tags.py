"""Named texts: PNG's own keywords, Vorbis comments, ID3, MP4 and Matroska tags, RIFF INFO, as the file states them."""

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.entries import Entries
from comfyvn_store.asset.readers.reading import Reading


def read(entries: Entries) -> Reading | None:
    """Reads the well-known names; None if there are none."""
    texts = entries.texts

    def words(*names: str) -> str | None:
        values = (texts.get(name, "") for name in names)
        return next((each for each in values if each.strip() and each.lstrip()[:1] not in "{["), None)

    said = reading.embedded(
        title=words("title"),
        author=words("artist", "author", "composer"),
        copyright=words("copyright"),
        license=words("license", "licence"),
        software=words("software", "encoder", "encoded-by", "encoded_by"),
        created=words("date", "creation time", "creation_time", "year"),
        description=words("description", "comment"),
        tags=words("keywords", "genre"),
        url=words("url", "contact"),
    )
    return Reading(None, None, {}, embedded=said) if said else None
