"""What `check` looks at: the views and sidecars of one commit's tree, or those that each commit of a range changed.

Needs git's object database alone: no work tree, no store, no settings of this machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from comfyvn_store.base import names
from comfyvn_store.errors import UnknownRevision
from comfyvn_store.vcs import attributes, blobs, history, settings, staging
from comfyvn_store.vcs.attributes import State
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.staging import Entry

_SPECIAL = (":(top,glob)**/" + attributes.NAME, f":(top,literal){settings.CONFIG_FILE}")


@dataclass
class Scene:
    """One commit: the views to judge, and the sidecar of each (a blob, or None if the commit has none).

    A view whose mode is None was not changed here: only its sidecar was.
    """

    commit: str
    copies: bool
    views: dict[str, tuple[str | None, str]] = field(default_factory=dict)
    cards: dict[str, str | None] = field(default_factory=dict)


class _Ground(NamedTuple):
    """What the tree of a commit says about itself."""

    state: State
    config: str | None


def of_tree(git: Git, commit: str) -> Scene:
    """Gives everything below the assets root of a commit."""
    listed = list(_tree(git, commit))
    ground = _ground(listed)
    root, copies = settings.tracked_settings(git, ground.config)
    inside = [entry for entry in listed if entry.path.startswith(root + "/")]
    views = {entry.path: (entry.mode, entry.oid) for entry in inside if _may_be_view(root, entry.path, entry.mode)}
    ours = _ours(git, ground.state, views)
    by_path = {entry.path: entry.oid for entry in inside}
    cards = {path: by_path.get(names.sidecar_path(path)) for path in ours}
    return Scene(commit, copies, {path: found for path, found in views.items() if path in ours}, cards)


def of_range(git: Git, words: Sequence[str]) -> Iterator[Scene]:
    """Gives what each commit of a range changed, the oldest first. Raises UnknownRevision."""
    parents = _commits(git, words)
    changed = dict(history.changes(git, list(parents), None))
    grounds = _grounds(git, parents)
    read = {oid: settings.tracked_settings(git, oid) for oid in {ground.config for ground in grounds.values()}}
    scenes = []
    asked: list[tuple[Scene, str, str]] = []  # what stands at a path that the commit did not change
    for commit in parents:
        root, copies = read[grounds[commit].config]
        scene = Scene(commit, copies)
        present = {}
        for change in changed.get(commit, []):
            if not change.path.startswith(root + "/"):
                continue
            present[change.path] = (change.new_mode, change.new_oid)
        for path, (mode, oid) in present.items():
            if names.is_sidecar(path):
                view = path[: -len(names.SIDECAR_SUFFIX)]
                if view not in present and _may_be_view(root, view, staging.LINK):
                    asked.append((scene, view, view))
                    scene.cards[view] = oid if history.is_present(mode) else None
            elif history.is_present(mode) and _may_be_view(root, path, mode):
                scene.views[path] = (mode, oid)
                card = present.get(names.sidecar_path(path))
                if card is None:
                    asked.append((scene, path, names.sidecar_path(path)))
                else:
                    scene.cards[path] = card[1] if history.is_present(card[0]) else None
        scenes.append(scene)
    _answer(git, asked)
    _keep_ours(git, scenes, grounds)
    yield from (scene for scene in scenes if scene.views)


def commits_in(git: Git, words: Sequence[str]) -> int:
    """Gives the number of commits that a range means. Raises UnknownRevision."""
    return len(_commits(git, words))


def _commits(git: Git, words: Sequence[str]) -> dict[str, list[str]]:
    """Gives the commits of a range with their parents, parents first."""
    shown = " ".join(words)
    if any(word.startswith("-") for word in words):
        raise _unknown(shown)
    done = git.outcome("rev-list", "--topo-order", "--reverse", "--parents", *words, "--", check=False)
    if done.returncode != 0:
        raise _unknown(shown)
    return {line[0]: line[1:] for line in map(str.split, done.stdout.decode("ascii").splitlines())}


def _unknown(shown: str) -> UnknownRevision:
    return UnknownRevision(
        f"git knows no revision or range '{names.printable(shown)}'",
        hint="`git log --oneline` lists commits; a shallow clone may have to fetch more of them",
    )


# -- settings and attributes as of each commit ---------------------------------------------------------------------


def _grounds(git: Git, parents: dict[str, list[str]]) -> dict[str, _Ground]:
    """Gives the ground of each commit: that of its first parent, with what it changed."""
    changed = dict(history.raw_changes(git, list(parents), ("--root", "--diff-merges=first-parent"), ("--", *_SPECIAL)))
    outside = sorted({of[0] for of in parents.values() if of and of[0] not in parents})
    known = _full_grounds(git, outside)
    for commit, of in parents.items():
        state, config = known[of[0]] if of else _Ground(frozenset(), None)
        for change in changed.get(commit, []):
            is_there = history.is_present(change.new_mode)
            if change.path == settings.CONFIG_FILE:
                config = change.new_oid if is_there else None
                continue
            rest = frozenset(item for item in state if item[0] != change.path)
            state = rest | {(change.path, change.new_oid)} if is_there else rest
        known[commit] = _Ground(state, config)
    return known


def _full_grounds(git: Git, commits: Sequence[str]) -> dict[str, _Ground]:
    """Gives the grounds of commits, whose trees are compared with nothing, all in one process."""
    if not commits:
        return {}
    listing = git.run(
        "cat-file", "--batch-check=%(objectname)", data="".join(f"{c}^{{tree}}\n" for c in commits).encode()
    )
    trees = listing.decode("ascii").split("\n")[:-1]
    empty = git.text("hash-object", "-t", "tree", os.devnull)
    found = {}
    for pair, changes in history.raw_changes(
        git, [f"{empty} {tree}" for tree in dict.fromkeys(trees)], (), ("--", *_SPECIAL)
    ):
        found[pair.split()[1]] = _ground(Entry(change.path, change.new_mode, change.new_oid) for change in changes)
    return {commit: found.get(tree, _Ground(frozenset(), None)) for commit, tree in zip(commits, trees, strict=True)}


def _ground(entries: Iterable[Entry]) -> _Ground:
    listed = list(entries)
    config = next((entry.oid for entry in listed if entry.path == settings.CONFIG_FILE), None)
    return _Ground(attributes.state_of(listed), config)


def _keep_ours(git: Git, scenes: list[Scene], grounds: dict[str, _Ground]) -> None:
    """Leaves in each scene what the commit's own attributes give to us."""
    by_state: dict[State, dict[str, None]] = {}
    for scene in scenes:
        by_state.setdefault(grounds[scene.commit].state, {}).update(dict.fromkeys(scene.views))
    ours = {state: _ours(git, state, paths) for state, paths in by_state.items()}
    for scene in scenes:
        mine = ours[grounds[scene.commit].state]
        scene.views = {path: found for path, found in scene.views.items() if path in mine}


