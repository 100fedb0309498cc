"""Object storage as a remote: S3 and what is compatible, Google Cloud Storage, Azure Blob Storage.

`cloud` is the remote, `access` finds out how the storage is reached and with which credentials, `profiles` reads the
files of the AWS tools, `faults` turns what the library says into our errors.
"""

from comfyvn_store.remotes.bucket.cloud import Cloud

__all__ = ["Cloud"]
