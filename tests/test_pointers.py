"""Pointer texts of Git LFS and git-annex, and DVC's files, below the assets root: they stay what they are until `migrate`."""

import os
from pathlib import Path

import pytest

from comfyvn_store.base import pointers
from comfyvn_store.base.pointers import Pointer
from tests import media
from tests.gitrepo import GitRepo
from tests.migrants import annex_text, commit_raw, lfs_text, put_lfs_object
from tests.oracle import digest, linked_hash

PICTURE = "assets/bg/club.png"
KEPT = "assets/bg/kept.png"


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


# -- the recogniser ----------------------------------------------------------------------------------------------------

OID = "ab" * 32
LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 12\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LFS, Pointer("lfs", OID)),
        (LFS.removesuffix("\n"), Pointer("lfs", OID)),
        (LFS.replace("\noid", "\next-0-foo sha256:" + OID + "\noid"), Pointer("lfs", None)),
        (f"/annex/objects/SHA256E-s5--{OID}.png\n", Pointer("annex", OID)),
        (f"/annex/objects/SHA256-s5--{OID}", Pointer("annex", OID)),
        ("/annex/objects/MD5E-s5--0123456789abcdef0123456789abcdef.png\n", Pointer("annex", None)),
        (f"/annex/objects/SHA256E-s5--{OID}.png\n/annex/more\n", Pointer("annex", OID)),
        (LFS + "more\n", None),
        (LFS.replace(OID, OID[1:]), None),
        (LFS.replace("sha256", "md5"), None),
        (LFS.replace("git-lfs.github.com", "example.org"), None),
        (f"/annex/objects/SHA256E-s5--{OID}.png\nwhat a person wrote\n", None),
        ("/annex/objects/../../x\n", None),
        ("/annex/objects/no key\n", None),
        ("", None),
    ],
)
def test_what_is_a_pointer(text: str, expected: Pointer | None) -> None:
    assert pointers.parse(text.encode()) == expected


def test_a_picture_is_no_pointer() -> None:
    assert pointers.parse(media.png()) is None
    assert pointers.parse(LFS.encode() + b"x" * 40_000) is None


# -- git add, commit, doctor -------------------------------------------------------------------------------------------


@pytest.fixture(params=[lfs_text, annex_text], ids=["lfs", "annex"])
def kept(request: pytest.FixtureRequest, store_repo: GitRepo) -> tuple[GitRepo, bytes]:
    """A repository with one picture of ours and one pointer, whose bytes are not here."""
    text: bytes = request.param(media.png(seed=5))
    store_repo.write(PICTURE, media.png(seed=4))
    store_repo.git("add", "assets")
    store_repo.commit("ours")
    commit_raw(store_repo, KEPT, text)
    return store_repo, text


def touch(repo: GitRepo, path: str) -> None:
    os.utime(repo.path / path, ns=(1, 1_000_000_007))


def check_kept(repo: GitRepo, text: bytes) -> None:
    assert repo.blob(f":{KEPT}") == text and repo.read(KEPT) == text
    assert not (repo.path / f"{KEPT}.asset.json").exists()
    assert not repo.object_path(digest(text)).exists()


def test_git_add_leaves_a_pointer_as_it_is(kept: tuple[GitRepo, bytes]) -> None:
    repo, text = kept
    repo.git("add", "--renormalize", "assets")
    check_kept(repo, text)
    touch(repo, KEPT)
    assert repo.status() == []
    repo.write(PICTURE, media.png(seed=6))
    repo.git("commit", "--quiet", "-am", "all")
    check_kept(repo, text)
    assert repo.status() == [] and repo.tool("doctor", "--fix", check=False).code != 0
    check_kept(repo, text)
    assert repo.status() == []


def test_a_new_pointer_is_committed_as_it_is(kept: tuple[GitRepo, bytes]) -> None:
    repo, text = kept
    repo.write("assets/bg/new.png", text)
    repo.git("add", "assets")
    repo.commit("new")
    assert repo.blob("HEAD:assets/bg/new.png") == text
    repo.write("assets/bg/newest.png", text)
    oid = repo.git("hash-object", "-w", "--no-filters", "assets/bg/newest.png").out
    repo.git("update-index", "--add", "--cacheinfo", f"100644,{oid},assets/bg/newest.png")
    repo.commit("passed no filter")
    assert repo.blob("HEAD:assets/bg/newest.png") == text
    assert repo.git("ls-files", "*.asset.json").out == f"{PICTURE}.asset.json"


