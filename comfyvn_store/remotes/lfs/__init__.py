"""The Git LFS server of a forge as a remote: `remote.GitLfs`, and `locking.Locking` for the locks that it keeps.

Nothing is imported here, so that looking at an address does not load the HTTP library.
"""
