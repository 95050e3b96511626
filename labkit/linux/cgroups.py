"""How does a process get a control group of its own, in either version?

A group is a directory, its knobs are files. Version 1 has a hierarchy for each controller or few, version 2 has one for
all, whose groups hold either processes or groups with controllers ("no internal processes"). Source: cgroups(7).
"""

import errno
import os
import time
from contextlib import suppress
from pathlib import Path

from labkit.linux.proc import read_memberships, read_mounts

__all__ = ["delegate", "find_own_group", "hierarchies", "join", "pass_controllers_on", "remove", "step_aside"]

MOVING_PATIENCE_S = 5.0
REMOVING_NAP_S = 0.02


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
