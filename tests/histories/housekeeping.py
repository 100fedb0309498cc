"""Rules about what is put aside and taken back, and about the repository as a whole."""

from hypothesis import strategies as st

from tests import media
from tests.gitrepo import GitRepo
from tests.histories.machine import BRANCHES, PATHS, Machine, any_time, seeds, step, which
from tests.oracle import SUFFIX

READS = (
    ["list"],
    ["status"],
    ["provenance"],
    ["list", "--json"],
    ["show", PATHS[0]],
    ["provenance", "--commit", "HEAD"],
)


class Housekeeping(Machine):
    """stash, reset, restore, linked work trees, hooks, what is derived, and reading."""

    # -- putting aside and taking back -----------------------------------------------------------------------------

    @step(how=st.sampled_from([[], ["-u"], ["--staged"], ["-k"]]))
    def stash(self, how: list[str]) -> None:
        count = len(self.git("stash", "list").out.splitlines())
        staged, before = self.staged(), {**self.world.unstaged}
        # git stashes what either HEAD or its index knows.
        head = self.git("ls-tree", "-r", "-z", "--name-only", "HEAD").out.split("\0")
        tracked = {*self.world.entries(), *head}
        self.git("stash", "push", "-q", *how, check=False)
        if len(self.git("stash", "list").out.splitlines()) == count:
            return
        if how == ["--staged"]:
            self.world.may_differ(staged)
            return
        taken = {path for path in before if path in tracked or how == ["-u"]}
        self.world.told(taken)
        for path in taken:
            if not path.endswith(SUFFIX):
                self.world.check_stored(before[path])

    @step(verb=st.sampled_from(["pop", "apply", "drop"]), how=st.sampled_from([[], ["--index"]]))
    def unstash(self, verb: str, how: list[str]) -> None:
        if self.git("rev-parse", "-q", "--verify", "refs/stash", check=False).code:
            return
        touched = self.changed("stash@{0}^1", "stash@{0}")
        others = self.git("ls-tree", "-r", "-z", "--name-only", "stash@{0}^3", check=False).out.split("\0")
        self.git("stash", verb, "-q", *(how if verb != "drop" else []), check=False)
        if verb != "drop":
            self.world.may_differ({*touched, *others} - {""})

    @step(how=st.sampled_from(["--hard", "--mixed", "--soft", "--keep"]), number=st.integers(0, 2))
    def reset(self, how: str, number: int) -> None:
        target = self.revision(number)
        staged, before = self.staged(), self.world.entries().keys()
        differ = self.changed("HEAD", target) | staged
        if self.git("reset", "-q", how, target, check=False).code:
            return
        if how == "--hard":
            self.world.told([*before, *self.world.entries()])
        elif how != "--soft":
            self.world.may_differ(differ)

    @step(
        number=which,
        words=st.sampled_from(
            [
                ["restore", "--"],
                ["restore", "--staged", "--"],
                ["restore", "--source=HEAD~1", "--"],
                ["restore", "--source=HEAD~1", "--staged", "--worktree", "--"],
                ["checkout", "-q", "--"],
                ["checkout", "-q", "HEAD~1", "--"],
                ["reset", "-q", "HEAD~1", "--"],
            ]
        ),
        whole=st.booleans(),
    )
    def restore(self, number: int, words: list[str], whole: bool) -> None:
        path = self.asset(number)
        if path is None or self.world.commits() < 2:
            return
        targets = [path, path + SUFFIX] if whole else [path]
        if self.git(*words, *targets, check=False).code == 0:
            self.world.may_differ(targets)
            if "--staged" not in words[1:2] and words[0] != "reset":
                self.world.told(targets)
                self.world.may_differ(targets if "--source=HEAD~1" in words else [])

    # -- the repository --------------------------------------------------------------------------------------------

    @step(name=st.sampled_from(["left", "right", "side"]), seed=seeds, keep=st.booleans())
    def linked_work_tree(self, name: str, seed: int, keep: bool) -> None:
        self.number += 1
        place = f"../linked-{self.number}"
        words = [place, name] if name in self.world.branches() else ["-b", name, place]
        if self.git("worktree", "add", "-q", *words, check=False).code:
            return
        GitRepo(self.world.folder / f"linked-{self.number}").write("assets/w/w.png", media.comfy_png(seed))
        self.git("add", "-A", cwd=place)
        self.git("commit", "-q", "--allow-empty", "-m", f"linked {self.number}", cwd=place)
        self.tool("list", cwd=place)
        assert self.git("status", "--porcelain", cwd=place).out == ""
        assert keep or self.git("worktree", "remove", place, check=False).code == 0

    @step(name=st.sampled_from(BRANCHES))
    def forget(self, name: str) -> None:
        self.git("branch", "-q", "-D", name, check=False)
        self.git("tag", "-f", f"tag-{name}")

    @step()
    def collect(self) -> None:
        self.git("reflog", "expire", "--expire=now", "--all")
        self.git("gc", "-q", "--prune=now")

    @step(any_time, on=st.booleans())
    def hooks(self, on: bool) -> None:
        self.world.are_hooks_on = on
        self.git("config", *(["--unset", "core.hooksPath"] if on else ["core.hooksPath", "/dev/null"]), check=False)

    @step(any_time, what=st.sampled_from(["index.db", "assets/_meta", "cache", ".comfyvn"]))
    def lose(self, what: str) -> None:
        if what == "index.db":
            self.world.run("sh", "-c", f"rm -f '{self.world.common}'/comfyvn/index.db*")
        else:
            self.world.run("rm", "-rf", str(self.world.repo.path / what))
        if what == ".comfyvn":
            self.tool("list")

    @step(any_time, words=st.sampled_from(READS))
    def look(self, words: list[str]) -> None:
        self.world.check_read_changes_nothing(*words)

    @step(any_time)
    def compare(self) -> None:
        self.world.check_named()
        self.world.check_index()
