"""`check` names what is wrong with commits, and needs git alone: bare repositories, server hooks, shallow clones."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests import media
from tests.gitrepo import GitRepo, run
from tests.oracle import link_text
from tests.templates import copied

ALICE, CLUB, ODD = "assets/characters/alice.png", "assets/bg/club.png", "assets/voice/zoë “the\nfox”.png"
CARD = ".asset.json"


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def make_art(repo: GitRepo) -> None:
    for seed, path in enumerate((ALICE, CLUB, ODD)):
        repo.write(path, media.png(seed=seed))
    repo.git("add", "-A")
    repo.commit("art")


@pytest.fixture
def art(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> GitRepo:
    return copied(tmp_path_factory, make_art, tmp_path / "repo")


def stage(repo: GitRepo, path: str, data: bytes, mode: str = "100644") -> None:
    """Puts bytes into git's index as somebody without the tool does."""
    oid = repo.git("hash-object", "-w", "--stdin", "--no-filters", input=data).out
    repo.git("update-index", "-z", "--index-info", input=f"{mode} {oid} 0\t{path}\0")


def unhooked(repo: GitRepo, message: str) -> str:
    """Commits the index without any hook."""
    repo.git("-c", "core.hooksPath=/dev/null", "commit", "-qm", message)
    return repo.head()


def found(repo: GitRepo, *words: str) -> list[tuple[str, str]]:
    """The path and kind of each finding; the exit code agrees with them."""
    done = repo.tool("check", "--json", *words, check=False)
    findings = done.json()["findings"]
    assert done.code == (1 if findings else 0), done.err
    return [(each["path"], each["kind"]) for each in findings]


def test_what_the_hooks_made_is_in_order(art: GitRepo) -> None:
    done = art.tool("check")
    assert (done.code, done.out, done.err) == (0, "1 commit, 3 assets: nothing wrong", "")
    art.git("mv", ALICE, "assets/alice.png")
    art.commit("moved")
    art.git("rm", "-q", CLUB)
    art.commit("removed")
    art.tool("annotate", ODD, "--tag", "fox")
    art.commit("tag")
    assert found(art) == []
    assert found(art, "HEAD~3..") == []
    assert art.tool("check", "HEAD~3..HEAD").out == "3 commits, 2 assets: nothing wrong"


def test_each_kind_of_fault_is_named_with_commit_path_and_remedy(art: GitRepo) -> None:
    sidecar = art.blob(f"HEAD:{ALICE}{CARD}")
    hash_ = art.sidecar(ALICE)["hash"]
    faults = {
        "raw": lambda: stage(art, "assets/raw.png", media.png(seed=9)),
        "unflipped": lambda: stage(art, ALICE, art.blob(f"HEAD:{ALICE}")),
        "misplaced": lambda: stage(art, ALICE, link_text("a/b/c/d", hash_).encode(), "120000"),
        "no-sidecar": lambda: art.git("rm", "-q", "--cached", f"{ALICE}{CARD}"),
        "broken-sidecar": lambda: stage(art, f"{ALICE}{CARD}", b"<<<<<<< ours\n" + sidecar),
        "other-sidecar": lambda: stage(art, f"{ALICE}{CARD}", art.blob(f"HEAD:{CLUB}{CARD}")),
    }
    first = art.head()
    for kind, fault in faults.items():
        fault()
        commit = unhooked(art, kind)
        path = "assets/raw.png" if kind == "raw" else ALICE
        assert found(art) == [(path, kind)], kind
        assert found(art, "HEAD^..HEAD") == [(path, kind)], kind
        done = art.tool("check", "--json", "HEAD^!", check=False)
        (finding,) = done.json()["findings"]
        assert finding["commit"] == commit and finding["remedy"] and finding["message"]
        said = art.tool("check", check=False)
        assert said.out == f"{commit[:10]} {path}: {finding['message']}"
        assert said.err == f"hint: {finding['remedy'].replace(' --amend', '')}"
        art.git("reset", "-q", "--hard", first)


def test_a_commit_without_hooks_is_mended_by_what_is_said(art: GitRepo) -> None:
    art.write("assets/new.png", media.png(seed=7))
    art.git("add", "-A")
    unhooked(art, "no hooks")
    assert found(art) == [("assets/new.png", "unflipped"), ("assets/new.png", "no-sidecar")]
    art.write(CLUB, media.png(seed=8))
    art.git("add", "-A")
    art.commit("the next commit of art")
    assert found(art) == []
    assert [kind for _, kind in found(art, "HEAD~2..HEAD")] == ["unflipped", "no-sidecar"]


