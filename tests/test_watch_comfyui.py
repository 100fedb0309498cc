"""`watch --comfyui`: against a stand-in server that speaks ComfyUI's protocol, and against ways in which one can lie."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from comfyvn_store.ops.watching.websocket import Broken, WebSocket
from tests.comfyui_server import ComfyUI, frame, reply
from tests.gitrepo import GitRepo
from tests.media import comfy_png, comfy_prompt, png, wav


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def comfyui() -> Iterator[ComfyUI]:
    server = ComfyUI()
    yield server
    server.stop()


class Watch:
    """A watch that runs."""

    def __init__(self, repo: GitRepo, log: Path, *words: str) -> None:
        self._log = log
        command = [sys.executable, "-P", "-m", "comfyvn_store", "watch", "--type", "generated", "--json", *words]
        with open(log, "wb") as target:
            self.process = subprocess.Popen(command, cwd=repo.path, stdout=target, stderr=subprocess.STDOUT)

    def events(self) -> list[dict[str, Any]]:
        lines = self._log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def wait_for(self, kind: str, number: int = 1, seconds: float = 60.0) -> list[dict[str, Any]]:
        until = time.monotonic() + seconds
        while True:
            found = [event for event in self.events() if event["event"] == kind]
            if len(found) >= number:
                return found
            assert time.monotonic() < until and self.process.poll() is None, self._log.read_text()
            time.sleep(0.05)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def watch(store_repo: GitRepo, tmp_path: Path) -> Iterator[Callable[..., Watch]]:
    begun: list[Watch] = []

    def begin(*words: str) -> Watch:
        begun.append(Watch(store_repo, tmp_path / f"watch{len(begun)}.log", *words))
        return begun[-1]

    yield begin
    for each in begun:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


def once(repo: GitRepo, server: ComfyUI, *words: str) -> list[dict[str, Any]]:
    done = repo.tool("watch", "--comfyui", server.url, "--type", "generated", "--once", "--json", *words, check=False)
    assert "Traceback" not in done.err
    return [json.loads(line) for line in done.out.splitlines()]


def test_what_a_prompt_saved_is_fetched_registered_and_staged(
    store_repo: GitRepo, comfyui: ComfyUI, watch: Callable[..., Watch]
) -> None:
    running = watch("--comfyui", comfyui.url)
    comfyui.wait_for_listener()
    comfyui.execute("p1", {"sprites/mira_00001_.png": comfy_png(41)})
    added = running.wait_for("added")
    assert added[0]["path"] == "assets/generated/sprites/mira_00001_.png"
    assert running.end() == 0
    card = store_repo.sidecar("assets/generated/sprites/mira_00001_.png")
    assert card["provenance"]["source"] == "comfyui" and card["provenance"]["inputs"]["seed"] == 41
    assert "workflow" not in card["provenance"]  # the file has its graph itself
    assert card["tags"] == ["sprites", "mira"]
    assert "A  assets/generated/sprites/mira_00001_.png" in store_repo.status()
    assert running.events()[-1]["counts"]["added"] == 1


def test_a_graph_from_the_history_is_stated_where_the_file_carries_none(store_repo: GitRepo, comfyui: ComfyUI) -> None:
    comfyui.execute("p1", {"bare_00001_.png": png(16, 16, 3)}, comfy_prompt(77), tell=False)
    once(store_repo, comfyui)
    record = store_repo.sidecar("assets/generated/bare_00001_.png")["provenance"]
    assert record["source"] == "comfyui" and record["inputs"]["seed"] == 77
    assert record["workflow"] == json.loads(json.dumps(comfy_prompt(77))) and record["workflow_hash"]


def test_sounds_and_films_are_fetched_and_previews_and_inputs_are_not(store_repo: GitRepo, comfyui: ComfyUI) -> None:
    comfyui.execute("p1", {"audio/song_00001_.wav": wav()}, key="audio", tell=False)
    comfyui.execute("p2", {"ComfyUI_temp_abc_00001_.png": png(8, 8, 1)}, kind="temp", tell=False)
    events = once(store_repo, comfyui)
    assert [event["path"] for event in events if event["event"] == "added"] == [
        "assets/generated/audio/song_00001_.wav"
    ]
    assert comfyui.count("/view") == 1


def test_nothing_is_fetched_twice(store_repo: GitRepo, comfyui: ComfyUI) -> None:
    comfyui.execute("p1", {"a_00001_.png": comfy_png(1)}, tell=False)
    once(store_repo, comfyui)
    # The same prompt again: its nodes did not run, and its outputs are those of before.
    comfyui.execute("p2", {"a_00001_.png": comfy_png(1)}, cached=True, tell=False)
    events = once(store_repo, comfyui)
    assert [event["event"] for event in events] == ["watching", "ended"]
    assert comfyui.count("/view") == 1


def test_what_was_missed_is_caught_up_with_when_the_server_comes_back(
    store_repo: GitRepo, comfyui: ComfyUI, watch: Callable[..., Watch]
) -> None:
    running = watch("--comfyui", comfyui.url)
    comfyui.wait_for_listener()
    port = comfyui.port
    comfyui.stop()
    running.wait_for("gone")
    again = ComfyUI(port)
    try:
        for number in range(40):  # more than the first question asks for
            again.execute(f"p{number}", {f"m_{number:05}_.png": comfy_png(number)}, tell=False)
        running.wait_for("back")
        running.wait_for("added", 40)
        assert running.end(signal.SIGTERM) == 0
    finally:
        again.stop()


def test_lies_on_the_socket_end_nothing(store_repo: GitRepo, comfyui: ComfyUI, watch: Callable[..., Watch]) -> None:
    running = watch("--comfyui", comfyui.url)
    comfyui.wait_for_listener()
    for data in (b"", b"[]", b"{", b'{"type": 7}', b'{"type": "executing", "data": []}', b"[" * 100_000):
        comfyui.send(frame(1, data))
    comfyui.send(frame(2, b"\0\0\0\1" + bytes(30 << 20)))  # a preview that is too large
    comfyui.send(frame(9, b"are you there"))
    comfyui.execute("p1", {"a_00001_.png": comfy_png(1)})
    running.wait_for("added")
    assert (10, b"are you there") in comfyui.heard
    # Frames that no server sends end the connection, and another one is made.
    for bad in (frame(1, b"x", masked=True), frame(1, b"x", reserved=0x40), frame(0, b"x"), frame(1, b"\xff\xfe")):
        comfyui.wait_for_listener()
        comfyui.send(bad)
        time.sleep(0.2)
    comfyui.wait_for_listener(60)
    comfyui.execute("p2", {"b_00001_.png": comfy_png(2)})
    running.wait_for("added", 2)
    assert running.end() == 0


def test_names_that_lead_elsewhere_are_left_and_never_asked_for(store_repo: GitRepo, comfyui: ComfyUI) -> None:
    comfyui.execute("p1", {"ok_00001_.png": comfy_png(1)}, tell=False)
    images = comfyui.history["p1"]["outputs"]["9"]["images"]
    for name, folder in (
        ("../../etc/passwd", ""),
        ("x.png", "../.."),
        ("x.png", "/etc"),
        ("a\\b.png", ""),
        ("x\0.png", ""),
        ("C:x.png", ""),
        (".hidden.png", ""),
        ("..", ""),
    ):
        images.append({"filename": name, "subfolder": folder, "type": "output"})
    images += [{"filename": 7, "type": "output"}, {"type": "output"}, "nonsense", None]
    events = once(store_repo, comfyui)
    assert len([event for event in events if event["event"] == "left"]) == 9
    assert comfyui.count("/view") == 1
    assert [event["path"] for event in events if event["event"] == "added"] == ["assets/generated/ok_00001_.png"]


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"<html>an error</html>", 200, "no picture"),
        (b"", 404, "404"),
        (b"", 403, "403"),
    ],
)
def test_an_answer_that_is_no_picture_is_left(
    store_repo: GitRepo, comfyui: ComfyUI, body: bytes, status: int, reason: str
) -> None:
    comfyui.execute("p1", {"a_00001_.png": comfy_png(1)}, tell=False)
    comfyui.answers["/view"] = lambda handler: reply(handler, status, body, "image/png")
    events = once(store_repo, comfyui)
    left = [event for event in events if event["event"] == "left"]
    assert len(left) == 1 and reason in left[0]["reason"]
    once(store_repo, comfyui)
    assert comfyui.count("/view") == 1  # that was final


def test_an_answer_that_fails_or_is_cut_off_is_asked_for_again(
    store_repo: GitRepo, comfyui: ComfyUI, watch: Callable[..., Watch]
) -> None:
    picture = comfy_png(1)
    answers = [(500, b""), (200, picture[:-20]), (200, picture)]

    def answer(handler: Any) -> None:
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        reply(handler, status, body, "image/png")

    comfyui.answers["/view"] = answer
    running = watch("--comfyui", comfyui.url)
    comfyui.wait_for_listener()
    comfyui.execute("p1", {"a_00001_.png": picture})
    running.wait_for("added")
    assert comfyui.count("/view") == 3
    assert running.end() == 0


def test_a_redirect_to_another_host_is_not_followed(store_repo: GitRepo, comfyui: ComfyUI) -> None:
    other = ComfyUI()
    try:
        comfyui.execute("p1", {"a_00001_.png": comfy_png(1)}, tell=False)
        comfyui.answers["/view"] = lambda handler: reply(
            handler, 302, b"", "text/plain", Location=f"{other.url}/view?filename=a_00001_.png"
        )
        events = once(store_repo, comfyui)
        assert "another one" in next(event for event in events if event["event"] == "left")["reason"]
        assert other.asked == []
    finally:
        other.stop()


def test_a_redirect_on_the_same_host_is(store_repo: GitRepo, comfyui: ComfyUI) -> None:
    comfyui.execute("p1", {"a_00001_.png": comfy_png(1)}, tell=False)
    comfyui.answers["/view"] = lambda handler: reply(handler, 307, b"", "text/plain", Location="/moved")
    comfyui.answers["/moved"] = lambda handler: reply(handler, 200, comfyui.files["a_00001_.png"], "text/html")
    assert [event["event"] for event in once(store_repo, comfyui)] == ["watching", "added", "ended"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"[" * 200_000, b'{"p": 7}', b'{"p": {"outputs": 3, "prompt": {}}}']
)
def test_a_history_that_lies_breaks_nothing(store_repo: GitRepo, comfyui: ComfyUI, body: bytes) -> None:
    comfyui.answers["/history"] = lambda handler: reply(handler, 200, body, "application/json")
    done = store_repo.tool("watch", "--comfyui", comfyui.url, "--type", "generated", "--once", check=False)
    assert done.code in (0, 16) and "Traceback" not in done.err and "bug" not in done.err
    assert store_repo.status() == ["A  assets/.gitattributes"] or store_repo.status() == []


def test_a_server_that_is_not_there_is_said_and_waited_for(
    store_repo: GitRepo, comfyui: ComfyUI, watch: Callable[..., Watch]
) -> None:
    port = comfyui.port
    comfyui.stop()
    done = store_repo.tool("watch", "--comfyui", f"127.0.0.1:{port}", "--type", "x", "--once", check=False)
    assert done.code == 16 and "cannot ask the server" in done.err
    running = watch("--comfyui", f"http://127.0.0.1:{port}")
    running.wait_for("gone")
    assert running.end(signal.SIGTERM) == 0
    assert running.events()[-1]["event"] == "ended"


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://user:secret@127.0.0.1", "http://127.0.0.1:99999", "/x"])
def test_an_address_that_is_none_is_refused(store_repo: GitRepo, url: str) -> None:
    done = store_repo.tool("watch", "--comfyui", url, "--type", "x", check=False)
    assert done.code == 2 and "secret" not in done.err.replace(url, "")


# -- the socket itself ----------------------------------------------------------------------------------------------


def connected(server: ComfyUI, longest: int = 1 << 20) -> WebSocket:
    found = WebSocket("127.0.0.1", server.port, "/ws", secure=False, timeout=5.0, longest=longest)
    assert found.receive(5.0) is not None  # the status that greets
    server.wait_for_listener()  # it counts among those who are sent to only just after that
    return found


def test_a_message_in_parts_with_a_ping_between_them_is_one(comfyui: ComfyUI) -> None:
    socket = connected(comfyui)
    comfyui.send(frame(1, b'{"a"', last=False) + frame(9, b"now?") + frame(0, b": 1}"))
    message = socket.receive(5.0)
    assert message is not None and message.text == '{"a": 1}'
    assert socket.receive(0.1) is None
    assert comfyui.heard == [(10, b"now?")]
    socket.close()


@pytest.mark.parametrize("length", [0, 125, 126, 65535, 65536, 300_000])
def test_each_way_to_say_a_length_is_read(comfyui: ComfyUI, length: int) -> None:
    socket = connected(comfyui)
    comfyui.send(frame(2, bytes(length)))
    message = socket.receive(5.0)
    assert message is not None and message.text is None and message.data == bytes(length)
    socket.close()


def test_a_close_is_answered_and_said(comfyui: ComfyUI) -> None:
    socket = connected(comfyui)
    comfyui.send(frame(8, b"\x03\xe9"))
    with pytest.raises(Broken, match="1001"):
        socket.receive(5.0)
    until = time.monotonic() + 5
    while not comfyui.heard and time.monotonic() < until:
        time.sleep(0.01)
    assert comfyui.heard[0][0] == 8
    socket.close()


def test_a_text_that_is_too_long_ends_the_connection_and_bytes_that_are_are_passed_over(comfyui: ComfyUI) -> None:
    socket = connected(comfyui, longest=1000)
    comfyui.send(frame(2, bytes(900), last=False) + frame(0, bytes(900)) + frame(2, bytes(5000)) + frame(1, b"after"))
    found = [socket.receive(5.0) for _ in range(3)]
    assert [each.data for each in found if each is not None] == [b"", b"", b"after"]
    comfyui.send(frame(1, bytes(1001)))
    with pytest.raises(Broken, match="longer"):
        socket.receive(5.0)
    socket.close()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n", b"\0" * 99999]
)
def test_a_handshake_that_is_none_is_said(comfyui: ComfyUI, answer: bytes) -> None:
    def say(handler: Any) -> None:
        handler.wfile.write(answer)
        handler.connection.shutdown(1)

    comfyui.answers["/ws"] = say
    with pytest.raises(Broken):
        WebSocket("127.0.0.1", comfyui.port, "/ws", secure=False, timeout=5.0, longest=1000)


def test_what_a_killed_watch_had_fetched_is_swept(store_repo: GitRepo, comfyui: ComfyUI) -> None:
    once(store_repo, comfyui)
    left = store_repo.path / ".git/comfyvn/watching/fetched-left"
    left.mkdir()
    (left / "0.png").write_bytes(b"half")
    once(store_repo, comfyui)
    assert not left.exists()
    assert os.listdir(left.parent) and store_repo.tool("fsck").code == 0
