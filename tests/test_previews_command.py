"""`comfyvn-store previews`, and a worker that is killed: what is made is kept, nothing is made twice."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from comfyvn_store.asset import sidecar
from comfyvn_store.cli import output
from comfyvn_store.previews import worker
from comfyvn_store.vcs.repository import open_repository
from tests.gitrepo import GitRepo
from tests.media import png, wav
from tests.moving import SOUNDS, animation, film, flac, psd, sound
from tests.sounds import needs_ffmpeg
from tests.test_previews import add_and_commit, module

ENCODE = ("ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "sine=440:d=1")


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def cached(repo: GitRepo) -> dict[str, tuple[int, int]]:
    """What lies in the cache: an inode and a time each, which another file in its place would change."""
    folder = repo.path / "cache/thumbs"
    return (
        {place.name: (place.stat().st_ino, place.stat().st_mtime_ns) for place in folder.iterdir()}
        if folder.exists()
        else {}
    )


def previews(repo: GitRepo, *words: str, code: int = 0) -> dict[str, object]:
    done = repo.tool("previews", "--json", *words, check=False)
    assert done.code == code, done.err
    found = done.json()
    assert isinstance(found, dict)
    return found


def test_every_kind_of_media_gets_what_its_sidecar_says(store_repo: GitRepo) -> None:
    add_and_commit(
        store_repo,
        a_gif=animation("GIF", 3),
        b_psd=psd([b"\0" * 100] * 3, (10, 10)),
        c_flac=flac(),
        d_mp3=sound(*SOUNDS["audio/mpeg"]),
        e_ogg=sound(*SOUNDS["audio/ogg"]),
        f_opus=sound(*SOUNDS["audio/opus"]),
        g_mp4=film(),
        h_webm=film("webm", "libvpx"),
        i_wav=wav(),
        j_png=png(),
    )
    done = store_repo.tool("previews")
    assert done.out == "10 previews made" and done.code == 0
    names = set()
    for each in store_repo.tool("list", "--json").json():
        preview = each["preview"]
        assert preview == sidecar.preview_for(each["media"]["mime"], each["hash"])
        assert each["thumb"] == preview["path"] and (store_repo.path / each["thumb"]).stat().st_size
        names.add(f"{each['hash']}.webp")
        names.add(os.path.basename(each["thumb"]))
        if each["path"].endswith(".gif"):
            names.add(f"{each['hash']}.filmstrip.webp")
    assert set(cached(store_repo)) == names
    assert store_repo.tool("fsck", check=False).code == 0 and store_repo.status() == []
    before = cached(store_repo)
    assert previews(store_repo) == {"made": 0, "failed": [], "due": 0, "absent": 0, "running": False}
    assert cached(store_repo) == before


def test_what_cannot_be_made_is_named_each_time_and_ends_with_1(store_repo: GitRepo) -> None:
    add_and_commit(store_repo, good_png=png(), bad_png=b"\x89PNG\r\n\x1a\n" + b"\0" * 90, bad_flac=b"fLaC" + b"\0" * 90)
    for made in (1, 0):
        found = previews(store_repo, code=1)
        assert found["made"] == made
        failed = found["failed"]
        assert isinstance(failed, list)
        assert [each["path"] for each in failed] == ["assets/art/bad.flac", "assets/art/bad.png"]
        assert all(each["reason"] for each in failed)
    done = store_repo.tool("previews", check=False)
    assert done.code == 1 and done.out.count("no preview: ") == 2 and "assets/art/bad.png" in done.out


def test_retry_tries_again(store_repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_and_commit(store_repo, a_flac=flac())
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(module(tmp_path, "soundfile", "import os; os.abort()")))
        assert previews(store_repo, code=1)["failed"]
    assert previews(store_repo, code=1)["made"] == 0
    assert previews(store_repo, "--retry")["made"] == 1


def test_an_extra_that_was_installed_since_is_used(
    store_repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_and_commit(store_repo, a_flac=flac(), b_mp4=film(), c_png=png())
    with monkeypatch.context() as patch:
        missing = "raise ModuleNotFoundError('not here')"
        module(tmp_path, "av", missing)
        patch.setenv("PYTHONPATH", str(module(tmp_path, "soundfile", missing)))
        found = previews(store_repo, code=1)
    failed = found["failed"]
    assert isinstance(failed, list) and found["made"] == 1
    assert "comfyvn-store[sound]" in failed[0]["reason"] and "comfyvn-store[video]" in failed[1]["reason"]
    assert previews(store_repo) == {"made": 2, "failed": [], "due": 0, "absent": 0, "running": False}


def test_an_object_that_is_not_here_is_counted_and_no_failure(store_repo: GitRepo) -> None:
    add_and_commit(store_repo, a_png=png(seed=1), b_png=png(seed=2))
    store_repo.object_path(store_repo.sidecar("assets/art/a.png")["hash"]).unlink()
    assert previews(store_repo) == {"made": 1, "failed": [], "due": 0, "absent": 1, "running": False}
    assert "comfyvn-store pull" in store_repo.tool("previews").out


def test_previews_that_somebody_deleted_are_made_again(store_repo: GitRepo, tmp_path: Path) -> None:
    add_and_commit(store_repo, a_png=png(seed=1), b_png=png(seed=2))
    assert previews(store_repo)["made"] == 2
    folder = store_repo.path / "cache/thumbs"
    next(folder.iterdir()).unlink()
    assert store_repo.tool("status", "--json").json()["previews_due"] == 1
    assert previews(store_repo)["made"] == 1
    shutil.rmtree(folder)
    assert previews(store_repo)["made"] == 2 and len(cached(store_repo)) == 2
    assert store_repo.tool("status", "--json").json()["previews_due"] == 0


def test_another_folder_for_previews_is_filled(
    store_repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_and_commit(store_repo, a_png=png())
    assert previews(store_repo)["made"] == 1
    monkeypatch.setenv("COMFYVN_THUMBS_ROOT", str(tmp_path / "elsewhere"))
    assert previews(store_repo)["made"] == 1 and len(list((tmp_path / "elsewhere").iterdir())) == 1


def test_show_says_why_there_is_none_and_status_says_it_once(store_repo: GitRepo) -> None:
    broken = b"\x89PNG\r\n\x1a\n" + b"\0" * 90
    add_and_commit(store_repo, a_png=broken, b_png=broken + b"\0", c_png=png())
    assert "not made yet" in store_repo.tool("show", "assets/art/a.png").out
    previews(store_repo, code=1)
    assert "preview  none: " in store_repo.tool("show", "assets/art/a.png").out
    told = store_repo.tool("status").out
    assert told.count("2 files") == 1 and "assets/art/a.png" not in told
    assert "2 assets without a preview" in store_repo.tool("rebuild").out


@needs_ffmpeg
def test_whole_sounds_that_no_library_reads_are_not_called_damaged(store_repo: GitRepo) -> None:
    place = store_repo.path / "assets/art/a.ogg"
    place.parent.mkdir(parents=True)
    subprocess.run([*ENCODE, "-c:a", "flac", "-f", "ogg", str(place)], check=True)
    store_repo.git("add", "assets")
    store_repo.commit("sound")
    failed = previews(store_repo, code=1)["failed"]
    assert isinstance(failed, list) and failed[0]["reason"].startswith("FLAC in Ogg has no waveform")


def test_no_colour_where_nobody_wants_it(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.bad("x") == output.good("x") == output.dim("x") == output.strong("x") == "x"
    monkeypatch.delenv("NO_COLOR")
    assert output.bad("x") != "x"


@pytest.mark.parametrize("jobs", ["0", "-1", "many"])
def test_senseless_numbers_of_jobs(store_repo: GitRepo, jobs: str) -> None:
    assert store_repo.tool("previews", "--jobs", jobs, check=False).code == 2


def many(repo: GitRepo, count: int = 30) -> None:
    """Pictures that take a while each."""
    for number in range(count):
        repo.write(f"assets/art/{number:03}.png", png(500, 500, seed=number, noise=True))
    repo.git("add", "assets")
    repo.commit("art")
    repo.tool("list")


def start(repo: GitRepo, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "comfyvn_store", "previews", "--json", *words]
    return subprocess.Popen(command, cwd=repo.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(wanted: int, repo: GitRepo) -> None:
    deadline = time.monotonic() + 60
    while len(cached(repo)) < wanted:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_one_that_is_killed_is_resumed_and_makes_nothing_twice(store_repo: GitRepo, how: signal.Signals) -> None:
    many(store_repo)
    process = start(store_repo)
    wait_until(5, store_repo)
    process.send_signal(how)
    process.communicate(timeout=60)
    before = cached(store_repo)
    if len(before) == 30:
        pytest.skip("it had made all of them before this test looked")
    assert len(before) >= 5
    time.sleep(0.5)
    assert cached(store_repo) == before, "its processes ended with it"
    found = previews(store_repo)
    assert isinstance(found["made"], int) and 30 - len(before) <= found["made"] <= 30, (
        "of the last ones the index may not know"
    )
    after = cached(store_repo)
    assert len(after) == 30 and {name: after[name] for name in before} == before
    assert all(each["thumb"] for each in store_repo.tool("list", "--json").json())
    left = list((store_repo.path / ".git/comfyvn/tmp").iterdir())
    assert left == []
    assert store_repo.tool("fsck", check=False).code == 0


def test_two_at_once_make_nothing_twice(store_repo: GitRepo) -> None:
    many(store_repo)
    first = start(store_repo)
    wait_until(1, store_repo)
    hasty = previews(store_repo)
    assert hasty["running"] is True and hasty["made"] == 0 and isinstance(hasty["due"], int) and hasty["due"] > 0
    assert "--wait" in store_repo.tool("previews").out
    before = cached(store_repo)
    patient = previews(store_repo, "--wait")
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert patient["running"] is False and patient["due"] == 0
    assert '"made": 30' in out and patient["made"] == 0
    after = cached(store_repo)
    assert len(after) == 30 and {name: after[name] for name in before} == before


def test_what_comes_while_it_works_is_made_too(store_repo: GitRepo) -> None:
    many(store_repo, 20)
    repository = open_repository(str(store_repo.path))
    added = []

    def add(done: int, total: int) -> None:
        if done == 3 and not added:
            added.append(done)
            add_and_commit(store_repo, late_png=png(seed=99))

    assert worker.work(repository, patience=1.0, progress=add) == 21
