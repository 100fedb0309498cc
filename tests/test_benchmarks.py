"""The benchmark suite works: every row with every tool on a few tiny files, what it says of them, and what it writes."""

import dataclasses
import sys
import xml.etree.ElementTree as xml
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.benchmarks import page, plot, raw, run, tables
from tests.benchmarks.bench import Bench, Options
from tests.benchmarks.measuring import Spent, Starter, WorkFailed
from tests.benchmarks.pictures import picture, write_large
from tests.benchmarks.rows import few, index, large, many, startup, thumbnails
from tests.benchmarks.rows.row import OURS, Row, plus, times
from tests.benchmarks.tools import TOOLS
from tests.benchmarks.tools.ours import Ours
from tests.benchmarks.tools.plain import Plain

TINY = Options(count=3, many=3, size=6_000, large=20_000, assets=40, commits=4, pictures=2, runs=1, repeats=1)


@pytest.fixture
def starter() -> Iterator[Starter]:
    made = Starter()
    yield made
    made.close()


@pytest.fixture
def bench(starter: Starter, tmp_path: Path) -> Callable[..., Bench]:
    return lambda *kinds: Bench(TINY, starter, tmp_path, kinds, round=1, syncs=False)


# -- each tool


@pytest.mark.parametrize("kind", TOOLS, ids=lambda kind: kind.name)
def test_every_row_works_with_every_tool(bench: Callable[..., Bench], kind: type[Plain]) -> None:
    if not kind.found():
        pytest.skip(f"{kind.name} is not installed")
    suite = bench(kind)
    for group in (few, many, large):
        group.run(suite)
    keys = {row.key for group in (few, many, large) for row in group.rows(TINY)} - {"disk"}
    assert {key for key, columns in suite.found.items() if columns[kind.name]} == keys
    assert all(each.seconds > 0 for columns in suite.found.values() for runs in columns.values() for each in runs)
    assert min(suite.facts["disk"][kind.name].values()) > 0


def test_what_only_ours_does_works(bench: Callable[..., Bench]) -> None:
    suite = bench(Ours)
    index.run(suite)
    thumbnails.run(suite)
    rows = [row for group in (index, thumbnails) for row in group.rows(TINY)]
    assert {row.key for row in rows} == set(suite.found)
    middle = tables.medians(suite.found)
    assert all(target.share(middle[row.key]) is not None for row in rows for target in row.targets)


def test_every_program_that_git_starts_is_among_the_imports(bench: Callable[..., Bench]) -> None:
    found = startup.started_by_git(bench(Ours))
    assert list(found) == [f"git starts: {name}" for name in startup.ENTRIES]
    for told, spent in found.values():
        assert "comfyvn_store.hot.main" in told.modules and told.milliseconds > 0 and spent.processor > 0


