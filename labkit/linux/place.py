"""Does this process still see the machine as it did, or has an experiment taken it elsewhere?

unshare(2), chroot(2) and mount(2) in a cell change the place of the notebook's own Python. What fails afterwards fails
far from its cause, with words like "Cannot allocate memory".
"""

import errno
import os
from contextlib import suppress
from dataclasses import dataclass

__all__ = ["Place", "count_threads", "explain_change", "explain_threads", "read_place"]

OF_ONE_THREAD = {errno.EINVAL, errno.EUSERS}  # what setns and unshare say to a process with several threads

Identity = tuple[int, int]  # of a directory: its device and inode


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process is: its root directory, what lies at /run, and whether its children share its PID namespace."""

    root: Identity
    run: Identity | None
    shares_pids: bool


def read_place() -> Place:
    """Where this process is now. What cannot be seen from there is None."""
    run = None
    with suppress(OSError):
        run = _identity("/run")
    return Place(_identity("/"), run, _shares_pids())


def _identity(path: str) -> Identity:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _shares_pids() -> bool:
    """Would a child be in this process's PID namespace (pid_namespaces(7))? Where there is no /proc, we cannot know."""
    if not os.path.exists("/proc/self/ns/pid"):
        return True
    try:
        return os.readlink("/proc/self/ns/pid") == os.readlink("/proc/self/ns/pid_for_children")
    except OSError:  # the new namespace has no first process yet
        return False


def explain_change(before: Place, now: Place) -> str:
    """What has changed and how to go on, in a sentence or two; "": nothing has."""
    if before.root != now.root:
        change = "This Python was given another root directory (chroot), and no longer sees the machine's files."
    elif before.run != now.run:
        change = "Something else lies at /run now, so the engine's socket, /run/docker.sock, is out of sight."
    elif before.shares_pids and not now.shares_pids:
        change = (
            "This Python has put its children into a new PID namespace (unshare(CLONE_NEWPID)): the first child is "
            "process 1 there, and once it has ended, no other process or thread can be started."
        )
    else:
        return ""
    return f"{change} Kernel > Restart gives a new machine."


def count_threads() -> int:
    """The threads of this process; 1 where there is no /proc to say so."""
    with suppress(OSError):
        return len(os.listdir("/proc/self/task"))
    return 1


def explain_threads(call: str, number: int, threads: int) -> str:
    """Why the kernel has refused a system call to a process with so many threads, and the way out; "": not for that.

    Sources: unshare(2) for CLONE_NEWUSER, setns(2) for user, mount (which shares its root: CLONE_FS) and time.
    """
    if call not in ("setns", "unshare") or number not in OF_ONE_THREAD or threads < 2:
        return ""
    return (
        f"{call}: {os.strerror(number)}. This Python has several threads. Only a process with one thread gets a new "
        "user namespace, or may join user namespaces and mounts. Begin the cell with %%alone: then it runs in such a "
        "process."
    )
