"""How much memory is there for one more machine?

What the host has free, what this process's control groups may still take, and what the user-mode machines that run
already will still come to hold: `machine_mib` is what one of them takes in the end, in MiB.
"""

import mmap
import os
from contextlib import suppress
from pathlib import Path

from labkit.linux.cgroups import find_own_group
from labkit.linux.proc import Membership, pids, read_available_kib, read_comm, read_memberships

__all__ = ["NEEDED_MIB", "UML_MEMORY_MIB", "group_memory_mib", "host_memory_mib", "promised_mib"]

UML_MEMORY_MIB = 512
# What a machine comes to hold: with its engine and a few containers; all of its memory, and the processes beside it.
NEEDED_MIB = {"native": 250, "uml": UML_MEMORY_MIB + 38}
NO_LIMIT_MIB = 1 << 40
CGROUP_MEMORY = (  # version 2, version 1: where, the controller's name in /proc/self/cgroup, limit, usage
    (Path("/sys/fs/cgroup"), "", "memory.max", "memory.current"),
    (Path("/sys/fs/cgroup/memory"), "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)


def host_memory_mib(machine_mib: int) -> int:
    """What this computer has free, in MiB; a very large number where its kernel does not say it."""
    available_kib = read_available_kib()
    return NO_LIMIT_MIB if available_kib is None else (available_kib >> 10) - promised_mib(machine_mib)


def group_memory_mib(machine_mib: int) -> int:
    """What this process's control groups, its own and those above, may still take; a very large number if no limit."""
    room = [NO_LIMIT_MIB]
    for top, controller, limit, usage in CGROUP_MEMORY:
        group = find_own_group(top, controller)
        room += [_room_in(place, limit, usage) for place in (group, *group.parents) if place.is_relative_to(top)]
    return min(room) - promised_mib(machine_mib, read_memberships())


def _room_in(group: Path, limit: str, usage: str) -> int:
    try:
        allowed = int((group / limit).read_text())
        stats = {name: int(value) for name, value in (line.split() for line in (group / "memory.stat").open())}
        if "total_cache" in stats:  # version 1: the sums, with the groups below
            cached, mapped, in_memory = (stats[f"total_{name}"] for name in ("cache", "mapped_file", "shmem"))
        else:
            cached, mapped, in_memory = (stats.get(name, 0) for name in ("file", "file_mapped", "shmem"))
        # The cache can be given up, but not the part that is a process's memory: for one, a user-mode kernel's.
        free = allowed - int((group / usage).read_text()) + max(0, cached - max(mapped, in_memory))
        return max(0, free) >> 20
    except (OSError, ValueError):  # no such version or no limit at the top, or the word "max"
        return NO_LIMIT_MIB


def promised_mib(machine_mib: int, groups: list[Membership] | None = None) -> int:
    """What the user-mode machines that run here will still take: their memory is a size, reached as they are used.

    With `groups` only of machines in the same control groups.
    """
    promised = 0
    for pid in pids():
        with suppress(OSError, ValueError):  # it has ended
            if read_comm(pid) != "linux.uml" or os.getpgid(pid) != pid:
                continue  # another program, or one of a machine's helpers
            if groups is None or groups == read_memberships(pid):
                resident_mib = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * mmap.PAGESIZE >> 20
                promised += max(0, machine_mib - resident_mib)
    return promised
