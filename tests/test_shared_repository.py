"""`core.sharedRepository`: several users of one group work in one repository, whatever the umask of each."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from comfyvn_store.base import sharing
from tests import oracle
from tests.gitrepo import GitRepo, Result, run
from tests.media import comfy_png

HERO, TWIN = "assets/characters/hero.png", "assets/ui/twin.png"


@dataclass(frozen=True)
class User:
    """A user of the machine, who runs programs with a umask of their own."""

    name: str
    home: Path
    umask: str
    python: str = sys.executable

    def run(self, folder: Path, *words: str, check: bool = True) -> Result:
        settings = {
            "HOME": str(self.home),
            "GIT_CONFIG_GLOBAL": str(self.home / "gitconfig"),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "COMFYVN_PREVIEWS": "off",
            "PYTHONPATH": MODULES if self.python != sys.executable else None,
        }
        become = ["setpriv", f"--reuid={self.name}", f"--regid={GROUP}", "--init-groups"]
        shell = ["sh", "-c", f'umask {self.umask}; exec "$@"', "sh"]
        return run([*become, *shell, *words], cwd=folder, check=check, env=settings)

    def git(self, folder: Path, *words: str) -> Result:
        return self.run(folder, "git", *words)

    def tool(self, folder: Path, *words: str, check: bool = True) -> Result:
        return self.run(folder, self.python, "-P", "-m", "comfyvn_store", *words, check=check)

    def write(self, place: Path, data: bytes) -> None:
        code = "import sys, os; p = sys.argv[1]; os.makedirs(os.path.dirname(p), exist_ok=True); "
        code += "open(p, 'wb').write(bytes.fromhex(sys.argv[2]))"
        self.run(place.parents[3], self.python, "-c", code, str(place), data.hex())


GROUP = f"cvn{os.getpid()}"
# Where the Python that runs the tests lies in a home that others may not enter, the system's may do with its modules.
PYTHONS = (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}")
MODULES = os.pathsep.join(each for each in sys.path if each and Path(each) != Path(os.__file__).parent)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that every user can reach, with two users of one group on the machine while the tests run."""
    if os.geteuid() != 0 or not shutil.which("useradd") or not shutil.which("setpriv"):
        pytest.skip("only root can make users and become them")
    names = (f"{GROUP}a", f"{GROUP}b")
    folder = Path(tempfile.mkdtemp(prefix="cvn-shared-"))
    try:
        made = subprocess.run(["groupadd", GROUP], capture_output=True).returncode
        for name in names:
            words = [
                "useradd",
                "--no-create-home",
                "--no-user-group",
                "--gid",
                GROUP,
                "--home-dir",
                "/nonexistent",
                name,
            ]
            made = made or subprocess.run(words, capture_output=True).returncode
        if made:
            pytest.skip("users cannot be made here")
        folder.chmod(0o755)
        yield folder
    finally:
        for name in names:
            subprocess.run(["userdel", name], capture_output=True)
        subprocess.run(["groupdel", GROUP], capture_output=True)
        shutil.rmtree(folder)


@pytest.fixture
def users(place: Path, hermetic: Path) -> tuple[User, User]:
    found = []
    for name, umask in ((f"{GROUP}a", "077"), (f"{GROUP}b", "022")):
        home = place / name
        home.mkdir(exist_ok=True)
        config = (hermetic / "gitconfig").read_text() + "[safe]\n\tdirectory = *\n"
        (home / "gitconfig").write_text(config)
        shutil.chown(home, name, GROUP)
        found.append(User(name, home, umask))
    for python in filter(os.path.exists, PYTHONS):
        alice, bob = (User(each.name, each.home, each.umask, python) for each in found)
        if alice.run(place, python, "-P", "-c", "import comfyvn_store, click, pygit2", check=False).code == 0:
            return alice, bob
    pytest.skip("other users cannot run this Python")


def project(place: Path, name: str, owner: User, shared: str | None) -> Path:
    """A new repository of `owner` in a folder that the group may write to."""
    top = place / name
    top.mkdir()
    shutil.chown(top, owner.name, GROUP)
    top.chmod(0o2775)
    owner.git(top, "init", "--quiet", *([f"--shared={shared}"] if shared else []))
    owner.tool(top, "init")
    return top


