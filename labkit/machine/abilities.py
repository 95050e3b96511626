"""What does this host let this user do?

What the kernel does not tell is tried, in a child, which ends with it.
"""

import _thread
import ctypes
import os
import platform
import signal
from contextlib import suppress

from labkit.linux.proc import read_effective_capabilities

__all__ = ["may_administrate", "may_trace", "room_for_processes", "try_namespaces"]

CAP_SYS_ADMIN = 21


def room_for_processes(wanted: int) -> int:
    """How many threads can be started here and now, up to `wanted`, of 255 at most: tried, in a child.

    RLIMIT_NPROC counts all of a user's, the kernel does not tell how many those are, and each control group above may
    have a limit.
    """
    try:
        pid = os.fork()
    except BlockingIOError:
        return 0
    if pid == 0:
        started = 1
        with suppress(RuntimeError):
            _thread.stack_size(1 << 16)
            never = _thread.allocate_lock()
            never.acquire()
            while started < wanted:
                _thread.start_new_thread(never.acquire, ())
                started += 1
        os._exit(started)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def try_namespaces() -> str:
    """Do in a child what a native machine begins with; give the kernel's refusal, or nothing."""
    from labkit.linux import syscalls  # where there is no Linux, this file is read all the same

    pid = os.fork()
    if pid == 0:
        try:
            syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWPID)
            syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    number = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return os.strerror(abs(number)) if number else ""


def may_administrate() -> bool:
    if platform.system() != "Linux" or os.geteuid() != 0:
        return False
    return bool(read_effective_capabilities() >> CAP_SYS_ADMIN & 1)


def may_trace() -> bool:
    """May a process have itself traced? Tried in a child: PTRACE_TRACEME of ptrace(2)."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if ctypes.CDLL(None).ptrace(0, 0, None, None) == 0 else 1)
    _, status = os.waitpid(pid, 0)
    if os.WIFSTOPPED(status):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return True
    return os.waitstatus_to_exitcode(status) == 0
