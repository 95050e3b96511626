"""In which control group is a process, and how does it get one of its own, in either version?

A group is a directory: made by mkdir, and removed by rmdir when its last process has ended. Version 1 has a hierarchy
for each controller or few, version 2 has one for all. A `Group` is what both have in common: one name, below the top of
each hierarchy that counts or limits. Source: cgroups(7).

    group = group_named("mine")                # /sys/fs/cgroup/mine, or /sys/fs/cgroup/memory/mine and others
    group.make()
    set_limits(group, memory_bytes=2**25)      # labkit.linux.cgroup_limits
    group.join()                               # in a child that has not called execve yet
    group.remove()

Each container by hand goes this way, while it is waited for: paths are text here, and system calls few.
"""

import errno
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from labkit.linux.delegation import delegate
from labkit.linux.proc import Pid, read_memberships, read_mounts

__all__ = [
    "REMOVING_PATIENCE_S",
    "Group",
    "fill_cpuset",
    "find_group",
    "find_own_group",
    "find_tops",
    "group_named",
    "hierarchies",
    "join",
    "read_file",
    "remove",
    "write_file",
]

TOP = "/sys/fs/cgroup"
REMOVING_PATIENCE_S = 2.0
REMOVING_NAP_S = 0.001

Tops = dict[str, str]


class Group(NamedTuple):
    """A control group: a directory in each hierarchy.

    `name` is its path below the top of the hierarchy, without a / at its beginning. `directories` are found by
    the controllers of their hierarchies ("memory", "cpu,cpuacct"), and that of version 2 by "".
    """

    name: str
    directories: dict[str, str]

    @property
    def version(self) -> int:
        return 2 if "" in self.directories else 1

    @property
    def above(self) -> "Group":
        """The group in which it lies; not for the topmost one."""
        above = {controllers: os.path.dirname(directory) for controllers, directory in self.directories.items()}
        return Group(os.path.dirname(self.name), above)

    def directory(self, controller: str) -> str:
        """Where the files of a controller lie, by its name of version 1. Raises FileNotFoundError if it is not here."""
        for controllers, directory in self.directories.items():
            if not controllers or controller in controllers.split(","):
                return directory
        raise FileNotFoundError(errno.ENOENT, "no hierarchy of control groups has this controller", controller)

    def make(self) -> None:
        """Make it in each hierarchy or in none, and the groups above, which give it their controllers.

        In version 2 no process may be in those. Raises FileExistsError when there is such a group already, and OSError
        when the kernel refuses.
        """
        if "/" in self.name:
            if not self.above.exists():
                self.above.make()
            if self.version == 2:
                delegate(Path(self.above.directories[""]))
        made: list[str] = []
        try:
            for controllers, directory in self.directories.items():
                os.mkdir(directory)
                made.append(directory)
                if "cpuset" in controllers:
                    fill_cpuset(directory)
        except OSError:
            for directory in reversed(made):
                os.rmdir(directory)
            raise

    def join(self) -> None:
        """Move this single-threaded process there. Raises OSError."""
        for directory in self.directories.values():
            join(directory)

    def pids(self) -> list[int]:
        """The processes that are in it now; none when it is gone."""
        with suppress(OSError):
            return [int(pid) for pid in read_file(f"{next(iter(self.directories.values()))}/cgroup.procs").split()]
        return []

    def exists(self) -> bool:
        """Is it there, in each hierarchy?"""
        return all(map(os.path.isdir, self.directories.values()))

    def remove(self, patience_s: float = REMOVING_PATIENCE_S) -> bool:
        """Remove it in each hierarchy, and the groups below, as soon as its last process has ended; the first one last.

        False: a process is still there after `patience_s` seconds.
        """
        deadline = time.monotonic() + patience_s
        return all([remove(directory, deadline) for directory in reversed(self.directories.values())])


