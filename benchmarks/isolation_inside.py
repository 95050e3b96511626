"""What is measured within a lab machine for benchmarks.isolation?"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from labkit.isolation import container, helper, join
from labkit.isolation.bundle import as_config
from labkit.isolation.docker_defaults import docker_spec
from labkit.isolation.layers import read_image
from labkit.isolation.spec import Limits, Root, Spec

__all__ = ["measure", "measure_ours"]

ROUNDS, GAP_S = 30, 0.1
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WITHOUT_CGROUP_NAMESPACE = ("mount", "pid", "uts", "ipc", "network")


def measure(program: str) -> dict[str, float]:
    """Milliseconds of each way, the median of 30 rounds. `program` is the container in C, "" where there is none."""
    layers = list(read_image("busybox")[0].layers)
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        write_bundle(Path(folder), layers)
        others: dict[str, Callable[[int], list[str]]] = {
            "C": lambda turn: [program, f"in-c-{turn}", ":".join(layers), "true"],
            "runc": lambda turn: ["runc", "--root", f"{folder}/state", "run", "-b", folder, f"by-runc-{turn}"],
            "docker": lambda turn: ["docker", "run", "--rm", "--network", "none", "busybox", "true"],
            "docker exec": lambda turn: ["docker", "exec", "bench", "true"],
        }
        if not program:
            del others["C"]
        subprocess.run(
            ["docker", "run", "-d", "--name", "bench", "busybox", "sleep", "600"], check=True, capture_output=True
        )
        took: dict[str, list[float]] = {}
        try:
            for turn in range(ROUNDS):
                for name, command in others.items():
                    time.sleep(GAP_S)
                    began = time.perf_counter()
                    subprocess.run(command(turn), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
                    took.setdefault(name, []).append(time.perf_counter() - began)
                for name, seconds in helper.call(
                    "benchmarks.isolation_inside:measure_ours", [layers, GAP_S]
                ).value.items():
                    took.setdefault(name, []).append(seconds)
        finally:
            subprocess.run(["docker", "rm", "-f", "bench"], check=True, capture_output=True)
    return {name: median(seconds) * 1000 for name, seconds in took.items()}


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


def write_bundle(folder: Path, layers: list[str]) -> None:
    """The same container for runc, whose root is a copy of the image's layer."""
    assert len(layers) == 1, "busybox has one layer here"
    shutil.copytree(layers[0], folder / "rootfs", symlinks=True)
    config = as_config(
        docker_spec(Root(), ["true"], hostname="runc", user=replace(docker_spec(Root(), [""]).user, name=""))
    )
    (folder / "config.json").write_text(json.dumps(config))
    os.chmod(folder, 0o755)
