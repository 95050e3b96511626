"""Does `sh` tell the whole of what a line did?"""

import subprocess

import pytest

from labkit.shell import ShellResult, sh


def test_both_outputs_and_the_status() -> None:
    """What a line wrote, where, and how it ended; the text shows the line as typed."""
    said = sh("echo out; echo err >&2; exit 3")

    assert said == ShellResult("echo out; echo err >&2; exit 3", "out\n", "err\n", 3)
    assert str(said).startswith("$ echo out;")


def test_a_line_that_does_not_end_is_ended() -> None:
    """A cell does not hang for ever."""
    with pytest.raises(subprocess.TimeoutExpired):
        sh("sleep 60", timeout_s=0.1)
