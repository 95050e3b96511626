"""How does a process get a control group of its own, in either version?

A group is a directory, its knobs are files. Version 1 has a hierarchy for each controller or few, version 2 has one for
all, whose groups hold either processes or groups with controllers ("no internal processes"). Source: cgroups(7).
A `Group` is what both have in common: one name, below the top of each hierarchy that counts or limits.

    group = create("mine")                     # /sys/fs/cgroup/mine, or /sys/fs/cgroup/memory/mine and others
    set_limits(group, memory_bytes=2**25)      # labkit.linux.cgroup_limits
    group.join()                               # in a child that has not called execve yet
    remove_group(group)
"""

import errno
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from labkit.linux.proc import Pid, read_memberships, read_mounts

__all__ = [
    "CONTROLLERS",
    "Group",
    "create",
    "delegate",
    "find_group",
    "find_own_group",
    "find_version",
    "hierarchies",
    "join",
    "pass_controllers_on",
    "remove",
    "remove_group",
    "step_aside",
]

MOVING_PATIENCE_S = 5.0
REMOVING_PATIENCE_S = 5.0
REMOVING_NAP_S = 0.02
CONTROLLERS = ("memory", "cpu", "cpuacct", "pids", "freezer", "blkio")  # as version 1 names them


class Group(NamedTuple):
    """A control group: `directories` has one for each controller in version 1, and one under the name "" in version 2.

    `name` is its path below the top of the hierarchy, without a / at its beginning.
    """

    version: int
    name: str
    directories: dict[str, Path]

    def directory(self, controller: str) -> Path:
        """Where the files of a controller lie, by its name of version 1; raises KeyError for one that is not here."""
        return self.directories["" if self.version == 2 else controller]

    def join(self) -> None:
        """Move this single-threaded process there. Raises OSError."""
        for directory in dict.fromkeys(self.directories.values()):
            join(directory)

    def add(self, pid: int) -> None:
        """Move another process there, with all its threads. Raises OSError."""
        for directory in dict.fromkeys(self.directories.values()):
            (directory / "cgroup.procs").write_text(str(pid))

    def pids(self) -> list[int]:
        """The processes that are in it now; none when it is gone."""
        with suppress(OSError):
            return [int(pid) for pid in (next(iter(self.directories.values())) / "cgroup.procs").read_text().split()]
        return []

    def exists(self) -> bool:
        """Is it there, in each hierarchy?"""
        return all(directory.is_dir() for directory in self.directories.values())


def find_version() -> int:
    """The version that the controllers are in here: 1 where any of them has a hierarchy of version 1, else 2."""
    return 1 if _tops() else 2


def find_group(pid: Pid = "self") -> Group:
    """The control group of a process. Raises OSError when the process is gone, or its group is not seen here."""
    tops = _tops() or {"": _unified()}
    directories, name = {}, ""
    for membership in read_memberships(pid):
        for controller in membership.controllers or ("",):
            if controller in tops:
                top, shown = tops[controller]
                if membership.path.startswith("/.."):
                    raise FileNotFoundError(errno.ENOENT, "its group is above what is seen here", membership.path)
                # In a container the top that is seen is the container's own group.
                name = membership.path.removeprefix(shown).strip("/")
                directories[controller] = top / name
    return Group(2 if "" in tops else 1, name, directories)


def create(name: str, controllers: tuple[str, ...] = CONTROLLERS) -> Group:
    """Make a group of this name ("mine", or "mine/first") in each hierarchy that has one of the controllers.

    Version 2 has one hierarchy, and gives the group all controllers that it has: no process may be in the groups
    above. Raises FileExistsError when there is such a group already, and OSError when the kernel refuses.
    """
    tops = _tops()
    directories = {controller: top / name for controller, (top, _) in tops.items() if controller in controllers}
    if not tops:
        top = _unified()[0]
        directories = {"": top / name}
        for parent in reversed([top / name, *(top / name).parents][1:]):
            if parent.is_relative_to(top):
                parent.mkdir(exist_ok=True)
                delegate(parent)
    made: list[Path] = []
    try:
        for directory in dict.fromkeys(directories.values()):
            directory.mkdir(parents=True)
            made.append(directory)
    except OSError:
        for directory in made:
            directory.rmdir()
        raise
    return Group(1 if tops else 2, name, directories)


