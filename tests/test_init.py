"""`init` ties a repository of any shape to the store, keeps what was there, and a second run changes nothing."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from comfyvn_store.ops.shims import HOOKS
from tests import media
from tests.gitrepo import GitRepo, Result, run

PICTURE = "assets/characters/alice.png"
MODULE = ["-P", "-m", "comfyvn_store"]


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing shall write below the work tree while a test compares it."""
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def add_picture(repo: GitRepo, path: str = PICTURE, seed: int = 1) -> str:
    """Adds and commits a picture; gives the hash of what the view shows."""
    repo.write(path, media.png(seed=seed))
    repo.git("add", path)
    repo.commit(f"add {path}")
    return hashlib.sha256(repo.read(path)).hexdigest()


def snapshot(*places: Path) -> dict[str, tuple[int, int, bytes]]:
    """Mode, mtime and bytes of everything below, the SQLite file with its helpers apart."""
    found = {}
    for place in places:
        for path in [place, *place.rglob("*")]:
            if path.name.startswith("index.db") or (path.is_dir() and not path.is_symlink()):
                continue
            info = path.lstat()
            data = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            found[str(path)] = (info.st_mode, info.st_mtime_ns, data)
    return found


def hook(repo: GitRepo, name: str, text: str, *, mode: int = 0o755, folder: str = ".git/hooks") -> Path:
    place = repo.write(f"{folder}/{name}", text)
    place.chmod(mode)
    return place


def hooks_said(repo: GitRepo) -> list[str]:
    log = repo.path / "hook.log"
    return log.read_text().splitlines() if log.exists() else []


def refused(result: Result, *words: str) -> None:
    assert result.code == 20, (result.code, result.err)
    assert result.err.startswith("error: "), result.err
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err, (word, result.err)


# -- what it makes -------------------------------------------------------------------------------------------------


def test_makes_store_link_config_attributes_excludes_hooks_and_index(repo: GitRepo) -> None:
    done = repo.tool("init")
    assert done.out.startswith("Initialized comfyvn-store in ")
    store = repo.path / ".git/comfyvn"
    assert (store / "format").read_bytes() == b"1\n"
    assert all((store / name).is_dir() for name in ("objects", "tmp", "bad", "trash"))
    assert repo.link(".comfyvn") == ".git/comfyvn"
    assert repo.git("config", "filter.comfyvn.required").out == "true"
    for key in ("filter.comfyvn.process", "filter.comfyvn-sidecar.process", "merge.comfyvn-sidecar.driver"):
        assert sys.executable in repo.git("config", "--local", key).out
    assert repo.git("config", "filter.comfyvn-sidecar.required", check=False).code == 1
    attributes = repo.read("assets/.gitattributes").decode().splitlines()
    assert "* filter=comfyvn -text" in attributes
    assert "*.asset.json filter=comfyvn-sidecar merge=comfyvn-sidecar diff=comfyvn-sidecar text" in attributes, (
        attributes
    )
    assert repo.staged("assets/.gitattributes") is not None
    excludes = (repo.path / ".git/info/exclude").read_text().splitlines()
    assert {"/.comfyvn", "/cache/thumbs/", "/assets/_meta/", ".comfyvn-tmp-*"} <= set(excludes)
    for name in HOOKS:
        place = repo.path / ".git/hooks" / name
        assert os.access(place, os.X_OK)
        assert place.read_text().startswith(f"#!/bin/sh\n# comfyvn-store hook: {name}\n")
    version = run(["sqlite3", str(store / "index.db"), "PRAGMA user_version"], cwd=repo.path, check=False)
    assert (store / "index.db").is_file() or version.code == 0
    assert repo.status() == ["A  assets/.gitattributes"]
    assert not (repo.path / ".gitignore").exists()