def test_whoever_tells_what_is_due_names_migrate(kept: tuple[GitRepo, bytes]) -> None:
    repo, text = kept
    program, name = ("lfs", "Git LFS") if b"lfs" in text else ("annex", "git-annex")
    said = repo.tool("status").out
    assert f"kept by {name}" in said and f"comfyvn-store migrate {program}" in said and "renormalize" not in said
    found = repo.tool("status", "--json").json()
    assert found["foreign"] == [{"path": KEPT, "program": program}] and found["raw"] == []
    for words in (("doctor",), ("check",), ("fsck",)):
        findings = repo.tool(*words, "--json", check=False).json()["findings"]
        own = [each for each in findings if KEPT in (each.get("path"), *each.get("paths", ()))]
        assert [each["kind"] for each in own] == ["foreign"], words
        assert own[0]["message"].endswith(f"kept by {name}, not in the store")
        assert own[0]["remedy"].startswith(f"comfyvn-store migrate {program}")


def test_register_refuses_a_pointer(kept: tuple[GitRepo, bytes], tmp_path: Path) -> None:
    repo, text = kept
    (tmp_path / "one.png").write_bytes(text)
    # One from elsewhere by copy, and the one below the assets root by adopting it.
    for words in ((str(tmp_path / "one.png"),), (KEPT, "--no-copy")):
        done = repo.tool("register", *words, "--type", "bg", check=False)
        assert done.code == 20 and "comfyvn-store migrate" in done.err, done.err
        assert (tmp_path / "one.png").read_bytes() == text
    check_kept(repo, text)


def test_dvc_files_are_no_assets(store_repo: GitRepo) -> None:
    text = "outs:\n- md5: 0123456789abcdef0123456789abcdef\n  size: 5\n  path: one.png\n"
    store_repo.write("assets/bg/one.png.dvc", text)
    store_repo.git("add", "assets")
    store_repo.commit("dvc")
    assert store_repo.blob("HEAD:assets/bg/one.png.dvc") == text.encode()
    assert store_repo.git("ls-files", "*.asset.json").out == ""
    assert "filter: unspecified" in store_repo.git("check-attr", "filter", "assets/bg/one.png.dvc").out
    assert store_repo.tool("status", "--json").json()["foreign"] == [
        {"path": "assets/bg/one.png.dvc", "program": "dvc"}
    ]
    # As `init` wrote our attributes before they had a line for it.
    place = store_repo.path / "assets/.gitattributes"
    place.write_text("".join(line for line in place.read_text().splitlines(keepends=True) if "dvc" not in line))
    store_repo.git("commit", "-qam", "older")
    store_repo.write("assets/bg/two.png.dvc", text)
    store_repo.git("add", "assets")
    store_repo.commit("dvc")
    assert store_repo.blob("HEAD:assets/bg/two.png.dvc") == text.encode()


# -- pointers that became assets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("views", ["link", "copy"])
def test_a_pointer_that_was_stored_as_art_is_named_and_taken_over(store_repo: GitRepo, views: str) -> None:
    data = media.png(seed=5)
    text = lfs_text(data)
    put_lfs_object(store_repo, data)
    store_repo.write(KEPT, b"\n" + text)  # no pointer, so it is taken as any file is
    store_repo.git("add", "assets")
    store_repo.commit("made by an older version")
    _pretend_stored(store_repo, text)
    if views == "copy":
        store_repo.git("config", "comfyvn.views", "copy")
        store_repo.tool("init")
    for words in (("doctor",), ("check",), ("fsck",)):
        findings = store_repo.tool(*words, "--json", check=False).json()["findings"]
        kinds = {each["kind"]: each for each in findings}
        assert kinds["stored-pointer"]["remedy"].startswith("comfyvn-store migrate lfs"), (words, findings)
    store_repo.tool("migrate", "lfs")
    store_repo.commit("taken over")
    assert linked_hash(store_repo.blob(f"HEAD:{KEPT}").decode()) == digest(data)
    assert store_repo.read(KEPT) == data and store_repo.sidecar(KEPT)["hash"] == digest(data)
    assert store_repo.status() == []
    assert store_repo.tool("check", check=False).code == 0


