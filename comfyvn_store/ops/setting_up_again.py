"""What undoing `uninstall` is: `init`, and saying what that alone does not bring back."""

from __future__ import annotations

from comfyvn_store.base import names
from comfyvn_store.ops import init, intention
from comfyvn_store.ops.journal import Entry
from comfyvn_store.vcs import rewriting, staging
from comfyvn_store.vcs.repository import Repository


def forecast(repository: Repository, entry: Entry) -> list[str]:
    """Says what would be written, and what would be left to do. Writes nothing."""
    found = intention.intention(repository)
    parts = (
        ("filters and settings in git config", found.config),
        (f"hooks ({', '.join(hook.name for hook in found.hooks)})", found.hooks),
        (f"lines in {names.printable(found.attributes[0]) if found.attributes else ''}", found.attributes),
        (f"lines in {names.printable(found.excludes[0]) if found.excludes else ''}", found.excludes),
        (f"the link {names.printable(found.link[0]) if found.link else ''}", found.link),
    )
    notes = [f"it would write {words}" for words, is_due in parts if is_due]
    art = [each for each in staging.entries(repository.git, [repository.root]) if repository.is_asset_path(each.path)]
    linked = sum(1 for each in art if each.mode == staging.LINK)
    if linked and not repository.copies_views:
        notes.append(f"it would make the unchanged files of {linked} assets links again")
    if len(art) > linked and not repository.copies_views:
        notes.append(
            f"{len(art) - linked} files are in git as ordinary files and would stay that; then: comfyvn-store migrate raw"
        )
    return [*notes, *_history(repository, entry)]


def set_up(repository: Repository, entry: Entry) -> list[str]:
    """Sets the repository up again; says what is left to do. Raises as `init`."""
    if not entry.is_finished:
        repository.home.retire(True)  # so that `init` makes links of the files that it got to
    done = init.init(repository)
    notes = []
    if done.raw_art:
        many = f"{done.raw_art} files are" if done.raw_art > 1 else "1 file is"
        notes.append(
            f"{many} in git as ordinary files now; to take art into the store again: comfyvn-store migrate raw"
        )
    return [*notes, *_history(done.repository, entry)]


def _history(repository: Repository, entry: Entry) -> list[str]:
    """Says that a history which was rewritten stays so, and where the former one is."""
    if "--history" not in entry.summary:
        return []
    folder = f"{rewriting.BACKUPS}/"
    listing = repository.git.text("for-each-ref", "--format=%(refname)", folder).splitlines()
    times = sorted({name.removeprefix(folder).partition("/")[0] for name in listing})
    if not times:
        return ["the history stays as `uninstall --history` made it; the former one is not kept here any more"]
    return [
        f"the history stays as `uninstall --history` made it; the former one is in {folder}{times[-1]}/; "
        "docs/migrating.md, 'To have the old history back', says how branches return to it"
    ]
