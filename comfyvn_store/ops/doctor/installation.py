"""Findings about the installation: hooks, git config, attributes, excludes, the `.comfyvn` link. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterator

from comfyvn_store.base import canonical, files, links
from comfyvn_store.ops import managers, shims, wiring
from comfyvn_store.ops.doctor.finding import INIT, Finding
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository


def hooks(repository: Repository) -> Iterator[Finding]:
    """Hooks that are missing, old, not executable, or another's that does not call ours."""
    folder = shims.folder_of(repository)
    if os.path.lexists(folder) and not os.path.isdir(folder):
        yield Finding(
            "hooks-path",
            "core.hooksPath names no folder, so git runs no hooks",
            "git config --unset core.hooksPath && comfyvn-store init",
            [folder],
        )
        return
    callers = managers.callers(repository)
    by_state: dict[tuple[str, str | None], list[str]] = {}
    for hook in shims.look(folder):
        if hook.state == shims.FOREIGN and hook.name in callers.get(hook.maker or "", ()):
            continue
        if hook.state != shims.CURRENT:
            by_state.setdefault((hook.state, hook.maker), []).append(hook.place)
    for (state, maker), places in by_state.items():
        yield _hook_finding(repository, folder, state, maker, places)


def _hook_finding(repository: Repository, folder: str, state: str, maker: str | None, places: list[str]) -> Finding:
    messages = {
        shims.MISSING: "hooks of comfyvn-store are missing",
        shims.OUTDATED: "hooks of comfyvn-store are of another version, or were edited",
        shims.NOT_EXECUTABLE: "hooks of comfyvn-store are not executable, so git does not run them",
        shims.FOREIGN: f"{maker} has put its hooks in the place of ours"
        if maker
        else "other hooks are in the place of ours",
    }
    message = messages[state]
    usual = os.path.join(repository.common_dir, "hooks")
    if state == shims.MISSING and folder != usual and shims.is_own(os.path.join(usual, "pre-commit")):
        message += ": core.hooksPath leads to another folder than when init was run"
    return Finding(f"hooks-{state.replace(' ', '-')}", message, INIT, _shown(repository, places), True)


def config(repository: Repository) -> Iterator[Finding]:
    """git config keys that are missing, old, overridden, or name an interpreter that is not there any more."""
    said = wiring.local_config(repository)
    python, main = said.get("comfyvn.python"), said.get("comfyvn.main")
    if python is None or main is None:
        yield Finding("config", "git config lacks what init writes there", INIT, ["comfyvn.python"], True)
        return
    if not (os.access(python, os.X_OK) and os.path.isfile(main)):
        yield Finding(
            "interpreter",
            "git is told to start a Python that is not there any more",
            INIT,
            [main if os.access(python, os.X_OK) else python],
            True,
        )
    wanted = wiring.configuration(python, main)
    wrong = [key for key, value in wanted.items() if said.get(key) != value]
    if wrong:
        yield Finding(
            "config", "git config lacks what this version writes there, or has it otherwise", INIT, wrong, True
        )
    for key in wanted:
        scope, value = _in_force(repository, key)
        if key not in wrong and value != wanted[key]:
            yield Finding(
                "config-overridden",
                f"another value is in force for a key of ours (scope: {scope})",
                f"git config --{scope} --unset-all {key}" if scope == "worktree" else f"git config --show-origin {key}",
                [key],
            )


def _in_force(repository: Repository, key: str) -> tuple[str, str]:
    """Gives the value that git itself would use, and where it comes from."""
    out = repository.git.run("config", "--show-scope", "-z", "--get", key, check=False)
    scope, _, rest = out.partition(b"\0")
    return os.fsdecode(scope) or "none", os.fsdecode(rest.rstrip(b"\0"))


def attributes(repository: Repository) -> Iterator[Finding]:
    """The block in the assets root's `.gitattributes`, and links of ours that get no filter."""
    path = repository.full(".gitattributes")
    try:
        text = files.read_small(repository.absolute(path), canonical.LONGEST_JSON)
        block = [line.strip() for line in wiring.split_block(text)[1].split(b"\n")]
    except OSError:
        block = []
    wanted = [line.encode() for line in wiring.attributes_block()]
    if not set(wanted) <= set(block):
        message = "the lines that give art to comfyvn-store are missing or changed"
        yield Finding("attributes", message, INIT, [path], True)
        return
    if not staging.entries(repository.git, [path]):
        yield Finding("attributes", "git does not track the attributes of art", INIT, [path], True)
    links_without = _links_without_filter(repository)
    if links_without:
        yield Finding(
            "attributes-overridden",
            "links to the store get no filter, because another line of attributes takes it away",
            f"git check-attr --all -- {wiring.quoted(links_without[0])}",
            links_without,
        )


def _links_without_filter(repository: Repository) -> list[str]:
    """Gives what git has as links of ours though `filter` is another's: raw art by attributes is legal, links are not."""
    ours = {entry.path for entry in staging.filtered_entries(repository.git, repository.root, "comfyvn")}
    others = [
        entry
        for entry in staging.entries(repository.git, [repository.root])
        if entry.path not in ours and entry.mode != staging.GITLINK and repository.is_asset_path(entry.path)
    ]
    hashes = blobs.read_links(repository.git, (entry.oid for entry in others))
    return [entry.path for entry in others if entry.oid in hashes]


def excludes(repository: Repository) -> Iterator[Finding]:
    """What git shall not see and would."""
    try:
        with open(wiring.exclude_file(repository), "rb") as stream:
            lines = set(os.fsdecode(stream.read()).splitlines())
    except OSError:
        lines = set()
    wanted = wiring.exclude_lines(repository)
    if not any(shims.is_own(hook.place) for hook in shims.look(shims.folder_of(repository))):
        hooks = wiring.hook_lines(repository)
        wanted = [line for line in wanted if line not in hooks]
    missing = [line for line in wanted if line not in lines]
    if missing:
        message = "git would see files that are only ours, because .git/info/exclude lacks lines of init"
        yield Finding("excludes", message, INIT, [line for line in missing if not line.startswith("#")], True)


def store_link(repository: Repository) -> Iterator[Finding]:
    """The `.comfyvn` link that all views lead through."""
    place = repository.absolute(links.STORE_LINK)
    if staging.entries(repository.git, [links.STORE_LINK]):
        yield Finding(
            "link-tracked",
            "git tracks the link to the store, so a commit would decide where the store of others is",
            f"git rm --cached -r {links.STORE_LINK} && git commit",
            [links.STORE_LINK],
        )
    if not os.path.lexists(place):
        if repository.settings.symlinks:
            yield Finding("link-missing", "the link to the store is not there", INIT, [links.STORE_LINK], True)
    elif not os.path.islink(place):
        yield Finding(
            "link-blocked",
            "a file or folder stands where the link to the store belongs",
            f"mv {links.STORE_LINK} {links.STORE_LINK}.aside && comfyvn-store init",
            [links.STORE_LINK],
        )
    elif os.path.realpath(place) != os.path.realpath(repository.store.root):
        yield Finding("link-wrong", "the link leads to another place than the store", INIT, [links.STORE_LINK], True)


def _shown(repository: Repository, places: list[str]) -> list[str]:
    """Gives paths relative to the work tree's top where they lie in it."""
    top = os.path.realpath(repository.top) + os.sep
    inside = [os.path.realpath(place).startswith(top) for place in places]
    return [os.path.relpath(p, repository.top) if here else p for p, here in zip(places, inside, strict=True)]
