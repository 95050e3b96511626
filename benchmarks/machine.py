"""How long does a lab machine take to boot and to run a container, and how much memory does it hold?

Time counts from the request for a kernel, as a notebook sends it, on a machine that did not exist before. Each round
boots one machine of every sort, so that all share a slow minute of the computer. The peers: Jupyter's plain Python
kernel for the first reply; for the lab's own kernel, Debian's.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.lab import Kernel, possible_kinds, start_kernel
from benchmarks.table import Row, bench
from labkit.machine.outside.kernel import find_kernel

BOOTS = 3
MIB = 1024 * 1024
LABKIT = str(Path(sys.executable).with_name("labkit"))
DEBIANS = "/usr/bin/linux.uml"
OWN = "uml, own kernel"

GOALS = {  # in seconds, on a computer whose plain kernel answers within 0.5 s; memory in MiB
    "native": {"first reply": 1.2, "engine": 2.0, "container": 0.6, "memory": 250.0},
    "uml": {"first reply": 5.0, "engine": 8.0, "container": 2.5, "memory": 500.0},
    OWN: {"first reply": 1.5, "engine from start": 1.5, "container": 0.6, "command": 0.8, "memory": 350.0},
}
BESIDE_DEBIANS = {"first reply": 0.6, "engine from start": 0.4, "container": 0.4, "command": 0.4}
BESIDE_NATIVE = {"container": 3.0}
NAMES = {
    "first reply": "kernel request to first reply",
    "engine": "kernel request to engine answers",
    "ready": "kernel request to image loaded",
    "engine from start": "engine answers, from the kernel's start",
    "container": "create, start, wait by the API",
    "command": "docker run --rm busybox true",
    "memory": "memory, engine and 3 containers",
}

WAIT_UNTIL_READY = """
import json, pathlib, time
def boot_stages():
    log = pathlib.Path("/run/labkit/boot.jsonl")
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line) for line in lines]
while not {"ready", "failed"} & {s["stage"] for s in boot_stages()}:
    time.sleep(0.02)
seconds = {s["stage"]: s["seconds"] for s in boot_stages()}
assert "failed" not in seconds, boot_stages()
print(json.dumps(seconds))
"""

RUN_CONTAINERS = """
import json, subprocess, time
from statistics import median
from labkit.api.engine import Engine
engine = Engine()
def create(*cmd):
    return engine.post("/containers/create", json={"Image": "busybox", "Cmd": cmd}).json()["Id"]
def by_api():
    began = time.monotonic()
    container = create("true")
    engine.post(f"/containers/{container}/start")
    status = engine.post(f"/containers/{container}/wait").json()["StatusCode"]
    took = time.monotonic() - began
    assert status == 0, status
    engine.delete(f"/containers/{container}")
    return took
def by_command():
    began = time.monotonic()
    subprocess.run(["docker", "run", "--rm", "busybox", "true"], check=True)
    return time.monotonic() - began
print(json.dumps([median(by_api() for _ in range(5)), median(by_command() for _ in range(5))]))
"""

START_THREE = """
for _ in range(3):
    engine.post(f"/containers/{create('sleep', '600')}/start")
print(json.dumps(len(engine.get("/containers/json").json())))
"""

# What the machine keeps in memory file systems belongs to no process; those of the host do not count.
TMPFS_USED = """
import json, os
used = {}
for line in open("/proc/self/mountinfo"):
    left, right = line.split(" - ")
    if right.split()[0] == "tmpfs":
        stat = os.statvfs(left.split()[4])
        used[left.split()[2]] = (stat.f_blocks - stat.f_bfree) * stat.f_frsize
