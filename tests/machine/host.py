"""What does a test know of the host around a machine: who is alive, and what is there?"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from shlex import quote

__all__ = [
    "KINDS",
    "LABKIT",
    "Process",
    "descendants",
    "is_alive",
    "name_of",
    "open_the_way",
    "snapshot",
    "verdict",
    "wait_until",
]

KINDS = ("native", "uml")
LABKIT = str(Path(sys.executable).with_name("labkit"))

Process = tuple[int, str]  # a pid, and its start time, which tells it from a later process of that pid


def verdict(kind: str, problems: Mapping[str, str], *, in_ci: bool) -> str:
    """What becomes of a test on one kind of machine: "run", "leave out" or "fail".

    A kind that cannot boot may be left out where another one can, and not in CI: no run passes that tested nothing.
    """
    if not problems[kind]:
        return "run"
    return "fail" if in_ci or all(problems.values()) else "leave out"


def open_the_way() -> str:
    """Shell by which root lets everybody reach this project, for itself and its children: in mounts of their own.

    Root's home is closed to others, and a project that root has cloned is often there. Each closed directory on the
    way is covered with an open one, in which nothing but the project and its Python lies. "" when the way is open.
    """
    wanted = sorted({Path(__file__).resolve().parents[2], *(Path(p).resolve() for p in (sys.prefix, sys.base_prefix))})
    paths = [path for path in wanted if not any(outer in path.parents for outer in wanted)]
    doors = [next((door for door in reversed(path.parents) if not door.stat().st_mode & 1), None) for path in paths]
    closed = {path: door for path, door in zip(paths, doors, strict=True) if door}
    if not closed:
        return ""
    words = ["mount -t tmpfs kept /mnt"]
    words += [f"mkdir /mnt/{n}; mount --bind {quote(str(path))} /mnt/{n}" for n, path in enumerate(closed)]
    words += [f"mount -t tmpfs -o mode=755 open {quote(str(door))}" for door in sorted(set(closed.values()))]
    for n, path in enumerate(closed):
        words.append(f"mkdir -p {quote(str(path))}; mount --move /mnt/{n} {quote(str(path))}")
    return "\n".join(words)


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