def remove_group(group: Group, patience_s: float = REMOVING_PATIENCE_S) -> None:
    """Remove it in each hierarchy, and the groups below, as soon as its last process has ended.

    Raises TimeoutError when a process is still there after `patience_s` seconds.
    """
    deadline = time.monotonic() + patience_s
    for directory in dict.fromkeys(group.directories.values()):
        remove(directory, deadline)
    if left := [str(directory) for directory in group.directories.values() if directory.exists()]:
        raise TimeoutError(f"{left[0]} is still in use after {patience_s:g} s")


def _tops() -> dict[str, tuple[Path, str]]:
    """The hierarchies of version 1: controller, where its hierarchy is mounted, which part of it is seen there."""
    tops: dict[str, tuple[Path, str]] = {}
    for mount in read_mounts():
        if mount.fstype == "cgroup":
            found = set(mount.options.split(",")).intersection((*CONTROLLERS, "cpuset", "devices"))
            tops |= {controller: (Path(mount.point), mount.root) for controller in found}
    return tops


def _unified() -> tuple[Path, str]:
    for mount in reversed(read_mounts()):
        if mount.fstype == "cgroup2":
            return Path(mount.point), mount.root
    raise FileNotFoundError(errno.ENOENT, "no hierarchy of control groups is mounted here")


def hierarchies() -> list[Path]:
    """Where the hierarchies are mounted that this process sees."""
    return [Path(mount.point) for mount in read_mounts() if mount.fstype in ("cgroup", "cgroup2")]


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


def join(group: Path) -> None:
    """Move this single-threaded process there; "0" means the writer. Raises OSError."""
    tasks = group / "tasks"
    (tasks if tasks.exists() else group / "cgroup.procs").write_text("0")


def step_aside(group: Path) -> None:
    """Move this process, and those to come of it, into a group below, where the group is of version 2."""
    if (group / "cgroup.controllers").exists():
        (group / "init").mkdir()
        join(group / "init")


def delegate(group: Path) -> None:
    """Give the children of a group of version 2 each controller that it has itself; no process may be in it."""
    for controller in (group / "cgroup.controllers").read_text().split():
        (group / "cgroup.subtree_control").write_text(f"+{controller}")


def pass_controllers_on(top: Path) -> None:
    """Give the children of a group of version 2 its controllers, though processes are in it.

    Whoever set a host up has done so at the top of the hierarchy. In a container the top that is seen is the
    container's own group, which has none to give while processes are in it: they move to a group below, `init`, for
    good. Who forks meanwhile has a child in the old group (EBUSY), and it is done again. Raises OSError when that does
    not end within 5 s.
    """
    if not (top / "cgroup.type").exists():  # version 1, or the true top
        return
    missing = set((top / "cgroup.controllers").read_text().split())
    missing -= set((top / "cgroup.subtree_control").read_text().split())
    if not missing:
        return
    (top / "init").mkdir(exist_ok=True)
    deadline = time.monotonic() + MOVING_PATIENCE_S
    while True:
        for pid in (top / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                (top / "init/cgroup.procs").write_text(pid)
        try:
            (top / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in missing))
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
        else:
            return


def remove(group: Path, deadline: float) -> None:
    """Remove a group and those below it, as soon as its last process has ended.

    `deadline` is a time of the monotonic clock, after which it is left.
    """
    while group.exists():
        for directory, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):
                os.rmdir(directory)
        if not group.exists() or time.monotonic() > deadline:
            return
        time.sleep(REMOVING_NAP_S)
