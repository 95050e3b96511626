"""How does a process give up what it could do, for good?

    write_rlimits(rlimits)              what one process may use
    give_up(privileges)                 user, capabilities, no_new_privs, seccomp filter: in this order
    close_descriptors(first)            nothing of the outside stays open

The order matters: who has changed to another user can no longer lower the bounding set, and a filter goes last, so
that it need not allow what the steps before it do. Sources: capabilities(7), capset(2), prctl(2), seccomp(2),
getrlimit(2), close_range(2); the order is runc's (libcontainer/standard_init_linux.go).
"""

import ctypes
import errno
import os
import resource
import struct
from collections.abc import Iterable

from labkit.isolation.seccomp import INSTRUCTION, assemble
from labkit.isolation.spec import CAPABILITIES, Capabilities, Rlimit, Spec
from labkit.linux.syscalls import prctl

__all__ = ["close_descriptors", "forbid_peeking", "give_up", "install_filter", "set_user", "write_rlimits"]

# <linux/prctl.h>
_PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = 4, 8, 22, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 38, 47, 2
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522  # <linux/capability.h>
_NR_CLOSE_RANGE = 436
_EVERYTHING = 0xFFFFFFFF

_libc = ctypes.CDLL(None, use_errno=True)
_syscall, _capset = _libc.syscall, _libc.capset  # looked up here once, and not in each child


def write_rlimits(rlimits: Iterable[Rlimit]) -> None:
    """Set limits of this process and its children; raises ValueError for a name that getrlimit(2) does not know."""
    for each in rlimits:
        number = getattr(resource, f"RLIMIT_{each.name}", None)
        if number is None:
            raise ValueError(f"there is no limit RLIMIT_{each.name}")
        resource.setrlimit(number, (each.soft, each.hard))


def close_descriptors(first: int) -> None:
    """Close every descriptor from `first` on: close_range(2), Linux 5.9."""
    _check(_syscall(_NR_CLOSE_RANGE, first, ctypes.c_uint(_EVERYTHING), 0), "close_range")


def forbid_peeking() -> None:
    """Keep processes of the container from reading this one's /proc entry before it executes the program.

    In /proc/PID/exe and /proc/PID/fd lie ways out of the container. The next program undoes this: PR_SET_DUMPABLE.
    """
    prctl(_PR_SET_DUMPABLE, 0)


def give_up(spec: Spec, uid: int, gid: int, groups: Iterable[int]) -> None:
    """Become the user, keep the capabilities that the spec names, and install its filter. Raises OSError."""
    program = assemble(spec.seccomp) if spec.seccomp else b""
    if program and not spec.no_new_privileges:  # a later step would lack the right to (CAP_SYS_ADMIN)
        install_filter(program)
    if spec.capabilities is not None:
        for number in range(len(CAPABILITIES)):
            if not spec.capabilities.bounding >> number & 1:
                _drop_from_bounding_set(number)
    set_user(uid, gid, groups)
    if spec.capabilities is not None:
        _set_capabilities(spec.capabilities)
    if spec.no_new_privileges:
        prctl(_PR_SET_NO_NEW_PRIVS, 1)
        if program:
            install_filter(program)


def _drop_from_bounding_set(number: int) -> None:
    try:
        prctl(_PR_CAPBSET_DROP, number)
    except OSError as error:
        if error.errno != errno.EINVAL:  # an older kernel, which has no such capability
            raise


def set_user(uid: int, gid: int, groups: Iterable[int]) -> None:
    """Change all user and group ids; the permitted capabilities are kept until they are set."""
    prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups(list(groups))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    prctl(_PR_SET_KEEPCAPS, 0)


def _set_capabilities(sets: Capabilities) -> None:
    three = (sets.effective, sets.permitted, sets.inheritable)
    data = struct.pack("=6I", *(each & _EVERYTHING for each in three), *(each >> 32 for each in three))
    _check(_capset(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), data), "capset")
    for number in range(len(CAPABILITIES)):
        if sets.ambient >> number & 1:
            prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number)


def install_filter(program: bytes) -> None:
    """Have the kernel ask this program at each system call from now on: seccomp(2), SECCOMP_MODE_FILTER."""
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions, and where they lie
    about = struct.pack("HxxxxxxP", len(program) // INSTRUCTION.size, ctypes.addressof(code))
    pointer = ctypes.create_string_buffer(about, len(about))
    prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(pointer))


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