@pytest.mark.parametrize(
    ("path", "driver"),
    [
        ("assets/a.png", "comfyvn"),
        ("assets/characters/deep/a.ogg", "comfyvn"),
        ("assets/a.png.asset.json", "comfyvn-sidecar"),
        ("assets/.gitattributes", "unspecified"),
        ("assets/x/.hidden", "unspecified"),
        ("assets/Thumbs.db", "unspecified"),
        ("assets/x/desktop.ini", "unspecified"),
        ("assets/x/one.png.dvc", "unspecified"),
        ("other/a.png", "unspecified"),
        ("a.png", "unspecified"),
    ],
)
def test_attributes_reach_art_and_nothing_else(store_repo: GitRepo, path: str, driver: str) -> None:
    assert store_repo.git("check-attr", "filter", "--", path).out == f"{path}: filter: {driver}"


def test_second_run_changes_nothing(store_repo: GitRepo) -> None:
    add_picture(store_repo)
    store_repo.write("assets/staged.png", media.png(seed=9))
    store_repo.git("add", "assets")
    store_repo.tool("init")
    before = snapshot(store_repo.path)
    again = store_repo.tool("init")
    assert again.out.startswith("Reinitialized existing comfyvn-store in ")
    assert snapshot(store_repo.path) == before


def test_runs_from_a_subfolder(repo: GitRepo) -> None:
    (repo.path / "game/scripts").mkdir(parents=True)
    repo.tool("init", cwd="game/scripts")
    assert repo.link(".comfyvn") == ".git/comfyvn"
    assert not (repo.path / "game/scripts/assets").exists()
    add_picture(repo)
    assert repo.status() == []


def test_in_an_unborn_repository_the_first_commit_works(store_repo: GitRepo) -> None:
    add_picture(store_repo)
    assert store_repo.status() == []
    assert store_repo.sidecar(PICTURE)["provenance"]["commit"] == store_repo.head()


def test_lines_of_the_user_stay_behind_ours(repo: GitRepo) -> None:
    own = b"*.txt -filter\r\n# no newline at the end"
    repo.write("assets/.gitattributes", own)
    exclude = repo.path / ".git/info/exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_bytes(b"*.psd~")
    repo.tool("init")
    text = repo.read("assets/.gitattributes")
    assert text.endswith(own) and len(text) > len(own)
    assert exclude.read_bytes().startswith(b"*.psd~\n")
    assert repo.git("check-attr", "filter", "assets/readme.txt").out.endswith(": unset")
    before = snapshot(repo.path)
    repo.tool("init")
    assert snapshot(repo.path) == before


def test_a_moved_repository_still_works(store_repo: GitRepo, tmp_path: Path) -> None:
    hash_ = add_picture(store_repo)
    moved = GitRepo(tmp_path / "elsewhere" / "deeper")
    moved.path.parent.mkdir()
    store_repo.path.rename(moved.path)
    assert hashlib.sha256(moved.read(PICTURE)).hexdigest() == hash_
    add_picture(moved, "assets/backgrounds/club.png", seed=2)
    assert moved.status() == []
    assert moved.link("assets/backgrounds/club.png").startswith("../../.comfyvn/objects/")


# -- paths and places ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["with space", "it's", 'say "hi"', "100%P $HOME `x` !", "größe"])
def test_any_path_for_the_repository_and_the_interpreter(tmp_path: Path, name: str) -> None:
    python = tmp_path / name / "python env"
    python.parent.mkdir()
    python.symlink_to(sys.prefix, target_is_directory=True)
    repo = GitRepo.create(tmp_path / name / f"repo {name}")
    run([str(python / "bin/python"), *MODULE, "init"], cwd=repo.path)
    assert repo.git("config", "comfyvn.python").out == str(python / "bin/python")
    assert str(python) in repo.git("config", "filter.comfyvn.process").out.replace("'\\''", "'")
    bare_path = {"PATH": "/usr/bin:/bin"}
    repo.write(PICTURE, media.png())
    repo.git("add", "-A", env=bare_path)
    repo.git("commit", "-qm", "art", env=bare_path)
    assert repo.link(PICTURE).startswith("../../.comfyvn/objects/")
    assert repo.sidecar(PICTURE)["provenance"]["commit"] == repo.head()
    # two branches edit one sidecar, so that the merge driver is started through the same path
    repo.git("switch", "-qc", "other")
    repo.tool("annotate", PICTURE, "--tag", "blue")
    repo.git("commit", "-qm", "blue", env=bare_path)
    repo.git("switch", "-q", "-")
    repo.tool("annotate", PICTURE, "--tag", "red")
    repo.git("commit", "-qm", "red", env=bare_path)
    repo.git("merge", "-q", "-m", "both", "other", env=bare_path)
    assert repo.sidecar(PICTURE)["tags"] == ["blue", "red"]
    assert repo.status() == []


