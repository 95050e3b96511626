"""What does /proc say of a process, its mounts and its groups?

Files of the kernel as values, under the names of proc(5) and its pages: proc_pid_stat(5), proc_pid_mountinfo(5),
cgroups(7). A process that has ended gives nothing instead of an error: between two looks anything may have.
"""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "Membership",
    "Mount",
    "Stat",
    "parse_membership",
    "parse_mount",
    "parse_stat",
    "pids",
    "read_available_kib",
    "read_comm",
    "read_effective_capabilities",
    "read_memberships",
    "read_mounts",
    "read_openers",
    "read_stat",
]

Pid = int | str  # a number, or "self"

_OCTAL = re.compile(rb"\\([0-7]{3})")


class Stat(NamedTuple):
    """A process in one line: `state` is one letter (R, S, D, Z, T ...), `start_time` clock ticks since the boot."""

    pid: int
    comm: str
    state: str
    ppid: int
    pgrp: int
    session: int
    start_time: int


class Mount(NamedTuple):
    """One mount: what part of its file system (`root`) is seen where (`point`), and of which kind it is.

    `options` are the file system's own, as the kernel writes them: a comma or a space in a value is an octal escape.
    """

    root: str
    point: str
    fstype: str
    options: str = ""


class Membership(NamedTuple):
    """The control group of a process in one hierarchy. Version 2 has no `controllers`; `path` begins with a /."""

    hierarchy: int
    controllers: tuple[str, ...]
    path: str


def parse_stat(text: str) -> Stat:
    """Read the content of /proc/PID/stat; raises ValueError for another text.

    >>> parse_stat("7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0")
    Stat(pid=7, comm='a) b', state='S', ppid=1, pgrp=7, session=7, start_time=4242)
    """
    left, _, right = text.rpartition(")")  # the name may hold anything, brackets too
    pid, _, comm = left.partition(" (")
    fields = right.split()
    if len(fields) < 20:
        raise ValueError(f"{text[:80]!r} is no line of /proc/PID/stat")
    return Stat(int(pid), comm, fields[0], int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def read_stat(pid: Pid) -> Stat | None:
    """/proc/PID/stat; None when there is no such process any more."""
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text(errors="replace"))
    except (OSError, ValueError):  # ValueError: it ended while it was read
        return None


def read_comm(pid: Pid) -> str:
    """The name of a process's program, of at most 15 characters; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").removesuffix("\n")
    except OSError:
        return ""


def pids() -> list[int]:
    """The processes that are seen from here."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def parse_mount(line: bytes) -> Mount:
    r"""Read one line of /proc/PID/mountinfo; the name of a mount may be any bytes. Raises ValueError for another line.

    >>> parse_mount(b"36 35 0:31 / /my\\040place rw,noatime shared:1 - tmpfs none rw")
    Mount(root='/', point='/my place', fstype='tmpfs', options='rw')
    """
    left, _, right = line.partition(b" - ")
    fields, kind = left.split(b" "), right.split(b" ")
    if len(fields) < 6 or not kind[0]:
        raise ValueError(f"{line[:80]!r} is no line of /proc/PID/mountinfo")
    root, point = (os.fsdecode(_OCTAL.sub(lambda octal: bytes([int(octal[1], 8)]), field)) for field in fields[3:5])
    return Mount(root, point, kind[0].decode(), os.fsdecode(kind[2]) if len(kind) > 2 else "")


def read_mounts(pid: Pid = "self") -> list[Mount]:
    """The mounts that a process sees, in the order in which they were made; raises OSError when it is gone."""
    return [parse_mount(line) for line in Path(f"/proc/{pid}/mountinfo").read_bytes().splitlines()]


def parse_membership(line: str) -> Membership:
    """Read one line of /proc/PID/cgroup; raises ValueError for another line.

    >>> parse_membership("4:cpu,cpuacct:/docker/4d2")
    Membership(hierarchy=4, controllers=('cpu', 'cpuacct'), path='/docker/4d2')
    """
    number, controllers, path = line.split(":", 2)
    return Membership(int(number), tuple(filter(None, controllers.split(","))), path)


def read_memberships(pid: Pid = "self") -> list[Membership]:
    """The control groups of a process, one a hierarchy; raises OSError when it is gone."""
    return [parse_membership(line) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]


def read_openers(name: str) -> dict[str, str]:
    """Which programs have this file or pipe open, and what may they do with it: "read", "write", "read and write"?

    `name` is what the links in /proc/PID/fd say, such as "pipe:[42]". Programs are sorted by name; one that has it open
    only to know where it is (O_PATH) is left out. Source: proc_pid_fd(5).
    """
    found: dict[str, int] = {}
    for pid in pids():
        try:
            links = [f"/proc/{pid}/fd/{number}" for number in os.listdir(f"/proc/{pid}/fd")]
        except OSError:  # it has ended
            continue
        for link in links:
            try:
                if os.readlink(link) == name:
                    program = read_comm(pid)
                    found[program] = found.get(program, 0) | os.lstat(link).st_mode & (stat.S_IRUSR | stat.S_IWUSR)
            except OSError:  # it was closed
                continue
    words = {stat.S_IRUSR: "read", stat.S_IWUSR: "write", stat.S_IRUSR | stat.S_IWUSR: "read and write"}
    return {program: words[bits] for program, bits in sorted(found.items()) if bits}


def read_available_kib() -> int | None:
    """What the kernel says can still be used of this computer's memory: MemAvailable; None where it does not say it."""
    return next((int(value) for name, value in _fields("/proc/meminfo") if name == "MemAvailable"), None)


def read_effective_capabilities() -> int:
    """The capabilities that this process may use now, as bits: capabilities(7)."""
    return next((int(value, 16) for name, value in _fields("/proc/self/status") if name == "CapEff"), 0)


def _fields(path: str) -> Iterator[tuple[str, str]]:
    """The lines of the form "Name: value unit"."""
    for line in Path(path).read_text(errors="replace").splitlines():
        name, _, rest = line.partition(":")
        if value := rest.split():
            yield name, value[0]