def modes(top: Path) -> dict[str, tuple[int, int, int, int]]:
    """Mode, owner, inode and time of everything in the store, and beside it in linked work trees."""
    found = {}
    ours = [top / ".git/comfyvn", *top.glob(".git/worktrees/*/comfyvn")]
    for each in [*ours, *(inside for place in ours for inside in place.rglob("*"))]:
        info = each.lstat()
        found[str(each.relative_to(top))] = (stat.S_IMODE(info.st_mode), info.st_uid, info.st_ino, info.st_mtime_ns)
    return found


def check_modes(top: Path) -> None:
    """The group can use all of it, and nobody can write to an object."""
    for name, (mode, *_) in modes(top).items():
        if (top / name).is_dir():
            assert mode & 0o2070 == 0o2070, (name, oct(mode))
        elif "comfyvn/objects/" in name:
            assert mode & 0o040 and not mode & 0o333, (name, oct(mode))
        else:
            assert mode & 0o060 == 0o060, (name, oct(mode))
        assert (top / name).group() == GROUP, name


def test_two_users_work_in_trees_of_their_own(place: Path, users: tuple[User, User]) -> None:
    alice, bob = users
    top = project(place, "trees", alice, "group")
    alice.write(top / HERO, comfy_png(1))
    alice.git(top, "add", "assets")
    alice.git(top, "commit", "-qm", "hero")
    check_modes(top)
    before = modes(top)
    tree = place / "bob-tree"
    tree.mkdir()
    shutil.chown(tree, bob.name, GROUP)
    bob.git(top, "worktree", "add", "-q", "-b", "bob", str(tree))
    assert (tree / HERO).read_bytes() == (top / HERO).read_bytes()
    assert [each["view"] for each in bob.tool(tree, "list", "--json").json()] == [HERO]
    bob.write(tree / TWIN, comfy_png(1))
    bob.write(tree / "assets/ui/bob.png", comfy_png(2))
    bob.git(tree, "add", "assets")
    bob.git(tree, "commit", "-qm", "twin")
    bob.tool(tree, "edit", HERO)
    bob.write(tree / HERO, comfy_png(3))
    assert bob.git(tree, "commit", "-qam", "painted").err == ""
    bob.git(tree, "switch", "-q", "--detach", "main")
    bob.git(tree, "switch", "-q", "bob")
    assert bob.tool(tree, "status", "--json").json()["missing"] == []
    assert bob.git(tree, "status", "--porcelain").out == ""
    after = modes(top)
    theirs = {name: about for name, about in before.items() if "/objects/" in name and (top / name).is_file()}
    assert theirs and theirs == {name: after[name] for name in theirs}, "alice's objects are used as they are"
    alice.git(top, "merge", "-q", "bob")
    alice.write(top / "assets/ui/alice.png", comfy_png(4))
    alice.git(top, "add", "assets")
    alice.git(top, "commit", "-qm", "more")
    assert alice.git(top, "status", "--porcelain").out == "" and len(alice.tool(top, "list", "--json").json()) == 4
    assert {oracle.digest((top / path).read_bytes()) for path in (HERO, TWIN)} <= {
        each["hash"] for each in alice.tool(top, "list", "--json").json()
    }
    assert bob.tool(tree, "rebuild", "--verify", "--no-previews", "--json").json()["problems"] == []
    check_modes(top)