@pytest.mark.parametrize("way", ["environment", "config"])
def test_another_root_is_written_where_a_clone_finds_it(repo: GitRepo, way: str) -> None:
    env = {"COMFYVN_ASSETS_ROOT": "game/images"} if way == "environment" else {}
    if way == "config":
        repo.git("config", "comfyvn.assetsRoot", "game/images")
    repo.tool("init", env=env)
    assert repo.git("config", "--file", ".comfyvnconfig", "comfyvn.assetsRoot").out == "game/images"
    assert repo.staged(".comfyvnconfig") is not None
    assert not (repo.path / "assets").exists()
    add_picture(repo, "game/images/bg/club.png")
    assert repo.link("game/images/bg/club.png").startswith("../../../.comfyvn/objects/")
    assert repo.sidecar("game/images/bg/club.png")["path"] == "bg/club.png"
    assert repo.status() == []
    before = snapshot(repo.path)
    repo.tool("init")
    assert snapshot(repo.path) == before


@pytest.mark.parametrize("root", ["my art", "[ab]*?", "it's", 'a"b', "x}y$z`w", "!new", "#1", "bilder/größe", "a\\b"])
def test_odd_characters_in_the_name_of_the_root(repo: GitRepo, root: str) -> None:
    repo.git("config", "comfyvn.assetsRoot", root)
    repo.tool("init")
    # these match the root's name as a pattern, or share its beginning, and are not below it
    for other in ("a/x.png", "my/x.png", "assets/x.png"):
        repo.write(other, media.png(seed=3))
    path = f"{root}/faces/alice.png"
    repo.write(path, media.png())
    repo.git("add", "-A")
    repo.commit("art")
    assert repo.link(path).endswith(repo.link(path)[-62:]) and ".comfyvn/objects/" in repo.link(path)
    assert repo.sidecar(path)["provenance"]["commit"] == repo.head()
    assert not (repo.path / "assets/x.png").is_symlink()
    assert repo.blob("HEAD:a/x.png") == media.png(seed=3)
    (repo.path / root / "_meta/x").mkdir(parents=True)
    repo.write(f"{root}/_meta/x/y.json", b"{}")
    assert repo.status() == []
    repo.git("switch", "-q", "--orphan", "empty")
    repo.git("switch", "-q", "main")
    assert repo.sidecar(path)["provenance"]["commit"] == repo.head()


@pytest.mark.parametrize("root", ["..", "../other", ".", "/", "assets/../..", ".git/art"])
def test_a_root_outside_the_work_tree_or_equal_to_it_is_refused(repo: GitRepo, root: str) -> None:
    before = snapshot(repo.path)
    refused(repo.tool("init", env={"COMFYVN_ASSETS_ROOT": root}, check=False), "assets root", "hint: ")
    assert snapshot(repo.path) == before


