"""Everything that is git: settings, plumbing through the git program, and history.

All that touches an index goes through the git program, because libgit2 and GitPython ignore `GIT_INDEX_FILE` and bypass
filters. pygit2 is imported in `history` alone.
"""