print(json.dumps(used))
"""


# On a machine without a notebook: the seconds from its kernel's start to its engine's answer. The log was last written
# as the stage `ready` passed.
SHOW_START = """
import json, os, time
began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
log = "/run/labkit/boot.jsonl"
seconds = {stage["stage"]: stage["seconds"] for stage in map(json.loads, open(log))}
print(os.stat(log).st_mtime - seconds["ready"] + seconds["engine"] - began)
"""


@bench
def machine_rows() -> Iterator[Row]:
    """Boot machines of every possible kind, and of `uml` with each kernel that is there."""
    sorts = possible_sorts()
    plain: list[float] = []
    boots: dict[str, list[dict[str, float]]] = {sort: [] for sort in sorts}
    for _ in range(BOOTS):
        plain.append(_plain_first_reply())
        for sort, settings in sorts.items():
            boots[sort].append(_boot(sort.partition(",")[0], settings))
    figures = {sort: _medians(found) for sort, found in boots.items()}
    for sort in sorts:
        yield from _rows_of(sort, figures, median(plain))


def possible_sorts() -> dict[str, dict[str, str]]:
    """The machines to be measured: the kind, and with `uml` which kernel; each with its settings."""
    sorts: dict[str, dict[str, str]] = {kind: {} for kind in possible_kinds()}
    kernel = find_kernel()
    if "uml" in sorts and kernel is not None and kernel.is_own:
        if Path(DEBIANS).exists():
            sorts["uml"] = {"LABKIT_KERNEL": DEBIANS}
        else:
            del sorts["uml"]
        sorts[OWN] = {}
    return sorts


def _medians(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(boot[name] for boot in found) for name in found[0]}


def _plain_first_reply() -> float:
    with start_kernel("python3") as kernel:
        return kernel.first_reply_s


def _rows_of(sort: str, figures: dict[str, dict[str, float]], plain_s: float) -> Iterator[Row]:
    for name, ours in figures[sort].items():
        peer, peer_name = (plain_s, "plain kernel") if name == "first reply" else (None, "")
        yield Row(
            name=f"{sort}: {NAMES[name]}",
            unit="MiB" if name == "memory" else "s",
            ours=ours,
            peer=peer,
            peer_name=peer_name,
            goal=GOALS[sort].get(name),
        )
    if sort == OWN:
        yield from _rows_beside("uml", "Debian's kernel", BESIDE_DEBIANS, figures)
        yield from _rows_beside("native", "native", BESIDE_NATIVE, figures)


def _rows_beside(
    peer: str, peer_name: str, goals: dict[str, float], figures: dict[str, dict[str, float]]
) -> Iterator[Row]:
    for name, goal in goals.items() if peer in figures else ():
        yield Row(
            name=f"{OWN}: {NAMES[name]}",
            unit="s",
            ours=figures[OWN][name],
            peer=figures[peer][name],
            peer_name=peer_name,
            goal=goal,
            goal_on="ratio",
        )


def _boot(kind: str, settings: dict[str, str]) -> dict[str, float]:
    with start_kernel("docker-lab", kind, settings) as kernel:
        seconds = kernel.run(WAIT_UNTIL_READY)
        # The boot log counts from the launcher's start, and the goals from the request.
        ready_s = time.monotonic() - kernel.started
        engine_s = ready_s - seconds["ready"] + seconds["engine"]
        api_s, command_s = kernel.run(RUN_CONTAINERS)
        running = kernel.run(START_THREE)
        assert running == 3, f"{running} containers are running instead of 3"
        found = {"first reply": kernel.first_reply_s, "engine": engine_s, "ready": ready_s}
        found |= {"container": api_s, "command": command_s, "memory": memory_mib(kind, kernel)}
    if kind == "uml":
        found["engine from start"] = _engine_from_start(settings)
    return found


def _engine_from_start(settings: dict[str, str]) -> float:
    """Seconds from the start of a user-mode kernel to its engine's first answer, where no notebook is started."""
    command = [LABKIT, "run", "--machine=uml", "--", "python3", "-c", SHOW_START]
    done = subprocess.run(command, env=os.environ | settings, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def memory_mib(kind: str, kernel: Kernel) -> float:
    """What a machine's processes hold, and its files in memory."""
    if kind == "uml":  # its memory file systems are memory of the process that is its kernel
        return kernel.pss_bytes / MIB
    of_host = _tmpfs_devices()
    inside: dict[str, int] = kernel.run(TMPFS_USED)
    return (kernel.pss_bytes + sum(used for device, used in inside.items() if device not in of_host)) / MIB


def _tmpfs_devices() -> set[str]:
    with open("/proc/self/mountinfo") as mounts:
        return {line.split()[2] for line in mounts if line.split(" - ")[1].split()[0] == "tmpfs"}