def test_a_commit_that_a_server_refused_passes_once_it_does_as_it_is_told(art: GitRepo) -> None:
    stage(art, "assets/two words.png", media.png(seed=9))
    unhooked(art, "raw")
    done = art.tool("check", "HEAD", "^HEAD^", check=False)
    assert done.err == "hint: git add --renormalize 'assets/two words.png' && git commit --amend"
    art.git("reset", "-q", "--hard")
    run(["sh", "-c", done.err.removeprefix("hint: ") + " --no-edit"], cwd=art.path)
    assert art.tool("check", "HEAD", "^HEAD^").out == "1 commit, 1 asset: nothing wrong"
    older = art.head()
    stage(art, "assets/raw.png", media.png(seed=8))
    unhooked(art, "raw again")
    stage(art, "notes.txt", b"x")
    unhooked(art, "later")
    hints = art.tool("check", f"{older}..", check=False).err.splitlines()
    assert len(hints) == 2 and "git rebase -i" in hints[1]


def test_a_repository_of_copies_may_hold_files(art: GitRepo) -> None:
    stage(art, ALICE, art.blob(f"HEAD:{ALICE}"))
    unhooked(art, "a file")
    art.write(".comfyvnconfig", "[comfyvn]\n\tviews = copy\n")
    art.git("add", ".comfyvnconfig")
    unhooked(art, "copies")
    assert found(art) == []
    assert found(art, "HEAD~") == [(ALICE, "unflipped")]
    stage(art, CLUB, art.blob(f"HEAD:{CLUB}"))
    unhooked(art, "another file")
    assert found(art, "HEAD~3..") == [(ALICE, "unflipped")]


def test_root_and_attributes_are_those_of_each_commit(art: GitRepo) -> None:
    first = art.head()
    stage(art, "assets/readme.txt", b"text\n")
    raw = unhooked(art, "text")
    with (art.path / "assets/.gitattributes").open("a") as stream:
        stream.write("*.txt -filter\n")
    art.git("add", "assets/.gitattributes")
    stage(art, "assets/credits.txt", b"thanks\n")
    unhooked(art, "texts are git's")
    art.write("assets/src/.gitattributes", "* -filter\n")
    art.git("add", "assets/src/.gitattributes")
    stage(art, "assets/src/alice.psd", b"layers\n")
    unhooked(art, "so are sources")
    art.write(".comfyvnconfig", "[comfyvn]\n\tassetsRoot = game/art\n")
    art.write("game/art/.gitattributes", "* filter=comfyvn -text\n*.asset.json filter=comfyvn-sidecar\n")
    art.git("add", ".comfyvnconfig", "game/art/.gitattributes")
    stage(art, "game/art/b.png", b"bytes")
    stage(art, "assets/b.png", b"bytes")
    last = unhooked(art, "another root")
    assert found(art, "HEAD~") == []
    assert found(art) == [("game/art/b.png", "raw")]
    done = art.tool("check", "--json", f"{first}..", check=False).json()
    assert [(each["commit"], each["path"]) for each in done["findings"]] == [
        (raw, "assets/readme.txt"),
        (last, "game/art/b.png"),
    ]
    # what the user, the machine or the index say now counts for nothing
    art.write(".git/attrs", "* -filter\n")
    art.git("config", "core.attributesFile", ".git/attrs")
    art.write("assets/.gitattributes", "")
    art.git("add", "assets/.gitattributes")
    assert found(art, f"{first}..{raw}") == [("assets/readme.txt", "raw")]


def test_merges_are_judged_by_what_they_bring_of_their_own(art: GitRepo) -> None:
    base = art.head()
    stage(art, "assets/main.png", b"bytes")
    unhooked(art, "main")
    art.git("switch", "-qc", "side", base, "-f")
    art.tool("annotate", CLUB, "--tag", "x")
    art.commit("side")
    art.git("merge", "-q", "--no-commit", "main")
    stage(art, "assets/evil.png", b"bytes")
    merge = unhooked(art, "merge")
    done = art.tool("check", "--json", f"main..{merge}", check=False).json()
    assert [(each["commit"], each["path"]) for each in done["findings"]] == [(merge, "assets/evil.png")]
    assert found(art, "HEAD", "^main", f"^{merge}^1") == [("assets/evil.png", "raw")]
    assert ("assets/main.png", "raw") in found(art, f"{base}..")


def test_what_is_no_art_of_ours_is_left_alone(art: GitRepo) -> None:
    stage(art, "assets/empty.png", b"")
    stage(art, "assets/.hidden", b"x")
    stage(art, "assets/Thumbs.db", b"x")
    stage(art, "assets/own-link", b"../elsewhere", "120000")
    stage(art, "assets/_meta/x.json", b"{}")
    stage(art, "other/a.png", b"bytes")
    unhooked(art, "odds and ends")
    assert found(art) == [] and found(art, "HEAD^..") == []


