"""Which system calls make a machine or a container out of a process?

Each function is one system call under its kernel name, with the manual page that describes it. A refused call
raises OSError with the kernel's errno, as the functions of `os` do.
"""

import ctypes
import errno
import os
import signal
import struct
from pathlib import Path

__all__ = [
    "CLONE_FS",
    "CLONE_INTO_CGROUP",
    "CLONE_NEWCGROUP",
    "CLONE_NEWIPC",
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWTIME",
    "CLONE_NEWUSER",
    "CLONE_NEWUTS",
    "MCL_FUTURE",
    "MNT_DETACH",
    "MS_BIND",
    "MS_NODEV",
    "MS_NOEXEC",
    "MS_NOSUID",
    "MS_PRIVATE",
    "MS_RDONLY",
    "MS_REC",
    "MS_REMOUNT",
    "MS_SHARED",
    "MS_SLAVE",
    "become_subreaper",
    "clone",
    "clone3",
    "die_with_parent",
    "mlockall",
    "mount",
    "munlockall",
    "pidfd_open",
    "pivot_root",
    "power_off",
    "prctl",
    "raw_clone",
    "setdomainname",
    "sethostname",
    "setns",
    "syncfs",
    "umount2",
    "unshare",
]

# <linux/mount.h>
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 0x1, 0x2, 0x4, 0x8, 0x20
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE, MS_SHARED = 0x1000, 0x4000, 0x40000, 0x80000, 0x100000
MNT_DETACH = 0x2

# <linux/mman.h>
MCL_FUTURE = 0x2

# <linux/sched.h>
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x20000000, 0x40000000
CLONE_NEWUSER, CLONE_NEWTIME = 0x10000000, 0x00000080
CLONE_FS, CLONE_INTO_CGROUP = 0x00000200, 0x200000000

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_RB_POWER_OFF = 0x4321FEDC

# <asm/unistd.h>: calls for which libc has no function, or one that needs a stack of its own
_NR_CLONE3, _NR_PIDFD_OPEN = 435, 434  # the same on both
_NR_CLONE = {"x86_64": 56, "aarch64": 220}
_NR_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)
# ctypes looks a function up when it is first named, and keeps it. Here that is once, and not in each child anew.
for _name in ("mount", "umount2", "unshare", "setns", "sethostname", "setdomainname", "syscall"):
    getattr(_libc, _name)
_libc.prctl.argtypes = (ctypes.c_int, *4 * (ctypes.c_ulong,))


def mount(source: str, target: str | Path, fstype: str = "", flags: int = 0, data: str = "") -> None:
    """Attach a file system at `target`: mount(2). `data` holds the file system's own options.

    Raises OSError. Where a directory is missing that an option names (`workdir=/w`), the error names that directory.
    """
    _check(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            fstype.encode() or None,
            ctypes.c_ulong(flags),
            os.fsencode(data) or None,
        ),
        target,
        *_directories(data),
    )


def umount2(target: str | Path, flags: int = 0) -> None:
    """Detach the file system at `target`: umount2(2)."""
    _check(_libc.umount2(os.fsencode(target), flags), target)


def syncfs(directory: str | Path) -> None:
    """Have the file system that holds `directory`, and no other, write what it still keeps in memory: syncfs(2)."""
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _check(_libc.syncfs(opened), directory)
    finally:
        os.close(opened)


def pivot_root(new_root: str | Path, put_old: str | Path) -> None:
    """Make `new_root` the root of this mount namespace, and move the old one to `put_old`: pivot_root(2)."""
    number = _NR_PIVOT_ROOT[os.uname().machine]
    _check(_libc.syscall(number, os.fsencode(new_root), os.fsencode(put_old)), new_root)


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones: unshare(2). A PID namespace begins with the next child."""
    _check(_libc.unshare(flags))


def mlockall(flags: int) -> None:
    """Have all pages of this process's memory present, of what it maps from now on with MCL_FUTURE: mlockall(2)."""
    _check(_libc.mlockall(flags))


def munlockall() -> None:
    """Have pages come and go again as they are used: munlockall(2)."""
    _check(_libc.munlockall())


