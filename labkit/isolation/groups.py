"""How does a container get control groups of its own, with limits, in either version?

A group is made by mkdir, and removed by rmdir when its last process has ended. In version 1 there is one in each
hierarchy, and in version 2 one in all. mkdir refuses a name that is taken, so that the name of a container is taken by
the same act. Sources: cgroups(7), the kernel's admin-guide/cgroup-v1 and cgroup-v2.rst.
"""

import fcntl
import os
import time
from contextlib import suppress
from functools import cache
from typing import NamedTuple

from labkit.errors import ContainerError
from labkit.linux.proc import read_memberships, read_mounts

__all__ = [
    "PREFIX",
    "Groups",
    "find_groups",
    "groups_of",
    "is_version_2",
    "join",
    "make_groups",
    "remove_groups",
    "sweep",
    "sweep_after",
    "was_killed_for_memory",
]

PREFIX = "box-"
REMOVING_PATIENCE_S = 2.0
YOUTH_S = 2.0  # a group that is younger may have been made a moment ago, and not be locked yet
TOP = "/sys/fs/cgroup"
MAKER = "trusted.box.maker"  # an extended attribute of the first group: the pids of its maker and the maker's parent


class Groups(NamedTuple):
    """The directories of a container's groups, by controllers ("memory", "cpu,cpuacct"); "" in version 2."""

    paths: dict[str, str]

    @property
    def is_version_2(self) -> bool:
        return "" in self.paths

    def find(self, controller: str) -> str:
        """The directory in whose hierarchy a controller is; ContainerError where no hierarchy has it."""
        for controllers, path in self.paths.items():
            if self.is_version_2 or controller in controllers.split(","):
                return path
        raise ContainerError(
            f"This machine has no control group hierarchy for {controller}: no limit can be set there."
        )


@cache
def hierarchies() -> dict[str, str]:
    """Where each hierarchy is mounted, by its controllers; "" alone where version 2 has the limits."""
    if os.path.exists(f"{TOP}/cgroup.controllers"):
        return {"": TOP}
    kinds = {mount.point: mount.fstype for mount in read_mounts() if mount.point.startswith(f"{TOP}/")}
    return {os.path.basename(point): point for point, fstype in kinds.items() if fstype == "cgroup"}


def is_version_2() -> bool:
    """Do the limits of this machine belong to version 2?"""
    return "" in hierarchies()


def find_groups(name: str) -> Groups:
    """The groups of a container by its name, whether they are there or not."""
    return Groups({controllers: f"{top}/{PREFIX}{name}" for controllers, top in hierarchies().items()})


def make_groups(groups: Groups) -> int:
    """Make the directories, all or none. Raises ContainerError where the name is taken.

    Returns a descriptor of the first one, which is locked (flock(2)) as long as somebody has it: so `sweep` knows that
    the groups belong to somebody.
    """
    made: list[str] = []
    try:
        for path in groups.paths.values():
            os.mkdir(path)
            made.append(path)
    except OSError as error:
        for path in reversed(made):
            os.rmdir(path)
        if isinstance(error, FileExistsError):
            name = path.rpartition("/")[2].removeprefix(PREFIX)
            raise ContainerError(f"The name {name} is taken: another container has the control group {path}.") from None
        raise
    lock = os.open(made[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.setxattr(lock, MAKER, f"{os.getpid()} {os.getppid()}".encode())
    return lock


def sweep() -> None:
    """Remove the groups of those who were killed: they are empty, and nobody has them locked."""
    for name, path in _find_all():
        if _is_orphan(path):
            remove_groups(find_groups(name))


def sweep_after(pid: int) -> None:
    """Remove the groups that a process has made, or its shim; the process has ended, and its containers with it."""
    for name, path in _find_all():
        with suppress(OSError):  # it is being made, or has gone meanwhile
            if str(pid).encode() in os.getxattr(path, MAKER).split():
                remove_groups(find_groups(name))


def _find_all() -> list[tuple[str, str]]:
    top = next(iter(hierarchies().values()))
    return [(name.removeprefix(PREFIX), f"{top}/{name}") for name in os.listdir(top) if name.startswith(PREFIX)]


def _is_orphan(path: str) -> bool:
    with suppress(OSError):  # it has gone meanwhile, or is locked
        group = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(group, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_old = time.time() - os.fstat(group).st_ctime > YOUTH_S
            return is_old and not read(f"{path}/cgroup.procs")
        finally:
            os.close(group)
    return False


def join(groups: Groups) -> None:
    """Move this single-threaded process into the groups: "0" means the writer. Raises OSError."""
    for path in groups.paths.values():
        write(f"{path}/cgroup.procs" if groups.is_version_2 else f"{path}/tasks", "0")


def groups_of(pid: int) -> Groups:
    """The groups in which a process is. Raises OSError when it is gone."""
    tops = hierarchies()
    found = {}
    for membership in read_memberships(pid):
        controllers = ",".join(membership.controllers).removeprefix("name=")
        if controllers in tops:
            found[controllers] = tops[controllers] + membership.path.rstrip("/")
    return Groups(found)


def was_killed_for_memory(groups: Groups) -> bool:
    """Has the kernel killed a process of the groups because their memory ran out?"""
    name = "memory.events" if groups.is_version_2 else "memory.oom_control"
    with suppress(OSError, ContainerError):
        fields = dict(line.split() for line in read(f"{groups.find('memory')}/{name}").splitlines())
        return fields.get("oom_kill", "0") != "0"
    return False


def remove_groups(groups: Groups) -> list[str]:
    """Remove the directories; give those that are still there after 2 s, as a process in them does not end.

    The first one goes last: `sweep` finds by it what was not removed to the end.
    """
    deadline = time.monotonic() + REMOVING_PATIENCE_S
    left = [path for path in reversed(groups.paths.values()) if not _is_removed(path)]
    while left and time.monotonic() < deadline:
        time.sleep(0.001)
        left = [path for path in left if not _is_removed(path)]
    return left


def _is_removed(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:  # busy: the kernel has not put the last process away yet, or the program has made groups in it
        for below, _, _ in os.walk(path, topdown=False):
            with suppress(OSError):
                os.rmdir(below)
        return not os.path.exists(path)
    return True


def read(path: str) -> str:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, 1 << 16).decode()
    finally:
        os.close(file)


def write(path: str, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(file)
