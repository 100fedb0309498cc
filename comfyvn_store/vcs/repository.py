"""The repository we are in: where its parts are, and the git program bound to it."""

# No `from __future__ import annotations`: a named tuple compiles each annotation that is a text, 30 µs for each start.

import os
from collections.abc import Mapping
from typing import NamedTuple

from comfyvn_store.base import links, names
from comfyvn_store.errors import ComfyvnError, NotInitialised, Refused
from comfyvn_store.store.objects import Store
from comfyvn_store.vcs.git import Begun, Git
from comfyvn_store.vcs.home import Home, is_relative
from comfyvn_store.vcs.settings import COPY, Settings, read_settings
from comfyvn_store.vcs.settings import QUESTION as SETTINGS_QUESTION

# Folders and files in the git dir that say a rebase, am, cherry-pick or revert of several commits is under way.
_SEQUENCES = ("rebase-merge", "rebase-apply", "sequencer")


class Repository(NamedTuple):
    """A work tree with its git folders (absolute, real paths), its settings, its own folder and its store.

    The store is where the objects are: until `init` was run after `comfyvn.store` was changed, where they were.
    """

    top: str
    git_dir: str
    common_dir: str
    object_format: str
    git: Git
    settings: Settings
    home: Home
    store: Store

    @property
    def own_dir(self) -> str:
        """The folder of what belongs to this work tree alone: the index, locks."""
        return os.path.join(self.git_dir, "comfyvn")

    def make_own_dir(self) -> None:
        """Makes that folder, if it is not there. Raises OSError."""
        self.settings.sharing.make_folders(self.own_dir)

    @property
    def root(self) -> str:
        """The assets root, relative to the work tree's top."""
        return self.settings.assets_root

    @property
    def copies_views(self) -> bool:
        """Whether views are ordinary files with the bytes, because that was asked for or because git makes no symlinks."""
        return self.settings.views == COPY or not self.settings.symlinks

    @property
    def is_linked(self) -> bool:
        """Whether this is a linked work tree (`git worktree add`)."""
        return self.git_dir != self.common_dir

    @property
    def is_at_home(self) -> bool:
        """Whether `top` is the work tree that the git folder has, and none that somebody named for a moment, as
        `git filter-branch --tree-filter` does: that commits whatever lies there."""
        if not self.git.environment.get("GIT_WORK_TREE"):
            return True
        try:
            with open(os.path.join(self.git_dir, "gitdir"), "rb") as stream:
                own = os.path.dirname(os.path.join(os.fsencode(self.git_dir), stream.read().rstrip(b"\n")))
        except OSError:
            return False
        return os.path.realpath(own) == os.path.realpath(os.fsencode(self.top))

    @property
    def is_initialised(self) -> bool:
        """Whether `init` was run here."""
        return self.home.exists and not self.home.is_retired

    @property
    def wanted_store(self) -> str:
        """The path of the store as `comfyvn.store` says it."""
        return _wanted(self.home, self.settings)

    @property
    def is_store_to_move(self) -> bool:
        """Whether `comfyvn.store` says another place than where the objects are.

        A relative path that has not changed means no other place in another work tree.
        """
        wanted = self.wanted_store
        if wanted == self.store.root:
            return False
        noted = self.home.noted()
        if noted is not None and wanted != self.home.path and noted.said == self.settings.store_said:
            return False
        return os.path.realpath(wanted) != os.path.realpath(self.store.root)

    @property
    def in_sequence(self) -> bool:
        """Whether git's sequencer is at work, which keeps its index in memory."""
        return any(os.path.exists(os.path.join(self.git_dir, name)) for name in _SEQUENCES)

    @property
    def index_path(self) -> str:
        """git's index file."""
        return self.git.environment.get("GIT_INDEX_FILE") or os.path.join(self.git_dir, "index")

    @property
    def is_index_locked(self) -> bool:
        """Whether another git process is changing git's index."""
        return os.path.exists(os.path.join(self.git_dir, "index.lock"))

    def absolute(self, path: str) -> str:
        """Gives the absolute path of one relative to the work tree's top."""
        return os.path.join(self.top, path)

    def is_beyond_link(self, path: str) -> bool:
        """Tells whether a folder on the way to a top-relative path is a symlink. To git nothing is there, whatever lies
        where the symlink leads, which may be outside the work tree."""
        folder = os.path.dirname(path)
        while folder:
            if os.path.islink(self.absolute(folder)):
                return True
            folder = os.path.dirname(folder)
        return False

    def inside(self, path: str) -> str | None:
        """Gives a top-relative path relative to the assets root, or None if it lies elsewhere."""
        prefix = self.root + "/"
        return path[len(prefix) :] if path.startswith(prefix) else None

    def full(self, inside: str) -> str:
        """Gives the top-relative path of one relative to the assets root."""
        return f"{self.root}/{inside}"

    def is_asset_path(self, path: str) -> bool:
        """Tells whether a top-relative path may be an asset, by its place and name; one without room for a sidecar cannot,
        though plain git brings it along."""
        inside = self.inside(path)
        return inside is not None and names.is_asset_name(inside) and names.refusal(path) is None

    def require_initialised(self) -> None:
        """Raises NotInitialised if `init` was not run here, else what `require_store` does."""
        if not self.is_initialised:
            raise NotInitialised("comfyvn-store is not set up in this repository", hint="run `comfyvn-store init`")
        self.require_store()

    def require_store(self) -> None:
        """Raises StoreUnreachable if a store outside is not there, NewerStore if it, or our own folder, is beyond us."""
        if self.store.is_apart:
            Store(self.home.path).check_format()
        self.store.require()

    def ensure_store_link(self) -> None:
        """Puts the `.comfyvn` link back if it is not there or leads elsewhere; anything else there is refused.

        Without symlinks nothing leads through it, and it need not, mostly cannot, be made.
        """
        path = self.absolute(links.STORE_LINK)
        text = self.store_link_text()
        found = self.read_store_link()
        if found is None and not self.settings.symlinks:
            return
        if found == text or (found is not None and os.path.realpath(path) == os.path.realpath(self.store.root)):
            return
        if self.git.run("ls-files", "-z", "--", f":(top,literal){links.STORE_LINK}"):
            raise Refused(
                f"'{links.STORE_LINK}' is tracked by git and leads elsewhere; a commit must not decide where the store is",
                hint=f"run `git rm --cached {links.STORE_LINK}`, commit, and remove it",
            )
        from comfyvn_store.base.files import place_symlink

        place_symlink(path, text)

    def read_store_link(self) -> str | None:
        """Gives the text of the `.comfyvn` link, None if nothing is there. Raises Refused for anything else there."""
        path = self.absolute(links.STORE_LINK)
        try:
            return os.readlink(path)
        except FileNotFoundError:
            return None
        except OSError:
            raise Refused(
                f"'{links.STORE_LINK}' is in the way: a file or folder of that name is no link to the store",
                hint=f"move '{path}' elsewhere and run the command again",
            ) from None

    def store_link_text(self) -> str:
        """Gives the link's text: relative, but to a store outside as that was given, and in a linked work tree as git's own
        link there is, which is mostly absolute, so that `git worktree move` to another depth leaves it true."""
        if self.store.is_apart:
            noted = self.home.noted()
            said = noted.said if noted and noted.root == self.store.root else self.settings.store_said
            if not is_relative(said or self.store.root):
                return self.store.root
        if self.is_linked:
            try:
                with open(self.absolute(".git"), "rb") as stream:
                    if os.path.isabs(stream.read().removeprefix(b"gitdir: ").strip()):
                        return self.store.root
            except OSError:
                pass
        return os.path.relpath(self.store.root, self.top)


