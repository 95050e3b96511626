"""Who removes the control groups of a container whose caller was killed?

While a caller waits for a container's end, it has a guard: a process that waits for the caller, and does nothing but
to remove the groups if the caller ends without a word. The container itself ends with its parent (PR_SET_PDEATHSIG).
"""

import os
import signal
from contextlib import suppress

from labkit.isolation import privileges
from labkit.isolation.groups import group_of_box
from labkit.linux.syscalls import clone

__all__ = ["Guard"]


class Guard:
    """A guard for the groups of a container by its name. `dismiss` it when they are removed."""

    def __init__(self, name: str) -> None:
        waits, self._holds = os.pipe2(os.O_CLOEXEC)
        self._name = name
        self.pid = clone(0)
        if self.pid == 0:
            _watch(name, waits)
        os.close(waits)

    def dismiss(self) -> None:
        """End it. If somebody else has ended it, that makes no difference: the caller is still there."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._holds)


def _watch(name: str, waits: int) -> None:
    try:
        os.setsid()  # a Ctrl-C at the caller's terminal is not for the guard
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.dup2(waits, 3, inheritable=False) if waits != 3 else None
        privileges.close_descriptors(4)  # the writing end among them: this process must not hold it
        os.read(3, 1)
        group_of_box(name).remove()
    finally:
        os._exit(0)
