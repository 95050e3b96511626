"""Is a process isolated as it was asked to be: in whose namespaces is it, and who is its root outside?"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from labkit.api.engine import Engine
from labkit.check.finding import Container, find_container, judge_running
from labkit.check.verdict import Verdict
from labkit.isolation.namespaces import Process, read_process, read_processes

__all__ = ["check_joined", "check_mapped_root", "outside_of_root"]

PATIENCE_S = 5.0
NAMES = {"pid": "processes", "net": "network", "mnt": "mounts", "uts": "host name", "ipc": "shared memory"}


def check_joined(engine: Engine, name: str, other: str, shared: Sequence[str], apart: Sequence[str]) -> Verdict:
    """Does a running container share kinds of namespaces with another one, others not, and none with the machine?

    The kinds have the names of /proc/PID/ns. Raises EngineRefusal where the engine cannot tell.
    """
    first = find_container(engine, other)
    second = find_container(engine, name, lambda one: _joins(one, first), f"it joins {other}")
    if isinstance(first, Verdict):
        return Verdict(True, f"there is no container {other} yet") if isinstance(second, dict) else first
    if isinstance(second, Verdict):
        return second if second.attempted else Verdict(True, f"{other} is there, but no container {name}")
    for found, who in ((first, other), (second, name)):
        if trouble := judge_running(found):
            return Verdict(True, f"{who} exists, but {trouble}")
    theirs, own, machine = (read_process(pid) for pid in (first["State"]["Pid"], second["State"]["Pid"], "self"))
    if theirs is None or own is None or machine is None:
        return Verdict(True, "one of the two has just ended: look again")
    return _judge_kinds((name, own), (other, theirs), machine, shared, apart)


def _joins(container: Container, other: Container | Verdict) -> bool:
    """Was a container started to join another one's network or processes?"""
    if isinstance(other, Verdict):
        return False
    settings = container["HostConfig"]
    return f"container:{other['Id']}" in (settings["NetworkMode"], settings["PidMode"])


def _judge_kinds(
    own: tuple[str, Process], other: tuple[str, Process], machine: Process, shared: Sequence[str], apart: Sequence[str]
) -> Verdict:
    (name, process), (other_name, theirs) = own, other
    for who, one in (other, own):  # a fault of the first is one of the second, which joins it
        for kind in shared:
            if one.namespaces[kind] == machine.namespaces[kind]:
                return Verdict(True, f"{who} has the {NAMES[kind]} of the machine itself: no namespace, no isolation")
    for kind in shared:
        if process.namespaces[kind] != theirs.namespaces[kind]:
            return Verdict(True, f"{name} and {other_name} do not share the {NAMES[kind]}: /proc/PID/ns/{kind} differs")
    for kind in apart:
        if process.namespaces[kind] == theirs.namespaces[kind]:
            return Verdict(True, f"{name} has no {NAMES[kind]} of its own: /proc/PID/ns/{kind} is that of {other_name}")
    return Verdict(True)


def check_mapped_root(uid: int, hostname: str) -> Verdict:
    """Is there a process in a user namespace whose root is `uid` outside, and with that host name of its own?"""
    machine = read_process("self")
    if machine is None:
        return Verdict(attempted=False)
    found = sorted(
        (one for one in read_processes() if _is_apart(one, machine)), key=lambda one: (one.start_time, one.pid)
    )
    if not found:
        return Verdict(attempted=False)
    verdicts = [_judge_root(one, machine, uid, hostname) for one in found]
    return next((one for one in verdicts if not one.missing), verdicts[-1])  # else the newest try


def _is_apart(process: Process, machine: Process) -> bool:
    """Is a process in a user or UTS namespace of its own, and no container's, which has its own process numbers?"""
    own, theirs = process.namespaces, machine.namespaces
    if own.get("user") != theirs.get("user"):
        return True
    return own.get("uts") != theirs.get("uts") and own.get("pid") == theirs.get("pid")


def _judge_root(process: Process, machine: Process, uid: int, hostname: str) -> Verdict:
    if process.namespaces.get("user") == machine.namespaces.get("user"):
        return Verdict(True, f"{process.comm} has a host name of its own, but the users of the machine")
    what = f"{process.comm} is in a user namespace, but"
    try:
        root = outside_of_root(Path(f"/proc/{process.pid}/uid_map").read_text())
    except OSError:  # it ended just now
        return Verdict(True, f"{process.comm} has ended: it is to go on in the background")
    if root is None:
        return Verdict(True, f"{what} nobody is root in it: its uid_map has no line for 0")
    if root != uid:
        return Verdict(True, f"{what} its root is user {root} outside, not {uid}")
    if process.namespaces.get("uts") == machine.namespaces.get("uts"):
        return Verdict(True, f"{what} its host name is the machine's: it has no UTS namespace of its own")
    line = ["nsenter", f"--uts=/proc/{process.pid}/ns/uts", "hostname"]
    said = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE_S, check=False).stdout.strip()
    if said != hostname:
        return Verdict(True, f"{what} its host name is {said}, not {hostname}")
    return Verdict(True)


def outside_of_root(text: str) -> int | None:
    """The number outside of user 0, from the text of a uid_map (user_namespaces(7)); None where 0 is not mapped.

    >>> outside_of_root("         0       1000          1")
    1000
    """
    for line in text.splitlines():
        inside, outside, length = map(int, line.split())
        if inside <= 0 < inside + length:
            return outside - inside
    return None