def open_repository(
    folder: str | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    assets_root: str | None = None,
    db_path: str | None = None,
    thumbs_root: str | None = None,
) -> Repository:
    """Finds the repository around `folder` (default: the current one) as git does.

    Raises NotInitialised where there is none, Refused for a bare one. `init` need not have been run.
    """
    here = os.path.abspath(folder or os.getcwd())
    env = dict(os.environ if environment is None else environment)
    for key in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"):
        if env.get(key):
            env[key] = os.path.join(here, env[key])
    asked = Git(here, env)
    # Both at once: two processes that run side by side take little longer than one.
    found = asked.begin(*_QUESTION)
    try:
        said = asked.begin(*SETTINGS_QUESTION)
    except BaseException:
        found.outcome(check=False)
        raise
    try:
        object_format, git_dir, common_dir, top = _parts(asked, found)
    finally:
        listing = said.outcome(check=False).stdout
    git = Git(top, env)
    common = os.path.realpath(common_dir)
    settings = read_settings(
        git,
        top,
        os.path.realpath(git_dir),
        listing,
        environment=env,
        assets_root=assets_root,
        db_path=db_path,
        thumbs_root=thumbs_root,
    )
    git.promisors = settings.promisors
    home = Home(os.path.join(common, "comfyvn"), settings.sharing)
    store = home.store_at(_root_of_store(home, settings))
    return Repository(top, os.path.realpath(git_dir), common, object_format, git, settings, home, store)


