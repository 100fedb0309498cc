"""The index: a SQLite file that answers every question and can be deleted at any moment.

Owns `index.db` alone. It reads git and the store; it writes neither, and nothing in the work tree.
"""
