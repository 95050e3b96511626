"""What does a test know of the host around a machine: who is alive, and what is there?"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["KINDS", "LABKIT", "Process", "descendants", "is_alive", "name_of", "snapshot", "wait_until"]

KINDS = ("native", "uml")
LABKIT = str(Path(sys.executable).with_name("labkit"))

Process = tuple[int, str]  # a pid, and its start time, which tells it from a later process of that pid


def read_stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def descendants(root: int) -> list[Process]:
    """The processes below one, parents first."""
    parents = {
        int(name): int(stat[1]) for name in os.listdir("/proc") if name.isdigit() and (stat := read_stat(int(name)))
    }
    family = [root]
    for pid in family:
        family += [child for child, parent in parents.items() if parent == pid]
    return [(pid, stat[19]) for pid in family[1:] if (stat := read_stat(pid))]


def is_alive(process: Process) -> bool:
    """Is it still the same process, and no mere entry that waits to be reaped?"""
    stat = read_stat(process[0])
    return bool(stat) and stat[19] == process[1] and stat[0] != "Z"


def snapshot(state: Path) -> dict[str, object]:
    """What a machine could leave behind: mounts, control groups, network interfaces, files."""
    groups = [path for pattern in ("labkit-*", "*/labkit-*") for path in Path("/sys/fs/cgroup").glob(pattern)]
    return {
        "mounts": sorted(line.split(" ", 3)[3] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        "cgroups": sorted(map(str, groups)),
        "interfaces": sorted(os.listdir("/sys/class/net")),
        "files": sorted(str(path) for path in state.rglob("*") if path.name != f"labkit-{os.getuid()}"),
    }


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Does a condition come true in time?"""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
