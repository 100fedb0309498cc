"""Beside other hooks and hook managers, in any order of installation: theirs and ours run once each, and `uninstall` gives
theirs back."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from comfyvn_store.ops.shims import HOOKS
from tests import media, oracle
from tests.gitrepo import GitRepo, run
from tests.hookspy import ALICE, CLUB, LOGGED, SEEDS, SH, begin, commit_art, theirs_alone, use_git

HUSKY = Path(sys.prefix) / "node_modules/husky/bin.js"


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


# -- each manager, before and after init, and told to call us ------------------------------------------------------


def framework(repo: GitRepo, ours: str = "") -> Callable[[], object]:
    if shutil.which("pre-commit") is None:
        pytest.skip("pre-commit is not here: pip install pre-commit")
    lines = [f"default_install_hook_types: [{', '.join(HOOKS)}]", "repos:", "  - repo: local", "    hooks:"]
    for name in HOOKS:
        lines += [f"      - id: {name}", f"        name: {name}", "        language: system"]
        lines += [f"        entry: sh -c '{LOGGED.format(name=name)}'", f"        stages: [{name}]"]
        lines += ["        always_run: true", "        pass_filenames: false"]
    text = "\n".join([*lines, ours.partition("repos:\n")[2], ""])
    repo.write(".pre-commit-config.yaml", text)
    return lambda: run(["pre-commit", "install"], cwd=repo.path)


def lefthook(repo: GitRepo, ours: str = "") -> Callable[[], object]:
    if shutil.which("lefthook") is None:
        pytest.skip("lefthook is not here: pip install lefthook")
    ours, _, script = ours.partition("\n# .lefthook/pre-commit/comfyvn-store\n")
    if script:
        repo.write(".lefthook/pre-commit/comfyvn-store", script + "\n").chmod(0o755)
        ours = ours.replace("pre-commit:\n", "pre-commit:\n  commands:\n")
    text = ours or "".join(f"{name}:\n  commands:\n" for name in HOOKS)
    for name in HOOKS:
        command = f"    theirs:\n      run: {LOGGED.format(name=name)}\n"
        text = text.replace(f"{name}:\n  commands:\n", f"{name}:\n  commands:\n{command}")
    repo.write("lefthook.yml", text + "\n")
    return lambda: run(["lefthook", "install", "--force"], cwd=repo.path)


def husky(repo: GitRepo, ours: str = "") -> Callable[[], object]:
    if shutil.which("node") is None or not HUSKY.exists():
        pytest.skip(f"husky is not here: npm install --prefix {sys.prefix} husky@9")
    for name in HOOKS:
        own = [line for line in ours.split("\n") if f"hooks/{name}" in line]
        repo.write(f".husky/{name}", "\n".join([LOGGED.format(name=name), *own, ""]))
    return lambda: run(["node", str(HUSKY)], cwd=repo.path)


def existing(repo: GitRepo, ours: str = "") -> Callable[[], object]:
    """Hooks that people wrote, in four languages."""

    def install() -> None:
        if (repo.path / ".git/hooks/pre-commit").exists():
            return
        bash, python = "#!/usr/bin/env bash\n", f"#!{sys.executable}\n"
        for name in HOOKS:
            repo.write(f".git/hooks/{name}", SH.format(name=name))
        repo.write(".git/hooks/post-commit", bash + "[[ 1 ]] && " + LOGGED.format(name="post-commit") + "\n")
        code = "import subprocess as s; d = s.check_output(['git', 'rev-parse', '--git-dir'], text=True).strip()\n"
        code += "open(d + '/theirs.log', 'a').write('post-checkout\\n')\n"
        repo.write(".git/hooks/post-checkout", python + code)
        true = Path(shutil.which("true") or "/bin/true").resolve()
        repo.write(".git/hooks/post-merge", true.read_bytes())  # a program that is no script
        for name in HOOKS:
            (repo.path / ".git/hooks" / name).chmod(0o755)

    return install


MANAGERS = {"pre-commit": framework, "lefthook": lefthook, "husky": husky, "existing": existing}


@pytest.mark.parametrize("name", MANAGERS)
def test_a_manager_that_was_there_before_init(repo: GitRepo, name: str) -> None:
    install = MANAGERS[name](repo)
    install()
    before = {path.name: path.read_bytes() for path in hooks_of(repo)}
    begin(repo)
    assert "your pre-commit hook is kept" in repo.tool("init").out
    repo.commit("set up")
    use_git(repo)
    assert repo.tool("doctor").code == 0
    theirs_alone(repo)
    assert {path.name: path.read_bytes() for path in hooks_of(repo)} == before


def hooks_of(repo: GitRepo) -> list[Path]:
    folder = Path(repo.git("rev-parse", "--path-format=absolute", "--git-path", "hooks").out)
    return [path for path in folder.iterdir() if not path.name.endswith(".sample")]


@pytest.mark.parametrize("name", ["pre-commit", "lefthook", "husky"])
def test_a_manager_that_comes_after_init(repo: GitRepo, name: str) -> None:
    install = MANAGERS[name](repo)
    begin(repo)
    repo.tool("init")
    repo.commit("set up")
    install()
    if name != "pre-commit":  # the others call no hook that they find: doctor says so, and mends it
        done = repo.tool("doctor", check=False)
        assert done.code == 1
        assert ("lefthook has put its hooks in the place of ours" in done.out) == (name == "lefthook")
        repo.tool("doctor", "--fix")
    use_git(repo)
    install()
    repo.tool("init")
    commit_art(repo)
    assert repo.tool("doctor").code == 0
    theirs_alone(repo)


@pytest.mark.parametrize("name", ["pre-commit", "lefthook", "husky"])
def test_a_manager_that_is_told_to_call_us(repo: GitRepo, name: str) -> None:
    MANAGERS[name](repo)
    said_by_init = repo.tool("init", "--print", "--json").json()["managers"]
    assert [(each["name"], each["called"]) for each in said_by_init] == [(name, [])]
    install = MANAGERS[name](repo, said_by_init[0]["snippet"])
    begin(repo)
    repo.tool("init")
    repo.commit("set up")
    install()
    if name != "pre-commit":  # which keeps ours and calls it, too, until init is run again
        assert repo.tool("doctor").code == 0
        commit_art(repo)
    repo.tool("init")
    use_git(repo)
    install()
    repo.write(ALICE, media.png(seed=next(SEEDS)))
    repo.commit("only repainted", "-a")
    oracle.check_all(repo)
    assert repo.tool("doctor").code == 0
    assert repo.tool("init", "--print", "--json").json()["managers"][0]["called"] == sorted(HOOKS)
    theirs_alone(repo)


def test_unstaged_edits_survive_a_commit_through_the_framework(repo: GitRepo) -> None:
    install = framework(repo)
    install()
    begin(repo)
    repo.tool("init")
    for seed, path in enumerate((ALICE, CLUB)):
        repo.write(path, media.png(seed=seed))
    repo.write("assets/song.wav", media.wav())
    repo.git("add", "-A")
    repo.commit("art")
    edit, song = media.png(seed=7), media.wav(seconds=0.3)
    repo.write(CLUB, edit)
    repo.write("assets/song.wav", song)
    repo.write(ALICE, media.png(seed=8))
    repo.git("add", ALICE)
    repo.commit("alice")
    assert sorted(repo.status()) == [f" T {CLUB}", " T assets/song.wav"] or len(repo.status()) == 2
    # the framework put both away and back through the filters: they may carry markers now, and all that they had
    assert repo.read("assets/song.wav") in (song, media.marked(song))
    repo.git("add", "-A")
    repo.commit("club")
    assert repo.sidecar(CLUB)["provenance"]["source_hash"] == oracle.digest(edit)
    oracle.check_all(repo)


def test_what_a_manager_is_still_to_be_told_is_shown_until_it_calls_all(repo: GitRepo) -> None:
    repo.write("lefthook.yml", "pre-commit:\n  jobs:\n    - run: echo theirs\n")
    told = repo.tool("init", "--print", "--json").json()["managers"][0]["snippet"]
    outside, mark, script = told.partition("\n# .lefthook/pre-commit/comfyvn-store\n")
    assert mark
    assert (
        "\nlefthook is in use; so that it calls ours by itself, add to lefthook.yml\n"
        in repo.tool("init", "--print").out
    )
    repo.write("lefthook.yml", outside)
    said = repo.tool("init", "--print").out
    assert "\nlefthook calls only some of ours; " in said and mark.strip() in said
    repo.write(".lefthook/pre-commit/comfyvn-store", script)
    assert "lefthook" not in repo.tool("init", "--print").out
