"""Which processes has a shell left behind that was killed?

Who kills a shell does not kill what it had started: that goes on, as a child of process 1, in a session without a
leader (setsid(2)).
"""

import os
import signal
import time
from contextlib import suppress

from labkit.linux.proc import Stat, pids, read_stat

__all__ = ["end_orphans", "find_orphans", "ticks"]


def ticks() -> int:
    """Now, as /proc/PID/stat counts the time: clock ticks since the boot."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def find_orphans(since_ticks: int, parent: int = 1) -> list[Stat]:
    """The children of `parent` that were started since then, and whose session has no leader any more."""
    found = (read_stat(pid) for pid in pids())
    ours = (one for one in found if one is not None and one.ppid == parent and one.start_time >= since_ticks)
    return [one for one in ours if one.state != "Z" and read_stat(one.session) is None]


def end_orphans(since_ticks: int, parent: int = 1) -> list[str]:
    """Kill them; give their names."""
    orphans = find_orphans(since_ticks, parent)
    for one in orphans:
        with suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
    return [one.comm for one in orphans]
