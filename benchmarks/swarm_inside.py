"""How long does a swarm of three real engines take to serve, and to serve again when a worker was killed?

It runs in a lab machine, from its notebook's kernel.
"""

import subprocess
import time
from collections.abc import Sequence
from statistics import median

from labkit.api.engine import Engine
from labkit.daemons.cluster import Cluster, start_cluster
from labkit.daemons.swarm import form_swarm, wait_for
from labkit.daemons.swarm_state import TaskState

__all__ = ["measure"]

REPLICAS = 3
KILLED = "three"
PATIENCE_S = 30.0  # for the page of a task that runs
NAP_S = 0.05
SERVICE = {
    "Name": "site",
    "TaskTemplate": {
        "ContainerSpec": {
            "Image": "busybox",
            "Command": ["sh", "-c", "mkdir /w; hostname > /w/index.html; exec httpd -f -p 80 -h /w"],
        }
    },
    "Mode": {"Replicated": {"Replicas": REPLICAS}},
    # A port of the node for each task: that takes no IPVS, which not every kernel has.
    "EndpointSpec": {"Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishMode": "host"}]},
}


def measure(rounds: int) -> dict[str, float]:
    """The medians, in seconds: from nothing to three tasks that serve, and from a worker's death to three again."""
    image = Engine().get("/images/busybox/get").answer.body
    taken = [_measure_once(image) for _ in range(rounds)]
    return {name: median(one[name] for one in taken) for name in taken[0]}


def _measure_once(image: bytes) -> dict[str, float]:
    began = time.monotonic()
    with start_cluster(["one", "two", KILLED], images=[image]) as cluster:
        form_swarm(cluster, managers=["one"])
        manager = cluster["one"].engine
        manager.post("/services/create", json=SERVICE)
        state = wait_for(manager, lambda now: len(now.running("site")) == REPLICAS)
        _fetch_pages(cluster, state.running("site"))
        serving_s = time.monotonic() - began
        assert state.on(KILLED), "the worker that is to be killed runs no task"
        began = time.monotonic()
        cluster.kill(KILLED)
        state = wait_for(manager, lambda now: len(now.running("site")) == REPLICAS and not now.on(KILLED))
        _fetch_pages(cluster, state.running("site"))
        return {"serving": serving_s, "moved": time.monotonic() - began}


def _fetch_pages(cluster: Cluster, tasks: Sequence[TaskState]) -> None:
    """Get a page of each task, at its node's address; they are as many pages as tasks."""
    pages = set()
    for task in tasks:
        status = cluster["one"].engine.get(f"/tasks/{task.identity}").json()["Status"]
        port = status["PortStatus"]["Ports"][0]["PublishedPort"]
        pages.add(_fetch(f"http://{cluster[task.node].address}:{port}/"))
    assert len(pages) == len(tasks), pages


def _fetch(url: str) -> str:
    """A page, as soon as it is there; curl(1) asks no proxy for it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        done = subprocess.run(["curl", "-s", "-m", "2", "--noproxy", "*", url], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout
        assert time.monotonic() < deadline, f"{url} gives no page"
        time.sleep(NAP_S)
