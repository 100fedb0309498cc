"""Pointers that somebody else wrote: nothing in them leads out of the repository, and what is read is bounded."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from comfyvn_store.base import pointers
from comfyvn_store.ops.migrate import annex, dvc, lfs, lines
from comfyvn_store.ops.migrate.claims import Version
from tests import media
from tests.gitrepo import GitRepo
from tests.oracle import digest

OID = "a" * 64
GOOD = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 12\n"


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def test_a_good_pointer_is_read() -> None:
    assert lfs.parse(GOOD.encode()) == Version(OID, OID, 12)


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace(OID, OID[1:]),
        GOOD.replace(OID, OID + "a"),
        GOOD.replace(OID, "../" * 21 + "a"),
        GOOD.replace(OID, OID.upper()),
        GOOD.replace("sha256", "sha512"),
        GOOD.replace("12", "-1"),
        GOOD.replace("12", "9" * 40),
        GOOD.replace("12", "0"),
        GOOD.replace("12", "1e3"),
        GOOD + "more\n",
        GOOD.replace("oid", "ext-0-case sha256:" + OID + "\noid"),
        GOOD + "x" * 2000,
        GOOD.replace("\n", "\r\n"),
        "version https://git-lfs.github.com/spec/v1\n" * 5,
    ],
)
def test_other_pointers_are_not_followed(text: str) -> None:
    assert isinstance(lfs.parse(text.encode()), str)


@pytest.mark.parametrize(
    "link",
    [
        "../.git/annex/objects/aa/bb/SHA256E-s1--{k}/../../../../../etc/passwd",
        "../.git/annex/objects/../../config/SHA256E-s1--{k}/SHA256E-s1--{k}",
        "/etc/.git/annex/objects/aa/bb/K/K",
        "../.git/annex/objects/aa/bb/SHA256E-s1--{k}.png/SHA256E-s1--{k}.jpg",
    ],
)
def test_annex_links_that_lead_astray_are_not_followed(link: str) -> None:
    key = annex.link_key(link.format(k=OID))
    assert key == "" and annex.parse_key(key) is None


@pytest.mark.parametrize(
    "key",
    [
        "SHA256E-s1--" + "a" * 63,
        "SHA256E-s1--../../x",
        "SHA256E-s99999999999999999999--" + OID,
        "--",
        "MD5E-s1--zz.png",
        "WORM-s1--..",
        "x" * 2000,
        "SHA256E-s1--" + OID + "/" + OID,
    ],
)
def test_annex_keys_that_are_none(key: str) -> None:
    assert annex.parse_key(key) is None


def test_annex_pointers_are_read_to_their_first_line() -> None:
    key = f"SHA256E-s5--{OID}.png"
    assert pointers.annex_key(f"/annex/objects/{key}\nmore".encode()) == key
    assert pointers.annex_key(f"/annex/objects/../{key}\n".encode()) == ""
    assert pointers.annex_key(f"/annex/objects/{key}\n".encode() + b"x" * 40_000) is None


OUT = "outs:\n- md5: {md5}\n  size: 5\n  hash: md5\n  path: {path}\n"
MD5 = "0123456789abcdef0123456789abcdef"


def test_a_dvc_file_is_read() -> None:
    assert dvc.parse(OUT.format(md5=MD5, path="a b.png").encode()) == [dvc.Out("a b.png", MD5, 5)]
    assert dvc.parse(OUT.format(md5=MD5, path="'it''s'").encode())[0].path == "it's"
    assert dvc.parse(OUT.format(md5=MD5, path='"\\u00fc\\x41"').encode())[0].path == "üA"


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nouts:\n- *b\n",
        OUT.format(md5="&x " + MD5, path="a"),
        OUT.format(md5=MD5, path="*x"),
        OUT.format(md5=MD5, path="!!python/object/apply:os.system [id]"),
        OUT.format(md5=MD5, path="|\n    long"),
        OUT.format(md5=MD5, path="{a: b}"),
        OUT.format(md5=MD5, path="'open"),
        OUT.format(md5=MD5, path='"\\q"'),
        OUT.format(md5=MD5[1:], path="a"),
        OUT.format(md5="../../../../etc/passwd", path="a"),
        OUT.format(md5=MD5, path="a") + "deps:\n- path: x\n",
        OUT.format(md5=MD5, path="a") + "wdir: ../../..\n",
        OUT.format(md5=MD5, path="a").replace("  path", "  path: b\n  path"),
        OUT.format(md5=MD5, path="a").replace("hash: md5", "hash: etag"),
        OUT.format(md5=MD5, path="a") + "  cache: false\n",
        "- a\n- b\n",
        "outs: []\n",
        OUT.format(md5=MD5, path="a") * 2000,
        "outs:\n" + " " * 70_000 + "\n",
        "\x00",
    ],
)
def test_other_yaml_is_refused(text: str) -> None:
    with pytest.raises(dvc.NotRead):
        dvc.parse(text.encode())


def test_yaml_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(dvc.NotRead):
        dvc.parse(b"outs:\n- path: \xff\n")


@pytest.mark.parametrize(
    "path", ["../../escape.png", "/etc/passwd", "a/../../b.png", ".git/hooks/post-commit", "a\\b", "."]
)
def test_dvc_paths_that_lead_astray_are_named_and_left(store_repo: GitRepo, path: str) -> None:
    store_repo.write("assets/bg/x.dvc", OUT.format(md5=MD5, path=path))
    add_raw(store_repo, "assets/bg/x.dvc")
    done = store_repo.tool("migrate", "dvc", "--json", check=False)
    assert done.code == 1 and done.json()["files"] == []
    assert "astray" in done.json()["left"][0]["reason"]
    assert not (store_repo.path.parent / "escape.png").exists()


def test_a_listing_of_a_folder_that_leads_astray(store_repo: GitRepo) -> None:
    for said in (
        [{"md5": MD5, "relpath": "../../../x.png"}],
        [{"md5": "../" * 10, "relpath": "a.png"}],
        [{"md5": MD5, "relpath": "a.png"}] * 2,
        {"md5": MD5},
        [1],
    ):
        store_repo.write(f".dvc/cache/files/md5/{MD5[:2]}/{MD5[2:]}.dir", json.dumps(said))
        store_repo.write("assets/x.dvc", OUT.format(md5=MD5 + ".dir", path="x"))
        add_raw(store_repo, "assets/x.dvc")
        done = store_repo.tool("migrate", "dvc", "--json", check=False).json()
        assert done["files"] == [] and len(done["left"]) == 1, said
    store_repo.write(f".dvc/cache/files/md5/{MD5[:2]}/{MD5[2:]}.dir", "[" * 100_000)
    assert store_repo.tool("migrate", "dvc", "--json", check=False).json()["files"] == []


def add_raw(repo: GitRepo, path: str) -> None:
    """Puts a file into git's index past our filter, as a commit from before `init` has it."""
    oid = repo.git("hash-object", "-w", "--no-filters", "--", path).out
    repo.git("update-index", "--add", "--cacheinfo", f"100644,{oid},{path}")


