"""Which files of a control group hold which limit, in either version?

The limits are those of `docker run --memory --cpus --pids-limit` and others.
Sources: the kernel's admin-guide/cgroup-v1 and cgroup-v2.rst; runc, libcontainer/cgroups.
"""

import os
from collections.abc import Iterator

from labkit.errors import ContainerError
from labkit.isolation.device_filter import attach_rules
from labkit.isolation.groups import Groups, read, write
from labkit.isolation.spec import Limits

__all__ = ["ALLOWED_DEVICES", "LEAST_MEMORY", "write_limits"]

PERIOD_US = 100_000
LEAST_MEMORY = 6 * 1024 * 1024  # bytes, as Docker demands: with less no program starts
# What every container may open (runc, libcontainer/specconv): the devices of spec.DEVICES, terminals, and any mknod.
ALLOWED_DEVICES = (
    *("c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm"),
    *("c 5:2 rwm", "c 136:* rwm"),
)


def write_limits(groups: Groups, limits: Limits) -> None:
    """Write the limits into the groups. Raises OSError with the file's name, ContainerError for what is no limit."""
    _check(limits)
    for path, text in _version_2(groups, limits) if groups.is_version_2 else _version_1(groups, limits):
        write(path, text)
    if groups.is_version_2 and limits.only_these_devices:
        group = os.open(groups.paths[""], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        attach_rules(group, ALLOWED_DEVICES)
        os.close(group)


def _check(limits: Limits) -> None:
    if limits.memory_bytes is not None and limits.memory_bytes < LEAST_MEMORY:
        raise ContainerError(
            f"A memory limit of {limits.memory_bytes} bytes is too small: the least is {LEAST_MEMORY}."
        )
    if limits.cpus is not None and not 0.01 <= limits.cpus <= (os.cpu_count() or 1):
        raise ContainerError(
            f"cpus={limits.cpus} cannot be given: this machine has {os.cpu_count()}, the least is 0.01."
        )
    if limits.pids is not None and limits.pids < 1:
        raise ContainerError(f"pids={limits.pids} leaves no room for the first process.")
    if limits.memory_and_swap_bytes is not None and limits.memory_and_swap_bytes < (limits.memory_bytes or 0):
        raise ContainerError(
            "memory_and_swap_bytes counts memory and swap together: it cannot be less than memory_bytes."
        )


def _version_2(groups: Groups, limits: Limits) -> Iterator[tuple[str, str]]:
    group = groups.paths[""]
    if limits.memory_bytes is not None:
        yield f"{group}/memory.max", str(limits.memory_bytes)
        swap = _memory_and_swap(limits) - limits.memory_bytes
        if os.path.exists(f"{group}/memory.swap.max"):  # a kernel without swap has nothing to limit
            yield f"{group}/memory.swap.max", str(swap)
    if limits.cpus is not None:
        yield f"{group}/cpu.max", f"{round(limits.cpus * PERIOD_US)} {PERIOD_US}"
    if limits.cpu_shares is not None:  # runc's conversion of 2..262144 into 1..10000
        yield f"{group}/cpu.weight", str(1 + (limits.cpu_shares - 2) * 9999 // 262142)
    if limits.cpuset_cpus:
        yield f"{group}/cpuset.cpus", limits.cpuset_cpus
    if limits.pids is not None:
        yield f"{group}/pids.max", str(limits.pids)


def _version_1(groups: Groups, limits: Limits) -> Iterator[tuple[str, str]]:
    if limits.memory_bytes is not None:
        memory = groups.find("memory")
        yield f"{memory}/memory.limit_in_bytes", str(limits.memory_bytes)
        if os.path.exists(f"{memory}/memory.memsw.limit_in_bytes"):
            yield f"{memory}/memory.memsw.limit_in_bytes", str(_memory_and_swap(limits))
    if limits.cpus is not None:
        yield f"{groups.find('cpu')}/cpu.cfs_period_us", str(PERIOD_US)
        yield f"{groups.find('cpu')}/cpu.cfs_quota_us", str(round(limits.cpus * PERIOD_US))
    if limits.cpu_shares is not None:
        yield f"{groups.find('cpu')}/cpu.shares", str(limits.cpu_shares)
    if "cpuset" in groups.paths:  # a new group has no processors, and takes no process before it has some
        cpuset = groups.paths["cpuset"]
        above = os.path.dirname(cpuset)
        yield f"{cpuset}/cpuset.cpus", limits.cpuset_cpus or read(f"{above}/cpuset.cpus")
        yield f"{cpuset}/cpuset.mems", read(f"{above}/cpuset.mems")
    if limits.pids is not None:
        yield f"{groups.find('pids')}/pids.max", str(limits.pids)
    if limits.only_these_devices:
        devices = groups.find("devices")
        yield f"{devices}/devices.deny", "a"
        for line in ALLOWED_DEVICES:
            yield f"{devices}/devices.allow", line


def _memory_and_swap(limits: Limits) -> int:
    """As `docker run -m` does it: as much swap as memory, where nothing is said."""
    memory = limits.memory_bytes or 0
    return limits.memory_and_swap_bytes if limits.memory_and_swap_bytes is not None else 2 * memory
