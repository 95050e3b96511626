"""How long do containers of ours take, in a process of the helper?

Each child of that process is a copy of it. So this module imports no more than `labkit.isolation.container` does.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from labkit.isolation import container, join
from labkit.isolation.docker_defaults import docker_spec
from labkit.isolation.spec import Limits, Root, Spec

__all__ = ["measure_ours"]

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WITHOUT_CGROUP_NAMESPACE = ("mount", "pid", "uts", "ipc", "network")


def measure_ours(layers: list[str], gap_s: float) -> dict[str, float]:
    """Seconds of each of ours, once, in a process of the helper; the first run of the process does not count."""
    root = Root(tuple(layers))
    minimal = Spec(
        args=("true",),
        root=root,
        env=(PATH, "HOME=/"),  # as in C, where nobody looks for the home directory
        hostname="minimal",
        namespaces=WITHOUT_CGROUP_NAMESPACE,
        limits=Limits(only_these_devices=False),
    )
    whole = docker_spec(root, ["true"])
    box = container.start(replace(whole, args=("sleep", "600")))
    took = {}
    ways: dict[str, Callable[[], Any]] = {
        "minimal": lambda: container.run(minimal, has_guard=False),
        "whole": lambda: container.run(whole, has_guard=False),
        "join": lambda: join.execute_in(box, ["true"]),
    }
    try:
        for name, way in ways.items():
            time.sleep(gap_s)
            began = time.perf_counter()
            done = way()
            took[name] = time.perf_counter() - began
            assert done.status == 0, done
    finally:
        container.remove(box)
    return took