def test_bytes_that_are_not_what_the_pointer_says_are_not_taken(store_repo: GitRepo, tmp_path: Path) -> None:
    wanted = digest(b"the picture")
    store_repo.write("assets/bg/a.png", GOOD.replace(OID, wanted))
    add_raw(store_repo, "assets/bg/a.png")
    store_repo.write(f".git/lfs/objects/{wanted[:2]}/{wanted[2:4]}/{wanted}", b"something else")
    done = store_repo.tool("migrate", "lfs", "--json", check=False).json()
    assert done["missing"] == ["assets/bg/a.png"] and len(done["damaged"]) == 1
    assert not store_repo.object_path(wanted).exists()


def test_a_symlink_in_the_cache_is_not_followed(store_repo: GitRepo, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"private key")
    wanted = digest(b"private key")
    store_repo.write("assets/bg/a.png", GOOD.replace(OID, wanted))
    add_raw(store_repo, "assets/bg/a.png")
    place = store_repo.path / ".git/lfs/objects" / wanted[:2] / wanted[2:4] / wanted
    place.parent.mkdir(parents=True)
    place.symlink_to(secret)
    assert store_repo.tool("migrate", "lfs", "--json", check=False).json()["missing"] == ["assets/bg/a.png"]
    assert not store_repo.object_path(wanted).exists() and secret.stat().st_nlink == 1


@pytest.mark.parametrize("linked", [".dvc/cache", ".dvc/cache/files", ".dvc"])
@pytest.mark.parametrize("is_tracked", [True, False])
def test_a_cache_that_came_as_a_symlink_is_not_followed(
    store_repo: GitRepo, tmp_path: Path, linked: str, is_tracked: bool
) -> None:
    data = media.png(seed=5)
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    other = tmp_path / "other/.dvc/cache/files/md5" / md5[:2] / md5[2:]
    other.parent.mkdir(parents=True)
    other.write_bytes(data)
    other.chmod(0o644)
    place = store_repo.path / linked
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(tmp_path / "other" / linked)
    store_repo.write("assets/bg/x.png.dvc", OUT.format(md5=md5, path="x.png").replace("size: 5", f"size: {len(data)}"))
    add_raw(store_repo, "assets/bg/x.png.dvc")
    if is_tracked:
        store_repo.git("add", "-f", linked)
    files = store_repo.tool("migrate", "dvc", "--json", check=False).json()["files"]
    # A person may well have put the cache on another disk by a link of their own; not what lies deeper.
    follows = not is_tracked and linked != ".dvc/cache/files"
    assert [item["path"] for item in files] == (["assets/bg/x.png"] if follows else [])
    if not follows:
        assert (other.stat().st_mode & 0o777, other.stat().st_nlink) == (0o644, 1)


