"""A folder behind SSH as a remote: `remote` is the kind, over `login`, `link`, `sending`, `reading` and `failures`.

asyncssh is imported when the first connection is made, and nowhere but in this package.
"""

from comfyvn_store.remotes.sftp.remote import Sftp

__all__ = ["Sftp"]
