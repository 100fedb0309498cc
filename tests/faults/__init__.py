"""Breaking things on purpose: every call of ours that changes a file fails, or is our last one.

`injection` counts those calls with strace and makes one of them fail; `worlds` are repositories in the state before a verb;
`invariants` is what must hold whatever happened.
"""