def test_a_size_that_lies_is_not_believed_of_bytes_that_are_here(store_repo: GitRepo) -> None:
    data = media.png(seed=1)
    store_repo.write("assets/bg/a.png", GOOD.replace(OID, digest(data)).replace("size 12", "size 123456789012"))
    add_raw(store_repo, "assets/bg/a.png")
    store_repo.write(f".git/lfs/objects/{digest(data)[:2]}/{digest(data)[2:4]}/{digest(data)}", data)
    done = store_repo.tool("migrate", "lfs", "--json").json()
    assert done["files"][0]["bytes"] == len(data)
    assert store_repo.sidecar("assets/bg/a.png")["bytes"] == len(data)


def test_a_folder_that_is_a_symlink_is_not_written_through(store_repo: GitRepo, tmp_path: Path) -> None:
    data = media.png(seed=1)
    store_repo.write("assets/bg/a.png", GOOD.replace(OID, digest(data)))
    add_raw(store_repo, "assets/bg/a.png")
    store_repo.write(f".git/lfs/objects/{digest(data)[:2]}/{digest(data)[2:4]}/{digest(data)}", data)
    (store_repo.path / "assets/bg").rename(tmp_path / "bg")
    (store_repo.path / "assets/bg").symlink_to(tmp_path / "bg")
    store_repo.tool("migrate", "lfs", check=False)
    assert sorted(os.listdir(tmp_path / "bg")) == ["a.png"] and not (tmp_path / "bg/a.png").is_symlink()


def test_names_that_no_asset_can_have_are_left(store_repo: GitRepo) -> None:
    name = "assets/bg/" + "n" * 246 + ".png"
    store_repo.write(name, GOOD)
    add_raw(store_repo, name)
    store_repo.write("assets/.hidden.png", GOOD)
    add_raw(store_repo, "assets/.hidden.png")
    done = store_repo.tool("migrate", "lfs", "--json", check=False).json()
    assert done["files"] == [] and [left["path"] for left in done["left"]] == ["assets/.hidden.png", name]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (b"*.png filter=lfs diff=lfs merge=lfs -text\n", b""),
        (b'"a b.png" filter=lfs\r\n', b""),
        (b"*.png filter=lfs lockable\n", b"*.png lockable\n"),
        (b"# *.png filter=lfs\n", b"# *.png filter=lfs\n"),
        (b"*.png filter=lfsx\n", b"*.png filter=lfsx\n"),
        (b"*.png -filter\n", b"*.png -filter\n"),
        (b"[attr]big filter=lfs\n", b"[attr]big filter=lfs\n"),
        (b"filter=lfs text\n", b"filter=lfs text\n"),
    ],
)
def test_lines_of_git_lfs(repo: GitRepo, line: bytes, kept: bytes) -> None:
    from comfyvn_store.vcs.git import Git

    assert lines.without_lfs(Git(str(repo.path)), "sha1", ".gitattributes", line, ()) == kept


def test_git_says_which_line_a_remaining_pointer_needs(repo: GitRepo) -> None:
    from comfyvn_store.vcs.git import Git

    text = b"*.png filter=lfs\n*.wav filter=lfs\n/deep/** filter=lfs\n"
    left = lines.without_lfs(Git(str(repo.path)), "sha1", ".gitattributes", text, ["deep/er/a.ogg", "x/b.wav"])
    assert left == b"*.wav filter=lfs\n/deep/** filter=lfs\n"
    assert lines.without_lfs(Git(str(repo.path)), "sha1", "sub/.gitattributes", text, ["x/b.wav"]) == b""


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (".gitattributes", b"*.png filter=lfs diff=lfs\n*.txt text\n", [b"*.png !filter !diff !merge"]),
        (".gitattributes", b"/assets/bg/*.png filter=lfs\n", [b"/bg/*.png !filter !diff !merge"]),
        (".gitattributes", b"assets/** filter=lfs\n", [b"/** !filter !diff !merge"]),
        (".gitattributes", b"*/bg/*.png filter=lfs\n", [b"* !filter !diff !merge"]),
        ("assets/.gitattributes", b"bg/*.png filter=lfs\n", [b"bg/*.png !filter !diff !merge"]),
        (".gitattributes", b"*.txt text\n", []),
    ],
)
def test_lines_that_take_git_lfs_off_the_assets(path: str, text: bytes, expected: list[bytes]) -> None:
    assert lines.lfs_off("assets", {path: {text}}, []) == expected


def test_what_git_lfs_keeps_below_the_root_stays_its_own(repo: GitRepo) -> None:
    off = lines.lfs_off("assets", {".gitattributes": {b"*.png filter=lfs\n"}}, ['a "b" [c]\\.png'])
    repo.write(".gitattributes", "*.png filter=lfs\n")
    repo.write("assets/.gitattributes", b"\n".join(off) + b"\n")
    paths = ['assets/a "b" [c]\\.png', "assets/x.png", "x.png"]
    said = repo.git("check-attr", "-z", "filter", *paths).out.split("\0")[2::3]
    assert said == ["lfs", "unspecified", "lfs"]