def test_a_switch_that_brings_nothing_is_noticed(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(few, "OTHERS", 0)  # the same pictures on both branches
    with pytest.raises(WorkFailed, match="are the same"):
        few.run(bench(Plain))


def test_a_group_that_fails_costs_its_own_rows_only(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = bench(Plain)
    monkeypatch.setattr(run, "GROUPS", (few, large))
    suite.round = 0
    monkeypatch.setattr(Plain, "clone", lambda self, path: self.git("no-such-verb"))
    assert run.measure(suite, lambda: None) == ["few"]
    assert set(suite.found) == {"add-large"}
    assert "no-such-verb" in capsys.readouterr().err


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_rounds_that_were_whole_are_kept_whatever_ends_the_next(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    suite = bench(Plain)
    monkeypatch.setattr(run, "GROUPS", (few, large))
    suite.options = dataclasses.replace(TINY, runs=2)
    clone = Plain.clone

    def third_fails(tool: Plain, path: Path) -> Spent:
        if suite.round == 2:
            raise error
        return clone(tool, path)

    monkeypatch.setattr(Plain, "clone", third_fails)
    kept: list[int] = []
    assert run.measure(suite, lambda: kept.append(len(suite.found.get("add-few", {}).get("git", ())))) == ["few"]
    assert {key: len(columns["git"]) for key, columns in suite.found.items() if key in ("add-few", "push", "pull")} == {
        "add-few": 1,
        "push": 1,
        "pull": 1,
    }
    assert kept[:3] == [0, 1, 1]
    assert ("add-large" in suite.found) == isinstance(error, OSError)


def test_too_little_room_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="are needed"):
        run.require_room(Options(large=1 << 60), tmp_path)
    run.require_room(TINY, tmp_path)


def test_the_first_round_does_not_count(bench: Callable[..., Bench]) -> None:
    suite = bench(Plain)
    for suite.round in (0, 1, 2):
        large.run(suite)
    assert [len(runs) for runs in suite.found["add-large"].values()] == [2, 2, 2]


# -- measuring


def test_the_time_and_memory_of_what_a_command_starts_is_counted(starter: Starter, tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin"}
    little = starter.run(["true"], tmp_path, env)
    code = f"'{sys.executable}' -I -S -c 'x = bytes([1]) * (64 << 20); sum(range(2000000))'; true"
    much = starter.run(["sh", "-c", code], tmp_path, env)
    assert little.memory < 32 << 20 < 64 << 20 <= much.memory
    assert much.processor > little.processor


def test_a_command_that_fails_is_told_with_what_it_said(starter: Starter, tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match=r"exited 3 .*sorry"):
        starter.run(["sh", "-c", "echo sorry >&2; exit 3"], tmp_path, {"PATH": "/usr/bin:/bin"})
    assert starter.run(["true"], tmp_path, {"PATH": "/usr/bin:/bin"}).seconds > 0


def test_pictures_have_the_size_that_is_asked_for_and_none_is_another(tmp_path: Path) -> None:
    made = [picture(seed, size) for seed in (1, 2, 1_000_001) for size in (32 << 10, 33 << 10)]
    assert len(set(made)) == len(made)
    assert all(abs(len(each) - size) < 1_000 for each, size in zip(made, [32 << 10, 33 << 10] * 3, strict=True))
    write_large(tmp_path / "large.png", 1, 3 << 20)
    assert abs((tmp_path / "large.png").stat().st_size - (3 << 20)) < 100_000


# -- telling


def spent(milliseconds: float, memory: int = 1 << 20) -> Spent:
    return Spent(milliseconds / 1000, milliseconds / 1000, memory)


ROWS = [
    Row("add", "add of <three>", (times(0.5, "git-lfs"), times(1.0, "dvc"), plus("git", 10))),
    Row("status", "`git status`"),
    Row("ask", "asking", (plus("bare Python", 40),), beside=True),
]
FOUND = {
    "add": {"git": [spent(20)], "git-lfs": [spent(100), spent(300), spent(200)], OURS: [spent(50, 64 << 20)]},
    "status": {"git": [spent(2)], OURS: [spent(3)]},
    "ask": {"bare Python": [spent(10)] * 3, OURS: [spent(100), spent(30), spent(150)]},
}
MIDDLE = tables.medians(FOUND)


def test_tables_tell_medians_and_what_became_of_each_target() -> None:
    assert "| add of <three> | 20 ms | 200 ms | 50 ms |" in tables.side_by_side(
        ROWS, MIDDLE, ["git", "git-lfs", OURS], "seconds"
    )
    assert tables.targets(ROWS, FOUND).splitlines()[2:] == [
        "| add of <three> | 0.5 × git-lfs | 0.50 | – | met |",
        "| add of <three> | 1 × dvc | – | – | not compared |",
        "| add of <three> | git + 10 ms | 1.67 | – | **missed** |",
        "| asking | bare Python + 40 ms | 2.00 | 0.60 – 3.00 | **missed** |",
    ]
    assert "| asking | 100 ms | 100 ms | bare Python: 10 ms" in tables.alone(ROWS, MIDDLE, ["git", OURS])
    assert "< 8.4 MiB" in tables.memory(ROWS, MIDDLE, ["git", OURS], 8 << 20)
    assert "64 MiB" in tables.memory(ROWS, MIDDLE, ["git", OURS], 8 << 20)


def test_the_plot_has_a_dot_for_each_tool_of_each_row_that_can_be_compared() -> None:
    picture = plot.draw(ROWS, MIDDLE, ["git", "git-lfs", OURS])
    tops = xml.fromstring(picture)
    dots = [each for each in tops.iter("{http://www.w3.org/2000/svg}circle") if len(each)]
    assert [each[0].text for each in dots] == ["git: 0.10×", "git-lfs: 1.00×", f"{OURS}: 0.25×"]
    across = [float(each.attrib["cx"]) for each in dots]
    assert across[0] < across[2] < across[1]
    assert xml.fromstring(plot.draw([], {}, [])) is not None


def test_the_page_keeps_what_people_wrote() -> None:
    text = "# Title\n\n<!-- bench: times -->\nold\n<!-- bench end -->\n\nprose \\1\n"
    once = page.filled(text, {"times": "| new \\1 |"})
    assert once == "# Title\n\n<!-- bench: times -->\n\n| new \\1 |\n\n<!-- bench end -->\n\nprose \\1\n"
    assert page.filled(once, {"times": "| new \\1 |"}) == once
    with pytest.raises(page.NoPlace, match="disk"):
        page.filled(text, {"disk": "x"})


def test_the_page_of_the_documentation_has_a_place_for_everything() -> None:
    facts = {
        "machine": {"processor": "one", "least memory told": 0},
        "disk": {"git": {"objects": 1, "kept": 1, "tree": 1}},
        "start-up": {"list": [1, 1, 1]},
    }
    found = {row.key: {OURS: [spent(1)], "git": [spent(1)]} for row in run.all_rows(Options())}
    blocks = run.blocks(Options(), found, facts)
    blocks["plot"] = "a picture"
    text = run.PAGE.read_text(encoding="utf-8")
    assert len(blocks) == text.count("<!-- bench: ") == text.count("<!-- bench end -->")
    assert page.filled(text, blocks) != text


def test_raw_times_of_several_runs_are_told_together(tmp_path: Path) -> None:
    raw.save(tmp_path, {"add": FOUND["add"]}, {"machine": {"a": 1}})
    raw.save(tmp_path, {"ask": FOUND["ask"], "add": {"git": [spent(7)]}}, {"machine": {"a": 2}})
    assert raw.load(tmp_path) == ({"ask": FOUND["ask"], "add": {"git": [spent(7)]}}, {"machine": {"a": 2}})


def test_a_tool_that_is_not_here_or_does_not_work_is_left_out_with_a_note(
    starter: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Absent(Plain):
        name, program = "absent", "no-such-program"

    class Broken(Plain):
        name, program = "broken", "sh"

        def version(self) -> str:
            return self.desk.ask("sh", "-c", "echo cannot >&2; exit 1")

    monkeypatch.setattr(run, "TOOLS", (Plain, Absent, Broken))
    here, notes = run.chosen([], tmp_path, starter)
    assert list(here) == [Plain] and here[Plain][0].isdigit()
    assert notes[0] == "absent is not installed, so it is left out"
    assert notes[1].startswith("broken does not work, so it is left out") and "cannot" in notes[1]
    assert run.chosen(["absent"], tmp_path, starter) == ({}, notes[:1])


def test_times_of_other_sizes_are_not_told_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"machine": {"least memory told": 0}, "sizes": run.sizes(TINY)}
    raw.save(tmp_path, {"add-few": {OURS: [spent(1)]}}, facts)
    with pytest.raises(SystemExit, match="other sizes"):
        run.main(["--raw", str(tmp_path), "--rows", "add-few"])
    assert run.main(["--raw", str(tmp_path), "--only-tell"]) == 0
    assert "add + commit of 3 × 5 KiB" in capsys.readouterr().out


def test_only_a_whole_run_writes_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--list"]) == 0
    assert "add-few" in capsys.readouterr().out
    assert run.options_of(run.parsed(["--quick", "--count", "7"])).count == 7
    assert run.is_whole(run.parsed(["--runs", "3"])) and run.is_whole(run.parsed(["--raw", "x"]))
    for words in (["--quick"], ["--rows", "add"], ["--tools", "git"], ["--size", "9"]):
        assert not run.is_whole(run.parsed(words))
