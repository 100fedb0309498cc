"""Makes previews: thumbnails of pictures and films, filmstrips of what moves, waveforms of sound.

Owns what a preview looks like, and how the missing ones get made. Importing the package stays cheap: what decodes
(Pillow, soundfile, PyAV) is imported by the modules that use it, and only in a process of their own.
"""


class PreviewError(Exception):
    """Says why these bytes give no preview.

    `reason` is a short phrase for people, in lower case, without the file's name.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NeedsRoom(PreviewError):
    """The same, where more memory or a higher limit might help."""
