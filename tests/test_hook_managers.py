"""Beside other hooks and hook managers, in any order of installation: theirs and ours run once each, `uninstall` gives
theirs back, and folders of hooks that are tracked or shared hold nothing of one machine."""

import itertools
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from comfyvn_store.ops.shims import HOOKS
from tests import media, oracle
from tests.gitrepo import GitRepo, run

ALICE, CLUB = "assets/characters/alice.png", "assets/bg/club.png"
CARD = ".asset.json"
SH = '#!/bin/sh\necho {name} >>"$(git rev-parse --git-dir)/theirs.log"\n'
HUSKY = Path(sys.prefix) / "node_modules/husky/bin.js"
LOGGED = 'echo {name} >>"$(git rev-parse --git-dir)/theirs.log"'


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def spy(repo: GitRepo) -> None:
    """Notes each hook for which our Python is started."""
    log, place = repo.path / ".git/ours.log", repo.path / ".git/spy"
    place.write_text(f"""#!/bin/sh\necho "$6" >>'{log}'\nexec '{sys.executable}' "$@"\n""")
    place.chmod(0o755)
    repo.git("config", "comfyvn.python", str(place))


def said(repo: GitRepo, whose: str) -> list[str]:
    """What ran since the last time."""
    log = repo.path / f".git/{whose}.log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


SEEDS = itertools.count()
STEPS = (
    (["commit", "-qm", "art"], ["pre-commit", "post-commit"], ["post-commit", "pre-commit"]),
    # a text is staged, so that pre-commit of ours leaves without Python; post-rewrite does after every amend
    (["commit", "-q", "--amend", "-m", "again"], ["post-commit"], ["post-commit", "post-rewrite", "pre-commit"]),
    (["switch", "-qc", "side", "HEAD~"], ["post-checkout"], ["post-checkout"]),
    (["switch", "-q", "main"], ["post-checkout"], ["post-checkout"]),
)


def use_git(repo: GitRepo) -> None:
    """Adds, commits, amends, switches and rebases art; after each everything is as it should be, and ran once."""
    spy(repo)
    repo.write(ALICE, media.png(seed=next(SEEDS)))
    repo.git("add", "-A")
    said(repo, "ours"), said(repo, "theirs")
    for words, ours, theirs in STEPS:
        if "commit" in words:  # lefthook runs no pre-commit of a commit in which files only change their type
            repo.write("readme.txt", f"{next(SEEDS)}")
            repo.git("add", "-A")
        repo.git(*words)
        assert (words, said(repo, "ours"), sorted(said(repo, "theirs"))) == (words, ours, theirs)
        assert repo.status() == [], words
    repo.git("switch", "-q", "side")
    repo.write(CLUB, media.png(seed=next(SEEDS)))
    repo.git("add", "-A")
    repo.commit("club")
    said(repo, "ours"), said(repo, "theirs")
    repo.git("rebase", "-q", "main")
    assert said(repo, "ours") == ["post-rewrite"] and said(repo, "theirs").count("post-rewrite") == 1
    repo.git("switch", "-q", "main")
    repo.git("merge", "-q", "--ff-only", "side")
    repo.git("branch", "-qd", "side")
    oracle.check_all(repo)
    repo.tool("init")


def theirs_alone(repo: GitRepo) -> None:
    """After `uninstall` theirs run as before, and nothing of ours is among them."""
    repo.tool("uninstall")
    said(repo, "theirs"), said(repo, "ours")
    repo.write("readme.txt", f"{next(SEEDS)}")
    repo.git("commit", "-qm", "plain", "--", "readme.txt")
    assert sorted(said(repo, "theirs")) == ["post-commit", "pre-commit"] and said(repo, "ours") == []
    folder = Path(repo.git("rev-parse", "--path-format=absolute", "--git-path", "hooks").out)
    for place in folder.iterdir():
        assert "comfyvn" not in place.name and b"# comfyvn-store hook" not in place.read_bytes()


def begin(repo: GitRepo) -> None:
    repo.write("readme.txt", b"x")
    repo.git("add", "-A")
    repo.git("-c", "core.hooksPath=/dev/null", "commit", "-qm", "first")


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
    use_git(repo)
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
    if name != "pre-commit":
        assert repo.tool("doctor").code == 0
        use_git(repo)
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
    assert repo.read("assets/song.wav") == song
    # the framework put the picture away and back through the filters: it carries its marker now, and all that it had
    repo.git("add", "-A")
    repo.commit("club")
    assert repo.sidecar(CLUB)["provenance"]["source_hash"] == oracle.digest(edit)
    oracle.check_all(repo)


