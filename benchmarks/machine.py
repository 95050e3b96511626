"""How long does a lab machine take to boot and to run a container, and how much memory does it hold?

Time counts from the request for a kernel, as a notebook sends it, on a machine that did not exist before.
The peers: Jupyter's plain Python kernel for the first reply, the docker command for a container.
"""

import time
from collections.abc import Iterator
from statistics import median

from benchmarks.lab import Kernel, possible_kinds, start_kernel
from benchmarks.table import Row, bench

BOOTS = 3
MIB = 1024 * 1024

GOALS = {
    "native": {"first reply": 1.2, "engine answers": 2.0, "container": 0.6, "memory": 250.0},
    "uml": {"first reply": 5.0, "engine answers": 8.0, "container": 2.5, "memory": 500.0},
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
from labkit.engine import Engine
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
    subprocess.run(["docker", "run", "busybox", "true"], check=True)
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


@bench
def machine_rows() -> Iterator[Row]:
    """Boot machines of every possible kind."""
    plain = median(_plain_first_reply() for _ in range(BOOTS))
    for kind in possible_kinds():
        yield from _rows_of(kind, plain)


def _plain_first_reply() -> float:
    with start_kernel("python3") as kernel:
        return kernel.first_reply_s


def _rows_of(kind: str, plain_s: float) -> Iterator[Row]:
    goals = GOALS[kind]
    measured = [_boot(kind) for _ in range(BOOTS)]
    first, engine, ready, api, command, memory = (median(values) for values in zip(*measured, strict=True))
    yield Row(
        name=f"{kind}: kernel request to first reply",
        unit="s",
        ours=first,
        peer=plain_s,
        peer_name="plain kernel",
        goal=goals["first reply"],
    )
    yield Row(name=f"{kind}: kernel request to engine answers", unit="s", ours=engine, goal=goals["engine answers"])
    yield Row(name=f"{kind}: kernel request to image loaded", unit="s", ours=ready)
    yield Row(
        name=f"{kind}: create, start, wait",
        unit="s",
        ours=api,
        peer=command,
        peer_name="docker run",
        goal=goals["container"],
    )
    yield Row(name=f"{kind}: memory, engine and 3 containers", unit="MiB", ours=memory, goal=goals["memory"])


def _boot(kind: str) -> tuple[float, float, float, float, float, float]:
    with start_kernel("docker-lab", kind) as kernel:
        seconds = kernel.run(WAIT_UNTIL_READY)
        # The boot log counts from the launcher's start, and the goals from the request.
        ready_s = time.monotonic() - kernel.started
        engine_s = ready_s - seconds["ready"] + seconds["engine"]
        api_s, command_s = kernel.run(RUN_CONTAINERS)
        running = kernel.run(START_THREE)
        assert running == 3, f"{running} containers are running instead of 3"
        return kernel.first_reply_s, engine_s, ready_s, api_s, command_s, memory_mib(kind, kernel)


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