def test_such_pointers_go_from_history_too(store_repo: GitRepo) -> None:
    data = media.png(seed=5)
    put_lfs_object(store_repo, data)
    store_repo.write(KEPT, b"\n" + lfs_text(data))
    store_repo.git("add", "assets")
    store_repo.commit("made by an older version")
    _pretend_stored(store_repo, lfs_text(data))
    store_repo.write(PICTURE, media.png(seed=6))
    store_repo.git("add", "assets")
    store_repo.commit("later")
    store_repo.tool("migrate", "lfs", "--history")
    for revision in ("HEAD", "HEAD~1"):
        assert linked_hash(store_repo.blob(f"{revision}:{KEPT}").decode()) == digest(data)
    assert store_repo.read(KEPT) == data and store_repo.sidecar(KEPT)["hash"] == digest(data)
    assert store_repo.status() == []
    assert store_repo.tool("check", check=False).code == 0


def _pretend_stored(repo: GitRepo, text: bytes) -> None:
    """Makes the pointer's text the object of the asset, link and sidecar included."""
    old = digest(b"\n" + text)
    place = repo.object_path(digest(text))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(text)
    place.chmod(0o444)
    os.utime(place, (1_700_000_000, 1_700_000_000))
    view, card = repo.path / KEPT, repo.path / f"{KEPT}.asset.json"
    link = repo.link(KEPT)
    view.unlink()
    new = digest(text)
    view.symlink_to(link.replace(f"{old[:2]}/{old[2:]}", f"{new[:2]}/{new[2:]}"))
    said = card.read_text().replace(old, new).replace(f'"bytes": {len(text) + 1}', f'"bytes": {len(text)}')
    card.unlink()
    card.write_text(said)
    repo.git("add", "assets")
    repo.commit("the text as an object")


# -- bytes that a pointer stands for -----------------------------------------------------------------------------------


def test_bytes_that_a_pointer_names_stay_git_lfss(store_repo: GitRepo) -> None:
    data = media.png(seed=5)
    put_lfs_object(store_repo, data)
    commit_raw(store_repo, KEPT, lfs_text(data))
    store_repo.write(KEPT, data)  # as Git LFS checks it out
    store_repo.git("add", "assets")
    assert store_repo.status() == []
    store_repo.git("add", "--renormalize", "assets")
    assert store_repo.blob(f":{KEPT}") == lfs_text(data)
    assert store_repo.status() == []
    store_repo.write(KEPT, media.png(seed=6))  # new art is ours
    store_repo.git("commit", "-qam", "painted")
    assert store_repo.sidecar(KEPT)["type"] == "bg"


def test_a_checkout_of_a_pointer_gives_the_bytes_that_the_store_has(store_repo: GitRepo) -> None:
    data = media.png(seed=5)
    put_lfs_object(store_repo, data)
    commit_raw(store_repo, KEPT, lfs_text(data))
    store_repo.tool("migrate", "lfs")
    store_repo.git("reset", "--quiet", "--hard")
    assert store_repo.read(KEPT) == data and store_repo.blob(f":{KEPT}") == lfs_text(data)
    assert store_repo.status() == []
    touch(store_repo, KEPT)
    assert store_repo.status() == []


def test_a_pointer_that_a_merge_brings_is_no_art(store_repo: GitRepo) -> None:
    store_repo.write(KEPT, media.png(seed=1))
    store_repo.git("add", "assets")
    store_repo.commit("ours")
    store_repo.git("switch", "-q", "-c", "topic")
    (store_repo.path / KEPT).unlink()
    commit_raw(store_repo, KEPT, lfs_text(media.png(seed=2)))
    store_repo.git("switch", "-q", "main")
    store_repo.write(KEPT, media.png(seed=3))
    store_repo.git("commit", "-qam", "painted")
    store_repo.git("merge", "-q", "topic", check=False)
    index = store_repo.git("ls-files", "--stage").out
    assert f"2\t{KEPT}" in index
    done = store_repo.tool("resolve", "assets", "--theirs", check=False)
    assert done.code == 20 and "a pointer of Git LFS" in done.err, done.err
    assert store_repo.git("ls-files", "--stage").out == index
