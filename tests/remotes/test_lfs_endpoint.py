"""Where a Git LFS server is found, and what `git-lfs-authenticate` says of it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from comfyvn_store.errors import RemoteDenied, RemoteUnreachable, UsageError
from comfyvn_store.remotes.lfs.endpoint import Endpoint, find, server_ref
from comfyvn_store.vcs.git import Git
from tests.gitrepo import GitRepo
from tests.remotes.lfs_servers import remote_of, repository
from tests.remotes.objects import Thing
from tests.servers.lfs import LfsServer, serving


def found(repo: GitRepo, rest: str = "") -> Endpoint:
    return find(Git(str(repo.path)), rest)


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://host/foo/bar", "https://host/foo/bar.git/info/lfs"),
        ("https://host/foo/bar.git", "https://host/foo/bar.git/info/lfs"),
        ("https://host/foo/bar.git/", "https://host/foo/bar.git/info/lfs"),
        ("https://HOST:8443/bar", "https://host:8443/bar.git/info/lfs"),
        ("https://host:443/bar", "https://host/bar.git/info/lfs"),
        ("http://host/bar", "http://host/bar.git/info/lfs"),
        ("git@host:foo/bar.git", "https://host/foo/bar.git/info/lfs"),
        ("git@host:/foo/bar", "https://host/foo/bar.git/info/lfs"),
        ("host:bar.git", "https://host/bar.git/info/lfs"),
        ("ssh://git@host:2222/foo/bar.git", "https://host/foo/bar.git/info/lfs"),
        ("git://host/foo/bar.git", "https://host/foo/bar.git/info/lfs"),
        ("git@[::1]:foo.git", "https://[::1]/foo.git/info/lfs"),
    ],
)
def test_guessed_from_the_git_remote(repo: GitRepo, url: str, endpoint: str) -> None:
    repo.git("remote", "add", "origin", url)
    assert found(repo).url == endpoint
    assert found(repo, "origin").git_remote == "origin" and found(repo).is_of_git_remote


def test_who_stands_before_the_at_sign_is_no_part_of_it(repo: GitRepo) -> None:
    repo.git("remote", "add", "origin", "https://ann%40x:sesame@host/foo")
    endpoint = found(repo)
    assert (endpoint.url, endpoint.user) == ("https://host/foo.git/info/lfs", "ann@x")
    assert "sesame" not in repr(endpoint)
    assert remote_of(repo).place == "https://host/foo.git/info/lfs"


def test_configured(repo: GitRepo) -> None:
    repo.git("remote", "add", "origin", "https://host/foo")
    repo.git("remote", "add", "dev", "https://dev/foo")
    repo.git("config", "remote.dev.lfsurl", "https://big/dev/")
    assert found(repo, "dev").url == "https://big/dev" and found(repo).url == "https://host/foo.git/info/lfs"
    repo.git("config", "lfs.url", "https://all/lfs")
    assert found(repo).url == "https://all/lfs" == found(repo, "dev").url
    assert found(repo, "dev").git_remote == "dev"


def test_what_is_committed_is_not_heeded(repo: GitRepo) -> None:
    repo.git("remote", "add", "origin", "https://host/foo")
    repo.write(".lfsconfig", "[lfs]\n\turl = https://elsewhere/lfs\n")
    repo.git("add", ".")
    repo.commit("lure")
    assert found(repo).url == "https://host/foo.git/info/lfs"


def test_instead_of(repo: GitRepo) -> None:
    repo.git("config", "url.https://host/.insteadOf", "work:")
    repo.git("remote", "add", "origin", "work:foo")
    assert found(repo).url == "https://host/foo.git/info/lfs"
    repo.git("config", "lfs.url", "work:lfs")
    assert found(repo).url == "https://host/lfs"


def test_which_git_remote(repo: GitRepo) -> None:
    with pytest.raises(UsageError, match="no git remote"):
        found(repo)
    repo.git("remote", "add", "one", "https://one/x")
    assert found(repo).git_remote == "one"
    repo.git("remote", "add", "two", "https://two/x")
    with pytest.raises(UsageError):
        found(repo)
    repo.git("remote", "add", "origin", "https://origin/x")
    assert found(repo).git_remote == "origin"
    repo.git("config", "branch.main.remote", "two")
    repo.git("config", "branch.main.merge", "refs/heads/trunk")
    assert found(repo).git_remote == "two"
    assert server_ref(Git(str(repo.path))) == "refs/heads/trunk"
    with pytest.raises(UsageError, match="no git remote 'three'"):
        found(repo, "three")


def test_explicit(repo: GitRepo) -> None:
    repo.git("remote", "add", "origin", "git@host:foo/bar.git")
    endpoint = found(repo, "https://Host:443/foo/bar.git/info/lfs/")
    assert (endpoint.git_remote, endpoint.is_of_git_remote) == ("origin", True) and endpoint.ssh is None
    other = found(repo, "https://other/foo.git/info/lfs")
    assert (other.git_remote, other.is_of_git_remote) == ("origin", False)


@pytest.mark.parametrize(
    "url",
    ["/srv/foo.git", "file:///srv/foo.git", "../foo.git", "ftp://host/foo", "-oProxyCommand=x:foo", "ext::sh -c x"],
)
def test_what_leads_nowhere(repo: GitRepo, url: str) -> None:
    repo.git("config", "remote.origin.url", url)
    with pytest.raises(UsageError):
        found(repo)


@pytest.mark.parametrize("url", ["ssh://-oProxyCommand=touch/x", "https://host:port/x", "ftp://x/y", "file:///x"])
def test_what_cannot_be_named(repo: GitRepo, url: str) -> None:
    with pytest.raises(UsageError):
        found(repo, url)


SSH = """\
#!/bin/sh
for word; do printf '%s\\n' "$word"; done >>'{log}'
echo -- >>'{log}'
for word; do last=$word; done
{answer}
"""


class Ssh:
    """A program in SSH's place, which a forge's `git-lfs-authenticate` answers."""

    def __init__(self, repo: GitRepo, folder: Path, answer: str) -> None:
        self.log = folder / "ssh.log"
        self.script = folder / "ssh.sh"
        self.script.write_text(SSH.format(log=self.log, answer=answer))
        self.script.chmod(0o755)
        repo.git("config", "core.sshCommand", str(self.script))

    def calls(self) -> list[list[str]]:
        return [call.splitlines() for call in self.log.read_text().split("--\n")[:-1]]


def behind_ssh(tmp_path: Path, server: LfsServer, answer: str) -> tuple[GitRepo, Ssh]:
    repo = repository(tmp_path, server.url)
    repo.git("config", "--unset", "lfs.url")
    repo.git("config", "remote.origin.url", "ssh://git@host.invalid:2222/org/my repo.git")
    return repo, Ssh(repo, tmp_path, answer)


def answer_of(server: LfsServer, **more: object) -> str:
    token = "Basic YXJ0aXN0OnNlc2FtZS1vZi1hcnRpc3Q="
    return f"echo '{json.dumps({'href': server.url, 'header': {'Authorization': token}, **more})}'"


def test_behind_ssh(tmp_path: Path) -> None:
    with serving(LfsServer()) as server:
        server.people = {"artist": "sesame-of-artist"}
        repo, ssh = behind_ssh(tmp_path, server, answer_of(server, expires_in=3600))
        repo.git("config", "remote.origin.url", "ssh://git@host.invalid:2222/org/repo.git")
        remote = remote_of(repo)
        thing = Thing(tmp_path / "local", 1000)
        assert remote.put(thing.item, thing.source) is True
        assert b"".join(remote.get(thing.item)) == thing.data
        assert remote.has([thing.item]) == {thing.hash: 1000}
        assert ssh.calls() == [
            ["-p", "2222", "git@host.invalid", f"git-lfs-authenticate org/repo.git {operation}"]
            for operation in ("upload", "download")
        ]


def test_a_token_from_ssh_that_runs_out(tmp_path: Path) -> None:
    with serving(LfsServer()) as server:
        server.people = {"artist": "sesame-of-artist"}
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
        repo, ssh = behind_ssh(tmp_path, server, answer_of(server, expires_at=when))
        repo.git("config", "remote.origin.url", "git@host.invalid:org/repo.git")
        remote = remote_of(repo)
        remote.has([Thing(tmp_path / "local", 10).item])
        remote.has([Thing(tmp_path / "local", 10).item])
        assert len(ssh.calls()) == 2


def test_a_token_from_ssh_that_is_not_taken(tmp_path: Path) -> None:
    with serving(LfsServer()) as server:
        server.people = {"artist": "another"}
        repo, ssh = behind_ssh(tmp_path, server, answer_of(server))
        repo.git("config", "remote.origin.url", "git@host.invalid:org/repo.git")
        with pytest.raises(RemoteDenied) as caught:
            remote_of(repo).has([Thing(tmp_path / "local", 10).item])
        assert len(ssh.calls()) == 2 and "YXJ0" not in caught.value.message


def test_a_path_with_a_space_is_one_word_there(tmp_path: Path) -> None:
    with serving(LfsServer()) as server:
        repo, ssh = behind_ssh(tmp_path, server, answer_of(server))
        repo.git("config", "remote.origin.url", "ssh://git@host.invalid/org/a'b.git")
        remote_of(repo).has([Thing(tmp_path / "local", 10).item])
        assert ssh.calls()[0][-1] == "git-lfs-authenticate 'org/a'\"'\"'b.git' download"


def test_which_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(LfsServer()) as server:
        repo, ssh = behind_ssh(tmp_path, server, "exit 1")
        repo.git("config", "remote.origin.url", "ssh://git@host.invalid:22/org/repo.git")
        other = tmp_path / "plink"
        other.write_text(ssh.script.read_text().replace("exit 1", answer_of(server)))
        other.chmod(0o755)
        monkeypatch.setenv("GIT_SSH_COMMAND", f"'{other}' -extra")
        remote_of(repo).has([Thing(tmp_path / "local", 10).item])
        monkeypatch.delenv("GIT_SSH_COMMAND")
        repo.git("config", "--unset", "core.sshCommand")
        monkeypatch.setenv("GIT_SSH", str(other))
        remote_of(repo).has([Thing(tmp_path / "local", 10).item])
        told = ["-P", "22", "git@host.invalid", "git-lfs-authenticate org/repo.git download"]
        assert ssh.calls() == [["-extra", *told], told]


def test_a_server_that_gives_a_token_and_no_address(tmp_path: Path) -> None:
    with serving(LfsServer()) as server:
        token = {"header": {"Authorization": "Basic x"}}
        repo, ssh = behind_ssh(tmp_path, server, f"echo '{json.dumps(token)}'")
        repo.git("config", "remote.origin.url", "ssh://git@127.0.0.1:1/org/repo.git")
        with pytest.raises(RemoteUnreachable, match=r"cannot reach 127\.0\.0\.1"):
            remote_of(repo).has([Thing(tmp_path / "local", 10).item])
        assert len(ssh.calls()) == 1


@pytest.mark.parametrize("answer", ["exit 127", "echo no json", "yes | tr -d '\\n'", "exec false", "echo '[]'"])
def test_where_ssh_has_no_answer_https_is_asked(tmp_path: Path, answer: str) -> None:
    with serving(LfsServer()) as server:
        repo, _ = behind_ssh(tmp_path, server, answer)
        repo.git("config", "remote.origin.url", "ssh://git@127.0.0.1:1/org/repo.git")
        with pytest.raises(RemoteUnreachable, match=r"cannot reach 127\.0\.0\.1"):
            remote_of(repo).has([Thing(tmp_path / "local", 10).item])


def test_looking_at_other_kinds_does_not_load_the_http_library() -> None:
    code = (
        "import sys; import comfyvn_store.remotes.folder, comfyvn_store.remotes.address, comfyvn_store.remotes.lfs; "
        "import comfyvn_store.remotes.lfs.endpoint; sys.exit('urllib3' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