def _ours(git: Git, state: State, paths: Iterable[str]) -> set[str]:
    return {path for path, driver in attributes.filter_drivers(git, state, paths).items() if driver == "comfyvn"}


# -- what a tree holds ---------------------------------------------------------------------------------------------


def _may_be_view(root: str, path: str, mode: str) -> bool:
    return mode != staging.GITLINK and names.is_asset_name(path[len(root) + 1 :])


def _tree(git: Git, commit: str) -> Iterator[Entry]:
    for item in git.run("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
        if item:
            head, _, path = item.partition(b"\t")
            mode, _, oid = head.decode("ascii").split(" ")
            yield Entry(os.fsdecode(path), mode, oid)


def _answer(git: Git, asked: list[tuple[Scene, str, str]]) -> None:
    """Looks up what stands at paths that a commit has and did not change."""
    found = _blobs_at(git, [(scene.commit, path) for scene, _, path in asked])
    for (scene, view, path), oid in zip(asked, found, strict=True):
        if path != view:
            scene.cards[view] = oid
        elif oid is not None:
            scene.views[view] = (None, oid)


def _blobs_at(git: Git, places: list[tuple[str, str]]) -> list[str | None]:
    """Gives the blob at each path of each commit, None where there is none."""
    plain = [(commit, path) for commit, path in places if "\n" not in path]
    data = b"".join(commit.encode() + b":" + os.fsencode(path) + b"\n" for commit, path in plain)
    lines = git.run("cat-file", "--batch-check=%(objecttype) %(objectname)", data=data).split(b"\n") if plain else []
    answers = dict(zip(plain, lines, strict=False))
    found: list[str | None] = []
    for commit, path in places:
        if (commit, path) not in answers:  # a newline in its name: no line of its own
            entry = staging.tree_entries(git, commit, [path]).get(path)
            found.append(entry.oid if entry else None)
            continue
        kind, _, oid = answers[commit, path].partition(b" ")
        found.append(oid.decode("ascii") if kind == b"blob" else None)
    return found


def single(git: Git, words: Sequence[str]) -> str | None:
    """Gives the commit, if the words are one revision and no range."""
    return blobs.resolve(git, words[0]) if len(words) == 1 else None
