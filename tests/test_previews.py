"""The preview worker: what it makes, what it remembers, and what it must never do; and broken media, kept as they are."""

import errno
import hashlib
import json
import os
import shutil
import struct
from pathlib import Path

import pytest

from comfyvn_store import AssetRegistry
from comfyvn_store.index.prints import open_prints
from comfyvn_store.previews import fingerprints, pool, worker
from comfyvn_store.vcs.repository import open_repository
from tests.gitrepo import GitRepo
from tests.media import comfy_png, png, wav
from tests.moving import flac


def add_and_commit(repo: GitRepo, **art: bytes) -> None:
    for name, data in art.items():
        repo.write(f"assets/art/{name.replace('_', '.')}", data)
    repo.git("add", "assets")
    repo.commit("art")


def module(folder: Path, name: str, text: str) -> Path:
    """A folder for PYTHONPATH with a module that stands before another of its name: a decoder with a mind of its own."""
    place = folder / "modules"
    place.mkdir(exist_ok=True)
    (place / f"{name}.py").write_text(text)
    return place


def wait(repo: GitRepo) -> AssetRegistry:
    registry = AssetRegistry(assets_root=repo.path / "assets")
    assert registry.wait_for_previews(60)
    return registry


def truncated_png() -> bytes:
    return png(64, 64, noise=True)[:2000]


def broken_crc() -> bytes:
    data = bytearray(png(8, 8))
    data[data.index(b"IDAT") + 6] ^= 0xFF
    return bytes(data)


BROKEN = {
    "truncated": truncated_png(),
    "broken-crc": broken_crc(),
    "text": b"this is no picture\n",
    "jpeg-head": b"\xff\xd8\xff\xe0" + b"\0" * 40,
    "signature-only": b"\x89PNG\r\n\x1a\n",
}


def test_a_commit_starts_the_worker_and_it_makes_previews(store_repo: GitRepo) -> None:
    add_and_commit(store_repo, a_png=comfy_png(), b_wav=wav())
    registry = wait(store_repo)
    a, b = registry.list_assets()
    assert a["thumb"] == a["preview"]["path"] == f"cache/thumbs/{a['hash']}.webp"
    assert b["thumb"] == b["preview"]["path"] == f"cache/thumbs/{b['hash']}.waveform.json"
    assert (store_repo.path / a["thumb"]).read_bytes()[8:12] == b"WEBP"
    assert json.loads(store_repo.read(b["thumb"]))
    assert sorted(path.name for path in (store_repo.path / "cache/thumbs").iterdir()) == sorted(
        [f"{a['hash']}.webp", f"{b['hash']}.waveform.json", f"{b['hash']}.webp"]
    )
    assert store_repo.status() == []
    assert list((store_repo.path / ".git/comfyvn/tmp").iterdir()) == []


def test_the_same_bytes_at_two_paths_share_a_preview(store_repo: GitRepo) -> None:
    add_and_commit(store_repo, a_png=png(), b_png=png())
    a, b = wait(store_repo).list_assets()
    assert a["thumb"] == b["thumb"] is not None


@pytest.mark.parametrize("kind", sorted(BROKEN))
def test_broken_media_are_committed_as_they_are(store_repo: GitRepo, kind: str) -> None:
    data = BROKEN[kind]
    add_and_commit(store_repo, a_png=data)
    assert store_repo.status() == []
    assert store_repo.sidecar("assets/art/a.png")["hash"] == hashlib.sha256(data).hexdigest()
    assert store_repo.read("assets/art/a.png") == data


@pytest.mark.parametrize("data", [b"RIFF", wav()[:60], b"RIFF" + struct.pack("<I", 4) + b"WAVE", b"no sound"])
def test_a_broken_sound_is_committed_as_it_is(store_repo: GitRepo, data: bytes) -> None:
    add_and_commit(store_repo, a_wav=data)
    assert store_repo.status() == [] and store_repo.read("assets/art/a.wav") == data
    assert wait(store_repo).list_assets()[0]["hash"] == hashlib.sha256(data).hexdigest()


