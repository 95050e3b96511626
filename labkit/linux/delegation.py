"""How do the groups below a control group of version 2 get its controllers?

They have what stands in its file `cgroup.subtree_control`. Nothing can be written there while processes are in the
group ("no internal processes"), unless it is the true top. Source: cgroups(7).
"""

import errno
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["delegate", "pass_controllers_on", "step_aside"]

MOVING_PATIENCE_S = 5.0


def step_aside(group: Path) -> None:
    """Move this process, and those to come of it, into a group below, where the group is of version 2."""
    if (group / "cgroup.controllers").exists():
        (group / "init").mkdir()
        (group / "init/cgroup.procs").write_text("0")


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
