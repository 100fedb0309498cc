"""What the Tab key offers where a remote is to be named."""

from __future__ import annotations

import click


def remote_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Gives the remotes that begin so; none where there is no repository."""
    from comfyvn_store.errors import ComfyvnError
    from comfyvn_store.ops import remotes
    from comfyvn_store.vcs.repository import open_repository

    try:
        return [each.name for each in remotes.listed(open_repository()) if each.name.startswith(incomplete)]
    except ComfyvnError:
        return []