def test_answers_where_there_is_nothing_to_check(repo: GitRepo, tmp_path: Path) -> None:
    assert repo.tool("check").out == "HEAD: no commit to check"
    for words in (["HEAD"], ["nowhere"], ["a..b"], ["--all"], ["HEAD", "nowhere"]):
        done = repo.tool("check", "--json", "--", *words, check=False)
        assert (done.code, done.json()["error"]) == (2, "unknown-revision"), words
    apart = GitRepo(tmp_path / "none")
    apart.path.mkdir()
    assert apart.tool("check", check=False).code == 10
    repo.write("assets/a.png", b"bytes")
    repo.git("add", "-A")
    repo.commit("before init")
    assert repo.tool("check").out == "1 commit, 0 assets: nothing wrong"
    assert repo.tool("check", "HEAD..HEAD").out == "HEAD..HEAD: no commit to check"
    assert repo.tool("check", "HEAD", "^HEAD").out == "no commit to check"


# -- without init, store and work tree -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bare", "shallow", "sha256"])
def test_works_in_any_repository_without_init(art: GitRepo, tmp_path: Path, kind: str) -> None:
    other = GitRepo(tmp_path / "other")
    if kind == "sha256":
        GitRepo.create(other.path, "--object-format=sha256")
        other.tool("init")
        make_art(other)
        art = GitRepo(other.path)
    stage(art, "assets/raw.png", b"bytes")
    unhooked(art, "raw")
    if kind == "bare":
        art.git("clone", "-q", "--bare", ".", str(other.path))
    elif kind == "shallow":
        art.git("clone", "-q", "--depth=1", art.path.as_uri(), str(other.path))
    else:
        (art.path / ".git/comfyvn").rename(tmp_path / "away")
    assert found(other) == [("assets/raw.png", "raw")]
    if kind == "shallow":
        assert other.tool("check", "HEAD~1..", check=False).code == 2
    else:
        assert found(other, "HEAD~1..HEAD") == [("assets/raw.png", "raw")]
    if kind != "sha256":
        assert not list(other.path.rglob("comfyvn"))


HOOK = """\
#!/bin/sh
zero=$(git hash-object --stdin </dev/null | tr '0-9a-f' 0)
status=0
while read -r old new ref; do
    test "$new" = "$zero" && continue
    if test "$old" = "$zero"; then
        known=$(git for-each-ref --format='^%(objectname)')
    else
        known="^$old"
    fi
    '{python}' -P -m comfyvn_store check "$new" $known || status=1
done
exit "$status"
"""


def test_a_server_refuses_a_push_of_raw_art_from_its_quarantine(art: GitRepo, tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs/hooks.md").read_text(encoding="utf-8")
    documented = HOOK.replace("'{python}' -P -m comfyvn_store", "comfyvn-store")
    assert documented in page.replace("\n    ", "\n    ")
    bare = GitRepo.create(tmp_path / "server.git", "--bare")
    hook = bare.write("hooks/pre-receive", HOOK.format(python=sys.executable))
    hook.chmod(0o755)
    art.git("remote", "add", "origin", str(bare.path))
    art.git("push", "-q", "origin", "main")
    good = art.head()
    stage(art, "assets/raw.png", b"bytes")
    bad = unhooked(art, "raw")
    done = art.git("push", "-q", "origin", "main", "main:refs/heads/topic", check=False)
    assert done.code != 0 and f"{bad[:10]} assets/raw.png: the bytes themselves are in git" in done.err
    assert bare.git("for-each-ref", "--format=%(objectname) %(refname)").out == f"{good} refs/heads/main"
    assert bare.git("cat-file", "-e", bad, check=False).code != 0
    art.git("push", "-q", "origin", f"{good}:refs/heads/topic")
    art.git("push", "-q", "origin", ":topic")


def test_a_thousand_commits_take_a_handful_of_processes(art: GitRepo, tmp_path: Path) -> None:
    count = 1000 if os.environ.get("TEST_HISTORIES") else 200
    link = art.blob(f"HEAD:{ALICE}").decode()
    card = json.dumps(json.loads(art.blob(f"HEAD:{ALICE}{CARD}")))
    lines = []
    for number in range(count):
        lines += ["commit refs/heads/main", "committer A <a@x> 1700000000 +0000", "data 1", "x"]
        if not number:
            lines.append(f"from {art.head()}")
        path = f"assets/characters/p{number}.png"
        lines += [f"M 120000 inline {path}", f"data {len(link)}", link]
        lines += [f"M 100644 inline {path}{CARD}", f"data {len(card.encode())}", card]
        if number % (count // 2) == 1:  # two states of attributes
            text = f"*.p{number} -filter\n* filter=comfyvn\n"
            lines += ["M 100644 inline assets/.gitattributes", f"data {len(text)}", text]
    base = art.head()
    art.git("fast-import", "--quiet", "--force", input="\n".join(lines) + "\n")
    trace = tmp_path / "trace"
    done = art.tool("check", f"{base}..main", env={"GIT_TRACE": str(trace)})
    assert done.out == f"{count} commits, {count} assets: nothing wrong"
    assert len([line for line in trace.read_text().splitlines() if "trace: built-in" in line]) <= 20
