"""Which system calls make a machine out of a process?

Each function is one system call under its kernel name, with the manual page that describes it. A refused call
raises OSError with the kernel's errno, as the functions of `os` do.
"""

import ctypes
import errno
import os
from pathlib import Path

__all__ = [
    "CLONE_NEWCGROUP",
    "CLONE_NEWIPC",
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUTS",
    "MCL_FUTURE",
    "MNT_DETACH",
    "MS_BIND",
    "MS_NODEV",
    "MS_NOEXEC",
    "MS_NOSUID",
    "MS_PRIVATE",
    "MS_REC",
    "MS_SHARED",
    "become_subreaper",
    "die_with_parent",
    "mlockall",
    "mount",
    "munlockall",
    "pivot_root",
    "power_off",
    "sethostname",
    "setns",
    "syncfs",
    "umount2",
    "unshare",
]

# <linux/mount.h>
MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x2, 0x4, 0x8
MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 0x1000, 0x4000, 0x40000, 0x100000
MNT_DETACH = 0x2

# <linux/mman.h>
MCL_FUTURE = 0x2

# <linux/sched.h>
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x20000000, 0x40000000

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_RB_POWER_OFF = 0x4321FEDC
_NR_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)


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


def setns(namespace: int, kind: int) -> None:
    """Move this thread into a namespace, given by a descriptor of its file; `kind` is its CLONE_NEW...: setns(2)."""
    _check(_libc.setns(namespace, kind))


def sethostname(name: str) -> None:
    """Rename the machine, in this UTS namespace: sethostname(2)."""
    _check(_libc.sethostname(name.encode(), len(name.encode())))


def die_with_parent(parent: int, signal_number: int) -> None:
    """Have the kernel send this process a signal when its parent ends: PR_SET_PDEATHSIG of prctl(2).

    `parent` is the parent's pid as this process sees it; if that parent is gone already, the process ends now.
    """
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0))
    if os.getppid() != parent:
        os._exit(1)


def become_subreaper() -> None:
    """Become the parent of descendants whose own parent ends: PR_SET_CHILD_SUBREAPER of prctl(2)."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0))


def power_off() -> None:
    """Switch the machine off at once: reboot(2). In a PID namespace that ends its first process."""
    _check(_libc.reboot(_RB_POWER_OFF))


def _directories(options: str) -> list[str]:
    """The absolute paths in a file system's options, as in lowerdir=/b:/a,workdir=/w."""
    values = [option.partition("=")[2] for option in options.split(",")]
    return [path for value in values for path in value.split(":") if path.startswith("/")]


def _check(result: int, path: str | Path | None = None, *others: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        if number == errno.ENOENT:
            path = next((one for one in (path, *others) if one and not os.path.exists(one)), path)
        raise OSError(number, os.strerror(number), *([str(path)] if path is not None else []))
