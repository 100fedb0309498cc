"""The index of a large repository: made anew, brought up to date, asked."""

from __future__ import annotations

import sys

from tests.benchmarks import histories
from tests.benchmarks.bench import Bench, Options
from tests.benchmarks.desk import Desk
from tests.benchmarks.measuring import Spent
from tests.benchmarks.rows.row import OURS, Row, Target, memory, plus, rate

PYTHON, SMALL = "bare Python", "a tenth of the assets"
NEXT, NOTHING_NEW = "the command after that", "the one after, with nothing new"
LIST = ("list", "--limit", "20")


def rows(options: Options) -> list[Row]:
    """Names the rows."""
    assets, start = options.assets, plus(PYTHON, 40)
    linear = Target("11 × the time for a tenth of the assets", lambda medians: 11 * medians[SMALL].seconds)
    return [
        Row(
            "rebuild",
            f"`rebuild` of {assets:,} assets, {options.commits:,} commits, without previews",
            (linear, memory(400), rate(20_000, assets, "assets")),
            beside=True,
        ),
        Row("catch-up", f"`list` that finds one new commit, {assets:,} assets", beside=True),
        Row("ask-list", f"`list`, {assets:,} assets", (start,), beside=True),
        Row("ask-provenance", f"`provenance --commit`, {assets:,} assets", (start,), beside=True),
        Row("ask-show", f"`show`, {assets:,} assets", (start,), beside=True),
        Row("ask-search", f"`search`, {assets:,} assets", (start,), beside=True),
    ]


class Asked:
    """A large repository, made once in a run."""

    def __init__(self, bench: Bench, assets: int) -> None:
        bench.say(f"  making a repository of {assets:,} assets")
        folder = bench.scratch / f"index-{assets}"
        self.desk = Desk(folder, bench.starter)
        self.path = folder / "repo"
        self.history = histories.make(self.path, assets, bench.options.commits, objects=True)
        commits = self.desk.ask("git", "rev-list", "HEAD", cwd=self.path).split()
        self.commit = commits[len(commits) // 2]
        paths = list(self.history.there)
        self.asset = f"assets/{paths[len(paths) // 2]}"

    def run(self, *words: str) -> Spent:
        """Runs one of our commands."""
        return self.desk.run("comfyvn-store", *words, cwd=self.path)

    def one_more(self) -> None:
        """Makes a commit that no index knows yet."""
        histories.add_one(self.path, self.desk.env, self.history)


def run(bench: Bench) -> None:
    """One round."""
    if not bench.wants(*(row.key for row in rows(bench.options))):
        return
    great = _kept(bench, bench.options.assets)
    if bench.wants("rebuild"):
        small = _kept(bench, max(1, bench.options.assets // 10))
        for column, asked in ((SMALL, small), (OURS, great)):
            bench.settle()
            spent = asked.run("rebuild", "--no-previews")
            bench.record("rebuild", column, spent)
            bench.say(f"  rebuild: {column} {spent.seconds:.2f} s")
    _ask(bench, great)
    if bench.wants("catch-up"):
        great.one_more()
        for column in (OURS, NEXT, NOTHING_NEW):
            bench.settle()
            bench.record("catch-up", column, great.run(*LIST))
        bench.say("  catch-up")


def _kept(bench: Bench, assets: int) -> Asked:
    key = f"index {assets}"
    if key not in bench.kept:
        bench.kept[key] = Asked(bench, assets)
    found: Asked = bench.kept[key]
    return found


def _ask(bench: Bench, asked: Asked) -> None:
    questions = {
        "ask-list": LIST,
        "ask-provenance": ("provenance", "--commit", asked.commit),
        "ask-show": ("show", asked.asset),
        "ask-search": ("search", "lighthouse", "--limit", "20"),
    }
    for _ in range(bench.options.repeats):
        for key, words in questions.items():
            if bench.wants(key):
                bench.record(key, PYTHON, asked.desk.run(sys.executable, "-c", "pass"))
                bench.record(key, OURS, asked.run(*words))
    bench.say("  questions")
