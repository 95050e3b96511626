"""How does a machine reach a network, when nobody may give it one?

slirp4netns plays the network's other side, as an ordinary process that opens sockets of its own: slirp4netns(1).
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from labkit.errors import MachineError
from labkit.linux import syscalls
from labkit.machine.outside.guard import Ledger

__all__ = ["start_slirp", "take_own_mounts", "wait_for_socket"]


def start_slirp(
    ledger: Ledger, log_name: str, options: list[str], *pass_fds: int, prepare: Callable[[], None] = lambda: None
) -> int:
    """Start slirp4netns, a network in an ordinary process, as a child of this one; give its pid.

    `prepare` is called in that child, before it becomes slirp4netns.
    """

    def begin() -> None:
        syscalls.die_with_parent(parent, signal.SIGKILL)
        prepare()

    command = ["slirp4netns", "--disable-host-loopback", "--mtu=1500", "--enable-seccomp", *options]
    log = ledger.open_log(log_name)
    parent = os.getpid()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=pass_fds,
        start_new_session=True,
        preexec_fn=begin,
    )
    os.close(log)
    ledger.add_program(process)  # it forks, and drops the death signal with its privileges
    return process.pid


def take_own_mounts() -> None:
    """Have mounts of one's own, from which nothing reaches the host's: mount_namespaces(7).

    slirp4netns's sandbox detaches all mounts that it does not need, in a namespace of its own, but of the same peer
    groups: where the root is shared, as systemd has it, the host would lose its control groups and /dev/pts.
    """
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)


def wait_for_socket(path: Path, pid: int, seconds: float = 5) -> bool:
    """Wait until a slirp4netns that was started with it has opened a socket; give False when it ended before.

    Raises MachineError when it lives, and has not opened it after `seconds`. Source: waitid(2).
    """
    deadline = time.monotonic() + seconds
    while not path.exists():
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            return False
        if time.monotonic() > deadline:
            raise MachineError("slirp4netns did not open its socket")  # the guard adds its last words
        time.sleep(0.005)
    return True