def test_two_users_work_in_one_tree(place: Path, users: tuple[User, User]) -> None:
    alice, bob = (replace(each, umask="002") for each in users)
    top = project(place, "one-tree", alice, "group")
    for number, user in enumerate((alice, bob, alice, bob)):
        user.write(top / f"assets/ui/{number}.png", comfy_png(number))
        user.tool(top, "status")
        user.git(top, "add", "assets")
        user.git(top, "commit", "-qm", str(number))
        user.tool(top, "annotate", "assets/ui/0.png", "--tag", f"t{number}")
        assert user.git(top, "commit", "-qm", "tag").err == ""
        assert user.git(top, "status", "--porcelain").out == ""
    user.tool(top, "register", str(top / "assets/ui/0.png"), "--type", "ui", "--name", "twin.png", "--no-stage")
    assert alice.tool(top, "list", "--json").json()[-1]["view"] == "assets/ui/twin.png"
    bob.git(top, "switch", "-q", "--detach", "HEAD~2")
    alice.git(top, "switch", "-q", "main")
    assert alice.tool(top, "rebuild", "--verify", "--no-previews", "--json").json()["problems"] == []
    check_modes(top)


@pytest.mark.parametrize("how", ["mkdir", "init"])
def test_two_users_share_a_store_outside_their_clones(place: Path, users: tuple[User, User], how: str) -> None:
    alice, bob = users
    folder = place / f"outside-{how}"
    folder.mkdir()
    shutil.chown(folder, alice.name, GROUP)
    folder.chmod(0o2775)
    store = folder / "art"
    if how == "mkdir":  # the folder says whom it admits, neither clone does
        alice.run(folder, "mkdir", "-m", "2775", str(store))
    clones = {}
    for user, shared in ((alice, None if how == "mkdir" else "group"), (bob, None)):
        top = folder / user.name
        top.mkdir()
        shutil.chown(top, user.name, GROUP)
        user.git(top, "init", "--quiet", *([f"--shared={shared}"] if shared else []))
        user.git(top, "config", "comfyvn.store", str(store))
        user.tool(top, "init")
        clones[user] = top
    for number, user in enumerate((alice, bob, alice, bob)):
        top = clones[user]
        user.write(top / f"assets/sfx/{number}.png", comfy_png(number // 2))  # bob adds what alice has added
        user.write(top / f"assets/ui/{number}.png", comfy_png(10 + number))
        user.git(top, "add", "assets")
        assert user.git(top, "commit", "-qm", str(number)).err == ""
    made = [store, *store.rglob("*")]
    assert {each.owner() for each in made if "objects" in each.parts and each.is_file()} == {alice.name, bob.name}
    for each in made:
        mode = stat.S_IMODE(each.lstat().st_mode)
        if each.is_dir():
            assert mode & 0o2070 == 0o2070, (each, oct(mode))
        elif "objects" in each.parts:
            assert mode & 0o040 and not mode & 0o333, (each, oct(mode))
        else:
            assert mode & 0o060 == 0o060, (each, oct(mode))
        assert each.group() == GROUP, each
    assert len([each for each in made if each.parent.parent == store / "objects"]) == 6
    for user, top in clones.items():
        assert user.tool(top, "rebuild", "--verify", "--no-previews", "--json").json()["problems"] == []
        assert user.git(top, "status", "--porcelain").out == "" and user.tool(top, "init").code == 0
        assert user.tool(top, "doctor", "--json").json()["findings"] == []
    said = (store / "users").read_text().splitlines()
    # alice's clone is closed to bob where her umask made it: he must not take it for gone
    assert said == sorted(str(top / ".git") for top in clones.values())
    bob.git(clones[bob], "config", "--unset", "comfyvn.store")
    bob.tool(clones[bob], "init")
    assert bob.tool(clones[bob], "rebuild", "--verify", "--no-previews", "--json").json()["problems"] == []
    assert (store / "users").read_text() == f"{clones[alice]}/.git\n"
    bob.git(clones[bob], "config", "comfyvn.store", str(store))
    bob.tool(clones[bob], "init")
    assert bob.tool(clones[bob], "status", "--json").json()["missing"] == []


@pytest.mark.parametrize(
    ("shared", "umask"), [("group", "077"), ("group", "022"), ("all", "077"), ("0660", "022"), ("0640", "077")]
)
def test_modes_are_those_that_git_gives(place: Path, users: tuple[User, User], shared: str, umask: str) -> None:
    alice = replace(users[0], umask=umask)
    top = project(place, f"modes-{shared}-{umask}", alice, shared)
    alice.write(top / HERO, comfy_png(1))
    alice.git(top, "add", "assets")
    alice.git(top, "commit", "-qm", "hero")
    link = alice.git(top, "rev-parse", f"HEAD:{HERO}").out
    theirs = (top / ".git/objects" / link[:2] / link[2:]).stat().st_mode
    ours = (top / HERO).stat().st_mode
    assert oct(ours) == oct(theirs)
    assert oct((top / HERO).resolve().parent.stat().st_mode) == oct((top / ".git/objects" / link[:2]).stat().st_mode)
    index = (top / ".git/index").stat().st_mode
    assert {oct(each.stat().st_mode) for each in (top / ".git/comfyvn").glob("index.db*")} == {oct(index)}
    hook = (top / ".git/hooks/pre-commit").stat().st_mode
    assert bool(hook & 0o010) == bool(index & 0o040) and hook & 0o100


def test_without_the_setting_the_umask_decides(tmp_path: Path) -> None:
    os.umask(0o027)
    repo = GitRepo.create(tmp_path / "repo")
    repo.tool("init")
    repo.write(HERO, comfy_png(1))
    repo.git("add", "assets")
    repo.commit("hero")
    store = repo.path / ".git/comfyvn"
    assert stat.S_IMODE((repo.path / HERO).stat().st_mode) == 0o444
    assert stat.S_IMODE(store.stat().st_mode) == stat.S_IMODE((store / "objects").stat().st_mode) == 0o750
    assert stat.S_IMODE((store / "index.db").stat().st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_another_user_owns_keeps_its_mode_even_from_root(tmp_path: Path) -> None:
    repo = GitRepo.create(tmp_path / "repo", "--shared=group")
    repo.tool("init")
    repo.write(HERO, comfy_png(1))
    repo.git("add", "assets")
    repo.commit("hero")
    place = (repo.path / HERO).resolve()
    place.chmod(0o640)
    for each in (place, place.parent, repo.path / ".git/comfyvn/lock"):
        os.chown(each, 54321, 54321)
    (repo.path / ".git/comfyvn/lock").chmod(0o600)
    place.parent.chmod(0o755)
    repo.tool("init")
    repo.write(TWIN, comfy_png(1))
    repo.git("add", "assets")
    repo.commit("twin")
    found = [stat.S_IMODE(each.stat().st_mode) for each in (place, place.parent, repo.path / ".git/comfyvn/lock")]
    assert found == [0o640, 0o755, 0o600] and place.stat().st_uid == 54321
    assert repo.read(TWIN) == repo.read(HERO) and repo.status() == []


def test_init_again_lets_the_group_in(tmp_path: Path) -> None:
    os.umask(0o077)
    repo = GitRepo.create(tmp_path / "repo")
    repo.tool("init")
    repo.write(HERO, comfy_png(1))
    repo.git("add", "assets")
    repo.commit("hero")
    repo.git("config", "core.sharedRepository", "group")
    repo.tool("init")
    for each in (repo.path / ".git/comfyvn").rglob("*"):
        assert each.stat().st_mode & 0o040, each
        assert not each.is_dir() or each.stat().st_mode & 0o2070 == 0o2070, each
    assert (repo.path / ".git/hooks/pre-commit").stat().st_mode & 0o050 == 0o050


@pytest.mark.parametrize(
    ("value", "file", "folder"),
    [
        (None, 0o600, 0o700),
        ("umask", 0o600, 0o700),
        ("false", 0o600, 0o700),
        ("0", 0o600, 0o700),
        ("1", 0o660, 0o2770),
        ("Group", 0o660, 0o2770),
        ("everybody", 0o664, 0o2775),
        ("2", 0o664, 0o2775),
        ("0640", 0o640, 0o2750),
        ("0600", 0o600, 0o700),
        ("0060", 0o600, 0o700),
    ],
)
def test_values_mean_what_they_mean_to_git(value: str | None, file: int, folder: int) -> None:
    said = sharing.parse(value)
    assert oct(said.mode(stat.S_IFREG | 0o600)) == oct(file)
    assert oct(said.mode(stat.S_IFDIR | 0o700)) == oct(folder)