def _root_of_store(home: Home, settings: Settings) -> str:
    """Gives where the objects are; where `init` never ran, where it would put them."""
    if home.exists:
        noted = home.noted()
        return noted.root if noted else home.path
    return _wanted(home, settings)


def _wanted(home: Home, settings: Settings) -> str:
    wanted = settings.store
    return home.path if wanted is None or os.path.realpath(wanted) == os.path.realpath(home.path) else wanted


_PARTS = ("--show-object-format", "--git-dir", "--git-common-dir", "--show-toplevel")


_QUESTION = ("rev-parse", "--path-format=absolute", "--is-bare-repository", *_PARTS)


def _parts(git: Git, asked: Begun) -> list[str]:
    """Gives the object format, git folder, common git folder and top, as git finds them. Raises Refused, NotInitialised."""
    probe = asked.outcome(check=False)
    lines = os.fsdecode(probe.stdout).split("\n")
    if probe.returncode != 0 or len(lines) < len(_PARTS) + 1:
        raise _explanation(lines, os.fsdecode(probe.stderr), git.folder)
    if len(lines) == len(_PARTS) + 2:
        return lines[1:-1]
    # A newline in a path: rev-parse has no `-z`, so each is asked for alone.
    return [git.text("rev-parse", "--path-format=absolute", part) for part in _PARTS]


def _explanation(lines: list[str], stderr: str, here: str) -> ComfyvnError:
    """Gives the error for a folder that has no usable work tree."""
    if lines[0] == "true":
        return Refused(
            f"'{names.printable(here)}' is a bare repository; art is worked on in a work tree",
            hint="clone it (`comfyvn-store clone`), or go to a work tree of it, and run the command there",
        )
    if lines[0] == "false":
        return Refused("this is git's own folder, not a work tree", hint="go to the folder that holds your files")
    if "dubious ownership" in stderr:
        return Refused("git does not trust this repository because another user owns it", hint=_last_line(stderr))
    gone = _last_line(stderr).partition("not a git repository: ")[2]
    if gone:
        return NotInitialised(
            f"the folder of git that '.git' names is gone: {names.printable(gone)}",
            hint="if the repository was moved, run `git worktree repair` with this folder's path in it",
        )
    if "not a git repository" not in stderr:
        return NotInitialised(f"cannot open a git repository here: {_last_line(stderr)}")
    return NotInitialised("this is not a git repository", hint="run `git init`, then `comfyvn-store init`")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "git said nothing"
