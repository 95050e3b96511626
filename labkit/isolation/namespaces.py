"""Which process is in which namespaces, and how does one join those of another?

read_process(pid).namespaces["uts"]   uts:[4026531838], as /proc/PID/ns/uts says
read_processes()                      all that are seen from here
members(processes, namespace)         those that share a namespace
join(pid, "uts", "net")               move this process into another's namespaces: setns(2)

Values and system calls, no clients. A process that has ended gives nothing: between two looks any may have. What may
not be read is said (`refused`): /proc/1/ns is often closed, also to root. Sources: namespaces(7), setns(2), proc(5).
"""

import errno
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from labkit.linux.proc import pids
from labkit.linux.syscalls import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWTIME,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    pidfd_open,
    setns,
)

__all__ = [
    *("KINDS", "Kind", "Namespace", "Process", "find_kind", "flags_of", "group", "join", "members"),
    *("parse_link", "read_namespace", "read_process", "read_processes"),
]

PF_KTHREAD = 0x00200000  # <linux/sched.h>: a thread of the kernel's own
SEVERAL_AT_ONCE = (5, 8)  # the first Linux whose setns takes a process's descriptor
_LINK = re.compile(r"([a-z_]+):\[(\d+)\]")
_VERSION = re.compile(r"(\d+)\.(\d+)")


class Kind(NamedTuple):
    """One of the eight kinds: its file in /proc/PID/ns, its flag and the flag's name, and what is apart in it.

    `for_children` is the file that names the namespace of children to come, for kinds that only those can enter; "".
    """

    name: str
    flag: int
    constant: str
    isolates: str
    for_children: str = ""


# In the order in which one joins them one at a time: a user namespace first, as it gives the rights for the others.
KINDS: tuple[Kind, ...] = (
    Kind("user", CLONE_NEWUSER, "CLONE_NEWUSER", "users, groups and capabilities"),
    Kind("uts", CLONE_NEWUTS, "CLONE_NEWUTS", "host name and domain name"),
    Kind("ipc", CLONE_NEWIPC, "CLONE_NEWIPC", "shared memory, semaphores, message queues"),
    Kind("net", CLONE_NEWNET, "CLONE_NEWNET", "interfaces, addresses, routes, ports"),
    Kind("cgroup", CLONE_NEWCGROUP, "CLONE_NEWCGROUP", "the root of the control groups that are seen"),
    Kind("time", CLONE_NEWTIME, "CLONE_NEWTIME", "the clocks that count from the boot", "time_for_children"),
    Kind("pid", CLONE_NEWPID, "CLONE_NEWPID", "process numbers", "pid_for_children"),
    Kind("mnt", CLONE_NEWNS, "CLONE_NEWNS", "mount points"),
)
_BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}


class Namespace(NamedTuple):
    """A namespace: its kind and the inode that stands for it. The same values are the same namespace."""

    kind: str
    inode: int

    def __str__(self) -> str:
        return f"{self.kind}:[{self.inode}]"


class Process(NamedTuple):
    """A process and where it is.

    `namespaces` by kind; a kind that could not be read is missing there, and `refused` has the kernel's words (""
    where all could be read). `pids` are its numbers, from the PID namespace of /proc inwards to its own.
    `children_in` has the namespaces of children to come, where they are other ones than its own.
    """

    pid: int
    comm: str
    ppid: int
    start_time: int
    is_kernel_thread: bool
    pids: tuple[int, ...]
    namespaces: Mapping[str, Namespace]
    children_in: Mapping[str, Namespace | None]
    refused: str = ""


def find_kind(name: str) -> Kind:
    """The kind of that name in /proc/PID/ns. Raises ValueError, which lists the names, for another."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise ValueError(f"there is no namespace kind {name!r}, but {', '.join(sorted(_BY_NAME))}") from None


def flags_of(names: Iterable[str]) -> int:
    """The flags of several kinds in one number, as clone(2), unshare(2) and setns(2) take them. Raises ValueError."""
    flags = 0
    for name in names:
        flags |= find_kind(name).flag
    return flags


def parse_link(text: str) -> Namespace:
    """Read the content of a link in /proc/PID/ns; raises ValueError for another text.

    >>> parse_link("pid:[4026531836]")
    Namespace(kind='pid', inode=4026531836)
    """
    found = _LINK.fullmatch(text)
    if found is None or found[1] not in _BY_NAME:
        raise ValueError(f"{text[:80]!r} is no link of /proc/PID/ns")
    return Namespace(found[1], int(found[2]))


def read_namespace(pid: int | str, name: str) -> Namespace | None:
    """The namespace of a kind that a process is in; None when it has ended, or the kernel knows no such kind.

    `pid` is a number, "self" or "thread-self"; `name` a file of /proc/PID/ns. Raises PermissionError.
    """
    try:
        return parse_link(os.readlink(f"/proc/{pid}/ns/{name}"))
    except (FileNotFoundError, ProcessLookupError):
        return None


def read_process(pid: int | str) -> Process | None:
    """A process, from /proc; None when there is none, or it is a zombie that is in no namespace any more."""
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            left, _, right = file.read().rpartition(")")
        number, _, comm = left.partition(" (")
        fields = right.split()
        with open(f"/proc/{pid}/status", errors="replace") as file:
            numbers = next((line.split()[1:] for line in file if line.startswith("NSpid:")), [number])
    except (FileNotFoundError, ProcessLookupError):
        return None
    if len(fields) < 20 or fields[0] in "ZX":
        return None
    found, children, refused = _read_namespaces(number)
    if not found and not refused:
        return None
    is_kernel_thread = bool(int(fields[6]) & PF_KTHREAD)
    inner = tuple(map(int, numbers))
    return Process(
        int(number), comm, int(fields[1]), int(fields[19]), is_kernel_thread, inner, found, children, refused
    )


def _read_namespaces(pid: str) -> tuple[dict[str, Namespace], dict[str, Namespace | None], str]:
    """A process's namespaces, those of its children to come where they differ, and the words of a refusal."""
    found: dict[str, Namespace] = {}
    children: dict[str, Namespace | None] = {}
    refused = ""
    for kind in KINDS:
        try:
            own = read_namespace(pid, kind.name)
            if own is None:
                continue
            found[kind.name] = own
            # None is what is to be found before the first child has made the new namespace real.
            if kind.for_children and (future := read_namespace(pid, kind.for_children)) != own:
                children[kind.name] = future
        except PermissionError as error:
            refused = refused or f"/proc/{pid}/ns/{kind.name}: {error.strerror}"
    return found, children, refused


