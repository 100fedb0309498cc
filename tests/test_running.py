"""Programs run to their end: input, output, messages, status, and what becomes of one that is left."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from comfyvn_store.base import running
from comfyvn_store.vcs.git import Git

BIG = os.urandom(1 << 20) * 5


def python(code: str, data: bytes | None = None, **more: str) -> running.Done:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **more}
    return running.run([Path(sys.executable).name, "-c", code], environment, data)


def test_output_messages_and_status_come_back() -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    assert python(code) == (3, b"out\n", b"err\n")
    assert python("import os; print(os.environ['COLOUR'])", COLOUR="red").stdout == b"red\n"


def test_much_goes_both_ways_at_once() -> None:
    copy = "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer, 1000)"
    assert python(copy, BIG) == (0, BIG, b"")
    both = "import sys; sys.stderr.buffer.write(b'e' * 3000000); sys.stdout.buffer.write(b'o' * 3000000)"
    assert python(both) == (0, b"o" * 3_000_000, b"e" * 3_000_000)


@pytest.mark.parametrize("data", [None, b""])
def test_without_input_there_is_an_end_at_once(data: bytes | None) -> None:
    assert python("import sys; print(len(sys.stdin.read()))", data).stdout == b"0\n"


def test_a_program_need_not_read_its_input() -> None:
    assert python("print('done')", BIG).stdout == b"done\n"
    assert python("import sys; sys.stdin.close(); print('done')", BIG).returncode == 0


def test_a_signal_is_a_negative_status() -> None:
    assert python("import os; os.kill(os.getpid(), 9)").returncode == -9


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_the_signals_that_python_ignores_are_not_ignored_by_what_it_starts() -> None:
    ignored = int(running.run(["sed", "-n", "s/^SigIgn://p", "/proc/self/status"], os.environ).stdout, 16)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        assert signal.getsignal(number) == signal.SIG_IGN and not ignored & (1 << (number - 1))


def test_a_program_is_looked_for_on_the_path_that_is_given(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        running.run(["git", "--version"], {"PATH": str(tmp_path)})
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\necho mine\n")
    with pytest.raises(PermissionError):
        running.run(["git"], {"PATH": str(tmp_path)})
    program.chmod(0o755)
    assert running.run(["git"], {"PATH": f"{tmp_path / 'none'}:{tmp_path}"}).stdout == b"mine\n"


def test_nothing_stays_open_and_no_child_is_left() -> None:
    before = set(os.listdir("/dev/fd"))
    python("print(1)", BIG)
    with pytest.raises(FileNotFoundError):
        running.run(["no-such-program"], os.environ, b"x")
    assert set(os.listdir("/dev/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_several_threads_may_run_programs() -> None:
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(python("print(5)", BIG).stdout)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"5\n"] * 8


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_are_no_harm(tmp_path: Path, closed: str) -> None:
    code = (
        "from comfyvn_store.base import running; import os\n"
        "done = running.run(['sh', '-c', 'cat; echo err >&2'], os.environ, b'in')\n"
        "assert done == (0, b'in', b'err\\n'), done\n"
        "assert running.run(['sh', '-c', 'cat; echo out'], os.environ) == (0, b'out\\n', b'')\n"
        f"open({str(tmp_path / 'well')!r}, 'w').close()\n"
    )
    subprocess.run(["sh", "-c", f'"$0" -c "$1" {closed}', sys.executable, code], check=False)
    assert (tmp_path / "well").exists()


@pytest.mark.parametrize("tidies", [True, False])
def test_who_is_interrupted_leaves_nothing_running(tmp_path: Path, tidies: bool) -> None:
    """What runs gets a moment to tidy up, as git does with its locks, and is then ended."""
    pid, note = tmp_path / "pid", tmp_path / "tidied"
    trap = f"trap 'echo >{note}; exit' INT" if tidies else "trap '' INT"
    child = f"{trap}; echo $$ >{pid}.new; mv {pid}.new {pid}; while :; do sleep 0.02; done"
    code = f"""
import os, signal
from comfyvn_store.base import running
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    running.run(["sh", "-c", {child!r}], os.environ)
except KeyboardInterrupt:
    raise SystemExit(7)
"""
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    while not pid.exists():
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(20) == 7
    assert note.exists() == tidies
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_folder_that_is_gone_is_told_as_that_and_not_by_git(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        Git(str(tmp_path / "gone")).run("rev-parse")
    assert caught.value.filename == str(tmp_path / "gone")


def test_a_program_that_answers_is_asked_again(tmp_path: Path) -> None:
    script = 'while read -r line; do echo "<$line>"; test "$line" != end || exit 0; done'
    answering = running.Answering(["sh", "-c", script], os.environ)
    for word in ("one", "two"):
        answers = answering.ask(f"{word}\n{word} more\n".encode())
        assert [answers.readline(), answers.readline()] == [f"<{word}>\n".encode(), f"<{word} more>\n".encode()]
    assert answering.ask(b"end\n").read() == b"<end>\n"
    with pytest.raises(BrokenPipeError):
        for _ in range(100):
            answering.ask(b"nobody\n")
            time.sleep(0.01)
    with pytest.raises(FileNotFoundError):
        running.Answering(["no-such-program"], {"PATH": str(tmp_path)})


def test_two_run_side_by_side(tmp_path: Path) -> None:
    """Each waits for the other's file, so one after the other they would never end; their outputs do not mix."""
    one, other = tmp_path / "one", tmp_path / "other"
    script = 'touch "$1"; while ! test -e "$2"; do sleep 0.01; done; cat; echo "$1"'
    begun = [
        running.Running(["sh", "-c", script, "sh", str(own), str(its)], os.environ, data)
        for own, its, data in ((one, other, b"x" * 100_000), (other, one, None))
    ]
    assert begun[1].end() == (0, f"{other}\n".encode(), b"")
    assert begun[0].end() == (0, b"x" * 100_000 + f"{one}\n".encode(), b"")
