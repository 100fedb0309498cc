"""What `init` would write into a repository, found out without writing anything."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass, field
from typing import Any

from comfyvn_store.base import links
from comfyvn_store.ops import init, managers, relocation, shims, tracked, wiring
from comfyvn_store.ops.managers import Manager
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.settings import CONFIG_FILE, DEFAULT_ROOT


@dataclass(frozen=True)
class HookFile:
    """One hook: what would become of its file. `kept_as` is where the hook that is there would go."""

    name: str
    path: str
    action: str
    kept_as: str | None = None


@dataclass
class Intention:
    """What would be written; paths are absolute. What is there already is left out, so a second `init` intends nothing.

    `managers` are the hook managers of this work tree, with what to write into their files so that they call us
    themselves, whatever they make of the hook files.
    """

    store: str
    is_store_new: bool
    link: tuple[str, str] | None = None
    config: dict[str, str] = field(default_factory=dict)
    hooks: list[HookFile] = field(default_factory=list)
    hooks_folder: str = ""
    are_hooks_tracked: bool = False
    attributes: tuple[str, list[str]] | None = None
    excludes: tuple[str, list[str]] | None = None
    tracked_settings: tuple[str, str] | None = None
    managers: list[Manager] = field(default_factory=list)
    moved_from: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        found = asdict(self)
        found["managers"] = [
            {"name": each.name, "file": each.file, "snippet": each.snippet, "called": sorted(each.called)}
            for each in self.managers
        ]
        for key, names in _PAIRS.items():
            found[key] = dict(zip(names, found[key], strict=True)) if found[key] else None
        return found


_PAIRS = {
    "link": ("path", "text"),
    "attributes": ("path", "lines"),
    "excludes": ("path", "lines"),
    "tracked_settings": ("path", "assets_root"),
}


def intention(repository: Repository) -> Intention:
    """Looks at what is there and gives what `init` would write. Writes nothing. Raises what `init` would raise."""
    folder = shims.folder_of(repository)
    init.require_suitable(repository, folder)
    store = relocation.target_of(repository)
    found = Intention(store, not repository.is_initialised, hooks_folder=folder)
    if repository.is_initialised and os.path.realpath(store) != os.path.realpath(repository.store.root):
        found.moved_from = repository.store.root
    place = repository.absolute(links.STORE_LINK)
    if os.path.realpath(place) != os.path.realpath(store):
        then = repository._replace(store=repository.home.store_at(store))
        found.link = (place, then.store_link_text())
    said = wiring.local_config(repository)
    wanted = wiring.configuration(sys.executable, wiring.main_path())
    found.config = {key: value for key, value in wanted.items() if said.get(key) != value}
    found.managers = managers.found(repository)
    found.hooks = _hooks(repository, folder)
    found.are_hooks_tracked = shims.is_tracked(repository, folder)
    path = repository.absolute(repository.full(".gitattributes"))
    found.attributes = _block(path, wiring.attributes_block())
    found.excludes = _block(wiring.exclude_file(repository), wiring.exclude_lines(repository))
    file = repository.absolute(CONFIG_FILE)
    root = tracked.read(repository, "comfyvn.assetsRoot")
    if repository.root != (root or DEFAULT_ROOT):
        found.tracked_settings = (file, repository.root)
    return found


def _hooks(repository: Repository, folder: str) -> list[HookFile]:
    """Gives what would become of each hook file, by the same look that `init` takes."""
    callers = managers.callers(repository)
    files = []
    for hook in shims.look(folder):
        if hook.name in callers.get(hook.maker or "", ()):
            files.append(HookFile(hook.name, hook.place, f"left to {hook.maker}, which calls ours"))
        elif hook.state == shims.FOREIGN:
            files.append(
                HookFile(hook.name, hook.place, "written, after the one there", hook.place + shims.KEPT_SUFFIX)
            )
        elif hook.state != shims.CURRENT:
            files.append(HookFile(hook.name, hook.place, "written"))
    return files


def _block(path: str, lines: list[str]) -> tuple[str, list[str]] | None:
    try:
        with open(path, "rb") as stream:
            block = wiring.split_block(stream.read())[1]
    except OSError:
        block = b""
    return None if os.fsdecode(block).splitlines() == lines else (path, lines)