def test_a_root_that_is_a_symlink_out_of_the_repository_is_refused(repo: GitRepo, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (repo.path / "assets").symlink_to(outside)
    before = snapshot(repo.path)
    refused(repo.tool("init", check=False), "symlink", "hint: ")
    assert list(outside.iterdir()) == []
    assert snapshot(repo.path) == before


def test_a_root_that_is_a_file_is_refused(repo: GitRepo) -> None:
    repo.write("assets", b"a list of assets\n")
    before = snapshot(repo.path)
    refused(repo.tool("init", check=False), "is a file", "hint: ")
    assert snapshot(repo.path) == before


def test_a_root_that_is_a_submodule_is_refused(repo: GitRepo, tmp_path: Path) -> None:
    art = GitRepo.create(tmp_path / "art")
    art.write("readme", b"art\n")
    art.git("add", "-A")
    art.commit("first")
    repo.git("submodule", "--quiet", "add", str(art.path), "assets")
    refused(repo.tool("init", check=False), "submodule", "hint: ")
    assert not (repo.path / ".git/comfyvn").exists()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_something_else_called_comfyvn_in_the_way_is_refused(repo: GitRepo, kind: str) -> None:
    if kind == "file":
        repo.write(".comfyvn", b"mine")
    else:
        repo.write(".comfyvn/notes.txt", b"mine")
    before = snapshot(repo.path)
    refused(repo.tool("init", check=False), "'.comfyvn' is in the way", "hint: ")
    assert snapshot(repo.path) == before


def test_a_tracked_link_to_the_store_is_refused(repo: GitRepo, tmp_path: Path) -> None:
    (repo.path / ".comfyvn").symlink_to(tmp_path)
    repo.git("add", ".comfyvn")
    before = snapshot(repo.path)
    result = repo.tool("init", check=False)
    refused(result, "tracked")
    assert snapshot(repo.path) == before
    command = result.err.split("`")[1]
    subprocess.run(shlex.split(command), cwd=repo.path, check=True, capture_output=True)
    repo.tool("init")
    assert repo.link(".comfyvn") == ".git/comfyvn"


def test_bare_repository_and_no_repository(tmp_path: Path) -> None:
    bare = GitRepo.create(tmp_path / "bare.git", "--bare")
    refused(bare.tool("init", check=False), "bare")
    nothing = GitRepo(tmp_path / "nothing")
    nothing.path.mkdir()
    result = nothing.tool("init", check=False)
    assert (result.code, result.out) == (10, "")
    assert result.err.splitlines() == [
        "error: this is not a git repository",
        "hint: run `git init`, then `comfyvn-store init`",
    ]


def test_a_store_of_a_newer_format_is_left_alone(store_repo: GitRepo) -> None:
    (store_repo.path / ".git/comfyvn/format").write_text("2\n")
    before = snapshot(store_repo.path)
    for command in ("init", "uninstall", "list", "status"):
        result = store_repo.tool(command, check=False)
        assert result.code == 17, command
        assert "format '2'" in result.err and "hint: install a newer" in result.err
    assert snapshot(store_repo.path) == before
    store_repo.write(PICTURE, media.png())
    assert store_repo.git("add", PICTURE, check=False).code != 0
    assert store_repo.staged(PICTURE) is None


# -- linked work trees and submodules ------------------------------------------------------------------------------


def test_a_work_tree_linked_after_init_is_ready(store_repo: GitRepo, tmp_path: Path) -> None:
    hash_ = add_picture(store_repo)
    linked = GitRepo(tmp_path / "else where" / "linked")
    store_repo.git("worktree", "add", "-q", "-b", "side", str(linked.path))
    assert hashlib.sha256(linked.read(PICTURE)).hexdigest() == hash_
    assert linked.sidecar(PICTURE)["provenance"]["commit"] == store_repo.head()
    other = add_picture(linked, "assets/bg/two.png", seed=2)
    assert store_repo.object_path(other).is_file()
    assert linked.status() == [] and store_repo.status() == []
    assert (linked.path / ".comfyvn").resolve() == (store_repo.path / ".git/comfyvn").resolve()
    store_repo.git("worktree", "remove", str(linked.path))


def test_init_in_a_linked_work_tree_sets_up_all_of_them(repo: GitRepo, tmp_path: Path) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "first")
    linked = GitRepo(tmp_path / "linked")
    repo.git("worktree", "add", "-q", "-b", "side", str(linked.path))
    linked.tool("init")
    assert (repo.path / ".git/comfyvn/format").is_file()
    assert (repo.path / ".git/hooks/pre-commit").is_file()
    hash_ = add_picture(linked)
    repo.git("merge", "-q", "side")
    assert hashlib.sha256(repo.read(PICTURE)).hexdigest() == hash_
    assert repo.sidecar(PICTURE)["provenance"]["commit"] == linked.head()
    assert repo.status() == [] and linked.status() == []


