"""Other processes of this machine."""

from __future__ import annotations

import os


def is_alive(process: int) -> bool:
    """Tells whether a process with this number runs; where the system cannot be asked, that one does."""
    if os.name != "posix":  # there `os.kill` would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True
