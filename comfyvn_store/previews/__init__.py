"""Makes previews: thumbnails of pictures, waveforms of sound.

Owns what a preview looks like, and how the missing ones get made. Importing the package stays cheap: Pillow
is imported by the modules that draw, never here.
"""


class PreviewError(Exception):
    """Says why these bytes give no preview.

    `reason` is a short phrase for people, in lower case, without the file's name.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