def test_in_a_work_tree_of_a_bare_repository(repo: GitRepo, tmp_path: Path) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "first")
    repo.git("clone", "-q", "--bare", ".", str(tmp_path / "project/.bare"))
    bare, tree = GitRepo(tmp_path / "project/.bare"), GitRepo(tmp_path / "project/main")
    bare.git("worktree", "add", "-q", str(tree.path), "main")
    tree.tool("init")
    assert (tree.path / ".comfyvn").resolve() == (bare.path / "comfyvn").resolve()
    add_picture(tree)
    assert tree.status() == []
    assert tree.sidecar(PICTURE)["provenance"]["commit"] == tree.head()


def test_in_a_submodule(repo: GitRepo, tmp_path: Path) -> None:
    origin = GitRepo.create(tmp_path / "origin")
    origin.git("commit", "-q", "--allow-empty", "-m", "first")
    repo.git("submodule", "--quiet", "add", str(origin.path), "game")
    inner = GitRepo(repo.path / "game")
    inner.tool("init")
    assert inner.link(".comfyvn") == "../.git/modules/game/comfyvn"
    add_picture(inner)
    assert inner.status() == []
    assert not (repo.path / ".git/comfyvn").exists()
    assert [line for line in repo.status() if "comfyvn" in line] == []


# -- hooks ---------------------------------------------------------------------------------------------------------


SH = '#!/bin/sh\necho "{name} $#: $*" >> "$(git rev-parse --show-toplevel)/hook.log"\n'


def test_hooks_that_were_there_are_kept_and_called_with_their_arguments(repo: GitRepo) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "first")
    (repo.path / ".git/info").mkdir(exist_ok=True)
    (repo.path / ".git/info/exclude").write_text("hook.log\n")
    for name in HOOKS:
        hook(repo, name, SH.format(name=name))
    text = SH.format(name="pre-commit")
    done = repo.tool("init")
    assert "your pre-commit hook is kept" in done.out
    assert (repo.path / ".git/hooks/pre-commit.before-comfyvn").read_text() == text
    first = repo.head()
    add_picture(repo)
    second = repo.head()
    assert hooks_said(repo)[-2:] == ["pre-commit 0: ", "post-commit 0: "]
    repo.git("switch", "-q", "--detach", first)
    assert hooks_said(repo)[-1] == f"post-checkout 3: {second} {first} 1"
    repo.git("merge", "-q", "main")
    assert hooks_said(repo)[-1] == "post-merge 1: 0"
    repo.git("commit", "-q", "--amend", "-m", "again")
    assert hooks_said(repo)[-1] == "post-rewrite 1: amend"
    repo.git("switch", "-q", "--detach", first)
    repo.write("other.txt", b"other\n")
    repo.git("add", "-A")
    repo.commit("beside")
    repo.git("merge", "-q", "--no-edit", "main")
    assert "pre-merge-commit 0: " in hooks_said(repo)


def test_post_rewrite_hands_its_input_on(repo: GitRepo) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "first")
    hook(repo, "post-rewrite", '#!/bin/sh\ncat > "$(git rev-parse --git-dir)/rewritten"\n')
    repo.tool("init")
    add_picture(repo)
    old = repo.head()
    repo.git("commit", "-q", "--amend", "-m", "other words")
    assert (repo.path / ".git/rewritten").read_text() == f"{old} {repo.head()}\n"
    base = repo.git("rev-parse", "HEAD^").out
    add_picture(repo, "assets/bg/b.png", seed=2)
    picked = repo.git("rev-list", "--reverse", f"{base}..HEAD").out.split()
    repo.git("rebase", "-q", "--force-rebase", base)
    lines = (repo.path / ".git/rewritten").read_text().splitlines()
    assert [line.split()[0] for line in lines] == picked
    assert repo.status() == []


