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

from labkit.isolation import helper
from labkit.isolation.bundle import as_config
from labkit.isolation.docker_defaults import docker_spec
from labkit.isolation.layers import read_image
from labkit.isolation.spec import Root

__all__ = ["measure"]

ROUNDS, GAP_S = 30, 0.1


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
                    "benchmarks.isolation_ours:measure_ours", [layers, GAP_S]
                ).value.items():
                    took.setdefault(name, []).append(seconds)
        finally:
            subprocess.run(["docker", "rm", "-f", "bench"], check=True, capture_output=True)
    return {name: median(seconds) * 1000 for name, seconds in took.items()}


def write_bundle(folder: Path, layers: list[str]) -> None:
    """The same container for runc, whose root is a copy of the image's layer."""
    assert len(layers) == 1, "busybox has one layer here"
    shutil.copytree(layers[0], folder / "rootfs", symlinks=True)
    config = as_config(
        docker_spec(Root(), ["true"], hostname="runc", user=replace(docker_spec(Root(), [""]).user, name=""))
    )
    (folder / "config.json").write_text(json.dumps(config))
    os.chmod(folder, 0o755)
