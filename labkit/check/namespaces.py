"""Did the learner put a process into new namespaces, or into those of a container? Judged by what /proc says."""

from collections.abc import Iterable
from pathlib import Path

from labkit.api.engine import Engine
from labkit.check.finding import find_container, judge_running
from labkit.check.verdict import Verdict, shorten
from labkit.isolation.helper import Source, run_source
from labkit.isolation.namespaces import Process, read_process, read_processes

__all__ = ["check_guest", "check_island"]

PROGRAM = "sleep"
ASK_HOSTNAME = """
import os
from labkit.isolation.namespaces import join
join(pid, "uts")
name = os.uname().nodename
"""


def check_island(engine: Engine, name: str) -> Verdict:
    """Is there a `sleep` that is process 1 of a new PID namespace, with that host name, its own /proc, our network?

    Raises EngineRefusal where the engine cannot tell which processes are its containers'.
    """
    own = _read_own()
    if own.namespaces["uts"] == _machine().namespaces["uts"] and _hostname_here() == name:
        return Verdict(True, f"this machine itself is named {name} now: make the UTS namespace first, then the name")
    ours = [one for one in _outside_containers(engine) if one.comm == PROGRAM]
    tried = [one for one in ours if _differs(one, own, "uts") or _differs(one, own, "pid")]
    if not tried:
        return Verdict(attempted=False)
    troubles = [_judge_island(one, own, name) for one in tried]
    return Verdict(True, min(troubles, key=lambda trouble: trouble[0])[1])


def _judge_island(process: Process, own: Process, name: str) -> tuple[int, str]:
    """How far a process is from the island, and what is missing; nothing is missing at a distance of 0."""
    if not _differs(process, own, "pid"):
        return 5, (
            "its host name is apart, but it is in the machine's PID namespace: a new PID namespace begins with a child "
            "(`--fork`)"
        )
    if not _differs(process, own, "uts"):
        return 4, "its PID namespace is new, but it shares the host name of the machine"
    if process.pids[-1] != 1:
        return 3, f"{PROGRAM} is process {process.pids[-1]} there, not process 1: another program is the first child"
    if (found := _read_hostname(process.pid)) != name:
        return 3, f"process 1 there is {PROGRAM}, but its host name is {shorten(found) or 'gone'}, not {name}"
    if _differs(process, own, "net"):
        return 2, "it has a network namespace of its own, and is to share the machine's"
    if not _sees_itself(process):
        return 1, "its /proc is still the machine's: `ls /proc` there shows everybody's processes"
    return 0, ""


def check_guest(engine: Engine, name: str) -> Verdict:
    """Is there a `sleep` in the network namespace of a running container, with the machine's files and processes?

    Raises EngineRefusal where the engine cannot tell.
    """
    container = find_container(engine, name)
    if isinstance(container, Verdict):
        return container
    if trouble := judge_running(container):
        return Verdict(True, f"{name} exists, but {trouble}")
    host = read_process(container["State"]["Pid"])
    if host is None:
        return Verdict(True, f"{name} has just ended")
    own = _read_own()
    if not _differs(host, own, "net"):
        return Verdict(True, f"{name} has no network namespace of its own: it shares the machine's")
    sleepers = [one for one in read_processes() if one.comm == PROGRAM and one.pid != host.pid]
    guests = [one for one in sleepers if one.namespaces.get("net") == host.namespaces.get("net")]
    troubles = [_judge_guest(one, own) for one in guests]
    if "" in troubles:
        return Verdict(True)
    if troubles:
        return Verdict(True, f"a {PROGRAM} is in the network of {name}, but {troubles[0]}")
    if any(_differs(one, own, "net") and one.pids[-1] != 1 for one in sleepers):
        return Verdict(True, f"a {PROGRAM} has a network namespace of its own, which is not that of {name}")
    return Verdict(True, f"{name} runs, but no {PROGRAM} from outside is in its network namespace")


def _judge_guest(process: Process, own: Process) -> str:
    if _differs(process, own, "mnt"):
        return "it sees the files of another mount namespace, not the machine's"
    if _differs(process, own, "pid"):
        return "it is in another PID namespace than the machine's"
    return "it has another host name than the machine's" if _differs(process, own, "uts") else ""


def _read_own() -> Process:
    own = read_process("self")
    assert own is not None, "this process has ended"
    return own


def _machine() -> Process:
    """The first process of the machine, or this one where that is closed."""
    first = read_process(1)
    return first if first is not None and first.namespaces else _read_own()


def _outside_containers(engine: Engine) -> Iterable[Process]:
    """The processes that are in no container's PID namespace."""
    containers = engine.get("/containers/json").json()
    pids = [engine.get(f"/containers/{one['Id']}/json").json()["State"]["Pid"] for one in containers]
    theirs = {found.namespaces.get("mnt") for pid in pids if (found := read_process(pid)) is not None}
    return [one for one in read_processes() if one.namespaces.get("mnt") not in theirs]


def _differs(one: Process, other: Process, kind: str) -> bool:
    return one.namespaces.get(kind) != other.namespaces.get(kind)


def _sees_itself(process: Process) -> bool:
    """Does the /proc that a process sees belong to its own PID namespace, whose process 1 it is?"""
    try:
        return Path(f"/proc/{process.pid}/root/proc/1/comm").read_text().strip() == process.comm
    except OSError:
        return False


def _hostname_here() -> str:
    return Path("/proc/sys/kernel/hostname").read_text().strip()


def _read_hostname(pid: int) -> str:
    """The host name in the UTS namespace of a process, asked there; "" when it has ended."""
    try:
        return str(run_source(Source(ASK_HOSTNAME, {"pid": pid}, wanted=["name"])).value["name"])
    except OSError:
        return ""