@pytest.mark.parametrize("interpreter", ["/bin/sh", "/usr/bin/env python3"])
def test_a_kept_pre_commit_that_fails_stops_the_commit(repo: GitRepo, interpreter: str) -> None:
    body = "import sys; sys.exit(3)" if "python" in interpreter else "echo no >&2; exit 3"
    hook(repo, "pre-commit", f"#!{interpreter}\n{body}\n")
    repo.tool("init")
    repo.write(PICTURE, media.png())
    repo.git("add", "-A")
    result = repo.git("commit", "-qm", "art", check=False)
    assert result.code == 1
    assert repo.git("rev-parse", "--verify", "HEAD", check=False).code != 0
    assert not (repo.path / PICTURE).is_symlink()


def test_a_kept_post_checkout_gives_git_its_status(repo: GitRepo) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "first")
    hook(repo, "post-checkout", "#!/bin/sh\nexit 5\n")
    repo.tool("init")
    assert repo.git("switch", "-qc", "other", check=False).code != 0


def test_a_hook_that_is_not_executable_stays_unused(repo: GitRepo) -> None:
    hook(repo, "pre-commit", "#!/bin/sh\nexit 1\n", mode=0o644)
    repo.tool("init")
    add_picture(repo)
    assert (repo.path / ".git/hooks/pre-commit.before-comfyvn").stat().st_mode & 0o777 == 0o644


def test_a_hook_that_is_a_symlink_is_kept_as_one(repo: GitRepo) -> None:
    hook(repo, "check.sh", SH.format(name="linked"), folder="tools")
    (repo.path / ".git/hooks").mkdir(exist_ok=True)
    (repo.path / ".git/hooks/pre-commit").symlink_to("../../tools/check.sh")
    repo.tool("init")
    assert repo.link(".git/hooks/pre-commit.before-comfyvn") == "../../tools/check.sh"
    assert (repo.path / "tools/check.sh").read_text() == SH.format(name="linked")
    add_picture(repo)
    assert hooks_said(repo) == ["linked 0: "]


def test_a_kept_sh_hook_sees_the_name_it_had(repo: GitRepo) -> None:
    hook(repo, "pre-commit", '#!/usr/bin/env sh\necho "$(basename "$0")" >> hook.log\n')
    repo.tool("init")
    repo.write("readme.txt", b"x")
    repo.git("add", "readme.txt")
    repo.commit("no art")
    assert hooks_said(repo) == ["pre-commit"]


def test_a_hook_manager_that_looks_beside_its_hook_still_works(repo: GitRepo) -> None:
    hook(repo, "pre-commit", '#!/usr/bin/env sh\n. "$(dirname "$0")/h"\n', folder=".husky/_")
    hook(
        repo,
        "h",
        '#!/usr/bin/env sh\nn=$(basename "$0")\ns=$(dirname "$(dirname "$0")")/$n\n'
        '[ ! -f "$s" ] && exit 0\nsh -e "$s" "$@"\nc=$?\nexit $c\n',
        folder=".husky/_",
    )
    hook(repo, "pre-commit", "echo from husky >> hook.log\nexit 1\n", folder=".husky")
    repo.git("config", "core.hooksPath", ".husky/_")
    repo.tool("init")
    repo.write("readme.txt", b"x")
    repo.git("add", "readme.txt")
    assert repo.git("commit", "-qm", "no art", check=False).code == 1
    assert hooks_said(repo) == ["from husky"]


@pytest.mark.parametrize("where", ["absolute", "relative", "home"])
def test_core_hooks_path_is_respected(repo: GitRepo, tmp_path: Path, hermetic: Path, where: str) -> None:
    folder = {"absolute": tmp_path / "my hooks", "relative": repo.path / "tools/hooks", "home": hermetic / "hooks"}[
        where
    ]
    folder.mkdir(parents=True)
    (folder / "pre-commit").write_text(SH.format(name="mine"))
    (folder / "pre-commit").chmod(0o755)
    value = {"absolute": str(folder), "relative": "tools/hooks", "home": "~/hooks"}[where]
    repo.git("config", "core.hooksPath", value)
    repo.tool("init")
    (repo.path / "game").mkdir()
    repo.tool("init", cwd="game")
    assert (folder / "post-commit").is_file()
    assert (folder / "pre-commit.before-comfyvn").read_text() == SH.format(name="mine")
    assert not (repo.path / ".git/hooks/pre-commit").exists()
    add_picture(repo)
    assert repo.link(PICTURE).startswith("../../.comfyvn/")
    assert hooks_said(repo) == ["mine 0: "]
    assert repo.status() == ["?? hook.log"]


