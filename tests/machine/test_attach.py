"""Does a terminal get into the machine of a lesson that is open, and nowhere else?"""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from labkit.machine.outside.terminals import SOCKET
from tests.machine.host import KINDS, LABKIT, wait_until

ROOT = Path(__file__).resolve().parents[2]
SOON_S = 60
PROMPT = "root@lab:.*# "


@contextmanager
def attach(*options: str) -> Iterator["pexpect.spawn[str]"]:
    """A terminal that runs `labkit attach`."""
    terminal = pexpect.spawn(LABKIT, ["attach", *options], timeout=SOON_S, encoding="utf-8", dimensions=(24, 80))
    try:
        yield terminal
    finally:
        terminal.close(force=True)


def say(terminal: "pexpect.spawn[str]", line: str, answer: str) -> "re.Match[str]":
    """Type a line at the prompt, and wait for what it prints."""
    terminal.sendline(line)
    terminal.expect(rf"\r\n(?:\x1b\[\?2004l\r)?{answer}")
    assert isinstance(terminal.match, re.Match)
    return terminal.match


@contextmanager
def opened(start_kernel: Callable[[], KernelManager], name: str) -> Iterator[BlockingKernelClient]:
    """A kernel of a notebook of that name, which answers; its machine ends at the end."""
    os.environ["JPY_SESSION_NAME"] = f"/somewhere/{name}.ipynb"
    manager = start_kernel()
    del os.environ["JPY_SESSION_NAME"]
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=SOON_S)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_nothing_is_offered_on_the_host(state: Path) -> None:
    """Where no lesson is open, a sentence says so and there is no shell; with --wait, Ctrl-C ends the waiting."""
    with attach() as terminal:
        terminal.expect("No lesson is open: open a lesson first, and run its first cell.")
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert 125 == terminal.exitstatus
    with attach("--wait") as terminal:
        terminal.expect("This terminal goes into the lesson's machine then")
        terminal.sendline("echo on-the-$((1+1))-host")
        terminal.sendintr()
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert 130 == terminal.exitstatus and "on-the-2-host" not in str(terminal.before)
    done = subprocess.run([LABKIT, "attach"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert 2 == done.returncode and "attach needs a terminal" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_terminal_is_on_the_machine(
    kind: str, state: Path, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is root's, has a size that follows, takes any output and ends with its shell; the kernel answers beside."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    with attach("--wait") as terminal, opened(start_kernel, "01-engine-api") as client:
        terminal.expect("You are root on the machine of 01-engine-api")
        terminal.expect(PROMPT)
        say(terminal, 'echo "$(hostname) $(id -u) $LABKIT_MACHINE_KIND $(stty size)"', f"lab 0 {kind} 24 80")
        terminal.setwinsize(33, 101)
        assert wait_until(lambda: bool(say(terminal, "stty size", r"(\d+ \d+)")[1] == "33 101"), 10)
        terminal.sendline("seq 1 30000; echo done-$((1+1))")
        terminal.expect_exact("29999\r\n30000\r\ndone-2")

        terminal.sendline("yes")
        time.sleep(1)
        began = time.monotonic()
        reply = client.execute_interactive("print(1)", timeout=SOON_S, output_hook=lambda _: None)
        assert "ok" == reply["content"]["status"] and 5 > time.monotonic() - began
        terminal.sendintr()
        terminal.sendline("echo still-$((1+1))")
        terminal.expect_exact("still-2\r\n")

        with attach("01") as second:
            second.expect(PROMPT)
            second.sendline("sleep 4321 & exit")  # what stays behind keeps no terminal open
            second.expect(pexpect.EOF)
            second.close()
            assert 0 == second.exitstatus
        terminal.sendline("exit")
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert 0 == terminal.exitstatus
    assert wait_until(lambda: not list(state.glob("*/*")), 10)


@pytest.mark.parametrize("kind", KINDS)
def test_killed_on_either_side(
    kind: str, state: Path, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed terminal hangs up on what runs in it; a killed machine ends its terminals, and each says so."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    with opened(start_kernel, "01-engine-api"), attach("--wait") as terminal:
        terminal.expect(PROMPT)
        with attach() as second:
            second.expect(PROMPT)
            second.sendline("exec sleep 4321")
            assert wait_until(lambda: say(terminal, "pgrep -fc '[s]leep 4321'", r"(\d+)")[1] == "1", 10)
            second.kill(signal.SIGKILL)
        assert wait_until(lambda: say(terminal, "pgrep -fc '[s]leep 4321'", r"(\d+)")[1] == "0", 10)
        with attach() as third:
            third.expect(PROMPT)
            (launcher,) = (one for one in own_children() if "labkit.machine.launcher" in one[1])
            os.kill(launcher[0], signal.SIGKILL)
            third.expect("The machine of 01-engine-api has ended, and this terminal with it.")
            third.expect(pexpect.EOF)
            third.close()
            assert 125 == third.exitstatus
        terminal.expect("has ended, and this terminal with it. It comes back when the lesson runs again")
    assert wait_until(lambda: not list(state.glob("*/*")), 10)


def own_children() -> list[tuple[int, str]]:
    """The pid and the command line of each child of this process."""
    found = []
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        found.append((int(pid), Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_of_several_one_is_chosen(
    kind: str, state: Path, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two lessons open it asks; the beginning of a name chooses without asking; a wrong one names none."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    with opened(start_kernel, "01-engine-api"), opened(start_kernel, "13-attach"):
        with attach() as terminal:
            terminal.expect("1  01-engine-api\r\n  2  13-attach")
            terminal.expect("Which machine do you want to enter, 1 to 2")
            terminal.sendline("7")
            terminal.expect("Which machine do you want to enter, 1 to 2")
            terminal.sendline("2")
            terminal.expect("You are root on the machine of 13-attach")
            terminal.expect(PROMPT)
        with attach("01") as terminal:
            terminal.expect("You are root on the machine of 01-engine-api")
        with attach("99") as terminal:
            terminal.expect("No lesson is open that is called '99'")


OTHER_SERVER = """
import sys
from tests.machine import ask
manager = ask.start()
sys.stdin.read()
manager.shutdown_kernel(now=True)
"""


@contextmanager
def opened_elsewhere(state: Path, name: str) -> Iterator[None]:
    """A notebook of that name which another program has opened, as another JupyterLab."""
    before = len(list(state.glob(f"*/*/{SOCKET}")))
    environment = {**os.environ, "JPY_SESSION_NAME": f"/elsewhere/{name}.ipynb"}
    command = [sys.executable, "-c", OTHER_SERVER]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdin=subprocess.PIPE) as server:
        assert wait_until(lambda: len(list(state.glob(f"*/*/{SOCKET}"))) > before, SOON_S)
        yield
        server.communicate()


@pytest.mark.parametrize("kind", ["native"])
def test_machines_of_this_server_come_first(
    kind: str, state: Path, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only one of this server is entered unasked; of more, the others come last; equal names are told apart."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    booted = r"  booted at \d\d:\d\d:\d\d, in /"
    with opened_elsewhere(state, "01-engine-api"), opened(start_kernel, "01-engine-api") as client:
        client.execute_interactive("open('/run/mine', 'w').close()", timeout=SOON_S)
        with attach() as terminal:
            terminal.expect(PROMPT)
            say(terminal, "ls /run/mine", "/run/mine")
        with opened(start_kernel, "13-attach"), attach() as terminal:
            terminal.expect(
                rf"1  01-engine-api{booted}.*\n  2  13-attach\r\n.*JupyterLab:\r\n  3  01-engine-api{booted}"
            )
            terminal.expect("Which machine do you want to enter, 1 to 3")
            terminal.sendline("3")
            terminal.expect(PROMPT)
            say(terminal, "ls /run/mine", ".*No such file")


@pytest.mark.parametrize("kind", ["native"])
def test_a_terminal_of_a_jupyterlab_waits_for_a_lesson_of_its_own(
    kind: str, state: Path, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only machine there is, which another JupyterLab has, is not entered; its own is, when it is there."""
    monkeypatch.setenv("LABKIT_MACHINE", kind)
    with opened_elsewhere(state, "01-engine-api"):
        monkeypatch.setenv("JUPYTER_SERVER_URL", "http://localhost:8888/")
        with attach("--wait") as terminal:
            terminal.expect("This terminal goes into the lesson's machine then")
            with opened(start_kernel, "13-attach"):
                terminal.expect("You are root on the machine of 13-attach")
                terminal.expect(PROMPT)


@pytest.mark.needs_root
def test_another_user_cannot_reach_it(
    state: Path, start_kernel: Callable[[], KernelManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket lies where its user alone may go; and who gets a way to it all the same is hung up on."""
    monkeypatch.setenv("LABKIT_MACHINE", "native")
    with opened(start_kernel, "01-engine-api"):
        assert wait_until(lambda: bool(list(state.glob(f"*/*/{SOCKET}"))), 10)
        (path,) = state.glob(f"*/*/{SOCKET}")
        assert 0o600 == stat.S_IMODE(path.stat().st_mode) and 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
        script = (
            "import socket, sys; one = socket.socket(socket.AF_UNIX); one.connect(sys.argv[1]); print(one.recv(99))"
        )
        command = ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-I", "-c", script, str(path)]

        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        for place in (path.parent, path.parent.parent, state):
            place.chmod(0o755)
        path.chmod(0o666)
        hung_up = subprocess.run(command, capture_output=True, text=True, check=False)
        for place in (path.parent, path.parent.parent, state):
            place.chmod(0o700)

        assert "PermissionError" in refused.stderr
        assert "b''" == hung_up.stdout.strip(), hung_up.stderr
        with socket.socket(socket.AF_UNIX) as own:
            own.connect(str(path))
            assert b"01-engine-api" in own.recv(200)
