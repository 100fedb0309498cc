"""What the state machine knows of its repository, and what must hold of it at any moment.

The model is kept small, so that it can be right: the edits that git was not told of, byte for byte; the paths that a
verb left different from git's index on purpose; every object that ever was in the store.
"""

import json
import os
import shlex
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests import oracle
from tests.gitrepo import GitRepo, Result
from tests.histories.disk import SEQUENCES, contents, differences, unmarked
from tests.oracle import SUFFIX


class Entry(NamedTuple):
    """An entry of git's index."""

    mode: str
    oid: str
    stage: int


class World:
    """A repository with what a test knows of it. Every check that fails tells the commands that led there."""

    modes = frozenset({"120000"})  # of assets that a commit with hooks has made

    def __init__(self, template: Path) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.repo = GitRepo(self.folder / "repo")
        self.log: list[str] = []
        self.run("cp", "-a", str(template), str(self.repo.path))
        self.git("update-index", "-q", "--refresh")
        self.common = self.repo.path / ".git"
        self.unstaged: dict[str, bytes] = {}
        self.loose: set[str] = set()
        self.objects: dict[str, bytes] = {}
        self.seen: set[str] = set()
        self.are_hooks_on = True

    # -- doing things ----------------------------------------------------------------------------------------------

    def run(self, *words: str) -> None:
        self.log.append(shlex.join(words))
        assert os.spawnvp(os.P_WAIT, words[0], list(words)) == 0

    def git(
        self,
        *words: str,
        check: bool = True,
        input: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str = ".",
    ) -> Result:
        """Runs git as a person does; whatever a hook of ours says about a fault of its own fails the test."""
        done = self.repo.git(*words, check=check, input=input, env=env, cwd=cwd)
        self._note(["git", *words], done, env, cwd)
        return done

    def tool(self, *words: str, codes: Iterable[int] = (0,), cwd: str = ".") -> Result:
        """Runs comfyvn-store; an exit code that is not among `codes` fails the test."""
        done = self.repo.tool(*words, check=False, cwd=cwd)
        self._note(["comfyvn-store", *words], done, None, cwd)
        assert done.code in codes, f"comfyvn-store {words} exited {done.code}: {done.err}"
        return done

    def write(self, path: str, data: bytes) -> None:
        self.log.append(f"save {path}  # {len(data)} bytes, {oracle.digest(data)[:8]}")
        self.repo.write(path, data)

    def _note(self, words: list[str], done: Result, env: Mapping[str, str] | None, cwd: str) -> None:
        before = "".join(f"{name}={shlex.quote(value)} " for name, value in (env or {}).items())
        place = f"(in {cwd}) " if cwd != "." else ""
        self.log.append(f"{place}{before}{shlex.join(words)}" + (f"  # exited {done.code}" if done.code else ""))
        for sign in ("Traceback", "error: bug", "the index is not up to date", "filter failed", "unexpected"):
            assert sign not in done.err, f"{words}: {done.err}"

    # -- looking ---------------------------------------------------------------------------------------------------

    def entries(self) -> dict[str, Entry]:
        """git's index below the assets root; of a conflict the last stage."""
        found = {}
        for item in self.repo.git("ls-files", "-s", "-z", "--", "assets").out.split("\0")[:-1]:
            about, path = item.split("\t", 1)
            mode, oid, stage = about.split(" ")
            found[path] = Entry(mode, oid, int(stage))
        return found

    def assets(self) -> list[str]:
        """Paths with a link in git's index."""
        return sorted(path for path, entry in self.entries().items() if entry.stage == 0 and self.hash_of(entry))

    def hash_of(self, entry: Entry) -> str | None:
        """The object that an entry's blob links to."""
        return oracle.linked_hash(self.blob(entry.oid).decode("utf-8", "replace"))

    def blob(self, oid: str) -> bytes:
        return oracle.read_blobs(self.repo, [oid])[oid]

    def card(self, revision: str, path: str) -> dict[str, object] | None:
        """The sidecar of an asset in a revision, "" for git's index."""
        done = self.repo.git("rev-parse", "-q", "--verify", f"{revision}:{path}{SUFFIX}", check=False)
        if done.code:
            return None
        try:
            loaded = json.loads(self.blob(done.out))
        except ValueError:
            return None
        return loaded if isinstance(loaded, dict) else None

    def status(self) -> dict[str, str]:
        """The two letters of `git status` for each path that is not clean; a rename's old path has "R "."""
        found = {}
        listed = self.repo.git("status", "--porcelain=v1", "-z", "-uall", "--no-renames").out.split("\0")[:-1]
        for each in listed:
            found[each[3:]] = each[:2]
        return found

    def branches(self) -> list[str]:
        return self.repo.git("for-each-ref", "--format=%(refname:short)", "refs/heads").out.split()

    def commits(self) -> int:
        return int(self.repo.git("rev-list", "--count", "--first-parent", "HEAD").out)

    def sequence(self) -> str | None:
        """What git stopped amid: a verb that wants to be continued or aborted."""
        todo = self.common / "sequencer/todo"
        found = next((verb for name, verb in SEQUENCES.items() if (self.common / name).exists()), None)
        return "revert" if found == "cherry-pick" and todo.exists() and todo.read_text()[:6] == "revert" else found

    def is_open(self) -> bool:
        """Whether a conflict or a verb that stopped wants to be dealt with."""
        return self.sequence() is not None or any(entry.stage for entry in self.entries().values())

    # -- the model -------------------------------------------------------------------------------------------------

    def told(self, paths: Iterable[str] | None = None) -> None:
        """git took the edits of these paths (of all), or threw them away as it was asked to."""
        for path in list(self.unstaged) if paths is None else paths:
            self.unstaged.pop(path, None)
            self.loose.discard(path)
        if paths is None:
            self.loose.clear()

    def may_differ(self, paths: Iterable[str]) -> None:
        """The verb left these paths, and their sidecars, other than they are in git's index, as it does without us."""
        for path in paths:
            asset = path.removesuffix(SUFFIX)
            self.loose |= {asset, asset + SUFFIX}

    def words_on_disk(self, tracked: Iterable[str], views: Iterable[str]) -> dict[str, bytes]:
        """Edited sidecars of `views` that a commit finds on the disk only, not among what is `tracked`; it takes them."""
        cards = {path + SUFFIX for path in views} - set(tracked)
        return {path: data for path, data in self.unstaged.items() if path in cards}

    def check_words(self, words: Mapping[str, bytes]) -> None:
        """HEAD has what these sidecars said."""
        self.told(words)
        for path, data in words.items():
            card = self.card("HEAD", path.removesuffix(SUFFIX)) or {}
            assert card.get("note") == json.loads(data)["note"], path

    # -- what must hold --------------------------------------------------------------------------------------------

    def check(self) -> None:
        self.check_objects()
        self.check_blobs()
        self.check_work_tree()

    def check_objects(self) -> None:
        """What was in the store is in the store, and is what it was."""
        top = self.common / "comfyvn/objects"
        names = {folder + name for folder in os.listdir(top) for name in os.listdir(top / folder)}
        assert self.objects.keys() <= names, f"objects vanished: {self.objects.keys() - names}"
        for name in names - self.objects.keys():
            data = (top / name[:2] / name[2:]).read_bytes()
            assert oracle.digest(data) == name
            self.objects[name] = unmarked(data)

    def check_blobs(self) -> None:
        """No commit, stash or index, and nothing that was one, holds raw art or a link without its object."""
        listed = self.repo.git("rev-list", "--objects", "--all", "--reflog", "--indexed-objects").out.splitlines()
        paths = dict(each.split(" ", 1) for each in listed if " " in each)
        new = {oid: path for oid, path in paths.items() if oid not in self.seen and path.startswith("assets/")}
        for oid, data in oracle.read_blobs(self.repo, new).items():
            path = new[oid]
            if path.endswith(".gitattributes") or not data:
                continue
            if path.endswith(SUFFIX):
                assert "commit" not in json.loads(data)["provenance"], f"{path} {oid}"
                continue
            hash_ = oracle.linked_hash(data.decode("utf-8", "replace"))
            assert hash_ is not None, f"raw art in git: {path} {oid}"
            assert hash_ in self.objects, f"no object for {path} {oid}"
        self.seen |= new.keys()

    def check_work_tree(self) -> None:
        """Edits are as they were saved, git calls modified what is, and all else shows what is staged."""
        status, entries = self.status(), self.entries()
        dirty = {path for path, letters in status.items() if letters[1] != " "}
        conflicts = {path for path, entry in entries.items() if entry.stage}
        for path, data in list(self.unstaged.items()):
            place = self.repo.path / path
            assert place.is_file() and not place.is_symlink(), f"the edit of {path} is gone"
            assert place.read_bytes() == data, f"the edit of {path} is another"
            entry = entries.get(path)
            if entry and self.is_of_another_depth(path, entry) and self.shows(path, entries):
                # What is staged, moved: git calls it modified for the link's sake, and a file where it has a link anywhere.
                del self.unstaged[path]
                self.loose |= {path} if entry.mode == "120000" else set()
            elif path not in dirty and path not in conflicts:  # the same as git has: its bytes back
                assert self.shows(path, entries), f"git takes the edit of {path} for what it has"
                del self.unstaged[path]
        # A file that was moved to another depth after `git add` is modified until the commit (docs/git.md).
        moved = {path for path in dirty & entries.keys() if self.is_of_another_depth(path, entries[path])}
        unexpected = dirty - self.unstaged.keys() - self.loose - conflicts - moved
        assert not unexpected, {path: status[path] for path in sorted(unexpected)}
        # A view and its sidecar go together: what became of the one may show only when the other is committed.
        assets = {path.removesuffix(SUFFIX) for path in self.loose & dirty}
        self.loose = {path for path in self.loose if path.removesuffix(SUFFIX) in assets}
        for path, entry in entries.items():
            if path not in dirty and path not in conflicts and self.hash_of(entry):
                assert self.shows(path, entries), f"{path} does not show what is staged"

    def is_of_another_depth(self, path: str, entry: Entry) -> bool:
        """Whether git's index has a link that leads right only from the folder that the file was moved from."""
        hash_ = self.hash_of(entry)
        return hash_ is not None and self.blob(entry.oid).decode() != oracle.link_text(path, hash_)

    def shows(self, path: str, entries: dict[str, Entry]) -> bool:
        """Whether a program that opens the path sees what is staged there, the marker apart."""
        if path.endswith(SUFFIX):
            return True
        hash_ = self.hash_of(entries[path])
        if hash_ is None:
            return False
        place = self.repo.path / path
        if place.is_symlink() and os.readlink(place) != oracle.link_text(path, hash_):
            # Moved to another depth and not committed: it leads nowhere until then (docs/git.md).
            return oracle.linked_hash(os.readlink(place)) == hash_
        return place.is_file() and unmarked(place.read_bytes()) == self.objects[hash_]

    def check_stored(self, data: bytes) -> None:
        """Bytes that git was told of are in the store."""
        self.check_objects()
        assert unmarked(data) in self.objects.values(), "bytes that were added are not in the store"

    def check_read_changes_nothing(self, *words: str) -> None:
        """The first read may catch up, but stages nothing; the second changes nothing at all."""
        staged = self.repo.git("ls-files", "-s", "-v").out
        self.tool(*words, codes=(0, 2))
        assert self.repo.git("ls-files", "-s", "-v").out == staged, f"{words} staged something"
        before = contents(self.repo.path)
        self.tool(*words, codes=(0, 2))
        after = contents(self.repo.path)
        changed = [
            path
            for path in differences(before, after)
            # git may have asked the filter, which dates the object again.
            if not path.startswith(".git/comfyvn/objects/") or before[path][1] != after[path][1]
        ]
        assert changed == [], f"the second {words} changed {changed}"

    def check_named(self) -> None:
        """Each sidecar on disk that says what git has names the commit that brought its record."""
        self.tool("list")
        if self.is_open():
            return
        brought = oracle.introductions(self.repo)
        entries = self.entries()
        for path, entry in entries.items():
            place = self.repo.path / path
            if not path.endswith(SUFFIX) or not place.is_file() or path[: -len(SUFFIX)] not in entries:
                continue
            said, staged = json.loads(place.read_bytes()), json.loads(self.blob(entry.oid))
            commit = said["provenance"].pop("commit", None)
            view = self.repo.path / path[: -len(SUFFIX)]
            if said == staged and os.path.lexists(view):
                expected = brought.get(staged["provenance"]["id"])
                assert commit == expected, f"{path} names {commit} instead of {expected}"

    def check_all(self) -> None:
        oracle.check_all(self.repo)

    def check_index(self) -> None:
        oracle.check_index(self.repo, self.folder)