def test_hooks_that_are_turned_off_are_an_error(repo: GitRepo) -> None:
    repo.git("config", "core.hooksPath", "/dev/null")
    before = snapshot(repo.path)
    refused(repo.tool("init", check=False), "core.hooksPath", "/dev/null", "hint: ")
    assert snapshot(repo.path) == before


def test_a_shim_that_lost_its_mode_or_text_is_mended(store_repo: GitRepo) -> None:
    place = store_repo.path / ".git/hooks/pre-commit"
    text = place.read_bytes()
    place.chmod(0o644)
    store_repo.tool("init")
    assert os.access(place, os.X_OK)
    place.write_bytes(text.replace(b"set", b"SET") + b"exit 1\n")
    store_repo.tool("init")
    assert place.read_bytes() == text
    assert list(place.parent.glob("*.before-comfyvn*")) == []


def test_a_hook_put_over_ours_is_kept_like_the_first(repo: GitRepo) -> None:
    hook(repo, "pre-commit", SH.format(name="first"))
    repo.tool("init")
    hook(repo, "pre-commit", SH.format(name="second"))
    repo.tool("init")
    repo.write("readme.txt", b"x")
    repo.git("add", "readme.txt")
    repo.commit("no art")
    assert hooks_said(repo) == ["second 0: "]
    assert (repo.path / ".git/hooks/pre-commit.before-comfyvn.1").read_text() == SH.format(name="first")


def test_shims_are_portable_sh(store_repo: GitRepo) -> None:
    for name in HOOKS:
        for shell in ("dash", "bash"):
            if shutil.which(shell):
                run([shell, "-n", f".git/hooks/{name}"], cwd=store_repo.path)
    assert "@" not in "".join(
        line
        for name in HOOKS
        for line in (store_repo.path / ".git/hooks" / name).read_text().replace('"$@"', "").splitlines()
    )


# -- raw art that was there before ---------------------------------------------------------------------------------


@pytest.mark.parametrize("root", ["assets", "my art [1]"])
def test_raw_art_of_before_is_left_alone_until_the_command_that_init_names(repo: GitRepo, root: str) -> None:
    raw = {f"{root}/characters/{name}.png": media.png(seed=n) for n, name in enumerate(("alice", "bob"))}
    for path, data in raw.items():
        repo.write(path, data)
    repo.write("game/script.rpy", b"label start:\n")
    repo.git("add", "-A")
    repo.commit("before")
    if root != "assets":
        repo.git("config", "comfyvn.assetsRoot", root)
    done = repo.tool("init", cwd="game")
    assert "2 files" in done.out
    command = next(line.strip() for line in done.out.splitlines() if "--renormalize" in line)
    repo.git("commit", "-qm", "tie to the store")
    repo.write("game/script.rpy", b"label other:\n")
    repo.git("commit", "-qm", "unrelated", "--", "game/script.rpy")
    for path, data in raw.items():
        assert repo.blob(f"HEAD:{path}") == data
        assert repo.read(path) == data and not (repo.path / path).is_symlink()
    subprocess.run(["sh", "-c", command], cwd=repo.path / "game", check=True, capture_output=True)
    for path, data in raw.items():
        assert repo.staged(path)[0] == "120000"
        assert repo.link(path) == repo.blob(f"HEAD:{path}").decode()
        assert repo.sidecar(path)["provenance"]["source_hash"] == hashlib.sha256(data).hexdigest()
    assert repo.status() == []
    assert "renormalize" not in repo.tool("init").out
