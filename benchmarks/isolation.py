"""How fast is a container that is run by hand beside the same in C, runc, and the docker command?

All in a notebook's kernel that holds 300 MB: its helper process runs ours, and it starts the others itself, as
subprocess does. Each start is alone, and a moment passes before the next; ours and the others take turns, so that a
noisy moment hits all. On `native` alone: a `uml` machine has no memory for such a kernel and a copy of the image.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.lab import possible_kinds, start_kernel
from benchmarks.machine import WAIT_UNTIL_READY
from benchmarks.table import Row, bench

C_SOURCE = Path(__file__).with_name("minimal_container.c")
PROJECT = C_SOURCE.parents[1]

RUN_CONTAINERS = """
import json, subprocess, sys, time
sys.path.insert(0, {project!r})
from benchmarks import isolation_inside
ballast = bytearray(b"x") * (300 << 20)
print(json.dumps(isolation_inside.measure({program!r})))
"""


@bench
def isolation_rows() -> Iterator[Row]:
    """Run busybox true to its end, and join a container for one more, in turns with C, runc and docker."""
    for kind in set(possible_kinds()) & {"native"}:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            program = compile_minimal(Path(folder))
            with start_kernel("docker-lab", kind) as kernel:
                kernel.run(WAIT_UNTIL_READY)
                ms = kernel.run(RUN_CONTAINERS.format(project=str(PROJECT), program=str(program or "")))
        for name, ours, peer, peer_name, goal in (
            ("run true", "minimal", "C", "the same in C", 1.5),
            ("run true", "minimal", "runc", "runc run", 1 / 6),
            ("run true", "minimal", "docker", "docker run --network none", 1 / 40),
            ("run true, as isolated as by runc", "whole", "runc", "runc run", 1 / 3),
            ("join and run true", "join", "docker exec", "docker exec", 1 / 5),
        ):
            if peer in ms:
                yield Row(
                    name=f"{kind}: {name}",
                    unit="ms",
                    ours=ms[ours],
                    peer=ms[peer],
                    peer_name=peer_name,
                    goal=goal,
                    goal_on="ratio",
                )


def compile_minimal(folder: Path) -> Path | None:
    """Compile the container in C; None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    folder.chmod(0o755)
    program = folder / "minimal_container"
    subprocess.run([compiler, "-O2", "-o", program, C_SOURCE], check=True)
    return program
