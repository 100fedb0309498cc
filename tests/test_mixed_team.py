"""Two clones of one project, one with links and one with copies, that exchange commits both ways."""

import os
import random
import shutil
from pathlib import Path

import pytest

from tests.gitrepo import GitRepo
from tests.media import comfy_png
from tests.oracle import check_commits, digest, linked_hash, raw_blobs
from tests.templates import shared
from tests.test_copies import A, B, digest_at, fill, modes

C = "assets/characters/c.png"
# Longer random exchanges: MIXED_STEPS=200, and another MIXED_SEED.
STEPS, SEED = int(os.environ.get("MIXED_STEPS", "5")), int(os.environ.get("MIXED_SEED", "1"))


class Team:
    """Both clones, the repository between them, and what each push may have flipped."""

    def __init__(self, made: GitRepo, folder: Path) -> None:
        made.git("clone", "-q", "--bare", str(made.path), str(folder / "origin"))
        self.clones = []
        for name, symlinks in (("links", "true"), ("copies", "false")):
            made.git("clone", "-q", "-c", f"core.symlinks={symlinks}", str(folder / "origin"), str(folder / name))
            clone = GitRepo(folder / name)
            clone.tool("init")
            self.clones.append(clone)
        self.links, self.copies = self.clones
        self.carry(made)

    def carry(self, *others: GitRepo) -> None:
        """Brings every object to both stores."""
        for source in (*others, *self.clones):
            for target in self.clones:
                if source is not target:
                    shutil.copytree(
                        source.path / ".git/comfyvn/objects",
                        target.path / ".git/comfyvn/objects",
                        dirs_exist_ok=True,
                        ignore=lambda folder, names, into=target, top=source: [
                            name
                            for name in names
                            if os.path.isfile(os.path.join(folder, name))
                            and (into.path / os.path.relpath(os.path.join(folder, name), top.path)).exists()
                        ],
                    )

    def exchange(self, repo: GitRepo, *, take: str = "--theirs", rebase: bool = False) -> None:
        """Pulls and pushes; conflicts are resolved in favour of `take`."""
        self.carry()
        words = ["pull", "-q", "--no-edit", "--rebase" if rebase else "--no-rebase"]
        done = repo.git(*words, check=False)
        while done.code != 0:
            found = ["assets/" + each["path"] for each in repo.tool("conflicts", "--json").json()["conflicts"]]
            assert found, done.err
            for path in found:
                repo.tool("resolve", path, take)
            done = repo.git(
                *(["-c", "core.editor=true", "rebase", "--continue"] if rebase else ["commit", "-qm", "m"]), check=False
            )
            if not rebase:
                assert done.code == 0, done.err
        repo.git("push", "-q")

    def check(self) -> None:
        for repo in self.clones:
            listed = repo.tool("list", "--json").json()
            assert repo.status() == [], repo.path
            for each in listed:
                assert digest(repo.read(each["view"])) == each["hash"], (repo.path, each["view"])
                assert os.path.islink(repo.path / each["view"]) <= (repo is self.links)
            assert raw_blobs(repo) == []
            check_commits(repo)
            assert repo.status() == []


