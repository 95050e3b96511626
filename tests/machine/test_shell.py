"""Is `labkit shell` a terminal like any other? Tried as a person would, on a pseudo-terminal."""

import os
import shlex
import time
from pathlib import Path

import pexpect
import pytest

from tests.machine.host import KINDS, LABKIT, children, has_part, snapshot, wait_until

PROMPT = r"root@lab:[^\n]*# "
AT_ONCE_S = 5.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_shell_on_a_machine(kind: str, state: Path) -> None:
    """Prompt, typing, window size, Ctrl-C and the exit status work, and the outer terminal is as it was."""
    before = snapshot(state)
    outer = f"stty -g; {shlex.quote(LABKIT)} shell --machine {kind}; echo status=$?; stty -g"
    plain = {**os.environ, "TERM": "dumb"}  # no escape sequences between the lines
    shell = pexpect.spawn("sh", ["-c", outer], dimensions=(30, 100), timeout=30, encoding="utf-8", env=plain)
    settings = shell.readline()
    shell.expect(PROMPT)

    shell.sendline("echo $((6 * 7)); docker ps -q | wc -l")
    shell.expect("\r\n42\r\n0\r\n.*" + PROMPT)

    shell.sendline("stty size")
    shell.expect("\r\n30 100\r\n.*" + PROMPT)
    shell.setwinsize(40, 120)
    time.sleep(0.5)  # it travels beside what is typed
    shell.sendline("stty size")
    shell.expect("\r\n40 120\r\n.*" + PROMPT)

    shell.sendline("echo begun; sleep 100")
    shell.expect("\r\nbegun\r\n")
    time.sleep(1)  # a shell that is just starting a program may miss it, on any terminal
    began = time.monotonic()
    shell.sendintr()
    shell.expect(PROMPT)
    assert AT_ONCE_S > time.monotonic() - began
    shell.sendline("echo interrupted=$?")
    shell.expect("\r\ninterrupted=130\r\n.*" + PROMPT)

    shell.sendline("exit 7")
    shell.expect("status=7\r\n")
    assert settings == shell.readline()
    shell.expect(pexpect.EOF)
    shell.close()
    assert before == snapshot(state)


@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_while_it_boots(kind: str, state: Path) -> None:
    """A shell that is not there yet is given up at once, and the terminal is as it was."""
    before = snapshot(state)
    outer = f"trap : INT; stty -g; {shlex.quote(LABKIT)} shell --machine {kind}; echo status=$?; stty -g"
    shell = pexpect.spawn("sh", ["-c", outer], timeout=30, encoding="utf-8")
    settings = shell.readline()
    assert wait_until(lambda: any(has_part(child, "slirp4netns") for child in children(shell.pid or 0)), 10)

    shell.sendintr()

    shell.expect("status=130\r\n")
    assert settings == shell.readline()
    shell.expect(pexpect.EOF)
    shell.close()
    assert before == snapshot(state)
