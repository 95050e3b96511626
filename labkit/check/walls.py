"""Does a container have the walls that lesson 15 asks for? Judged by what the kernel shows of its process."""

from collections.abc import Sequence
from pathlib import Path

from labkit.api.engine import Engine
from labkit.check.finding import Container, find_container, judge_running
from labkit.check.verdict import Verdict
from labkit.isolation.spec import CAPABILITIES, capability_bits

__all__ = ["check_capabilities", "check_read_only", "names_of", "read_status"]

SHOWN = 3  # names of capabilities that are too many


def check_capabilities(engine: Engine, name: str, wanted: Sequence[str], command: Sequence[str]) -> Verdict:
    """Does a running container have these capabilities, and no other? Raises EngineRefusal.

    `wanted` are names as in capabilities(7), without CAP_.
    """
    found = find_container(engine, name)
    if isinstance(found, Verdict):
        return found
    if trouble := _judge_program(found, command):
        return Verdict(True, trouble)
    try:
        status = read_status(Path(f"/proc/{found['State']['Pid']}/status").read_text())
    except OSError:
        return Verdict(True, f"{name} has just ended: look again")
    bits = capability_bits(wanted)
    allowed, held = int(status["CapBnd"], 16), int(status["CapEff"], 16)
    if more := names_of(allowed & ~bits):
        others = f" and {len(more) - SHOWN} more" if len(more) > SHOWN else ""
        return Verdict(True, f"{name} may have more than was asked for: {', '.join(more[:SHOWN])}{others}")
    if lacks := names_of(bits & ~allowed):
        return Verdict(True, f"{name} does not have {', '.join(lacks)}")
    if lacks := names_of(bits & ~held):
        uid = status["Uid"].split()[0]
        return Verdict(True, f"its process runs as user {uid}, and that one has no {', '.join(lacks)}")
    return Verdict(True)


def check_read_only(engine: Engine, name: str, writable: str, command: Sequence[str]) -> Verdict:
    """Does a running container have a root directory that cannot be written, a tmpfs, and no new privileges?

    `writable` is where the tmpfs is to be. Raises EngineRefusal.
    """
    found = find_container(engine, name)
    if isinstance(found, Verdict):
        return found
    if trouble := _judge_program(found, command):
        return Verdict(True, trouble)
    process = Path(f"/proc/{found['State']['Pid']}")
    try:
        status = read_status((process / "status").read_text())
        mounts = {line.split()[1]: line.split() for line in (process / "mounts").read_text().splitlines()}
    except OSError:
        return Verdict(True, f"{name} has just ended: look again")
    if "ro" not in mounts["/"][3].split(","):
        return Verdict(True, f"the root directory of {name} can be written")
    for each in found.get("Mounts", []):
        if each["RW"] and each["Type"] != "tmpfs":  # before the file system: an engine's disk may be a tmpfs itself
            return Verdict(True, f"{each['Destination']} is a directory of the machine, and can be written")
    if trouble := _judge_tmpfs(mounts, writable):
        return Verdict(True, trouble)
    if status["NoNewPrivs"] != "1":
        return Verdict(True, f"a setuid program in {name} still gives new privileges: NoNewPrivs is 0")
    return Verdict(True)


def _judge_program(found: Container, command: Sequence[str]) -> str:
    if trouble := judge_running(found):
        return f"{found['Name'].removeprefix('/')} exists, but {trouble}"
    runs = [found["Path"], *found["Args"]]
    return "" if runs == list(command) else f"it runs `{' '.join(runs)}`, and not `{' '.join(command)}`"


def _judge_tmpfs(mounts: dict[str, list[str]], place: str) -> str:
    if place not in mounts:
        return f"nothing is mounted at {place}: a program cannot write there"
    _, _, fstype, options, *_ = mounts[place]
    if fstype != "tmpfs":
        return f"{place} is no tmpfs: it is a directory on a disk of the machine ({fstype})"
    return "" if "rw" in options.split(",") else f"{place} is a tmpfs, but it cannot be written"


def read_status(text: str) -> dict[str, str]:
    """The lines of /proc/PID/status, by name.

    >>> read_status("CapBnd:\\t0000000000000001\\n")
    {'CapBnd': '0000000000000001'}
    """
    return {line.partition(":")[0]: line.partition(":")[2].strip() for line in text.splitlines()}


def names_of(bits: int) -> list[str]:
    """The names of capabilities, from their bits.

    >>> names_of(3)
    ['CHOWN', 'DAC_OVERRIDE']
    """
    return [name for number, name in enumerate(CAPABILITIES) if bits >> number & 1]
