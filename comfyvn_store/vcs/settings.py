"""Settings: command line, environment, git config `comfyvn.*`, `.comfyvnconfig` (whitelist), default, in that order.

Read once, at the border, and handed down as one immutable value.
"""

# No `from __future__ import annotations`: a named tuple compiles each annotation that is a text, 30 µs for each start.

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from comfyvn_store.base import names, sharing
from comfyvn_store.base.links import STORE_LINK
from comfyvn_store.base.sharing import PRIVATE, Sharing
from comfyvn_store.errors import GitFailed, Refused, UsageError
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.home import is_relative

CONFIG_FILE = ".comfyvnconfig"
DEFAULT_ROOT = "assets"
LINK, COPY = "link", "copy"
VIEWS = (LINK, COPY)
MANUAL, AUTO = "manual", "auto"
PUSH, WARN, REFUSE, OFF = "push", "warn", "refuse", "off"
TRASH_GRACE = 14 * 86400.0
TRASH_GRACE_SETTING = "comfyvn.trashGrace"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
DEFAULT_THUMBS = "cache/thumbs"
# The only keys a repository may set for whoever clones it: none names a command or a path outside the work tree.
_WHITELIST = frozenset(("assetsroot", "marker", "views", "fetch"))
# git's own setting, which is heeded too.
_SHARED, _SYMLINKS, _ATTRIBUTES = "core.sharedrepository", "core.symlinks", "core.attributesfile"
_WANTED = rf"^(comfyvn\.|{_SHARED}$|{_SYMLINKS}$|{_ATTRIBUTES}$|extensions\.partialclone$|remote\..*\.promisor$)"
# How git is asked for all of them.
QUESTION = ("config", "-z", "--get-regexp", _WANTED)
_FALSE = frozenset(("false", "no", "off", "0", ""))
_TRUE = frozenset(("true", "yes", "on", "1"))


_NOTHING: Mapping[str, str] = {}


class RemoteSetting(NamedTuple):
    """A remote as it is set. `is_tracked`: its address came with the repository; `is_trusted`: this clone's owner said that
    this very address may be written to and be given credentials."""

    name: str
    url: str
    is_tracked: bool
    is_trusted: bool


class Settings(NamedTuple):
    """What was asked for. Paths are absolute, but for `assets_root`, which is relative to the work tree's top."""

    assets_root: str
    db_path: str
    thumbs_root: str
    marker: bool = True
    user: str | None = None
    views: str = LINK
    # git's own `core.symlinks`: where it is false, git writes the text of a symlink into an ordinary file.
    symlinks: bool = True
    # What `core.symlinks` was before we switched it off ("unset" where it was not set), None where we did not.
    symlinks_before: str | None = None
    # What a checkout does about objects that are not here.
    fetch: str = MANUAL
    remotes: tuple[RemoteSetting, ...] = ()
    # What this clone's git config says; read where it is needed, so that a slip in one stops nothing else.
    said: Mapping[str, str] = _NOTHING
    ignored: tuple[str, ...] = ()
    sharing: Sharing = PRIVATE
    promisors: tuple[str, ...] = ()
    # The store outside the repository that was asked for, and the words of the setting; None for the repository's own.
    store: str | None = None
    store_said: str | None = None

    @property
    def pre_push(self) -> str:
        """What `git push` does about objects that no remote has. Raises UsageError."""
        return _choice("prePush", self.said.get("prepush"), (PUSH, REFUSE, OFF))

    @property
    def locks(self) -> str:
        """What locks of others do to a commit and a push. A word that means nothing warns: reads ask for this, too."""
        said = self.said.get("locks", WARN).lower()
        return said if said in (WARN, REFUSE, OFF) else WARN

    @property
    def models(self) -> list[str]:
        """The folders in which ComfyUI's models lie."""
        return _folders(self.said.get("models"))

    @property
    def inputs(self) -> list[str]:
        """The folders in which ComfyUI's input files lie."""
        return _folders(self.said.get("inputs"))

    @property
    def jobs(self) -> int | None:
        """Objects moved at once, None: as the kind of remote does best. Raises UsageError."""
        return number("comfyvn.jobs", self.said.get("jobs"), 1, 256)

    @property
    def limit_rate(self) -> int | None:
        """Bytes a second over all of them, None: no limit. Raises UsageError."""
        return number("comfyvn.limitRate", self.said.get("limitrate"), 1, 1 << 50)

    def attributes_file(self, top: str, environment: Mapping[str, str]) -> str:
        """The file with the attributes of whoever works here (gitattributes, "DESCRIPTION"), there or not."""
        said = self.said.get(_ATTRIBUTES)
        if said is not None:
            return os.path.join(top, os.path.expanduser(said))
        folder = environment.get("XDG_CONFIG_HOME") or os.path.join(environment.get("HOME", ""), ".config")
        return os.path.join(top, folder, "git", "attributes")

    @property
    def trash_grace(self) -> float:
        """Seconds that what collection took stays in the trash, and that operations can be undone. Raises UsageError."""
        return span(TRASH_GRACE_SETTING, self.said.get("trashgrace"), TRASH_GRACE)


