"""Does `sh` tell the whole of what a line did?"""

import subprocess
from time import monotonic

import pytest

from labkit.shell import ShellResult, sh, typed


def test_both_outputs_and_the_status() -> None:
    """What a line wrote, where, and how it ended; the text shows the line as typed."""
    said = sh("echo out; echo err >&2; exit 3")

    assert said == ShellResult("echo out; echo err >&2; exit 3", "out\n", "err\n", 3)
    assert str(said).startswith("$ echo out;")


def test_a_line_that_does_not_end_is_ended() -> None:
    """A cell does not hang for ever."""
    with pytest.raises(subprocess.TimeoutExpired):
        sh("sleep 60", timeout_s=0.1)


def test_a_line_is_noted_with_its_times() -> None:
    """Who draws what was said meanwhile knows from when to when a line ran, however it ended."""
    before = monotonic()
    sh("true")
    with pytest.raises(subprocess.TimeoutExpired):
        sh("sleep 60", timeout_s=0.1)
    first, second = list(typed)[-2:]

    assert ("true", "sleep 60") == (first.line, second.line)
    assert first.ended_s and second.ended_s
    assert before < first.began_s < first.ended_s < second.began_s < second.ended_s < monotonic()