# -- folders of hooks ----------------------------------------------------------------------------------------------


def test_tracked_hooks_are_the_projects_and_hold_nothing_of_this_machine(repo: GitRepo, tmp_path: Path) -> None:
    for name in HOOKS:
        repo.write(f".githooks/{name}", SH.format(name=name)).chmod(0o755)
    begin(repo)
    repo.git("config", "core.hooksPath", ".githooks")
    assert repo.tool("init", "--print", "--json").json()["are_hooks_tracked"]
    repo.tool("init")
    assert "?? .githooks/pre-commit.before-comfyvn" in repo.status() and " M .githooks/pre-commit" in repo.status()
    repo.git("add", "-A")
    repo.commit("hooks of comfyvn-store")
    assert repo.status() == []
    for place in (repo.path / ".githooks").iterdir():
        assert str(tmp_path).encode() not in place.read_bytes() and sys.executable.encode() not in place.read_bytes()
    use_git(repo)
    # a colleague without init: theirs run, ours leave at once
    clone = GitRepo(tmp_path / "clone")
    repo.git("clone", "-q", ".", str(clone.path))
    clone.git("config", "core.hooksPath", ".githooks")
    clone.write("readme.txt", b"y")
    clone.git("commit", "-qam", "words")
    assert said(clone, "theirs") == ["pre-commit", "post-commit"]
    clone.tool("init")
    assert clone.status() == []
    use_git(clone)


def test_a_folder_shared_by_repositories_serves_each_and_the_last_one_clears_it(hermetic: Path, tmp_path: Path) -> None:
    folder = hermetic / "hooks"
    folder.mkdir()
    for name in HOOKS:
        (folder / name).write_text(SH.format(name=name))
        (folder / name).chmod(0o755)
    before = {place.name: place.read_bytes() for place in folder.iterdir()}
    one, two, other = (GitRepo.create(tmp_path / name) for name in ("one", "two", "other"))
    one.git("config", "--global", "core.hooksPath", "~/hooks")
    two.git("config", "comfyvn.assetsRoot", "game/art")
    for repo in (one, two, other):
        begin(repo)
    one.tool("init")
    two.tool("init")
    two.write("game/art/a.png", media.png())
    two.git("add", "-A")
    two.commit("art")
    assert (two.path / "game/art/a.png").is_symlink() and two.status() == []
    one.commit("set up")
    use_git(one)
    said(two, "theirs")
    other.write("assets/a.png", media.png())
    other.git("add", "-A")
    assert other.commit("not ours") and said(other, "theirs") == ["pre-commit", "post-commit"]
    assert not (other.path / ".git/comfyvn").exists()
    assert "the hooks stay" in two.tool("uninstall").out
    two.git("commit", "-q", "--allow-empty", "-m", "plain")
    assert said(two, "theirs") == ["pre-commit", "post-commit"]
    use_git(one)
    theirs_alone(one)
    assert {place.name: place.read_bytes() for place in folder.iterdir()} == before


def test_print_writes_nothing_and_tells_all(repo: GitRepo) -> None:
    repo.write(".git/hooks/pre-commit", SH.format(name="pre-commit")).chmod(0o755)
    (repo.path / ".husky").mkdir()
    before = {str(path): path.read_bytes() for path in repo.path.rglob("*") if path.is_file()}
    text = repo.tool("init", "--print").out
    plan = repo.tool("init", "--print", "--json").json()
    assert {str(path): path.read_bytes() for path in repo.path.rglob("*") if path.is_file()} == before
    assert plan["config"]["comfyvn.python"] == sys.executable and plan["is_store_new"]
    assert plan["hooks"][0] == {
        "name": "pre-commit",
        "path": str(repo.path / ".git/hooks/pre-commit"),
        "action": "written, after the one there",
        "kept_as": str(repo.path / ".git/hooks/pre-commit.before-comfyvn"),
    }
    for word in ("comfyvn.python", "pre-commit.before-comfyvn", ".gitattributes", "/.comfyvn", ".husky/pre-commit"):
        assert word in text, word
    repo.tool("init")
    for key, value in plan["config"].items():
        assert repo.git("config", "--local", key).out == value
    for path in (plan["attributes"]["path"], plan["excludes"]["path"], *(each["path"] for each in plan["hooks"])):
        assert Path(path).is_file()
    assert os.readlink(plan["link"]["path"]) == plan["link"]["text"]
    shutil.rmtree(repo.path / ".husky")
    assert repo.tool("init", "--print").out == "nothing to write: this repository is set up"
    repo.git("config", "core.hooksPath", "/dev/null")
    assert repo.tool("init", "--print", check=False).code == 20