def _folders(said: str | None) -> list[str]:
    """Gives folders that are divided as in PATH; `~` is the home."""
    return [os.path.expanduser(part) for part in (said or "").split(os.pathsep) if part]


def read_settings(
    git: Git,
    top: str,
    git_dir: str,
    listing: bytes,
    *,
    environment: Mapping[str, str] | None = None,
    assets_root: str | None = None,
    db_path: str | None = None,
    thumbs_root: str | None = None,
) -> Settings:
    """Reads the settings of the repository whose work tree is `top`; `listing` is git's answer to QUESTION.

    The keyword paths are what the command line gave; relative ones of the environment and of git config hang on the
    work tree's top. Raises Refused for an assets root outside the work tree, UsageError for a value that makes no sense.
    """
    env = os.environ if environment is None else environment
    own, ignored = _repository_config(git, top)
    local, promisors = _git_config(listing)
    merged = {**own, **local}
    store = local.get("store") or None
    root = assets_root or env.get("COMFYVN_ASSETS_ROOT") or merged.get("assetsroot") or DEFAULT_ROOT
    index = db_path or env.get("COMFYVN_DB_PATH") or local.get("dbpath") or os.path.join(git_dir, "comfyvn", "index.db")
    thumbs = thumbs_root or env.get("COMFYVN_THUMBS_ROOT") or local.get("thumbsroot") or DEFAULT_THUMBS
    return Settings(
        assets_root=inside_work_tree(top, root),
        db_path=os.path.join(top, index),
        thumbs_root=os.path.normpath(os.path.join(top, thumbs)),
        marker=_flag("marker", merged.get("marker", "true")),
        user=env.get("COMFYVN_USER") or local.get("user") or None,
        views=_views(own, local),
        symlinks=local.get(_SYMLINKS, "true").lower() not in _FALSE,
        symlinks_before=local.get("symlinks"),
        fetch=_fetch(own, local),
        remotes=_remotes(own, local),
        said=local,
        ignored=tuple(ignored),
        sharing=sharing.parse(local.get(_SHARED)),
        promisors=promisors,
        store=_store_path(git, top, store, env.get("HOME")) if store else None,
        store_said=store,
    )


def inside_work_tree(top: str, root: str) -> str:
    """Gives an assets root relative to the work tree's top. Raises Refused if it does not lie inside it."""
    absolute = os.path.normpath(os.path.join(top, root))
    relative = os.path.relpath(absolute, top)
    if os.path.isabs(root) and relative.startswith(".."):
        relative = os.path.relpath(os.path.realpath(absolute), os.path.realpath(top))
    relative = relative.replace(os.sep, "/")
    parts = relative.split("/")
    # Where case does not count, `.GIT` is git's own folder, too.
    if relative == "." or parts[0] == ".." or any(part.lower() in (".git", STORE_LINK) for part in parts):
        raise Refused(
            f"the assets root '{names.printable(root)}' does not lie in a folder of the work tree '{top}'",
            hint="set comfyvn.assetsRoot (or COMFYVN_ASSETS_ROOT) to a folder inside it, such as 'assets'",
        )
    return relative


