"""Is what a killed shell leaves behind found, and nothing else?"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.linux import syscalls
from labkit.linux.orphans import end_orphans, find_orphans, ticks

SHELL = "import os, time; os.setsid(); os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '60'); time.sleep(60)"


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def parent() -> Iterator[int]:
    """This process, to which orphans come meanwhile, as they come to process 1 of a machine."""
    syscalls.become_subreaper()
    yield os.getpid()
    syscalls._libc.prctl(syscalls._PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def test_an_orphan_is_ended(parent: int) -> None:
    """It was started since then, its session's leader has gone, and it has come to the given parent."""
    began = ticks()
    with subprocess.Popen([sys.executable, "-c", SHELL]) as shell:
        deadline = time.monotonic() + 10
        while not children_of(shell.pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        (child,) = children_of(shell.pid)
        assert child not in [one.pid for one in find_orphans(began, parent)]
        shell.kill()
    assert [child] == [one.pid for one in find_orphans(began, parent)]
    assert [] == find_orphans(ticks() + 100, parent) == find_orphans(began, child)

    assert ["sleep"] == end_orphans(began, parent)
    os.waitpid(child, 0)
    assert [] == end_orphans(began, parent)
