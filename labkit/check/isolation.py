"""Did somebody enter a namespace of a container from outside? Does runc run a bundle that was written by hand?"""

import json
import re
import subprocess
from pathlib import Path

from labkit.api.engine import Engine
from labkit.check.finding import find_container, judge_running
from labkit.check.verdict import Verdict, shorten
from labkit.isolation.runc import RuncContainer, list_containers

__all__ = ["check_address", "check_bundle"]

OPEN_FILES = re.compile(r"^Max open files +(\w+) +(\w+)", re.M)
LOCAL = ("127.0.0.1", "::1")  # what `lo` has; newer engines let it have the second one


def check_address(engine: Engine, name: str, address: str) -> Verdict:
    """Has a container without a network and without rights an address all the same, and the machine has it not?

    Such a container cannot give an address to itself. Raises EngineRefusal where the engine cannot tell.
    """
    container = find_container(engine, name)
    if isinstance(container, Verdict):
        return container
    if trouble := judge_running(container):
        return Verdict(True, f"{name} exists, but {trouble}")
    networks = list(container["NetworkSettings"]["Networks"])
    if networks != ["none"]:
        return Verdict(
            True, f"{name} is in the network {networks[0] if networks else '?'}: start it with --network none"
        )
    host = container["HostConfig"]
    if host["Privileged"] or host["CapAdd"]:
        return Verdict(True, f"{name} has rights of its own (--privileged or --cap-add): start it without them")
    inside, outside = _addresses(container["State"]["Pid"]), _addresses(None)
    if address in outside:
        return Verdict(True, f"the machine itself has {address}: that line ran in the machine's network namespace")
    if address not in inside:
        others = [one for one in inside if one not in LOCAL]
        has = f"has {', '.join(others)}, not {address}" if others else f"does not have {address}"
        return Verdict(True, f"the network namespace of {name} {has}")
    return Verdict(True)


def check_bundle(engine: Engine, name: str, bundle: Path, hostname: str, open_files: int) -> Verdict:
    """Does runc run a container of that name from that bundle, with that host name and limit of open files?

    The process itself is asked, not its config.json. Raises LabError where runc cannot tell.
    """
    containers = list_containers()
    found = next((one for one in containers if one.name == name), None)
    if found is None:
        return _judge_absence(engine, name, bundle, containers)
    if found.status != "running":
        return Verdict(True, f"{name} does not run: runc says {found.status}")
    if found.bundle.resolve() != bundle.resolve():
        return Verdict(True, f"{name} was made from the bundle {shorten(str(found.bundle))}, not from {bundle}")
    said = _nsenter(found.pid, "--uts", "hostname").strip()
    if said != hostname:
        return Verdict(True, f"the host name that the process of {name} sees is {shorten(said)}, not {hostname}")
    soft, hard = _open_files(found.pid)
    if soft != str(open_files) or hard != soft:
        return Verdict(
            True, f"the process of {name} may open {soft} files, and up to {hard} if it asks: not {open_files}"
        )
    return Verdict(True)


def _judge_absence(engine: Engine, name: str, bundle: Path, containers: list[RuncContainer]) -> Verdict:
    """What there is, where runc has no container of that name."""
    if containers:
        return Verdict(True, f"runc has a container {shorten(containers[0].name)}, but none named {name}")
    if engine.get(f"/containers/{name}/json", check=False).answer.status == 200:
        return Verdict(True, f"{name} was made by the engine: here you are to give runc the bundle")
    if not bundle.exists():
        return Verdict(attempted=False)
    if not (bundle / "config.json").exists():
        return Verdict(True, f"there is {bundle}, but no config.json in it: `runc spec` writes one")
    if not (bundle / "rootfs/bin").exists():
        return Verdict(True, f"there is {bundle}/config.json, but no root directory in {bundle}/rootfs")
    return Verdict(True, f"the bundle {bundle} is there, and runc runs no container {name}")


def _addresses(pid: int | None) -> list[str]:
    """The addresses in the network namespace of a process; None: in our own."""
    line = ["ip", "-json", "address"]
    shown = _nsenter(pid, "--net", *line) if pid else subprocess.run(line, capture_output=True, check=True).stdout
    return [address["local"] for link in json.loads(shown) for address in link.get("addr_info", [])]


def _nsenter(pid: int, kind: str, *line: str) -> str:
    done = subprocess.run(["nsenter", "--target", str(pid), kind, *line], capture_output=True, text=True, check=True)
    return done.stdout


def _open_files(pid: int) -> tuple[str, str]:
    """The soft and the hard limit, each a number or "unlimited": proc_pid_limits(5)."""
    match = OPEN_FILES.search(Path(f"/proc/{pid}/limits").read_text())
    return (match[1], match[2]) if match else ("", "")
