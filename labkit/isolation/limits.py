"""How are the limits of a Spec written into a control group, as `docker run` does it?

Those of --memory, --cpus and --pids-limit are written by `labkit.linux.cgroup_limits`, and the rest here.
Source: runc, libcontainer/cgroups.
"""

import os
from contextlib import suppress

from labkit.errors import ContainerError
from labkit.isolation.device_filter import attach_rules
from labkit.isolation.spec import Limits
from labkit.linux.cgroup_limits import read, set_limits
from labkit.linux.cgroups import Group, write_file

__all__ = ["ALLOWED_DEVICES", "LEAST_MEMORY", "was_killed_for_memory", "write_limits"]

LEAST_MEMORY = 6 * 1024 * 1024  # bytes, as Docker demands: with less no program starts
# What every container may open (runc, libcontainer/specconv): the devices of spec.DEVICES, terminals, and any mknod.
ALLOWED_DEVICES = (
    *("c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm"),
    *("c 5:2 rwm", "c 136:* rwm"),
)


def write_limits(group: Group, limits: Limits) -> None:
    """Write the limits into the group. Raises OSError with the file's name, ContainerError for what is no limit."""
    _check(limits)
    set_limits(
        group,
        memory_bytes=limits.memory_bytes,
        memory_and_swap_bytes=_memory_and_swap(limits),
        cpus=limits.cpus,
        pids=limits.pids,
    )
    if limits.cpu_shares is not None:
        _share_cpus(group, limits.cpu_shares)
    if limits.cpuset_cpus:
        write_file(f"{group.directory('cpuset')}/cpuset.cpus", limits.cpuset_cpus)
    if limits.only_these_devices:
        _allow_devices(group)


def was_killed_for_memory(group: Group) -> bool:
    """Has the kernel killed a process of the group because its memory ran out?"""
    with suppress(OSError):  # a kernel without this controller
        return read(group, "oom_kills").value > 0
    return False


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


def _share_cpus(group: Group, shares: int) -> None:
    """Shares are 2..262144, weights 1..10000: runc converts them so."""
    file, number = ("cpu.shares", shares) if group.version == 1 else ("cpu.weight", 1 + (shares - 2) * 9999 // 262142)
    write_file(f"{group.directory('cpu')}/{file}", str(number))


def _allow_devices(group: Group) -> None:
    if group.version == 1:
        devices = group.directory("devices")
        write_file(f"{devices}/devices.deny", "a")
        write_file(f"{devices}/devices.allow", *ALLOWED_DEVICES)
        return
    directory = os.open(group.directory("devices"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    attach_rules(directory, ALLOWED_DEVICES)
    os.close(directory)


def _memory_and_swap(limits: Limits) -> int:
    """As `docker run -m` does it: as much swap as memory, where nothing is said."""
    memory = limits.memory_bytes or 0
    return limits.memory_and_swap_bytes if limits.memory_and_swap_bytes is not None else 2 * memory
