"""How fast is labkit's engine client beside docker-py, the client that everyone uses?"""

import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

from benchmarks.lab import possible_kinds, start_kernel
from benchmarks.machine import WAIT_UNTIL_READY
from benchmarks.table import Row, bench

IMPORTS = 9

LIST_CONTAINERS = """
import json, time
from statistics import median
import docker
from labkit.engine import Engine
def took(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
engine, peer = Engine(), docker.APIClient(base_url="unix:///run/docker.sock")
ours, theirs = [], []
for _ in range(300):  # in turns, so that a noisy moment hits both
    ours.append(took(lambda: engine.get("/containers/json").json()))
    theirs.append(took(lambda: peer.containers()))
print(json.dumps([median(ours), median(theirs)]))
"""


@bench
def request_row() -> Iterator[Row]:
    """List the containers, over and over, on one kept connection each."""
    for kind in possible_kinds():
        with start_kernel("docker-lab", kind) as kernel:
            kernel.run(WAIT_UNTIL_READY)
            ours, theirs = kernel.run(LIST_CONTAINERS)
        yield Row(
            name=f"{kind}: GET /containers/json",
            unit="ms",
            ours=ours * 1000,
            peer=theirs * 1000,
            peer_name="docker-py",
            goal=0.5,
            goal_on="ratio",
        )


@bench
def import_row() -> Iterator[Row]:
    """Import each client in a fresh interpreter; the bare interpreter's own time is taken off."""
    bare = median(_seconds("pass") for _ in range(IMPORTS))
    ours, theirs = (
        median(_seconds(f"import {name}") for _ in range(IMPORTS)) - bare for name in ("labkit.engine", "docker")
    )
    yield Row(
        name="import of the client",
        unit="ms",
        ours=ours * 1000,
        peer=theirs * 1000,
        peer_name="docker-py",
        goal=0.33,
        goal_on="ratio",
    )


def _seconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began
