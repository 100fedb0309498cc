"""`doctor` names what is wrong with an installation and the command that mends it; `--fix` mends without losing a byte."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import media, oracle
from tests.gitrepo import GitRepo
from tests.templates import copied

ALICE, CLUB = "assets/characters/alice.png", "assets/bg/club.png"
CARD = ".asset.json"


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def make_art(repo: GitRepo) -> None:
    for seed, path in enumerate((ALICE, CLUB)):
        repo.write(path, media.png(seed=seed))
    repo.git("add", "-A")
    repo.commit("art")


@pytest.fixture
def art(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> GitRepo:
    return copied(tmp_path_factory, make_art, tmp_path / "repo")


def found(repo: GitRepo, *words: str) -> dict[str, list[str]]:
    """The paths of each kind of finding; the exit code agrees with them."""
    done = repo.tool("doctor", "--json", *words, check=False)
    assert done.code == (1 if done.json()["findings"] else 0), done.err
    return {each["kind"]: each["paths"] for each in done.json()["findings"]}


def remedy(repo: GitRepo, kind: str) -> str:
    findings = repo.tool("doctor", "--json", check=False).json()["findings"]
    (said,) = [each["remedy"] for each in findings if each["kind"] == kind]
    assert isinstance(said, str) and said
    return said


def type_in(repo: GitRepo, command: str) -> None:
    """Runs the command that a finding names, as a person would."""
    subprocess.run(["sh", "-c", command], cwd=repo.path, check=True, capture_output=True)


def stage(repo: GitRepo, path: str, data: bytes, mode: str = "100644") -> None:
    oid = repo.git("hash-object", "-w", "--stdin", "--no-filters", input=data).out
    repo.git("update-index", "-z", "--index-info", input=f"{mode} {oid} 0\t{path}\0")


def unhooked(repo: GitRepo, message: str) -> None:
    repo.git("-c", "core.hooksPath=/dev/null", "commit", "-qm", message)


def test_a_healthy_repository_is_one_line(art: GitRepo) -> None:
    art.write("assets/new.png", media.png(seed=5))
    art.git("add", "-A")  # what is staged is the next commit's business
    art.write(CLUB, b"an edit")
    for words in ((), ("--fix",)):
        done = art.tool("doctor", *words)
        assert (done.out, done.err) == ("3 assets; hooks, filters and store are in order", "")
    assert art.staged("assets/new.png")[0] == "100644"  # type: ignore[index]
    assert art.read(CLUB) == b"an edit"


def test_where_init_never_ran_it_says_so(repo: GitRepo) -> None:
    done = repo.tool("doctor", "--json", check=False)
    assert (done.code, done.json()["error"]) == (10, "not-initialised")
    repo.tool("init")
    repo.tool("uninstall")
    assert list(found(repo)) == ["retired"] and list(found(repo, "--fix")) == ["retired"]
    type_in(repo, remedy(repo, "retired"))
    assert found(repo) == {}


INSTALLATION: dict[str, Callable[[GitRepo], object]] = {
    "hooks-missing": lambda repo: (repo.path / ".git/hooks/post-merge").unlink(),
    "hooks-not-executable": lambda repo: (repo.path / ".git/hooks/post-merge").chmod(0o644),
    "hooks-outdated": lambda repo: append(repo, ".git/hooks/post-merge", "exit 0\n"),
    "hooks-foreign": lambda repo: repo.write(".git/hooks/post-merge", "#!/bin/sh\n").chmod(0o755),
    "interpreter": lambda repo: repo.git("config", "comfyvn.python", "/nowhere/python"),
    "config": lambda repo: repo.git("config", "--unset", "filter.comfyvn.required"),
    "attributes": lambda repo: repo.write("assets/.gitattributes", "*.txt -filter\n"),
    "excludes": lambda repo: (repo.path / ".git/info/exclude").unlink(),
    "link-missing": lambda repo: (repo.path / ".comfyvn").unlink(),
    "link-wrong": lambda repo: lead_elsewhere(repo),
    "store-folders": lambda repo: (repo.path / ".git/comfyvn/trash").rmdir(),
    "commit-note": lambda repo: repo.write(".git/comfyvn/commit.pid", "999999999\n"),
    "index": lambda repo: garble(repo),
    "touched": lambda repo: (repo.path / ALICE).resolve().chmod(0o644),
}


def append(repo: GitRepo, path: str, text: str) -> None:
    with (repo.path / path).open("a") as stream:
        stream.write(text)


def lead_elsewhere(repo: GitRepo) -> None:
    (repo.path / ".comfyvn").unlink()
    (repo.path / ".comfyvn").symlink_to(repo.path.parent)


def garble(repo: GitRepo) -> None:
    place = repo.path / ".git/comfyvn/index.db"
    data = place.read_bytes()
    for old in place.parent.glob("index.db*"):
        old.unlink()
    place.write_bytes(data[:4096] + b"garbage" * 2000)


def test_each_fault_of_the_installation_is_named_and_mended(art: GitRepo) -> None:
    seen = {path: art.read(path) for path in (ALICE, CLUB)}
    for kind, break_it in INSTALLATION.items():
        break_it(art)
        kinds = found(art)
        assert set(kinds) == {kind} or (kind, set(kinds)) == ("interpreter", {"interpreter", "config"}), kind
        assert all(path for path in kinds[kind]), kind
        fixed = art.tool("doctor", "--fix")
        assert fixed.out.startswith("mended: "), kind
        assert fixed.out.endswith("2 assets; hooks, filters and store are in order"), kind
        assert art.tool("doctor", "--fix").out == "2 assets; hooks, filters and store are in order", kind
    assert {path: art.read(path) for path in seen} == seen
    assert art.blob(":assets/.gitattributes").endswith(b"*.txt -filter\n")
    assert art.status() == ["M  assets/.gitattributes"]


def test_the_same_faults_by_the_command_that_is_named(art: GitRepo) -> None:
    for kind in ("hooks-foreign", "interpreter", "link-wrong", "index"):
        INSTALLATION[kind](art)
        type_in(art, remedy(art, kind))
        assert found(art) == {}, kind
    art.git("config", "core.hooksPath", "/dev/null")
    assert list(found(art)) == ["hooks-path"] and list(found(art, "--fix")) == ["hooks-path"]
    type_in(art, remedy(art, "hooks-path"))
    (art.path / ".comfyvn").unlink()
    art.write(".comfyvn", b"mine")
    assert list(found(art, "--fix")) == ["link-blocked"] and art.read(".comfyvn") == b"mine"
    type_in(art, remedy(art, "link-blocked"))
    art.git("add", "-f", ".comfyvn")
    assert list(found(art)) == ["link-tracked"]
    art.git("rm", "-q", "--cached", ".comfyvn")
    other = art.path.parent / "hooks"
    other.mkdir()
    art.git("config", "core.hooksPath", str(other))
    done = art.tool("doctor", check=False)
    assert "core.hooksPath leads to another folder" in done.out and str(other / "pre-commit") in done.out
    type_in(art, remedy(art, "hooks-missing"))
    assert found(art) == {}


def test_lines_between_our_markers_are_kept(art: GitRepo) -> None:
    text = art.read("assets/.gitattributes").decode().replace("Thumbs.db !filter !text !merge\n", "*.md -filter\n")
    art.write("assets/.gitattributes", text)
    assert list(found(art)) == ["attributes"]
    assert found(art, "--fix") == {}
    assert art.git("check-attr", "filter", "assets/a.md").out == "assets/a.md: filter: unset"
    assert art.git("check-attr", "filter", "assets/Thumbs.db").out == "assets/Thumbs.db: filter: unspecified"


def test_other_settings_that_are_in_force_are_named(art: GitRepo) -> None:
    art.git("config", "extensions.worktreeConfig", "true")
    art.git("config", "--worktree", "filter.comfyvn.process", "cat")
    assert found(art) == {"config-overridden": ["filter.comfyvn.process"]}
    assert list(found(art, "--fix")) == ["config-overridden"]
    type_in(art, remedy(art, "config-overridden"))
    assert found(art) == {}
    append(art, "assets/.gitattributes", "*.png -filter\n")
    assert found(art) == {"attributes-overridden": [CLUB, ALICE]}
    # raw art is legal where the user says so
    art.git("checkout", "-q", "--", "assets/.gitattributes")
    append(art, "assets/.gitattributes", "*.psd -filter\n")
    stage(art, "assets/raw.psd", b"bytes")
    assert found(art) == {}


def test_what_commits_without_hooks_left_is_staged(art: GitRepo) -> None:
    hash_ = art.sidecar(CLUB)["hash"]
    raw = media.png(seed=9)
    stage(art, "assets/raw.png", raw)
    stage(art, ALICE, art.blob(f"HEAD:{ALICE}"))
    stage(art, CLUB, oracle.link_text("a/b/c/d", hash_).encode(), "120000")
    art.git("rm", "-q", "--cached", f"{ALICE}{CARD}")
    stage(art, f"{CLUB}{CARD}", art.blob(f"HEAD:{ALICE}{CARD}"))
    unhooked(art, "all wrong")
    art.write("assets/raw.png", raw)
    art.write("readme.txt", b"an edit")
    assert found(art) == {
        "raw": ["assets/raw.png"],
        "unflipped": [ALICE],
        "misplaced": [CLUB],
        "no-sidecar": [ALICE],
        "other-sidecar": [CLUB],
    }
    assert art.tool("check", check=False).code == 1
    head = art.head()
    done = art.tool("doctor", "--fix")
    assert "staged; now: git commit" in done.out and art.head() == head
    assert art.tool("doctor").code == 0
    art.commit("mended")
    assert art.tool("check").code == 0
    assert art.status() == ["?? readme.txt"]
    art.git("clean", "-qf", "readme.txt")
    oracle.check_all(art)
    assert oracle.digest(raw) == art.sidecar("assets/raw.png")["provenance"]["source_hash"]


def test_an_edit_beside_raw_art_is_not_touched(art: GitRepo) -> None:
    stage(art, "assets/raw.png", media.png(seed=9))
    unhooked(art, "raw")
    art.write("assets/raw.png", media.png(seed=10))
    assert found(art, "--fix") == {}
    assert art.read("assets/raw.png") == media.png(seed=10)
    assert art.staged("assets/raw.png")[0] == "120000"  # type: ignore[index]
    art.commit("mended")
    art.git("checkout", "-q", "--", "assets/raw.png")
    assert art.sidecar("assets/raw.png")["provenance"]["source_hash"] == oracle.digest(media.png(seed=9))


def test_a_broken_sidecar_is_left_to_a_person_with_the_version_to_take(art: GitRepo) -> None:
    good = art.head()
    stage(art, f"{ALICE}{CARD}", b"<<<<<<< ours\n")
    unhooked(art, "broken")
    assert found(art, "--fix") == {"broken-sidecar": [f"{ALICE}{CARD}"]}
    assert remedy(art, "broken-sidecar") == f"git checkout {good[:10]} -- '{ALICE}{CARD}'"
    type_in(art, remedy(art, "broken-sidecar"))
    assert found(art) == {}


def test_objects_that_are_missing_or_damaged(art: GitRepo) -> None:
    alice, club = ((art.path / path).resolve() for path in (ALICE, CLUB))
    away = art.path.parent / "away"
    alice.rename(away)
    club.chmod(0o644)
    club.write_bytes(b"written through the link")
    assert found(art, "--fix") == {"missing": [ALICE], "damaged": [CLUB]}
    assert club.read_bytes() == b"written through the link"
    assert remedy(art, "missing") == "comfyvn-store pull"
    away.rename(alice)
    assert remedy(art, "damaged") == f"comfyvn-store recover '{CLUB}'"


def test_git_itself_is_looked_at(art: GitRepo, tmp_path: Path) -> None:
    lock = art.write(".git/index.lock", b"")
    assert found(art) == {}  # too young to be a leftover
    os.utime(lock, (1, 1))
    assert list(found(art)) == ["index-lock"]
    assert list(found(art, "--fix")) == ["index-lock"] and lock.exists()
    type_in(art, remedy(art, "index-lock"))
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    fake = bin_ / "git"
    real = subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True, check=True).stdout.strip()
    fake.write_text(f'#!/bin/sh\ntest "$1" = --version && echo "git version 2.20.1" && exit\nexec {real} "$@"\n')
    fake.chmod(0o755)
    done = art.tool("doctor", "--json", check=False, env={"PATH": f"{bin_}:{os.environ['PATH']}"})
    assert [each["kind"] for each in json.loads(done.out)["findings"]] == ["git-version"]
    data = art.read(".git/index")
    art.write(".git/index", data[:40] + b"garbage" * 9)
    assert list(found(art)) == ["git-index"]
    type_in(art, remedy(art, "git-index"))
    assert found(art) == {} and art.status() == []