def clone(flags: int) -> int:
    """Make a child in the new namespaces named by `flags`: clone(2). Returns its pid, and 0 in the child, as fork does.

    Only for a process of one thread. The lowest eight bits of `flags` are the signal that the parent gets when the
    child ends; here it is SIGCHLD. CLONE_NEWTIME lies among these bits: clone(2) cannot make a time namespace.

    Raises OSError, and ValueError for flags in those bits.
    """
    if flags & 0xFF:
        raise ValueError(f"clone(2) would take {flags & 0xFF:#x} for the number of a signal: use clone3, or unshare")
    return raw_clone(flags | signal.SIGCHLD)


def raw_clone(flags: int) -> int:
    """Make a child as `clone` does, with the flags as they are: the caller names the signal in the lowest eight bits.

    Raises OSError.
    """
    return _result(_libc.syscall(_NR_CLONE[os.uname().machine], ctypes.c_ulong(flags), 0, 0, 0, 0))


def clone3(flags: int, cgroup: int | None = None) -> int:
    """Make a child as `clone` does, with all 64 bits for flags, CLONE_NEWTIME too: clone3(2).

    `cgroup` is a descriptor of a control group's directory (version 2), in which the child begins its life.
    Raises OSError.
    """
    if cgroup is not None:
        flags |= CLONE_INTO_CGROUP
    # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
    # set_tid_size, cgroup
    arguments = struct.pack("<11Q", flags, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, cgroup or 0)
    return _result(_libc.syscall(_NR_CLONE3, arguments, ctypes.c_size_t(len(arguments))))


def pidfd_open(pid: int) -> int:
    """A descriptor that stands for a process, and for no later process with the same number: pidfd_open(2)."""
    return _result(_libc.syscall(_NR_PIDFD_OPEN, pid, 0))


def setns(namespace: int, kind: int) -> None:
    """Move this thread into a namespace, given by a descriptor of its file; `kind` is its CLONE_NEW...: setns(2).

    With a descriptor of a process (`pidfd_open`), `kind` may name several: it moves into all of that process's
    namespaces of these kinds, or into none.
    """
    _check(_libc.setns(namespace, kind))


def prctl(option: int, *arguments: int) -> int:
    """Do one of many things to this process, as `option` says: prctl(2). Returns what that option returns."""
    return _result(_libc.prctl(option, *(*arguments, 0, 0, 0, 0)[:4]))


def sethostname(name: str) -> None:
    """Rename the machine, in this UTS namespace: sethostname(2)."""
    _check(_libc.sethostname(name.encode(), len(name.encode())))


def setdomainname(name: str) -> None:
    """Rename the NIS domain of the machine, in this UTS namespace: setdomainname(2)."""
    _check(_libc.setdomainname(name.encode(), len(name.encode())))


def die_with_parent(parent: int, signal_number: int) -> None:
    """Have the kernel send this process a signal when its parent ends: PR_SET_PDEATHSIG of prctl(2).

    `parent` is the parent's pid as this process sees it; if that parent is gone already, the process ends now.
    """
    prctl(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:
        os._exit(1)


def become_subreaper() -> None:
    """Become the parent of descendants whose own parent ends: PR_SET_CHILD_SUBREAPER of prctl(2)."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def power_off() -> None:
    """Switch the machine off at once: reboot(2). In a PID namespace that ends its first process."""
    _check(_libc.reboot(_RB_POWER_OFF))


def _directories(options: str) -> list[str]:
    """The absolute paths in a file system's options, as in lowerdir=/b:/a,workdir=/w."""
    values = [option.partition("=")[2] for option in options.split(",")]
    return [path for value in values for path in value.split(":") if path.startswith("/")]


def _result(result: int) -> int:
    """What a call has returned that gives a number, and -1 when it was refused."""
    if result < 0:
        _check(result)
    return result


def _check(result: int, path: str | Path | None = None, *others: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        if number == errno.ENOENT:
            path = next((one for one in (path, *others) if one and not os.path.exists(one)), path)
        raise OSError(number, os.strerror(number), *([str(path)] if path is not None else []))