def read_processes(*, kernel_threads: bool = False) -> list[Process]:
    """The processes that are seen from here, by number; threads of the kernel's own only when asked for."""
    found = (read_process(pid) for pid in sorted(pids()))
    return [one for one in found if one is not None and (kernel_threads or not one.is_kernel_thread)]


def members(processes: Iterable[Process], namespace: Namespace) -> list[Process]:
    """Those of the processes that are in a namespace."""
    return [one for one in processes if one.namespaces.get(namespace.kind) == namespace]


def group(processes: Sequence[Process], kind: str) -> dict[Namespace, list[Process]]:
    """The processes by their namespace of a kind, in the order in which each namespace is met first.

    Those whose namespace of that kind may not be read are left out. Raises ValueError for an unknown kind.
    """
    find_kind(kind)
    found: dict[Namespace, list[Process]] = {}
    for process in processes:
        if (namespace := process.namespaces.get(kind)) is not None:
            found.setdefault(namespace, []).append(process)
    return found


def join(pid: int, *names: str) -> list[str]:
    """Move this process into the namespaces of another: setns(2). Gives the kinds that were joined, as it was in them.

    Without `names`: into all that differ from this process's own. A kind that is shared already is left out (setns
    would refuse one's own user namespace). For "pid" and "time" it is the children to come that are moved. With "mnt",
    the root and working directory become those of that namespace.

    Where the kernel can (Linux 5.8), all are joined by one call, or none. Else one at a time, the user namespace first
    and the mounts last; every file is opened before the first call, as /proc may be another one afterwards.

    Raises OSError with the kernel's errno, and what was attempted in `filename`; ValueError for an unknown kind.
    """
    wanted = [kind for kind in KINDS if kind.name in {find_kind(name).name for name in names} or not names]
    with ExitStack() as held:
        try:
            process = pidfd_open(pid)
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"pidfd_open({pid})") from None
        held.callback(os.close, process)
        kinds = [kind for kind in wanted if _differs(pid, kind)]
        if not kinds:
            return []
        if _version() >= SEVERAL_AT_ONCE:
            _attempt(process, flags_of(kind.name for kind in kinds), f"pidfd of {pid}", kinds)
        else:
            files = {kind: os.open(f"/proc/{pid}/ns/{kind.name}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds}
            for file in files.values():
                held.callback(os.close, file)
            for kind, file in files.items():
                _attempt(file, kind.flag, f"/proc/{pid}/ns/{kind.name}", [kind])
    return [kind.name for kind in kinds]


def _differs(pid: int, kind: Kind) -> bool:
    """Is the other process's namespace another than the one that this one's children would be in?"""
    try:
        theirs = read_namespace(pid, kind.name)
    except PermissionError as error:
        raise PermissionError(error.errno, error.strerror, f"/proc/{pid}/ns/{kind.name}") from None
    ours = read_namespace("thread-self", kind.for_children or kind.name)
    if theirs is None and read_namespace("thread-self", kind.name) is not None:  # a zombie is in none
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), f"/proc/{pid}/ns/{kind.name}")
    return theirs is not None and theirs != ours


def _attempt(descriptor: int, flags: int, what: str, kinds: Iterable[Kind]) -> None:
    try:
        setns(descriptor, flags)
    except OSError as error:
        constants = " | ".join(kind.constant for kind in kinds)
        raise OSError(error.errno or errno.EINVAL, error.strerror, f"setns({what}, {constants})") from None


def _version() -> tuple[int, int]:
    found = _VERSION.match(os.uname().release)
    return (int(found[1]), int(found[2])) if found else (0, 0)