def test_a_failure_is_remembered_shown_and_not_tried_again(
    store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_and_commit(store_repo, bad_png=b"\x89PNG\r\n\x1a\n" + b"\0" * 90, good_png=png())
    registry = wait(store_repo)
    bad, good = registry.list_assets()
    assert bad["thumb"] is None and good["thumb"] is not None
    found = store_repo.tool("status", "--json").json()
    assert [each["path"] for each in found["preview_failures"]] == ["assets/art/bad.png"]
    assert found["preview_failures"][0]["reason"] and found["previews_due"] == 0
    assert "assets/art/bad.png" in store_repo.tool("status").out

    def never(*_: object) -> None:
        raise AssertionError("tried again")

    monkeypatch.setattr(pool, "_Child", never)
    assert worker.work(open_repository(str(store_repo.path)), patience=5.0) == 0


def test_a_rebuild_tries_a_failed_preview_again(
    store_repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    add_and_commit(store_repo, a_flac=flac())
    store_repo.tool("list")
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(module(tmp_path, "soundfile", "import os; os.abort()")))
        assert worker.work(open_repository(str(store_repo.path)), patience=5.0) == 0
    found = store_repo.tool("status", "--json").json()["preview_failures"]
    assert [each["reason"] for each in found] == ["the decoder crashed (SIGABRT)"]
    store_repo.tool("rebuild")
    assert store_repo.tool("status", "--json").json()["preview_failures"] == []
    assert store_repo.tool("list", "--json").json()[0]["thumb"] is not None


def test_a_cache_folder_that_vanishes_while_it_works_is_not_made_again(
    store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    add_and_commit(store_repo, a_png=png(seed=1), b_png=png(seed=2), c_png=png(seed=3))
    store_repo.tool("list")
    cache = store_repo.path / "cache"
    done = []

    def take_away(number: int, total: int) -> None:
        done.append(number)
        if number == 1:
            shutil.rmtree(cache)

    repository = open_repository(str(store_repo.path))
    assert worker.work(repository, patience=5.0, progress=take_away) == 1
    assert done == [0, 1] and not cache.exists()

    real = worker._move

    def remove_and_move(temp: str, place: str, beside: str) -> None:
        shutil.rmtree(cache)
        real(temp, place, beside)

    with monkeypatch.context() as patch:
        patch.setattr(worker, "_move", remove_and_move)
        assert worker.work(repository, patience=5.0) == 0
    assert not cache.exists()
    assert [each["thumb"] for each in store_repo.tool("list", "--json").json()] == [None] * 3
    assert list((store_repo.path / ".git/comfyvn/tmp").iterdir()) == []


def test_a_deleted_cache_is_made_anew_by_rebuild(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")  # a worker in the background may be faster
    add_and_commit(store_repo, a_png=png())
    store_repo.tool("previews")
    shutil.rmtree(store_repo.path / "cache")
    assert store_repo.tool("list", "--json").json()[0]["thumb"] is None
    assert store_repo.tool("rebuild", "--json").json()["previews"] == 1
    thumb = store_repo.tool("list", "--json").json()[0]["thumb"]
    assert (store_repo.path / thumb).is_file()


def test_a_missing_object_is_no_failure(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    add_and_commit(store_repo, a_png=png())
    store_repo.object_path(store_repo.sidecar("assets/art/a.png")["hash"]).unlink()
    found = wait(store_repo).list_assets()[0]
    assert found["thumb"] is None and found["present"] is False
    assert store_repo.tool("status", "--json").json()["preview_failures"] == []


def test_no_worker_is_started_in_a_linked_work_tree(store_repo: GitRepo, tmp_path: Path) -> None:
    add_and_commit(store_repo, a_png=png(seed=1))
    wait(store_repo)
    store_repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    linked = GitRepo(tmp_path / "side")
    linked.write("assets/art/b.png", png(seed=2))
    linked.git("add", "assets")
    linked.commit("from the side")
    found = linked.tool("list", "--json").json()
    assert [each["path"] for each in found] == ["art/a.png", "art/b.png"]
    assert not worker.is_running(open_repository(str(linked.path)))
    assert not (linked.path / "cache").exists() and not (linked.path / ".git/comfyvn/previews.lock").exists()
    assert linked.status() == []
    assert AssetRegistry(assets_root=linked.path / "assets").wait_for_previews(60), "asked for, they are made here"


def test_two_workers_do_not_get_in_each_others_way(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    add_and_commit(store_repo, a_png=png(seed=1))
    store_repo.tool("list")
    repository = open_repository(str(store_repo.path))
    seen = []

    def look(number: int, total: int) -> None:
        seen.append(worker.is_running(repository))

    assert worker.work(repository, patience=1.0, progress=look) == 1
    assert seen and all(seen) and not worker.is_running(repository)


def test_fingerprints_are_made_when_no_preview_is_missing(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    monkeypatch.setattr(fingerprints, "_BATCH", 1)
    add_and_commit(store_repo, a_png=png(seed=1), b_png=png(seed=2))
    store_repo.tool("list")
    repository = open_repository(str(store_repo.path))
    hashes = [each["hash"] for each in store_repo.tool("list", "--json").json()]
    assert worker.work(repository, patience=1.0, looking=None) == 2
    with open_prints(repository) as prints:
        assert prints.lacking(hashes) == hashes

    told: list[str] = []

    def looking(what: str, done: int, total: int) -> None:
        told.append(f"fingerprint {done} of {total}")
        if done == 1 and total == 2:  # what is committed meanwhile comes before the rest
            add_and_commit(store_repo, c_png=png(seed=3))
            store_repo.tool("list")

    def previews(done: int, total: int) -> None:
        told.append(f"preview {done} of {total}")

    assert worker.work(repository, patience=1.0, progress=previews, looking=looking) == 1
    assert told == [
        "fingerprint 1 of 2",
        "preview 0 of 1",
        "preview 1 of 1",
        "fingerprint 2 of 3",
        "fingerprint 3 of 3",
    ]
    hashes = [each["hash"] for each in store_repo.tool("list", "--json").json()]
    with open_prints(repository) as prints:
        assert len(hashes) == 3 and prints.lacking(hashes) == []
        assert all(prints.of(hash_) for hash_ in hashes)


def test_what_a_killed_worker_left_in_a_cache_of_another_disk_goes(
    store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add_and_commit(store_repo, a_png=comfy_png())
    assert wait(store_repo).list_assets()
    repository = open_repository(str(store_repo.path))
    cache = store_repo.path / "cache/thumbs"
    left, other = cache / f"{'0' * 64}.webp.{worker._temp_prefix(repository)}tmp", cache / "somebody.tmp"
    for place in (left, other):
        place.write_bytes(b"half")
    replace = os.replace

    def across(source: str, target: str) -> None:
        if os.path.dirname(source) != os.path.dirname(target):
            raise OSError(errno.EXDEV, "Invalid cross-device link", source)
        seen.append(os.path.basename(source))
        replace(source, target)

    seen: list[str] = []
    monkeypatch.setattr(os, "replace", across)
    worker._sweep(repository)
    assert not left.exists() and other.exists()
    made = tmp_path / "made.webp"
    made.write_bytes(b"whole")
    worker._move(str(made), str(cache / "x.webp"), str(left))
    assert (cache / "x.webp").read_bytes() == b"whole" and seen == [left.name] and not left.exists()

    def full(_: str, target: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(made), None, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError) as failed:
        worker._move(str(made), str(cache / "x.webp"), str(left))
    assert (failed.value.errno, failed.value.filename) == (errno.ENOSPC, str(cache / "x.webp"))
