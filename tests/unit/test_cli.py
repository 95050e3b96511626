"""What does `labkit` say to somebody who has only heard its name?"""

import subprocess
import sys
from pathlib import Path

import pytest

LABKIT = str(Path(sys.executable).with_name("labkit"))


def call(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LABKIT, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def test_alone_it_prints_the_help() -> None:
    """The verbs, each with what it does; no error."""
    done = call()

    assert (0, "") == (done.returncode, done.stderr)
    for verb in ("doctor", "lab", "attach", "progress", "run", "shell"):
        assert f"\n    {verb} " in done.stdout


@pytest.mark.parametrize("verb", ["shell", "attach"])
def test_a_terminal_is_asked_for(verb: str) -> None:
    """Without one there is a sentence that names what works, and no traceback."""
    done = call(verb)

    assert 2 == done.returncode and f"{verb} needs a terminal" in done.stderr and "Traceback" not in done.stderr
