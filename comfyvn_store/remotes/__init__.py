"""Remotes: places that hold objects, one module for each kind, and moving objects to and from them.

Nothing here knows of assets, sidecars or the index. Libraries of one kind are imported when such a remote is opened.
"""