def find_tops() -> Tops:
    """Where the hierarchies are mounted that count and limit, each by its controllers; by "" the one of version 2.

    Raises FileNotFoundError where there is none.
    """
    if os.path.exists(f"{TOP}/cgroup.controllers"):
        return {"": TOP}
    points = [mount.point for mount in read_mounts() if mount.fstype == "cgroup" and mount.point.startswith(f"{TOP}/")]
    if not points:
        raise FileNotFoundError(errno.ENOENT, "no hierarchy of control groups is mounted here", TOP)
    return {os.path.basename(point): point for point in points}


def group_named(name: str, tops: Tops | None = None) -> Group:
    """The group of this name ("mine", or "mine/first"), whether it is there or not; `tops` are from `find_tops`."""
    return Group(name, {controllers: f"{top}/{name}" for controllers, top in (tops or find_tops()).items()})


def find_group(pid: Pid = "self", tops: Tops | None = None) -> Group:
    """The control group of a process. Raises OSError when the process is gone, or its group is not seen here."""
    tops = tops or find_tops()
    directories, name = {}, ""
    for membership in read_memberships(pid):
        controllers = ",".join(membership.controllers).removeprefix("name=")
        if controllers in tops:
            if membership.path.startswith("/.."):
                raise FileNotFoundError(errno.ENOENT, "its group is above what is seen here", membership.path)
            name = membership.path.strip("/")
            directories[controllers] = f"{tops[controllers]}/{name}".rstrip("/")
    return Group(name, directories)


def hierarchies() -> list[Path]:
    """Where the hierarchies are mounted that this process sees, those without controllers too."""
    return [Path(mount.point) for mount in read_mounts() if mount.fstype in ("cgroup", "cgroup2")]


# Not by find_group: outside of a lab machine a top may show the container's group, or a group may be out of sight.
def find_own_group(top: Path, controller: str) -> Path:
    """This process's group in the hierarchy that is mounted at `top`; `top` itself where the group is out of sight.

    `controller` is the name of one in version 1, "" in version 2.
    """
    shown = next((mount.root for mount in reversed(read_mounts()) if mount.point == str(top)), "/")
    for membership in read_memberships():
        if controller in (membership.controllers or ("",)):
            # In a container the top that is seen is the container's own group.
            group = top / membership.path.removeprefix(shown).lstrip("/")
            return group if group.is_dir() else top
    return top


def join(directory: str | Path) -> None:
    """Move this single-threaded process into a group; "0" means the writer. Raises OSError."""
    try:
        write_file(f"{directory}/tasks", "0")
    except FileNotFoundError:  # version 2
        write_file(f"{directory}/cgroup.procs", "0")


def fill_cpuset(directory: str) -> None:
    """Give a new group of version 1 the processors of the group above: it has none, and takes no process before."""
    above = directory.rpartition("/")[0]
    for knob in ("cpuset.cpus", "cpuset.mems"):
        write_file(f"{directory}/{knob}", read_file(f"{above}/{knob}"))


def remove(directory: str | Path, deadline: float) -> bool:
    """Remove a group and those below it, as soon as its last process has ended.

    `deadline` is a time of the monotonic clock, after which it is left, and the answer is False.
    """
    while True:
        try:
            os.rmdir(directory)
            return True
        except FileNotFoundError:
            return True
        except OSError:  # busy: the kernel has not put the last process away yet, or there are groups below
            for below, _, _ in os.walk(directory, topdown=False):
                with suppress(OSError):
                    os.rmdir(below)
        if not os.path.exists(directory):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(REMOVING_NAP_S)


def read_file(path: str) -> str:
    """Read one of the kernel's files, which comes in pieces where it is long; raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    text = b""
    try:
        while piece := os.read(file, 1 << 16):
            text += piece
        return text.decode()
    finally:
        os.close(file)


def write_file(path: str, *commands: str) -> None:
    """Write commands into one of the kernel's files, which takes one at a time. Raises OSError with the file's name."""
    file = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        for command in commands:
            os.write(file, command.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(file)