def tracked_settings(git: Git, oid: str | None) -> tuple[str, bool]:
    """Gives the assets root and whether views are copies, as the `.comfyvnconfig` blob of some commit says it.

    What cannot be read, and a root outside the work tree, leaves the default.
    """
    done = git.outcome("config", "--no-includes", "-z", "--blob", oid, "--list", check=False) if oid else None
    said = dict(_pairs(done.stdout if done and done.returncode == 0 else b""))
    try:
        root = inside_work_tree("/", said.get("comfyvn.assetsroot") or DEFAULT_ROOT)
    except Refused:
        root = DEFAULT_ROOT
    return root, said.get("comfyvn.views") == "copy"


def remotes_at(git: Git, commit: str, said: Mapping[str, str]) -> tuple[RemoteSetting, ...]:
    """Gives the remotes as a commit's `.comfyvnconfig` and this clone's git config (`Settings.said`) set them."""
    blob = f"{commit}:{CONFIG_FILE}"
    done = git.outcome("config", "--no-includes", "-z", "--blob", blob, "--list", check=False)
    pairs = _pairs(done.stdout) if done.returncode == 0 else []
    prefix = "comfyvn."
    own = {key[len(prefix) :]: value for key, value in pairs if key.startswith(prefix)}
    return _remotes(own, said)


def _repository_config(git: Git, top: str) -> tuple[dict[str, str], list[str]]:
    """Gives what the tracked `.comfyvnconfig` may say, and the keys in it that are not heeded."""
    path = os.path.join(top, CONFIG_FILE)
    if not os.path.isfile(path) or os.path.islink(path):
        return {}, []
    try:
        listing = git.run("config", "--no-includes", "-z", "--file", path, "--list")
    except GitFailed:
        return {}, [f"{CONFIG_FILE} (not readable as git config)"]
    kept: dict[str, str] = {}
    ignored: list[str] = []
    for key, value in _pairs(listing):
        section, _, name = key.partition(".")
        if section == "comfyvn" and (name in _WHITELIST or _is_remote(name)):
            kept[name] = value
        else:
            ignored.append(names.printable(key))
    return kept, ignored


def _git_config(listing: bytes) -> tuple[dict[str, str], tuple[str, ...]]:
    """Gives our keys, and the remotes that hold what a partial clone left out (partial-clone.txt of git's own pages)."""
    own: dict[str, str] = {}
    promisors: list[str] = []
    for key, value in _pairs(listing):
        if key.startswith("comfyvn.") or key in (_SHARED, _SYMLINKS, _ATTRIBUTES):
            own[key.removeprefix("comfyvn.")] = value
        elif key == "extensions.partialclone":
            promisors.append(value)
        elif value.lower() in _TRUE:
            promisors.append(key[len("remote.") : -len(".promisor")])
    return own, tuple(dict.fromkeys(promisors))


def _remotes(own: Mapping[str, str], local: Mapping[str, str]) -> tuple[RemoteSetting, ...]:
    """Gives the remotes by name; one that this clone sets itself stands for one of that name that came with the
    repository."""
    found = {}
    for is_tracked, said in ((True, own), (False, local)):
        for key, url in said.items():
            if _is_remote(key):
                name = key[len("remote.") : -len(".url")]
                trusted = not is_tracked or local.get(f"remote.{name}.trusted") == url
                found[name] = RemoteSetting(name, url, is_tracked, trusted)
    return tuple(found[name] for name in sorted(found))


