"""Rules about commits and branches: making, merging and rewriting them, and what git stops amid."""

from hypothesis import strategies as st

from tests import oracle
from tests.histories.disk import without_commit
from tests.histories.machine import BRANCHES, Machine, amid, step, which
from tests.oracle import SUFFIX

branches = st.sampled_from(BRANCHES)


class Commits(Machine):
    """Everything that makes or rewrites history."""

    # -- committing ------------------------------------------------------------------------------------------------

    @step(
        how=st.sampled_from([[], [], ["-n"], ["--amend"], ["-a"], ["-a", "--amend"], ["--fixup=HEAD"]]),
        add=st.booleans(),
    )
    def commit(self, how: list[str], add: bool) -> None:
        if add:
            self.add(["-A"])
        self.number += 1
        tracked = self.world.entries().keys() if "-a" in how else ()
        before = {**self.world.unstaged}
        tags = {path: (self.world.card("", path) or {}).get("tags") for path in self.world.assets()}
        words = self.world.words_on_disk(self.world.entries(), self.world.assets())
        message = [] if "--fixup=HEAD" in how else ["-m", f"commit {self.number}"]
        head = self.world.repo.head()
        with self.stages_nothing():
            self.git("commit", "-q", "--allow-empty", *message, *how)
            self.world.told(tracked)
        for path in before.keys() & set(tracked):
            if not path.endswith(SUFFIX):
                self.world.check_stored(before[path])
        assert self.staged() <= {path for path, letters in self.world.status().items() if letters == "AM"}
        # Where no art is staged, the hook leaves what an earlier commit without hooks left undone to the next one.
        if self.world.are_hooks_on and "-n" not in how and self.changed(head, "HEAD"):
            self.world.check_words(words)
            self.check_committed({} if "-a" in how or words else tags)

    def check_committed(self, tags: dict[str, object]) -> None:
        """Every asset of HEAD is a link with a sidecar that speaks of its bytes and has the tags that were staged."""
        for path in self.world.assets():
            entry = self.world.entries()[path]
            card = self.world.card("HEAD", path)
            assert entry.mode in self.world.modes, path
            assert card is not None and card["hash"] == self.world.hash_of(entry), path
            assert tags.get(path) in (None, card["tags"]), path

    @step(number=which)
    def commit_path(self, number: int) -> None:
        path = self.asset(number)
        if path is not None:
            self.number += 1
            head = self.world.repo.head()
            tracked = self.git("ls-tree", "-r", "-z", "--name-only", "HEAD").out.split("\0")
            words = self.world.words_on_disk(tracked, [path])
            with self.stages_nothing():
                self.git("commit", "-q", "-m", f"commit {self.number}", "--allow-empty", "--", path)
                self.world.told([path])
            assert path not in self.staged()
            if self.world.are_hooks_on and self.changed(head, "HEAD"):
                self.world.check_words(words)

    # -- branches --------------------------------------------------------------------------------------------------

    @step(name=branches, merge=st.booleans())
    def switch(self, name: str, merge: bool) -> None:
        if name not in self.world.branches():
            self.git("switch", "-q", "-c", name)
            return
        before = {**self.world.unstaged}
        done = self.git("switch", "-q", *(["-m"] if merge else []), name, check=False)
        if not merge or done.code:
            return
        for path, data in before.items():
            place = self.world.repo.path / path
            if not place.is_file() or place.read_bytes() != data:
                if not path.endswith(SUFFIX):
                    self.world.check_stored(data)
                self.world.told([path])
        self.world.may_differ({*before, *self.staged(), *self.world.loose})

    @step(number=st.integers(0, 3))
    def detach(self, number: int) -> None:
        with self.stages_nothing():
            self.git("switch", "-q", "--detach", self.revision(number), check=False)

    @step(name=branches, how=st.sampled_from([[], ["--no-ff"], ["--squash"], ["--no-commit", "--no-ff"]]))
    def merge(self, name: str, how: list[str]) -> None:
        if name in self.world.branches():
            words = ["merge", "-q", *how, name]
            if how in ([], ["--no-ff"]):
                with self.stages_nothing():
                    done = self.git(*words, check=False)
            else:
                done = self.git(*words, check=False)
            if done.code > 1:  # git stashed the edits, gave up, and took them back
                self.aside = {*self.world.unstaged, *self.world.loose}
                self.take_back()

    @step(name=branches, how=st.sampled_from([[], ["--autosquash", "-i"], ["--autostash"], ["-i"]]))
    def rebase(self, name: str, how: list[str]) -> None:
        if name not in self.world.branches():
            return
        editor = "sed -i -e 's/^pick/edit/'" if how == ["-i"] else "true"
        before = {*self.world.unstaged, *self.world.loose, *self.staged()}
        done = self.git("rebase", "-q", *how, name, check=False, env={"GIT_SEQUENCE_EDITOR": editor})
        if "--autostash" in how and (not done.code or (self.world.common / "rebase-merge/autostash").exists()):
            self.aside = before
            self.take_back()

    def take_back(self) -> None:
        """What git put aside for a while comes back as bytes of the same object, or is in a stash."""
        for path in self.aside & self.world.unstaged.keys():
            place = self.world.repo.path / path
            data = self.world.unstaged[path]
            found = place.read_bytes() if place.is_file() else None
            if found != data:
                if not path.endswith(SUFFIX):
                    self.world.check_stored(data)
                elif found is not None and self.world.repo.git("stash", "list").out == "":
                    said, edited = without_commit(found), without_commit(data)
                    card = self.world.card("", path.removesuffix(SUFFIX)) or {}
                    # Where the verb brought another version of the sidecar, the edit is merged into that.
                    assert said == edited or said == {**card, "note": edited["note"]}, path
                self.world.told([path])
        self.world.may_differ(self.aside)

    @step(name=branches, verb=st.sampled_from(["cherry-pick", "revert"]), count=st.integers(1, 2))
    def pick(self, name: str, verb: str, count: int) -> None:
        if name in self.world.branches():
            first = self.git("rev-parse", "-q", "--verify", f"{name}~{count}", check=False)
            if first.code == 0:
                with self.stages_nothing():
                    self.git(verb, *(["--no-edit"] if verb == "revert" else []), f"{name}~{count}..{name}", check=False)

    @step(name=branches)
    def mail(self, name: str) -> None:
        if name in self.world.branches():
            patch = self.git("format-patch", "-1", "--stdout", "--binary", name).stdout
            with self.stages_nothing():
                self.git("am", "-q", "-3", input=patch, check=False)

    @step(amid, how=st.sampled_from(["--ours", "--theirs", "--both"]))
    def resolve(self, how: str) -> None:
        listed = self.git("ls-files", "-u", "-z", "--", "assets").out.split("\0")[:-1]
        sides = {(each.split("\t", 1)[1], each.split(" ")[1], each.split("\t")[0][-1]) for each in listed}
        done = self.tool("resolve", "assets", how, codes=(0, 2, 20))
        self.world.told(path for path, _, _ in sides)
        if done.code == 0 and sides:
            assert not any(entry.stage for entry in self.world.entries().values())
            kept = {self.world.hash_of(entry) for entry in self.world.entries().values()}
            wanted = {"--ours": "2", "--theirs": "3", "--both": "23"}[how]
            for path, oid, stage in sides:
                if stage in wanted and not path.endswith(SUFFIX):
                    assert oracle.linked_hash(self.world.blob(oid).decode()) in kept, f"{path} of side {stage} is lost"

    @step(amid, how=st.sampled_from(["ours", "theirs", "theirs", "abort", "skip"]))
    def finish(self, how: str) -> None:
        verb = self.world.sequence()
        edits = {**self.world.unstaged}
        if how in ("ours", "theirs"):
            for path in {path for path, entry in self.world.entries().items() if entry.stage}:
                if self.git("checkout", "-q", f"--{how}", "--", path, check=False).code:
                    self.git("rm", "-q", "--cached", "--", path, check=False)
                    self.world.may_differ([path])
                self.world.told([path])
            self.git("add", "-A")
            self.world.told()
        if verb is None:
            if how == "abort":
                self.git("reset", "-q", "--hard")
                self.world.told(path for path in edits if path in self.world.entries())
            return
        if how in ("ours", "theirs"):
            words = ["commit", "-q", "--no-edit"] if verb == "merge" else [verb, "--continue"]
            if not self.git(*words, check=False).code:
                self.world.may_differ(self.aside)
                return
        if how == "skip" and verb != "merge" and not self.git(verb, "--skip", check=False).code:
            self.take_back()
            return
        if self.world.sequence() not in (None, "merge") and not any(
            each.stage for each in self.world.entries().values()
        ):
            self.git(self.world.sequence() or "", "--skip", check=False)
        self.give_up()
        self.take_back()
        self.aside = set()
