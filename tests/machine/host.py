"""What does a test know of the host around a machine: who is alive, and what is there?"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from labkit.machine import last_words
from labkit.machine.outside import kernel

__all__ = [
    "DEBIANS_KERNEL",
    "KINDS",
    "LABKIT",
    "OWN_KERNEL",
    "Process",
    "children",
    "descendants",
    "find_kernels",
    "find_part",
    "has_part",
    "is_alive",
    "listening",
    "name_of",
    "run",
    "snapshot",
    "verdict",
    "wait_until",
]

KINDS = ("native", "uml")
DEBIANS_KERNEL, OWN_KERNEL = "Debian's kernel", "the lab's own kernel"
LABKIT = str(Path(sys.executable).with_name("labkit"))

GROUP_S = 10.0  # within which a machine that begins or ends has a process in its control group, or none of the two
STAYING: set[Path] = set()  # groups that are ours, or were nobody's for that long: they are not waited for again

Process = tuple[int, str]  # a pid, and its start time, which tells it from a later process of that pid


def find_kernels() -> dict[str, str]:
    """The kernels of this host that a `uml` machine can run, by what they are called here: each one's file."""
    built = kernel.built_kernels(kernel.cache_dir())[:1]
    found = {DEBIANS_KERNEL: shutil.which(kernel.PROGRAM), OWN_KERNEL: str(built[0]) if built else None}
    return {name: program for name, program in found.items() if program}


def verdict(kind: str, problems: Mapping[str, str], *, in_ci: bool) -> str:
    """What becomes of a test on one kind of machine: "run", "leave out" or "fail".

    A kind that cannot boot may be left out where another one can, and not in CI: no run passes that tested nothing.
    """
    if not problems[kind]:
        return "run"
    return "fail" if in_ci or all(problems.values()) else "leave out"


def run(kind: str, *command: str, data: bytes = b"", timeout: float = 90) -> subprocess.CompletedProcess[bytes]:
    """Run a command on a machine of its own, to its end."""
    return subprocess.run(
        [LABKIT, "run", "--machine", kind, "--", *command],
        input=data,
        capture_output=True,
        timeout=timeout,
        check=False,
    )


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


def children(pid: int) -> list[int]:
    """The pids of a process's own children; raises OSError when it is gone."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def find_part(launcher: int, part: str) -> int:
    """The pid of a machine's "guard", "machine", "slirp4netns" or, on uml, "slirp4netns of the channels".

    By its place in the tree: what the guard started first comes first.
    Raises OSError or LookupError while there is none.
    """
    # The guard leads a session; the launcher's other children tell the versions of the engine's programs.
    guard = [pid for pid in children(launcher) if os.getsid(pid) == pid][0]
    if part == "guard":
        return guard
    found = [pid for pid in children(guard) if (name_of(pid) == "slirp4netns") == part.startswith("slirp4netns")]
    return found[1 if part == "slirp4netns of the channels" else 0]


def has_part(launcher: int, part: str) -> bool:
    try:
        return bool(find_part(launcher, part))
    except (OSError, LookupError):
        return False


def is_alive(process: Process) -> bool:
    """Is it still the same process, and no mere entry that waits to be reaped?"""
    stat = read_stat(process[0])
    return bool(stat) and stat[19] == process[1] and stat[0] != "Z"


def snapshot(state: Path, ports: Collection[int] = ()) -> dict[str, object]:
    """What a machine could leave behind: mounts, control groups, network interfaces, files, and who listens.

    Machines of others that run on this host do not count, nor does the one file that a failure leaves on purpose. Of
    127.0.0.1 only the given ports are looked at: other programs come and go.
    """
    files = [path for path in walk(state) if path.parent != state or "labkit-" not in path.name]
    files = [path for path in files if path.name != last_words.FILE]
    return {
        "mounts": sorted(line.split(" ", 3)[3] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        "cgroups": sorted(map(str, left_groups(state))),
        "interfaces": sorted(os.listdir("/sys/class/net")),
        "files": sorted(map(str, files)),
        "ports": sorted(listening().intersection(ports)),
    }


def walk(top: Path) -> list[Path]:
    """All that is below a directory. What vanishes meanwhile is passed over, where Path.rglob would fail."""
    return [Path(place, name) for place, directories, files in os.walk(top) for name in (*directories, *files)]


def machine_groups() -> list[Path]:
    """The control groups of all machines on this host: at the top, and for version 1 in each hierarchy."""
    top = Path("/sys/fs/cgroup")
    places = [top, *(top / name for name in os.listdir(top))]
    return [path for place in places if place.is_dir() for path in list_directory(place) if is_machines(path)]


def is_machines(path: Path) -> bool:
    return bool(re.fullmatch("labkit-[0-9a-f]{8}", path.name)) and path.is_dir()


def list_directory(place: Path) -> list[Path]:
    try:
        return [place / name for name in os.listdir(place)]
    except OSError:  # it has gone
        return []


def left_groups(state: Path) -> list[Path]:
    """The control groups of the machines that have this state directory, and those of nobody who is alive.

    One without processes may be that of a machine which is just beginning or ending; then it does not stay so.
    """
    owners: dict[Path, set[bool]] = {group: set() for group in machine_groups()}

    def are_settled() -> bool:
        for group, found in owners.items():
            found.update(owns(pid, state) for pid in processes_in(group))
        return all(found or group in STAYING or not group.exists() for group, found in owners.items())

    wait_until(are_settled, GROUP_S)
    left = [group for group, found in owners.items() if found != {False} and group.exists()]
    STAYING.update(left)
    return left


def processes_in(group: Path) -> list[str]:
    """The processes in a group, and below it, by which it is known whose machine it is: those of labkit."""
    listed = [read_or_nothing(path) for path in walk(group) if path.name == "cgroup.procs"]
    return [pid for pid in "\n".join(listed).split() if "labkit" in read_or_nothing(Path(f"/proc/{pid}/cmdline"))]


def owns(pid: str, state: Path) -> bool:
    return f"LABKIT_TMPDIR={state}\0" in read_or_nothing(Path(f"/proc/{pid}/environ"))


def read_or_nothing(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def listening() -> set[int]:
    """The ports of 127.0.0.1 on which somebody listens: proc_pid_net(5)."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    places = [line[1].split(":") for line in lines if line[3] == "0A"]  # TCP_LISTEN
    return {int(port, 16) for address, port in places if address == "0100007F"}


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Does a condition come true in time?"""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
