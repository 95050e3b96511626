"""Which control groups are a container's, and who removes them when its maker was killed?

They are called by its name, after `box-`. mkdir refuses a name that is taken, so that the name of a container is taken
by the same act. The maker has the first directory locked, and its number stands in an attribute of it.
"""

import fcntl
import os
import time
from contextlib import suppress
from functools import cache

from labkit.errors import ContainerError
from labkit.linux.cgroups import Group, find_group, find_tops, group_named, read_file

__all__ = ["PREFIX", "group_of_box", "group_of_process", "make_group", "sweep", "sweep_after"]

PREFIX = "box-"
YOUTH_S = 2.0  # a group that is younger may have been made a moment ago, and not be locked yet
MAKER = "trusted.box.maker"  # an extended attribute of the first group: the pids of its maker and the maker's parent

_tops = cache(find_tops)  # once a process, and not once a container


def group_of_box(name: str) -> Group:
    """The control group of a container by its name, whether it is there or not."""
    return group_named(PREFIX + name, _tops())


def group_of_process(pid: int) -> Group:
    """The control group in which a process is. Raises OSError when it is gone."""
    return find_group(pid, _tops())


def make_group(group: Group) -> int:
    """Make it. Raises ContainerError where the name is taken.

    Returns a descriptor of the first directory, which is locked (flock(2)) as long as somebody has it: so `sweep` knows
    that the group belongs to somebody.
    """
    try:
        group.make()
    except FileExistsError as error:
        name = group.name.removeprefix(PREFIX)
        raise ContainerError(
            f"The name {name} is taken: another container has the control group {error.filename}."
        ) from None
    lock = os.open(_first(group), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.setxattr(lock, MAKER, f"{os.getpid()} {os.getppid()}".encode())
    return lock


def sweep() -> None:
    """Remove the groups of those who were killed: they are empty, and nobody has them locked."""
    for group in _find_all():
        if _is_orphan(_first(group)):
            group.remove()


def sweep_after(pid: int) -> None:
    """Remove the groups that a process has made, or its shim; the process has ended, and its containers with it."""
    for group in _find_all():
        with suppress(OSError):  # it is being made, or has gone meanwhile
            if str(pid).encode() in os.getxattr(_first(group), MAKER).split():
                group.remove()


def _find_all() -> list[Group]:
    top = next(iter(_tops().values()))
    return [group_named(name, _tops()) for name in os.listdir(top) if name.startswith(PREFIX)]


def _first(group: Group) -> str:
    return next(iter(group.directories.values()))


def _is_orphan(path: str) -> bool:
    with suppress(OSError):  # it has gone meanwhile, or is locked
        group = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(group, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_old = time.time() - os.fstat(group).st_ctime > YOUTH_S
            return is_old and not read_file(f"{path}/cgroup.procs")
        finally:
            os.close(group)
    return False
