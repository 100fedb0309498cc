"""What git runs: the filters, the hooks and the merge driver. Standard library and our lower floors only.

Slow work (previews) is reached by starting a process. A hook never stops a commit because of derived data; it does stop
one that would lose bytes.
"""