@pytest.fixture
def team(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Team:
    return Team(shared(tmp_path_factory, fill), tmp_path)


def flips_back(repo: GitRepo) -> list[str]:
    """The changes in history that made a link in git an ordinary file again."""
    return [
        line
        for line in repo.git("log", "--raw", "-m", "--format=", "--no-renames").out.splitlines()
        if line.startswith(":120000 100")
    ]


def test_commits_go_both_ways(team: Team) -> None:
    team.copies.write(C, comfy_png(11))
    team.copies.write(A, comfy_png(12))
    team.copies.git("add", "assets")
    team.copies.commit("from copies")
    team.exchange(team.copies)
    team.exchange(team.links)
    assert modes(team.links)[C] == "100644"
    assert modes(team.links)[A] == "120000"
    team.check()
    team.links.tool("annotate", B, "--tag", "new")
    team.links.commit("from links")
    team.exchange(team.links)
    team.exchange(team.copies)
    assert modes(team.copies)[C] == "120000"
    team.check()


def test_both_repaint_what_is_a_file_in_git(team: Team) -> None:
    team.copies.write(C, comfy_png(11))
    team.copies.git("add", "assets")
    team.copies.commit("new")
    team.exchange(team.copies)
    team.exchange(team.links)
    # Of two with copies, and git's own merge of the texts: there are no conflict markers.
    team.copies.git("branch", "-q", "other")
    team.copies.write(C, comfy_png(12))
    team.copies.commit("here", "-a")
    team.copies.git("switch", "-q", "other")
    team.copies.write(C, comfy_png(13))
    team.copies.commit("there", "-a")
    assert team.copies.git("merge", "main", check=False).code == 1
    assert digest(team.copies.read(C)) == digest_at(team.copies, "HEAD", C)
    assert [each["path"] for each in team.copies.tool("conflicts", "--json").json()["conflicts"]] == [
        "characters/c.png"
    ]
    team.copies.tool("resolve", C, "--theirs")
    team.copies.commit("merged")
    assert digest_at(team.copies, "HEAD", C) == digest_at(team.copies, "main", C)
    # With links on the other side git has two kinds of thing at one path.
    team.copies.git("switch", "-q", "main")
    team.links.tool("annotate", C, "--tag", "flipped")
    team.links.commit("a link now")
    team.exchange(team.links)
    team.exchange(team.copies, take="--ours")
    assert digest_at(team.copies, "HEAD", C) == digest_at(team.copies, "HEAD^1", C)
    team.exchange(team.links)
    team.check()
    assert flips_back(team.links) == []


def test_a_while_of_exchanges(team: Team) -> None:
    chance = random.Random(SEED)
    for step in range(STEPS):
        for repo in chance.sample(team.clones, chance.choice((1, 2, 2))):
            known = sorted(path for path in modes(repo) if path.endswith(".png"))
            verb = chance.choice(("add", "change", "change", "tag", "move", "remove", "amend"))
            path = chance.choice(known) if known else C
            if verb == "add" or not known:
                repo.write(f"assets/more/{step}-{repo.path.name}.png", comfy_png(chance.randrange(10**6)))
            elif verb in ("change", "amend"):
                repo.write(path, comfy_png(chance.randrange(10**6)))
            elif verb == "tag":
                repo.tool("annotate", path, "--tag", f"t{step}")
            elif verb == "move":
                target = f"assets/moved/{step}-{os.path.basename(path)}"
                (repo.path / target).parent.mkdir(exist_ok=True)
                repo.git("mv", path, target)
            else:
                repo.git("rm", "-q", path)
            repo.git("add", "assets")
            repo.git("commit", "-q", "--allow-empty", "-m", f"{step}: {verb} {path}")
            if verb == "amend":
                repo.git("commit", "-q", "--amend", "-m", f"{step}: amended")
        for repo in (*chance.sample(team.clones, 2), team.links, team.copies):
            team.exchange(repo, take=chance.choice(("--ours", "--theirs")))
        team.check()
        assert flips_back(team.links) == []


def test_the_text_of_a_link_is_never_an_asset(team: Team) -> None:
    repo = team.copies
    text = repo.blob(f"HEAD:{A}")
    other = repo.blob(f"HEAD:{B}")
    before = sorted(team.copies.path.glob(".git/comfyvn/objects/*/*"))
    bent = {
        "cut": text[:-3],
        "marked": b"<<<<<<< ours\n%s\n=======\n%s\n>>>>>>> theirs\n" % (text, other),
        "crlf": text + b"\r\n",
    }
    for name, data in bent.items():
        path = f"assets/characters/{name}.png"
        repo.write(path, data)
        assert repo.tool("register", path, "--type", "characters", check=False).code == 20
        assert repo.git("add", path, check=False).code == (128 if name == "cut" else 0)
        repo.git("rm", "-q", "--cached", "--ignore-unmatch", path)
    found = repo.tool("rebuild", "--register", "--no-previews", "--json", check=False)
    assert len(found.json()["problems"]) == 3 and found.code == 1
    for name in bent:
        (repo.path / f"assets/characters/{name}.png").unlink()
    repo.write(A, bent["cut"])
    assert repo.git("commit", "-qam", "no", check=False).code != 0
    # What came past the filter is found by the commit.
    plain = ("-c", "filter.comfyvn.process=", "-c", "filter.comfyvn.required=false")
    for name in ("marked", "crlf"):
        repo.write(A, bent[name])
        repo.git(*plain, "add", A)
        assert (repo.git("commit", "-qm", name, check=False).code == 0) == (name == "crlf")
    assert repo.git("diff", "--stat", "HEAD~1", "--", A).out == ""
    assert sorted(team.copies.path.glob(".git/comfyvn/objects/*/*")) == before
    repo.git("checkout", "-q", "HEAD", "--", "assets")
    team.check()
    assert linked_hash(repo.blob(f"HEAD:{A}").decode())
