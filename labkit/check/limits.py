"""Does the kernel limit a container as it was asked for, and who has set the limit?

The checks read the control group of the container's process. What docker remembers is a second witness only: it says
who set a limit.
"""

from math import inf

from labkit.api.engine import Engine
from labkit.check.finding import Container, find_container, judge_running
from labkit.check.verdict import Verdict
from labkit.linux.cgroup_limits import read
from labkit.linux.cgroups import Group, find_group

__all__ = ["check_limits", "check_set_by_hand"]

MIB = 2**20
EXACT = 0.005  # of a processor


def check_limits(engine: Engine, name: str, *, memory_bytes: int, cpus: float, pids: int) -> Verdict:
    """Does a container of that name run, whose control group has these limits?

    Raises EngineRefusal where the engine cannot tell.
    """
    found = find_container(engine, name, lambda one: one["HostConfig"]["Memory"] == memory_bytes, "its memory")
    if isinstance(found, Verdict):
        return found
    if trouble := judge_running(found):
        return Verdict(True, f"{name} exists, but {trouble}")
    group = find_group(found["State"]["Pid"])
    memory = read(group, "memory_limit_bytes").value
    if memory != memory_bytes:
        told = found["HostConfig"]
        beside = " --memory-reservation is a wish, and no limit." if told.get("MemoryReservation") else ""
        return Verdict(True, f"the kernel allows {name} {_mib(memory)} of memory, not {_mib(memory_bytes)}.{beside}")
    if abs(_cpus(group) - cpus) > EXACT:
        beside = " --cpu-shares is no limit: it counts only when processors are busy." if _has_shares(found) else ""
        return Verdict(True, f"the kernel allows {name} {_share(_cpus(group))}, not {_share(cpus)}.{beside}")
    allowed = read(group, "pids_limit").value
    if allowed != pids:
        beside = " --ulimit nproc counts the processes of a user." if found["HostConfig"].get("Ulimits") else ""
        words = "any number of" if allowed == inf else f"{allowed:.0f}"
        return Verdict(True, f"the kernel allows {name} {words} processes, not {pids}.{beside}")
    return Verdict(True)


def check_set_by_hand(engine: Engine, name: str, cpus: float) -> Verdict:
    """Does the kernel give a running container this part of a processor, though docker was never asked for a limit?

    Raises EngineRefusal where the engine cannot tell.
    """
    found = find_container(engine, name)
    if isinstance(found, Verdict):
        return found
    if trouble := judge_running(found):
        return Verdict(True, f"{name} exists, but {trouble}")
    told = found["HostConfig"]
    if told.get("NanoCpus") or told.get("CpuQuota"):
        return Verdict(
            True, f"docker knows of this limit, so docker has set it: make {name} anew, and leave docker out"
        )
    group = find_group(found["State"]["Pid"])
    if _cpus(group) == inf and _cpus(group.above) != inf:
        return Verdict(True, "the limit is in the group above: it holds for all containers together")
    if abs(_cpus(group) - cpus) > EXACT:
        return Verdict(True, f"the kernel allows {name} {_share(_cpus(group))}, not {_share(cpus)}")
    return Verdict(True)


def _cpus(group: Group) -> float:
    """How many processors a group may use; inf: no limit, as for the topmost group, which has no file for it."""
    try:
        return read(group, "cpu_quota_us").value / read(group, "cpu_period_us").value
    except FileNotFoundError:
        return inf


def _has_shares(container: Container) -> bool:
    return bool(container["HostConfig"].get("CpuShares"))


def _share(cpus: float) -> str:
    return "all the processor time that there is" if cpus == inf else f"{100 * cpus:.0f} % of a processor"


def _mib(value: float) -> str:
    return "all the memory" if value == inf else f"{value / MIB:.0f} MiB"