def _fetch(own: Mapping[str, str], local: Mapping[str, str]) -> str:
    """Gives what a checkout does about missing objects. A word that means nothing is not heeded: hooks ask for this."""
    return AUTO if local.get("fetch", own.get("fetch", "")).lower() == AUTO else MANUAL


def _choice(name: str, value: str | None, words: Sequence[str]) -> str:
    """Gives one of the words, the first where nothing is set. Raises UsageError."""
    said = (value or words[0]).lower()
    if said not in words:
        raise UsageError(
            f"comfyvn.{name} is '{names.printable(said)}'", hint=f"use {', '.join(words[:-1])} or {words[-1]}"
        )
    return said


def number(name: str, value: str | None, least: int, most: int) -> int | None:
    """Gives a whole number with git's units (k, m, g for KiB, MiB, GiB), None where nothing is set. Raises UsageError."""
    if not value:
        return None
    unit = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}.get(value[-1].lower(), 1)
    digits = value if unit == 1 else value[:-1]
    if not digits.isascii() or not digits.isdigit() or not least <= int(digits) * unit <= most:
        raise UsageError(f"{name} is '{names.printable(value)}'", hint="use a whole number, as in 8 or 500k")
    return int(digits) * unit


def span(name: str, value: str | None, default: float) -> float:
    """Gives a span of time (`30s`, `12h`, `14d`, `2w`, or 0) in seconds; `name` is what people set. Raises UsageError."""
    if not value:
        return default
    digits, unit = (value, 1) if value == "0" else (value[:-1], _UNITS.get(value[-1].lower(), 0))
    if not unit or len(digits) > 9 or not digits.isascii() or not digits.isdigit():
        raise UsageError(
            f"{name} is '{names.printable(value)}'", hint="use a number with s, m, h, d or w, as in 14d, or 0"
        )
    return float(int(digits) * unit)


def _is_remote(name: str) -> bool:
    return (
        name.startswith("remote.")
        and name.endswith(".url")
        and names.is_remote_name(name[len("remote.") : -len(".url")])
    )


def _pairs(listing: bytes) -> list[tuple[str, str]]:
    """Parses `git config -z --list`: key, newline, value, NUL; a key without a value means true."""
    pairs = []
    for item in listing.split(b"\0"):
        if item:
            key, newline, value = item.partition(b"\n")
            pairs.append((os.fsdecode(key), os.fsdecode(value) if newline else "true"))
    return pairs


def _views(own: Mapping[str, str], local: Mapping[str, str]) -> str:
    """Gives how views lie in the work tree. What a later version may write into a repository's own file is not heeded."""
    if local.get("views"):
        return _choice("views", local["views"], VIEWS)
    shared = own.get("views", "").lower()
    return shared if shared in VIEWS else LINK


def _store_path(git: Git, top: str, said: str, home: str | None) -> str:
    """Gives the absolute path that `comfyvn.store` means, as git's `--type=path` does; relative ones hang on the top.

    Raises UsageError for a path that cannot be noted, and where there is no such home.
    """
    if "\n" in said:
        raise UsageError("comfyvn.store has a line break in it", hint="name a folder without one")
    if said.startswith("~/") and home:
        said = os.path.join(home, said[2:].lstrip("/"))  # what git does, without a process for each filter and hook
    elif not is_relative(said) and not os.path.isabs(said):
        try:
            said = git.text("config", "--type=path", "--get", "comfyvn.store")
        except GitFailed:
            raise UsageError(
                f"comfyvn.store is '{names.printable(said)}', and there is no such home", hint="name the folder in full"
            ) from None
    return os.path.normpath(os.path.join(top, said))


def _flag(name: str, value: str) -> bool:
    lower = value.lower()
    if lower not in _TRUE and lower not in _FALSE:
        raise UsageError(f"comfyvn.{name} is '{names.printable(value)}'", hint="use true or false")
    return lower in _TRUE
