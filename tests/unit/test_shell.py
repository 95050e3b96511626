"""Does `sh` tell the whole of what a line did, and leave nothing behind that holds the cell?"""

import gc
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from IPython.lib.pretty import pretty

from labkit import shell
from labkit.errors import ShellStopped
from labkit.shell import ShellResult, sh, typed


def test_both_outputs_and_the_status() -> None:
    """What a line wrote, where, and how it ended; the text shows the line as typed."""
    said = sh("echo out; echo err >&2; exit 3")

    assert said == ShellResult("echo out; echo err >&2; exit 3", "out\n", "err\n", 3)
    assert str(said).startswith("$ echo out;")


def test_much_is_read_whole() -> None:
    """More than a pipe holds, on both outputs at once, and nothing is lost that was written just before the end."""
    said = sh("seq 1 100000; seq 1 100000 >&2")

    assert ("100000", "100000") == (said.out.split()[-1], said.err.split()[-1])
    assert 100_000 == len(said.out.split()) == len(said.err.split())


def test_a_line_has_no_input() -> None:
    """What reads, finds the end at once; what is no text is replaced."""
    assert "" == sh("cat").out
    assert "\ufffd" == sh("printf '\\377'").out


def read_pid(place: Path) -> int:
    """The pid that a line has noted, once it has."""
    deadline = time.monotonic() + 30
    while not (place.exists() and place.read_text().strip()):
        assert time.monotonic() < deadline, "the line noted no pid"
        time.sleep(0.01)
    return int(place.read_text())


def is_gone(pid: int) -> bool:
    """Has that process ended, within 30 s? A zombie has; who reaps it is not our affair."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


def test_a_line_that_does_not_end_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """A cell does not hang for ever; what was written is kept, and told."""
    noted = tmp_path / "pid"
    with pytest.raises(ShellStopped, match=r"had not ended after 0.5 s .*timeout_s=1\) would.*'one\\n'") as caught:
        sh(f"echo one; sleep 60 & echo $! > {noted}; sleep 61 | cat", timeout_s=0.5)

    assert isinstance(caught.value.said, ShellResult) and "one\n" == caught.value.said.out
    assert is_gone(read_pid(noted))


def test_a_line_that_does_not_listen_is_killed() -> None:
    """Whatever signals it ignores."""
    began = time.monotonic()
    with pytest.raises(ShellStopped):
        sh("trap '' TERM INT; while true; do sleep 0.1; done", timeout_s=0.2)

    assert time.monotonic() - began < 10


def test_a_line_that_writes_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """In time, though there is always something to read; and before it fills the memory."""
    with pytest.raises(ShellStopped, match="had not ended after 0.3 s"):
        sh("while true; do echo; done", timeout_s=0.3)
    monkeypatch.setattr(shell, "KEPT_BYTES", 1 << 20)
    with pytest.raises(ShellStopped, match=r"`yes` wrote more than 1 MiB, and was stopped\. It wrote last: '.*y"):
        sh("yes")


def test_what_runs_in_the_background_holds_nobody(tmp_path: Path) -> None:
    """The line has ended; the process lives on, and may write more than a pipe holds."""
    noted, done = tmp_path / "pid", tmp_path / "done"
    began = time.monotonic()
    said = sh(f"(sleep 0.3; seq 1 50000; echo > {done}; exec sleep 30) & echo $! > {noted}; echo started")

    assert "started\n" == said.out and time.monotonic() - began < 10
    deadline = time.monotonic() + 10
    while not done.exists():
        assert time.monotonic() < deadline, "it was held up, or killed"
        time.sleep(0.05)
    pid = read_pid(noted)
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    os.kill(pid, signal.SIGKILL)


def test_what_was_left_in_the_background_is_ended(tmp_path: Path) -> None:
    """Each line is named once, and only one that had left something which still runs."""
    shell.end_background()
    noted = tmp_path / "pid"
    line = f"sleep 60 & echo $! > {noted}"
    sh(line)
    sh("true")
    pid = read_pid(noted)

    assert [line] == shell.end_background()
    assert is_gone(pid)
    assert [] == shell.end_background()


def test_who_writes_without_end_in_the_background_holds_nobody(tmp_path: Path) -> None:
    """There is always something to read, and the line has ended all the same."""
    noted = tmp_path / "pid"
    said = sh(f"yes & echo $! > {noted}", timeout_s=10)

    assert 0 == said.status
    os.kill(read_pid(noted), signal.SIGKILL)


def test_an_interrupt_ends_the_line(tmp_path: Path) -> None:
    """As Ctrl-C in a terminal does, with all that it started."""
    noted = tmp_path / "pid"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def press() -> None:
        read_pid(noted)  # waits for it
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            sh(f"sleep 60 & echo $! > {noted}; wait")
    finally:
        signal.signal(signal.SIGINT, before)

    assert is_gone(read_pid(noted))


def test_no_descriptor_is_left() -> None:
    """A lesson runs hundreds of lines."""
    sh("true")
    gc.collect()  # what other tests left to the collector is none of these
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        sh("echo")

    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_line_is_noted_with_its_times() -> None:
    """Who draws what was said meanwhile knows from when to when a line ran, however it ended."""
    before = time.monotonic()
    sh("true")
    with pytest.raises(ShellStopped):
        sh("sleep 60", timeout_s=0.1)
    first, second = list(typed)[-2:]

    assert ("true", "sleep 60") == (first.line, second.line)
    assert first.ended_s and second.ended_s
    assert before < first.began_s < first.ended_s < second.began_s < second.ended_s < time.monotonic()


def test_a_notebook_shows_a_result_as_a_terminal_does() -> None:
    """A cell that ends with it shows the line and what it wrote, and no tuple."""
    assert "$ echo out; echo err >&2\nout\nerr" == pretty(sh("echo out; echo err >&2"))
